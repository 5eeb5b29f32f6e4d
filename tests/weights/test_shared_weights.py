"""Weights that several processes map from one file: equal, laid out as before, and safe from what happens to files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from pointrend.engines import BF16, EAGER
from pointrend.engines.network import open_network
from pointrend.inference.loading import load
from pointrend.weights.folder import ModelFolder
from pointrend.weights.shared import share_weights
from tests.demo_models import SMALL_RCNN

IMAGE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)


class Odd(nn.Module):
    """Tensors of several types and orders, one of them used twice, and one without numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.last = nn.Parameter(torch.rand(5, 3, 3, 3).to(memory_format=torch.channels_last))
        self.rounded = nn.Parameter(torch.rand(7, 9).bfloat16())
        self.gaps = nn.Parameter(torch.rand(14, 7)[::2])
        self.scale = self.again = nn.Parameter(torch.rand(11))
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("empty", torch.empty(0))


def mapped(path: Path) -> bool:
    return any(each.path == str(path) for each in psutil.Process().memory_maps())


def test_two_networks_read_the_same_file(tmp_path: Path) -> None:
    expected, path = Odd().state_dict(), tmp_path / "x.weights"
    first, second = Odd(), Odd()
    assert share_weights([first], path)
    written = path.stat()
    assert share_weights([second], path)
    assert path.stat() == written
    assert [each.name for each in tmp_path.iterdir()] == ["x.weights"]
    assert mapped(path)
    for shared in (first, second):
        for name, value in shared.state_dict().items():
            assert torch.equal(value, expected[name]), name
            assert value.dtype == expected[name].dtype, name
            assert not value.numel() or value.data_ptr() % 64 == 0, name
        assert shared.last.is_contiguous(memory_format=torch.channels_last)
        assert shared.again is shared.scale


def test_of_two_that_write_at_a_time_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.weights"
    assert share_weights([Odd()], path)
    written = path.stat().st_ino
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as when the second one looked before the first was done
    assert share_weights([Odd()], path)
    assert path.stat().st_ino == written
    assert [each.name for each in tmp_path.iterdir()] == ["x.weights"]


def test_what_is_written_to_weights_stays_with_their_owner(tmp_path: Path) -> None:
    first, second, path = Odd(), Odd(), tmp_path / "x.weights"
    assert share_weights([first], path)
    assert share_weights([second], path)
    before = path.read_bytes()
    with torch.no_grad():
        first.scale.fill_(3)
    assert not (second.scale == 3).any()
    assert path.read_bytes() == before


@pytest.mark.parametrize("spoil", ["other", "shorter", "folder"])
def test_another_file_in_its_place_is_not_taken(tmp_path: Path, spoil: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.weights"
    assert share_weights([Odd()], path)
    content = path.read_bytes()
    path.unlink()
    if spoil == "folder":
        path.mkdir()
    else:
        path.write_bytes(content[:-100] if spoil == "shorter" else bytes(len(content)))
    own = Odd()
    assert not share_weights([own], path)
    assert torch.equal(own.last, Odd().last)
    assert f"Workers do not share their weights: {path}" in caplog.text


def test_each_keeps_its_own_where_none_can_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not share_weights([Odd()], tmp_path / "missing" / "x.weights")
    assert "x.weights: No such file or directory." in caplog.text


@pytest.mark.parametrize("engine", [EAGER, BF16])
def test_a_model_answers_alike_whatever_happens_to_the_files_afterwards(tmp_path: Path, engine: str) -> None:
    model, place = shutil.copytree(SMALL_RCNN, tmp_path / "model"), tmp_path / "server"
    place.mkdir()
    expected = load(model, engine=engine)(IMAGE)
    segmenter = load(model, engine=engine, share_in=place)
    assert mapped(place / f"{engine}.weights")
    ModelFolder.open(model).weights.write_bytes(b"")  # as `cp` over it does
    shutil.rmtree(place)
    assert segmenter(IMAGE).instances == expected.instances


def test_half_precision_leaves_no_weights_of_its_own(tmp_path: Path) -> None:
    open_network(ModelFolder.open(SMALL_RCNN), BF16, tmp_path)
    open_network(ModelFolder.open(SMALL_RCNN), EAGER, tmp_path)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert 0.4 < sizes["bf16.weights"] / sizes["eager.weights"] < 0.8
