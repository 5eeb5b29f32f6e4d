"""From a configuration to its network, without weights."""

from __future__ import annotations

from pointrend.config import ModelConfig, SemanticConfig
from pointrend.modeling.rcnn import RCNN
from pointrend.modeling.semantic import SemanticPointRend


def build_network(config: ModelConfig | SemanticConfig) -> RCNN | SemanticPointRend:
    """The network that a configuration asks for.

    Raises:
        ConfigError: a configuration that cannot be built.
    """
    return SemanticPointRend(config) if isinstance(config, SemanticConfig) else RCNN(config)
