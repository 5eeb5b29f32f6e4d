"""An image with more boxes than one request takes: several requests, one prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from pointrend.errors import InvalidOption
from pointrend.structures.boxes import MAX_BOXES
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction


def predict_in_parts(ask: Callable[[Options], Prediction], parts: Sequence[Options]) -> Prediction:
    """Ask for each part of an image's boxes, and join the answers.

    Args:
        ask: predicts the image.
        parts: the same options but for their boxes, :data:`~pointrend.structures.boxes.MAX_BOXES` each but the last.

    Returns:
        the instances of all, in order, and the sum of their times.

    Raises:
        InvalidOption: what ``ask`` raises; a box is called by its place among all.
    """
    answers = []
    for number, options in enumerate(parts):
        try:
            answers.append(ask(options))
        except InvalidOption as error:
            raise _among_all(error, number * MAX_BOXES) from error
    times: Counter[str] = Counter()
    for answer in answers:
        times.update(answer.timing_ms)
    instances = tuple(instance for answer in answers for instance in answer.instances)
    return answers[0] if len(answers) == 1 else replace(answers[0], instances=instances, timing_ms=dict(times))


def _among_all(error: InvalidOption, start: int) -> InvalidOption:
    """The same refusal with the box's place among all boxes, where it is of one."""
    field = error.field or ""
    if not start or not field.startswith("boxes["):
        return error
    place = f"boxes[{start + int(field[len('boxes[') : -1])}]"
    return InvalidOption(
        error.message.replace(field, place), field=place, limit=error.limit, value=error.value, code=error.code
    )
