"""Draw the README's picture, what the demo model finds on photos: ``python scripts/draw_readme_picture.py``.

The photos are the page's examples, put side by side into docs/readme-picture.jpg. ``--model``
and ``--score`` draw what another model finds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pointrend
from gradio_app.examples import PHOTOS
from pointrend.images.colours import srgb_profile
from pointrend.images.decode import decode
from pointrend.visualize.overlay import overlay

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "readme-picture.jpg"
SHOWN = ("wine.jpg", "motorcycle.jpg", "astronaut.jpg")
HEIGHT = 400  # pixels
GAP = 8


def draw(photos: tuple[str, ...], model: str = "demo", score: float = 0.5) -> tuple[NDArray[np.uint8], int]:
    """The photos with what the model finds on them.

    Args:
        photos: names of files in the page's folder of examples.
        model: as for :func:`pointrend.load`.
        score: the threshold.

    Returns:
        the picture, (HEIGHT, w, 3) uint8 RGB, and the number of objects in it.
    """
    segment = pointrend.load(model)
    found = 0
    parts: list[NDArray[np.uint8]] = []
    for name in photos:
        image = scaled(decode((PHOTOS / name).read_bytes()))
        prediction = segment(image, pointrend.Options(score_threshold=score))
        found += len(prediction.instances)
        parts += [overlay(image, prediction), np.full((HEIGHT, GAP, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1], axis=1), found


def scaled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At the picture's height."""
    height, width = image.shape[:2]
    return np.asarray(Image.fromarray(image).resize((round(width * HEIGHT / height), HEIGHT), Image.Resampling.LANCZOS))


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo", help="a model's name or folder")
    parser.add_argument("--score", type=float, default=0.5, help="score threshold, 0 to 1")
    parser.add_argument("--photos", nargs="+", default=SHOWN, help="files of the page's folder of examples")
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    picture, found = draw(tuple(arguments.photos), arguments.model, arguments.score)
    Image.fromarray(picture).save(arguments.out, quality=88, icc_profile=srgb_profile())
    print(f"{arguments.out}: {found} objects")


if __name__ == "__main__":
    main()
