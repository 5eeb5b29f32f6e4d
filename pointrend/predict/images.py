"""Which images a command line means, and what their results are called."""

from __future__ import annotations

import glob
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pointrend.errors import PointRendError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".mpo")


class ImagesError(PointRendError):
    """Images that were named and cannot be meant."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image to predict.

    Attributes:
        path: where it is, absolute.
        file_name: its path within the folder or glob that named it, with slashes.
        key: what its results are called: ``file_name`` without its suffix.
        stamp: its size and modification time in nanoseconds when it was found: they tell an image that has changed.
    """

    path: Path
    file_name: str
    key: str
    stamp: tuple[int, int]


def find_images(arguments: Iterable[str | Path], *, outside: Iterable[Path] = ()) -> list[ImageFile]:
    """Find images, each once, in the order of the arguments and by name within each.

    A folder stands for every image file in it and below it (by :data:`SUFFIXES`), a glob (``*``, ``?``, ``[]``,
    ``**``) for the image files that it matches, and a file for itself, whatever it is called.

    Args:
        arguments: files, folders and globs.
        outside: folders whose files are not meant: those of results.

    Raises:
        ImagesError: an argument names nothing, or two images would have results of one name.
    """
    images: dict[Path, ImageFile] = {}
    elsewhere = [folder.absolute() for folder in outside]
    for argument in arguments:
        found = False
        for path, base in _named(str(argument)):
            absolute = path.absolute()
            if any(absolute.is_relative_to(folder) for folder in elsewhere):
                continue
            found = True
            name, state = path.relative_to(base), path.stat()
            image = ImageFile(
                absolute, name.as_posix(), name.with_suffix("").as_posix(), (state.st_size, state.st_mtime_ns)
            )
            images.setdefault(absolute.resolve(), image)
        if not found:
            raise ImagesError(f"{argument} names no image: there is no such file, or no image file in it.")
    return _with_distinct_keys(list(images.values()))


def _named(argument: str) -> Iterator[tuple[Path, Path]]:
    """Paths that an argument means, and the folder that their names start in."""
    path = Path(argument).expanduser()
    if path.is_dir():
        inside = sorted(path.rglob("*"))
        yield from ((each, path) for each in inside if each.suffix.lower() in SUFFIXES and each.is_file())
    elif path.exists():  # a file whose name looks like a glob is still that file
        yield path, path.parent
    elif glob.has_magic(argument):
        fixed = Path(*_before_magic(path))
        for text in sorted(glob.glob(str(path), recursive=True)):  # noqa: PTH207  # Path.glob takes no absolute pattern
            each = Path(text)
            if each.suffix.lower() in SUFFIXES and each.is_file():
                yield each, fixed


def _before_magic(path: Path) -> Iterator[str]:
    for part in path.parts:
        if glob.has_magic(part):
            return
        yield part


def _with_distinct_keys(images: list[ImageFile]) -> list[ImageFile]:
    """``a.jpg`` and ``a.png`` become ``a_jpg`` and ``a_png``; names that are the same beyond that are refused."""
    counts = Counter(image.key.lower() for image in images)  # there are file systems that know no case
    named = [
        image if counts[image.key.lower()] == 1 else replace(image, key=image.file_name.replace(".", "_"))
        for image in images
    ]
    by_key = defaultdict(list)
    for image in named:
        by_key[image.key.lower()].append(image)
    for same in by_key.values():
        if len(same) > 1:
            raise ImagesError(
                f"The results of {same[0].path} and {same[1].path} would both be called {same[0].key}. Name the "
                "folder that holds both instead."
            )
    return named
