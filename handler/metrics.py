"""The model's own metrics, among TorchServe's: on its metrics port, in Prometheus' format.

Each has TorchServe's dimensions ModelName and Level, and a Hostname that it adds by itself.
"""

from __future__ import annotations

from typing import Any

from ts.metrics.metric_type_enum import MetricTypes

from pointrend.service.answering import Outcome
from pointrend.service.inputs import SEGMENT
from pointrend.service.metrics import ERRORS, IMAGES, INSTANCES, STAGES, stage_metric


class Metrics:
    """Counts what the model does.

    Args:
        cache: TorchServe's ``context.metrics``.
        model: the name that it serves the model under.
    """

    def __init__(self, cache: Any, model: str) -> None:
        self._common = [model, "Model"]

        def add(name: str, unit: str, kind: Any, *dimensions: str) -> Any:
            return cache.add_metric_to_cache(name, unit, ["ModelName", "Level", *dimensions], kind)

        self._images = add(IMAGES, "count", MetricTypes.COUNTER, "task", "format")
        self._instances = add(INSTANCES, "count", MetricTypes.COUNTER)
        self._errors = add(ERRORS, "count", MetricTypes.COUNTER, "code")
        self._stages = {stage: add(stage_metric(stage), "seconds", MetricTypes.HISTOGRAM) for stage in STAGES}

    def count(self, outcome: Outcome) -> None:
        """A request was answered, with a prediction, an error or what else was asked for."""
        facts = outcome.facts
        if "code" in facts:
            self._errors.add_or_update(1, [*self._common, facts["code"]])
        elif facts["action"] == SEGMENT:
            self._images.add_or_update(1, [*self._common, facts["task"], facts["format"]])
            self._instances.add_or_update(facts["found"], self._common)
            for stage, milliseconds in outcome.timing_ms.items():
                self._stages[stage].add_or_update(round(milliseconds / 1000, 6), self._common)
