"""Photos to try, from scikit-image's package, with their credits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageOps

from gradio_app.payload import data_url
from pointrend.errors import RequestError
from pointrend.images.decode import decode

THUMBNAIL = 168, 120  # pixels, twice what the gallery shows, for dense screens


@dataclass(frozen=True, slots=True)
class Example:
    """A photo that scikit-image's wheel carries.

    Attributes:
        file: its name there.
        label: what the page calls it.
        credit: whose it is, and on what terms.
        shows: categories of its main objects.
    """

    file: str
    label: str
    credit: str
    shows: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where it is installed."""
        return Path(skimage.data.__file__).parent / self.file

    @property
    def key(self) -> str:
        """What names it in links."""
        return self.label.lower().replace(" ", "-")

    def data(self) -> bytes:
        """The file."""
        return self.path.read_bytes()


EXAMPLES = (
    Example("astronaut.png", "Astronaut", "Eileen Collins, NASA, public domain", ("person",)),
    Example("coffee.png", "Coffee", "by Rachel Michetti, CC0", ("cup", "dining table")),
    Example("motorcycle_left.png", "Motorcycle", "from the Middlebury stereo data of 2014, CC0", ("motorcycle",)),
    Example("chelsea.png", "Cat", "Chelsea, by Stéfan van der Walt, CC0", ("cat",)),
    Example("camera.png", "Cameraman", "by Lav Varshney, CC0", ("person",)),
)

OPENING = EXAMPLES[2]  # what the page opens with: more than one object


def credits() -> str:
    """One line of Markdown that credits every photo."""
    listed = "; ".join(f"{example.label}: {example.credit}" for example in EXAMPLES)
    return f"Example photos from [scikit-image](https://scikit-image.org/docs/stable/api/skimage.data.html). {listed}."


def by_key(key: str) -> Example:
    """The example that a link names.

    Raises:
        RequestError: there is none of that name.
    """
    for example in EXAMPLES:
        if example.key == key:
            return example
    raise RequestError(
        f"There is no example {key[:40]!r}; there are {', '.join(each.key for each in EXAMPLES)}.",
        field="example",
        code="unknown_example",
        status=404,
    )


@cache
def thumbnail(example: Example) -> str:
    """A small picture of an example, as a ``data:`` URL."""
    picture = Image.fromarray(decode(example.data()))
    return data_url(np.asarray(ImageOps.fit(picture, THUMBNAIL, Image.Resampling.LANCZOS)))
