import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gradio_app.result import (
    BOXES,
    CUTOUTS,
    MASKS,
    MOST_OBJECTS,
    SCREEN_SIDE,
    SEMANTIC,
    UNSURE,
    VIEWS,
    Result,
    ViewSelection,
)
from pointrend.errors import RequestError, UnsupportedImage
from pointrend.masks.probabilities import encode_probabilities
from pointrend.masks.rle import encode_crop
from pointrend.structures.corrections import Add, Delete, Merge
from pointrend.structures.prediction import Instance, Prediction
from pointrend.visualize.palettes import colour


def instance(category_id, category, score, x, y, width, height, size):
    crop = np.ones((height, width), dtype=bool)
    segmentation = encode_crop(crop, x, y, *size)
    return Instance(category_id, category, score, (x, y, width, height), width * height, segmentation)


def make(height=100, width=200, scale=1):
    """Two overlapping people and a dog on a grey photo; all lengths times ``scale``."""
    size = height * scale, width * scale
    people = [(1, "person", 0.9, (10, 10, 60, 60)), (1, "person", 0.4, (50, 30, 50, 60))]
    places = [people[0], (18, "dog", 0.7, (120, 20, 40, 40)), people[1]]
    found = tuple(
        instance(number, name, score, x * scale, y * scale, w * scale, h * scale, size)
        for number, name, score, (x, y, w, h) in places
    )
    file = io.BytesIO()
    Image.new("RGB", (size[1], size[0]), (128, 128, 128)).save(file, "PNG")
    prediction = Prediction(size[1], size[0], found, {"name": "m", "version": "1"})
    return Result.of("photo.png", file.getvalue(), prediction)


def test_the_choice_decides_what_is_visible():
    result = make()
    assert result.visible(ViewSelection()) == [0, 1]
    assert result.visible(ViewSelection(threshold=0.1)) == [0, 1, 2]
    assert result.visible(ViewSelection(threshold=0.1, categories=("person",))) == [0, 2]
    assert result.visible(ViewSelection(categories=())) == []
    kept = result.visible_prediction(ViewSelection(threshold=0.1, categories=("person",)))
    assert [each.score for each in kept.instances] == [0.9, 0.4]


def test_what_the_viewer_kept_decides_alone():
    result = make()
    assert result.visible(ViewSelection(kept=())) == []
    assert result.visible(ViewSelection(threshold=0.9, categories=("dog",), kept=(2, 0, 7))) == [0, 2]
    kept = result.visible_prediction(ViewSelection(kept=(1,)))
    assert [each.category for each in kept.instances] == ["dog"]


def test_what_is_hidden_is_not_drawn_and_the_rest_keeps_its_colour():
    result = make()
    dog = result.full_picture(ViewSelection(categories=("dog",), opacity=1))
    assert not (dog != result.screen).any(axis=2)[70:90, 20:70].any()
    assert tuple(dog[55, 150]) == colour(1)  # the dog comes second, whoever is hidden


@pytest.mark.parametrize("view", [MASKS, BOXES])
def test_what_is_singled_out_stays_bright(view):
    result = make()
    picture = result.full_picture(ViewSelection(view=view, opacity=0, chosen=1))
    assert tuple(picture[50, 140]) == (128, 128, 128)
    assert picture[90, 15].max() < 60


def test_something_hidden_cannot_be_singled_out():
    result = make()
    assert np.array_equal(result.full_picture(ViewSelection(chosen=2)), result.full_picture(ViewSelection()))


def test_views_differ_and_leave_the_photo_as_it_is():
    result = make()
    before = result.screen.copy()
    pictures = {
        view: result.full_picture(ViewSelection(view=view, threshold=0.1)).tobytes()
        for view in VIEWS
        if view != CUTOUTS
    }
    assert len(set(pictures.values())) == len(pictures) == 4
    assert np.array_equal(result.screen, before)


def unsure(prediction):
    """The same, where no pixel of an object is sure."""
    crops = [np.full((int(each.bbox[3]), int(each.bbox[2])), 128, np.uint8) for each in prediction.instances]
    return replace(
        prediction,
        instances=tuple(
            replace(each, probabilities=encode_probabilities(int(each.bbox[0]), int(each.bbox[1]), crop))
            for each, crop in zip(prediction.instances, crops, strict=True)
        ),
    )


def test_what_is_unsure_is_coloured_of_what_is_visible():
    result = make()
    known = result.with_probabilities(unsure(result.prediction))
    assert known.nbytes > result.nbytes
    picture = known.full_picture(ViewSelection(view=UNSURE, threshold=0.6))
    coloured = np.ptp(picture.astype(int), axis=2) > 60
    assert coloured[10:70, 10:70].all()
    assert coloured[20:60, 120:160].all()
    assert coloured.sum() == 60 * 60 + 40 * 40  # the second person is below the threshold


def test_objects_of_drawn_boxes_need_no_probabilities():
    result = make()
    drawn = replace(result.prediction.instances[2], score=0.3)
    known = result.edited(Delete((1,))).edited(Add((drawn,))).with_probabilities(unsure(result.found))
    assert [each.probabilities is None for each in known.prediction.instances] == [False, False, True]
    assert [each.score for each in known.prediction.instances] == [0.9, 0.4, 0.3]


def test_corrections_are_of_the_shown_photo_too_and_are_undone_one_by_one():
    for scale in (1, 20):  # shown as it is, and smaller
        result = make(scale=scale)
        merged = result.edited(Merge((2, 0)))
        assert (merged.labels, merged.origins) == (("person 1", "dog 1"), (0, 1))
        both = [result.scaled.instances[index].mask() for index in (0, 2)]
        assert (merged.scaled.instances[0].mask() == both[0] | both[1]).mean() > 0.99
        deleted = merged.edited(Delete((0,)))
        assert (deleted.labels, deleted.origins, len(deleted.edits)) == (("dog 1",), (1,), 2)
        assert deleted.scaled.instances == merged.scaled.instances[1:]
        undone = deleted.undone()
        assert undone.prediction == merged.prediction
        assert undone.scaled == merged.scaled
        assert (undone.labels, undone.origins) == (merged.labels, (None, 0))
        again = undone.undone()
        assert (again.prediction, again.scaled, again.edits) == (result.prediction, result.scaled, ())
        with pytest.raises(RequestError, match="There is no correction to undo"):
            again.undone()


def test_no_more_objects_are_made_than_are_kept():
    result = make()
    object_ = result.prediction.instances[0]
    full = result.edited(Add((object_,) * (MOST_OBJECTS - 3)))
    with pytest.raises(RequestError, match=f"would have {MOST_OBJECTS + 1} objects; at most {MOST_OBJECTS}"):
        full.edited(Add((object_,)))
    assert full.drawn == 1


def test_probabilities_of_another_model_are_refused():
    result = make()
    other = replace(result.prediction, instances=result.prediction.instances[:2])
    with pytest.raises(RequestError, match=r"model has changed .* Press Find again"):
        result.with_probabilities(unsure(other))


def test_the_semantic_map_has_one_colour_a_category():
    result = make()
    picture = result.full_picture(ViewSelection(view=SEMANTIC, threshold=0.1, opacity=1))
    assert tuple(picture[60, 20]) == tuple(picture[80, 90]) == colour(1)
    assert tuple(picture[55, 150]) == colour(18)


def test_a_large_photo_is_shown_scaled_with_its_masks_in_place():
    small, large = make(), make(scale=20)
    assert large.screen.shape == (SCREEN_SIDE // 2, SCREEN_SIDE, 3)
    assert large.full_picture(ViewSelection()).shape == (2000, 4000, 3)
    for index in range(3):
        scaled, original = large.scaled.instances[index], small.prediction.instances[index]
        share = scaled.mask().mean()
        assert share == pytest.approx(original.mask().mean(), rel=0.01)
        assert scaled.bbox == pytest.approx([value * SCREEN_SIDE / 200 for value in original.bbox])


def test_an_instance_of_one_pixel_and_an_empty_one_survive_scaling():
    result = make(scale=20)
    size = result.prediction.height, result.prediction.width
    dot = instance(1, "person", 0.9, 1999, 1001, 1, 1, size)
    empty = replace(dot, segmentation=encode_crop(np.zeros((0, 0), dtype=bool), 0, 0, *size), area=0)
    again = Result.of("p.png", result.data, replace(result.prediction, instances=(dot, empty)))
    assert again.scaled.instances[0].mask().sum() <= 1
    assert again.scaled.instances[1].mask().sum() == 0
    assert again.full_picture(ViewSelection()).shape == (*size, 3)


def test_what_is_no_photo_is_refused():
    with pytest.raises(UnsupportedImage, match="not an image"):
        Result.of("p.png", b"nothing", make().prediction)
