"""Colours as sRGB: from a picture's profile, or from what its format says of its primaries and gamma."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from pointrend.images.icc import DISPLAY_P3, REC_2020, SRGB_CURVE, SRGB_PRIMARIES, Curve, Primaries, matrix_profile

AVIF_HEADER = 64 * 1024
"""Bytes of an AVIF file in which its colour codes are looked for."""
KEPT_BYTES = 16 * 1024  # of a profile whose transform is kept: a camera's or a screen's; a press's has a megabyte
SAME_LEVELS = 2  # by which the many sRGB profiles differ from each other, out of 255

# A transform and the mode that it takes; None where the colours are sRGB already.
_Transform = tuple[ImageCms.ImageCmsTransform, str] | None

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_SRGB_GAMMA = 0.45455
_PRIMARIES_OF_H273 = {1: SRGB_PRIMARIES, 9: REC_2020, 12: DISPLAY_P3}  # ITU-T H.273, table 2
_CURVES_OF_H273 = {1: SRGB_CURVE, 4: 2.2, 5: 2.8, 6: SRGB_CURVE, 8: 1.0, 13: SRGB_CURVE, 14: SRGB_CURVE, 15: SRGB_CURVE}


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """A small ICC profile of sRGB, for files that have no other way to say that their colours are."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def to_srgb(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What converts opaque parts of a picture to RGB in sRGB.

    A profile that is damaged, or of another colour space than the picture's, is ignored, as browsers do.

    Args:
        image: any picture; its ``info`` carries the profile.

    Returns:
        a function from a part of the picture, in its own mode, or in L or RGB made from that, to RGB.
    """
    transform = _transform_of(image)
    if transform is None:
        return lambda part: part if part.mode == "RGB" else part.convert("RGB")
    apply, mode = transform

    def convert(part: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(part if part.mode == mode else part.convert(mode), apply)
        assert converted is not None  # it is not converted in place
        return converted

    return convert


def note_avif_colours(image: Image.Image, header: bytes) -> None:
    """Keep an AVIF file's colour codes, which Pillow drops, as pi-heif keeps those of HEIC: in ``info``.

    Args:
        image: opened.
        header: the beginning of its file, :data:`AVIF_HEADER` bytes.
    """
    found = re.search(rb"colrnclx(?s:(..)(..))", header)
    if found and "icc_profile" not in image.info:
        primaries, transfer = (int.from_bytes(code) for code in found.groups())
        image.info["nclx_profile"] = {"color_primaries": primaries, "transfer_characteristics": transfer}


def is_srgb(image: Image.Image) -> bool:
    """Whether the picture's colours are sRGB as they are, as far as it says."""
    return _transform_of(image) is None


def _transform_of(image: Image.Image) -> _Transform:
    if image.mode == "LAB":
        return _lab()
    wanted = "L" if image.mode in _GREY else "CMYK" if image.mode == "CMYK" else "RGB"
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        return (_kept if len(profile) <= KEPT_BYTES else _transform)(profile, wanted)
    described = None if wanted == "CMYK" else _described(image.info)
    try:
        return None if described is None else _kept(matrix_profile(*described), "RGB")
    except (np.linalg.LinAlgError, OverflowError, struct.error):
        return None  # primaries or a gamma that no light has


def _transform(profile: bytes, wanted: str) -> _Transform:
    """The transform of a profile for pictures of the mode ``wanted``, where it is for such and changes anything."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _SPACES.get(opened.profile.xcolor_space)
        if mode != wanted:
            return None
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return None if mode != "CMYK" and _changes_nothing(transform, mode) else (transform, mode)
    except Exception:
        # LittleCMS answers damaged profiles with PyCMSError, OSError, ValueError and more: none of them makes the
        # picture unreadable.
        return None


_kept = lru_cache(maxsize=32)(_transform)


@lru_cache(maxsize=1)
def _lab() -> _Transform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB"), "LAB"


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether it leaves colours from all over its space as they are."""
    steps = np.arange(0, 256, 1 if mode == "L" else 15, dtype=np.uint8)
    grid = steps[:, None] if mode == "L" else np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 18, 3)
    before = Image.fromarray(grid)
    after = ImageCms.applyTransform(before, transform)
    assert after is not None
    return int(np.abs(np.asarray(after, dtype=int) - np.asarray(before.convert("RGB"))).max()) <= SAME_LEVELS


def _described(info: Mapping[Any, Any]) -> tuple[Primaries, Curve] | None:
    """Primaries and curve that a file without a profile declares, where they are not sRGB's."""
    code = info.get("nclx_profile")  # HEIF, AVIF
    if isinstance(code, Mapping):
        primaries = _PRIMARIES_OF_H273.get(code.get("color_primaries", 2))
        curve = _CURVES_OF_H273.get(code.get("transfer_characteristics", 2))
        known = primaries is not None and curve is not None and (primaries, curve) != (SRGB_PRIMARIES, SRGB_CURVE)
        return (primaries, curve) if known and primaries is not None and curve is not None else None
    gamma = info.get("gamma")  # PNG
    if "srgb" in info or not isinstance(gamma, float) or not 0.1 <= gamma <= 2:
        return None
    given = _pairs(info.get("chromaticity"))
    chosen = SRGB_PRIMARIES if given is None else given
    usual = np.abs(np.array(chosen) - np.array(SRGB_PRIMARIES)).max() < 0.005
    if usual and abs(gamma - _SRGB_GAMMA) < 0.005:
        return None
    return chosen, SRGB_CURVE if abs(gamma - _SRGB_GAMMA) < 0.0005 else 1 / gamma


def _pairs(values: object) -> Primaries | None:
    if not isinstance(values, tuple) or len(values) != 8:
        return None
    pairs = tuple((float(x), float(y)) for x, y in zip(values[::2], values[1::2], strict=True))
    return (pairs[0], pairs[1], pairs[2], pairs[3]) if all(y > 0 for _, y in pairs) else None
