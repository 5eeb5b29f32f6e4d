"""What TorchServe's worker runs: one class, which answers each request of a batch on its own.

TorchServe imports this module by its bare name from the unpacked archive; ``handler`` and ``pointrend`` lie beside it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if not __package__:
    # In the archive, that is. TorchServe puts PYTHONPATH before it: the archive's own copies, which its weights were
    # tested with, must win over others that happen to be installed.
    sys.path.insert(0, str(Path(__file__).resolve().parent))

from handler import inputs
from handler.config import HandlerConfig
from handler.metrics import Metrics
from pointrend.engines import VARIABLE
from pointrend.inference.loading import load
from pointrend.service.answering import ModelService
from pointrend.service.inputs import DESCRIBE, Request
from pointrend.service.request_ids import client_id as given_id
from pointrend.service.request_ids import trace_context
from pointrend.system.memory import MemoryLimit
from pointrend.system.threads import VARIABLE as THREADS

logger = logging.getLogger(__name__)

MODEL_FOLDER = "model"  # where the archive keeps weights, configuration and model.json
CLIENT_ID_HEADER = "X-Client-Request-Id"


class PointRendHandler:
    """TorchServe calls :meth:`initialize` once a worker and :meth:`handle` once a batch."""

    def initialize(self, context: Any) -> None:
        """Load the model of the archive.

        Args:
            context: TorchServe's; ``model_yaml_config["handler"]`` has the settings of
                :class:`handler.config.HandlerConfig`. The variable ``POINTREND_ENGINE`` comes before its ``engine``,
                ``POINTREND_THREADS`` counts where that says no ``threads``.

        Raises:
            ConfigError: one of them is not allowed, or the engine does not run here.
        """
        config = HandlerConfig.read((context.model_yaml_config or {}).get("handler"))
        unpacked = Path(context.system_properties["model_dir"])  # for all workers of the model, and for nobody else
        engine = os.environ.get(VARIABLE) or config.engine
        share = os.environ.get(THREADS)
        threads = config.threads or (int(share) if share else None)
        share_in = unpacked if share else None  # a share of the cores is given where there are several workers
        segmenter = load(unpacked / MODEL_FOLDER, threads=threads, engine=engine, share_in=share_in)
        self._service = ModelService(segmenter, config.image_limits, config.max_response_bytes, config.max_tiles)
        self._memory = MemoryLimit()
        self._metrics = Metrics(context.metrics, context.model_name)

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch: one body a request, always, so that a bad one costs its neighbours nothing."""
        bodies = [self._handle_one(item, context, index) for index, item in enumerate(data)]
        self._memory.settle()
        return bodies

    def _handle_one(self, item: Mapping[str, Any], context: Any, index: int) -> bytes:
        started = time.perf_counter()
        headers, request_id = context.get_all_request_header(index), context.get_request_id(index)
        outcome = self._service.answer(lambda: self._read(item, headers), request_id)
        self._metrics.count(outcome)
        reply = outcome.reply
        context.set_response_status(reply.status, reply.phrase, index)
        context.set_response_content_type(index, reply.content_type)
        for name, value in reply.headers.items():
            context.set_response_header(index, name, value)
        transport = "management" if inputs.asks_description(headers) else "grpc" if inputs.is_grpc(headers) else "rest"
        if transport == "grpc":
            # The last of a stream of one. Without it, TorchServe 0.12 fails on StreamPredictions and ends the worker;
            # Predictions ignores it; over REST it would leave the answer open.
            context.set_response_header(index, "ts_stream_next", "false")
        client_id = given_id(headers)
        if client_id is not None:  # TorchServe puts its own id into X-Request-Id, whatever a handler says
            context.set_response_header(index, CLIENT_ID_HEADER, client_id)
        trace = trace_context(headers)
        _log(
            request_id=request_id,
            client_request_id=client_id,
            trace_id=trace.trace_id if trace else None,
            parent_id=trace.span_id if trace else None,
            transport=transport,
            status=reply.status,
            answer_bytes=len(reply.body),
            total_ms=round((time.perf_counter() - started) * 1000, 1),
            **outcome.facts,
        )
        return reply.body

    def _read(self, item: Mapping[str, Any], headers: Mapping[str, Any]) -> Request:
        if inputs.asks_description(headers):
            return Request(DESCRIBE)
        return inputs.read(item, headers, self._service.limits)


def _log(**facts: Any) -> None:
    """One line of JSON a request."""
    logger.info("%s", json.dumps({"event": "request", **{k: v for k, v in facts.items() if v is not None}}))
