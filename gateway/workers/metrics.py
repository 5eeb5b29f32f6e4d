"""What the server counts, as Prometheus reads it: the model's metrics, and TorchServe's under the same names."""

from __future__ import annotations

import socket
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pointrend.service.metrics import DESCRIPTIONS, ERRORS, IMAGES, INSTANCES, STAGES, stage_metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper ends in seconds; the same as TorchServe's."""

REQUESTS = "ts_inference_requests_total"
LATENCY = "ts_inference_latency_microseconds"
QUEUED = "ts_queue_latency_microseconds"
WORKERS = "pointrend_workers"
RESTARTS = "pointrend_worker_starts_total"
_HELP = {
    **DESCRIPTIONS,
    REQUESTS: "requests that a worker has answered",
    LATENCY: "microseconds from a request's arrival to its reply, together",
    QUEUED: "microseconds that requests waited for a worker, together",
    "Requests2XX": "answers that are successes",
    "Requests4XX": "answers that refuse a request",
    "Requests5XX": "answers that report a failure of the server",
    WORKERS: "workers that are ready",
    RESTARTS: "workers that became ready since the start",
}

Labels = tuple[tuple[str, str], ...]


class Histogram:
    """Seconds, by :data:`BUCKETS`."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def lines(self, name: str, labels: Labels) -> Iterator[str]:
        """Prometheus' samples of it."""
        total = 0
        for end, count in zip((*BUCKETS, "+Inf"), self.counts, strict=True):
            total += count
            yield _sample(f"{name}_bucket", (*labels, ("le", str(end))), total)
        yield _sample(f"{name}_count", labels, total)
        yield _sample(f"{name}_sum", labels, round(self.sum, 6))


class Metrics:
    """Counts the requests to all models.

    Example:
        >>> metrics = Metrics()
        >>> metrics.answered("pointrend", "1", 415, {"code": "unsupported_image"}, {}, queued=0.0, took=0.004)
        >>> 'pointrend_errors_total{ModelName="pointrend",Level="Model",code="unsupported_image"' in metrics.text()
        True
    """

    def __init__(self) -> None:
        self._host = ("Hostname", socket.gethostname())
        self._counters: dict[str, Counter[Labels]] = {}
        self._gauges: dict[str, Counter[Labels]] = {}
        self._histograms: dict[str, dict[Labels, Histogram]] = {}

    def answered(
        self,
        model: str,
        version: str,
        status: int,
        facts: Mapping[str, Any],
        timing_ms: Mapping[str, float],
        *,
        queued: float,
        took: float,
    ) -> None:
        """Count an answer.

        Args:
            model: its name.
            version: the model's.
            status: of HTTP.
            facts: as :class:`pointrend.service.answering.Outcome` has them.
            timing_ms: milliseconds by stage, where an image was segmented.
            queued: seconds that the request waited.
            took: seconds from its arrival to its reply.
        """
        own = (("ModelName", model), ("Level", "Model"))
        if "code" in facts:
            self._count(ERRORS, (*own, ("code", facts["code"])))
        elif "found" in facts:  # an image was segmented
            self._count(IMAGES, (*own, ("task", facts["task"]), ("format", facts["format"])))
            self._count(INSTANCES, own, facts["found"])
            for stage in STAGES:
                histograms = self._histograms.setdefault(stage_metric(stage), {})
                histograms.setdefault((*own, self._host), Histogram()).add(timing_ms[stage] / 1000)
        server = (("model_name", model), ("model_version", version))
        self._count(REQUESTS, server, host="hostname")
        self._count(LATENCY, server, took * 1e6, host="hostname")
        self._count(QUEUED, server, queued * 1e6, host="hostname")
        self._count(f"Requests{status // 100}XX", (("Level", "Host"),))

    def ready(self, model: str, change: int) -> None:
        """Count a worker that became ready (1), or one less (-1)."""
        labels = (("ModelName", model), self._host)
        self._gauges.setdefault(WORKERS, Counter())[labels] += change
        if change > 0:
            self._count(RESTARTS, (("ModelName", model),))

    def text(self) -> str:
        """All of it, in Prometheus' text format."""
        return "".join(f"{line}\n" for line in self._lines())

    def _count(self, name: str, labels: Labels, by: float = 1, host: str = "Hostname") -> None:
        self._counters.setdefault(name, Counter())[(*labels, (host, self._host[1]))] += by  # type: ignore[assignment]

    def _lines(self) -> Iterator[str]:
        for kind, families in (("counter", self._counters), ("gauge", self._gauges)):
            for name, samples in families.items():
                yield from _head(name, kind)
                for labels, value in samples.items():
                    yield _sample(name, labels, value)
        for name, histograms in self._histograms.items():
            yield from _head(name, "histogram")
            for labels, histogram in histograms.items():
                yield from histogram.lines(name, labels)


def _head(name: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {_HELP[name]}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Labels, value: float) -> str:
    quoted = ",".join(f'{label}="{_escaped(said)}"' for label, said in labels)
    return f"{name}{{{quoted}}} {value:g}" if isinstance(value, float) else f"{name}{{{quoted}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
