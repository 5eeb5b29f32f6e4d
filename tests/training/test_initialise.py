from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pointrend.config.schema import EfficientNetConfig, ModelConfig, OneStageConfig
from pointrend.errors import CheckpointError
from pointrend.modeling.one_stage.network import OneStage
from pointrend.modeling.rcnn import RCNN
from pointrend.structures.model_info import Category
from pointrend.training.initialise import load_fitting, load_trunk, randomise

CAT, DOG, COW, HEN = Category(17, "cat"), Category(18, "dog"), Category(21, "cow"), Category(99, "hen")


def published_weights(model: RCNN) -> dict[str, torch.Tensor]:
    """What a published EfficientNet-Lite0 holds: its names and shapes, random values, a classifier too."""
    widths = [(32, 16, 1, 3), *_group(16, 24, 2, 3), *_group(24, 40, 2, 5), *_group(40, 80, 3, 3)]
    widths += [*_group(80, 112, 3, 5), *_group(112, 192, 4, 5), *_group(192, 320, 1, 3)]
    state = {"_conv_stem.weight": torch.randn(32, 3, 3, 3), "_fc.weight": torch.randn(1000, 1280), **_norm("_bn0", 32)}
    for index, (inputs, outputs, expansion, kernel) in enumerate(widths):
        inner, prefix = inputs * expansion, f"_blocks.{index}."
        if expansion != 1:
            state[f"{prefix}_expand_conv.weight"] = torch.randn(inner, inputs, 1, 1)
            state |= _norm(f"{prefix}_bn0", inner)
        state[f"{prefix}_depthwise_conv.weight"] = torch.randn(inner, 1, kernel, kernel)
        state |= _norm(f"{prefix}_bn1", inner)
        state[f"{prefix}_project_conv.weight"] = torch.randn(outputs, inner, 1, 1)
        state |= _norm(f"{prefix}_bn2", outputs)
    return state


def _group(inputs: int, outputs: int, blocks: int, kernel: int) -> list[tuple[int, int, int, int]]:
    return [(inputs if block == 0 else outputs, outputs, 6, kernel) for block in range(blocks)]


def _norm(name: str, channels: int) -> dict[str, torch.Tensor]:
    parts = {part: torch.rand(channels) for part in ("weight", "bias", "running_mean", "running_var")}
    return {f"{name}.{part}": value for part, value in parts.items()} | {f"{name}.num_batches_tracked": torch.tensor(5)}


def test_random_predictions_are_undecided(tiny_config: ModelConfig) -> None:
    torch.manual_seed(0)
    model = RCNN(tiny_config).train()  # batch statistics: the running ones mean nothing yet
    randomise(model)
    boxes = torch.tensor([[10.0, 10, 90, 90]])
    with torch.no_grad():
        features = {name: level[:1] for name, level in model.backbone(torch.randn(4, 3, 128, 128)).items()}
        logits, offsets = model.roi_heads(features, boxes)
        masks = model.mask_logits(features, boxes, torch.tensor([1]), 1)
    assert float(logits.softmax(1).max()) < 0.6
    assert float(offsets.abs().max()) < 0.5
    assert float(masks.sigmoid().sub(0.5).abs().max()) < 0.2


def test_context_maps_start_as_features_and_the_coarse_mask_as_undecided(one_stage_config: OneStageConfig) -> None:
    torch.manual_seed(0)
    model = OneStage(one_stage_config)
    randomise(model)
    head = model.mask_head.coarse_head
    with torch.no_grad():
        maps = head(torch.randn(8, 16, 14, 14))
    assert maps.shape[1] == 1 + one_stage_config.coarse_mask.context_maps
    assert maps[:, 0].abs().max() < 0.1
    assert maps[:, 1:].std() > 0.3


def test_a_published_trunk_is_taken_whole(tiny_config: ModelConfig) -> None:
    model = RCNN(replace(tiny_config, trunk=EfficientNetConfig(variant=0)))
    published = published_weights(model)
    load_trunk(model, published)
    trunk = model.backbone.bottom_up.state_dict()
    torch.testing.assert_close(trunk["stem.0.conv.weight"], published["_conv_stem.weight"])
    torch.testing.assert_close(trunk["stem.1.depthwise.weight"], published["_blocks.0._depthwise_conv.weight"])
    torch.testing.assert_close(trunk["res5.4.project.norm.bias"], published["_blocks.15._bn2.bias"])
    # The published networks add 1e-3 to a variance before its root, ours 1e-5.
    torch.testing.assert_close(
        trunk["res2.0.expand.norm.running_var"] + 1e-5, published["_blocks.1._bn0.running_var"] + 1e-3
    )


def test_a_trunk_of_another_kind_or_size_is_refused(tiny_config: ModelConfig) -> None:
    lite0 = RCNN(replace(tiny_config, trunk=EfficientNetConfig(variant=0)))
    published = published_weights(lite0)
    with pytest.raises(CheckpointError, match="fit no ResNet"):
        load_trunk(RCNN(tiny_config), published)
    with pytest.raises(CheckpointError, match=r"48 convolutions, but the configured trunk has 63"):
        load_trunk(RCNN(replace(tiny_config, trunk=EfficientNetConfig(variant=1))), published)
    del published["_blocks.3._bn1.bias"]
    with pytest.raises(CheckpointError, match=r"_blocks\.3\._bn1\.bias is missing"):
        load_trunk(lite0, published)


def test_the_same_categories_take_everything(tiny_config: ModelConfig) -> None:
    old, new = RCNN(tiny_config), RCNN(tiny_config)
    loaded = load_fitting(new, old.state_dict(), [CAT, DOG, COW], [CAT, DOG, COW])
    assert (loaded.by_category, loaded.remade) == ((), ())
    for name, tensor in new.state_dict().items():
        assert torch.equal(tensor, old.state_dict()[name]), name


def test_shared_categories_keep_their_rows_and_columns(tiny_config: ModelConfig) -> None:
    torch.manual_seed(0)
    old = RCNN(tiny_config)
    new = RCNN(replace(tiny_config, num_classes=2))
    randomise(old)
    randomise(new)
    loaded = load_fitting(new, old.state_dict(), [HEN, DOG], [CAT, DOG, COW])
    assert loaded.remade == ()
    mine, theirs = new.state_dict(), old.state_dict()
    key = "roi_heads.box_predictor.cls_score.weight"
    assert key in loaded.by_category
    assert torch.equal(mine[key][1:], theirs[key][[1, 3]])  # dog and background
    assert not torch.equal(mine[key][0], theirs[key][0])
    key = "roi_heads.box_predictor.bbox_pred.bias"
    assert torch.equal(mine[key][4:], theirs[key][4:8])
    key = "roi_heads.mask_head.coarse_head.prediction.weight"
    assert torch.equal(mine[key][49:], theirs[key][49:98])
    key = "roi_heads.mask_head.point_head.fc1.weight"
    assert torch.equal(mine[key][:, :32], theirs[key][:, :32])  # fine features
    assert torch.equal(mine[key][:, 33], theirs[key][:, 33])  # dog's coarse logit
    assert int(mine[key][:, 32].count_nonzero()) == 0  # the hen's has no say until it is learnt
    key = "roi_heads.mask_head.point_head.predictor.weight"
    assert torch.equal(mine[key][1, :32], theirs[key][1, :32])
    assert torch.equal(mine["backbone.fpn_output2.weight"], theirs["backbone.fpn_output2.weight"])


def test_categories_with_nothing_in_common_get_new_rows(tiny_config: ModelConfig) -> None:
    old, new = RCNN(tiny_config), RCNN(replace(tiny_config, num_classes=1))
    loaded = load_fitting(new, old.state_dict(), [HEN], [CAT, DOG, COW])
    assert loaded.by_category == ()
    assert "roi_heads.box_predictor.cls_score.weight" in loaded.remade
    assert "backbone.bottom_up.stem.conv1.weight" in loaded.whole


def test_weights_that_fit_nothing_are_refused(tiny_config: ModelConfig) -> None:
    with pytest.raises(CheckpointError, match="fit nothing in the model"):
        load_fitting(RCNN(tiny_config), {"a": torch.zeros(1)}, [CAT, DOG, COW], [CAT, DOG, COW])


@pytest.mark.parametrize("kept", [True, False])
def test_a_one_stage_models_boxes_and_masks_are_taken_for_other_categories(
    kept: bool, one_stage_config: OneStageConfig
) -> None:
    """Its masks are one for all categories, and so are its boxes; scores are of one."""
    old, new = OneStage(one_stage_config), OneStage(replace(one_stage_config, num_classes=2))
    for model in (old, new):
        randomise(model)
    state = {name: tensor + 0.5 for name, tensor in old.state_dict().items()}
    anew = new.detector.head.get_parameter("predict4.weight")[0].clone()
    loaded = load_fitting(new, state, [HEN, DOG if kept else COW], [CAT, DOG, Category(7, "sow")])
    assert not loaded.remade
    assert set(loaded.by_category) == {
        f"detector.head.predict{level}.{part}" for level in range(3, 7) for part in ("weight", "bias")
    }
    weight, given = new.detector.head.get_parameter("predict4.weight"), state["detector.head.predict4.weight"]
    torch.testing.assert_close(weight[0], anew)
    torch.testing.assert_close(weight[2:], given[3:])
    assert torch.equal(weight[1], given[1]) is kept
    torch.testing.assert_close(
        new.mask_head.coarse_head.prediction.weight, state["mask_head.coarse_head.prediction.weight"]
    )
