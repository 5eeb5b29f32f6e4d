"""Reading pickles that hold nothing but arrays and containers.

A pickle is a program: it may name any function and call it. This reader resolves the few names that a pickled numpy
array needs, each to a stand-in of our own that only writes down what it is given; every other name is an error, and
nothing that it names is imported or called. numpy's own reconstruction is not used either: it trusts the state that
a pickle hands it.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pointrend.errors import CheckpointError

NUMBER_TYPES = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8"})  # what torch has too


def load_arrays(file: BinaryIO) -> Any:
    """Read one pickle, protocols 0 to 5.

    Args:
        file: opened for reading bytes. Python 2's pickles are read too, their strings as Latin-1.

    Returns:
        plain containers, numbers and text, with :class:`PickledArray` in the place of arrays.

    Raises:
        CheckpointError: the pickle names something else than arrays and containers, or is damaged.
    """
    try:
        return _Unpickler(file, encoding="latin1").load()
    except CheckpointError:
        raise
    # Damaged bytes surface as nearly any error, from EOFError to IndexError and MemoryError.
    except Exception as error:
        raise CheckpointError(f"the pickle is damaged or cut short ({type(error).__name__}: {error!s:.200})") from error


class PickledArray:
    """An array as its pickle describes it."""

    __slots__ = ("_array",)

    def __init__(self) -> None:
        self._array: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran_order, data = state
        self._array = _array(data, dtype, shape, "F" if fortran_order else "C")

    def numpy(self) -> NDArray[Any]:
        """The array, which shares the pickle's bytes: read-only, native byte order.

        Raises:
            CheckpointError: the pickle never said what is in it.
        """
        if self._array is None:
            raise CheckpointError("the pickle holds an array without content")
        return self._array


class _DType:
    """A dtype as its pickle describes it; only the byte order comes with the state."""

    __slots__ = ("name", "order")

    def __init__(self, name: str) -> None:
        self.name = name
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise CheckpointError(f"the pickle holds an array with byte order {state[1]!r:.50}")
        self.order = state[1]

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.name)


class _Mapping(dict[Any, Any]):
    """An ordered dictionary, without the attributes that frameworks attach to theirs."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Global:
    """What a permitted name stands for. Without attributes, so that a pickle cannot alter it for those after it."""

    __slots__ = ("_call",)
    _call: Callable[..., Any]

    def __init__(self, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "_call", call)

    def __setattr__(self, name: str, value: Any) -> None:
        raise CheckpointError("the pickle tries to alter a function")

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise CheckpointError(
                f"the pickle asks for {module}.{name}, which is neither an array nor a container; nothing was run"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise CheckpointError("the pickle refers to data outside of itself")


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    if not isinstance(dtype, _DType):
        raise CheckpointError("the pickle holds an array of no known type")
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise CheckpointError(f"the pickle holds an array of shape {shape!r:.50}")
    if isinstance(data, str):  # Python 2's bytes
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise CheckpointError("the pickle holds an array whose content is not bytes")
    kind = dtype.numpy()
    if len(data) != math.prod(shape) * kind.itemsize:
        raise CheckpointError(
            f"the pickle holds an array of shape {shape} and {kind.itemsize} bytes a number, but {len(data)} bytes"
        )
    flat = np.frombuffer(data, kind).astype(kind.newbyteorder("="), copy=False)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _new_dtype(name: Any, *_: Any) -> _DType:
    text = str(name)
    if text not in NUMBER_TYPES:
        kind = "Python objects" if text.startswith("O") else f"type {text!r:.50}"
        raise CheckpointError(f"the pickle holds an array of {kind}; only plain numbers are read")
    return _DType(text)


def _reconstruct(*_: Any) -> PickledArray:
    return PickledArray()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    array = PickledArray()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _scalar(dtype: Any, data: Any) -> Any:
    return _array(data, dtype, (), "C")[()]


def _latin1_bytes(text: Any = "", encoding: Any = "latin1") -> bytes:
    """Protocol 2 has no bytes: it writes them as text to encode, and empty ones as ``bytes()``."""
    if not isinstance(text, str) or encoding != "latin1":
        raise CheckpointError("the pickle encodes something else than Latin-1 text")
    return text.encode("latin1")


def _refuse_call(*_: Any) -> Any:
    raise CheckpointError("the pickle makes an array in a way that numpy does not")


_NUMPY_CORES = ("numpy.core", "numpy._core")  # before numpy 2, and since
_GLOBALS: dict[tuple[str, str], _Global] = {
    ("numpy", "ndarray"): _Global(_refuse_call),  # only named, as an argument of _reconstruct
    ("numpy", "dtype"): _Global(_new_dtype),
    ("_codecs", "encode"): _Global(_latin1_bytes),
    ("builtins", "bytes"): _Global(_latin1_bytes),
    ("__builtin__", "bytes"): _Global(_latin1_bytes),
    ("collections", "OrderedDict"): _Global(_Mapping),
    **{(f"{core}.multiarray", "_reconstruct"): _Global(_reconstruct) for core in _NUMPY_CORES},
    **{(f"{core}.multiarray", "scalar"): _Global(_scalar) for core in _NUMPY_CORES},
    **{(f"{core}.numeric", "_frombuffer"): _Global(_from_buffer) for core in _NUMPY_CORES},
}
