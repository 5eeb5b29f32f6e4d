"""Spans to an OpenTelemetry collector (OTLP over HTTP), where the environment names one; needs the extra telemetry."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.tracing import CLIENT, INTERNAL, SERVER, Export, Span
from pointrend.system.trace_context import TraceContext
from pointrend.version import __version__

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SERVICE_NAME = "pointrend-serve"


class MissingTelemetry(Exception):
    """A collector is named, and OpenTelemetry's packages are not installed."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """Sends spans in batches, in a thread of its own.

    Attributes:
        export: takes each span that ended.
        processor: OpenTelemetry's.
    """

    export: Export
    processor: Any

    def close(self) -> None:
        """Send what is left, and end the thread."""
        self.processor.shutdown()


def exporter(environment: Mapping[str, str] = os.environ) -> Exporter | None:
    """The exporter to the collector that the environment names; None where it names none or ``OTEL_SDK_DISABLED``.

    OpenTelemetry reads its other variables itself, such as ``OTEL_EXPORTER_OTLP_HEADERS`` and ``OTEL_SERVICE_NAME``.

    Raises:
        MissingTelemetry: the packages of the extra telemetry are not installed.
    """
    named = any(environment.get(name, "").strip() for name in ENDPOINTS)
    if not named or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    try:
        # Optional packages, which take a while to import.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME as SERVICE_KEY
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
    except ImportError as error:
        raise MissingTelemetry(
            f"{error.name or error} is not installed, so that no spans are sent: pip install "
            "'pointrend-serve[telemetry]'."
        ) from error
    is_given = "OTEL_SERVICE_NAME" in environment or SERVICE_KEY in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if is_given else {SERVICE_KEY: SERVICE_NAME})
    scope = InstrumentationScope("gateway", __version__)
    kinds = {SERVER: SpanKind.SERVER, CLIENT: SpanKind.CLIENT, INTERNAL: SpanKind.INTERNAL}
    processor = BatchSpanProcessor(OTLPSpanExporter())

    def context_of(context: TraceContext, *, is_remote: bool) -> SpanContext:
        return SpanContext(
            int(context.trace_id, 16),
            int(context.span_id, 16),
            is_remote,
            TraceFlags(int(context.sampled)),
            TraceState.from_header([context.state]),
        )

    def export(span: Span) -> None:
        processor.on_end(
            ReadableSpan(
                span.name,
                context=context_of(span.context, is_remote=False),
                parent=context_of(span.parent, is_remote=span.kind == SERVER) if span.parent else None,
                resource=resource,
                attributes=span.attributes,
                kind=kinds[span.kind],
                status=Status(StatusCode.ERROR) if span.failed else Status(),
                start_time=span.started,
                end_time=span.ended,
                instrumentation_scope=scope,
            )
        )

    return Exporter(export, processor)
