"""PNG and zip files that no PointRend server gives, each with what is wrong with it."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

MEBIBYTE = 2**20


def png_file(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def png_of(width: int, height: int, packed: bytes, extra: bytes = b"", kind: int = 0) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def pngs() -> Iterator[tuple[str, bytes]]:
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


def zips() -> Iterator[tuple[str, bytes]]:
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
