"""Small files that ask for much memory, and ordinary ones of every kind, to be measured."""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 1600, 1200

Entry = tuple[int, int, int, int]  # a tag of TIFF: number, type (3 16-bit, 4 32-bit, 7 bytes), count, value or place


def files() -> Iterator[tuple[str, bytes]]:
    """Each file with its name; made one at a time."""
    yield from _pillows()
    yield from _pngs()
    yield from _tiffs()
    yield from _exif()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _pillows() -> Iterator[tuple[str, bytes]]:
    """What Pillow writes."""
    grey = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    colour = Image.merge("RGB", (grey, grey.transpose(Image.Transpose.FLIP_TOP_BOTTOM), grey))
    clear = colour.copy()
    clear.putalpha(grey)
    palette, deep = colour.quantize(64), Image.fromarray(np.asarray(grey).astype(np.uint16) * np.uint16(257))
    frames = {"save_all": True, "append_images": [clear.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]}
    for image in (grey.convert("1"), grey, palette, grey.convert("LA"), colour, clear, deep):
        yield f"png-{image.mode}", saved(image, "PNG")
    yield "png-P-clear", saved(palette, "PNG", transparency=bytes(range(64)))
    yield "png-RGB-clear", saved(colour, "PNG", transparency=(1, 2, 3))
    yield "png-animated", saved(clear, "PNG", **frames, disposal=2, blend=1)
    for progressive in (False, True):
        for image in (grey, colour, colour.convert("CMYK")):
            name = f"jpeg-{image.mode}-{'progressive' if progressive else 'baseline'}"
            yield name, saved(image, "JPEG", progressive=progressive, subsampling=0)
    yield "mpo", saved(colour, "MPO", save_all=True, append_images=[colour])
    yield "gif", saved(palette, "GIF")
    yield "gif-animated", saved(palette, "GIF", save_all=True, append_images=[palette.rotate(9)] * 9, disposal=2)
    yield "bmp", saved(colour, "BMP")
    for image in (grey.convert("1"), grey, colour, deep, grey.convert("F")):
        yield f"ppm-{image.mode}", saved(image, "PPM")
    for lossless in (False, True):
        yield f"webp-{'lossless' if lossless else 'lossy'}", saved(clear, "WEBP", lossless=lossless, method=0)
    yield "webp-animated", saved(clear, "WEBP", **frames, method=0)
    for image in (grey, colour, clear):
        yield f"avif-{image.mode}", saved(image, "AVIF", speed=10, subsampling="4:4:4")
    for image in (grey.convert("1"), grey, palette, clear, colour.convert("CMYK"), grey.convert("F"), deep):
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "zstd"):
            yield f"tiff-{image.mode}-{compression}", saved(image, "TIFF", compression=compression)
    yield "tiff-jpeg", saved(colour, "TIFF", compression="jpeg")
    yield "tiff-one-strip", saved(clear, "TIFF", compression="tiff_lzw", strip_size=1 << 30)
    yield "icc", saved(Image.new("RGB", (8, 8)), "JPEG", icc_profile=bytes(10_000_000))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(before: bytes = b"", behind: bytes = b"") -> bytes:
    plain = saved(Image.new("RGB", (8, 8), "red"), "PNG")
    return plain[:33] + before + plain[33:-12] + behind + plain[-12:]


def _pngs() -> Iterator[tuple[str, bytes]]:
    for name, colour_type, channels in (("RGB", 2, 3), ("LA", 4, 2), ("RGBA", 6, 4)):
        rows = zlib.compress(bytes((1 + WIDTH * channels * 2) * HEIGHT), 9)
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)
        chunks = (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
        yield f"png-{name}-16-bit", b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    bomb = zlib.compress(bytes(300_000_000), 9)
    yield "png-profile-bomb", png(chunk(b"iCCP", b"x\0\0" + bomb))
    yield "png-text-bomb", png(chunk(b"zTXt", b"x\0\0" + bomb))
    text = zlib.compress("\N{GRINNING FACE}".encode() + b"a" * 999_000, 9)
    texts = b"".join(chunk(b"iTXt", b"%d\0\1\0\0\0" % number + text) for number in range(64))
    yield "png-texts", png(before=texts)
    yield "png-texts-behind", png(behind=texts)


def _directory(entries: list[Entry]) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return struct.pack("<H", len(entries)) + packed + bytes(4)


def _tiff(entries: list[Entry], body: bytes = b"", **places: int) -> bytes:
    """A file of a directory and what follows it; tags named by ``t273=5`` are placed 5 bytes into that."""
    start = 8 + 2 + 12 * len(entries) + 4
    placed = [(t, k, c, start + places[f"t{t}"] if f"t{t}" in places else value) for t, k, c, value in entries]
    return b"II*\0" + struct.pack("<I", 8) + _directory(placed) + body


def _tiffs() -> Iterator[tuple[str, bytes]]:
    def basic(width: int, height: int, compression: int, samples: int) -> list[Entry]:
        photometric = 2 if samples > 2 else 1
        entries = [(256, 4, 1, width), (257, 4, 1, height), (259, 3, 1, compression), (262, 3, 1, photometric)]
        return [*entries, (277, 3, 1, samples)]

    deep = bytes(WIDTH * HEIGHT * 8)
    for name, code, data in (("deflate", 8, zlib.compress(deep, 9)), ("lzma", 34925, lzma.compress(deep))):
        entries = basic(WIDTH, HEIGHT, code, 4)
        entries += [(258, 3, 4, 0), (278, 4, 1, HEIGHT), (338, 3, 1, 2), (273, 4, 1, 0), (279, 4, 1, len(data))]
        yield f"tiff-16-bit-{name}", _tiff(entries, struct.pack("<4H", 16, 16, 16, 16) + data, t258=0, t273=8)
    side = 16_000
    data = zlib.compress(bytes(side * side * 3), 9)
    entries = [*basic(8, 8, 8, 3), (258, 3, 3, 0), (322, 4, 1, side), (323, 4, 1, side)]
    entries += [(324, 4, 1, 0), (325, 4, 1, len(data))]
    yield "tiff-tile", _tiff(entries, struct.pack("<3H", 8, 8, 8) + data, t258=0, t324=6)
    small = [*basic(8, 8, 1, 1), (258, 3, 1, 8), (278, 4, 1, 1)]
    for count in (250_000, 2_500_000):
        entries = [*small, (273, 4, count, 0), (279, 4, count, 0)]
        yield f"tiff-{count}-strips", _tiff(entries, bytes(4 * count), t273=0, t279=0)
    entries = [*small, (273, 4, 1, 8), (279, 4, 1, 64)]
    shared: list[Entry] = [(number, 7, 500_000, 0) for number in range(0x1000, 0x1000 + 2000)]
    yield "tiff-tags", _tiff(entries + shared, bytes(500_000), **{f"t{tag}": 0 for tag, *_ in shared})


def _exif() -> Iterator[tuple[str, bytes]]:
    """Thousands of tags that all name the same bytes; the first is the orientation."""
    entries: list[Entry] = [(0x0112, 3, 1, 6)]
    shared: list[Entry] = [(number, 7, 500_000, 0) for number in range(0x1000, 0x1000 + 2000)]
    block = _tiff(entries + shared, bytes(500_000), **{f"t{tag}": 0 for tag, *_ in shared})
    picture = Image.new("RGB", (8, 16), "red")
    plain = saved(picture, "JPEG")
    parts = [block[start : start + 60_000] for start in range(0, len(block), 60_000)]
    segments = (b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)
    yield "exif-jpeg", plain[:2] + b"".join(segments) + plain[2:]
    plain = saved(picture, "PNG")
    yield "exif-png", plain[:33] + chunk(b"eXIf", block) + plain[33:]
    yield "exif-webp", saved(picture, "WEBP", exif=block)
    yield "exif-avif", saved(picture, "AVIF", exif=block)
