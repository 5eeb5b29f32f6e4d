"""What torch.save writes, in its zip files and its older plain ones, read without torch's own unpickler.

A tensor is read only when it is asked for, and only what its file really holds: records that are compressed, overlap,
or are shorter than a tensor says are refused before anything is allocated.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import torch
from torch import Tensor

from pointrend.errors import CheckpointError
from pointrend.weights.pickle_machine import PickleMachine
from pointrend.weights.pickle_values import Global, Key, shown
from pointrend.weights.unpickle import array_globals, check_shape

MOST_RECORDS = 100_000
_LONGEST_STEP = 2**48
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
LEGACY_PROTOCOL = 1001
_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
DTYPES = frozenset(_STORAGES.values())
ReadBytes = Callable[[], bytearray]


def load_zip(file: BinaryIO) -> Any:
    """Read the containers of a zip file of torch's.

    Args:
        file: must stay open until the last :class:`PickledTensor` was read.

    Returns:
        plain containers, numbers and text, with :class:`PickledTensor` in the place of tensors.

    Raises:
        CheckpointError: it is no such file, damaged, or asks for more than tensors and containers.
    """
    records = _records(file)
    pickles = [name for name in records if name.count("/") <= 1 and name.split("/")[-1] == "data.pkl"]
    if len(pickles) != 1:
        raise CheckpointError("it is a zip archive, but not what torch.save writes: it lacks data.pkl")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in records and records[f"{root}byteorder"]() == b"big":
        raise CheckpointError("it was saved on a big-endian machine: save it as safetensors there")
    storages: dict[str, Storage] = {}

    def storage(pid: Any) -> Storage:
        key, dtype, numel = _storage_id(pid, 5)
        read = records.get(f"{root}data/{key}")
        if read is None:
            raise CheckpointError(f"it lacks the record data/{key:.50} that its pickle refers to")
        return _shared(storages, key, Storage(dtype, numel, read))

    content = io.BytesIO(records[pickles[0]]())
    return PickleMachine(content, _torch_globals(), storage).load()


def load_legacy(file: BinaryIO) -> Any:
    """Read the containers of a file of torch before 1.6; see :func:`load_zip`."""
    storages: dict[str, Storage] = {}

    def storage(pid: Any) -> Storage:
        key, dtype, numel = _storage_id(pid, 6)
        return _shared(storages, key, Storage(dtype, numel, _absent))

    machine = PickleMachine(file, _torch_globals(), storage)
    if machine.load() != LEGACY_MAGIC or machine.load() != LEGACY_PROTOCOL:
        raise CheckpointError("it is not what torch saves, or of another version")
    system = machine.load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("it was saved on a big-endian machine: save it as safetensors there")
    tree = machine.load()
    keys = machine.load()
    place, size = file.tell(), file.seek(0, 2)
    for key in keys if isinstance(keys, list) else ():
        found = storages.get(key) if isinstance(key, str) else None
        file.seek(place)
        count = int.from_bytes(file.read(8), "little", signed=True)
        if found is None or count != found.numel or place + 8 + found.nbytes > size:
            raise CheckpointError(f"it is cut short, or its storage {shown(key)} is not as its pickle says")
        found.read = _piece(file, place + 8, found.nbytes)
        place += 8 + found.nbytes
    return tree


class Storage:
    """A row of numbers in a file.

    Args:
        dtype: of the numbers.
        numel: how many there are.
        read: gives their bytes.
    """

    __slots__ = ("_flat", "dtype", "numel", "read")

    def __init__(self, dtype: torch.dtype, numel: int, read: ReadBytes) -> None:
        self.dtype = dtype
        self.numel = numel
        self.read = read
        self._flat: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        return self.numel * self.dtype.itemsize

    def flat(self) -> Tensor:
        """The numbers, (numel,); read once.

        Raises:
            CheckpointError: the file holds more or fewer.
        """
        if self._flat is None:
            data = self.read()
            if len(data) != self.nbytes:
                raise CheckpointError(f"a storage of {self.nbytes} bytes has a record of {len(data)} bytes")
            if not data:
                self._flat = torch.empty(0, dtype=self.dtype)
            elif self.dtype == torch.bool:  # any byte but 0 is true; torch would take other bits for values
                self._flat = torch.frombuffer(data, dtype=torch.uint8) != 0
            else:
                self._flat = torch.frombuffer(data, dtype=self.dtype)
        return self._flat


class PickledTensor:
    """A tensor as its pickle describes it: a view of a storage."""

    __slots__ = ("_offset", "_shape", "_storage", "_stride")

    def __init__(self, storage: Any, offset: Any, shape: Any, stride: Any) -> None:
        if not isinstance(storage, Storage):
            raise CheckpointError("the pickle holds a tensor without storage")
        check_shape(shape)
        if not isinstance(stride, tuple) or len(stride) != len(shape):
            raise CheckpointError(f"the pickle holds a tensor of shape {shown(shape)} and strides {shown(stride)}")
        if not all(type(number) is int and 0 <= number < _LONGEST_STEP for number in (offset, *stride)):
            raise CheckpointError(f"the pickle holds a tensor of strides {shown(stride)} at {shown(offset)}")
        last = offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
        if math.prod(shape) and (last >= storage.numel or math.prod(shape) > storage.numel):
            raise CheckpointError(f"the pickle holds a tensor of shape {shape} in a storage of {storage.numel} numbers")
        self._storage, self._offset, self._shape, self._stride = storage, offset, shape, stride

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers, those that it shares with other tensors too."""
        count: int = math.prod(self._shape)
        return count * self._storage.dtype.itemsize

    def tensor(self) -> Tensor:
        """The tensor, which shares its storage with others as the file says."""
        if not math.prod(self._shape):
            return torch.empty(self._shape, dtype=self._storage.dtype)
        return self._storage.flat().as_strided(self._shape, self._stride, self._offset)


def _records(file: BinaryIO) -> dict[str, ReadBytes]:
    """What reads each record of a zip file, by its name; none is read yet."""
    try:
        with zipfile.ZipFile(file) as archive:
            found = sorted(archive.infolist(), key=lambda info: info.header_offset)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        raise CheckpointError(f"the zip archive is damaged or cut short ({error!s:.100})") from error
    if len(found) > MOST_RECORDS:
        raise CheckpointError(f"the zip archive has {len(found)} records, more than {MOST_RECORDS}")
    if any(info.filename.split("/", 1)[-1] == "constants.pkl" for info in found):
        raise CheckpointError(
            "it is a TorchScript program, not weights: save its state_dict() with torch.save, or as safetensors"
        )
    size = file.seek(0, 2)
    if any(not 0 <= info.header_offset < size for info in found):
        raise CheckpointError("the zip archive is damaged or cut short (it has records outside of itself)")
    records: dict[str, ReadBytes] = {}
    ends = [*(info.header_offset for info in found), size][1:]
    for info, end in zip(found, ends, strict=True):
        name = f"{info.filename:.100}"
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise CheckpointError(f"its record {name} is compressed or encrypted, which torch.save never does")
        file.seek(info.header_offset)
        header = file.read(30)
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:], "little")
        start = info.header_offset + 30 + names
        if header[:4] != b"PK\x03\x04" or start + info.file_size > end or info.filename in records:
            raise CheckpointError(f"its record {name} overlaps another, comes twice, or is cut short")
        records[info.filename] = _piece(file, start, info.file_size)
    return records


def _piece(file: BinaryIO, start: int, length: int) -> ReadBytes:
    """What reads a part of a file that was seen to be there."""

    def read() -> bytearray:
        data = bytearray(length)
        file.seek(start)
        if file.readinto(data) != length:  # type: ignore[attr-defined]  # buffered files have it
            raise CheckpointError("the file is cut short")
        return data

    return read


def _absent() -> bytearray:
    raise CheckpointError("it lacks a storage that its pickle refers to")


def _storage_id(pid: Any, length: int) -> tuple[str, torch.dtype, int]:
    """Key, type and count in ``("storage", type, key, device, count)``, which older files end with a view."""
    if not isinstance(pid, tuple) or len(pid) != length or pid[0] != "storage" or (length > 5 and pid[5] is not None):
        raise CheckpointError("the pickle refers to data outside of itself")
    _, kind, key, _, numel, *_ = pid
    if not isinstance(kind, _StorageType) or not isinstance(key, str) or type(numel) is not int or numel < 0:
        raise CheckpointError("the pickle holds a storage of no known type")
    return key, kind.dtype, numel


def _shared(storages: dict[str, Storage], key: str, storage: Storage) -> Storage:
    known = storages.setdefault(key, storage)
    if (known.dtype, known.numel) != (storage.dtype, storage.numel):
        raise CheckpointError(f"the pickle describes its storage {key:.50} in two ways")
    return known


class _StorageType(Global):
    """The type of a storage, which is only named."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__(_inert)
        self.dtype = dtype


def _torch_globals() -> dict[Key, Global]:
    inert = Global(_inert)
    dtypes = [str(dtype).removeprefix("torch.") for dtype in DTYPES]
    return array_globals() | {
        ("torch._utils", "_rebuild_tensor"): Global(PickledTensor),
        ("torch._utils", "_rebuild_tensor_v2"): Global(_rebuild),
        ("torch._utils", "_rebuild_parameter"): Global(_parameter),
        ("torch", "Size"): Global(lambda shape=(): shape),
        ("torch", "device"): inert,
        ("torch.serialization", "_get_layout"): inert,
        ("builtins", "set"): Global(lambda items=(): items),
        ("__builtin__", "set"): Global(lambda items=(): items),
        **{("torch", name): inert for name in dtypes},
        **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGES.items()},
    }


def _inert(*_: Any) -> None:
    """What stands for a device or layout: nothing that weights need."""


def _rebuild(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> PickledTensor:
    return PickledTensor(storage, offset, shape, stride)


def _parameter(data: Any, *_: Any) -> Any:
    return data
