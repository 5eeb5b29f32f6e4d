"""Reading pickles that hold nothing but arrays and containers.

The few names that a pickled numpy array needs are resolved, each to a stand-in of our own that only writes down what it
is given; every other name is an error, and nothing that it names is imported or called. numpy's own reconstruction is
not used either: it trusts the state that a pickle hands it.
"""

from __future__ import annotations

import math
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pointrend.errors import CheckpointError
from pointrend.weights.pickle_machine import MOST_STEPS, PickleMachine
from pointrend.weights.pickle_values import Built, Global, Key, Mapped, checked_key, shown

NUMBER_TYPES = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8"})  # what torch has too
MOST_DIMENSIONS = 8
LONGEST_SIDE = 2**31 - 1


def load_arrays(file: BinaryIO) -> Any:
    """Read one pickle, protocols 0 to 5.

    Args:
        file: opened for reading bytes. Python 2's pickles are read too, their strings as Latin-1.

    Returns:
        plain containers, numbers and text, with :class:`PickledArray` in the place of arrays and numpy's numbers.

    Raises:
        CheckpointError: the pickle names something else than arrays and containers, or is damaged.
    """
    return PickleMachine(file, array_globals()).load()


class PickledArray(Built):
    """An array as its pickle describes it."""

    __slots__ = ("_data", "_dtype", "_fortran", "_shape")

    def __init__(self) -> None:
        self._data: str | bytes | None = None
        self._dtype = np.dtype("u1")
        self._shape: tuple[int, ...] = ()
        self._fortran = False

    def set_state(self, state: Any) -> None:
        """Take ``(version, shape, dtype, fortran_order, data)``, as numpy writes it."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise CheckpointError("the pickle holds an array whose state is damaged")
        _, shape, dtype, fortran, data = state
        self.describe(data, dtype, shape, fortran is True)

    def describe(self, data: Any, dtype: Any, shape: Any, fortran: bool) -> None:
        """Take what the array is made of.

        Raises:
            CheckpointError: it does not fit together.
        """
        if not isinstance(dtype, _DType):
            raise CheckpointError("the pickle holds an array of no known type")
        check_shape(shape)
        if not isinstance(data, str | bytes):  # text is Python 2's bytes
            raise CheckpointError("the pickle holds an array whose content is not bytes")
        kind = dtype.numpy()
        if len(data) != math.prod(shape) * kind.itemsize:
            raise CheckpointError(
                f"the pickle holds an array of shape {shape} and {kind.itemsize} bytes a number, but {len(data)} bytes"
            )
        self._data, self._dtype, self._shape, self._fortran = data, kind, shape, fortran

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers."""
        return 0 if self._data is None else len(self._data)

    def numpy(self) -> NDArray[Any]:
        """The array, which may share the pickle's bytes: read-only, native byte order.

        Raises:
            CheckpointError: the pickle never said what is in it.
        """
        if self._data is None:
            raise CheckpointError("the pickle holds an array without content")
        data = latin1_bytes(self._data) if isinstance(self._data, str) else self._data
        flat = np.frombuffer(data, self._dtype).astype(self._dtype.newbyteorder("="), copy=False)
        return flat.reshape(self._shape, order="F" if self._fortran else "C")


def check_shape(shape: Any) -> None:
    """Check that a pickle's value is the shape of an array.

    Raises:
        CheckpointError: it is not, or has more than :data:`MOST_DIMENSIONS`.
    """
    fits = isinstance(shape, tuple) and len(shape) <= MOST_DIMENSIONS
    if not fits or not all(type(side) is int and 0 <= side <= LONGEST_SIDE for side in shape):
        raise CheckpointError(f"the pickle holds an array of shape {shown(shape)}")


def latin1_bytes(text: str) -> bytes:
    """The bytes that a pickle wrote as text.

    Raises:
        CheckpointError: it is no Latin-1.
    """
    try:
        return text.encode("latin1")
    except UnicodeEncodeError as error:
        raise CheckpointError("the pickle encodes something else than Latin-1 text") from error


class _DType(Built):
    """A dtype as its pickle describes it; only the byte order comes with the state."""

    __slots__ = ("name", "order")

    def __init__(self, name: str) -> None:
        self.name = name
        self.order = "="

    def set_state(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise CheckpointError(f"the pickle holds an array with byte order {shown(order)}")
        self.order = order

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.name)


def array_globals() -> dict[Key, Global]:
    """What a pickle of arrays may name, for one pickle file."""
    calls = _Calls()
    cores = ("numpy.core", "numpy._core")  # before numpy 2, and since
    refused = Global(_refuse_call)
    return {
        ("numpy", "ndarray"): refused,  # only named, as an argument of _reconstruct
        ("numpy", "dtype"): Global(_new_dtype),
        ("_codecs", "encode"): Global(calls.encode),
        ("builtins", "bytes"): Global(calls.encode),
        ("__builtin__", "bytes"): Global(calls.encode),
        ("collections", "OrderedDict"): Global(calls.mapping),
        **{(f"{core}.multiarray", "_reconstruct"): Global(_reconstruct) for core in cores},
        **{(f"{core}.multiarray", "scalar"): Global(_scalar) for core in cores},
        **{(f"{core}.numeric", "_frombuffer"): Global(_from_buffer) for core in cores},
    }


class _Calls:
    """Calls whose cost grows with their argument, which a pickle may repeat in two bytes."""

    def __init__(self) -> None:
        self._encoded: dict[int, tuple[str, bytes]] = {}  # with the text itself, so that its id stays its own
        self._items = 0

    def encode(self, text: Any = "", encoding: Any = "latin1") -> bytes:
        """Protocol 2 has no bytes: it writes them as text to encode, and empty ones as ``bytes()``."""
        if not isinstance(text, str) or encoding != "latin1":
            raise CheckpointError("the pickle encodes something else than Latin-1 text")
        if id(text) not in self._encoded:
            self._encoded[id(text)] = (text, latin1_bytes(text))
        return self._encoded[id(text)][1]

    def mapping(self, items: Any = ()) -> Mapped:
        """An ordered dictionary; Python 2 hands the pairs to the call."""
        if not isinstance(items, list | tuple):
            raise CheckpointError("the pickle makes a dictionary of something else than pairs")
        self._items += len(items)
        if self._items > MOST_STEPS:
            raise CheckpointError(f"the pickle makes dictionaries of more than {MOST_STEPS} pairs")
        if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in items):
            raise CheckpointError("the pickle makes a dictionary of something else than pairs")
        return Mapped((checked_key(key), value) for key, value in items)


def _new_dtype(name: Any, *_: Any) -> _DType:
    if not isinstance(name, str) or name not in NUMBER_TYPES:
        kind = "Python objects" if isinstance(name, str) and name.startswith("O") else f"type {shown(name)}"
        raise CheckpointError(f"the pickle holds an array of {kind}; only plain numbers are read")
    return _DType(name)


def _reconstruct(*_: Any) -> PickledArray:
    return PickledArray()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    array = PickledArray()
    array.describe(data, dtype, shape, order == "F")
    return array


def _scalar(dtype: Any, data: Any) -> PickledArray:
    array = PickledArray()
    array.describe(data, dtype, (), False)
    return array


def _refuse_call(*_: Any) -> Any:
    raise CheckpointError("the pickle makes an array in a way that numpy does not")
