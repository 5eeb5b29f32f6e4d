"""Names of single objects: ``person 1`` on an image, ``person-1`` in files."""

from __future__ import annotations

import re
from collections import Counter

from pointrend.structures.prediction import Prediction


def instance_labels(prediction: Prediction) -> list[str]:
    """A unique label for each instance: ``person 1``, ``person 2``, ... within a category from the best score down."""
    numbers: dict[int, int] = {}
    seen: Counter[str] = Counter()
    for index in sorted(range(len(prediction.instances)), key=lambda i: -prediction.instances[i].score):
        seen[prediction.instances[index].name] += 1
        numbers[index] = seen[prediction.instances[index].name]
    return [f"{instance.name} {numbers[index]}" for index, instance in enumerate(prediction.instances)]


def file_name(label: str) -> str:
    """A label such as ``traffic light 2`` as the name of a file, without a suffix: ``traffic_light-2``."""
    category, _, number = label.rpartition(" ")
    safe = re.sub(r"[^\w-]+", "_", category)
    return f"{safe}-{number}"
