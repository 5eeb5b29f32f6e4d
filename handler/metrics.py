"""The model's own metrics, among TorchServe's: on its metrics port, in Prometheus' format.

Each has TorchServe's dimensions ModelName and Level, and a Hostname that it adds by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ts.metrics.metric_type_enum import MetricTypes

from pointrend.structures.options import Options

IMAGES = "pointrend_images_total"
INSTANCES = "pointrend_instances_total"
ERRORS = "pointrend_errors_total"
STAGES = ("decode", "inference", "encode", "reply")

DESCRIPTIONS = {
    IMAGES: "images segmented, by `task` and `format`",
    INSTANCES: "instances or segments in those responses",
    ERRORS: "requests that failed, by error `code`",
    "pointrend_decode_seconds": "histogram: reading the request and decoding the image",
    "pointrend_inference_seconds": "histogram: resizing, network and mask logits",
    "pointrend_encode_seconds": "histogram: pasting and encoding masks",
    "pointrend_reply_seconds": "histogram: writing the JSON, PNG or zip",
}
"""What is counted, for people."""


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
        self._stages = {stage: add(f"pointrend_{stage}_seconds", "seconds", MetricTypes.HISTOGRAM) for stage in STAGES}

    def answered(self, options: Options, found: int, timing_ms: Mapping[str, float]) -> None:
        """An image was answered.

        Args:
            options: as they were read.
            found: instances or segments.
            timing_ms: milliseconds by stage, of :data:`STAGES`.
        """
        self._images.add_or_update(1, [*self._common, options.task, options.format])
        self._instances.add_or_update(found, self._common)
        for stage, milliseconds in timing_ms.items():
            self._stages[stage].add_or_update(round(milliseconds / 1000, 6), self._common)

    def refused(self, code: str) -> None:
        """A request was answered with an error."""
        self._errors.add_or_update(1, [*self._common, code])
