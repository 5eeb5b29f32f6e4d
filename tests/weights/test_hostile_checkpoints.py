"""Checkpoints that a few bytes make expensive: read in a child whose memory is measured, and stopped if it hangs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from pointrend.errors import CheckpointError
from pointrend.weights.checkpoint import read_checkpoint
from pointrend.weights.pickle_machine import _STEPS, MOST_STEPS
from pointrend.weights.unpickle import load_arrays

MOST_MIB = 300  # more than reading nothing takes: the largest file here has 4 MB
CHILD = """
import resource, sys
from pathlib import Path
import torch
from pointrend.errors import CheckpointError
from pointrend.weights.checkpoint import read_checkpoint
torch.ones(3, 3).isfinite().all()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        state = read_checkpoint(Path(path))
        said = f"read {len(state)}"
    except CheckpointError as error:
        said = "refused " + str(error)[:1000]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, said, flush=True)
"""


def refusals(paths: Sequence[Path]) -> list[str]:
    """How reading each file is refused; fails if one is read, takes much memory, dies of something else, or hangs."""
    result = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, paths)], capture_output=True, text=True, timeout=500, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
    lines = result.stdout.splitlines()
    assert len(lines) == len(paths)
    for line in lines:
        grown, said, _ = line.split(" ", 2)
        assert said == "refused", line
        assert int(grown) / 1024 < MOST_MIB, line  # the most so far, so that the first to exceed it is named
    return lines


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def put(index: int) -> bytes:
    return b"r" + struct.pack("<I", index)


def get(index: int) -> bytes:
    return b"j" + struct.pack("<I", index)


FLOAT32 = b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
NESTED = b")" + b"2\x86" * 200  # 2 ** 200 tuples, if they were unfolded
BIG = 1_000_000


def shared_array(entries: int) -> bytes:
    """As many weights that are all one array of 4 MB."""
    array = b"cnumpy.core.multiarray\n_reconstruct\n(tR(K\x01J" + struct.pack("<i", BIG) + b"\x85" + FLOAT32 + b"\x89"
    array += b"B" + struct.pack("<I", 4 * BIG) + b"\0" * (4 * BIG) + b"tb" + put(0) + b"0"
    return b"\x80\x02" + array + b"}(" + b"".join(text(f"w{n}") + get(0) for n in range(entries)) + b"u."


PICKLES = {
    "huge memo index": (b"\x80\x02Nr\xff\xff\xff\xff.", "holds a NoneType"),
    "huge memo index as text": (b"\x80\x02Np99999999999999999999\n.", "holds a NoneType"),
    "memo never put": (b"\x80\x02j\xff\xff\xff\xff.", "damaged"),
    "frame": (b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f.", "cut short"),
    "bytes": (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.", "cut short"),
    "text": (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.", "cut short"),
    "bytearray": (b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.", "cut short"),
    "negative": (b"\x80\x02T\xff\xff\xff\xff.", "cut short"),
    "long number": (b"\x80\x02\x8b\xff\xff\xff\x7f.", "a number of 2147483647 bytes"),
    "digits": (b"\x80\x02I" + b"9" * 100_000 + b"\n.", "has no end"),
    "key that doubles": (b"\x80\x02}" + NESTED + b"Ns.", "a tuple as a key"),
    "root that doubles": (b"\x80\x02" + NESTED + b".", "holds a tuple"),
    "weight that doubles": (b"\x80\x02}" + text("w") + NESTED + b"s.", "w is a tuple"),
    "shape that doubles": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(tR(K\x01" + NESTED + FLOAT32 + b"\x89U\0tb.",
        "shape a tuple",
    ),
    "list in itself": (b"\x80\x02]2a.", "holds a list"),
    "wrapper in itself": (b"\x80\x02}q\0" + text("model") + b"h\0s.", "wrapped more than"),
    "wrappers in a ring": (
        b"\x80\x02}q\0" + text("model") + b"}q\1s" + b"0h\1" + text("state_dict") + b"h\0s0h\0.",
        "wrapped more than",
    ),
    "name of a megabyte": (b"\x80\x02}" + text("x" * BIG) + b"Ns.", "as a key"),
    "numbers of one hash": (b"\x80\x02}\x8a\x09" + (2**61 - 1 << 8).to_bytes(9, "little") + b"Ns.", "as a key"),
    "steps": (b"\x80\x02" + b"}" * (MOST_STEPS + 10) + b".", "steps"),
    "call again and again": (
        b"\x80\x02c_codecs\nencode\nq\0" + text("a" * BIG) + text("latin1") + b"\x86q\1" + b"0h\0h\1R" * 20_000 + b".",
        "holds a bytes",
    ),
    "long call": (b"\x80\x02ccollections\nOrderedDict\n(" + b"N" * 100 + b"tR.", "100 arguments"),
    "pairs again and again": (
        b"\x80\x02ccollections\nOrderedDict\nq\0]q\1("
        + b"K\1K\2\x86" * 50_000
        + b"e\x85q\1"
        + b"0h\0h\1R" * 1000
        + b".",
        "pairs",
    ),
    "an array for all": (shared_array(1000), "share"),
    "instance": (b"(ios\nsystem\n.", "asks for os.system"),
}


def test_pickles_cost_what_they_weigh(tmp_path: Path) -> None:
    paths = []
    for name, (content, _) in PICKLES.items():
        paths.append(tmp_path / f"{name}.pkl")
        paths[-1].write_bytes(content)
    for said, (_, words) in zip(refusals(paths), PICKLES.values(), strict=True):
        assert words in said


def torch_zip(path: Path, pickled: bytes, records: dict[str, bytes], compress: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compress) as archive:
        archive.writestr("m/data.pkl", pickled)
        for name, data in records.items():
            archive.writestr(f"m/{name}", data)
    return path


def tensor(numel: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], kind: str = "Float") -> bytes:
    """The pickle of one tensor, as torch writes it."""

    def number(value: int) -> bytes:
        data = value.to_bytes(9, "little", signed=True)
        return b"\x8a\x09" + data

    pid = b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text("0") + text("cpu") + number(numel) + b"tQ"
    sides = [b"(" + b"".join(map(number, part)) + b"t" for part in (shape, stride)]
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + number(offset) + sides[0] + sides[1]
    return b"\x80\x02}" + text("w") + rebuilt + b"\x89ccollections\nOrderedDict\n)RtRs."


@pytest.mark.parametrize(
    ("numel", "offset", "shape", "stride", "words"),
    [
        (2**40, 0, (2**20,), (1,), "would take 4194304 alone"),
        (4, 0, (2**30,), (0,), "in a storage of 4 numbers"),
        (4, 0, (5,), (1,), "in a storage of 4 numbers"),
        (4, 3, (2,), (1,), "in a storage of 4 numbers"),
        (4, 0, (2, 2), (4, 1), "in a storage of 4 numbers"),
        (4, -1, (1,), (1,), "at -1"),
        (4, 0, (-1,), (1,), r"shape (-1,)"),
        (4, 0, (2,), (-1,), "strides (-1,)"),
        (4, 0, (2,), (1, 1), "strides (1, 1)"),
        (4, 0, (2**62, 2**62), (1, 1), "shape"),
        (4, 0, (1,) * 9, (1,) * 9, "shape"),
        (-4, 0, (1,), (1,), "no known type"),
        (3, 0, (3,), (1,), "record of 16 bytes"),
    ],
)
def test_tensors_stay_within_their_storage(
    tmp_path: Path, numel: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], words: str
) -> None:
    path = torch_zip(tmp_path / "m.pth", tensor(numel, offset, shape, stride), {"data/0": b"\0" * 16})
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert words in str(caught.value)
    whole = torch_zip(path, tensor(4, 0, (2, 2), (1, 2)), {"data/0": np.arange(4, dtype="<f4").tobytes()})
    assert read_checkpoint(whole)["w"].tolist() == [[0, 2], [1, 3]]


def make_zip(path: Path, name: str) -> str:
    """Write an archive that torch would not, and return what its refusal says."""
    good, data = tensor(4, 0, (4,), (1,)), {"data/0": b"\0" * 16}
    if name == "bomb":
        words = "compressed"
        torch_zip(path, tensor(2**26, 0, (2**26,), (1,)), {"data/0": b"\0" * 2**28}, zipfile.ZIP_DEFLATED)
    elif name == "overlap":
        words = "overlaps"
        torch_zip(path, good, data | {"data/1": b"\0" * 16})
        whole = bytearray(path.read_bytes())
        places = [place for place in range(len(whole)) if whole[place : place + 4] == b"PK\x01\x02"]
        whole[places[2] + 42 : places[2] + 46] = whole[places[1] + 42 : places[1] + 46]
        path.write_bytes(whole)
    elif name == "twice":
        words = "comes twice"
        torch_zip(path, good, data)
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("m/data/0", b"\1" * 16)
    elif name == "no pickle":
        words = "not what torch.save writes"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.npy", b"")
    elif name == "script":
        words = "TorchScript"
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    elif name == "big-endian":
        words = "big-endian"
        torch_zip(path, good, data | {"byteorder": b"big"})
    else:
        words = "cut short"
        torch_zip(path, good, data)
        whole = bytearray(path.read_bytes())
        place = whole.rindex(b"PK\x01\x02")
        whole[place + 20 : place + 28] = b"\xf0\xff\xff\x7f" * 2
        path.write_bytes(whole)
    return words


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_zip_archives_that_are_not_torchs(tmp_path: Path) -> None:
    names = ("bomb", "overlap", "twice", "no pickle", "script", "big-endian", "announced")
    paths = [tmp_path / f"{name}.pth" for name in names]
    words = [make_zip(path, path.stem) for path in paths]
    for said, expected in zip(refusals(paths), words, strict=True):
        assert expected in said


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_files_of_every_type_and_view(tmp_path: Path, legacy: bool) -> None:
    base = torch.arange(24, dtype=torch.float32)
    state: dict[str, Any] = {
        "view": base.view(2, 3, 4).permute(2, 0, 1),
        "slice": base[5:9],
        "tied": base,
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
        **{str(dtype): torch.tensor([0, 1, 1]).to(dtype) for dtype in (torch.bfloat16, torch.half, torch.double)},
        **{str(dtype): torch.tensor([0, 1, 1]).to(dtype) for dtype in (torch.int8, torch.uint8, torch.int64)},
        "flags": torch.tensor([True, False]),
    }
    beside = {"optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "lr": np.float64(0.1)}, "seen": {1, 2}}
    path = tmp_path / "m.pth"
    torch.save(
        {"model": OrderedDict(state), "device": torch.device("cpu"), "size": base.shape, **beside},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    read = read_checkpoint(path)
    assert read.keys() == state.keys()
    for name, value in state.items():
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], value.detach())
    cut = tmp_path / "cut.pth"
    whole = path.read_bytes()
    for length in range(0, len(whole), len(whole) // 50):
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(cut)


def test_only_the_part_that_is_taken_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    torch.save({"model": {"w": torch.ones(2)}, "optimizer": {"m": torch.ones(3)}}, path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if "/data/" in name]
        other = next(name for name in names if archive.getinfo(name).file_size == 12)
        place = archive.getinfo(other).header_offset
    damaged = content[: place + 200].replace(np.ones(3, "<f4").tobytes(), b"\xff" * 12) + content[place + 200 :]
    path.write_bytes(damaged)
    assert read_checkpoint(path)["w"].tolist() == [1, 1]


def safetensors_file(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


SAFETENSORS: list[tuple[Any, bytes, int | None]] = [
    ({}, b"", 2**62),
    ({}, b"", 90_000_000),
    ({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"\0" * 4, None),
    ({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}, b"\0" * 4, None),
    ({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"}, b"\0" * 4, None),
    ({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"\0" * 4, None),
    ({"w": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4, None),
    ({"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, b"\0" * 4, None),
    ({"w": {"dtype": "U32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4, None),
    (b"{" * 100_000, b"", None),
]


def test_safetensors_that_do_not_hold_what_they_say(tmp_path: Path) -> None:
    refusals([safetensors_file(tmp_path / f"{n}.safetensors", *case) for n, case in enumerate(SAFETENSORS)])


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    state = {"good": torch.ones(3), "bad": torch.tensor([1.0, float("nan")]), "count": torch.tensor([2**40])}
    state |= {"half": torch.tensor([float("-inf")]).half(), "double": torch.tensor([1e300], dtype=torch.double)}
    save_file(state, tmp_path / "m.safetensors")
    torch.save(state, tmp_path / "m.pth")
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({name: value.numpy() for name, value in state.items()}))
    for name in ("m.safetensors", "m.pth", "m.pkl"):
        with pytest.raises(
            CheckpointError, match=r"3 of its 5 tensors have numbers that are NaN or infinite"
        ) as caught:
            read_checkpoint(tmp_path / name)
        assert all(f"{key} (1 of " in str(caught.value) for key in ("bad", "half", "double"))


steps = st.sampled_from(sorted(_STEPS)).flatmap(lambda code: st.binary(max_size=6).map(lambda rest: code + rest))


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, max_size=60).map(b"".join))
def test_any_steps_are_read_or_refused(soup: bytes) -> None:
    with contextlib.suppress(CheckpointError):
        load_arrays(io.BytesIO(soup + b"."))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(0, 99), inner),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None)
@given(plain, st.integers(0, 5))
def test_plain_values_are_what_pythons_own_machine_makes_of_them(tree: Any, protocol: int) -> None:
    assert load_arrays(io.BytesIO(pickle.dumps(tree, protocol))) == tree


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.pth")
    with pytest.raises(CheckpointError, match="it is a FIFO, not a regular file"):
        read_checkpoint(tmp_path / "m.pth")
