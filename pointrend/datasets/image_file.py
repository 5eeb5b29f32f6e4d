"""An image file of a data set: found inside its folder, checked before it is needed, decoded as the server decodes it.

Only the header and the last kilobytes are read, of a PNG the heads of its chunks: enough to see a missing, foreign,
resized or cut-off file. A fault in the middle of a file is still named when the image is decoded. Measured on JPEG,
PNG, WebP, TIFF, AVIF, GIF and BMP files of 640x480 and 4000x3000 pixels: 0.03 to 1.1 ms a file, at most 6 % of what
decoding takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.errors import DataError, RequestError
from pointrend.images.decode import decode, open_file
from pointrend.images.limits import ImageLimits

LIMITS = ImageLimits(max_bytes=1 << 30, max_pixels=1 << 28, max_side=1 << 16, max_memory=1 << 33)
"""The images are the user's own: what they cost is limited by what Pillow can resize, and by what no machine has."""
TAIL = 4096  # bytes: cameras and editors append a little to a JPEG
_ORIENTATION = 0x0112  # EXIF's tag
_JPEG_END = b"\xff\xd9"
CUT_OFF = "it is cut off"


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file's header says.

    Attributes:
        width, height: in pixels, upright.
        orientation: EXIF's, 1 to 8; 5 to 8 exchange width and height.
    """

    width: int
    height: int
    orientation: int


def tidy_name(name: str) -> str:
    """A ``file_name`` as a path below ``images``: back-slashes turned, ``./`` and ``images/`` at its front dropped.

    Label Studio exports an upload by where it is on its own disk, ``../../label-studio/media/upload/3/cat.jpg``, and
    puts its file into ``images`` by its last part.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if parts[-4:-2] == ["media", "upload"] and parts[-2].isdigit():
        return parts[-1]
    if name.startswith(("/", "\\")):
        return name
    return "/".join(parts[1:] if len(parts) > 1 and parts[0] == "images" else parts)


def inside(folder: Path, name: str) -> Path | None:
    """The path of a tidy name, or None if it leaves the folder by what it says."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or name[1:2] == ":":
        return None
    return folder / name


def read_header(path: Path) -> ImageHeader:
    """Read an image's size without decoding it.

    Raises:
        DataError: it is no image that is read, too large, or cut off.
    """
    try:
        with path.open("rb") as file, open_file(file, LIMITS) as image:
            width, height = image.size
            if image.format == "PNG":
                # Before it looks for EXIF behind the pixels, Pillow decodes them.
                exif = Image.Exif()
                exif.load(_png_exif(file) or b"")
            else:
                exif = image.getexif()
            orientation = exif.get(_ORIENTATION, 1)
            if image.format == "JPEG":
                file.seek(0, 2)
                file.seek(max(file.tell() - TAIL, 0))
                if _JPEG_END not in file.read():
                    raise DataError(CUT_OFF)
    except (OSError, ValueError, SyntaxError, EOFError, RequestError) as error:
        raise DataError(str(error) or type(error).__name__) from error
    if orientation not in range(1, 9):
        orientation = 1
    return ImageHeader(*((height, width) if orientation >= 5 else (width, height)), orientation)


def _png_exif(file: BinaryIO) -> bytes | None:
    """The content of a PNG's eXIf chunk, wherever it is; the pixels are skipped.

    Raises:
        DataError: the file ends before its last chunk.
    """
    file.seek(8)
    exif = None
    while True:
        head = file.read(8)
        length, name = int.from_bytes(head[:4]), head[4:]
        if name == b"IEND":
            return exif
        if len(head) < 8:
            raise DataError(CUT_OFF)
        if name == b"eXIf":
            exif = file.read(length)
            length = 0
        file.seek(length + 4, 1)  # the checksum too


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Decode an image file by :func:`pointrend.images.decode.decode`, within the limits of data sets.

    Returns:
        (H, W, 3) uint8 RGB, upright, in sRGB.

    Raises:
        DataError: it cannot be read, or is no image that is read.
    """
    try:
        return decode(path.read_bytes(), LIMITS)
    except (OSError, RequestError) as error:
        raise DataError(f"The image {path} cannot be read: {error}") from error
