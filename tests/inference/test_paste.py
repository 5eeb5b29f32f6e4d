from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from pointrend.inference.paste import paste_mask


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
