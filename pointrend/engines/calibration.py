"""Photos that show a quantisation which values flow through a network, and what of them its dense parts see.

Shapes: R regions, C channels, H, W of the network's input in pixels.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pointrend.datasets.coco import CocoFile
from pointrend.datasets.image_file import read_pixels
from pointrend.engines.part import Network, Part, Run
from pointrend.errors import ConfigError, DataError
from pointrend.images.formats import SUFFIXES
from pointrend.images.suffixes import has_image_suffix
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.preprocess import resize, to_input
from pointrend.structures.options import FULL_REFINEMENT

MOST_IMAGES = 32  # more of them cost time and move the ranges little
REGIONS = 64  # of a photo's, for a part that sees regions
MASKS = 16  # of a photo's, whose masks are drawn
# Photos with people, animals and things among those that scikit-image's wheel carries; all free of rights or CC0.
EXAMPLES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")

logger = logging.getLogger(__name__)

Inputs = dict[str, list[tuple[Tensor, ...]]]


def read_labels(folder: Path) -> CocoFile | None:
    """The labels of a data set, ``instances_train.json`` or else the first of its files; None for plain photos.

    Raises:
        DataError: something in the file, or one of its images, is wrong and not harmless.
    """
    files = sorted(folder.glob("instances_*.json"), key=lambda path: (path.name != "instances_train.json", path.name))
    return CocoFile.read(files[0], folder / "images") if files else None


def find_images(folder: Path | None) -> list[Path]:
    """The photos of a folder, evenly chosen where there are many; None takes those of scikit-image.

    Of a data set, with ``instances_*.json`` beside ``images``, its checked images are taken; what is harmless in its
    labels is logged.

    Raises:
        DataError: the data set's labels or images are refused.
        ConfigError: there is no such folder, or it holds no photo; or scikit-image, which carries the default ones,
            is not installed.
    """
    if folder is None:
        try:
            import skimage.data  # optional
        except ImportError as error:
            raise ConfigError(
                "calibrate: the photos to calibrate with by default come with scikit-image, which is not installed. "
                "Install the extra openvino (pip install 'pointrend-serve[openvino]'), "
                "or name a folder of photos: --calibrate FOLDER"
            ) from error
        here = Path(skimage.data.__file__).parent
        return [here / name for name in EXAMPLES if (here / name).is_file()]
    if not folder.is_dir():
        raise ConfigError(f"calibrate: there is no folder {folder}.")
    labels = read_labels(folder)
    if labels is not None and (note := labels.findings.note()):
        logger.warning("%s", note)
    paths = sorted({image.path for image in labels.images}) if labels is not None else _images_below(folder)
    if not paths:
        raise ConfigError(f"calibrate: {folder} holds no photo ({', '.join(SUFFIXES)}).")
    count = min(len(paths), MOST_IMAGES)
    return [paths[index * len(paths) // count] for index in range(count)]


def _images_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if has_image_suffix(path.name) and path.is_file())


def network_input(path: Path, network: Network) -> tuple[Tensor, tuple[int, int]]:
    """A photo as the network takes it: see :func:`pointrend.modeling.preprocess.to_input`.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        image = read_pixels(path)
    except DataError as error:
        raise ConfigError(f"calibrate: {error}") from error
    return to_input(resize(image, network.config), network.config)


def record(network: Network, parts: Sequence[Part], paths: Sequence[Path]) -> Inputs:
    """Run a network over photos, and keep what each part is given.

    Args:
        network: in evaluation mode, computed by plain PyTorch; left as it is.
        parts: its own.
        paths: of the images, at least one.

    Returns:
        by a part's name, the inputs of its calls: of a call with many regions, :data:`REGIONS` evenly chosen ones.

    Raises:
        ConfigError: a photo cannot be read.
    """
    seen: Inputs = {part.name: [] for part in parts}
    watched = copy.deepcopy(network)
    for part in parts:
        part.install(watched, _keeping(part, seen[part.name]))
    with torch.inference_mode():
        for path in paths:
            images, size = network_input(path, network)
            if isinstance(watched, InstanceNetwork):
                _look(watched, images, size)
            else:
                watched.logits(images, FULL_REFINEMENT)
    return seen


def _look(network: InstanceNetwork, images: Tensor, size: tuple[int, int]) -> None:
    """Let a network find objects, and mask them."""
    height, width = size
    features, found = network.detect(images, size)
    boxes, classes = found.boxes[:MASKS], found.classes[:MASKS]
    if not len(boxes):  # the middle of the photo, rather than nothing
        boxes = torch.tensor([[0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height]])
        classes = torch.zeros(1, dtype=torch.int64)
    network.mask_logits(features, boxes, classes)
    if None not in network.mask_heads():
        network.constant_mask_logits(features, boxes, classes)


def _keeping(part: Part, kept: list[tuple[Tensor, ...]]) -> Run:
    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        step = max(1, len(inputs[0]) // REGIONS)
        kept.append(tuple(each[::step].clone() for each in inputs))
        outputs: tuple[Tensor, ...] = part(*inputs)
        return outputs

    return run
