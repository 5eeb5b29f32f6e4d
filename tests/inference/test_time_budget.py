"""Masks within a budget: never later than it by more than one step, and with time enough those of no budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pointrend
from pointrend import Options
from pointrend.config.schema import ConvMaskConfig, ModelConfig
from pointrend.errors import InvalidOption
from pointrend.images.decode import decode
from pointrend.inference.budget import Budget, refine_within
from pointrend.inference.instances import InstanceSegmenter
from pointrend.modeling.rcnn import RCNN
from pointrend.modeling.roi_heads.mask_chunk import MaskChunk
from pointrend.structures.boxes import BoxPrompt
from pointrend.structures.prediction import Prediction
from tests.demo_models import REFERENCE, SMALL_RCNN

PHOTO = decode((Path(__file__).parents[1] / "demo" / "coffee.png").read_bytes())
ALL = Options(score_threshold=0.05, categories=("all",))
LONG = 600_000


class Clock:
    """Stands still unless it is told how long something took."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True, eq=False)
class TimedChunk(MaskChunk):
    """Takes the time that it is given, and computes nothing."""

    clock: Clock | None = None
    seconds: tuple[float, ...] = ()
    log: list[tuple[int, float]] | None = None

    def step(self) -> None:
        assert self.clock is not None
        assert self.log is not None
        assert not self.is_finished
        self.log.append((self.place.start, self.seconds[self.done]))
        self.clock.now += self.seconds[self.done]
        side = 28 * 2**self.done
        self.logits = torch.zeros(len(self.logits), side, side)
        self.done += 1


CHUNKS = st.lists(st.tuples(st.floats(0, 1, width=32), st.lists(st.floats(0.001, 2), max_size=4)), max_size=5)


def run(drawn: list[tuple[float, list[float]]], milliseconds: int) -> tuple[list[tuple[int, float]], list[int], float]:
    """The steps with their seconds, the grids, and how many seconds later than the budget it ended."""
    clock, log = Clock(), list[tuple[int, float]]()
    nothing = cast(Any, None)
    chunks = [
        TimedChunk(
            place=slice(index, index + 1),
            logits=torch.zeros(1, 7, 7),
            steps=len(seconds),
            head=nothing,
            features=nothing,
            first_side=28,
            points=(),
            boxes=nothing,
            classes=nothing,
            coarse=nothing,
            clock=clock,
            seconds=tuple(seconds),
            log=log,
        )
        for index, (_, seconds) in enumerate(drawn)
    ]
    budget = Budget.of(milliseconds, None, clock)
    refine_within(chunks, [torch.tensor([score]) for score, _ in drawn], budget)
    return log, [chunk.logits.shape[-1] for chunk in chunks], clock.now - budget.end


@given(CHUNKS, st.integers(1, 5000))
def test_it_is_late_by_less_than_its_last_step(drawn: list[tuple[float, list[float]]], milliseconds: int) -> None:
    log, _, late = run(drawn, milliseconds)
    if late > 0:
        assert late <= log[-1][1]
    elif late < 0:  # with time left, nothing is left to do
        assert len(log) == sum(len(seconds) for _, seconds in drawn)


@given(CHUNKS, st.integers(1, 5000), st.integers(0, 5000))
def test_more_time_continues_the_same_steps(
    drawn: list[tuple[float, list[float]]], milliseconds: int, more: int
) -> None:
    short, coarser, _ = run(drawn, milliseconds)
    long, finer, _ = run(drawn, milliseconds + more)
    assert long[: len(short)] == short
    assert all(one <= other for one, other in zip(coarser, finer, strict=True))


def test_the_first_grid_comes_before_finer_ones_and_better_objects_before_others() -> None:
    log, grids, _ = run([(0.3, [1.0] * 4), (0.9, [1.0] * 4), (0.5, [1.0])], 4000)
    assert [index for index, _ in log] == [1, 2, 0, 1]
    assert grids == [28, 56, 28]


@cache
def load(model: str | Path, engine: str = "eager") -> InstanceSegmenter:
    segmenter = pointrend.load(model, engine=engine)
    assert isinstance(segmenter, InstanceSegmenter)
    return segmenter


def comparable(prediction: Prediction) -> dict[str, Any]:
    return {**prediction.to_dict(), "timing_ms": None}


BOXES = tuple(BoxPrompt(*box) for box in ((10.0, 20.0, 300.0, 280.0), (200.0, 100.0, 30.0, 40.0), (5.0, 5.0, 9.0, 9.0)))


@pytest.mark.parametrize(
    ("model", "engine", "options"),
    [
        ("demo", "eager", ALL),
        ("demo", "eager", replace(ALL, exact=True, refinement=3, masks="probability")),
        ("demo", "eager", Options(boxes=BOXES)),
        ("demo", "openvino", ALL),
        (SMALL_RCNN, "eager", ALL),
        (SMALL_RCNN, "eager", Options(boxes=BOXES)),
        (REFERENCE, "eager", ALL),
    ],
)
def test_with_time_enough_the_answer_is_that_of_no_budget(model: str | Path, engine: str, options: Options) -> None:
    segmenter = load(model, engine)
    expected = segmenter(PHOTO, options)
    assert len(expected.instances) > 2
    assert comparable(segmenter(PHOTO, replace(options, budget_ms=LONG))) == comparable(expected)


@pytest.mark.parametrize("options", [replace(ALL, exact=True), Options(boxes=BOXES, exact=True)])
def test_without_time_every_object_has_its_coarse_mask(options: Options) -> None:
    clock = Clock()
    segmenter = load("demo")
    patient = InstanceSegmenter(segmenter.model, segmenter.info, clock=clock)
    late = patient(PHOTO, replace(options, budget_ms=50), started=clock.now - 0.05)
    assert {each.grid for each in late.instances} == {7}
    assert comparable(late) == comparable(segmenter(PHOTO, replace(options, refinement=0)))


class Ticking(Clock):
    """A second later each time that it is asked: each step takes one."""

    def __call__(self) -> float:
        self.now += 1
        return self.now


def within(options: Options) -> Iterator[Prediction]:
    """Answers within one more step each."""
    segmenter = load("demo")
    for steps in range(40):
        ticking = InstanceSegmenter(segmenter.model, segmenter.info, clock=Ticking())
        yield ticking(PHOTO, replace(options, budget_ms=1000 * (steps + 1)))


@pytest.mark.parametrize("options", [ALL, Options(boxes=BOXES)], ids=["detected", "boxes"])
def test_each_second_of_a_ticking_clock_is_one_step_more(options: Options) -> None:
    final = load("demo")(PHOTO, options).instances
    before = [7] * len(final)
    for answer in within(options):
        grids = [each.grid or 0 for each in answer.instances]
        grown = [(old, new) for old, new in zip(before, grids, strict=True) if old != new]
        assert all(old < new for old, new in grown)
        assert len(set(grown)) <= 1  # what is refined together had the same grid
        assert len(grown) <= 8
        for each, done in zip(answer.instances, final, strict=True):
            if each.grid == done.grid:
                assert each == done
        before = grids
        if grids == [each.grid for each in final]:
            break
    assert before == [each.grid for each in final]


def test_a_mask_that_stops_early_is_that_of_its_refinement() -> None:
    """All but a few pixels: other objects are multiplied together, and what is nearly undecided may tip over."""
    differing = area = compared = 0
    fixed = {side: load("demo")(PHOTO, replace(ALL, refinement=step)) for step, side in enumerate((7, 28, 56, 112))}
    for answer in within(ALL):
        for index, instance in enumerate(answer.instances):
            if instance.grid in fixed:
                expected = fixed[instance.grid].instances[index].mask()
                differing += int(np.count_nonzero(instance.mask() != expected))
                area += int(np.count_nonzero(expected))
                compared += 1
        if compared > 40:
            break
    assert compared > 10
    assert differing < 0.002 * area


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"task": "detection"}, "task=detection"),
        ({"task": "semantic"}, "task=semantic"),
        ({"points": True}, "points=true"),
        ({"mask_head": "conv"}, "mask_head=conv"),
        ({"tiles": 512}, "tiles=512"),
    ],
)
def test_what_has_no_steps_to_leave_out_is_refused(options: dict[str, Any], named: str) -> None:
    expected = rf"^budget_ms=50 .* does not go with {named}; leave one of the two out\.$"
    with pytest.raises(InvalidOption, match=expected) as raised:
        Options.parse({"budget_ms": "50", **options})
    assert (raised.value.field, raised.value.value, raised.value.code) == ("budget_ms", 50, "unsupported_combination")
    with pytest.raises(InvalidOption, match="budget_ms=50"):
        load("demo")(PHOTO, Options(budget_ms=50, **options))


@pytest.mark.parametrize("value", [0, -5, 600_001, 1.5, "soon", True])
def test_a_budget_of_no_such_time_is_refused(value: Any) -> None:
    with pytest.raises(InvalidOption, match="budget_ms must be a whole number from 1 to 600000"):
        Options(budget_ms=value)


def test_a_model_whose_masks_have_one_grid_refuses_it() -> None:
    segmenter = load(SMALL_RCNN)
    config = segmenter.model.config
    assert isinstance(config, ModelConfig)
    network = RCNN(replace(config, coarse_mask=None, point_head=None, conv_mask=ConvMaskConfig()))
    with pytest.raises(InvalidOption, match=r"budget_ms=50 .* no steps to leave out\. Leave it out\.") as raised:
        InstanceSegmenter(network.eval(), segmenter.info)(PHOTO, Options(budget_ms=50))
    assert (raised.value.field, raised.value.code) == ("budget_ms", "missing_mask_head")
