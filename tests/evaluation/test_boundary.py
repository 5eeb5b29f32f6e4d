import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from pointrend.evaluation.boundary import boundary
from pointrend.evaluation.evaluator import Evaluator
from pointrend.evaluation.figures import figures
from pointrend.masks.rle import encode_crop
from tests.evaluation.scenes import found, photo, predictions, rle, thing, truth


def eroded_step_by_step(mask, steps):
    """Erode by a 3x3 square again and again; beyond the photo there is nothing."""
    for _ in range(steps):
        padded = np.pad(mask, 1)
        height, width = mask.shape
        mask = np.all([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    return mask


def test_shifted_squares_by_hand():
    # The diagonal of 100 x 100 is 141.4: d = 3. A square of 20 has an inside of 14.
    one, other = boundary(rle((30, 30, 20, 20), 100)), boundary(rle((31, 30, 20, 20), 100))

    assert coco_mask.area(one) == 20 * 20 - 14 * 14
    # In common are 19 x 20 pixels, of which the insides together cover 15 x 14.
    assert coco_mask.area(coco_mask.merge([one, other], intersect=True)) == 19 * 20 - 15 * 14
    assert coco_mask.iou([one], [other], [0])[0, 0] == pytest.approx(170 / (204 + 204 - 170))


def test_the_photos_border_is_outside():
    assert coco_mask.area(boundary(rle((0, 0, 100, 100), 100))) == 100 * 100 - 94 * 94


def test_a_thin_or_empty_mask_is_its_own_boundary():
    for rectangle in [(10, 10, 6, 50), (10, 10, 0, 0)]:
        assert boundary(rle(rectangle, 100)) == rle(rectangle, 100)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 160))
def test_agrees_with_eroding_step_by_step(seed, height, width):
    generator = np.random.default_rng(seed)
    mask = np.zeros((height, width), dtype=bool)
    for _ in range(generator.integers(1, 6)):  # rectangles with a few holes
        y, x = generator.integers(0, height), generator.integers(0, width)
        mask[y : y + generator.integers(1, height + 1), x : x + generator.integers(1, width + 1)] = True
    mask &= generator.random(mask.shape) > 0.01
    distance = max(1, round(0.02 * np.hypot(height, width)))

    decoded = coco_mask.decode(boundary(encode_crop(mask, 0, 0, height, width))).astype(bool)

    np.testing.assert_array_equal(decoded, mask & ~eroded_step_by_step(mask, distance))


def test_the_smaller_iou_counts():
    # Photos of 200 x 200: d = 6. A square of 40 has an inside of 28 and a boundary of 816 pixels. Shifted by 2, the
    # masks share 38 x 40 of 42 x 40 pixels, 0.905; the boundaries 38 x 40 - 30 x 28 = 680 of 952, 0.714.
    scene = truth([photo(1)], [thing(1, (20, 20, 40, 40))])
    judged = Evaluator(scene).masks(predictions({1: [found((22, 20, 40, 40))]}))
    everything = np.ones(1, dtype=np.int64)

    assert figures(judged.mask, scene, everything).overall.ap == 90
    assert figures(judged.boundary, scene, everything).overall.ap == 50


def test_a_boundary_alone_does_not_make_an_object():
    # A ring as wide as the boundary fits the boundary wholly and the mask by less than half.
    side, d = 120, 6
    ring = np.ones((side, side), dtype=bool)
    ring[d:-d, d:-d] = False
    scene = truth([photo(1)], [thing(1, (20, 20, side, side))])
    answers = predictions({1: [found((20, 20, side, side))]})
    whole = answers[1].instances[0]
    hollow = type(whole)(1, "person", 0.9, whole.bbox, int(ring.sum()), encode_crop(ring, 20, 20, 200, 200))
    answers[1] = type(answers[1])(200, 200, (hollow,), {})

    judged = Evaluator(scene).masks(answers)

    assert figures(judged.boundary, scene, np.ones(1, dtype=np.int64)).overall.ap == 0


def test_in_a_crowd_only_the_mask_counts():
    scene = truth([photo(1)], [thing(1, (10, 10, 40, 40)), thing(1, (60, 60, 130, 130), crowd=True)])
    answers = predictions({1: [found((100, 100, 30, 30), 0.99), found((10, 10, 40, 40), 0.5)]})

    assert figures(Evaluator(scene).masks(answers).boundary, scene, np.ones(1, dtype=np.int64)).overall.ap == 100
