"""Answers that no PointRend server gives, each with the method of the client that asks for it.

:func:`bodies` come over REST and gRPC alike; :func:`wires` are what only HTTP can do wrong, and :func:`refusals` are
errors that are none. They are made here, byte by byte: what is wrong with each is there to be read.
"""

from __future__ import annotations

import copy
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from pointrend.masks.rle import encode_crop

MEBIBYTE = 2**20
BAD = "bad_response"


@dataclass(frozen=True)
class HostileBody:
    """A body that comes with status 200.

    Attributes:
        name: what is wrong with it.
        method: of the client.
        body: as sent.
    """

    name: str
    method: str
    body: bytes


@dataclass(frozen=True)
class HostileWire:
    """An answer as it goes over the wire, in pieces.

    Attributes:
        name: what is wrong with it.
        pieces: what is sent, one after the other; an endless iterator goes on until the client hangs up.
        codes: the error's code is one of these.
        pause: seconds between pieces.
    """

    name: str
    pieces: Callable[[], Iterator[bytes]]
    codes: tuple[str, ...] = (BAD,)
    pause: float = 0.0


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


@cache
def bodies() -> list[HostileBody]:
    """All that can be wrong with what a body says."""
    return list(_bodies())


def _bodies() -> Iterator[HostileBody]:
    for name, body in (*_json(), *_fields(), *_instances(), *_run_lengths(), *_polygons()):
        yield HostileBody(name, "segment", body)
    for name, body in _pngs():
        yield HostileBody(f"overlay: {name}", "render", body)
        yield HostileBody(f"label map: {name}", "label_map", body)
    for mode in ("RGB", "RGBA", "1", "LA"):
        yield HostileBody(f"label map of mode {mode}", "label_map", png_file(Image.new(mode, (40, 30))))
    for name, body in _zips():
        yield HostileBody(f"zip: {name}", "cutouts", body)
    for name, body in _descriptions():
        yield HostileBody(f"description: {name}", "describe", body)


def _json() -> Iterator[tuple[str, bytes]]:
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


def _fields() -> Iterator[tuple[str, bytes]]:
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


def _instances() -> Iterator[tuple[str, bytes]]:
    value: Any
    at = ("instances", 0)
    yield "101 instances", changed(VALID, "instances", VALID["instances"] * 101)
    yield "an instance is a list", changed(VALID, *at, [1])
    yield "an instance is null", changed(VALID, *at, None)
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
    for value in ("none", [1, 2], [[1]], [[1, 2, 3]], [["a", "b"]], [[float("inf"), 0]], [[1e300, 0]], [[True, 0]], {}):
        yield f"points {value!r}", changed(VALID, *at, "points", value)
    segment = ("segments", 0)
    yield "segments are missing", without(SEMANTIC, "segments")
    yield "a segment without area", without(SEMANTIC, *segment, "area")
    yield "a segment's area is null", changed(SEMANTIC, *segment, "area", None)
    yield "a segment's area is text", changed(SEMANTIC, *segment, "area", "1")
    yield "a segment's mask of another size", changed(SEMANTIC, *segment, "segmentation", mask_of(31, 40))


def _run_lengths() -> Iterator[tuple[str, bytes]]:
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


def _polygons() -> Iterator[tuple[str, bytes]]:
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


def png_file(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def png_of(width: int, height: int, packed: bytes, extra: bytes = b"", kind: int = 0) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _pngs() -> Iterator[tuple[str, bytes]]:
    whole = png_file(Image.fromarray(np.random.default_rng(0).integers(0, 9, (30, 40), dtype=np.uint8)))
    yield "a header of 100,000x100,000", png_of(100_000, 100_000, zlib.compress(bytes(1000)))
    yield "10,000x9,000 of nothing", png_of(10_000, 9_000, zlib.compress(bytes(10_001 * 9_000), 9))
    yield "a header of 0x0", png_of(0, 0, zlib.compress(b""))
    yield (
        "a text bomb",
        png_of(1, 1, zlib.compress(bytes(2)), _chunk(b"zTXt", b"c\0\0" + zlib.compress(bytes(64 * MEBIBYTE)))),
    )
    yield (
        "a profile bomb",
        png_of(1, 1, zlib.compress(bytes(2)), _chunk(b"iCCP", b"c\0\0" + zlib.compress(bytes(64 * MEBIBYTE)))),
    )
    yield "cut in its pixels", whole[: len(whole) // 2]
    yield "cut in its header", whole[:20]
    yield "its signature alone", whole[:8]
    yield "without an end", whole[:-12]
    yield "a wrong checksum", whole[:50] + bytes([whole[50] ^ 255]) + whole[51:]
    yield "GIF", b"GIF89a" + bytes(40)
    yield "HTML", b"<html>"
    yield "nothing", b""


def zipped(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name) if compression == zipfile.ZIP_STORED else name, content)
    return file.getvalue()


def _zips() -> Iterator[tuple[str, bytes]]:
    picture = png_file(Image.new("RGBA", (4, 3)))
    one = zipped(("person-1.png", picture))
    for name in (
        "../person-1.png",
        "a/../../person-1.png",
        "/etc/person-1.png",
        "folder/person-1.png",
        "..\\person-1.png",
        "C:\\person-1.png",
        "C:person-1.png",
        "per\nson-1.png",
        "\x1b[31m-1.png",
        "..png",
        ".png",
        "run.sh",
        "x" * 5000 + ".png",
    ):
        yield f"a member {name!r:.30}", zipped((name, picture))
    yield "a name with NUL", one.replace(b"person-1.png", b"person\0-.png")
    duplicate = zipped(("person-1.png", picture), ("person-2.png", picture)).replace(b"person-2", b"person-1")
    yield "a name twice", duplicate
    yield "encrypted", _flagged(one, 1)
    yield "of an unknown method", one.replace(b"PK\1\2\x14\x03\x14\0\0\0\0\0", b"PK\1\2\x14\x03\x14\0\0\0\x63\0")
    yield "a bomb", zipped(("person-1.png", bytes(64 * MEBIBYTE)), compression=zipfile.ZIP_DEFLATED)
    bomb = picture + bytes(8 * MEBIBYTE)
    yield "many bombs", zipped(*((f"person-{n}.png", bomb) for n in range(1, 20)), compression=zipfile.ZIP_DEFLATED)
    yield "a bomb of bzip2", zipped(("person-1.png", bytes(8 * MEBIBYTE)), compression=zipfile.ZIP_BZIP2)
    yield "a bomb of LZMA", zipped(("person-1.png", bytes(8 * MEBIBYTE)), compression=zipfile.ZIP_LZMA)
    yield "20,000 members", zipped(*((f"person-{number}.png", picture) for number in range(20_000)))
    yield "overlapping members", _overlapping(picture)
    yield "a member that is no PNG", zipped(("person-1.png", b"#!/bin/sh\n"))
    yield "a member that is cut", zipped(("person-1.png", picture[:-20]))
    yield "a member of 100,000x100,000", zipped(("person-1.png", png_of(100_000, 100_000, b"")))
    yield "a wrong checksum", one.replace(picture, picture[:-1] + b"!", 1)
    yield "cut short", one[:-30]
    yield "no zip at all", b"PK\3\4" + bytes(100)
    yield "a directory that lies", one.replace(b"PK\5\6", b"PK\5\7")
    yield "an offset past the end", one[:-6] + struct.pack("<I", 2**31) + one[-2:]


def _flagged(data: bytes, flag: int) -> bytes:
    """Each member's flags with one more set."""
    changed_bytes = bytearray(data)
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = data.find(signature)
        changed_bytes[place + at] |= flag
    return bytes(changed_bytes)


def _overlapping(picture: bytes) -> bytes:
    """Two members in the directory, both of them the first one's bytes."""
    data = zipped(("person-1.png", picture), ("person-1.png", picture))
    directory = data.find(b"PK\1\2")
    second = data.find(b"PK\1\2", directory + 4)
    local = data[: data.find(b"PK\3\4", 4)]
    first_entry = data[directory:second]
    second_entry = first_entry.replace(b"person-1", b"person-2")
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2, 2, len(first_entry) * 2, len(local), 0)
    return local + first_entry + second_entry + end


def _descriptions() -> Iterator[tuple[str, bytes]]:
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


def refusals() -> Iterator[tuple[str, int, bytes]]:
    """Errors of odd shapes: a name, a status and a body."""
    details: dict[str, Any] = {
        "a list": [],
        "text": "no",
        "null": None,
        "empty": {},
        "a code that is a number": {"code": 5, "message": "m"},
        "a code that is a list": {"code": [], "message": "m"},
        "a code with escapes": {"code": "\x1b[2J", "message": "m"},
        "a code of a megabyte": {"code": "x" * MEBIBYTE, "message": "m"},
        "a message that is null": {"code": "unsupported_image", "message": None},
        "a message that is a tree": {"code": "unsupported_image", "message": {"a": [1]}},
        "a message with escapes": {"code": "unsupported_image", "message": "\x1b]0;owned\a\x1b[2J\u202e[red]x"},
        "a message of a megabyte": {"code": "unsupported_image", "message": "x" * MEBIBYTE},
        "a message with a surrogate": {"code": "unsupported_image", "message": "\ud800"},
        "a field that is a list": {"code": "unsupported_image", "message": "m", "field": [1]},
        "a status of text": {"code": "unsupported_image", "message": "m", "status": "no"},
        "a status that is a list": {"code": "unsupported_image", "message": "m", "status": []},
        "a status of 200": {"code": "unsupported_image", "message": "m", "status": 200},
        "a status of 10**30": {"code": "unsupported_image", "message": "m", "status": 10**30},
        "a negative status": {"code": "unsupported_image", "message": "m", "status": -1},
        "a status that contradicts": {"code": "unsupported_image", "message": "m", "status": 503},
        "a status that is true": {"code": "unsupported_image", "message": "m", "status": True},
        "a status of null": {"code": "unsupported_image", "message": "m", "status": None},
    }
    for name, detail in details.items():
        yield f"error is {name}", 415, json.dumps({"error": detail}).encode()
    yield "deep error", 415, b'{"error":' * 100_000 + b"1" + b"}" * 100_000
    yield "an infinite status", 415, b'{"error": {"code": "unsupported_image", "message": "m", "status": 1e999}}'


def wires() -> Iterator[HostileWire]:
    """What HTTP can do wrong."""
    good = json.dumps(VALID).encode()
    zeros = bytes(64 * MEBIBYTE)

    def whole(head: str, body: bytes = b"") -> Callable[[], Iterator[bytes]]:
        return lambda: iter([f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body])

    for encoding, packed in {
        "gzip": gzip.compress(zeros, 9),
        "deflate": zlib.compress(zeros, 9),
        "br": good,
        "zstd": b"\x28\xb5\x2f\xfd" + bytes(40),
        "gzip, gzip": gzip.compress(gzip.compress(zeros, 9), 9),
        "x-unknown": good,
    }.items():
        yield HostileWire(f"a body in {encoding}", whole(f"200 OK\r\nContent-Encoding: {encoding}", packed))
    yield HostileWire("gzip that is none", whole("200 OK\r\nContent-Encoding: gzip", b"hello"))
    yield HostileWire("gzip that is an answer", whole("200 OK\r\nContent-Encoding: gzip", gzip.compress(good)))
    broken = (BAD, "server_down")

    def declared(length: str) -> Callable[[], Iterator[bytes]]:
        return lambda: iter(
            [f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode() + good]
        )

    yield HostileWire("a body shorter than its length", declared(str(len(good) + 100)), broken)
    yield HostileWire("a body longer than its length", declared(str(len(good) - 100)))
    yield HostileWire("a length of 10**18", declared(str(10**18)), broken)
    yield HostileWire("a length of 500 digits", declared("9" * 500), broken)
    yield HostileWire("a negative length", declared("-1"), broken)
    yield HostileWire("a length that is text", declared("many"), broken)
    yield HostileWire("two lengths", declared("5\r\nContent-Length: 900"), broken)

    def endless(head: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
        def pieces() -> Iterator[bytes]:
            yield head
            while True:
                yield piece

        return pieces

    full = (BAD, "timeout")  # whichever is reached first
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield HostileWire("chunks without end", endless(chunked, b"10000\r\n" + bytes(65536) + b"\r\n"), full)
    yield HostileWire("a body without length or end", endless(b"HTTP/1.0 200 OK\r\n\r\n", bytes(65536)), full)
    late = ("timeout",)
    yield HostileWire("a body that drips", endless(chunked, b"1\r\n \r\n"), late, 0.05)
    yield HostileWire("headers that drip", endless(b"HTTP/1.1 200 OK\r\n", b"X"), late, 0.05)
    yield HostileWire("a status line that drips", endless(b"HTTP/1.1 2", b"0"), (*late, *broken), 0.05)
    yield HostileWire("continue without end", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (*late, *broken), 0.01)
    yield HostileWire("headers without end", endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"), broken)
    yield HostileWire("a chunk's size that is text", lambda: iter([chunked + b"zz\r\n"]), broken)
    yield HostileWire("an enormous chunk", lambda: iter([chunked + b"f" * 15 + b"\r\n" + good]), broken)
    yield HostileWire("no HTTP at all", lambda: iter([b"SSH-2.0-OpenSSH_9.2\r\n"]), broken)
    yield HostileWire("noise", lambda: iter([np.random.default_rng(0).bytes(5000)]), broken)
    yield HostileWire("a closed connection", lambda: iter([b""]), ("server_down",))
    for target in (
        "file:///etc/passwd",
        "//",
        "http://[",
        "http://127.0.0.1:99999/",
        "ftp://x",
        "\xff",
        "http://\u0130",
    ):
        for status in (301, 307, 302):
            yield HostileWire(f"{status} to {target!r}", whole(f"{status} Moved\r\nLocation: {target}"))
    yield HostileWire("300 without a place", whole("300 Choices"))
    for head in ("204 No Content", "206 Partial Content", "299 What", "304 Not Modified", "201 Created"):
        yield HostileWire(f"status {head}", whole(head, b"" if head[:3] in ("204", "304") else good))
    yield HostileWire("status 999 with text", whole("999 What", b"\x1b[2J"))
    yield HostileWire("status 600", whole("600 What"))
    piece = b"10000\r\n" + bytes(65536) + b"\r\n"
    yield HostileWire("an error without end", endless(chunked.replace(b"200 OK", b"500 No"), piece), full)
    message = json.dumps({"message": "\x1b[2J\u202e" + "x" * MEBIBYTE}).encode()
    yield HostileWire("TorchServe's error with escapes", whole("500 No", message))
    yield HostileWire("TorchServe's error is deep", whole("500 No", b"[" * 100_000))
    yield HostileWire(
        "TorchServe's error in UTF-7", whole("500 No\r\nContent-Type: text/html; charset=utf-7", b"+AGE-")
    )
    for value in (
        "\xb2",
        "-5",
        "1e999",
        "9" * 500,
        "nan",
        "inf",
        "1, 2",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "",
        "\x01",
        "٣",
        "Wed, 32 Feb 2030 99:99:99 GMT",
        "1 Jan 2030 00:00:00 -99999999",
    ):
        wait = whole(f"503 Busy\r\nRetry-After: {value}")
        yield HostileWire(f"Retry-After {value!r:.20}", wait, ("overloaded", BAD, "server_down"))
