"""Remove Python packages from an image that has no pip: ``python uninstall.py NAME...``."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def main(names: list[str]) -> None:
    """Remove packages, with the bytecode of their modules and the folders that this leaves empty.

    Raises:
        SystemExit: one is not installed, or does not say which files are its own.
    """
    for name in names:
        try:
            files = [Path(str(file.locate())) for file in distribution(name).files or ()]
        except PackageNotFoundError:
            sys.exit(f"uninstall: {name} is not installed.")
        if not files:
            sys.exit(f"uninstall: {name} has no list of its files.")
        removed = sum(remove(file) for file in files)
        print(f"uninstall: {name}, {removed / 2**20:.0f} MiB")


def remove(file: Path) -> int:
    """Remove a file and its bytecode, if they are there; the bytes that this frees."""
    freed = 0
    for path in (file, *file.parent.glob(f"__pycache__/{file.stem}.*.pyc")):
        if path.is_file() or path.is_symlink():
            freed += path.lstat().st_size
            path.unlink()
    for folder in (file.parent / "__pycache__", file.parent, *file.parent.parents):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return freed


if __name__ == "__main__":
    main(sys.argv[1:])
