"""A pickle machine that does what data needs, and nothing else, at a cost bounded by the pickle's length.

A pickle is a program. Python's own machine runs it faithfully: it grows its memo to whatever index a pickle names,
hashes keys that take longer than the universe has, and calls what it is told to. This one has plain containers and
scalars; what else a pickle may name, its user lists. Each of its steps costs at most in proportion to the bytes that
it was read from (about 150 bytes of memory for one of a pickle; :data:`MOST_STEPS` of them), sharing is never unfolded,
and nothing of a pickle is ever compared, hashed or shown that could hide more than it seems to.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from pointrend.errors import CheckpointError
from pointrend.weights.pickle_values import Built, Global, Key, Mapped, checked_key

MOST_STEPS = 2_000_000  # the checkpoint of a whole training, optimiser included, has some 100,000
LONGEST_LINE = 1000  # bytes of a number or name; text has no such limit
LARGEST_INTEGER_BYTES = 255
MOST_ARGUMENTS = 16  # of a call


class PickleMachine:
    """Reads pickles, one after the other, from a file.

    Args:
        file: opened for reading bytes, with a known end.
        permitted: functions by the module and name that a pickle calls them by.
        persistent: makes something of a persistent id; None refuses them.
    """

    def __init__(
        self, file: BinaryIO, permitted: Mapping[Key, Global], persistent: Callable[[Any], Any] | None = None
    ) -> None:
        self._file = file
        self._permitted = permitted
        self._persistent = persistent
        self._steps = 0
        place = file.tell()
        self._end = file.seek(0, 2)
        file.seek(place)
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Read one pickle, protocols 0 to 5; Python 2's strings are Latin-1.

        Raises:
            CheckpointError: it is damaged, cut short, or does more than data needs.
        """
        self._stack, self._marks, self._memo = [], [], {}
        try:
            while True:
                self._steps += 1
                if self._steps > MOST_STEPS:
                    raise CheckpointError(f"the pickle has more than {MOST_STEPS} steps, which no checkpoint needs")
                code = self._file.read(1)
                if code == b".":
                    return self._stack.pop()
                _STEPS[code](self)
        except CheckpointError:
            raise
        # Damaged bytes surface as IndexError, KeyError, ValueError, struct.error, OverflowError and more.
        except Exception as error:
            reason = f"{type(error).__name__}: {error!s:.100}"
            raise CheckpointError(f"the pickle is damaged or cut short ({reason})") from error

    def _read(self, length: int) -> bytes:
        if not 0 <= length <= self._end - self._file.tell():
            raise CheckpointError(f"the pickle is damaged or cut short (it announces {length} bytes more than it has)")
        return self._file.read(length)

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._read(struct.calcsize(form)))[0])

    def _line(self, longest: int = LONGEST_LINE) -> bytes:
        line = self._file.readline(longest)
        if not line.endswith(b"\n"):
            raise CheckpointError("the pickle is damaged or cut short (a line has no end)")
        return line[:-1]

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if self._marks and self._marks[-1] >= len(self._stack):
            raise IndexError("nothing above the mark")
        return self._stack.pop()

    def _pop_mark(self) -> list[Any]:
        place = self._marks.pop()
        items = self._stack[place:]
        del self._stack[place:]
        return items

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _pop_one(self) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def _integer_line(self) -> None:
        line = self._line()
        self._push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line.rstrip(b"L")))

    def _integer(self, length: int) -> None:
        if length > LARGEST_INTEGER_BYTES:
            raise CheckpointError(f"the pickle holds a number of {length} bytes")
        self._push(int.from_bytes(self._read(length), "little", signed=True))

    def _text(self, length: int) -> None:
        self._push(self._read(length).decode("utf-8", "surrogatepass"))

    def _text_line(self) -> None:
        self._push(codecs.decode(self._line(-1), "raw-unicode-escape"))

    def _quoted_line(self) -> None:
        line = self._line(-1)
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise ValueError("a string without quotes")
        self._push(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))

    def _latin1(self, length: int) -> None:
        self._push(self._read(length).decode("latin-1"))

    def _tuple(self, length: int) -> None:
        items = [self._pop() for _ in range(length)]
        self._push(tuple(reversed(items)))

    def _drop_mark(self) -> None:
        self._pop_mark()

    def _dict(self) -> None:
        items = self._pop_mark()
        self._push({})
        self._set_items(items)

    def _append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise TypeError(f"{type(target).__name__} takes no items")
        target.extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise TypeError(f"{type(target).__name__} takes no items")
        for place in range(0, len(values), 2):
            target[checked_key(values[place])] = values[place + 1]

    def _pair(self) -> list[Any]:
        value, key = self._pop(), self._pop()
        return [key, value]

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._push(self._memo[index])

    def _global(self, module: Any, name: Any) -> Global:
        found = self._permitted.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if found is None:
            asked = f"{module:.100}.{name:.100}" if isinstance(module, str) and isinstance(name, str) else "no name"
            raise CheckpointError(
                f"the pickle asks for {asked}, which is neither an array nor a container; nothing was run"
            )
        return found

    def _global_line(self) -> None:
        self._push(self._global(self._line().decode(), self._line().decode()))

    def _global_stack(self) -> None:
        name, module = self._pop(), self._pop()
        self._push(self._global(module, name))

    def _instance(self) -> None:
        self._global(self._line().decode(), self._line().decode())
        raise CheckpointError("the pickle makes an array in a way that numpy does not")

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise TypeError(f"a {type(function).__name__} is called")
        if len(arguments) > MOST_ARGUMENTS:
            raise TypeError(f"a call has {len(arguments)} arguments")
        self._push(function.call(*arguments))

    def _build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, Global):
            raise CheckpointError("the pickle is damaged: it tries to alter a function")
        if isinstance(target, Built):
            target.set_state(state)
        elif not isinstance(target, Mapped):
            raise TypeError(f"{type(target).__name__} takes no state")

    def _persistent_id(self, pid: Any) -> None:
        if self._persistent is None:
            raise CheckpointError("the pickle refers to data outside of itself")
        self._push(self._persistent(pid))

    def _protocol(self) -> None:
        if (protocol := self._number("<B")) > 5:
            raise CheckpointError(f"the pickle has protocol {protocol}; 0 to 5 are read")

    def _frame(self) -> None:
        length = self._number("<Q")
        if length > self._end - self._file.tell():
            raise CheckpointError(f"the pickle is damaged or cut short (it announces {length} bytes more than it has)")


_M = PickleMachine
# Left out, and so refused: making instances (o, \x81, \x92), extension codes, buffers from elsewhere.
_STEPS: dict[bytes, Callable[[PickleMachine], None]] = {
    b"\x80": _M._protocol,
    b"\x95": _M._frame,
    b"(": _M._mark,
    b"0": _M._pop_one,
    b"1": _M._drop_mark,
    b"2": lambda m: m._push(m._stack[-1]),
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"I": _M._integer_line,
    b"L": _M._integer_line,
    b"J": lambda m: m._push(m._number("<i")),
    b"K": lambda m: m._push(m._number("<B")),
    b"M": lambda m: m._push(m._number("<H")),
    b"\x8a": lambda m: m._integer(m._number("<B")),
    b"\x8b": lambda m: m._integer(m._number("<i")),
    b"F": lambda m: m._push(float(m._line())),
    b"G": lambda m: m._push(struct.unpack(">d", m._read(8))[0]),
    b"V": _M._text_line,
    b"X": lambda m: m._text(m._number("<I")),
    b"\x8c": lambda m: m._text(m._number("<B")),
    b"\x8d": lambda m: m._text(m._number("<Q")),
    b"S": _M._quoted_line,
    b"T": lambda m: m._latin1(m._number("<i")),
    b"U": lambda m: m._latin1(m._number("<B")),
    b"B": lambda m: m._push(m._read(m._number("<I"))),
    b"C": lambda m: m._push(m._read(m._number("<B"))),
    b"\x8e": lambda m: m._push(m._read(m._number("<Q"))),
    b"\x96": lambda m: m._push(m._read(m._number("<Q"))),
    b"]": lambda m: m._push([]),
    b"l": lambda m: m._push(m._pop_mark()),
    b"a": lambda m: m._append([m._pop()]),
    b"e": lambda m: m._append(m._pop_mark()),
    b")": lambda m: m._push(()),
    b"t": lambda m: m._push(tuple(m._pop_mark())),
    b"\x85": lambda m: m._tuple(1),
    b"\x86": lambda m: m._tuple(2),
    b"\x87": lambda m: m._tuple(3),
    b"}": lambda m: m._push({}),
    b"d": _M._dict,
    b"s": lambda m: m._set_items(m._pair()),
    b"u": lambda m: m._set_items(m._pop_mark()),
    b"\x8f": lambda m: m._push([]),  # a set, as the list of what is in it
    b"\x90": lambda m: m._append(m._pop_mark()),
    b"\x91": lambda m: m._push(m._pop_mark()),
    b"p": lambda m: m._put(int(m._line())),
    b"q": lambda m: m._put(m._number("<B")),
    b"r": lambda m: m._put(m._number("<I")),
    b"\x94": lambda m: m._put(len(m._memo)),
    b"g": lambda m: m._get(int(m._line())),
    b"h": lambda m: m._get(m._number("<B")),
    b"j": lambda m: m._get(m._number("<I")),
    b"c": _M._global_line,
    b"\x93": _M._global_stack,
    b"i": _M._instance,
    b"R": _M._reduce,
    b"b": _M._build,
    b"P": lambda m: m._persistent_id(m._line().decode()),
    b"Q": lambda m: m._persistent_id(m._pop()),
}
