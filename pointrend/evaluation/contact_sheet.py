"""A picture of many images with what was found in them: what figures cannot show.

Shapes: H, W height and width of an image in pixels.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pointrend.datasets.coco import DatasetImage
from pointrend.datasets.image_file import read_pixels
from pointrend.structures.prediction import Prediction
from pointrend.visualize.overlay import overlay

SCORE_THRESHOLD = 0.5  # what the model shows by default
TILE = 400  # pixels, the side of the square that an image fits into
CAPTION = 22  # pixels below it
GAP = 8
COLUMNS = 5


def choose(images: Sequence[DatasetImage], count: int, seed: int = 0) -> tuple[DatasetImage, ...]:
    """Take images by lot, one of each source in turn, so that a small source is seen beside a large one."""
    lot = random.Random(seed)
    by_source: dict[str, list[DatasetImage]] = {}
    for image in images:
        by_source.setdefault(image.source, []).append(image)
    for group in by_source.values():
        lot.shuffle(group)
    in_turn = [image for rank in zip_longest(*by_source.values()) for image in rank if image is not None]
    return tuple(in_turn[:count])


def contact_sheet(images: Sequence[DatasetImage], predictions: Mapping[int, Prediction]) -> Image.Image:
    """Draw images with the objects found at score 0.5 or better, and their file names below.

    Args:
        images: at least one.
        predictions: by image id.

    Raises:
        ValueError: there is no image.
    """
    if not images:
        raise ValueError("A contact sheet needs at least one photo.")
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    step_x, step_y = TILE + GAP, TILE + CAPTION + GAP
    sheet = Image.new("RGB", (columns * step_x + GAP, rows * step_y + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    for index, image in enumerate(images):
        x, y = GAP + index % columns * step_x, GAP + index // columns * step_y
        picture = _picture(image, predictions[image.id])
        sheet.paste(picture, (x + (TILE - picture.width) // 2, y + (TILE - picture.height) // 2))
        draw.text((x, y + TILE + 3), _shorten(image.path.name, draw, font), fill="black", font=font)
    return sheet


def _picture(image: DatasetImage, prediction: Prediction) -> Image.Image:
    shown = tuple(instance for instance in prediction.instances if instance.score >= SCORE_THRESHOLD)
    pixels = read_pixels(image.path)
    scale = TILE / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    drawn = overlay(pixels, replace(prediction, instances=shown))
    return Image.fromarray(np.asarray(drawn)).resize(size, Image.Resampling.LANCZOS)


def _shorten(name: str, draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Cut a file name in its middle until it fits below an image."""
    shown = name
    while draw.textlength(shown, font=font) > TILE:
        name = name[: len(name) // 2 - 1] + name[len(name) // 2 + 1 :]
        shown = f"{name[: len(name) // 2]}...{name[len(name) // 2 :]}"
    return shown
