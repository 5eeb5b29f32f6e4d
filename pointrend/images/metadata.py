"""What a file says of its picture, kept from costing more memory than the file could hold.

A directory of TIFF or EXIF is a table of tags that each name a place in the file; Pillow copies every place, also where
thousands of tags name the same one, so that 1 MB stood for 2 GB. Texts of a PNG are kept decompressed, four bytes a
character where one of them is an emoji: 70 KB stood for 256 MB.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import IO, Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

SPARE = 64 * 1024
"""Bytes that a directory may read beside twice its file; and, of a value, what is too little to be counted."""
TEXT_BYTES = 1024
"""Of a PNG's texts, as they are in the file; where they have more, those that nothing is read from are left out."""

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_READ = (b"XML:com.adobe.xmp", b"Raw profile type exif")  # Pillow looks for the orientation there
_SEGMENTS = (273, 324)  # where the strips or tiles of a TIFF are
_MOST_SEGMENTS = 2**18
_TILE_BYTES = 100  # that Pillow keeps of each, and as much again of its numbers
_COPIES = 3  # of a profile: as it is in the file, in one piece, and in LittleCMS
_load_directory = ImageFileDirectory_v2.load


class _Metered:
    """A file from which only so much is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        here = file.tell()
        self._left = 2 * file.seek(0, 2) + SPARE
        file.seek(here)
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(min(count, self._left + 1) if count >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("The tags name more bytes than the file has.")
        return data


def _load_bounded(directory: ImageFileDirectory_v2, file: IO[bytes]) -> None:
    """As Pillow's own ``load``, which takes an OSError for the end of the directory: what is read by then is kept."""
    _load_directory(directory, _Metered(file))  # type: ignore[arg-type]  # it reads, seeks and tells
    for tag in _SEGMENTS:
        # Pillow makes an object of each.
        if _sizes(directory).get(tag, 0) > 8 * _MOST_SEGMENTS:
            raise SyntaxError("The picture has too many strips or tiles.")


def _sizes(directory: ImageFileDirectory_v2) -> dict[int, int]:
    """Bytes of each tag; what they stand for may take ten times as many."""
    return {tag: len(data) for tag, data in directory._tagdata.items()}  # noqa: SLF001  # Pillow has no other way


def bound_directories() -> None:
    """Let Pillow read no directory without the bound. Its formats read them by themselves when a file is opened."""
    ImageFileDirectory_v2.load = _load_bounded  # type: ignore[assignment]


def without_texts(data: bytes | bytearray) -> bytes | bytearray:
    """A PNG without its texts, where they are long; any other file, and one with short texts, as it is.

    Texts that may tell the orientation stay, one of each kind.
    """
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    texts = [(start, end) for name, start, end in _chunks(data) if name in _TEXTS]
    if sum(end - start for start, end in texts) <= TEXT_BYTES:
        return data
    kept: set[bytes] = set()
    dropped = []
    for start, end in texts:
        keyword = bytes(data[start + 8 : start + 88]).partition(b"\0")[0]
        if keyword in _READ and keyword not in kept:
            kept.add(keyword)
        else:
            dropped.append((start, end))
    edges = [0, *itertools.chain.from_iterable(dropped), len(data)]
    view = memoryview(data)
    return b"".join(view[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))


def _chunks(data: bytes | bytearray) -> Iterator[tuple[bytes, int, int]]:
    """The name of each chunk of a PNG, and where it starts and ends."""
    start = 8
    while start + 8 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4])
        yield bytes(data[start + 4 : start + 8]), start, min(end, len(data))
        start = end


def metadata_bytes(image: Image.Image) -> int:
    """What an opened file's metadata holds and will hold; values that are short are not counted."""
    values: list[Any] = [*image.info.values(), *(data for _, data in getattr(image, "applist", ()))]
    sizes = [len(value) for value in values if isinstance(value, bytes | str)]
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        sizes += [sum(_sizes(tags).values()), _TILE_BYTES * len(getattr(image, "tile", ()))]
    return _COPIES * sum(size for size in sizes if size > SPARE)
