"""Drawing what was found: masks over the image, with outlines and labels. Needs no torch.

Shapes: H, W are the image's height and width, h, w those of a mask's own window, all in pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pointrend.masks.decode import Window, window
from pointrend.structures.labels import instance_labels
from pointrend.structures.prediction import Instance, Prediction, Segment
from pointrend.visualize.palettes import Colour, category_colour, colour

Box = tuple[float, float, float, float]
Style = tuple[str, Colour]
"""What an instance is called, and its colour."""


def overlay(
    image: NDArray[np.uint8],
    prediction: Prediction,
    opacity: float = 0.5,
    only: Collection[int] | None = None,
    *,
    styles: Sequence[Style] | None = None,
) -> NDArray[np.uint8]:
    """Draw what was found on a copy of the image: masks with outlines and labels, or boxes where there are no masks.

    Instances have a colour each, and where masks overlap the best is on top; segments have their category's colour.
    Masks are blended inside their own windows.

    Args:
        image: (H, W, 3) uint8 RGB, the upright image that ``prediction`` is of.
        prediction: what was found.
        opacity: of the masks' fill, from 0 (outlines only) to 1.
        only: places of the instances to draw; each keeps the label and the colour that it has among all.
        styles: the name and the colour of each instance; by default it is numbered within its category.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: the image's size is not the prediction's, the opacity is out of range, or there are not as many
            styles as instances.
    """
    height, width = image.shape[:2]
    if (width, height) != (prediction.width, prediction.height):
        raise ValueError(
            f"The image is {width}x{height} and the prediction of one of {prediction.width}x{prediction.height}."
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be from 0 to 1, not {opacity}.")
    canvas = Image.fromarray(image)
    line = max(1, round(min(width, height) / 320))
    draw = ImageDraw.Draw(canvas)
    layers = _layers(prediction, only, styles)
    for layer in reversed(layers):
        if layer.window is None:
            draw.rectangle(layer.box, outline=layer.colour, width=line)
        else:
            x, y, mask = layer.window
            canvas.paste(layer.colour, (x, y), Image.fromarray(_alpha(mask, opacity, line)))
    _draw_labels(draw, (width, height), layers)
    return np.array(canvas)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One thing to draw; ``window`` is its mask, or None where its box is drawn instead."""

    text: str
    colour: Colour
    box: Box
    window: Window | None


def _layers(prediction: Prediction, only: Collection[int] | None, styles: Sequence[Style] | None) -> list[_Layer]:
    """What to draw, the topmost first."""
    size = prediction.height, prediction.width
    if prediction.task == "semantic":
        return [
            _Layer(
                f"{segment.category}  {segment.area / (size[0] * size[1]):.0%}",
                category_colour(segment.category_id, segment.category),
                *drawn,
            )
            for segment in prediction.segments
            if (drawn := _segment_window(segment, size)) is not None
        ]
    if styles is None:
        styles = [(name, colour(index)) for index, name in enumerate(instance_labels(prediction))]
    return [
        _Layer(
            f"{name}  {instance.score:.0%}",
            shade,
            _corners(instance),
            None if instance.segmentation is None else window(instance.segmentation, size),
        )
        for index, (instance, (name, shade)) in enumerate(zip(prediction.instances, styles, strict=True))
        if only is None or index in only
    ]


def _segment_window(segment: Segment, size: tuple[int, int]) -> tuple[Box, Window] | None:
    if segment.segmentation is None:
        return None
    x, y, mask = window(segment.segmentation, size)
    return (x, y, x + mask.shape[1], y + mask.shape[0]), (x, y, mask)


def _alpha(mask: NDArray[np.bool_], opacity: float, line: int) -> NDArray[np.uint8]:
    """(h, w) opacity of a mask in 0..255: full along its inner border, ``line`` pixels wide."""
    inner = np.pad(mask, 1)
    for _ in range(line):
        core = inner[1:-1, 1:-1]
        shrunk = core & inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
        inner[1:-1, 1:-1] = shrunk
    border = mask & ~inner[1:-1, 1:-1]
    alpha = mask.astype(np.uint8) * np.uint8(round(opacity * 255))
    alpha[border] = 255
    return alpha


def _corners(instance: Instance) -> Box:
    x, y, width, height = instance.bbox
    return x, y, x + width, y + height


def _draw_labels(draw: ImageDraw.ImageDraw, size: tuple[int, int], layers: Iterable[_Layer]) -> None:
    width, height = size
    font = ImageFont.load_default(size=min(40, max(11, round(min(width, height) / 32))))
    placed: list[Box] = []
    for layer in layers:
        text, fill = layer.text, layer.colour
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        pad = max(2, round((bottom - top) / 4))
        text_width, text_height = right - left + 2 * pad, bottom - top + 2 * pad
        if text_width > width or text_height > height:
            continue  # the image is smaller than its own label
        x0, y0, _, y1 = layer.box
        x = min(max(x0, 0), width - text_width)
        heights = [y0 - text_height, y0, y0 + text_height, y1 - text_height, y1]
        spots = [(x, min(max(y, 0), height - text_height)) for y in heights]
        spot = next((s for s in spots if not _overlaps((*s, s[0] + text_width, s[1] + text_height), placed)), spots[0])
        box = (*spot, spot[0] + text_width, spot[1] + text_height)
        placed.append(box)
        draw.rectangle(box, fill=fill)
        draw.text((spot[0] + pad - left, spot[1] + pad - top), text, fill=_ink(fill), font=font)


def _ink(background: Colour) -> Colour:
    """Black or white, whichever stands out (luma of ITU-R BT.601)."""
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


def _overlaps(box: Box, others: Iterable[Box]) -> bool:
    x0, y0, x1, y1 = box
    return any(x0 < right and left < x1 and y0 < bottom and top < y1 for left, top, right, bottom in others)
