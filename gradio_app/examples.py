"""Photos to try, from scikit-image's package, with their credits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import skimage.data


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


EXAMPLES = (
    Example("astronaut.png", "Astronaut", "Eileen Collins, NASA, public domain", ("person",)),
    Example("coffee.png", "Coffee", "by Rachel Michetti, CC0", ("cup", "dining table")),
    Example("motorcycle_left.png", "Motorcycle", "from the Middlebury stereo data of 2014, CC0", ("motorcycle",)),
    Example("chelsea.png", "Cat", "Chelsea, by Stéfan van der Walt, CC0", ("cat",)),
    Example("camera.png", "Cameraman", "by Lav Varshney, CC0", ("person",)),
)


def credits() -> str:
    """One line of Markdown that credits every photo."""
    listed = "; ".join(f"{example.label}: {example.credit}" for example in EXAMPLES)
    return f"Example photos from [scikit-image](https://scikit-image.org/docs/stable/api/skimage.data.html). {listed}."
