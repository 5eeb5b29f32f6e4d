"""Whether a model folder holds what it says: its weights fit its configuration, tensor by tensor."""

from __future__ import annotations

import torch

from pointrend.modeling.network import build_network
from pointrend.weights.checkpoint import check_fit, read_checkpoint
from pointrend.weights.folder import ModelFolder


def check_weights(folder: ModelFolder) -> None:
    """Read a model's weights and check that its network has exactly these tensors, without building it in memory.

    Raises:
        CheckpointError: the weights cannot be read, or do not fit.
    """
    with torch.device("meta"):
        network = build_network(folder.network)
    check_fit(network, read_checkpoint(folder.weights))
