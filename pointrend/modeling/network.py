"""From a configuration to its network, without weights."""

from __future__ import annotations

from pointrend.config.schema import AnyConfig, InstanceConfig, OneStageConfig, SemanticConfig
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.one_stage.network import OneStage
from pointrend.modeling.rcnn import RCNN
from pointrend.modeling.semantic import SemanticPointRend


def build_network(config: AnyConfig) -> InstanceNetwork | SemanticPointRend:
    """The network that a configuration asks for.

    Raises:
        ConfigError: a configuration that cannot be built.
    """
    return SemanticPointRend(config) if isinstance(config, SemanticConfig) else build_instance_network(config)


def build_instance_network(config: InstanceConfig) -> InstanceNetwork:
    """The network that finds single objects which a configuration asks for; raises as :func:`build_network` does."""
    return OneStage(config) if isinstance(config, OneStageConfig) else RCNN(config)
