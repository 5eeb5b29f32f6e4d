"""Files that a stranger might send: each with the status and the code that it must be refused with.

They are made here, byte by byte, rather than kept: what is wrong with each is then there to be read.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Hostile:
    """One file."""

    name: str
    data: bytes
    status: int
    code: str


def corpus() -> Iterator[Hostile]:
    """All of them."""
    for kind, data in _photos().items():
        for share in (0.0, 0.02, 0.5, 0.9):
            yield _unreadable(f"{kind} cut to {share:.0%}", data[: max(4, int(len(data) * share))])
    png, jpeg = _photos()["PNG"], _photos()["JPEG"]
    yield _unreadable("PNG with a wrong checksum", png[:40] + bytes([png[40] ^ 0xFF]) + png[41:])
    yield _unreadable("PNG of noise behind its header", png[:41] + np.random.default_rng(1).bytes(4000))
    yield _unreadable("JPEG of noise behind its header", jpeg[:20] + np.random.default_rng(2).bytes(4000))
    yield from _bombs()
    yield from _zero_sizes()
    yield from _wrong_types(jpeg)
    yield from _huge_headers(jpeg)


def _photos() -> dict[str, bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    photos = {}
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        file = io.BytesIO()
        Image.fromarray(noise).save(file, kind)
        photos[kind] = file.getvalue()
    return photos


def _bombs() -> Iterator[Hostile]:
    """A kilobyte that announces gigabytes of pixels."""
    for width, height in ((30_000, 30_000), (2**31 - 1, 1), (100_000, 2), (7100, 7100)):
        yield _too_large(f"PNG of {width}x{height}", png_of(width, height, zlib.compress(bytes(1000))))
    screen, block = struct.pack("<HHBBB", 65535, 65535, 0, 0, 0), struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
    yield _too_large("GIF of 65535x65535", b"GIF89a" + screen + b"," + block + b"\x08\x02\x4c\x01\x00;")
    yield _too_large(
        "BMP of 40000x40000",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, 40000, 40000, 1, 24, 0, 0, 0, 0, 0, 0),
    )
    yield _too_large("PPM of 50000x50000", b"P6 50000 50000 255\n" + bytes(30))
    canvas = struct.pack("<I", 16_000 - 1)[:3]
    vp8x = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas + canvas
    yield _too_large("WebP of 16000x16000", b"RIFF" + struct.pack("<I", len(vp8x) + 4) + b"WEBP" + vp8x)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 65_500, 65_500, 3) + bytes([1, 17, 0, 2, 17, 0, 3, 17, 0])
    yield _too_large("JPEG of 65500x65500", b"\xff\xd8" + frame + b"\xff\xda" + bytes(10) + b"\xff\xd9")
    yield _too_large("one byte over the limit of bytes", bytes(20 * 2**20 + 1))


def _zero_sizes() -> Iterator[Hostile]:
    yield _unreadable("PNG of 0x0", png_of(0, 0, zlib.compress(b"")))
    yield _unreadable("PNG of 0x5", png_of(0, 5, zlib.compress(bytes(5))))
    yield _unreadable("GIF of 0x0", b"GIF89a" + bytes(7) + b";")
    yield _unreadable("PPM of 0x3", b"P6 0 3 255\n")
    yield _unreadable("one zero byte", b"\x00")


def _wrong_types(jpeg: bytes) -> Iterator[Hostile]:
    yield _unreadable("HTML", b"<!doctype html><script>alert(1)</script>")
    yield _unreadable("SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    yield _unreadable("an entity bomb", b'<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><svg>&b;</svg>')
    yield _unreadable("EPS, a program", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n")
    yield _unreadable("PDF", b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n")
    yield _unreadable("zip", b"PK\x03\x04" + bytes(60))
    yield _unreadable("pickle, a program", b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.")
    yield _unreadable("ELF, a program", b"\x7fELF\x02\x01\x01" + bytes(60))
    yield _unreadable(
        "an icon", b"\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00\x20\x00\x68\x04\x00\x00" + bytes(40)
    )
    yield _unreadable("GIF that is HTML", b"GIF89a<script>alert(1)</script>")
    yield _unreadable("a photo behind other bytes", b"#!/bin/sh\n" + jpeg)
    yield _unreadable("a video's header", b"\x00\x00\x00\x18ftypmp42" + bytes(40))


def _huge_headers(jpeg: bytes) -> Iterator[Hostile]:
    """A chunk that says it has gigabytes, or that has a megabyte which unpacks to a thousand."""
    start = b"\x89PNG\r\n\x1a\n"
    yield _unreadable("PNG whose first chunk has 2 GiB", start + struct.pack(">I", 2**31 - 1) + b"IHDR" + bytes(13))
    profile = _chunk(b"iCCP", b"icc\x00\x00" + zlib.compress(bytes(200 * 2**20), 9))
    yield _unreadable("PNG with a profile bomb", _small_png(profile))
    tag = struct.pack("<HHII", 256, 4, 2**31, 8)
    yield _unreadable("TIFF whose tag has 8 GiB", b"II*\x00" + struct.pack("<IH", 8, 1) + tag + bytes(4))
    offset = struct.pack("<I", 8)
    loop = b"II*\x00" + offset + struct.pack("<H", 0) + offset
    yield _unreadable("TIFF whose directory is its own next", loop)
    yield _unreadable("JPEG of marker segments alone", jpeg[:2] + b"\xff\xe1\xff\xff" + bytes(65533) + b"\xff\xd9")


def png_of(width: int, height: int, packed: bytes) -> bytes:
    """A PNG file with that size in its header and those bytes as its pixels."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def text_bomb():
    """A PNG of 4x4 pixels with 200 MiB of text in 200 KB: texts are skipped, so that it is a photo like others."""
    return _small_png(_chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(200 * 2**20), 9)))


def _small_png(chunk):
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(bytes(4 * 13)))
    return b"\x89PNG\r\n\x1a\n" + header + chunk + pixels + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _unreadable(name: str, data: bytes) -> Hostile:
    return Hostile(name, data, 415, "unsupported_image")


def _too_large(name: str, data: bytes) -> Hostile:
    return Hostile(name, data, 413, "image_too_large")
