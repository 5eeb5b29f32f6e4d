"""From an image to the network's input, exactly as detectron2 does it at test time.

Shapes: H, W height and width in pixels. Images are HWC uint8 RGB.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pointrend.config.schema import NetworkConfig

SIZE_DIVISOR = 32  # the pyramid halves five times; every level must divide evenly


def network_size(height: int, width: int, config: NetworkConfig) -> tuple[int, int]:
    """Size (height, width) of the resized image: shortest edge to ``min_size``, longest at most ``max_size``.

    A network that does not keep the aspect gets a square of ``min_size``.

    Rounding is half up, and the longest edge is limited after the first scaling, in detectron2's order: the result
    can differ by a pixel from scaling once. No side falls below one pixel.
    """
    if not config.keep_aspect:
        return config.min_size, config.min_size
    scale = config.min_size / min(height, width)
    if height < width:
        new_height, new_width = float(config.min_size), scale * width
    else:
        new_height, new_width = scale * height, float(config.min_size)
    longest = max(new_height, new_width)
    if longest > config.max_size:
        scale = config.max_size / longest
        new_height, new_width = new_height * scale, new_width * scale
    return max(1, int(new_height + 0.5)), max(1, int(new_width + 0.5))


def resize(image: NDArray[np.uint8], config: NetworkConfig) -> NDArray[np.uint8]:
    """Resize an HWC uint8 RGB image to the network's size with Pillow's bilinear filter."""
    height, width = network_size(image.shape[0], image.shape[1], config)
    if (height, width) == image.shape[:2]:
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def to_input(resized: NDArray[np.uint8], config: NetworkConfig) -> tuple[Tensor, tuple[int, int]]:
    """Order channels, normalise and pad a resized HWC uint8 RGB image.

    Returns:
        images (1, 3, H, W) float32, zero-padded at the bottom and right to multiples of 32, in channels-last order, and
        the size (height, width) before padding.
    """
    height, width = resized.shape[:2]
    padded_height, padded_width = (-(-side // SIZE_DIVISOR) * SIZE_DIVISOR for side in (height, width))
    pixels = torch.from_numpy(resized if resized.flags.writeable else resized.copy())
    if config.input_format == "BGR":
        pixels = pixels.flip(2)
    images = torch.zeros(1, padded_height, padded_width, 3)
    # Whole rows, in which pixels lie as they came, vectorise: a quarter of the time of one plane after the other.
    rows = images.view(padded_height, 3 * padded_width)[:height, : 3 * width]
    rows.copy_(pixels.reshape(height, 3 * width))
    rows.sub_(torch.tensor(config.pixel_mean).repeat(width)).div_(torch.tensor(config.pixel_std).repeat(width))
    return images.permute(0, 3, 1, 2), (height, width)
