import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

import pointrend
from pointrend import Options, Prediction
from pointrend.config.schema import ConvMaskConfig, ModelConfig
from pointrend.errors import InvalidOption
from pointrend.images.decode import decode
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.loading import load
from pointrend.modeling.rcnn import RCNN
from tests.demo_models import REFERENCE, SMALL_RCNN

PHOTO = decode((Path(__file__).parents[1] / "demo" / "astronaut.png").read_bytes())
ALL = Options(score_threshold=0.0, categories=("all",))


@pytest.fixture(scope="module")
def segmenter():
    return load("demo")


def test_importing_the_package_does_not_import_torch():
    code = "import sys, pointrend, pointrend.client, pointrend.visualize.overlay; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_prediction_survives_json(segmenter):
    prediction = segmenter(PHOTO, ALL)
    again = Prediction.from_dict(prediction.to_dict())
    assert len(again.instances) == len(prediction.instances)
    for instance, copy in zip(prediction.instances, again.instances, strict=True):
        assert np.array_equal(instance.mask(), copy.mask())
        assert copy.score == pytest.approx(instance.score, abs=1e-4)


def test_area_and_mask_and_box_agree(segmenter):
    for instance in segmenter(PHOTO, ALL).instances:
        assert coco_mask.area(instance.segmentation) == instance.area
        rows, columns = np.nonzero(instance.mask())
        x, y, width, height = instance.bbox
        if instance.area:
            assert columns.min() >= np.floor(x)
            assert columns.max() < np.ceil(x + width)
            assert rows.min() >= np.floor(y)
            assert rows.max() < np.ceil(y + height)


def test_thresholds_cut_the_same_list(segmenter):
    everything = segmenter(PHOTO, ALL).instances
    above = segmenter(PHOTO, replace(ALL, score_threshold=0.5)).instances
    assert [each.score for each in above] == [each.score for each in everything if each.score >= 0.5]
    assert len(segmenter(PHOTO, replace(ALL, max_detections=3)).instances) == 3


def test_categories_by_name_and_id(segmenter):
    only = segmenter(PHOTO, replace(ALL, categories=("Person",))).instances
    assert {each.category for each in only} == {"person"}
    assert [each.score for each in only] == [
        each.score for each in segmenter(PHOTO, replace(ALL, categories=("1",))).instances
    ]
    with pytest.raises(InvalidOption, match=r"knows no category .cats.\. Did you mean .cat."):
        segmenter(PHOTO, Options(categories=("cats",)))


def test_without_masks_the_area_stays(segmenter):
    with_masks = segmenter(PHOTO).instances
    without = segmenter(PHOTO, Options(masks="none")).instances
    assert [each.area for each in without] == [each.area for each in with_masks]
    assert {each.segmentation for each in without} == {None}
    with pytest.raises(ValueError, match="masks=none"):
        without[0].mask()


def test_detection_is_the_same_boxes_alone(segmenter):
    with_masks = segmenter(PHOTO, ALL).instances
    boxes = segmenter(PHOTO, replace(ALL, task="detection")).instances
    assert [each.bbox for each in boxes] == [each.bbox for each in with_masks]
    assert {(each.area, each.segmentation) for each in boxes} == {(None, None)}


def test_segments_are_the_masks_laid_over_each_other(segmenter):
    found = segmenter(PHOTO, ALL).instances
    expected = np.zeros(PHOTO.shape[:2], int)
    for instance in reversed(found):
        expected[instance.mask()] = instance.category_id
    prediction = segmenter(PHOTO, replace(ALL, task="semantic"))
    assert prediction.instances == ()
    assert [each.area for each in prediction.segments] == sorted((e.area for e in prediction.segments), reverse=True)
    drawn = np.zeros(PHOTO.shape[:2], int)
    for segment in prediction.segments:
        assert segment.mask().sum() == segment.area
        drawn[segment.mask()] = segment.category_id
    assert np.array_equal(drawn, expected)
    bare = segmenter(PHOTO, replace(ALL, task="semantic", masks="none")).segments
    assert [(each.category, each.area) for each in bare] == [(e.category, e.area) for e in prediction.segments]


def test_polygons_are_the_masks(segmenter):
    found = segmenter(PHOTO, ALL).instances
    traced = segmenter(PHOTO, replace(ALL, masks="polygon")).instances
    large = [pair for pair in zip(found, traced, strict=True) if pair[0].area > 400]
    assert large
    for instance, polygon in large:
        mask, drawn = instance.mask(), polygon.mask(PHOTO.shape[:2])
        assert (mask & drawn).sum() / (mask | drawn).sum() > 0.9
        assert polygon.area == instance.area


def test_an_early_stop_moves_outlines_by_less_than_a_pixel(segmenter):
    """What is off lies on the outline of the exact mask, one pixel to either side."""
    small = decode((Path(__file__).parents[1] / "demo" / "coffee.png").read_bytes())[::4, ::4].copy()
    exact = segmenter(small, replace(ALL, exact=True)).instances
    fast = segmenter(small, ALL).instances
    assert any(max(each.bbox[2:]) < 56 for each in exact)
    changed = outlines = 0
    for one, other in zip(exact, fast, strict=True):
        mask = np.pad(one.mask(), 1)
        neighbours = [np.roll(mask, shift, axis) for axis in (0, 1) for shift in (-1, 1)]
        outline = np.any([each != mask for each in neighbours], axis=0)[1:-1, 1:-1]
        off = one.mask() != other.mask()
        changed += off.sum()
        outlines += outline.sum()
    assert changed < 0.1 * outlines


def grids(prediction):
    return [each.grid for each in prediction.instances]


@pytest.mark.parametrize(("refinement", "side"), [(0, 7), (1, 28), (2, 56), (3, 112), (4, 224)])
def test_the_grid_is_that_of_the_refinement(segmenter, refinement, side):
    exact = segmenter(PHOTO, Options(refinement=refinement, exact=True))
    assert exact.instances
    assert set(grids(exact)) == {side}
    assert grids(segmenter(PHOTO, Options(refinement=refinement, masks="none"))) == grids(
        segmenter(PHOTO, Options(refinement=refinement))
    )


def test_the_grid_of_a_small_object_is_the_first_whose_cells_are_half_a_pixel(segmenter):
    found = segmenter(PHOTO[::3, ::3].copy(), ALL).instances
    for instance in found:
        needed = 2 * max(instance.bbox[2:])
        assert instance.grid == next(side for side in (28, 56, 112, 224) if side >= min(needed, 224))
    assert len({each.grid for each in found}) > 2


def test_a_convolutional_head_has_one_grid_and_boxes_have_none(segmenter):
    assert set(grids(segmenter(PHOTO, replace(ALL, mask_head="conv")))) == {28}
    detection = segmenter(PHOTO, Options(task="detection"))
    assert set(grids(detection)) == {None}
    assert "grid" not in detection.instances[0].to_dict()


def test_the_grid_survives_json(segmenter):
    prediction = segmenter(PHOTO, ALL)
    assert grids(Prediction.from_dict(prediction.to_dict())) == grids(prediction)


@pytest.mark.parametrize(("refinement", "count"), [(0, 0), (1, 784), (2, 784), (4, 784)])
def test_points_lie_in_the_box_of_their_instance(segmenter, refinement, count):
    options = Options(refinement=refinement, exact=True, points=True)
    prediction = segmenter(PHOTO, options)
    assert prediction.instances
    for instance in prediction.instances:
        assert len(instance.points) == len(set(instance.points)) == count
        x, y, width, height = instance.bbox
        assert all(x <= px <= x + width and y <= py <= y + height for px, py in instance.points)
    without = segmenter(PHOTO, replace(options, points=False))
    assert [each.segmentation for each in without.instances] == [each.segmentation for each in prediction.instances]
    assert {each.points for each in without.instances} == {None}
    assert "points" not in without.instances[0].to_dict()
    again = Prediction.from_dict(prediction.to_dict())
    assert again.instances[0].points is not None
    assert len(again.instances[0].points) == count


def test_points_are_where_the_last_step_changed_the_mask(segmenter):
    """Beyond the points, the finer mask is the coarser one enlarged: what changes is near points, unlike the rest."""
    before, after = (segmenter(PHOTO, Options(refinement=step, exact=True, points=True)) for step in (2, 3))
    best = after.instances[0]
    near = np.zeros((after.height, after.width), dtype=bool)
    reach = round(2 * max(best.bbox[2:]) / 112)  # two cells of the grid
    for x, y in np.array(best.points).astype(int):
        near[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = True
    changed = before.instances[0].mask() != best.mask()
    assert near[changed].mean() > 0.85
    assert near[~changed].mean() < 0.6


def test_points_of_a_head_without_any_are_refused():
    segmenter = load(SMALL_RCNN)
    assert isinstance(segmenter, InstanceSegmenter)
    config = segmenter.model.config
    assert isinstance(config, ModelConfig)
    network = RCNN(replace(config, coarse_mask=None, point_head=None, conv_mask=ConvMaskConfig()))
    convolutional = InstanceSegmenter(network.eval(), segmenter.info)
    with pytest.raises(InvalidOption, match="points=true is for masks that are refined at points"):
        convolutional(PHOTO, Options(points=True))


def test_a_mask_head_that_the_model_lacks_is_named():
    without = load(REFERENCE)
    with pytest.raises(InvalidOption, match="mask_head can only be point"):
        without(PHOTO, Options(mask_head="conv"))


def test_the_second_mask_head_draws_other_masks_in_the_same_boxes(segmenter):
    points, constant = (segmenter(PHOTO, Options(mask_head=head)).instances for head in ("point", "conv"))
    assert [each.bbox for each in points] == [each.bbox for each in constant]
    ours, theirs = points[0].mask(), constant[0].mask()
    assert 0.6 < (ours & theirs).sum() / (ours | theirs).sum() < 1


def test_categories_that_a_model_does_not_list_as_reliable_are_hidden_until_asked_for():
    segmenter = load(SMALL_RCNN)
    everything = {each.name for each in segmenter(PHOTO, replace(ALL, categories=("all",))).instances}
    shown = {each.name for each in segmenter(PHOTO, replace(ALL, categories=None)).instances}
    assert shown == everything & set(segmenter.info.reliable)
    hidden = sorted(everything - shown)
    assert hidden
    assert {each.category for each in segmenter(PHOTO, replace(ALL, categories=(hidden[0],))).instances} == {hidden[0]}


def test_nothing_found_is_an_answer(segmenter):
    assert segmenter(PHOTO, Options(score_threshold=1.0)).instances == ()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (900, 2, 3)])
def test_extreme_photos_are_segmented(segmenter, shape):
    prediction = segmenter(np.full(shape, 128, np.uint8), ALL)
    assert (prediction.height, prediction.width) == shape[:2]


@pytest.mark.parametrize("image", [PHOTO[..., 0], PHOTO.astype(np.float32), PHOTO[:0], PHOTO[..., :2]])
def test_what_is_no_rgb_photo_is_refused(segmenter, image):
    with pytest.raises(TypeError, match="HWC uint8 RGB"):
        segmenter(image)


def test_load_is_offered_by_the_package():
    assert pointrend.load("demo").info.name == "pointrend-demo"
