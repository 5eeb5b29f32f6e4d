"""Whether a model folder holds what it says: its weights fit its configuration, tensor by tensor."""

from __future__ import annotations

from pathlib import Path

import torch

from pointrend.errors import CheckpointError
from pointrend.modeling.network import build_network
from pointrend.weights.checkpoint import check_fit, read_checkpoint
from pointrend.weights.folder import ModelFolder
from pointrend.weights.formats import HEAD_BYTES, identify


def require_safetensors(path: Path) -> None:
    """Check that a file is what its name says: what a stranger publishes is read in this one format.

    Raises:
        CheckpointError: it is another; nothing of it is read.
    """
    with path.open("rb") as file:
        kind = identify(file.read(HEAD_BYTES), path.stat().st_size)
    if kind != "safetensors":
        raise CheckpointError(f"{path.name} cannot be read safely as safetensors: it is {kind}.")


def check_weights(folder: ModelFolder) -> None:
    """Read a model's weights and check that its network has exactly these tensors, without building it in memory.

    Raises:
        CheckpointError: the weights cannot be read, or do not fit.
    """
    with torch.device("meta"):
        network = build_network(folder.network)
    check_fit(network, read_checkpoint(folder.weights))
