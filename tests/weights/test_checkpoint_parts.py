"""Which of a checkpoint's tensors are taken, and that it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel

from pointrend.errors import CheckpointError
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.weights.checkpoint import read_checkpoint
from pointrend.weights.convert import convert

GOLDEN = Path(__file__).parents[1] / "golden" / "pointrend_3class_portrait"


def state(value: float = 1.0, prefix: str = "") -> dict[str, torch.Tensor]:
    return {f"{prefix}backbone.w": torch.full((2,), value), f"{prefix}roi_heads.b": torch.full((1,), value)}


def taken(tmp_path: Path, tree: Any, part: str | None = None) -> tuple[float, str]:
    """The value of the weights that were taken, and what was told."""
    torch.save(tree, tmp_path / "m.ckpt")
    notes: list[str] = []
    read = read_checkpoint(tmp_path / "m.ckpt", part=part, note=notes.append)
    assert set(read) == {"backbone.w", "roi_heads.b"}
    return float(read["roi_heads.b"]), " ".join(notes)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (state(), ""),
        ({"model": state()}, "part model of the checkpoint: 2 names"),
        ({"state_dict": state(prefix="model."), "epoch": 3}, "Strips the prefix model. from 2 names"),
        ({"model_state_dict": state(prefix="module."), "optimizer_state_dict": {}}, "prefix module."),
        (state(prefix="module."), "Strips the prefix module. from 2 names"),
        (state(prefix="_orig_mod."), "prefix _orig_mod."),
        (state(prefix="module._orig_mod."), "prefix _orig_mod."),
        (state(prefix="model.module."), "prefix model."),
        ({"backbone._orig_mod.w": torch.ones(2), "roi_heads.module.b": torch.ones(1)}, "from within 2 names"),
        ({"state_dict": {"model": state(prefix="module.")}}, "part state_dict.model"),
        ({"ema": {"module": state(), "updates": 7}}, "averaged weights (EMA)"),
        ({"teacher": state()}, "no others"),
        ({"model": {"name": "resnet"}, "state_dict": state()}, "part state_dict"),
        ({**state(prefix="module."), "pixel_mean": torch.ones(3)}, "prefix module."),
        ({**state(prefix="module."), "module.pixel_mean": torch.ones(3)}, "prefix module."),
    ],
)
def test_wrappers_and_prefixes_are_taken_off_and_told(tmp_path: Path, tree: Any, words: str) -> None:
    value, told = taken(tmp_path, tree)
    assert value == 1
    assert words in told
    assert bool(told) == bool(words)


@pytest.mark.parametrize(
    ("tree", "averaged"),
    [
        ({"model": state(), "model_ema": state(2)}, "model_ema"),
        ({"model_ema": state(2), "model": state()}, "model_ema"),
        ({"state_dict": state(), "state_dict_ema": state(2)}, "state_dict_ema"),
        ({"model": state(), "ema_state_dict": state(2)}, "ema_state_dict"),
        ({"model": state(), "ema_state": {"state_dict": state(2)}}, "ema_state"),
        ({"student": state(), "teacher": state(2)}, "teacher"),
        ({"model": {**state(prefix="modelStudent."), **state(2, prefix="modelTeacher.")}}, "modelTeacher"),
        ({"state_dict": {**state(prefix="model."), **state(2, prefix="ema_model.")}}, "ema_model"),
        ({"model": state(prefix="module."), "EMA": state(2, prefix="module.")}, "EMA"),
        ({"model": state(), "swa_model": state(2)}, "swa_model"),
    ],
)
def test_averages_are_told_and_taken_only_if_they_are_asked_for(tmp_path: Path, tree: Any, averaged: str) -> None:
    value, told = taken(tmp_path, tree)
    assert value == 1
    assert f"averaged ones (EMA) are in {averaged}: part={averaged} takes them" in told
    assert taken(tmp_path, tree, averaged)[0] == 2


def test_torchs_own_averages_are_told(tmp_path: Path) -> None:
    model = nn.Module()
    model.backbone = nn.Module()
    model.backbone.w = nn.Parameter(torch.ones(2))
    model.roi_heads = nn.Module()
    model.roi_heads.b = nn.Parameter(torch.ones(1))
    _, told = taken(tmp_path, AveragedModel(model).state_dict())
    assert "averaged weights: n_averaged" in told


@pytest.mark.parametrize(
    ("tree", "part", "words"),
    [
        (
            {"module.a.w": torch.ones(1), "b.w": torch.ones(1)},
            None,
            r"prefix such as module\. and 1 have none: module\.a\.w, but b\.w",
        ),
        ({"model.a.w": torch.ones(1), "criterion.w": torch.ones(1)}, None, r"model\.a\.w, but criterion\.w"),
        ({"model": state()}, "ema", "has no part 'ema'"),
        ({"a.module.w": torch.ones(1), "a.w": torch.ones(1)}, None, r"a\.w twice"),
        ({"model": {"model": {}}}, None, "no weights"),
    ],
)
def test_what_is_not_clear_is_refused_with_examples(tmp_path: Path, tree: Any, part: str | None, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        taken(tmp_path, tree, part)


WRAPPERS = st.sampled_from(["model", "state_dict", "model_state_dict", "network"])
PREFIXES = st.sampled_from(["module.", "_orig_mod.", "model.", "net."])


@settings(max_examples=60, deadline=None)
@given(st.lists(WRAPPERS, max_size=3), st.lists(PREFIXES, max_size=4))
def test_any_nesting_comes_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, wrappers: list[str], prefixes: list[str]
) -> None:
    tree: Any = state(prefix="".join(prefixes))
    for key in wrappers:
        tree = {key: tree, "epoch": 1}
    value, told = taken(tmp_path_factory.mktemp("any"), tree)
    assert value == 1
    assert told.count("Strips the prefix") == len(prefixes)


def test_converting_tells_it(tmp_path: Path) -> None:
    weights = {f"module.{name}": tensor for name, tensor in read_checkpoint(GOLDEN / "model_final.pkl").items()}
    torch.save({"model": weights, "model_ema": weights}, tmp_path / "last.CKPT")
    info = ModelInfo("test", "1.0", tuple(Category(n, str(n)) for n in (1, 2, 3)))
    notes: list[str] = []
    folder = convert(
        tmp_path / "last.CKPT", GOLDEN / "config.yaml", tmp_path / "model", info, part="model_ema", note=notes.append
    )
    assert any("part model_ema" in note for note in notes)
    assert any(f"prefix module. from {len(weights)} names" in note for note in notes)
    assert set(read_checkpoint(folder.weights)) == {name.removeprefix("module.") for name in weights}
