"""Effects on the background: objects stay as they are, everything around them is replaced. Needs no torch.

Shapes: H, W of the image in pixels. The image is worked on in strips, so that an effect costs little more memory than
its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pointrend.masks.alpha import OPAQUE, SOFT, Alpha, soft_alpha
from pointrend.masks.decode import Segmentation, window
from pointrend.visualize.foreground import foreground
from pointrend.visualize.palettes import Colour

Effect = Literal["blur", "grey", "colour", "transparent", "picture"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)
WHITE: Colour = (255, 255, 255)
BLUR_SHARE = 1 / 60
"""The blur's standard deviation as a share of the image's longer side."""
_BLURRED_SIDE = 720  # a blur has no detail: it is computed on an image of at most about twice this
_STRIP_ROWS = 256

_Pixels = NDArray[np.uint8]
_Rows = Callable[[int, int], _Pixels]  # the background's rows from one to before another: (rows, W, 3), or one colour


def apply_effect(
    image: NDArray[np.uint8],
    masks: Iterable[Segmentation],
    effect: Effect = "blur",
    *,
    colour: Colour = WHITE,
    background: NDArray[np.uint8] | None = None,
    alpha: Alpha = SOFT,
) -> NDArray[np.uint8]:
    """Replace everything outside the masks.

    >>> masks = [instance.segmentation for instance in prediction.instances]  # doctest: +SKIP
    >>> portrait = apply_effect(image, masks, "blur")  # doctest: +SKIP

    ===============  ==============================================================================
    ``blur``         the background blurred; the objects' colours do not bleed into it
    ``grey``         the background without its colours (luma of ITU-R BT.601)
    ``colour``       one colour
    ``transparent``  nothing: its pixels are transparent black, so that the file does not hold them
    ``picture``      another image, scaled to cover and cropped at its sides or at top and bottom
    ===============  ==============================================================================

    Args:
        image: (H, W, 3) uint8 RGB, upright.
        masks: of what stays as it is: run lengths of the image's size, or polygons in its pixels; their union counts.
        effect: one of :data:`EFFECTS`.
        colour: of the background where the effect is ``colour``: red, green and blue, 0 to 255.
        background: (any height, any width, 3) uint8 RGB, where the effect is ``picture``.
        alpha: ``soft`` anti-aliases the outlines and leaves the old background's colours out of them; ``hard`` replaces
            exactly what lies outside the masks.

    Returns:
        (H, W, 3) uint8 RGB, or (H, W, 4) RGBA, not premultiplied, where the effect is ``transparent``.

    Raises:
        ValueError: the effect is unknown or lacks its background, the colour is out of range, or a mask is of another
            size.
    """
    if effect not in EFFECTS:
        raise ValueError(f"effect must be one of {', '.join(EFFECTS)}, not {effect!r}.")
    if effect == "colour" and (len(colour) != 3 or not all(0 <= value <= 255 for value in colour)):
        raise ValueError(f"colour must be three values from 0 to 255, not {colour!r}.")
    if effect == "picture" and background is None:
        raise ValueError("The effect 'picture' needs another image as background.")
    height, width = image.shape[:2]
    kept = _union(masks, (height, width))
    opacity = soft_alpha(kept) if alpha == SOFT else kept.view(np.uint8) * np.uint8(OPAQUE)
    objects = foreground(image, opacity)
    if effect == "transparent":
        return np.concatenate((objects, opacity[..., None]), axis=2)
    rows = _background(image, kept, effect, colour, background)
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(height, top + _STRIP_ROWS)
        _put_behind(objects[top:bottom], opacity[top:bottom], rows(top, bottom))
    return objects


def _put_behind(objects: _Pixels, opacity: NDArray[np.uint8], background: _Pixels) -> None:
    """Composite a strip of objects over their new background, in place."""
    behind = np.broadcast_to(background, objects.shape)
    np.copyto(objects, behind, where=opacity[..., None] == 0)
    edge = (opacity > 0) & (opacity < OPAQUE)
    share = opacity[edge][:, None] / np.float32(OPAQUE)
    objects[edge] = share * objects[edge] + (1 - share) * behind[edge] + 0.5


def _union(masks: Iterable[Segmentation], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W): what any of the masks covers."""
    kept = np.zeros(size, np.bool_)
    for mask in masks:
        if isinstance(mask, dict) and tuple(mask["size"]) != size:
            raise ValueError(f"A mask has {tuple(mask['size'])} rows and columns and the image {size}.")
        x, y, inside = window(mask, size)
        kept[y : y + inside.shape[0], x : x + inside.shape[1]] |= inside
    return kept


def _background(
    image: _Pixels, kept: NDArray[np.bool_], effect: Effect, colour: Colour, background: _Pixels | None
) -> _Rows:
    height, width = kept.shape
    if effect == "grey":
        return lambda top, bottom: np.asarray(Image.fromarray(image[top:bottom]).convert("L"))[..., None]
    if effect == "picture":
        assert background is not None
        return _resized(Image.fromarray(background), _covering(background.shape[:2], (height, width)), (height, width))
    if effect == "colour" or kept.all():  # without a background there is nothing to blur
        return lambda _top, _bottom: np.array(colour, np.uint8)
    small = _blurred(image, kept)
    factor = _reduction((height, width))
    return _resized(small, (0, 0, width / factor, height / factor), (height, width))


def _covering(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest part, in the middle, that has the wanted proportions: left, top, right, bottom."""
    height, width = size
    scale = max(wanted[0] / height, wanted[1] / width)
    across, down = min(width, wanted[1] / scale), min(height, wanted[0] / scale)
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down


def _resized(picture: Image.Image, part: tuple[float, float, float, float], size: tuple[int, int]) -> _Rows:
    """A part of a picture, stretched to (H, W), a strip of rows at a time; strips meet without a seam."""
    height, width = size
    left, upper, right, lower = part
    step = (lower - upper) / height

    def rows(top: int, bottom: int) -> _Pixels:
        box = left, upper + top * step, right, min(lower, upper + bottom * step)
        strip = picture.resize((width, bottom - top), Image.Resampling.BILINEAR, box=box)
        return np.asarray(strip)[..., :3]

    return rows


def _reduction(size: tuple[int, int]) -> int:
    """The whole number that an image's sides are divided by before it is blurred."""
    return max(1, max(size) // _BLURRED_SIDE)


def _blurred(image: _Pixels, kept: NDArray[np.bool_]) -> Image.Image:
    """The background alone, reduced and blurred: RGBA whose alpha says how much background was near.

    Pillow weighs colours by their alpha where it scales RGBA. Blurred as premultiplied colours too, the objects have no
    part in what is seen around them.
    """
    height, width = kept.shape
    factor = _reduction((height, width))
    small = Image.new("RGBA", (-(-width // factor), -(-height // factor)))
    rows = max(1, _STRIP_ROWS // factor) * factor  # a block of pixels that becomes one lies in one strip
    for top in range(0, height, rows):
        strip = Image.fromarray(image[top : top + rows])
        strip.putalpha(Image.fromarray(~kept[top : top + rows]).convert("L"))
        small.paste(strip.reduce(factor), (0, top // factor))
    radius = max(1.0, max(height, width) * BLUR_SHARE / factor)
    return small.convert("RGBa").filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
