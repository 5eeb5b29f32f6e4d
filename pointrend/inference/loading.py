"""Loading a model by its name or folder, for whichever engine runs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from pointrend.engines import DETECTRON2, EAGER, OPENVINO_INT8, resolve
from pointrend.engines.network import device_of, open_network
from pointrend.inference import detectron2
from pointrend.inference.base import Segmenter
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.semantic import SemanticSegmenter
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.system.machine import core_quota
from pointrend.weights.folder import ModelFolder


def load(
    model: str | Path = "demo", *, threads: int | None = None, engine: str = EAGER, share_in: Path | None = None
) -> Segmenter[Any]:
    """Load a model for inference.

    Args:
        model: ``demo`` (comes with the package), a published model or one of the Hugging Face Hub
            (``hf://OWNER/NAME[@REVISION]``) that was pulled (``pointrend weights pull``), or a model folder: weights,
            configuration and ``model.json``.
        threads: CPU threads that torch uses in this process; None leaves torch's own choice, one for each core, or
            takes fewer where this process's container may use fewer.
        engine: what computes the network: one of :data:`pointrend.engines.NAMES`, or ``auto``, for what
            :func:`pointrend.engines.resolve` chooses.
        share_in: a folder that only processes with this model write to; those with the same engine map their weights
            from one file in it (some hundred MB less for each after the first, with a large model). None: each has its
            own. Of no effect with ``cuda`` and ``detectron2``.

    Raises:
        ConfigError: the folder or its configuration cannot be used, or the engine is unknown, or not installed.
        CheckpointError: the weights cannot be read or do not fit.
    """
    torch.set_num_threads(threads or min(torch.get_num_threads(), core_quota() or sys.maxsize))
    folder = ModelFolder.open(model)
    engine = resolve(engine, folder.network, quantised=(folder.path / OPENVINO_INT8).is_dir())
    if engine == DETECTRON2:
        return detectron2.load(folder)
    network = open_network(folder, engine, share_in)
    if not isinstance(network, InstanceNetwork):
        return SemanticSegmenter(network, folder.info, engine=engine)
    return InstanceSegmenter(network, folder.info, engine=engine, device=device_of(engine))
