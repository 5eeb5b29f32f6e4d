"""Networks that are small enough to train in a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from pointrend.config.schema import (
    BoxHeadConfig,
    CoarseMaskConfig,
    ConvMaskConfig,
    FPNConfig,
    ModelConfig,
    PointHeadConfig,
    ResNetConfig,
    RPNConfig,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from more threads, and lose much where other processes want the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    """ResNet-18 at an eighth of its width, three classes, both kinds of mask head."""
    return ModelConfig(
        num_classes=3,
        pixel_mean=(127.0, 127.0, 127.0),
        pixel_std=(64.0, 64.0, 64.0),
        input_format="RGB",
        min_size=128,
        max_size=160,
        trunk=ResNetConfig(depth=18, stem_channels=16, res2_channels=16, norm="BN"),
        fpn=FPNConfig(channels=32, norm="BN"),
        rpn=RPNConfig(
            anchor_sizes=((16.0,), (32.0,), (64.0,), (128.0,), (256.0,)), pre_nms_topk=200, post_nms_topk=100
        ),
        box_head=BoxHeadConfig(fc_dim=64),
        coarse_mask=CoarseMaskConfig(conv_dim=32, fc_dim=64),
        point_head=PointHeadConfig(fc_dim=32),
        conv_mask=ConvMaskConfig(num_conv=2, conv_dim=32),
    )
