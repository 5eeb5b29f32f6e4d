"""Which images a command line means."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pointrend.errors import PointRendError
from pointrend.images.suffixes import has_image_suffix
from pointrend.plain_text import escaped
from pointrend.predict.walk import Contents, NotRead, identity_of, not_regular, walk, why_not
from pointrend.structures.boxes import MAX_BOXES, BoxPrompt
from pointrend.structures.options import Options


class ImagesError(PointRendError):
    """Images that were named and cannot be meant."""


@dataclass(frozen=True, slots=True)
class ImageBoxes:
    """Boxes that were given with an image.

    Attributes:
        image_id: as their file calls the image.
        prompts: the boxes.
        results: what the file says of each, and its place there.
    """

    image_id: int | str
    prompts: tuple[BoxPrompt, ...]
    results: tuple[tuple[int, dict[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image to predict.

    Attributes:
        path: where it is, absolute.
        file_name: its path within the folder or glob that named it, with slashes.
        stamp: its size and modification time in nanoseconds when it was found: they tell an image that has changed.
        key: what its results are called; empty until :class:`~pointrend.predict.names.ResultNames` gives it.
        given: boxes to find the masks of, in place of detection; None detects objects.
    """

    path: Path
    file_name: str
    stamp: tuple[int, int]
    key: str = ""
    given: ImageBoxes | None = field(default=None, compare=False)

    def requests(self, shared: Options) -> tuple[Options, ...]:
        """What is asked of this image: the options of all, and its boxes, at most :data:`MAX_BOXES` at a time."""
        if self.given is None:
            return (shared,)
        starts = range(0, max(len(self.given.prompts), 1), MAX_BOXES)
        return tuple(replace(shared, boxes=self.given.prompts[start : start + MAX_BOXES]) for start in starts)


@dataclass(frozen=True, slots=True)
class FoundImages:
    """What a command line means.

    Attributes:
        images: each name once, in the order of the arguments and by name within each.
        not_read: files and folders that were met and are not among the images.
    """

    images: tuple[ImageFile, ...]
    not_read: tuple[NotRead, ...] = ()


def find_images(arguments: Iterable[str | Path], *, outside: Iterable[Path] = ()) -> FoundImages:
    """Find images: each path once, even where several arguments name it; two names of one file are two images.

    A folder stands for every image file in it and below it (by :data:`~pointrend.images.formats.SUFFIXES`), linked
    folders included, a glob (``*``, ``?``, ``[]``, ``**``) for the image files that it matches, and a file for itself,
    whatever it is called.

    Args:
        arguments: files, folders and globs.
        outside: folders whose files are not meant: those of results.

    Raises:
        ImagesError: an argument names no image.
    """
    images: dict[Path, ImageFile] = {}
    not_read: dict[str, NotRead] = {}
    folders = tuple(outside)
    for argument in arguments:
        base, contents = _named(str(argument), folders)
        missing = list(contents.not_read)
        found = False
        for path in contents.images:
            try:
                state = path.stat()
            except OSError as error:
                missing.append(NotRead(str(path), f"cannot be read: {error.strerror}", missed=True))
                continue
            found = True
            place = _place(path)
            name = path.relative_to(base).as_posix()
            images.setdefault(place, ImageFile(place, name, (state.st_size, state.st_mtime_ns)))
        if not found:
            raise ImagesError(_nothing(str(argument), missing))
        not_read.update((each.path, each) for each in missing)
    # A file that one argument passes over by its suffix may be named by another.
    left = (each for each in not_read.values() if _place(Path(each.path)) not in images)
    return FoundImages(tuple(images.values()), tuple(left))


def _named(argument: str, outside: tuple[Path, ...]) -> tuple[Path, Contents]:
    """The folder that an argument's names start in, and what the argument means."""
    if not argument:
        raise ImagesError("An empty argument names no image. '.' is the current folder.")
    path = Path(argument)
    if argument.startswith("~") and not os.path.lexists(path):
        try:
            path = path.expanduser()
        except RuntimeError as error:
            raise ImagesError(f"{escaped(argument)} names no image: there is no such user.") from error
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if glob.has_magic(argument):
            return _matching(path, outside)
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return path.parent, Contents([], [])
        raise ImagesError(f"{escaped(argument)} cannot be read: {error.strerror}.") from error
    if stat.S_ISDIR(mode):
        if _is_within(path, outside):
            return path, Contents([], [NotRead(str(path), "holds this command's results")])
        return path, walk(path, outside=outside)
    if not stat.S_ISREG(mode):  # reading a pipe could wait for ever
        return path.parent, Contents([], [NotRead(str(path), not_regular(mode), missed=True)])
    if _is_within(path, outside):
        return path.parent, Contents([], [NotRead(str(path), "one of this command's results")])
    return path.parent, Contents([path], [])


def _matching(path: Path, outside: tuple[Path, ...]) -> tuple[Path, Contents]:
    """The files that a glob matches."""
    base = Path(*_before_magic(path))
    if "**" in path.parts:
        # Not by glob, which goes around in links to a folder above and says nothing of what it cannot read.
        pattern = _expression(path.relative_to(base).parts)
        contents = walk(base, outside=outside)
        images = [each for each in contents.images if pattern.fullmatch(each.relative_to(base).as_posix())]
        not_read = [
            each for each in contents.not_read if each.missed or pattern.fullmatch(os.path.relpath(each.path, base))
        ]
        return base, Contents(images, not_read)
    images, not_read = [], []
    for text in sorted(glob.glob(str(path))):  # noqa: PTH207  # Path.glob takes no absolute pattern
        each = Path(text)
        try:
            mode = each.stat().st_mode
        except OSError as error:
            not_read.append(NotRead(text, f"cannot be read: {error.strerror}", missed=has_image_suffix(text)))
            continue
        if _is_within(each, outside):
            not_read.append(NotRead(text, "one of this command's results"))
        elif stat.S_ISDIR(mode):
            not_read.append(NotRead(text, "a folder; name it, or use **, to read what it holds"))
        elif (left_out := why_not(each, mode)) is not None:
            not_read.append(left_out)
        else:
            images.append(each)
    return base, Contents(images, not_read)


def _before_magic(path: Path) -> Iterator[str]:
    for part in path.parts:
        if glob.has_magic(part):
            return
        yield part


def _expression(parts: tuple[str, ...]) -> re.Pattern[str]:
    """A glob's parts as an expression for paths with slashes; as in a shell, hidden names match only a dot."""
    text = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            text += r"(?:(?!\.)[^/]+/)*" + (r"(?!\.)[^/]+" if last else "")
            continue
        text += ("" if part.startswith(".") else r"(?!\.)") + _part(part) + ("" if last else "/")
    return re.compile(text, re.DOTALL)


def _part(part: str) -> str:
    text, rest = "", part
    while rest:
        if found := re.match(r"\[(!?)(\]?[^\]]*)\]", rest):
            inside = found[2].replace("\\", r"\\").replace("^", r"\^").replace("[", r"\[").replace("]", r"\]")
            text += f"[{'^/' if found[1] else ''}{inside}]"
            rest = rest[found.end() :]
        else:
            text += {"*": "[^/]*", "?": "[^/]"}.get(rest[0], re.escape(rest[0]))
            rest = rest[1:]
    return text


def _is_within(path: Path, folders: tuple[Path, ...]) -> bool:
    closed = {identity for each in folders if (identity := identity_of(each)) is not None}
    place = _place(path)
    return bool(closed) and any(identity_of(each) in closed for each in (place, *place.parents))


def _place(path: Path) -> Path:
    """A path's absolute spelling, one for all relative ones; links in it stay, since they are names too."""
    absolute = path.absolute()
    return Path(os.path.realpath(absolute.parent), absolute.name) if ".." in absolute.parts else absolute


def _nothing(argument: str, not_read: list[NotRead]) -> str:
    shown = escaped(argument)
    if not not_read:
        return f"{shown} names no image: there is no such file, or no image file in it."
    first = not_read[0]
    more = f", and {len(not_read) - 1} more" if len(not_read) > 1 else ""
    return f"{shown} names no image. Not read: {escaped(first.path)} ({escaped(first.reason)}){more}."
