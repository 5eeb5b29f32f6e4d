"""SAHI itself, from the registry, runs the demo model: in this process, and on a server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pointrend
from pointrend.client import Client
from pointrend.errors import InvalidOption, ServerError
from pointrend.images.inputs import pixels
from pointrend.inference.base import Segmenter
from pointrend.masks.rle import encode_crop
from pointrend.serving.torchserve import TorchServe

DEMO = Path(__file__).parents[1] / "demo"
SIDE = 512


@pytest.fixture(scope="module")
def sahi(sahi_folder: Path) -> Iterator[ModuleType]:
    """SAHI's module of predictions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(sahi_folder))
        import sahi.predict

        yield sahi.predict


@pytest.fixture(scope="module")
def segmenter() -> Segmenter[Any]:
    return pointrend.load("demo")


@pytest.fixture(scope="module")
def wide() -> NDArray[np.uint8]:
    """Two slices: an astronaut in the left one, a cat in the right one."""
    image = np.full((SIDE, 2 * SIDE, 3), 114, np.uint8)
    image[:, :SIDE] = pixels(DEMO / "astronaut.png")
    cat = pixels(DEMO / "chelsea.png")
    image[100 : 100 + cat.shape[0], SIDE + 30 : SIDE + 30 + cat.shape[1]] = cat
    return image


def adapter(*arguments: Any, **keywords: Any) -> Any:
    from pointrend.integrations.sahi import PointRendDetectionModel

    return PointRendDetectionModel(*arguments, **keywords)


def sliced(sahi: ModuleType, image: NDArray[np.uint8], model: Any, **keywords: Any) -> list[Any]:
    result = sahi.get_sliced_prediction(
        image,
        model,
        slice_height=SIDE,
        slice_width=SIDE,
        overlap_height_ratio=0,
        overlap_width_ratio=0,
        perform_standard_pred=False,
        verbose=0,
        **keywords,
    )
    return sorted(result.object_prediction_list, key=lambda each: each.bbox.minx)


def told(found: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (each.category.id, each.category.name, each.score.value, each.bbox.to_xyxy(), each.mask.segmentation)
        for each in found
    ]


def test_masks_of_slices_are_the_models_own_in_the_images_pixels(
    sahi: ModuleType, segmenter: Segmenter[Any], wide: NDArray[np.uint8]
) -> None:
    found = sliced(sahi, wide, adapter(segmenter))
    assert [(each.category.id, each.category.name) for each in found] == [(1, "person"), (17, "cat")]
    for place, each in enumerate(found):
        columns = slice(place * SIDE, (place + 1) * SIDE)
        (own,) = segmenter(np.ascontiguousarray(wide[:, columns])).instances
        mask = each.mask.bool_mask
        assert mask.shape == wide.shape[:2]
        assert np.array_equal(mask[:, columns], own.mask())
        assert mask.sum() == own.area
        assert each.score.value == own.score
        rows, columns_of_mask = np.nonzero(mask)
        box = columns_of_mask.min(), rows.min(), columns_of_mask.max(), rows.max()
        assert each.bbox.to_xyxy() == pytest.approx(box, abs=1)


def test_a_cut_object_becomes_one_and_coco_has_it(sahi: ModuleType, segmenter: Segmenter[Any]) -> None:
    image = pixels(DEMO / "astronaut.png")
    result = sahi.get_sliced_prediction(image, adapter(segmenter), slice_height=320, slice_width=320, verbose=0)
    whole = max(result.object_prediction_list, key=lambda each: each.bbox.area)
    own = segmenter(image).instances[0].mask()
    assert (own & whole.mask.bool_mask).sum() > 0.85 * (own | whole.mask.bool_mask).sum()
    annotations = result.to_coco_annotations()
    assert {each["category_name"] for each in annotations} == {"person"}
    assert all(each["segmentation"] for each in annotations)


@pytest.mark.server
def test_a_server_gives_the_same_one_slice_at_a_time_or_several(
    sahi: ModuleType, served: TorchServe, segmenter: Segmenter[Any], wide: NDArray[np.uint8]
) -> None:
    here = told(sliced(sahi, wide, adapter(segmenter)))
    with Client(served.url) as client:
        model = adapter(client)
        assert model.category_names[:2] == ["person", "bicycle"]
        for slices in (1, 2):
            there = told(sliced(sahi, wide, model, batch_size=slices))
            assert [each[:2] + each[4:] for each in there] == [each[:2] + each[4:] for each in here]
            assert [each[2] for each in there] == pytest.approx([each[2] for each in here], abs=1e-3)
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(ServerError):
        adapter(nobody)


def test_several_slices_at_once_are_the_same_in_this_process(
    sahi: ModuleType, segmenter: Segmenter[Any], wide: NDArray[np.uint8]
) -> None:
    model = adapter(segmenter)
    assert told(sliced(sahi, wide, model, batch_size=2)) == told(sliced(sahi, wide, model))


def test_thresholds_categories_and_options_are_kept(
    sahi: ModuleType, segmenter: Segmenter[Any], wide: NDArray[np.uint8]
) -> None:
    model = adapter(segmenter, categories="cat")
    assert [each.category.name for each in sliced(sahi, wide, model)] == ["cat"]
    assert sliced(sahi, wide, model, confidence_threshold=0.999) == []
    assert model.confidence_threshold == 0.5
    ids = {str(each.id): 100 + each.id for each in segmenter.info.categories}
    renamed = adapter(segmenter, category_mapping={"17": "feline"}, category_remapping=ids)
    assert [(each.category.id, each.category.name) for each in sliced(sahi, wide, renamed)] == [
        (101, "person"),
        (117, "feline"),
    ]
    assert renamed.num_categories == len(segmenter.info.categories)
    boxes = adapter(segmenter, masks="none")
    assert model.has_mask
    assert not boxes.has_mask
    for each, own in zip(sliced(sahi, wide, boxes), sliced(sahi, wide, adapter(segmenter)), strict=True):
        assert each.mask is None
        assert each.bbox.to_xyxy() == pytest.approx(own.bbox.to_xyxy(), abs=20)


def test_a_mask_no_wider_than_a_line_is_left_out(sahi: ModuleType, segmenter: Segmenter[Any]) -> None:
    image = pixels(DEMO / "astronaut.png")
    prediction = segmenter(image)
    line = replace(prediction.instances[0], segmentation=encode_crop(np.ones((1, 9), bool), 5, 5, SIDE, SIDE))
    empty = replace(prediction.instances[0], segmentation=encode_crop(np.zeros((0, 0), bool), 0, 0, SIDE, SIDE))
    model = adapter(segmenter)
    model._original_predictions = [replace(prediction, instances=(line, empty, *prediction.instances))]
    model.convert_original_predictions()
    assert len(model.object_prediction_list) == len(prediction.instances)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tiles": 1024}, "tiles cannot be set here: SAHI cuts the slices"),
        ({"boxes": [[1, 2, 3, 4]]}, "boxes cannot be set here"),
        ({"score_threshold": 0.5}, "score_threshold cannot be set here: give confidence_threshold"),
        ({"task": "semantic"}, "SAHI needs objects: task can be instances or detection"),
        ({"confidence_threshold": 1.5}, "score_threshold"),
        ({"tile": 1024}, "There is no option 'tile'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_once(
    sahi: ModuleType, segmenter: Segmenter[Any], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidOption, match=sentence):
        adapter(segmenter, **options)


def test_an_unloaded_model_is_loaded_again(sahi: ModuleType, wide: NDArray[np.uint8]) -> None:
    model = adapter(model_path="demo", categories="cat")
    model.unload_model()
    with pytest.raises(ValueError, match="load_model"):
        sliced(sahi, wide, model)
    model.load_model()
    assert len(sliced(sahi, wide, model)) == 1


def test_without_sahi_the_extra_is_named() -> None:
    code = "import sys; sys.modules['sahi'] = None; import pointrend.integrations.sahi"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'pointrend-serve[sahi]'" in done.stderr.splitlines()[-1]
