"""A prediction as JSON has it, checked before it is believed: it may come from any server, or from any file.

What passes is safe for all that is done with a prediction: it is drawn, exported and decoded without another look.
Errors name the field, such as ``instances[3].segmentation.counts``.

===============================  =================================================================================
field                            what is accepted
===============================  =================================================================================
image                            width and height from 1, together at most ``max_pixels``
instances, segments              at most :data:`MAX_INSTANCES`, :data:`MAX_SEGMENTS`
category_id                      whole, 0 to 2147483647
category_id, category            of an instance, both may be null: it was given as a box, of no category
text                             1 to :data:`MAX_TEXT` characters; no control characters, no halves of surrogates
score                            0 to 1; mask_score and edge_uncertainty too, null without masks
bbox, points, polygons           finite, within the image or at most :data:`MARGIN` pixels outside
grid                             whole, from 1; null without a mask
area                             whole, 0 to the image's pixels; null without a mask
segmentation                     run lengths of the image's size that fill it, in at most :data:`MAX_COUNTS`
                                 characters; or polygons of three points or more that
                                 :func:`~pointrend.masks.polygon_runs.polygon_runs` fills; null without masks
probabilities                    an 8-bit grey PNG in base64 that lies inside the image at ``x``, ``y``; null without
===============================  =================================================================================

A boolean is no number here, and numbers are finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pointrend.errors import InvalidPrediction
from pointrend.masks.polygon_runs import check_polygons
from pointrend.masks.probabilities import decode_probabilities
from pointrend.masks.rle import runs
from pointrend.plain_text import UNPRINTABLE

TASKS = ("instances", "detection", "semantic")
MAX_INSTANCES = 100
MAX_SEGMENTS = 10_000
MAX_TEXT = 256
MAX_COUNTS = 4_000_000
MAX_POINTS = 100_000
MAX_ENTRIES = 64
MARGIN = 1.0

Size = tuple[int, int]  # height, width in pixels


def check_prediction(tree: Any, max_pixels: int) -> None:
    """Check a whole prediction.

    Args:
        tree: what JSON gave.
        max_pixels: of the image.

    Raises:
        InvalidPrediction: something is missing, of the wrong type, out of range or too large.
    """
    tree = check_object(tree, "the prediction")
    image = check_object(_get(tree, "image", ""), "image")
    height, width = (check_whole(_get(image, side, "image."), f"image.{side}", 1) for side in ("height", "width"))
    if height * width > max_pixels:
        raise InvalidPrediction("image", f"has {width}x{height} pixels; at most {max_pixels} are accepted")
    for key, value in _entries(tree, "model"):
        check_text(value, key)
    for key, value in _entries(tree, "timing_ms"):
        check_number(value, key, 0.0, math.inf)
    task = _get(tree, "task", "")
    if task not in TASKS:
        raise InvalidPrediction("task", f"must be one of {', '.join(TASKS)}, not {brief(task)}")
    name, most = ("segments", MAX_SEGMENTS) if task == "semantic" else ("instances", MAX_INSTANCES)
    check_each = check_segment if task == "semantic" else check_instance
    for index, each in enumerate(check_list(_get(tree, name, ""), name, most)):
        check_each(each, f"{name}[{index}]", (height, width))


def check_instance(tree: Any, path: str, size: Size | None) -> None:
    """Check one instance.

    Args:
        tree: what JSON gave.
        path: where it stands, for errors.
        size: the image's; None where it is not known: then nothing is compared with it.

    Raises:
        InvalidPrediction: as in :func:`check_prediction`.
    """
    found = check_object(tree, path)
    unnamed = found.get("category_id", 0) is None and found.get("category", "") is None
    tree = found if unnamed else _check_category(found, path)
    check_number(_get(tree, "score", f"{path}."), f"{path}.score", 0.0, 1.0)
    box = check_list(_get(tree, "bbox", f"{path}."), f"{path}.bbox", 4)
    if len(box) != 4:
        raise InvalidPrediction(f"{path}.bbox", f"must be x, y, width and height, not {len(box)} numbers")
    _check_points([box], f"{path}.bbox", size)
    x, y, width, height = box
    if width < 0 or height < 0:
        raise InvalidPrediction(f"{path}.bbox", f"has a negative width or height: {brief(box)}")
    _check_points([[x + width, y + height]], f"{path}.bbox", size)
    if tree.get("area") is not None:
        _check_area(tree["area"], path, size)
    for name in ("mask_score", "edge_uncertainty"):
        if tree.get(name) is not None:
            check_number(tree[name], f"{path}.{name}", 0.0, 1.0)
    if tree.get("grid") is not None:
        check_whole(tree["grid"], f"{path}.grid", 1)
    check_segmentation(tree.get("segmentation"), f"{path}.segmentation", size)
    if tree.get("probabilities") is not None:
        _check_probabilities(tree["probabilities"], f"{path}.probabilities", size)
    if "points" in tree:
        points = check_list(tree["points"], f"{path}.points", MAX_POINTS)
        for index, point in enumerate(points):
            if len(check_list(point, f"{path}.points[{index}]", 2)) != 2:
                raise InvalidPrediction(f"{path}.points[{index}]", "must be x and y")
        _check_points(points, f"{path}.points", size)


def check_segment(tree: Any, path: str, size: Size | None) -> None:
    """Check one segment; arguments and errors as in :func:`check_instance`."""
    tree = _check_category(tree, path)
    _check_area(_get(tree, "area", f"{path}."), path, size)
    check_segmentation(tree.get("segmentation"), f"{path}.segmentation", size)


def check_segmentation(tree: Any, path: str, size: Size | None) -> None:
    """Check a mask, or null; arguments and errors as in :func:`check_instance`."""
    if isinstance(tree, dict):
        counts = _get(tree, "counts", f"{path}.")
        if not isinstance(counts, str):
            raise InvalidPrediction(f"{path}.counts", f"must be compressed run lengths, not {brief(counts)}")
        if len(counts) > MAX_COUNTS:
            raise InvalidPrediction(f"{path}.counts", f"has {len(counts)} characters; at most {MAX_COUNTS} are read")
        shape = _get(tree, "size", f"{path}.")
        if size is not None and (shape != list(size) or any(type(side) is not int for side in shape)):
            raise InvalidPrediction(f"{path}.size", f"must be the image's, {list(size)}, not {brief(shape)}")
        try:
            runs(tree)
        except ValueError as error:
            raise InvalidPrediction(f"{path}.counts", f"cannot be read: {error}") from error
    elif isinstance(tree, list):
        for index, part in enumerate(tree):
            where = f"{path}[{index}]"
            if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
                raise InvalidPrediction(where, f"must be x, y of three points or more, not {brief(part)}")
            _check_points([part], where, size)
        if size is not None:
            try:
                check_polygons(tree, size)
            except ValueError as error:
                raise InvalidPrediction(path, f"cannot be filled: {error}") from error
    elif tree is not None:
        raise InvalidPrediction(path, f"must be run lengths, polygons or null, not {brief(tree)}")


def _check_probabilities(tree: Any, path: str, size: Size | None) -> None:
    tree = check_object(tree, path)
    for name in ("x", "y"):
        check_whole(_get(tree, name, f"{path}."), f"{path}.{name}")
    if not isinstance(_get(tree, "png", f"{path}."), str):
        raise InvalidPrediction(f"{path}.png", f"must be text, not {brief(tree['png'])}")
    try:
        decode_probabilities(tree, size)
    except ValueError as error:
        raise InvalidPrediction(path, f"cannot be read: {error}") from error


def check_object(tree: Any, path: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InvalidPrediction: it is something else.
    """
    if not isinstance(tree, dict):
        raise InvalidPrediction(path, f"must be an object, not {brief(tree)}")
    return tree


def check_list(tree: Any, path: str, most: int) -> list[Any]:
    """A list of at most so many; errors as in :func:`check_object`."""
    if not isinstance(tree, list):
        raise InvalidPrediction(path, f"must be a list, not {brief(tree)}")
    if len(tree) > most:
        raise InvalidPrediction(path, f"has {len(tree)} entries; at most {most} are accepted")
    return tree


def check_text(value: Any, path: str) -> str:
    """Text that can be printed, drawn and written to a file; errors as in :func:`check_object`."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT:
        raise InvalidPrediction(path, f"must be text of 1 to {MAX_TEXT} characters, not {brief(value)}")
    if UNPRINTABLE.search(value):
        raise InvalidPrediction(path, f"must have no control characters, not {brief(value)}")
    return value


def check_whole(value: Any, path: str, least: int = 0, most: int = 2**31 - 1) -> int:
    """A whole number in a range; errors as in :func:`check_object`."""
    if type(value) is not int or not least <= value <= most:
        raise InvalidPrediction(path, f"must be a whole number from {least} to {most}, not {brief(value)}")
    return value


def check_number(value: Any, path: str, least: float, most: float) -> float:
    """A finite number in a range; errors as in :func:`check_object`."""
    if type(value) not in (int, float) or not least <= value <= most or abs(value) > 1e300:
        raise InvalidPrediction(path, f"must be a finite number from {least:g} to {most:g}, not {brief(value)}")
    return float(value)


def brief(value: Any) -> str:
    """A value as an error tells it: its first characters, and in ASCII, so that it can be printed."""
    if isinstance(value, str | bool | float | None):
        return ascii(value[:60] if isinstance(value, str) else value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a number of more than 18 digits"
    if isinstance(value, list) and len(value) <= 6 and all(type(each) in (int, float) for each in value):
        return f"[{', '.join(map(brief, value))}]"
    return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"


def _get(tree: Mapping[str, Any], key: str, prefix: str) -> Any:
    try:
        return tree[key]
    except KeyError:
        raise InvalidPrediction(f"{prefix}{key}", "is missing") from None


def _entries(tree: Mapping[str, Any], name: str) -> Sequence[tuple[str, Any]]:
    entries = check_object(_get(tree, name, ""), name)
    if len(entries) > MAX_ENTRIES:
        raise InvalidPrediction(name, f"has {len(entries)} entries; at most {MAX_ENTRIES} are accepted")
    return [(f"{name}.{check_text(key, name)}", value) for key, value in entries.items()]


def _check_category(tree: Any, path: str) -> dict[str, Any]:
    found = check_object(tree, path)
    check_whole(_get(found, "category_id", f"{path}."), f"{path}.category_id")
    check_text(_get(found, "category", f"{path}."), f"{path}.category")
    return found


def _check_area(value: Any, path: str, size: Size | None) -> None:
    check_whole(value, f"{path}.area", 0, 2**31 - 1 if size is None else size[0] * size[1])


def _check_points(lists: list[list[Any]], path: str, size: Size | None) -> None:
    """Check lists of x, y, x, y, ...: numbers, finite, and not far outside the image."""
    if not all(type(value) in (int, float) for values in lists for value in values):
        raise InvalidPrediction(path, "must hold numbers only")
    try:
        points = np.array(lists, dtype=np.float64).reshape(-1, 2)
    except OverflowError:
        points = np.full((1, 2), np.inf)
    height, width = (2**28, 2**28) if size is None else size
    # Written so that NaN fails too.
    if not ((points >= -MARGIN) & (points <= (width + MARGIN, height + MARGIN))).all():
        raise InvalidPrediction(path, f"leads outside the image of {width}x{height} pixels, or is not finite")
