"""Masks for the caller's boxes, of models that classify regions and of those that do not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import pointrend
from pointrend import Options
from pointrend.errors import InvalidOption
from pointrend.images.decode import decode
from pointrend.inference.base import Segmenter
from pointrend.inference.given_boxes import mask_confidence
from pointrend.structures.boxes import BoxPrompt
from pointrend.structures.prediction import Instance
from tests.demo_models import REFERENCE, SMALL_RCNN

PHOTO = decode((Path(__file__).parents[1] / "demo" / "astronaut.png").read_bytes())
THRESHOLDS: dict[str | Path, float] = {"demo": 0.1, SMALL_RCNN: 0.2, REFERENCE: 0.5}  # at which several are found
REGIONAL = (SMALL_RCNN, REFERENCE)


@cache
def load(model: str | Path) -> Segmenter[object]:
    return pointrend.load(model)


@cache
def detected(model: str | Path) -> tuple[Instance, ...]:
    """The worst first, so that an order by score would be another."""
    found = load(model)(PHOTO, Options(score_threshold=THRESHOLDS[model], categories=("all",))).instances[::-1]
    assert len(found) > 1
    return found


def prompts(found: tuple[Instance, ...]) -> tuple[BoxPrompt, ...]:
    return tuple(BoxPrompt(*each.bbox) for each in found)


@pytest.mark.parametrize("model", THRESHOLDS)
def test_a_detections_own_box_gives_its_mask_in_the_order_given(model: str | Path) -> None:
    found = detected(model)
    given = tuple(box._replace(category=each.category) for box, each in zip(prompts(found), found, strict=True))
    answered = load(model)(PHOTO, Options(boxes=given)).instances
    for answer, expected in zip(answered, found, strict=True):
        assert answer.bbox == pytest.approx(expected.bbox, abs=0.01)
        assert (answer.category_id, answer.category) == (expected.category_id, expected.category)
        assert (answer.mask() != expected.mask()).sum() <= 0.002 * expected.mask().sum() + 2
        assert 0.5 <= answer.score <= 1


@pytest.mark.parametrize("model", REGIONAL)
def test_a_class_specific_head_asks_the_box_head_for_what_is_not_given(model: Path) -> None:
    found = detected(model)
    answered = load(model)(PHOTO, Options(boxes=prompts(found))).instances
    assert answered[-1].category == found[-1].category  # the best
    assert all(each.category_id is not None for each in answered)


def test_the_given_category_chooses_the_mask_of_a_class_specific_head() -> None:
    box = prompts(detected(SMALL_RCNN))[-1]
    person, cat = load(SMALL_RCNN)(
        PHOTO, Options(boxes=(box._replace(category="Person"), box._replace(category="17")))
    ).instances
    assert (person.category, cat.category) == ("person", "cat")
    assert not np.array_equal(person.mask(), cat.mask())


def test_a_one_stage_model_leaves_the_category_null_and_has_one_mask_for_all() -> None:
    box = prompts(detected("demo"))[0]
    bare, named = load("demo")(PHOTO, Options(boxes=(box, box._replace(category="cat")))).instances
    assert (bare.category_id, bare.category, bare.name) == (None, None, "object")
    assert (named.category_id, named.category) == (17, "cat")
    assert np.array_equal(bare.mask(), named.mask())
    assert bare.score == named.score


@pytest.mark.parametrize("model", ["demo", SMALL_RCNN])
def test_the_options_of_masks_work_as_ever(model: str | Path) -> None:
    segmenter, boxes = load(model), prompts(detected(model))
    whole = segmenter(PHOTO, Options(boxes=boxes)).instances
    coarse = segmenter(PHOTO, Options(boxes=boxes, refinement=1, exact=True, points=True)).instances
    constant = segmenter(PHOTO, Options(boxes=boxes, mask_head="conv")).instances
    outlines = segmenter(PHOTO, Options(boxes=boxes, masks="polygon")).instances
    bare = segmenter(PHOTO, Options(boxes=boxes, masks="none")).instances
    for one, other, third, traced, none in zip(whole, coarse, constant, outlines, bare, strict=True):
        assert len(other.points or ()) == 784
        assert one.area not in (other.area, third.area)
        assert isinstance(traced.segmentation, list)
        assert (none.area, none.segmentation) == (one.area, None)


@pytest.mark.parametrize("model", ["demo", SMALL_RCNN])
def test_nothing_is_detected(model: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = load(model)
    monkeypatch.setattr(type(segmenter), "_detect", None)
    assert len(segmenter(PHOTO, Options(boxes=((5, 5, 20, 20),))).instances) == 1  # type: ignore[arg-type]
    monkeypatch.setattr(type(segmenter), "_with_masks", None)
    assert segmenter(PHOTO, Options(boxes=())).instances == ()


@pytest.mark.parametrize("model", ["demo", SMALL_RCNN])
def test_boxes_of_any_size_are_answered(model: str | Path) -> None:
    boxes = ((0, 0, 512, 512), (511.5, 511.5, 0.5, 0.5), (-100, -100, 1000, 1000), (3, 4, 0.01, 400), (500, 0, 90, 1))
    answered = load(model)(PHOTO, Options.parse({"boxes": boxes})).instances
    assert answered[2].bbox == (0, 0, 512, 512)
    assert answered[4].bbox == (500, 0, 12, 1)
    again = pointrend.Prediction.from_dict(load(model)(PHOTO, Options.parse({"boxes": boxes})).to_dict())
    assert [each.area for each in again.instances] == [each.area for each in answered]
    strip = load(model)(PHOTO[:1, :300], Options.parse({"boxes": ((290, 0, 20, 5),)})).instances
    assert strip[0].bbox == (290, 0, 10, 1)


def test_a_category_that_the_model_does_not_know_is_refused_by_its_place() -> None:
    boxes = ({"bbox": [1, 2, 30, 40]}, {"bbox": [1, 2, 30, 40], "category": "cats"})
    with pytest.raises(
        InvalidOption, match=r"boxes\[1\]: This model knows no category .cats.\. Did you mean .cat."
    ) as no:
        load("demo")(PHOTO, Options.parse({"boxes": boxes}))
    assert (no.value.field, no.value.code, no.value.value) == ("boxes[1]", "unknown_category", "cats")


def test_the_score_is_the_mean_probability_of_the_masks_own_cells() -> None:
    logits = torch.full((7, 7), -20.0)
    assert mask_confidence(logits) == 0
    logits[2:4, 2:4] = torch.tensor([0.9, 0.9, 0.7, 0.5]).logit().view(2, 2)
    assert mask_confidence(logits) == pytest.approx(0.75)
    assert mask_confidence(torch.full((7, 7), 1e9)) == 1
