from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from pointrend.inference.paste import MASK_THRESHOLD, paste_mask, paste_probabilities
from pointrend.masks.rle import encode_crop


def paste_on_the_whole_photo(logits: Tensor, box: list[float], height: int, width: int) -> NDArray[np.bool_]:
    """The definition: read the probabilities at every pixel centre of the photo."""
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - box[0]) / (box[2] - box[0]) * 2 - 1
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - box[1]) / (box[3] - box[1]) * 2 - 1
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=2)[None]
    probabilities = logits.double().sigmoid()[None, None]
    read = torch.nn.functional.grid_sample(probabilities, grid, align_corners=False)[0, 0]
    return (read >= 0.5).numpy()


@settings(max_examples=60, deadline=None)
@given(
    corner=st.tuples(st.floats(-20, 60, width=32), st.floats(-20, 60, width=32)),
    size=st.tuples(st.floats(0.125, 90, width=32), st.floats(0.125, 90, width=32)),
    seed=st.integers(0, 100),
    side=st.sampled_from([7, 28]),
)
def test_window_holds_all_of_the_mask(
    corner: tuple[float, float], size: tuple[float, float], seed: int, side: int
) -> None:
    height, width = 40, 50
    logits = 4 * torch.randn(side, side, generator=torch.Generator().manual_seed(seed)) + 1
    box = [corner[0], corner[1], corner[0] + size[0], corner[1] + size[1]]
    left, top, crop = paste_mask(logits, torch.tensor(box), height, width)
    ours = np.zeros((height, width), dtype=bool)
    ours[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    # The definition is evaluated in double precision: a pixel at exactly 0.5 may round to either side.
    assert int((ours != paste_on_the_whole_photo(logits, box, height, width)).sum()) <= 1


def test_by_hand() -> None:
    logits = torch.tensor([[9.0, -9.0], [9.0, -9.0]])
    left, top, crop = paste_mask(logits, torch.tensor([2.0, 1.0, 6.0, 3.0]), height=10, width=10)
    assert (left, top) == (2, 1)
    # Two pixels a cell across, one down: the outer pixel has weight 0.75 on the cell that is on.
    assert crop.tolist() == [[True, True, False, False], [True, True, False, False]]


@pytest.mark.parametrize(
    "box", [[5.0, 5.0, 5.0, 9.0], [20.0, 2.0, 30.0, 4.0], [-9.0, -9.0, -1.0, -1.0], [6.0, 5.0, 5.0, 9.0]]
)
def test_nothing_to_paste(box: list[float]) -> None:
    left, top, crop = paste_mask(torch.ones(28, 28), torch.tensor(box), height=10, width=10)
    assert crop.size == 0
    assert 0 <= left <= 10
    assert 0 <= top <= 10


@settings(max_examples=150, deadline=None)
@given(
    corner=st.tuples(st.floats(-30, 50, width=32), st.floats(-30, 50, width=32)),
    size=st.tuples(st.floats(0.125, 120, width=32), st.floats(0.125, 120, width=32)),
    seed=st.integers(0, 1000),
    side=st.sampled_from([1, 2, 7, 28, 56]),
    spread=st.sampled_from([0.0, 0.1, 1.0, 30.0]),
    offset=st.sampled_from([-2.0, 0.0, 2.0]),
)
def test_a_mask_is_where_its_probabilities_reach_half(
    corner: tuple[float, float], size: tuple[float, float], seed: int, side: int, spread: float, offset: float
) -> None:
    height, width = 40, 50
    logits = spread * torch.randn(side, side, generator=torch.Generator().manual_seed(seed)) + offset
    box = torch.tensor([*corner, corner[0] + size[0], corner[1] + size[1]])
    left, top, crop = paste_mask(logits, box, height, width)
    x, y, probabilities = paste_probabilities(logits, box, height, width)
    assert (left, top) == (x, y)
    np.testing.assert_array_equal(crop, probabilities >= MASK_THRESHOLD)


def test_a_box_of_hardly_any_size_has_a_window_of_one_pixel() -> None:
    _, _, crop = paste_mask(torch.ones(7, 7), torch.tensor([2.0, 0.0, 3.0, 1e-40]), height=10, width=10)
    assert crop.shape == (1, 1)
    assert not crop.any()


def test_a_mask_that_is_no_number_is_nowhere() -> None:
    _, _, crop = paste_mask(torch.full((7, 7), torch.nan), torch.tensor([1.0, 1.0, 9.0, 9.0]), height=10, width=10)
    assert not crop.any()


@given(box=st.tuples(*[st.floats(-3, 14, width=32)] * 2, *[st.floats(0.5, 16, width=32)] * 2), seed=st.integers(0, 500))
def test_run_lengths_of_a_pasted_mask(box: tuple[float, float, float, float], seed: int) -> None:
    height, width = 9, 12  # small: many boxes reach over an edge, or over all of them
    logits = 3 * torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)) + 1
    x, y, crop = paste_mask(logits, torch.tensor([*box[:2], box[0] + box[2], box[1] + box[3]]), height, width)
    drawn = np.zeros((height, width), dtype=np.uint8, order="F")
    drawn[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    assert encode_crop(crop, x, y, height, width)["counts"] == coco_mask.encode(drawn)["counts"].decode()
