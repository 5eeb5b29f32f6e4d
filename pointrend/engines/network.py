"""From a model folder to a network that an engine computes, one of those that share this project's sparse parts."""

from __future__ import annotations

import torch

from pointrend.engines import BF16, CUDA, EAGER, EXPORTED, OPENVINO_INT8, half, openvino, require, require_fit
from pointrend.engines.export import exported, prepare
from pointrend.engines.part import Network
from pointrend.engines.parts import parts
from pointrend.errors import ConfigError
from pointrend.weights.checkpoint import load_network, read_checkpoint
from pointrend.weights.folder import ModelFolder


def open_network(folder: ModelFolder, engine: str = EAGER) -> Network:
    """Build a model's network in evaluation mode, with its weights, and let an engine compute its dense parts.

    Args:
        folder: of the model.
        engine: ``eager``, ``openvino``, ``openvino-int8``, ``bf16`` or ``cuda``, with which the network is on the GPU.

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
    if files is not None:
        openvino.install(network, exported(network, engine), files)
    elif engine in (BF16, CUDA):
        network.to(device_of(engine))
        half.install(network, parts(network), torch.float16 if engine == CUDA else torch.bfloat16)
    return network


def device_of(engine: str) -> str:
    """Where an engine's network is."""
    return "cuda" if engine == CUDA else "cpu"
