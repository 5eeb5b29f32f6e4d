"""A second look at large objects: better masks in the same boxes, and nothing changed where it cannot matter."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pointrend import Options, Prediction
from pointrend.config.schema import ConvMaskConfig, ModelConfig
from pointrend.errors import InvalidOption
from pointrend.images.inputs import pixels
from pointrend.inference import zoom
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.loading import load
from pointrend.inference.zoom import LONGEST, MARGIN, MOST_RUNS, crop_around, plan
from pointrend.modeling.rcnn import RCNN
from pointrend.structures.boxes import BoxPrompt
from tests.demo_models import SMALL_RCNN

DEMO = Path(__file__).parents[1] / "demo"
CLOSE = Options(score_threshold=0.3, zoom=True)
MODELS = ["demo", SMALL_RCNN]


@cache
def segmenter(model: str | Path) -> InstanceSegmenter:
    loaded = load(model)
    assert isinstance(loaded, InstanceSegmenter)
    return loaded


@cache
def photo(name: str = "astronaut") -> NDArray[np.uint8]:
    return pixels(DEMO / f"{name}.png")


@cache
def wide() -> NDArray[np.uint8]:
    """Two photos in a corner each of an image that the network sees much smaller."""
    image = np.full((1200, 1600, 3), 114, np.uint8)
    for name, (x, y) in {"astronaut": (60, 40), "chelsea": (1000, 700)}.items():
        part = photo(name)
        image[y : y + part.shape[0], x : x + part.shape[1]] = part
    return image


@cache
def found(model: str | Path, *, close: bool) -> Prediction:
    return segmenter(model)(wide(), replace(CLOSE, zoom=close))


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("model", MODELS)
def test_boxes_scores_and_their_order_stay(model: str | Path) -> None:
    plain, close = found(model, close=False), found(model, close=True)
    assert plain.instances
    kept = ("category_id", "category", "score", "bbox")
    for one, other in zip(plain.instances, close.instances, strict=True):
        assert [getattr(one, name) for name in kept] == [getattr(other, name) for name in kept]
    assert any(
        one.segmentation != other.segmentation for one, other in zip(plain.instances, close.instances, strict=True)
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_grid_tells_who_was_looked_at_again(model: str | Path) -> None:
    for one, other in zip(found(model, close=False).instances, found(model, close=True).instances, strict=True):
        longest = max(one.bbox[2:])
        assert one.grid is not None
        assert one.grid <= 224
        if longest > 112:
            assert other.grid == (448 if longest <= 224 else 896)
        else:
            assert other == one


def test_a_second_look_draws_what_the_photo_alone_shows() -> None:
    """The same object in a photo of its own, where the network sees it larger, is the truth here."""
    alone = segmenter("demo")(photo(), CLOSE).instances[0].mask()
    masks = []
    for close in (False, True):
        best = next(each for each in found("demo", close=close).instances if each.category == "person")
        masks.append(best.mask()[40 : 40 + alone.shape[0], 60 : 60 + alone.shape[1]])
    plain, again = (iou(mask, alone) for mask in masks)
    assert again > plain + 0.02


@pytest.mark.parametrize("model", MODELS)
def test_nothing_changes_in_an_image_that_the_network_sees_as_large_as_it_is(model: str | Path) -> None:
    image = photo("chelsea")[::2, ::2].copy()
    plain, close = (segmenter(model)(image, replace(CLOSE, zoom=value)) for value in (False, True))
    assert plain.instances
    assert close.instances == plain.instances


@pytest.mark.parametrize("model", MODELS)
def test_nothing_changes_where_cells_are_fine_already(model: str | Path) -> None:
    boxes = (BoxPrompt(60, 40, 112, 60), BoxPrompt(1000, 700, 30, 100))
    plain, close = (segmenter(model)(wide(), Options(boxes=boxes, zoom=value)) for value in (False, True))
    assert close.instances == plain.instances


@pytest.mark.parametrize("model", MODELS)
def test_given_boxes_get_the_masks_of_detections(model: str | Path) -> None:
    instances = found(model, close=True).instances
    boxes = tuple(BoxPrompt(*each.bbox, category=each.category) for each in reversed(instances))
    answered = segmenter(model)(wide(), Options(boxes=boxes, zoom=True)).instances
    for expected, given_ in zip(reversed(instances), answered, strict=True):
        assert given_.bbox == pytest.approx(expected.bbox, abs=0.01)
        assert given_.grid == expected.grid
        assert iou(given_.mask(), expected.mask()) > 0.97


def test_probabilities_are_those_of_the_second_look() -> None:
    answered = segmenter("demo")(wide(), replace(CLOSE, masks="probability")).instances
    for instance in answered:
        x, y, crop = instance.probability_crop()
        drawn = np.zeros(wide().shape[:2], bool)
        drawn[y : y + crop.shape[0], x : x + crop.shape[1]] = crop >= 128
        assert np.array_equal(drawn, instance.mask())


def test_only_so_many_are_looked_at_again_and_the_others_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoom, "MOST_RUNS", 3)
    boxes = (BoxPrompt(1000, 700, 200, 150), BoxPrompt(60, 40, 300, 400), BoxPrompt(60, 40, 300, 200))
    answered = segmenter("demo")(wide(), Options(boxes=boxes, zoom=True)).instances
    assert [each.grid for each in answered] == [224, 896, 224]


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.tuples(*(st.floats(0, 1) for _ in range(4))),
)
def test_a_crop_shows_its_box_and_lies_in_the_image(height: int, width: int, share: tuple[float, ...]) -> None:
    (x0, x1), (y0, y1) = sorted(share[:2]), sorted(share[2:])
    box = (x0 * width, y0 * height, max(x1 * width, x0 * width + 0.01), max(y1 * height, y0 * height + 0.01))
    left, top, right, bottom = crop_around(box, (height, width))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left <= box[0]
    assert top <= box[1]
    assert right >= min(box[2], width)
    assert bottom >= min(box[3], height)
    if right - left < width and bottom - top < height:
        assert max(right - left, bottom - top) <= LONGEST * (min(right - left, bottom - top)) + 3
        assert right - left >= (1 + 2 * MARGIN) * (box[2] - box[0]) - 1


@settings(max_examples=50)
@given(st.lists(st.tuples(*(st.floats(0, 1) for _ in range(4))), max_size=30), st.sampled_from(MODELS))
def test_the_largest_are_looked_at_and_only_where_it_matters(
    shares: list[tuple[float, ...]], model: str | Path
) -> None:
    corners = [(*sorted((a * 3000, b * 3000)), *sorted((c * 2000, d * 2000))) for a, b, c, d in shares]
    boxes = torch.tensor([(x0, y0, x1 + 1, y1 + 1) for x0, x1, y0, y1 in corners]).reshape(-1, 4)
    network = segmenter(model).model
    head, _ = network.mask_heads()
    assert head is not None
    looks = plan(boxes, (2001, 3001), network.config, head)
    longest = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)
    assert len(looks) == len({look.index for look in looks})
    assert sum(look.runs for look in looks) <= MOST_RUNS
    sizes = [float(longest[look.index]) for look in looks]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size > 112 for size in sizes)
    for look in looks:
        assert look.whole or look.rows * look.columns > 1
        assert head.first_side * 2**look.doublings in (448, 896)


@pytest.mark.parametrize(
    "others",
    [
        {"task": "detection"},
        {"task": "semantic"},
        {"mask_head": "conv"},
        {"refinement": 3},
        {"points": True},
        {"tiles": 512},
    ],
)
def test_what_has_no_mask_to_refine_further_is_refused(others: dict[str, object]) -> None:
    ((name, value),) = others.items()
    said = f"{name}={str(value).lower()}"
    for refused in (
        lambda: Options.parse({"zoom": True, **others}),
        lambda: segmenter("demo")(photo(), replace(Options(zoom=True), **others)),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidOption, match=f"zoom=true .* does not go with {said};") as raised:
            refused()
        assert (raised.value.field, raised.value.code) == ("zoom", "unsupported_combination")


def test_cut_outs_are_looked_at_again_by_default() -> None:
    box = (BoxPrompt(60, 40, 400, 500),)

    def grid(**options: object) -> int | None:
        asked = replace(Options(boxes=box, format="cutouts"), **options)  # type: ignore[arg-type]
        return segmenter("demo")(wide(), asked).instances[0].grid

    assert grid() == grid(zoom=True) == 896
    assert grid(zoom=False) == grid(format="json") == grid(points=True) == 224
    assert grid(refinement=2) == 56
    assert grid(mask_head="conv") == 28
    tiled = replace(CLOSE, zoom=None, tiles=800, format="cutouts")
    assert max(each.grid or 0 for each in segmenter("demo")(wide(), tiled).instances) <= 224


def test_a_model_without_points_refuses_it() -> None:
    config = segmenter(SMALL_RCNN).model.config
    assert isinstance(config, ModelConfig)
    network = RCNN(replace(config, coarse_mask=None, point_head=None, conv_mask=ConvMaskConfig()))
    convolutional = InstanceSegmenter(network.eval(), segmenter(SMALL_RCNN).info)
    with pytest.raises(InvalidOption, match="zoom=true is for masks that are refined at points") as raised:
        convolutional(photo(), Options(zoom=True))
    assert convolutional(wide(), Options(format="cutouts")).width == 1600
    assert (raised.value.field, raised.value.code) == ("zoom", "missing_mask_head")
