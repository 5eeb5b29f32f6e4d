"""ShuffleNetV2 (arXiv:1807.11164): a trunk whose blocks change half of the channels and shuffle both halves.

Shapes: N images, C channels, H, W height and width of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import ShuffleNetConfig
from pointrend.modeling.one_stage.layers import activate, conv

STEM_CHANNELS = 24
BLOCKS = (4, 8, 4)  # of the stages at strides 8, 16 and 32
STAGE_CHANNELS = {"0.5x": (48, 96, 192), "1.0x": (116, 232, 464), "1.5x": (176, 352, 704)}


class ShuffleNetV2(nn.Module):
    """A stem down to stride 4, and three stages; activations are leaky, as in NanoDet-Plus."""

    def __init__(self, config: ShuffleNetConfig) -> None:
        super().__init__()
        self.out_channels = STAGE_CHANNELS[config.width]
        self.stem = conv(3, STEM_CHANNELS, 3, stride=2)
        in_channels = STEM_CHANNELS
        for level, (channels, blocks) in enumerate(zip(self.out_channels, BLOCKS, strict=True), start=3):
            stage: list[nn.Module] = [DownBlock(in_channels, channels)]
            stage += [ShuffleBlock(channels) for _ in range(blocks - 1)]
            self.add_module(f"stage{level}", nn.Sequential(*stage))
            in_channels = channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (N, 3, H, W), H and W multiples of 32, to features at strides 2, 4, 8, 16 and 32.

        The first two have 24 channels, the others ``out_channels``.
        """
        stem = activate(self.stem(images))
        features = [stem, F.max_pool2d(stem, 3, stride=2, padding=1)]
        for level in range(3, 6):
            features.append(self.get_submodule(f"stage{level}")(features[-1]))
        return features


class ShuffleBlock(nn.Module):
    """Half of the channels pass as they are, the other half through three convolutions (figure 3c)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.expand = conv(half, half, 1)
        self.depthwise = conv(half, half, 3, groups=half)
        self.project = conv(half, half, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        kept, changed = features.chunk(2, dim=1)
        changed = activate(self.project(self.depthwise(activate(self.expand(changed)))))
        return shuffle(kept, changed)


class DownBlock(nn.Module):
    """Two branches of all channels halve the size; each gives half of the channels that come out (figure 3d)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.short_depthwise = conv(in_channels, in_channels, 3, stride=2, groups=in_channels)
        self.short_project = conv(in_channels, half, 1)
        self.expand = conv(in_channels, half, 1)
        self.depthwise = conv(half, half, 3, stride=2, groups=half)
        self.project = conv(half, half, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / 2, W / 2)."""
        short = activate(self.short_project(self.short_depthwise(features)))
        changed = activate(self.project(self.depthwise(activate(self.expand(features)))))
        return shuffle(short, changed)


def shuffle(first: Tensor, second: Tensor) -> Tensor:
    """Interleave the channels of two maps (N, C, H, W): (N, 2C, H, W), so that the next split mixes them."""
    return torch.stack([first, second], dim=2).flatten(1, 2)
