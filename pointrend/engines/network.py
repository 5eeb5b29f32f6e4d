"""From a model folder to a network that an engine computes, one of those that share this project's sparse parts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from pointrend.engines import BF16, CUDA, EAGER, EXPORTED, OPENVINO_INT8, half, openvino, require, require_fit
from pointrend.engines.export import exported, prepare
from pointrend.engines.part import Network
from pointrend.engines.parts import parts
from pointrend.errors import ConfigError
from pointrend.weights.checkpoint import load_network, read_checkpoint
from pointrend.weights.folder import ModelFolder
from pointrend.weights.shared import share_weights


def open_network(folder: ModelFolder, engine: str = EAGER, share_in: Path | None = None) -> Network:
    """Build a model's network in evaluation mode, with its weights, and let an engine compute its dense parts.

    Args:
        folder: of the model.
        engine: ``eager``, ``openvino``, ``openvino-int8``, ``bf16`` or ``cuda``, with which the network is on the GPU.
        share_in: a folder of the server that this process is a worker of: those with the same engine map their weights
            from a file in it. A GPU's and OpenVINO's own copies are not shared.

    Raises:
        ConfigError: the engine is unknown, not installed, or has no such network or no such device here.
        CheckpointError: the weights cannot be read or do not fit.
    """
    require(engine)
    require_fit(engine, folder.network)
    if engine == CUDA and not torch.cuda.is_available():
        raise ConfigError(
            f"engine: {CUDA} needs a GPU that PyTorch can use, and PyTorch {torch.__version__} sees none here. Choose "
            f"the engine {EAGER} or {OPENVINO_INT8}, or install a PyTorch for the GPU's driver."
        )
    files = prepare(folder, engine) if engine in EXPORTED else None
    network = load_network(folder.network, read_checkpoint(folder.weights)).eval()
    networks: list[nn.Module] = [network]
    if files is not None:
        openvino.install(network, exported(network, engine), files)
    elif engine in (BF16, CUDA):
        network.to(device_of(engine))
        networks += half.install(network, parts(network), torch.float16 if engine == CUDA else torch.bfloat16)
    if share_in is not None and engine != CUDA:
        share_weights(networks, share_in / f"{engine}.weights")
    return network


def device_of(engine: str) -> str:
    """Where an engine's network is."""
    return "cuda" if engine == CUDA else "cpu"
