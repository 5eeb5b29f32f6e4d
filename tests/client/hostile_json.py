"""JSON answers that no PointRend server gives, each with what is wrong with it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from pointrend.masks.rle import encode_crop


def mask_of(height: int, width: int) -> dict[str, Any]:
    return encode_crop(np.ones((max(1, height // 2), max(1, width // 2)), bool), 0, 0, height, width)


VALID: dict[str, Any] = {
    "model": {"name": "m", "version": "1"},
    "image": {"width": 40, "height": 30},
    "task": "instances",
    "instances": [
        {
            "category_id": 1,
            "category": "person",
            "score": 0.9,
            "bbox": [0.0, 0.0, 20.0, 15.0],
            "area": 300,
            "grid": 28,
            "segmentation": mask_of(30, 40),
        }
    ],
    "timing_ms": {"decode": 1.0, "inference": 2.0, "encode": 0.5},
}
SEMANTIC = {
    **{key: VALID[key] for key in ("model", "image", "timing_ms")},
    "task": "semantic",
    "segments": [{"category_id": 1, "category": "person", "area": 300, "segmentation": mask_of(30, 40)}],
}

UNNAMED = {**VALID, "instances": [{**VALID["instances"][0], "category_id": None, "category": None}]}


def changed(tree: dict, *path_and_value: object) -> bytes:
    """``tree`` as JSON with the value at a path replaced."""
    *path, last, value = path_and_value
    tree = copy.deepcopy(tree)
    node: Any = tree
    for key in path:
        node = node[key]
    node[last] = value
    return json.dumps(tree).encode()


def without(tree: dict, *path: object) -> bytes:
    *parents, last = path
    tree = copy.deepcopy(tree)
    node: Any = tree
    for key in parents:
        node = node[key]
    del node[last]
    return json.dumps(tree).encode()


def json_texts() -> Iterator[tuple[str, bytes]]:
    text = json.dumps(VALID)
    yield "deep lists", b"[" * 200_000 + b"]" * 200_000
    yield "deep objects", b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    yield (
        "deep, under a known key",
        changed(VALID, "model", {"name": "@"}).replace(b'"@"', b"[" * 100_000 + b"]" * 100_000),
    )
    yield "a number of 5,000 digits", text.replace("0.9", "9" * 5000).encode()
    yield "a width of 4,000 digits", text.replace('"width": 40', '"width": ' + "9" * 4000).encode()
    yield "not UTF-8", text.encode().replace(b"person", b"\xff\xfe\xfd")
    yield "a lone surrogate", text.replace("person", r"\ud800").encode()
    yield "a key twice", text.replace('"score": 0.9', '"score": 0.9, "score": 0.1').encode()
    yield "cut short", text.encode()[:-20]
    yield "two documents", text.encode() * 2
    yield "a string", b'"instances"'
    yield "null", b"null"
    yield "a number", b"17"
    yield "nothing", b""
    yield "HTML", b"<!doctype html><title>Log in</title>"
    yield "our own error with status 200", b'{"error": {"code": "internal_error"}, "task": 1}'


def fields() -> Iterator[tuple[str, bytes]]:
    value: Any
    for field in ("model", "image", "task", "instances", "timing_ms"):
        yield f"no {field}", without(VALID, field)
        for value in (None, 5, "text", [[]]):
            yield f"{field} is {value!r}", changed(VALID, field, value)
    for side in ("width", "height"):
        for value in (0, -1, 10**9, 10**30, 40.5, "40", True, None, [40]):
            yield f"{side} is {value!r}", changed(VALID, "image", side, value)
    yield "an unknown task", changed(VALID, "task", "panoptic")
    yield "a model of numbers", changed(VALID, "model", "name", 5)
    yield "a model with a bell", changed(VALID, "model", "name", "\a\x1b[2J")
    yield "timing is text", changed(VALID, "timing_ms", "decode", "fast")
    yield "timing is negative", changed(VALID, "timing_ms", "decode", -1.0)
    yield "timing is infinite", json.dumps(VALID).replace("2.0", "1e999").encode()
    yield "timing is not a number", json.dumps(VALID).replace("2.0", "NaN").encode()
    yield "timing is true", changed(VALID, "timing_ms", "decode", True)


def instances() -> Iterator[tuple[str, bytes]]:
    value: Any
    at = ("instances", 0)
    yield "101 instances", changed(VALID, "instances", VALID["instances"] * 101)
    yield "an instance is a list", changed(VALID, *at, [1])
    yield "an instance is null", changed(VALID, *at, None)
    yield "no category, though no boxes were given", json.dumps(UNNAMED).encode()
    for field in ("category_id", "category", "score", "bbox"):
        yield f"an instance without {field}", without(VALID, *at, field)
    for value in (-0.1, 1.5, float("nan"), float("inf"), "0.9", True, None, [], 10**400):
        yield f"score {value!r:.20}", changed(VALID, *at, "score", value)
    yield "score 1e999", json.dumps(VALID).replace("0.9", "1e999").encode()
    for value in (
        "0,0,1,1",
        [0, 0, 1],
        [0, 0, 1, 1, 1],
        [0, 0, -1, 1],
        [-5, 0, 10, 10],
        [30, 0, 20, 10],
        [0, 0, 10, 1e300],
        [0, 0, float("nan"), 1],
        [0, 0, 1, "1"],
        [0, 0, 1, True],
        [0, 0, 1, None],
        [0, 0, 1, 10**400],
        {"x": 0, "y": 0, "w": 1, "h": 1},
        None,
    ):
        yield f"box {value!r:.40}", changed(VALID, *at, "bbox", value)
    for value in ("1", 1.5, True, None, -1, 10**30, [1]):
        yield f"category_id {value!r}", changed(VALID, *at, "category_id", value)
    for value in (5, None, "", "x" * 100_000, "a\nb", "\x1b]0;title\a", "nul\0", ["person"]):
        yield f"category {value!r:.20}", changed(VALID, *at, "category", value)
    for value in ("300", -1, 10**9, True, 1.5, [300]):
        yield f"area {value!r}", changed(VALID, *at, "area", value)
    for value in ("28", 0, -7, 10**30, True, 1.5, [28]):
        yield f"grid {value!r}", changed(VALID, *at, "grid", value)
    for value in ("none", [1, 2], [[1]], [[1, 2, 3]], [["a", "b"]], [[float("inf"), 0]], [[1e300, 0]], [[True, 0]], {}):
        yield f"points {value!r}", changed(VALID, *at, "points", value)
    segment = ("segments", 0)
    yield "segments are missing", without(SEMANTIC, "segments")
    yield "a segment without area", without(SEMANTIC, *segment, "area")
    yield "a segment's area is null", changed(SEMANTIC, *segment, "area", None)
    yield "a segment's area is text", changed(SEMANTIC, *segment, "area", "1")
    yield "a segment's mask of another size", changed(SEMANTIC, *segment, "segmentation", mask_of(31, 40))


def run_lengths() -> Iterator[tuple[str, bytes]]:
    at = ("instances", 0, "segmentation")
    for value in (5, "text", True, {}, {"size": [30, 40]}, {"counts": "0"}):
        yield f"segmentation {value!r}", changed(VALID, *at, value)
    counts = mask_of(30, 40)["counts"]
    for size in ([40, 30], [30], [30, 40, 1], [10**9, 10**9], [-30, -40], [30.0, 40.0], ["30", "40"], [True, 40], None):
        yield f"a size of {size}", changed(VALID, *at, {"size": size, "counts": counts})
    for name, value in {
        "are none": "",
        "end inside a number": counts + "o",
        "are cut": counts[:-2],
        "are too many": counts + "5",
        "are twice as many": counts * 2,
        "are not ASCII": counts[:-1] + "é",
        "have a blank": " " + counts,
        "have a control character": "\x01" + counts,
        "have a character past the last": "~~~" + counts,
        "are negative": "j" * 50 + "@",
        "have a number of 60 groups": "o" * 60 + "0",
        "wrap around 64 bits": ("o" * 12 + "1") * 2,
        "are enormous": "o" * 5 + "3" + counts,
        "are two megabytes of zeros": "0" * 2_000_000,
        "are a list": [1200],
        "are null": None,
        "are a number": 5,
    }.items():
        yield f"run lengths that {name}", changed(VALID, *at, {"size": [30, 40], "counts": value})
    huge = copy.deepcopy(VALID)
    huge["image"] = {"width": 100_000, "height": 100_000}
    huge["instances"][0]["segmentation"] = {"size": [100_000] * 2, "counts": "0"}
    yield "a mask of ten gigapixels", json.dumps(huge).encode()


def polygons() -> Iterator[tuple[str, bytes]]:
    at = ("instances", 0, "segmentation")
    for name, value in {
        "with 1e300": [[0, 0, 1e300, 0, 1e300, 1e300]],
        "with 1e9": [[0, 0, 1e9, 0, 1e9, 1e9]],
        "far outside": [[-4000, -4000, 9000, 0, 9000, 9000]],
        "with NaN": [[0, 0, float("nan"), 0, 5, 5]],
        "with an integer of 400 digits": [[0, 0, 10**400, 0, 5, 5]],
        "of an odd length": [[0, 0, 5, 0, 5, 5, 1]],
        "of two points": [[0, 0, 5, 5]],
        "of no points": [[]],
        "of text": [["0", "0", "5", "0", "5", "5"]],
        "of booleans": [[True, False, True, True, False, True]],
        "of null": [[None] * 6],
        "that is flat": [0, 0, 5, 0, 5, 5],
        "of pairs": [[[0, 0], [5, 0], [5, 5]]],
        "of objects": [{"x": 0}],
    }.items():
        yield f"a polygon {name}", changed(VALID, *at, value)
    wide = copy.deepcopy(VALID)
    wide["image"] = {"width": 7000, "height": 7000}
    wide["instances"][0]["segmentation"] = [[0, 0, 7000, 7000] * 100_000]
    yield "a polygon that zigzags for 1.4 billion pixels", json.dumps(wide).encode()
    wide["instances"][0]["segmentation"] = [[0, 0, 7000, 0, 7000, 7000]] * 100_000
    yield "100,000 polygons over the whole image", json.dumps(wide).encode()


def descriptions() -> Iterator[tuple[str, bytes]]:
    yield "deep", b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    yield "a list", b"[]"
    yield "NaN", b'{"name": "m", "limits": NaN}'
    yield "1e999", b'{"name": "m", "limits": {"max_image_bytes": 1e999}}'
    yield "a key twice", b'{"name": "a", "name": "b"}'
    for field, value in {
        "name": 5,
        "version": ["1"],
        "engine": {"a": 1},
        "categories": {"id": 1},
        "reliable": "person",
        "mask_heads": 3,
        "refines_points": "yes",
        "limits": [],
        "tasks": "instances",
        "options": 3,
    }.items():
        yield f"{field} is {value!r}", json.dumps({"name": "m", field: value}).encode()
    yield "a category without a name", b'{"categories": [{"id": 1}]}'
    yield "a category's id is text", b'{"categories": [{"id": "1", "name": "a"}]}'
    yield "a category is null", b'{"categories": [null]}'
    yield "a task's formats are a number", b'{"tasks": {"instances": 1}}'
    yield "a name with escapes", b'{"name": "\\u001b[2J"}'
