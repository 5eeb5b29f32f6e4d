"""Boxes that a caller gives: what is read, in which form, and what is refused by its index."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from pointrend.errors import InvalidOption
from pointrend.structures.boxes import OPTION, BoxPrompt, check_inside, to_text
from pointrend.structures.options import Options

ONE, TWO = BoxPrompt(10, 20, 100, 200), BoxPrompt(1.5, 2.5, 3.25, 4.125)


@pytest.mark.parametrize(
    "value",
    [
        [[10, 20, 100, 200], [1.5, 2.5, 3.25, 4.125]],
        "[[10, 20, 100, 200], [1.5, 2.5, 3.25, 4.125]]",
        "10,20,100,200,1.5,2.5,3.25,4.125",
        "[10,20,100,200],[1.5,2.5,3.25,4.125]",  # a form field that was repeated
        [{"bbox": [10, 20, 100, 200]}, {"bbox": [1.5, 2.5, 3.25, 4.125], "category": None, "category_id": None}],
        np.array([[10, 20, 100, 200], [1.5, 2.5, 3.25, 4.125]], np.float32),
        [np.array([10, 20, 100, 200]), torch.tensor([1.5, 2.5, 3.25, 4.125])],
        [(np.float32(10), 20, 100, 200), TWO],
        (ONE, TWO),
    ],
)
def test_every_form_means_the_same(value: Any) -> None:
    assert OPTION.read("boxes", value) == (ONE, TWO)
    assert Options.parse({"boxes": value}).boxes == (ONE, TWO)


def test_one_box_may_stand_alone() -> None:
    for value in ("10,20,100,200", [10, 20, 100, 200], {"bbox": [10, 20, 100, 200]}, ONE, '{"bbox": [10,20,100,200]}'):
        assert OPTION.read("boxes", value) == (ONE,)


def test_none_are_no_boxes() -> None:
    nothing: tuple[Any, ...] = ("[]", [], (), np.zeros((0, 4)))
    for value in nothing:
        assert OPTION.read("boxes", value) == ()


@pytest.mark.parametrize(
    ("fields", "category"),
    [
        ({"category": " cat "}, "cat"),
        ({"category": 17}, "17"),
        ({"category_id": 17}, "17"),
        ({"category_id": 17, "category": "cat", "score": 0.9, "image_id": 3, "segmentation": []}, "17"),
        ({"category_id": None, "category": "cat"}, "cat"),
    ],
)
def test_a_result_may_be_sent_as_it_is(fields: dict[str, Any], category: str) -> None:
    (box,) = OPTION.read("boxes", [{"bbox": [1, 2, 3, 4], **fields}])
    assert box == BoxPrompt(1, 2, 3, 4, category)


@pytest.mark.parametrize(
    "boxes",
    [(), (ONE, TWO), (ONE, TWO._replace(category="a, b")), (ONE._replace(category="ü\"'"),)],
)
def test_the_text_of_a_request_gives_them_back(boxes: tuple[BoxPrompt, ...]) -> None:
    assert OPTION.read("boxes", to_text(boxes)) == boxes
    uneven = np.array([[1 / 3, 2 / 3, 1e4 / 3, 0.1]], np.float32)
    again = OPTION.read("boxes", to_text(OPTION.read("boxes", uneven)))
    assert np.array_equal(np.array([box[:4] for box in again], np.float32), uneven)


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        ([[1, 2, 3, 4], [1, 2, 3]], "boxes[1]", "boxes[1] must be four numbers"),
        ([[1, 2, 3, 4], {"box": [1, 2, 3, 4]}], "boxes[1]", "boxes[1] must be four numbers"),
        ([[1, 2, 3, "4"]], "boxes[0]", "boxes[0] must be four numbers"),
        ([[1, 2, 3, True]], "boxes[0]", "boxes[0] must be four numbers"),
        ([[1, 2, 3, 4], [1, math.nan, 3, 4]], "boxes[1]", "boxes[1] must be finite numbers, not [1, 'nan', 3, 4]"),
        ("[[1, 2, 3, NaN]]", "boxes[0]", "finite"),
        ([[1, 2, 3, math.inf]], "boxes[0]", "finite"),
        ([[10**400, 2, 3, 4]], "boxes[0]", "finite"),
        ([[1, 2, 3, 4], [1, 2, 0, 4]], "boxes[1]", "at least 0.01 pixels, not 0 and 4"),
        ([[100, 100, -50, 20]], "boxes[0]", "send [x, y, width, height], not two corners"),
        ([[1, 2, 3, 4]] * 101, "boxes", "has 101 boxes; at most 100 are read"),
        ([1, 2, 3], "boxes", "has 3 numbers; a box has four"),
        ([{"bbox": [1, 2, 3, 4], "category": [1]}], "boxes[0]", "must be a name or an id"),
        ([{"bbox": [1, 2, 3, 4], "category_id": True}], "boxes[0]", "must be a name or an id"),
        ([{"bbox": [1, 2, 3, 4], "category": " "}], "boxes[0]", "must be a name or an id"),
        ("", "boxes", "Send [] for no boxes"),
        ("here", "boxes", "must be JSON"),
        ("[" * 100_000, "boxes", "must be JSON"),
        (7, "boxes", "must be a list of boxes"),
    ],
)
def test_what_is_no_box_is_refused_by_its_place(value: Any, field: str, said: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        Options.parse({"boxes": value})
    assert said in raised.value.message
    assert (raised.value.field, raised.value.status) == (field, 422)
    json.dumps(raised.value.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "beside", [{"task": "detection"}, {"task": "semantic"}, {"score_threshold": 0.3}, {"max_detections": 5}]
)
def test_what_chooses_among_detections_is_refused_beside_boxes(beside: dict[str, Any]) -> None:
    ((name, _),) = beside.items()
    for ask in (Options.parse, lambda raw: Options(**raw)):
        with pytest.raises(InvalidOption, match=f"omit {name}") as raised:
            ask({"boxes": [ONE], **beside})
        assert (raised.value.field, raised.value.code) == (name, "unsupported_combination")
    assert Options.parse({"boxes": [ONE], "task": "instances", "score_threshold": 0.5}).boxes == (ONE,)


def test_boxes_are_clipped_to_their_image() -> None:
    overhanging = [BoxPrompt(-5, 10, 20, 1e300), BoxPrompt(630, -10, 20, 11)]
    assert check_inside(overhanging, 640, 480) == [(0, 10, 15, 480), (630, 0, 640, 1)]


@pytest.mark.parametrize(
    "box",
    [
        BoxPrompt(640, 0, 10, 10),
        BoxPrompt(0, 480, 10, 10),
        BoxPrompt(-10, 0, 10, 10),
        BoxPrompt(0, -20, 5, 19),
        BoxPrompt(1e9, 0, 1, 1),
    ],
)
def test_a_box_outside_its_image_is_refused_by_its_place(box: BoxPrompt) -> None:
    with pytest.raises(InvalidOption, match=r"boxes\[1\] .* outside the image of 640x480 pixels") as raised:
        check_inside([ONE, box], 640, 480)
    assert (raised.value.field, raised.value.limit, raised.value.value) == ("boxes[1]", [640, 480], list(box[:4]))
