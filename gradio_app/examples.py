"""Photos to try, in the folder ``photos``, with their credits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gradio_app.payload import data_url
from pointrend.errors import RequestError
from pointrend.images.decode import decode

PHOTOS = Path(__file__).parent / "photos"
THUMBNAIL = 168, 120  # pixels, twice what the gallery shows, for dense screens


@dataclass(frozen=True, slots=True)
class Example:
    """A photo that comes with the page.

    Attributes:
        file: its name in the folder.
        label: what the page calls it.
        credit: whose it is, and on what terms, in Markdown.
        shows: the categories of its main objects, one for each of them.
    """

    file: str
    label: str
    credit: str
    shows: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where it is installed."""
        return PHOTOS / self.file

    @property
    def key(self) -> str:
        """What names it in links."""
        return self.label.lower().replace(" ", "-")

    def data(self) -> bytes:
        """The file."""
        return self.path.read_bytes()


CC_BY = "[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/)"
EXAMPLES = (
    Example("astronaut.jpg", "Astronaut", "Eileen Collins, NASA, public domain", ("person",)),
    Example("dogs.jpg", "Dogs", f"by Aitzol Berasategi, cropped, {CC_BY}", ("dog", "dog")),
    Example("coffee.jpg", "Coffee", "by Rachel Michetti, CC0", ("cup", "dining table")),
    Example("wine.jpg", "Wine", f"by Jakub Mede, cropped, {CC_BY}", ("wine glass", "bottle", "dining table")),
    Example("cat-and-mug.jpg", "Cat and mug", "by the Kivy team, MIT licence", ("cat", "cup")),
    Example("motorcycle.jpg", "Motorcycle", "from the Middlebury stereo data of 2014, CC0", ("motorcycle",)),
)
OPENING = EXAMPLES[3]  # what the page opens with: more than one object


def credits() -> str:
    """One line of Markdown that credits every photo."""
    return f"Example photos. {'; '.join(f'{example.label}: {example.credit}' for example in EXAMPLES)}."


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
