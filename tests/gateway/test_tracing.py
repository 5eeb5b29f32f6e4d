"""Traces: how the headers are read, that ids reach the model's log, and the spans that a collector receives."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.telemetry import exporter
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import TorchServe
from pointrend.system.trace_context import TraceContext
from tests.otlp_collector import Collector, collecting
from tests.ports import free_ports

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEX = st.text("0123456789abcdef")


def parent(version: str = "00", trace: str = TRACE, span: str = SPAN, flags: str = "01", rest: str = "") -> str:
    return f"{version}-{trace}-{span}-{flags}{rest}"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        parent().upper(),
        parent(version="ff"),
        parent(version="0"),
        parent(version="000"),
        parent(trace="0" * 32),
        parent(span="0" * 16),
        parent(trace=TRACE[1:]),
        parent(trace=TRACE + "0"),
        parent(span=SPAN + "0"),
        parent(flags="1"),
        parent(flags="0g"),
        parent(rest="-"),
        parent(rest="-more"),
        parent(version="01", rest="more"),
        parent().replace("-", "_"),
        parent(trace="٣" * 32),
        parent() + "\n",
    ],
)
def test_what_is_malformed_is_ignored(value: str) -> None:
    assert TraceContext.parse([value], ["a=1"]) is None


def test_two_parents_are_malformed() -> None:
    assert TraceContext.parse([parent(), parent()]) is None
    assert TraceContext.parse([]) is None


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (parent(), True),
        (parent(flags="00"), False),
        (parent(flags="03"), True),
        (parent(flags="fe"), False),
        (parent(version="01"), True),
        (parent(version="cc", rest="-what-comes-later"), True),
        (f" {parent()}\t", True),
    ],
)
def test_what_is_read_goes_on_in_version_00(value: str, sampled: bool) -> None:
    context = TraceContext.parse([value])
    assert context == TraceContext(TRACE, SPAN, sampled)
    child = context.child()
    assert child.span_id != SPAN
    assert child.headers() == {"traceparent": f"00-{TRACE}-{child.span_id}-{int(sampled):02x}"}


def test_a_state_goes_on_whole_or_not_at_all() -> None:
    assert TraceContext.parse([parent()], ["a=1", " b=2 ", ""]).headers()["tracestate"] == "a=1,b=2"
    assert "tracestate" not in TraceContext.parse([parent()], ["a=" + "1" * 512]).headers()
    assert "tracestate" not in TraceContext.parse([parent()], ["a=ä"]).headers()


@given(st.lists(st.text() | st.builds(parent, HEX, HEX, HEX, HEX, st.text()), max_size=2), st.lists(st.text()))
def test_any_headers_are_read_or_ignored(parents: list[str], states: list[str]) -> None:
    context = TraceContext.parse(parents, states) or TraceContext.new(sampled=True)
    again = TraceContext.parse([context.headers()["traceparent"]], [context.state])
    assert again == context


@given(st.booleans())
def test_a_new_trace_can_be_read(sampled: bool) -> None:
    context = TraceContext.new(sampled=sampled)
    assert TraceContext.parse([context.headers()["traceparent"]]) == context


def test_without_an_endpoint_nothing_is_exported() -> None:
    assert exporter({}) is None
    assert exporter({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}) is None
    assert exporter({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}) is None


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as started:
        yield started


@pytest.fixture(scope="module")
def traced(private_server: TorchServe, collector: Collector) -> Iterator[Gateway]:
    """A gateway with a collector."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=vision",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with Gateway(private_server, free_ports(1)[0]) as started:
            started.wait_ready()
            yield started


def eventually(look: Any) -> Any:
    deadline = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def log_line(server: TorchServe, **wanted: str) -> dict[str, Any]:
    """The model's log line with these values."""

    def look() -> dict[str, Any] | None:
        text = Path(server.folder, "logs", "model_log.log").read_text()
        lines = (json.loads(line) for line in re.findall(r'\{"event": "request".*\}$', text, re.MULTILINE))
        return next((line for line in lines if wanted.items() <= line.items()), None)

    return dict(eventually(look))


@pytest.mark.server
def test_spans_reach_a_collector(
    traced: Gateway, private_server: TorchServe, collector: Collector, photo: bytes
) -> None:
    url = f"{traced.url}/predictions/pointrend"
    headers = {"traceparent": parent(), "tracestate": "vendor=1", "X-Request-Id": "spans"}
    answer = httpx.post(url, content=photo, headers=headers, timeout=60).raise_for_status()
    spans = eventually(lambda: found if len(found := collector.of(TRACE)) == 6 else None)
    request, asked = spans["POST /predictions/{model}"], spans["POST inference"]
    assert (request.parent_span_id.hex(), request.kind, request.trace_state) == (
        SPAN,
        Span.SPAN_KIND_SERVER,
        "vendor=1",
    )
    assert (asked.parent_span_id, asked.kind) == (request.span_id, Span.SPAN_KIND_CLIENT)
    stages = [spans[name] for name in ("decode", "inference", "encode", "reply")]
    assert {stage.parent_span_id for stage in stages} == {asked.span_id}
    for before, after in itertools.pairwise(stages):
        assert before.start_time_unix_nano <= before.end_time_unix_nano == after.start_time_unix_nano
    assert request.start_time_unix_nano <= asked.start_time_unix_nano
    assert asked.end_time_unix_nano <= request.end_time_unix_nano
    facts = {each.key: each.value for each in request.attributes}
    assert facts["http.response.status_code"].int_value == 200
    assert facts["http.route"].string_value == "/predictions/{model}"
    ids = {each.key: each.value.string_value for each in asked.attributes}
    assert ids["pointrend.request_id"] == answer.headers["x-request-id"]
    assert collector.services == {"pointrend-serve"}
    assert {each["x-team"] for each in collector.headers} == {"vision"}
    line = log_line(private_server, client_request_id="spans")
    assert (line["trace_id"], line["parent_id"]) == (TRACE, asked.span_id.hex())
    assert line["request_id"] == answer.headers["x-request-id"]


@pytest.mark.server
def test_faults_and_sampling(traced: Gateway, collector: Collector) -> None:
    bad, unsampled, last = "1" * 32, "2" * 32, "3" * 32
    for trace, flags, path in ((unsampled, "00", "pointrend"), (bad, "01", "pointrend"), (last, "01", "other")):
        given = {"traceparent": parent(trace=trace, flags=flags)}
        answer = httpx.post(f"{traced.url}/predictions/{path}", content=b"no image", headers=given, timeout=60)
        assert answer.status_code in (404, 415)
    spans = eventually(lambda: collector.of(bad) if len(collector.of(last)) == 2 else None)
    assert spans["POST /predictions/{model}"].status.code == Status.STATUS_CODE_UNSET  # the caller's fault
    assert spans["POST inference"].status.code == Status.STATUS_CODE_ERROR
    assert not collector.of(unsampled)


@pytest.mark.server
@pytest.mark.parametrize("given", [None, "malformed"])
def test_a_new_trace_reaches_the_log(
    gateway: Gateway, private_server: TorchServe, photo: bytes, given: str | None
) -> None:
    headers = {"X-Request-Id": f"new-{given}", **({"traceparent": given} if given else {})}
    httpx.post(f"{gateway.url}/predictions/pointrend", content=photo, headers=headers, timeout=60).raise_for_status()
    line = log_line(private_server, client_request_id=f"new-{given}")
    assert re.fullmatch("[0-9a-f]{32}", line["trace_id"])
    assert re.fullmatch("[0-9a-f]{16}", line["parent_id"])
