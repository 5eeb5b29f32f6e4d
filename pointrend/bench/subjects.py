"""What is measured: a picture of any size, and models, a published network among them whose weights are random.

Shapes: H, W of an image in pixels, R regions.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pointrend.errors import ConfigError
from pointrend.images.decode import decode
from pointrend.modeling.backbone.resnet import BottleneckBlock, Stem
from pointrend.modeling.network import build_network
from pointrend.modeling.preprocess import resize, to_input
from pointrend.modeling.rcnn import RCNN
from pointrend.training.initialise import randomise
from pointrend.weights import zoo
from pointrend.weights.checkpoint import save_safetensors
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder

SMALLEST_BOX = 224  # pixels: no mask of this size stops refining early
_LOGITS = 3.0  # deviation of the random network's logits: of a thousand proposals about a hundred boxes remain
_OFFSETS = 0.3  # and of its proposals' offsets


def picture(height: int, width: int) -> bytes:
    """A JPEG (H, W) of coloured clouds: as smooth and as noisy as an image, the same at every call."""
    random = np.random.default_rng(0)
    layers = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((4, 60), (16, 30), (64, 15), (256, 6)):
        noise = random.normal(size=(cells, cells, 3)).astype(np.float32)
        for channel in range(3):
            band = Image.fromarray(noise[:, :, channel])
            layers[:, :, channel] += strength * np.asarray(band.resize((width, height), Image.Resampling.BICUBIC))
    file = io.BytesIO()
    Image.fromarray(np.clip(layers + 128, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def boxes(count: int, height: int, width: int) -> Tensor:
    """Regions (R, 4) in pixels, each side at least :data:`SMALLEST_BOX`, or the image's where that is shorter."""
    random = np.random.default_rng(count)
    limits = np.array([width, height])
    sides = random.uniform(
        np.minimum(SMALLEST_BOX, limits), np.maximum(limits / 2, np.minimum(SMALLEST_BOX, limits)), (count, 2)
    )
    corners = random.uniform(0, limits - sides)
    return torch.from_numpy(np.concatenate([corners, corners + sides], axis=1)).float()


def disc(side: int) -> Tensor:
    """Logits (side, side) of a disc in its box: an outline as of an object, whatever a model's weights are."""
    axis = torch.linspace(-1, 1, side)
    return 3 - 4 * (axis[:, None] ** 2 + axis**2)


def open_model(name: str, scratch: Path) -> ModelFolder:
    """A model by its name or folder, or, for ``random:NAME``, a published one's network with random weights.

    Raises:
        ConfigError: there is no such model, or it finds no single objects.
    """
    kind, _, published = name.partition(":")
    if kind != "random":
        return ModelFolder.open(name)
    model = zoo.find(published)
    place = scratch / f"random-{published}"
    if place.is_dir():
        return ModelFolder.open(place)
    torch.manual_seed(0)
    network = build_network(model.config).eval()
    if not isinstance(network, RCNN):
        raise ConfigError(f"{published} is a semantic model; only instance models are measured.")
    randomise(network)
    with torch.inference_mode():
        _spread(network)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "model.safetensors"
        save_safetensors(network.state_dict(), weights)
        return convert(weights, model.config, place, model.info)


def _spread(network: RCNN) -> None:
    """Scale random layers until what they give is as large as a trained network's, and undecided in no place.

    Biases too are random: a layer whose biases are all zero is another one to a compiler.
    """
    images, size = to_input(resize(decode(picture(480, 640)), network.config), network.config)
    for name, tensor in network.state_dict().items():
        if name.endswith("bias"):
            tensor.normal_(std=0.05)
    for module in network.modules():
        if isinstance(module, BottleneckBlock):  # what is added up stays as large as it was
            module.conv3.weight *= 0.2
        elif isinstance(module, Stem):
            module.conv1.weight /= images.std()
    head = network.proposal_generator.rpn_head
    classify = network.roi_heads.box_predictor.cls_score
    _, logits, offsets = network.trunk(images)
    head.objectness_logits.weight *= _LOGITS / torch.cat([each.flatten() for each in logits]).std()
    head.anchor_deltas.weight *= _OFFSETS / torch.cat([each.flatten() for each in offsets]).std()
    features, logits, offsets = network.trunk(images)
    classes, _ = network.roi_heads(features, network.proposal_generator.propose(logits, offsets, size).boxes)
    classify.weight *= _LOGITS / classes.std()
