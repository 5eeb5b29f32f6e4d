"""A toy data set that the tests draw: squares, discs and triangles on noise or on photos, in COCO's format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

CATEGORIES = [{"id": 1, "name": "square"}, {"id": 2, "name": "disc"}, {"id": 3, "name": "triangle"}]


def write(
    folder: Path,
    *,
    train: int,
    val: int = 0,
    side: int = 192,
    seed: int = 0,
    train_grounds: Sequence[Path] = (),
    val_grounds: Sequence[Path] = (),
) -> Path:
    """Write ``instances_train.json``, ``instances_val.json`` and ``images/`` into a folder, and return it.

    With grounds, photos, the shapes are striped or grained and lie on pieces of them; else they are plain, on noise.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for split, count, paths in (("train", train, train_grounds), ("val", val, val_grounds)):
        grounds = [Image.open(path).convert("RGB") for path in paths]
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(1, count + 1):
            name = f"{split}-{number}.png"
            picture, shapes = _photo(rng, side, grounds)
            picture.save(folder / "images" / name)
            images.append({"id": number, "file_name": name, "width": side, "height": side})
            for category, mask in shapes:
                counts = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": category,
                        "iscrowd": 0,
                        "area": int(mask.sum()),
                        "bbox": [float(value) for value in coco_mask.toBbox(counts)],
                        "segmentation": {"size": [side, side], "counts": counts["counts"].decode()},
                    }
                )
        tree = {"images": images, "annotations": annotations, "categories": CATEGORIES}
        (folder / f"instances_{split}.json").write_text(json.dumps(tree), encoding="utf-8")
    return folder


def _photo(
    rng: np.random.Generator, side: int, grounds: Sequence[Image.Image]
) -> tuple[Image.Image, list[tuple[int, np.ndarray]]]:
    picture = _piece(rng, side, grounds[int(rng.integers(len(grounds)))]) if grounds else _noise(rng, side)
    shapes: list[tuple[int, np.ndarray]] = []
    for _ in range(int(rng.integers(1, 4))):
        category = int(rng.integers(1, 4))
        size = int(rng.integers(side // 5, side // 2))
        x, y = (int(value) for value in rng.integers(0, side - size, 2))
        stencil = Image.new("1", (side, side))
        draw = ImageDraw.Draw(stencil)
        box = (x, y, x + size, y + size)
        if category == 1:
            draw.rectangle(box, fill=1)
        elif category == 2:
            draw.ellipse(box, fill=1)
        else:
            draw.polygon([(x + size // 2, y), (x + size, y + size), (x, y + size)], fill=1)
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        paint = _texture(rng, side, colour) if grounds else Image.new("RGB", (side, side), colour)
        picture.paste(paint, mask=stencil)
        mask = np.asarray(stencil)
        # What is painted later hides what was there: a shape that is mostly hidden is not labelled any more.
        shapes = [(number, other & ~mask) for number, other in shapes if (other & ~mask).sum() > 0.3 * other.sum()]
        shapes.append((category, mask))
    return picture, shapes


def _noise(rng: np.random.Generator, side: int) -> Image.Image:
    ground = rng.integers(40, 216, 3) + rng.normal(0, 12, (side, side, 3))
    return Image.fromarray(ground.clip(0, 255).astype(np.uint8))


def _piece(rng: np.random.Generator, side: int, ground: Image.Image) -> Image.Image:
    """A square of a photo, from as large as it can be down to as many pixels as are wanted."""
    wide = int(rng.integers(side, min(ground.size) + 1))
    x, y = (int(rng.integers(0, edge - wide + 1)) for edge in ground.size)
    return ground.resize((side, side), box=(x, y, x + wide, y + wide))


def _texture(rng: np.random.Generator, side: int, colour: tuple[int, ...]) -> Image.Image:
    """Stripes of any direction and width over a colour, or grain."""
    if rng.random() < 0.5:
        angle, width = rng.uniform(0, np.pi), rng.uniform(4, 16)
        y, x = np.mgrid[:side, :side]
        pattern = 40 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / width)[..., None]
    else:
        pattern = rng.normal(0, 25, (side, side, 1))
    return Image.fromarray((np.array(colour) + pattern).clip(0, 255).astype(np.uint8))
