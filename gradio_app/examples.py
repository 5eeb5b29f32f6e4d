"""Photos to try, from scikit-image's package, with their credits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import skimage.data


@dataclass(frozen=True, slots=True)
class Example:
    """A photo that scikit-image's wheel carries."""

    file: str
    label: str
    credit: str

    @property
    def path(self) -> Path:
        """Where it is installed."""
        return Path(skimage.data.__file__).parent / self.file


EXAMPLES = (
    Example("astronaut.png", "Astronaut", "Eileen Collins, NASA, public domain"),
    Example("coffee.png", "Coffee", "by Rachel Michetti, CC0"),
    Example("motorcycle_left.png", "Motorcycle", "from the Middlebury stereo data of 2014, CC0"),
    Example("chelsea.png", "Cat", "Chelsea, by Stéfan van der Walt, CC0"),
)


def credits() -> str:
    """One line of Markdown that credits every photo."""
    listed = "; ".join(f"{example.label}: {example.credit}" for example in EXAMPLES)
    return f"Example photos from [scikit-image](https://scikit-image.org/docs/stable/api/skimage.data.html). {listed}."
