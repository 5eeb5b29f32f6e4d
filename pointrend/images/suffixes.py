"""Which files of a folder are images: one table of suffixes, of the formats that :mod:`pointrend.images.decode` reads.

A file that is named is read whatever it is called; its content tells what it is.
"""

from __future__ import annotations

from pointrend.images.decode import FORMATS

BY_FORMAT: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".heics", ".heifs", ".hif"),
}
"""Pillow's name of a format, and the suffixes of its files; a format counts once the decoder has it in ``FORMATS``."""

SUFFIXES: tuple[str, ...] = tuple(suffix for name in FORMATS for suffix in BY_FORMAT[name])
"""Of the image files in a folder, in lower case."""


def has_image_suffix(name: str) -> bool:
    """Whether a file's name ends as an image's does, in any case: ``has_image_suffix("a.JPG")``."""
    return name.lower().endswith(SUFFIXES)
