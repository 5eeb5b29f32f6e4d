"""What a pipeline is called with: an image, or several in one of the forms that transformers knows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from PIL import Image

from pointrend.errors import InvalidRequest
from pointrend.images.inputs import ImageInput

_URL = re.compile("([A-Za-z][A-Za-z0-9+.-]+)://|(data):")  # a drive of Windows has one letter
_FORMS = "a path, a file's bytes, an HWC uint8 RGB array or a PIL image"


def is_image(value: Any) -> TypeGuard[ImageInput]:
    """Whether it is one image, by its type."""
    return isinstance(value, str | Path | bytes | bytearray | np.ndarray | Image.Image)


def check_image(value: Any, where: str) -> ImageInput:
    """The same, which must be an image that may be opened.

    Args:
        value: from the caller.
        where: how the caller knows it.

    Raises:
        InvalidRequest: it is a URL.
        TypeError: it has none of the forms of an image.
    """
    if not is_image(value):
        raise TypeError(f"{where}: an image is {_FORMS}, not {type(value).__name__}.")
    # Of the URL only its scheme is repeated: the rest may hold a secret.
    if isinstance(value, str) and (url := _URL.match(value)):
        raise InvalidRequest(
            f"{where} is a URL ({url[1] or url[2]}:), and no URL is opened: download the image and give its path or "
            f"its bytes.",
            field="inputs",
        )
    return value


def several(inputs: Any) -> Iterable[Any]:
    """The images of an iterator or a data set, one at a time.

    Raises:
        TypeError: it is neither.
    """
    # A tensor would be taken for a data set of its rows.
    if not isinstance(inputs, dict) and not hasattr(inputs, "__array__"):
        if isinstance(inputs, Iterable):
            return inputs
        if hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__"):  # torch.utils.data.Dataset
            return (inputs[number] for number in range(len(inputs)))
    raise TypeError(f"inputs: {_FORMS}, or a list, an iterator or a data set of those, not {type(inputs).__name__}.")
