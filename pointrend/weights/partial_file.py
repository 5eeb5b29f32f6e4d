"""A file of which only the beginning has been received, kept beside its destination.

``NAME.part`` holds the bytes, ``NAME.part.json`` the version of the file that they are of: parts of two versions
are never joined.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pointrend.errors import DownloadError


class PartialFile:
    """What has been received so far, and of which version of the file."""

    def __init__(self, destination: Path) -> None:
        self.path = destination.with_name(destination.name + ".part")
        self._note = destination.with_name(destination.name + ".part.json")

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> str | None:
        """The ETag or date of the file that this is a part of; None where the server gave none."""
        try:
            version = json.loads(self._note.read_text(encoding="utf-8"))["version"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return version if isinstance(version, str) else None

    def begin(self, version: str | None) -> None:
        """Start from nothing, with a part of this version."""
        self.discard()
        if version is not None:
            self._note.write_text(json.dumps({"version": version}), encoding="utf-8")

    def discard(self) -> None:
        """Throw away what is here."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, destination: Path) -> None:
        """Move what is here, which is whole, to its place."""
        self.path.replace(destination)
        self._note.unlink(missing_ok=True)

    def require_room(self, total: int | None) -> None:
        """Check that the disk has room for what is missing of ``total`` bytes.

        Raises:
            DownloadError: it has not.
        """
        free = shutil.disk_usage(self.path.parent).free
        missing = (total or 0) - self.size
        if missing > free:
            raise DownloadError(
                f"{self.path.parent} has {free / 2**20:.0f} MiB free, and {missing / 2**20:.0f} MiB are still to come. "
                "Free some space, or set POINTREND_HOME to a folder with more."
            )
