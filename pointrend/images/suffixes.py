"""Which files of a folder are images. A file that is named is read whatever it is called: its content tells."""

from __future__ import annotations

from pointrend.images.formats import SUFFIXES


def has_image_suffix(name: str) -> bool:
    """Whether a file's name ends as an image's does, in any case: ``has_image_suffix("a.JPG")``."""
    return name.lower().endswith(SUFFIXES)
