"""Random weights of exactly the published models' structure, which any code takes for them."""

from __future__ import annotations

import hashlib
import json
import pickle
import tempfile
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pointrend.bench.subjects import open_model
from pointrend.weights import zoo
from pointrend.weights.checkpoint import read_checkpoint

KEYS = Path(__file__).parent / "golden" / "keys"
PUBLISHED = {
    "coco-r50-1x": "pointrend_rcnn_R_50_FPN_3x_coco",
    "coco-r50-3x": "pointrend_rcnn_R_50_FPN_3x_coco",
    "coco-r101-3x": "pointrend_rcnn_R_101_FPN_3x_coco",
    "coco-x101-3x": "pointrend_rcnn_X_101_32x8d_FPN_3x_coco",
    "cityscapes-r50-1x": "pointrend_rcnn_R_50_FPN_1x_cityscapes",
    "cityscapes-semantic-r101-1x": "pointrend_semantic_R_101_FPN_1x_cityscapes",
    "coco-mask-rcnn-r50-3x": "mask_rcnn_R_50_FPN_3x",
}
_SERIAL = "serial number %012d"


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published checkpoint's weights."""
    keys = json.loads((KEYS / f"{PUBLISHED[name]}.keys.json").read_text())["keys"]
    return {key: tuple(shape) for key, (shape, _) in keys.items() if not key.endswith("num_batches_tracked")}


def random_array(key: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """Weights that keep the size of what passes through them."""
    if key.endswith(("running_var", "norm.weight")):
        return np.ones(shape, np.float32)
    if len(shape) < 2:
        return np.zeros(shape, np.float32)
    values = generator.standard_normal(shape, dtype=np.float32)
    values *= (2 / prod(shape[1:])) ** 0.5
    return values


def random_weights(name: str) -> dict[str, np.ndarray[Any, Any]]:
    """All of them, the same at each call."""
    generator = np.random.default_rng(0)
    return {key: random_array(key, shape, generator) for key, shape in shapes(name).items()}


def write_checkpoint(name: str, site: Path) -> str:
    """Write a checkpoint where a mirror has it, with a hash that begins as its published name says.

    A comment inside is counted up until it does: about 2 ** 24 times, for six digits. The weights are those of
    ``pointrend bench --model random:NAME``, whose values are as large as a trained network's: they can be quantised.

    Args:
        name: a published model's.
        site: the folder that a mirror serves.

    Returns:
        its SHA-256.
    """
    model = zoo.find(name)
    with tempfile.TemporaryDirectory() as folder:
        state = read_checkpoint(open_model(f"random:{name}", Path(folder)).weights)
    assert {key: tuple(value.shape) for key, value in state.items()} == shapes(name)
    tree = {"model": {key: value.numpy() for key, value in state.items()}, "__author__": _SERIAL % 0}
    content = pickle.dumps(tree, protocol=4)
    place = content.rindex((_SERIAL % 0).encode())
    end = place + len(_SERIAL % 0)
    tail, wanted, begun = content[end:], model.hash_prefix, hashlib.md5(content[:place])
    for number in count():
        digest = begun.copy()
        digest.update((_SERIAL % number).encode() + tail)
        if digest.hexdigest().startswith(wanted):
            break
    content = content[:place] + (_SERIAL % number).encode() + tail
    file = site / model.path
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
