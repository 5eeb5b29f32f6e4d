"""Masks as Label Studio's brush stores them: packed run lengths of an RGBA picture.

https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack packs them: a head of 32 bits for the number of
values, 5 for their size less one and 4 for each of four sizes of run lengths less one; then, a run: a bit 1, two bits
for which of the four sizes follows, the length less one, and the value.

Shapes: H, W are the image's height and width in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHANNELS = 4  # of RGBA: a pixel is four equal values
VALUE_BITS = 8
LENGTH_BITS = (3, 4, 8, 16)


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """Pack a mask.

    >>> encode_brush(np.array([[False, True]]))
    [0, 0, 0, 8, 57, 27, 252, 96, 17, 255, 128]

    Args:
        mask: (H, W) bool.

    Returns:
        bytes as numbers from 0 to 255, as ``"rle"`` of a region holds them.
    """
    flat = mask.ravel()
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    lengths = np.diff(ends, prepend=0) * CHANNELS
    head = f"{flat.size * CHANNELS:032b}{VALUE_BITS - 1:05b}" + "".join(f"{bits - 1:04b}" for bits in LENGTH_BITS)
    parts = [head]
    value = bool(flat[0]) if flat.size else False
    for length in lengths.tolist():
        parts += _run(length, value)
        value = not value
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode_brush(packed: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """Unpack a mask that :func:`encode_brush` or Label Studio's canvas packed: what is painted at all.

    Args:
        packed: numbers from 0 to 255.
        height, width: the image's size in pixels.

    Returns:
        (H, W) bool.

    Raises:
        ValueError: it is no such list, or is of another size.
    """
    try:
        bits = np.unpackbits(np.frombuffer(bytes(packed), dtype=np.uint8))
    except (ValueError, TypeError) as error:
        raise ValueError("A brush's rle is a list of numbers from 0 to 255.") from error
    reader = _Reader(bits)
    count, value_bits = reader.number(32), reader.number(5) + 1
    if count != height * width * CHANNELS:
        raise ValueError(f"The rle holds {count} values, not the {height * width * CHANNELS} of {width}x{height} RGBA.")
    sizes = [reader.number(4) + 1 for _ in range(4)]
    values = np.zeros(count, dtype=np.bool_)
    place = 0
    while place < count:
        is_run = reader.number(1)
        end = place + 1 + reader.number(sizes[reader.number(2)])
        if end > count:
            raise ValueError("The rle holds more values than it says.")
        if is_run:
            values[place:end] = reader.number(value_bits) != 0
        else:
            for index in range(place, end):
                values[index] = reader.number(value_bits) != 0
        place = end
    return values[CHANNELS - 1 :: CHANNELS].reshape(height, width)  # alpha


def _run(length: int, value: bool) -> list[str]:
    """The bits of a run, cut into pieces of at most 65,536 values."""
    parts = []
    byte = "1" * VALUE_BITS if value else "0" * VALUE_BITS
    longest = 2 ** LENGTH_BITS[-1]
    while length > 0:
        piece = min(length, longest)
        which = next(index for index, bits in enumerate(LENGTH_BITS) if piece <= 2**bits)
        parts.append(f"1{which:02b}{piece - 1:0{LENGTH_BITS[which]}b}{byte}")
        length -= piece
    return parts


class _Reader:
    """Reads numbers of some bits, the highest first."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._text = "".join(map(str, bits.tolist()))
        self._place = 0

    def number(self, bits: int) -> int:
        text = self._text[self._place : self._place + bits]
        if len(text) < bits:
            raise ValueError("The rle ends in the middle of a run.")
        self._place += bits
        return int(text, 2)
