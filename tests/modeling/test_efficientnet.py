from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from pointrend.config.schema import EfficientNetConfig
from pointrend.errors import ConfigError
from pointrend.modeling.backbone.efficientnet import EfficientNetLite, SameConvNorm


@pytest.mark.parametrize(
    ("variant", "channels", "weights"),
    [
        (0, {"stem": 16, "res2": 24, "res3": 40, "res4": 112, "res5": 320}, 4_652_008),
        (1, {"stem": 16, "res2": 24, "res3": 40, "res4": 112, "res5": 320}, 5_416_680),
        (2, {"stem": 16, "res2": 24, "res3": 48, "res4": 120, "res5": 352}, 6_092_072),
    ],
)
def test_published_sizes(variant: int, channels: dict[str, int], weights: int) -> None:
    trunk = EfficientNetLite(EfficientNetConfig(variant=variant, norm="BN"))
    assert trunk.out_channels == channels
    # The published network ends in a 1x1 convolution to 1280 channels with its norm, and a classifier of 1000.
    head = channels["res5"] * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert sum(parameter.numel() for parameter in trunk.parameters()) + head == weights


def test_strides() -> None:
    trunk = EfficientNetLite(EfficientNetConfig()).eval()
    features = trunk(torch.rand(2, 3, 64, 96))
    assert {stage: tuple(map_.shape) for stage, map_ in features.items()} == {
        "res2": (2, 24, 16, 24),
        "res3": (2, 40, 8, 12),
        "res4": (2, 112, 4, 6),
        "res5": (2, 320, 2, 3),
    }


@pytest.mark.parametrize("kernel", [3, 5])
def test_a_stride_looks_where_tensorflow_looks(kernel: int) -> None:
    layer = SameConvNorm(1, 1, kernel, stride=2, norm="BN").eval()
    image = torch.rand(1, 1, 8, 8)
    # TensorFlow's SAME: (out - 1) * stride + kernel - in cells of padding in all, the smaller half before.
    total = 3 * 2 + kernel - 8
    padded = F.pad(image, (total // 2, total - total // 2, total // 2, total - total // 2))
    expected = F.conv2d(padded, layer.weight, stride=2) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(layer(image), expected)


def test_an_unknown_variant() -> None:
    with pytest.raises(ConfigError, match="VARIANT must be from 0 to 4, not 7"):
        EfficientNetLite(EfficientNetConfig(variant=7))
