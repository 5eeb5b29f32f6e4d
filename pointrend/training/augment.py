"""From a labelled image to a training crop: large-scale jitter, flip and colours (Ghiasi et al., arXiv:2012.07177).

Shapes: S side of the crop in pixels, G objects, K categories, H, W the image's height and width in pixels.
Coordinates are (x, y) in pixels from the left top corner of the image or of the crop; pixel i covers [i, i + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pointrend.datasets.annotations import LabelledImage, LabelledObject
from pointrend.training.sample import Sample

THINNEST = 2  # pixels: a box that is thinner has no mask worth learning
LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue in grey (ITU-R BT.601)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How a crop may differ from its image.

    Attributes:
        side: S.
        jitter: the least and the greatest scale, relative to the one that fits the image's longer side into the crop.
        flip: probability of mirroring left and right.
        brightness, contrast, saturation: by how much each may change; 0.2 is a factor from 0.8 to 1.2.
        hue: by how much of a full turn the colours may turn, either way.
        visible: the least fraction of an object's area that must be left in the crop for it to count as one; what is
            left of others is neutral.
        fill: RGB outside the image, as the network's normalisation takes to nought.
        squeeze: from how little to how far the image is squeezed into a square: 0 keeps its aspect, 1 is all the way.
    """

    side: int
    jitter: tuple[float, float] = (0.4, 1.6)
    flip: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.3
    hue: float = 0.02
    visible: float = 0.1
    fill: tuple[int, int, int] = (127, 127, 127)
    squeeze: tuple[float, float] = (0.0, 0.0)

    def __call__(self, image: LabelledImage, rng: np.random.Generator) -> Sample:
        """Make a crop of an image; the same for the same state of the generator.

        Raises:
            DataError: the image cannot be read.
        """
        # Not drawn where it is of no use: the numbers drawn after it stay what they were.
        squeeze = rng.uniform(*self.squeeze) if any(self.squeeze) else 0.0
        placement = place(
            (image.width, image.height), self.side, rng.uniform(*self.jitter), rng.random(2), squeeze=squeeze
        )
        colours = self._colours(rng)
        flipped = rng.random() < self.flip
        pixels = self._image(image, placement, colours)
        masks, classes, neutral = self._objects(image, placement)
        if flipped:
            pixels, masks = pixels[:, ::-1], masks[:, :, ::-1]
            neutral = [(self.side - x1, y0, self.side - x0, y1) for x0, y0, x1, y1 in neutral]
        stack = torch.from_numpy(np.ascontiguousarray(masks))
        return Sample(
            image=torch.from_numpy(np.ascontiguousarray(pixels)),
            boxes=tight_boxes(stack),
            classes=torch.tensor(classes, dtype=torch.int64),
            masks=stack,
            neutral=torch.tensor(neutral, dtype=torch.float32).reshape(-1, 4),
            labelled=torch.tensor(image.labelled),
        )

    def _image(self, image: LabelledImage, placement: Placement, colours: NDArray[np.float64]) -> NDArray[np.uint8]:
        """(S, S, 3) RGB."""
        source = image.read(max(placement.scale_x, placement.scale_y))
        x0, y0, x1, y1 = placement.target
        # A JPEG may have been decoded at a half or less, its last column and row then stand for part of a pixel.
        reduction = round(max(image.width, image.height) / max(source.size))
        left, top, right, bottom = (edge / reduction for edge in placement.source(placement.target))
        # Rounding must not lead a hair outside of the image.
        box = (max(left, 0.0), max(top, 0.0), min(right, source.width), min(bottom, source.height))
        scaled = source.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=box)
        mean = float(LUMA @ np.asarray(scaled).mean(axis=(0, 1)))
        # Contrast pulls towards the image's mean grey, which the matrix's last column holds as a fraction of it.
        matrix = colours * np.array([1.0, 1.0, 1.0, mean])
        scaled = scaled.convert("RGB", tuple(float(value) for value in matrix.ravel()))
        canvas = np.empty((self.side, self.side, 3), dtype=np.uint8)
        canvas[:] = self.fill
        canvas[y0:y1, x0:x1] = np.asarray(scaled)
        return canvas

    def _objects(
        self, image: LabelledImage, placement: Placement
    ) -> tuple[NDArray[np.bool_], list[int], list[tuple[int, int, int, int]]]:
        """Masks (G, S, S) and categories of the objects that are left in the crop, and boxes of what is neutral."""
        kept: list[tuple[LabelledObject, tuple[int, int, int, int], NDArray[np.bool_]]] = []
        neutral: list[tuple[int, int, int, int]] = []
        for item in image.objects:
            x, y, mask = item.window()
            box, part = place_mask(mask, x, y, placement)
            if not part.any():
                continue
            tight = _tight(part, box[0], box[1])
            left = int(part.sum()) / (int(mask.sum()) * placement.scale_x * placement.scale_y)
            thin = min(tight[2] - tight[0], tight[3] - tight[1]) < THINNEST
            if item.crowd or thin or left < self.visible:
                neutral.append(tight)
            else:
                kept.append((item, box, part))
        masks = np.zeros((len(kept), self.side, self.side), dtype=np.bool_)
        for stack, (_, (x0, y0, x1, y1), part) in zip(masks, kept, strict=True):
            stack[y0:y1, x0:x1] = part
        return masks, [item.category for item, _, _ in kept], neutral

    def _colours(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """An affine map (3, 4) of RGB; the last column is in units of the image's mean grey."""
        around = [1 + amount * rng.uniform(-1, 1) for amount in (self.brightness, self.contrast, self.saturation)]
        return colour_matrix(*around, turn=self.hue * rng.uniform(-1, 1))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in the crop.

    Attributes:
        scale_x, scale_y: pixels of the crop for a pixel of the image; without squeezing they differ by the rounding
            of the size.
        x, y: the image's left top corner in the crop, negative where the crop cuts it off.
        target: the part (x0, y0, x1, y1) of the crop that the image fills.
    """

    scale_x: float
    scale_y: float
    x: int
    y: int
    target: tuple[int, int, int, int]

    def source(self, box: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
        """The part of the image that a box of the crop shows."""
        x0, y0, x1, y1 = box
        return (
            (x0 - self.x) / self.scale_x,
            (y0 - self.y) / self.scale_y,
            (x1 - self.x) / self.scale_x,
            (y1 - self.y) / self.scale_y,
        )


def place(
    size: tuple[int, int], side: int, jitter: float, where: NDArray[np.float64], *, squeeze: float = 0.0
) -> Placement:
    """Scale an image and place it in a crop, or the crop in it.

    Args:
        size: the image's (W, H).
        side: S.
        jitter: the scale, relative to the one that fits the longer side into the crop.
        where: (2,) in [0, 1): how far to the right and down, of what is possible.
        squeeze: 0 keeps the image's aspect, 1 makes it a square; in between its shorter side grows by a power.
    """
    longest = max(size)
    scaled = [max(round(jitter * side * (length / longest) ** (1 - squeeze)), 1) for length in size]
    corner = [math.floor(part * (abs(side - length) + 1)) for part, length in zip(where, scaled, strict=True)]
    x, y = (at if length <= side else -at for at, length in zip(corner, scaled, strict=True))
    target = (max(x, 0), max(y, 0), min(x + scaled[0], side), min(y + scaled[1], side))
    return Placement(scaled[0] / size[0], scaled[1] / size[1], x, y, target)


def place_mask(
    mask: NDArray[np.bool_], x: int, y: int, placement: Placement
) -> tuple[tuple[int, int, int, int], NDArray[np.bool_]]:
    """Scale a mask as its image is scaled, only where it lies.

    Args:
        mask: (h, w), inside its window.
        x, y: the window's left and top in the image.
        placement: of the image.

    Returns:
        a box of the crop, and the mask inside it; a pixel belongs to the mask that covers at least half of it. A
        box without pixels for a mask that lies outside the crop.
    """
    height, width = mask.shape
    x0 = max(math.floor(x * placement.scale_x) + placement.x, placement.target[0])
    y0 = max(math.floor(y * placement.scale_y) + placement.y, placement.target[1])
    x1 = min(math.ceil((x + width) * placement.scale_x) + placement.x, placement.target[2])
    y1 = min(math.ceil((y + height) * placement.scale_y) + placement.y, placement.target[3])
    if x0 >= x1 or y0 >= y1:
        return (0, 0, 0, 0), np.zeros((0, 0), dtype=np.bool_)
    # Pillow reads outside the window as if the edge went on: an empty rim as wide as its filter says otherwise.
    rim = math.ceil(max(1 / placement.scale_x, 1 / placement.scale_y, 1)) + 1
    padded = np.zeros((height + 2 * rim, width + 2 * rim), dtype=np.uint8)
    padded[rim:-rim, rim:-rim] = mask
    padded *= 255
    left, top, right, bottom = placement.source((x0, y0, x1, y1))
    box = (left - x + rim, top - y + rim, right - x + rim, bottom - y + rim)
    scaled = Image.fromarray(padded).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=box)
    return (x0, y0, x1, y1), np.asarray(scaled) >= 128


def tight_boxes(masks: torch.Tensor) -> torch.Tensor:
    """The smallest boxes (G, 4) that hold masks (G, S, S), none of them empty."""
    columns, rows = masks.any(dim=1).byte(), masks.any(dim=2).byte()
    width, height = columns.shape[1], rows.shape[1]
    return torch.stack(
        [
            columns.argmax(dim=1),
            rows.argmax(dim=1),
            width - columns.flip(1).argmax(dim=1),
            height - rows.flip(1).argmax(dim=1),
        ],
        dim=1,
    ).float()


def colour_matrix(brightness: float, contrast: float, saturation: float, *, turn: float = 0.0) -> NDArray[np.float64]:
    """Brightness, contrast, saturation and hue as one affine map of RGB.

    Args:
        brightness: factor of all colours.
        contrast: factor of their distance from the image's mean grey.
        saturation: factor of their distance from their own grey.
        turn: of the hue about the grey axis, in full turns.

    Returns:
        (3, 4): factors of R, G and B, and of the image's mean grey (0 to 255).
    """
    angle = 2 * math.pi * turn
    grey = np.full(3, 3**-0.5)
    cross = np.cross(np.eye(3), grey).T
    # Rodrigues' rotation about the grey axis.
    rotation = math.cos(angle) * np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * np.outer(grey, grey)
    desaturation = saturation * np.eye(3) + (1 - saturation) * LUMA[None]
    colours = brightness * contrast * desaturation @ rotation
    return np.column_stack((colours, np.full(3, brightness * (1 - contrast))))


def _tight(mask: NDArray[np.bool_], x: int, y: int) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1
