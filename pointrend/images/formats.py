"""The image formats that are read, by their name in Pillow, and the suffixes that their files have."""

from __future__ import annotations

import pi_heif
from PIL import AvifImagePlugin, Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401  # registered by being imported

from pointrend.images.metadata import bound_directories

Image.preinit()  # registers the others
pi_heif.register_heif_opener()
bound_directories()

SUFFIXES_BY_FORMAT: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),  # with the multi-picture files (MPO) of phones
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""Named one by one: Pillow also knows formats that run programs (EPS) or that nobody sends as an image."""

FORMATS = tuple(SUFFIXES_BY_FORMAT)
"""The names of the formats."""

SUFFIXES = tuple(suffix for suffixes in SUFFIXES_BY_FORMAT.values() for suffix in suffixes)
"""The suffixes, in lower case: what a folder's image files are told by."""
