"""COCO's compressed run lengths of a mask, written and read without building it at the image's size.

COCO counts the runs of empty and filled pixels in turn, down the columns of the whole image, the empty ones first.

Shapes: h, w of a mask's window in pixels, N runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

Places = NDArray[np.int64]

MAX_PIXELS = 2**32 - 1  # pycocotools counts runs in 32 bits
MAX_DECODED_PIXELS = 2**29  # of a mask's own window: 1.6 GB while it is decoded
_MAX_GROUPS = 7  # of five bits: a difference of two 32-bit numbers and its sign


def encode_crop(crop: NDArray[np.bool_], x: int, y: int, height: int, width: int) -> dict[str, Any]:
    """Encode a mask that is known inside a window only; it is empty elsewhere.

    The runs of the window are found in the window and their ends shifted to where the image's pixels lie, so that the
    cost depends on the window alone.

    Args:
        crop: (h, w) bool, the window's mask.
        x, y: the window's left and top in the image, in pixels; the window lies inside the image.
        height, width: the image's size in pixels.

    Returns:
        ``{"size": [height, width], "counts": str}``.

    Raises:
        ValueError: the window does not lie inside the image.
    """
    rows, columns = crop.shape
    if not (0 <= x <= width - columns and 0 <= y <= height - rows):
        raise ValueError(f"A window of {columns}x{rows} at ({x}, {y}) is not inside an image of {width}x{height}.")
    # Down a column, runs start and end in turn, the last at the window's lower edge at the latest.
    down = crop.T
    changes = np.empty((columns, rows + 1), dtype=np.bool_)
    if rows:
        changes[:, 0], changes[:, -1] = down[:, 0], down[:, -1]
        np.not_equal(down[:, 1:], down[:, :-1], out=changes[:, 1:-1])
    column, row = np.divmod(np.flatnonzero(changes) if rows else np.empty(0, dtype=np.int64), rows + 1)
    places = (column + x) * height + row + y
    if rows == height:
        # A run that reaches the image's bottom continues at the top of the next column: COCO counts the two as one.
        joined = places[1:-1:2] == places[2::2]
        places = places[np.concatenate(([True], np.repeat(~joined, 2), [True]))[: places.size]]
    bounds = np.concatenate(([0], places, [height * width]))
    counts = np.diff(bounds)
    if counts[-1] == 0:
        counts = counts[:-1]
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def decode_crop(segmentation: dict[str, Any]) -> tuple[int, int, NDArray[np.bool_]]:
    """Decode a mask to the part of the image that holds it; the cost depends on that part alone.

    Args:
        segmentation: ``{"size": [height, width], "counts": str}``.

    Returns:
        x, y and the (h, w) bool mask of the smallest window that holds it; no pixels for an empty mask.

    Raises:
        ValueError: as in :func:`runs` and :func:`crop_of_runs`.
    """
    starts, ends = runs(segmentation)
    return crop_of_runs(starts, ends, segmentation["size"][0])


def runs(segmentation: Mapping[str, Any]) -> tuple[Places, Places]:
    """Where the filled runs of a mask start and end.

    Args:
        segmentation: ``{"size": [height, width], "counts": str}``; may come from anybody.

    Returns:
        starts and ends (N,), ascending, as places x * height + y; no run is empty.

    Raises:
        ValueError: it is no compressed run lengths, or the runs do not fill the image.
    """
    height, width = checked_size(segmentation.get("size"))
    lengths = _counts(segmentation.get("counts"))
    if (lengths < 0).any() or (lengths > height * width).any():
        raise ValueError(f"The runs of a mask are from 0 to {height * width} pixels long.")
    bounds = np.cumsum(lengths)
    if bounds[-1] != height * width:
        raise ValueError(f"The runs of a mask do not fill its image of {width}x{height} pixels.")
    starts, ends = bounds[0 : bounds.size - 1 : 2], bounds[1::2]
    return starts[ends > starts], ends[ends > starts]


def checked_size(size: Any) -> tuple[int, int]:
    """A mask's height and width.

    Raises:
        ValueError: they are no two whole numbers from 0, or are more pixels than 32-bit run lengths count.
    """
    if not isinstance(size, list | tuple) or len(size) != 2 or any(type(side) is not int or side < 0 for side in size):
        raise ValueError(f"A mask's size is [height, width] in whole pixels, not {size!r:.100}.")
    height, width = size
    if height * width > MAX_PIXELS:
        raise ValueError(f"A mask has at most {MAX_PIXELS} pixels, not {height} x {width}.")
    return height, width


def crop_of_runs(starts: Places, ends: Places, height: int) -> tuple[int, int, NDArray[np.bool_]]:
    """Fill the runs in the part of the image that holds them.

    Args:
        starts, ends: (N,) as :func:`runs` gives them.
        height: the image's, in pixels.

    Returns:
        as :func:`decode_crop`.

    Raises:
        ValueError: that part has more than :data:`MAX_DECODED_PIXELS`.
    """
    if starts.size == 0:
        return 0, 0, np.zeros((0, 0), dtype=np.bool_)
    left, right = int(starts[0] // height), int((ends[-1] - 1) // height) + 1
    if (starts // height < (ends - 1) // height).any():
        top, bottom = 0, height  # a run goes on in the next column: it touches both edges
    else:
        top, bottom = int((starts % height).min()), int(((ends - 1) % height).max()) + 1
    rows, columns = bottom - top, right - left
    if rows * columns > MAX_DECODED_PIXELS:
        raise ValueError(f"A mask of {columns}x{rows} pixels is too large: at most {MAX_DECODED_PIXELS} are decoded.")
    # +1 where a run starts and -1 where it ends, summed up along the window's columns.
    steps = np.zeros(rows * columns + 1, dtype=np.int8)
    steps[(starts // height - left) * rows + starts % height - top] += 1
    last = ends - 1
    steps[(last // height - left) * rows + last % height - top + 1] -= 1
    filled = np.cumsum(steps[:-1], dtype=np.int8).astype(np.bool_)
    return left, top, filled.reshape(columns, rows).T


def _counts(text: Any) -> Places:
    """The run lengths (N,), one at least, that pycocotools' compressed text stands for.

    A number is written in groups of five bits, the lowest first, each as a character from '0' on; 0x20 says that more
    follow and 0x10 of the last one is the sign. From the fourth number on it is the difference to the one two before.
    """
    if not isinstance(text, str | bytes):
        raise ValueError(f"The runs of a mask are compressed text, not {text!r:.100}.")
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    codes = np.frombuffer(data, dtype=np.uint8).astype(np.int64) - 48
    if ((codes < 0) | (codes > 0x3F)).any():
        raise ValueError("The runs of a mask hold a character that no compressed number has.")
    last = np.flatnonzero((codes & 0x20) == 0)
    if codes.size == 0 or last.size == 0 or last[-1] != codes.size - 1:
        raise ValueError("The runs of a mask end in the middle of a number.")
    first = np.concatenate(([0], last[:-1] + 1))
    if (last - first).max() >= _MAX_GROUPS:
        raise ValueError(f"The runs of a mask hold a number of more than {_MAX_GROUPS} characters.")
    places = np.arange(codes.size) - np.repeat(first, last - first + 1)
    numbers = np.add.reduceat((codes & 0x1F) << (5 * places), first)
    negative = (codes[last] & 0x10) != 0
    numbers[negative] -= np.int64(1) << (5 * (places[last][negative] + 1))
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
