"""Engines: what computes a model's network. Plain PyTorch is one; others come with packages of their own."""

from __future__ import annotations

from importlib.util import find_spec

from pointrend.config.schema import EfficientNetConfig, FPNConfigured, NetworkConfig, OneStageConfig, SemanticConfig
from pointrend.errors import ConfigError
from pointrend.suggestions import suggest
from pointrend.system.machine import has_int8_products

EAGER = "eager"  # plain PyTorch in float32: what every model runs on, and what the others are judged by
OPENVINO = "openvino"  # the dense parts in float32 on a CPU
OPENVINO_INT8 = "openvino-int8"  # the dense parts in int8 on a CPU
EXPORTED = (OPENVINO, OPENVINO_INT8)  # run files made of a model's parts, kept in its archive or the cache
BF16 = "bf16"  # the dense parts in bfloat16 with PyTorch on a CPU
CUDA = "cuda"  # the dense parts in float16 with PyTorch on a GPU, the others beside them
DETECTRON2 = "detectron2"
AUTO = "auto"  # whichever resolve() chooses
VARIABLE = "POINTREND_ENGINE"  # tells a server's worker which one, in place of what its archive says

# The package that an engine needs, and how to install it.
_PACKAGES = {
    EAGER: None,
    OPENVINO: (
        "openvino",
        "with the project's extra openvino-runtime: pip install 'pointrend-serve[openvino-runtime]'",
    ),
    OPENVINO_INT8: ("openvino", "with the project's extra openvino: pip install 'pointrend-serve[openvino]'"),
    BF16: None,
    CUDA: None,
    DETECTRON2: (
        "detectron2",
        "together with a torchvision for the same torch: "
        "pip install --no-build-isolation git+https://github.com/facebookresearch/detectron2.git",
    ),
}
NAMES = tuple(_PACKAGES)


def require(engine: str) -> None:
    """Check that there is an engine of that name, and that its package is installed; nothing is imported.

    Raises:
        ConfigError: there is not, or it is not.
    """
    if engine not in _PACKAGES:
        raise ConfigError(f"There is no engine {engine!r}.{suggest(engine, NAMES)} Known: {', '.join(NAMES)}.")
    needed = _PACKAGES[engine]
    if needed is not None and find_spec(needed[0]) is None:
        package, install = needed
        raise ConfigError(
            f"engine: {engine} needs the Python package {package}, which is not installed. Install it {install}"
        )


def resolve(engine: str, network: NetworkConfig, *, quantised: bool = False) -> str:
    """The engine that a name stands for; ``auto`` is the fastest on this CPU of those that lose hardly anything.

    That is :func:`automatic` (docs/engines.md tells what each loses), or eager where that is openvino-int8 and the
    processor has no instructions for it.

    Args:
        engine: one of :data:`NAMES`, or ``auto``.
        network: that is to be run.
        quantised: whether the network's quantised files are there, so that nothing is needed to make them.

    Raises:
        ConfigError: there is no such engine, its package is not installed, or it has no such network.
    """
    if engine != AUTO:
        require(engine)
        require_fit(engine, network)
        return engine
    chosen = automatic(network, quantised=quantised)
    return EAGER if chosen == OPENVINO_INT8 and not has_int8_products() else chosen


def automatic(network: NetworkConfig, *, quantised: bool = False) -> str:
    """The engine that ``auto`` takes for a network on a processor that has instructions for all of them.

    openvino for one-stage networks, which are narrow and gain nothing from int8; openvino-int8 for the other networks
    that find instances; eager for semantic ones, and where a package is missing.

    Args:
        network: that is to be run, here or elsewhere.
        quantised: whether its quantised files are there; else what makes them is needed too.
    """
    if isinstance(network, SemanticConfig):
        return EAGER
    engine, needed = OPENVINO_INT8, ("openvino",) if quantised else ("openvino", "nncf")
    if isinstance(network, OneStageConfig):
        engine, needed = OPENVINO, ("openvino",)
    return engine if all(find_spec(package) is not None for package in needed) else EAGER


def require_fit(engine: str, network: NetworkConfig) -> None:
    """Check that an engine has such a network.

    Raises:
        ConfigError: it has not.
    """
    if engine == DETECTRON2 and isinstance(network, OneStageConfig):
        raise ConfigError(
            f"engine: {DETECTRON2} does not support one-stage models (MODEL.META_ARCHITECTURE OneStagePointRend). "
            f"Choose the engine {EAGER}."
        )
    if engine == DETECTRON2 and isinstance(network, FPNConfigured) and isinstance(network.trunk, EfficientNetConfig):
        raise ConfigError(
            f"engine: {DETECTRON2} does not support this model's backbone, EfficientNet-Lite (MODEL.BACKBONE.NAME). "
            f"Choose the engine {EAGER}, or a model with a ResNet."
        )
    if engine == CUDA and isinstance(network, SemanticConfig):
        raise ConfigError(
            f"engine: {engine} supports instance models only, and this one is semantic. Choose the engine "
            f"{OPENVINO_INT8}, {BF16} or {EAGER}."
        )
