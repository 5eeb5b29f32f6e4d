"""What the page shows of a prediction and of an error, as text and rows."""

from __future__ import annotations

from collections import Counter

from pointrend.errors import RequestError
from pointrend.prediction import Prediction
from pointrend.render import labels

COLUMNS = ("Object", "Score", "Size (px)", "Share of the photo")


def rows(prediction: Prediction) -> list[list[str]]:
    """A row an instance under :data:`COLUMNS`, best first."""
    pixels = prediction.width * prediction.height
    return [
        [
            label,
            f"{instance.score:.0%}",
            f"{instance.bbox[2]:.0f} x {instance.bbox[3]:.0f}",
            f"{instance.area / pixels:.1%}",
        ]
        for label, instance in zip(labels(prediction), prediction.instances, strict=True)
    ]


def summary(prediction: Prediction) -> str:
    """One sentence on what was found, and how long it took."""
    took = f"{sum(prediction.timing_ms.values()) / 1000:.2f} s on the server"
    if not prediction.instances:
        return f"Nothing was found at this threshold ({took}). Lower it to see less certain objects."
    counts = Counter(instance.category for instance in prediction.instances)
    found = ", ".join(f"{count} x {category}" for category, count in counts.most_common())
    return f"**Found {found}** in {prediction.width} x {prediction.height} pixels ({took})."


def complaint(error: RequestError) -> str:
    """A failure as the reader of the page needs it."""
    return f"⚠️ {error.message}"


def reliability(name: str, reliable: tuple[str, ...], all_names: tuple[str, ...]) -> str:
    """What the served model finds well and what it only knows of."""
    others = [category for category in all_names if category not in reliable]
    text = f"**{name}** finds {_listed(reliable)} reliably" if reliable else f"**{name}**"
    if others:
        text += f"; it also knows {_listed(tuple(others))}, but misses or confuses them often"
    return text + "."


def _listed(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
