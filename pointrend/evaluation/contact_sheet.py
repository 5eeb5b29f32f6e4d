"""A picture of many photos with what was found in them: what figures cannot show.

Shapes: H, W height and width of a photo in pixels.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pointrend.datasets.coco import DatasetImage
from pointrend.images.decode import decode
from pointrend.structures.prediction import Prediction
from pointrend.visualize.overlay import overlay

SCORE_THRESHOLD = 0.5  # what the model shows by default
TILE = 400  # pixels, the side of the square that a photo fits into
CAPTION = 22  # pixels below it
GAP = 8
COLUMNS = 5


def choose(photos: Sequence[DatasetImage], count: int, seed: int = 0) -> tuple[DatasetImage, ...]:
    """Take photos by lot, one of each source in turn, so that a small source is seen beside a large one."""
    lot = random.Random(seed)
    by_source: dict[str, list[DatasetImage]] = {}
    for photo in photos:
        by_source.setdefault(photo.source, []).append(photo)
    for group in by_source.values():
        lot.shuffle(group)
    in_turn = [photo for rank in zip_longest(*by_source.values()) for photo in rank if photo is not None]
    return tuple(in_turn[:count])


def contact_sheet(photos: Sequence[DatasetImage], predictions: Mapping[int, Prediction]) -> Image.Image:
    """Draw photos with the objects found at score 0.5 or better, and their file names below.

    Args:
        photos: at least one.
        predictions: by photo id.

    Raises:
        ValueError: there is no photo.
    """
    if not photos:
        raise ValueError("A contact sheet needs at least one photo.")
    columns = min(COLUMNS, len(photos))
    rows = -(-len(photos) // columns)
    step_x, step_y = TILE + GAP, TILE + CAPTION + GAP
    sheet = Image.new("RGB", (columns * step_x + GAP, rows * step_y + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    for index, photo in enumerate(photos):
        x, y = GAP + index % columns * step_x, GAP + index // columns * step_y
        picture = _picture(photo, predictions[photo.id])
        sheet.paste(picture, (x + (TILE - picture.width) // 2, y + (TILE - picture.height) // 2))
        draw.text((x, y + TILE + 3), _shorten(photo.path.name, draw, font), fill="black", font=font)
    return sheet


def _picture(photo: DatasetImage, prediction: Prediction) -> Image.Image:
    shown = tuple(instance for instance in prediction.instances if instance.score >= SCORE_THRESHOLD)
    image = decode(photo.path.read_bytes())
    scale = TILE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    drawn = overlay(image, replace(prediction, instances=shown))
    return Image.fromarray(np.asarray(drawn)).resize(size, Image.Resampling.LANCZOS)


def _shorten(name: str, draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Cut a file name in its middle until it fits below a photo."""
    shown = name
    while draw.textlength(shown, font=font) > TILE:
        name = name[: len(name) // 2 - 1] + name[len(name) // 2 + 1 :]
        shown = f"{name[: len(name) // 2]}...{name[len(name) // 2 :]}"
    return shown
