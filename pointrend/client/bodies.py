"""JSON and zip files from somebody who may mean harm: read within bounds, or refused with a ValueError."""

from __future__ import annotations

import io
import json
import zipfile
from itertools import pairwise
from typing import Any, NoReturn

from pointrend.images.png import read_png
from pointrend.plain_text import UNPRINTABLE
from pointrend.structures.prediction_checks import MAX_INSTANCES

MANIFEST = "manifest.json"
MAX_NAME = 300  # a category of 256 characters, a number and ".png"

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_json(body: bytes) -> Any:
    """JSON (RFC 8259) in UTF-8, each key of an object once; NaN and Infinity are none.

    Raises:
        ValueError: it is something else, or nested deeper than Python reads.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def unzip_pngs(data: bytes, max_bytes: int, max_pixels: int) -> dict[str, bytes]:
    """The PNG files of a zip by name, in its order; a manifest beside them is left.

    Raises:
        ValueError: a member is encrypted, packed by another method than deflate, lies over another, is damaged or no
            PNG file, or has a name that is no plain file's; there are more than a prediction has instances; or
            unpacked they have more than ``max_bytes``.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_members(members, max_bytes)
            files = {member.filename: archive.read(member) for member in members if member.filename != MANIFEST}
    except ValueError:
        raise
    except Exception as error:
        # zipfile answers broken bytes with BadZipFile, zlib.error, struct.error, EOFError and more.
        raise ValueError(f"the zip is damaged: {error}") from error
    for name, file in files.items():
        try:
            read_png(file, max_pixels).close()
        except ValueError as error:
            raise ValueError(f"in the zip, {name}: {error}") from error
    return files


def _check_members(members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    if len(members) > MAX_INSTANCES + 1:
        raise ValueError(f"the zip has {len(members)} members; at most {MAX_INSTANCES + 1} are accepted")
    for member in members:
        name = member.orig_filename
        if name != MANIFEST and not _is_picture_name(name):
            raise ValueError(f"a member of the zip is called {name[:60]!a}, which is not a plain name of a PNG file")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
            raise ValueError(f"in the zip, {name} is encrypted, or its compression is not supported")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("the zip has two members of the same name")
    # zipfile stops at the size that a member declares.
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise ValueError(f"the zip has {total} bytes once unpacked; at most {max_bytes} are accepted")
    placed = sorted((member.header_offset, member.header_offset + member.compress_size) for member in members)
    if any(end > start for (_, end), (start, _) in pairwise(placed)):
        raise ValueError("members of the zip overlap")


def _is_picture_name(name: str) -> bool:
    plain = not (set("/\\:") & set(name) or UNPRINTABLE.search(name) or name.startswith("."))
    return plain and len(name) <= MAX_NAME and name.endswith(".png")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise ValueError("a key appears twice in one object")
    return tree


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
