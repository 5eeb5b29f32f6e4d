"""Any JSON is a prediction whose methods all work, or is refused with the field that is at fault."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointrend.errors import InvalidPrediction, PointRendError
from pointrend.exporters.coco import coco_dataset, to_coco
from pointrend.exporters.labelme import to_labelme
from pointrend.exporters.mask_pngs import to_mask_pngs
from pointrend.exporters.yolo import to_yolo
from pointrend.masks.polygons import polygons
from pointrend.masks.probabilities import encode_probabilities
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction, Segment
from pointrend.visualize.display import show
from pointrend.visualize.label_map import encode_label_map
from pointrend.visualize.uncertainty import uncertainty_picture

SIZE = 12, 16
MASK = np.zeros(SIZE, bool)
MASK[3:9, 2:11] = True
RLE = encode_crop(MASK, 0, 0, *SIZE)


def instance(segmentation):
    crop = encode_probabilities(2, 3, np.full((6, 9), 200, np.uint8))
    return Instance(1, "person", 0.75, (2.0, 3.0, 9.0, 6.0), 54, segmentation, ((2.5, 3.5),), 0.8, 0.1, crop, 56)


TREES = [
    Prediction(16, 12, (instance(RLE), instance(polygons(MASK, 0, 0))), {"name": "m"}, {"decode": 1.0}).to_dict(),
    Prediction(16, 12, (instance(None),), {"name": "m", "version": "1"}, task="detection").to_dict(),
    Prediction(16, 12, (), {}, task="semantic", segments=(Segment(7, "sky", 54, RLE),)).to_dict(),
]

NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 1, 1e300, 10**400, 2**31, 2**63, float("nan"), 11.5, 16, 12])
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8), st.sampled_from(["", "semantic", RLE["counts"]])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.lists(NUMBERS, max_size=10),
        st.dictionaries(st.sampled_from(["size", "counts", "width", "area", "bbox", "x"]), inner, max_size=3),
    ),
    max_leaves=12,
)


def use(prediction):
    """All that is done with a prediction."""
    size = prediction.height, prediction.width
    assert Prediction.from_dict(json.loads(json.dumps(prediction.to_dict(), allow_nan=False))).width == size[1]
    json.dumps(prediction.to_dict(), ensure_ascii=False).encode()
    found = prediction.segments if prediction.task == "semantic" else prediction.instances
    masked = all(each.segmentation is not None for each in found)
    for each in found:
        if each.segmentation is not None:
            assert each.mask(size).shape == size
        if isinstance(each, Instance) and each.probabilities is not None:
            x, y, crop = each.probability_crop()
            assert x + crop.shape[1] <= size[1]
            assert y + crop.shape[0] <= size[0]
    if masked:
        assert prediction.masks().shape == (len(found), *size)
    assert show(np.zeros((*size, 3), np.uint8), prediction, max_side=64).width <= 64
    assert uncertainty_picture(np.zeros((*size, 3), np.uint8), prediction).shape == (*size, 3)
    if prediction.task != "semantic":
        to_coco(prediction, 1)
        coco_dataset([], [])
        to_labelme(prediction, "photo.jpg")
        to_yolo(prediction, [each.category_id for each in found])
        if masked:
            list(to_mask_pngs(prediction))
            encode_label_map(prediction)


def places(tree, path=()):
    """The path of everything in a tree."""
    yield path
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(value, (*path, key))


def put(tree, path, value):
    if not path:
        return value
    tree = copy.deepcopy(tree)
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return tree


@pytest.mark.parametrize("tree", TREES, ids=["instances", "detection", "semantic"])
def test_what_was_written_is_read(tree):
    prediction = Prediction.from_dict(json.loads(json.dumps(tree)))
    use(prediction)
    assert prediction.to_dict() == tree
    for each in tree.get("instances", []):
        assert Instance.from_dict(each).to_dict() == each
    for each in tree.get("segments", []):
        assert Segment.from_dict(each).to_dict() == each


@given(st.data())
@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_anything_is_used_or_refused(data):
    tree = data.draw(st.sampled_from(TREES))
    path = data.draw(st.sampled_from(list(places(tree))))
    changed = put(tree, path, data.draw(JSON))
    try:
        prediction, refused = Prediction.from_dict(changed), None
    except InvalidPrediction as error:
        refused = error
    if refused is None:
        use(prediction)
    else:
        assert refused.field
        assert len(str(refused)) < 1000
        assert str(refused).isprintable()


@given(JSON)
def test_anything_is_an_instance_or_refused(tree):
    for kind in (Instance, Segment):
        with pytest.raises(InvalidPrediction):
            kind.from_dict(tree)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("instances", 1, "segmentation", 0),
            [0, 0, 1e300, 0, 5, 5],
            r"\[1\]\.segmentation\[0\] leads outside",
        ),
        (("instances", 0, "segmentation", "counts"), "~", r"instances\[0\]\.segmentation\.counts cannot be read: The"),
        (("instances", 0, "segmentation", "size"), [16, 12], r"size must be the image's, \[12, 16\], not \[16, 12\]"),
        (("instances", 0, "score"), True, r"instances\[0\]\.score must be a finite number from 0 to 1, not True"),
        (
            ("instances", 0, "mask_score"),
            1.5,
            r"\[0\]\.mask_score must be a finite number from 0 to 1, not 1.5",
        ),
        (("instances", 0, "grid"), 0, r"instances\[0\]\.grid must be a whole number from 1 to 2147483647, not 0"),
        (
            ("instances", 0, "probabilities", "x"),
            8,
            r"\[0\]\.probabilities cannot be read: 9x6 pixels at 8, 3",
        ),
        (("instances", 0, "bbox"), [0, 0, 20, 5], r"instances\[0\]\.bbox leads outside the image of 16x12 pixels"),
        (("image", "width"), 10**9, r"image has 1000000000x12 pixels; at most 50000000 are accepted"),
        (("task",), "\x1b[2J", r"task must be one of .*, not '\\x1b\[2J'"),
    ],
)
def test_errors_name_field_limit_and_value(path, value, message):
    with pytest.raises(InvalidPrediction, match=message) as raised:
        Prediction.from_dict(put(TREES[0], path, value))
    assert isinstance(raised.value, PointRendError)
    assert isinstance(raised.value, ValueError)


def test_minus_zero_is_zero():
    prediction = Prediction.from_dict(put(TREES[0], ("instances", 0, "score"), -0.0))
    assert str(prediction.instances[0].score) == "0.0"


def test_larger_photos_are_accepted_where_they_are_asked_for():
    tree = {**TREES[1], "image": {"width": 100_000, "height": 1000}}
    with pytest.raises(InvalidPrediction, match="at most 50000000"):
        Prediction.from_dict(tree)
    assert Prediction.from_dict(tree, max_pixels=10**8).width == 100_000
