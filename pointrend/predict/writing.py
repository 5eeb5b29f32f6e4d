"""Writes the formats of one image, and the files that all images share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointrend.errors import InvalidRequest
from pointrend.images.inputs import pixels as decode_input
from pointrend.masks.alpha import Alpha
from pointrend.predict.images import ImageFile
from pointrend.predict.saving import SAVERS, Categories, ImageResult
from pointrend.predict.sources import unreadable_image
from pointrend.structures.prediction import Prediction


def write_formats(
    image: ImageFile, prediction: Prediction, formats: Iterable[str], categories: Categories, alpha: Alpha, out: Path
) -> None:
    """Write some formats of an image.

    Args:
        image: with its name.
        prediction: what was found.
        formats: names of :data:`~pointrend.predict.saving.SAVERS`.
        categories: all that the model knows.
        alpha: the edges of cut-outs.
        out: the folder of all results.

    Raises:
        RequestError: a format draws on the image, which cannot be read any more, or has another size by now.
        OSError: a file cannot be written.
    """
    names = sorted(formats)
    pixels = read_pixels(image, prediction) if draws(names) else None
    result = ImageResult(image, prediction, categories, pixels, alpha)
    for name in names:
        if (save := SAVERS[name].save) is not None:
            save(result, out / name)


def write_shared(name: str, results: Sequence[tuple[int, ImageResult]], categories: Categories, out: Path) -> None:
    """Write the files of a format that hold all images, if it has some.

    Args:
        name: of the format.
        results: of the images, each with its number.
        categories: all that the model knows.
        out: the folder of all results.

    Raises:
        OSError: they cannot be written.
    """
    if (finish := SAVERS[name].finish) is not None:
        finish(results, categories, out / name)


def draws(formats: Iterable[str]) -> bool:
    """Whether one of the formats draws on the image."""
    return any(SAVERS[name].draws for name in formats)


def read_pixels(image: ImageFile, prediction: Prediction) -> NDArray[np.uint8]:
    """The image that a prediction is drawn on: (H, W, 3) uint8 RGB.

    Raises:
        RequestError: it cannot be read any more, or has another size by now.
    """
    try:
        decoded = decode_input(image.path)
    except OSError as error:
        raise unreadable_image(error) from error
    height, width = decoded.shape[:2]
    if (width, height) != (prediction.width, prediction.height):
        raise InvalidRequest(
            f"{image.path} was {prediction.width}x{prediction.height} pixels when it was predicted and is now "
            f"{width}x{height}. Run the command again.",
            field="image",
            code="unreadable_photo",
        )
    return decoded
