"""An image file of a data set, checked before it is needed: found inside its folder, readable, as large as labelled.

Only the header and the last kilobytes are read: enough to see a missing, foreign, resized or cut-off file, at a small
part of what decoding costs. A fault in the middle of a file is still named when the image is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from pointrend.errors import DataError

TAIL = 4096  # bytes: cameras and editors append a little to a JPEG
_ORIENTATION = 0x0112  # EXIF's tag
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}


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
    """A ``file_name`` as a path below ``images``: back-slashes turned, ``./`` and ``images/`` at its front dropped."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
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
        DataError: it is no image, or cut off.
    """
    try:
        with path.open("rb") as file, Image.open(file) as image:
            orientation = image.getexif().get(_ORIENTATION, 1)
            width, height = image.size
            end = _ENDS.get(image.format or "")
            if end is not None:
                file.seek(0, 2)
                file.seek(max(file.tell() - TAIL, 0))
                if end not in file.read():
                    raise DataError("it is cut off")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(str(error) or type(error).__name__) from error
    if orientation not in range(1, 9):
        orientation = 1
    return ImageHeader(*((height, width) if orientation >= 5 else (width, height)), orientation)
