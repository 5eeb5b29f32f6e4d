from dataclasses import replace

import numpy as np
import pytest
import torch

from pointrend.config.schema import BoxHeadConfig, FPNConfig, ModelConfig, ResNetConfig, RPNConfig
from pointrend.modeling.preprocess import network_size, resize, to_input

CONFIG = ModelConfig(
    num_classes=1,
    pixel_mean=(10.0, 20.0, 30.0),
    pixel_std=(1.0, 2.0, 4.0),
    input_format="BGR",
    min_size=800,
    max_size=1333,
    trunk=ResNetConfig(),
    fpn=FPNConfig(),
    rpn=RPNConfig(),
    box_head=BoxHeadConfig(),
)


@pytest.mark.parametrize(
    ("size", "network"),
    [
        ((300, 451), (800, 1203)),  # detectron2 on the same sizes
        ((512, 280), (1333, 729)),
        ((400, 600), (800, 1200)),
        ((1, 5000), (1, 1333)),  # no side vanishes
    ],
)
def test_network_size_follows_detectron2(size, network):
    height, width = size
    assert network_size(height, width, CONFIG) == network


def test_a_photo_of_the_right_size_is_not_resampled():
    photo = np.zeros((800, 900, 3), dtype=np.uint8)
    assert resize(photo, CONFIG) is photo


def test_input_is_bgr_normalised_and_zero_padded():
    photo = np.zeros((33, 20, 3), dtype=np.uint8)
    photo[..., 0], photo[..., 2] = 50, 14  # red, blue

    images, size = to_input(photo, CONFIG)

    assert size == (33, 20)
    assert images.shape == (1, 3, 64, 32)
    assert images[0, :, 0, 0].tolist() == [14 - 10, (0 - 20) / 2, (50 - 30) / 4]
    assert not images[0, :, 33:].any()
    assert not images[0, :, :, 20:].any()


@pytest.mark.parametrize("input_format", ["RGB", "BGR"])
def test_input_is_normalised_as_plane_by_plane_and_in_channels_last_order(input_format):
    config = replace(CONFIG, input_format=input_format, pixel_mean=(103.53, 116.28, 123.675), pixel_std=(57.4, 57.1, 3))
    photo = np.random.default_rng(0).integers(0, 256, (33, 45, 3), dtype=np.uint8)
    photo.flags.writeable = False
    images, _ = to_input(photo, config)
    channels = photo if input_format == "RGB" else photo[:, :, ::-1]
    for plane, mean, std, image in zip(
        channels.transpose(2, 0, 1), config.pixel_mean, config.pixel_std, images[0], strict=True
    ):
        expected = torch.from_numpy(plane.astype(np.float32)).sub(mean).div(std)
        assert torch.equal(image[:33, :45], expected)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_rgb_models_get_rgb():
    photo = np.full((32, 32, 3), (1, 2, 3), dtype=np.uint8)
    images, _ = to_input(photo, replace(CONFIG, input_format="RGB", pixel_mean=(0, 0, 0), pixel_std=(1, 1, 1)))
    assert images[0, :, 0, 0].tolist() == [1, 2, 3]


def test_a_network_that_does_not_keep_the_aspect_sees_squares():
    config = replace(CONFIG, keep_aspect=False, min_size=64)
    image = np.zeros((30, 90, 3), dtype=np.uint8)
    assert network_size(30, 90, config) == (64, 64)
    images, size = to_input(resize(image, config), config)
    assert (tuple(images.shape), size) == ((1, 3, 64, 64), (64, 64))
