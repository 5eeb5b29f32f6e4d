"""What TorchServe's worker runs: one class, which answers each request of a batch on its own."""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# In the archive the packages lie beside this file, and TorchServe puts PYTHONPATH before them: the archive's own
# copies, which its weights were tested with, must win over another that happens to be installed.
_ARCHIVE = Path(__file__).resolve().parent
if (_ARCHIVE / "pointrend").is_dir():
    sys.path.insert(0, str(_ARCHIVE))

import pointrend  # noqa: E402
from handler import inputs, outputs  # noqa: E402
from pointrend.errors import RequestError, ServerError  # noqa: E402
from pointrend.image import ImageLimits, decode  # noqa: E402

logger = logging.getLogger(__name__)

MODEL_FOLDER = "model"  # where the archive keeps weights, configuration and model.json


class PointRendHandler:
    """TorchServe calls :meth:`initialize` once a worker and :meth:`handle` once a batch."""

    def initialize(self, context: Any) -> None:
        """Load the model of the archive.

        Args:
            context: TorchServe's; ``model_yaml_config["handler"]`` (all of it optional) may set ``threads``,
                ``max_image_bytes``, ``max_image_pixels``, ``max_image_side`` and ``max_response_bytes``.
        """
        settings = (context.model_yaml_config or {}).get("handler") or {}
        defaults = ImageLimits()
        self._limits = ImageLimits(
            max_bytes=settings.get("max_image_bytes", defaults.max_bytes),
            max_pixels=settings.get("max_image_pixels", defaults.max_pixels),
            max_side=settings.get("max_image_side", defaults.max_side),
        )
        self._max_response_bytes = int(settings.get("max_response_bytes", 6_000_000))
        folder = Path(context.system_properties["model_dir"]) / MODEL_FOLDER
        self._segmenter = pointrend.load(folder, threads=settings.get("threads"))

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch: one body a request, always, so that a bad one costs its neighbours nothing."""
        answers = []
        for index, item in enumerate(data):
            reply, timing = self._answer(item, context.get_all_request_header(index), context.get_request_id(index))
            context.set_response_status(reply.status, reply.phrase, index)
            context.set_response_content_type(index, reply.content_type)
            if timing:
                context.set_response_header(index, "Server-Timing", outputs.server_timing(timing))
            answers.append(reply.body)
        return answers

    def _answer(
        self, item: Mapping[str, Any], headers: Mapping[str, Any], request_id: str | None
    ) -> tuple[outputs.Reply, dict[str, float]]:
        try:
            if headers.get("describe") == "True":
                return self._describe(), {}
            return self._segment(item, headers)
        except RequestError as error:
            return outputs.refusal(error), {}
        except Exception:
            # Whatever else goes wrong is ours: it must neither fail the batch nor end the worker.
            logger.exception("Request %s failed", request_id)
            message = f"The server failed on this request; its log has the details under {request_id}."
            return outputs.refusal(ServerError(message)), {}

    def _segment(self, item: Mapping[str, Any], headers: Mapping[str, Any]) -> tuple[outputs.Reply, dict[str, float]]:
        started = time.perf_counter()
        data, options = inputs.read(item, headers, self._limits)
        image = decode(data, self._limits)
        decoded = time.perf_counter()
        # A picture shows masks whether or not they are asked for as run lengths.
        wanted = dataclasses.replace(options, masks="rle") if options.format == "png" else options
        prediction = self._segmenter(image, wanted)
        timing = {"decode": (decoded - started) * 1000, **prediction.timing_ms}
        replying = time.perf_counter()
        reply = outputs.reply(
            dataclasses.replace(prediction, timing_ms=timing), image, options, self._max_response_bytes
        )
        return reply, {**timing, "reply": (time.perf_counter() - replying) * 1000}

    def _describe(self) -> outputs.Reply:
        """What ``GET /models/pointrend?customized=true`` on the management port answers beside TorchServe's own."""
        info = self._segmenter.info
        return outputs.Reply.json(
            {
                "name": info.name,
                "version": info.version,
                "categories": [{"id": category.id, "name": category.name} for category in info.categories],
            }
        )
