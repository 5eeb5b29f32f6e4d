"""What TorchServe's worker runs: one class, which answers each request of a batch on its own.

TorchServe imports this module by its bare name from the unpacked archive; ``handler`` and ``pointrend`` lie beside it.
"""

from __future__ import annotations

import dataclasses
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

import numpy as np

import pointrend
from handler import inputs
from handler.config import HandlerConfig
from handler.metrics import Metrics
from pointrend.engines import VARIABLE
from pointrend.errors import RequestError, ServerError
from pointrend.images.decode import decode
from pointrend.inference.tile_grid import TileGrid
from pointrend.service import outputs
from pointrend.service.description import describe
from pointrend.service.inputs import DESCRIBE, HEALTH, Request
from pointrend.structures.options import Options
from pointrend.system.memory import MemoryLimit

logger = logging.getLogger(__name__)

MODEL_FOLDER = "model"  # where the archive keeps weights, configuration and model.json
CLIENT_ID_HEADER = "X-Client-Request-Id"
# A strip: the network's longest edge bounds its size, to a fraction of a photo's, and a busy machine answers in time.
_HEALTH_IMAGE = np.full((4, 256, 3), 128, dtype=np.uint8)


class PointRendHandler:
    """TorchServe calls :meth:`initialize` once a worker and :meth:`handle` once a batch."""

    def initialize(self, context: Any) -> None:
        """Load the model of the archive.

        Args:
            context: TorchServe's; ``model_yaml_config["handler"]`` has the settings of
                :class:`handler.config.HandlerConfig`. The variable ``POINTREND_ENGINE`` comes before its ``engine``.

        Raises:
            ConfigError: one of them is not allowed, or the engine does not run here.
        """
        config = HandlerConfig.read((context.model_yaml_config or {}).get("handler"))
        self._max_tiles = config.max_tiles
        self._limits, self._max_response_bytes = config.image_limits, config.max_response_bytes
        folder = Path(context.system_properties["model_dir"]) / MODEL_FOLDER
        engine = os.environ.get(VARIABLE) or config.engine
        self._segmenter = pointrend.load(folder, threads=config.threads, engine=engine)
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
        reply, facts = self._answer(item, headers, request_id)
        context.set_response_status(reply.status, reply.phrase, index)
        context.set_response_content_type(index, reply.content_type)
        for name, value in reply.headers.items():
            context.set_response_header(index, name, value)
        transport = "management" if inputs.asks_description(headers) else "grpc" if inputs.is_grpc(headers) else "rest"
        if transport == "grpc":
            # The last of a stream of one. Without it, TorchServe 0.12 fails on StreamPredictions and ends the worker;
            # Predictions ignores it; over REST it would leave the answer open.
            context.set_response_header(index, "ts_stream_next", "false")
        client_id = inputs.client_id(headers)
        if client_id is not None:  # TorchServe puts its own id into X-Request-Id, whatever a handler says
            context.set_response_header(index, CLIENT_ID_HEADER, client_id)
        trace = inputs.trace_context(headers)
        _log(
            request_id=request_id,
            client_request_id=client_id,
            trace_id=trace.trace_id if trace else None,
            parent_id=trace.span_id if trace else None,
            transport=transport,
            status=reply.status,
            answer_bytes=len(reply.body),
            total_ms=round((time.perf_counter() - started) * 1000, 1),
            **facts,
        )
        return reply.body

    def _answer(
        self, item: Mapping[str, Any], headers: Mapping[str, Any], request_id: str | None
    ) -> tuple[outputs.Reply, dict[str, Any]]:
        """The reply, and what the log may say of the request: nothing that tells what is in the image."""
        try:
            try:
                return self._perform(item, headers)
            except RequestError as error:
                return self._refuse(error)
        except Exception:
            # Whatever else goes wrong, in a refusal too, is ours: it must neither fail the batch nor end the worker.
            logger.exception("Request %s failed", request_id)
            return self._refuse(
                ServerError(f"The server failed on this request; its log has the details under {request_id}.")
            )

    def _perform(self, item: Mapping[str, Any], headers: Mapping[str, Any]) -> tuple[outputs.Reply, dict[str, Any]]:
        started = time.perf_counter()
        request = Request(DESCRIBE) if inputs.asks_description(headers) else self._read(item, headers)
        if request.action == DESCRIBE:
            tree = describe(self._segmenter, self._limits, self._max_response_bytes)
            return outputs.Reply.json(tree), {"action": request.action}
        if request.action == HEALTH:
            return self._health(), {"action": request.action}
        return self._segment(request, started)

    def _refuse(self, error: RequestError) -> tuple[outputs.Reply, dict[str, Any]]:
        reply = outputs.refusal(error)
        self._metrics.refused(error.code)
        return reply, {"code": error.code, "field": error.field}

    def _read(self, item: Mapping[str, Any], headers: Mapping[str, Any]) -> Request:
        return inputs.read(item, headers, self._limits)

    def _segment(self, request: Request, started: float) -> tuple[outputs.Reply, dict[str, Any]]:
        options = request.options
        image = decode(request.image, self._limits)
        if options.tiles is not None:
            TileGrid.of(image.shape[:2], options.tiles, self._max_tiles)  # refuses what would take too long
        decoded = time.perf_counter()
        # A picture shows masks whether or not they are asked for as run lengths.
        masks = "probability" if options.format == "uncertainty" else "rle"
        wanted = options if options.format == "json" else dataclasses.replace(options, masks=masks)
        prediction = self._segmenter(image, wanted, started=started)
        timing = {"decode": (decoded - started) * 1000, **prediction.timing_ms}
        prediction = dataclasses.replace(prediction, timing_ms=timing)
        replying = time.perf_counter()
        reply = outputs.reply(prediction, image, options, self._max_response_bytes)
        timing = {**timing, "reply": (time.perf_counter() - replying) * 1000}
        found = len(prediction.segments if options.task == "semantic" else prediction.instances)
        self._metrics.answered(options, found, timing)
        reply = dataclasses.replace(reply, headers={**reply.headers, "Server-Timing": outputs.server_timing(timing)})
        facts = {
            "action": request.action,
            "task": options.task,
            "format": options.format,
            "image_bytes": len(request.image),
            "width": prediction.width,
            "height": prediction.height,
            "found": found,
            "timing_ms": {stage: round(value, 1) for stage, value in timing.items()},
        }
        return reply, facts

    def _health(self) -> outputs.Reply:
        """Send a small grey image through the whole network: a worker that is up but cannot predict is not healthy."""
        # The task that every model answers.
        options = Options(task="semantic", score_threshold=0.0, max_detections=1, categories=("all",))
        prediction = self._segmenter(_HEALTH_IMAGE, options)
        return outputs.Reply.json(
            {"health": "ok", "model": prediction.model, "inference_ms": round(prediction.timing_ms["inference"], 1)}
        )


def _log(**facts: Any) -> None:
    """One line of JSON a request."""
    logger.info("%s", json.dumps({"event": "request", **{k: v for k, v in facts.items() if v is not None}}))
