"""Semantic PointRend against the golden case, its bands against the whole, and what it holds in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pointrend.config.files import config_to_dict, read_config
from pointrend.config.schema import FPNConfig, PointHeadConfig, ResNetConfig, SemanticConfig, SemanticHeadConfig
from pointrend.config.semantic import from_tree
from pointrend.errors import ConfigError
from pointrend.modeling import semantic
from pointrend.modeling.preprocess import resize, to_input
from pointrend.modeling.semantic import DenseLogits, DoubledLogits, SemanticPointRend, resized_classes
from pointrend.weights.checkpoint import load_into, read_checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"
CASE = GOLDEN / "semantic_cityscapes19_landscape"
SIZE = (400, 600)

pytestmark = pytest.mark.usefixtures("inference")


class Case:
    """The golden photo, as our network sees it."""

    def __init__(self) -> None:
        config = read_config(CASE / "config.yaml")
        assert isinstance(config, SemanticConfig)
        self.model = SemanticPointRend(config).eval()
        load_into(self.model, read_checkpoint(CASE / "model_final.pkl"))
        photo = np.asarray(Image.open(GOLDEN / "images" / "coffee_600x400.png").convert("RGB"))
        self.images, self.image_size = to_input(resize(photo, config), config)
        with np.load(CASE / "arrays.npz") as arrays:
            self.arrays: dict[str, Any] = dict(arrays)
        with torch.inference_mode():
            self.features: dict[str, Tensor] = self.model.backbone(
                self.images.contiguous(memory_format=torch.channels_last)
            )
            self.logits = self.model.sem_seg_head(self.features, 2)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


def test_the_pyramid(case: Case) -> None:
    for level, stride in {"p2": 16, "p3": 8, "p4": 4, "p5": 2, "p6": 1}.items():
        ours = case.features[level][0, :, ::stride, ::stride].numpy()
        assert np.abs(ours - case.arrays[f"feat_{level}"]).max() < 1e-3


def test_the_coarse_map(case: Case) -> None:
    ours = case.model.sem_seg_head.coarse_sem_seg_head(case.features)[0, :, ::4, ::4].numpy()
    assert np.abs(ours - case.arrays["coarse_logits"]).max() < 4e-3


def test_the_same_points_are_refined(case: Case) -> None:
    """The reference's own two runs differ in 4 and 21 of 8192 points."""
    head = case.model.sem_seg_head
    coarse = head.coarse_sem_seg_head(case.features)
    first = head.most_uncertain_points(DoubledLogits(coarse[0]))
    second = head.most_uncertain_points(DoubledLogits(head(case.features, 1).rows(0, 512)))
    for ours, golden, allowed in ((first, "point_index_step1", 40), (second, "point_index_step2", 200)):
        assert len(set(ours.tolist())) == 8192
        assert len(set(ours.tolist()) - set(case.arrays[golden].tolist())) <= allowed


def test_the_refined_logits(case: Case) -> None:
    ours = case.logits.rows(0, case.logits.height)
    difference = np.abs(ours[:, ::16, ::16].numpy() - case.arrays["full_logits_sample16"])
    assert np.percentile(difference, 99.9) < 5e-3
    indices = torch.from_numpy(case.arrays["point_index_step2"][::4]).long()
    at_points = np.abs(ours.flatten(1)[:, indices].numpy() - case.arrays["point_logits_step2"])
    assert np.percentile(at_points, 99) < 1e-2


def test_the_classes_of_the_photos_pixels(case: Case) -> None:
    ours = case.model.classify(case.images, case.image_size, SIZE, refinement=4).numpy()
    assert ours.shape == SIZE
    assert len(np.unique(ours)) > 5
    assert (ours == case.arrays["final_argmax"]).mean() >= 0.999


@pytest.mark.parametrize("size", [(400, 600), (37, 1200), (1100, 1650)])
def test_bands_give_what_the_whole_gives(case: Case, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = case.logits.rows(0, case.logits.height)
    wanted = F.interpolate(whole[None], size=size, mode="bilinear", align_corners=False)[0].argmax(dim=0)
    monkeypatch.setattr(semantic, "BAND_FLOATS", 19 * 1536 * 7)
    ours = resized_classes(case.logits, case.image_size, size)
    assert (ours != wanted).float().mean() < 1e-5  # equal logits may round to either class


def test_rows_of_a_doubled_map_are_those_of_the_whole() -> None:
    source = torch.randn(3, 5, 6)
    doubled = DoubledLogits(source)
    indices = torch.tensor([119, 0, 37, 36, 11])
    values = torch.randn(3, 5)
    doubled.replace(indices, values)
    wanted = F.interpolate(source[None], scale_factor=2.0, mode="bilinear", align_corners=False)[0]
    wanted.flatten(1)[:, indices] = values
    for start in range(10):
        for stop in range(start + 1, 11):
            assert torch.equal(doubled.rows(start, stop), wanted[:, start:stop])


def test_what_is_padding_is_left_out() -> None:
    logits = torch.zeros(2, 4, 6)
    logits[1, 3:], logits[1, :, 5:] = 9, 9
    assert not resized_classes(DenseLogits(logits), (3, 5), (30, 50)).any()


TINY = SemanticConfig(
    num_classes=19,
    pixel_mean=(0.0, 0.0, 0.0),
    pixel_std=(1.0, 1.0, 1.0),
    input_format="RGB",
    min_size=1024,
    max_size=2048,
    trunk=ResNetConfig(depth=18, stem_channels=2, res2_channels=4),
    fpn=FPNConfig(channels=8),
    semantic_head=SemanticHeadConfig(conv_dim=32),
    point_head=PointHeadConfig(fc_dim=8, subdivision_steps=2, subdivision_points=8192, coarse_pred_each_layer=False),
)


class LargestTensor(TorchDispatchMode):
    """Notes the most numbers that any one tensor held."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.numbers = max(self.numbers, leaf.numel())
        return result


@pytest.mark.parametrize("photo", [(1024, 2048), (3000, 6000)])
def test_no_tensor_has_the_logits_of_all_pixels(photo: tuple[int, int]) -> None:
    """At 1024x2048 they would be 40 million, and for a photo of 18 megapixels 342 million."""
    model = SemanticPointRend(TINY).eval()
    features = model.backbone(torch.randn(1, 3, 1024, 2048))
    with LargestTensor() as largest:
        logits = model.sem_seg_head(features, 2)
        classes = resized_classes(logits, (1024, 2048), photo)
    assert classes.shape == photo
    half = 19 * 512 * 1024  # the map before the last doubling, the only large one; the answer is a class a pixel
    assert largest.numbers <= max(half, photo[0] * photo[1])


def test_refinement_stops_where_it_is_told() -> None:
    model = SemanticPointRend(TINY).eval()
    images = torch.randn(1, 3, 64, 96)
    assert [model.logits(images, steps).height for steps in range(5)] == [16, 32, 64, 64, 64]
    assert model.classify(images, (50, 90), (25, 45), refinement=0).shape == (25, 45)


def test_one_image_at_a_time() -> None:
    model = SemanticPointRend(TINY).eval()
    with pytest.raises(ValueError, match="one image at a time, not 2"):
        model.logits(torch.zeros(2, 3, 64, 64), 2)
    with pytest.raises(ValueError, match="refinement must be at least 0, not -1"):
        model.logits(torch.zeros(1, 3, 64, 64), -1)


def test_a_head_without_norm_has_biases() -> None:
    config = replace(TINY, semantic_head=SemanticHeadConfig(conv_dim=20, norm=""))
    assert from_tree(config_to_dict(config)) == config
    keys = SemanticPointRend(config).state_dict()
    assert "sem_seg_head.coarse_sem_seg_head.p5.4.bias" in keys
    assert not [key for key in keys if key.startswith("sem_seg_head") and "norm" in key]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("NAME", "SemSegFPNHead", "MODEL.SEM_SEG_HEAD.NAME must be 'PointRendSemSegHead'"),
        ("NUM_CLASSES", 20, "MODEL.POINT_HEAD.NUM_CLASSES must be 20, not 19"),
        ("CONVS_DIM", 40, "must be a multiple of 32 with GN, not 40"),
        ("COMMON_STRIDE", 8, "MODEL.SEM_SEG_HEAD.COMMON_STRIDE must be 4, not 8"),
    ],
)
def test_what_cannot_be_built_is_refused(key: str, value: Any, message: str) -> None:
    tree = config_to_dict(TINY)
    tree["MODEL"]["SEM_SEG_HEAD"][key] = value
    with pytest.raises(ConfigError, match=message):
        from_tree(tree)
