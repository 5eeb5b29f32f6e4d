"""Windows put together are the whole: every cell comes once, from the window that sees more of what is around it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pointrend.config.schema import NetworkConfig
from pointrend.inference.loading import load
from pointrend.inference.windows import OVERLAP, Windows, fine_map, look_closer, windows
from pointrend.modeling.preprocess import resize, to_input


class Pooled:
    """Stands in for a network: a cell is the mean of its own pixels, whatever is around it."""

    def __init__(self, config: NetworkConfig) -> None:
        self.config = config
        self.seen: list[tuple[int, ...]] = []

    def feature_maps(self, images: Tensor) -> dict[str, Tensor]:
        self.seen.append(tuple(images.shape))
        return {"p2": F.avg_pool2d(images, 4)}


def config() -> NetworkConfig:
    return cast(Any, load("demo")).model.config


def picture(height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 1), (1, 2), (2, 2), (1, 3)])
def test_cells_are_those_of_the_whole_picture(rows: int, columns: int) -> None:
    model, part = Pooled(config()), picture(500, 700)
    fine, (height, width) = look_closer(cast(Any, model), part, rows, columns, "cpu")
    assert (fine.height, fine.width) == (height // 4, width // 4)
    assert model.seen == [(1, 3, 416, 416)] * (rows * columns)
    whole = np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR))
    images, _ = to_input(whole, model.config)
    expected = F.avg_pool2d(images, 4)[0].permute(1, 2, 0).flatten(0, 1)
    assert torch.allclose(fine.rows, expected, atol=1e-5)


def test_one_window_is_a_plain_look() -> None:
    model, part = Pooled(config()), picture(300, 200)
    fine, size = look_closer(cast(Any, model), part, 1, 1, "cpu")
    images, plain_size = to_input(resize(part, model.config), model.config)
    assert size == plain_size
    assert torch.equal(fine.rows, fine_map(model.feature_maps(images)).rows)


@given(st.integers(64, 2000), st.integers(1, 5), st.sampled_from([4, 8, 16, 32]))
def test_every_cell_comes_once(side: int, count: int, stride: int) -> None:
    axis = Windows(side, count)
    assert axis.side - axis.step >= OVERLAP * side - 1
    cells = -(-side // 32) * 32 // stride
    own = [range(cells)[axis.cells(index, stride)] for index in range(count)]
    places = [index * axis.step // stride + cell for index, each in enumerate(own) for cell in each]
    assert places == list(range(len(places)))
    assert len(places) * stride >= axis.length


def test_windows_have_the_shape_that_the_network_gives_a_part() -> None:
    down, across = windows(300, 500, 1, 2, config())
    assert (down.side, down.length) == (416, 416)
    assert (across.side, across.step, across.length) == (416, 320, 736)
