"""Sizes of images that are known to come, for which an engine may prepare: ``POINTREND_SIZES``."""

from __future__ import annotations

import re

from pointrend.config.schema import NetworkConfig
from pointrend.errors import ConfigError
from pointrend.modeling.preprocess import SIZE_DIVISOR, network_size
from pointrend.system.environment import SIZES

MOST_SIZES = 8  # each costs memory and time at the start
LARGEST_SIDE = 30_000  # as of the server's images by default
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


def expected_inputs(config: NetworkConfig, value: str | None = None) -> tuple[tuple[int, int], ...]:
    """Heights and widths (H, W) of the network's inputs, padding included, for the images that are expected.

    Args:
        config: of the network.
        value: sizes of images, WIDTHxHEIGHT in pixels, with spaces or commas between; by default that of the variable.

    Returns:
        each once: images of different sizes may enter the network alike.

    Raises:
        ConfigError: what is set is no such list, or a longer one than :data:`MOST_SIZES`.

    Example::

        expected_inputs(config, "640x480, 480x640")  # ((800, 1088), (1088, 800)) of a published model
    """
    sizes = re.split(r"[\s,]+", SIZES.read() if value is None else value)
    sizes = [size for size in sizes if size]
    if len(sizes) > MOST_SIZES:
        raise ConfigError(f"{SIZES.name}: {len(sizes)} sizes are given; the limit is {MOST_SIZES}.")
    inputs = []
    for size in sizes:
        match = _SIZE.fullmatch(size)
        if match is None or max(sides := (int(match[2]), int(match[1]))) > LARGEST_SIDE:
            raise ConfigError(
                f"{SIZES.name}: {size!r} is not the size of an image. Give WIDTHxHEIGHT in pixels, each from 1 to "
                f"{LARGEST_SIDE}, such as 640x480, with spaces or commas between several."
            )
        height, width = (-(-side // SIZE_DIVISOR) * SIZE_DIVISOR for side in network_size(*sides, config))
        inputs.append((height, width))
    return tuple(dict.fromkeys(inputs))
