"""A request, answered: read it, run the model, encode what was found, and tell what there is to log and to count.

Servers differ in how a request reaches them; from there on they all come here.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pointrend.errors import RequestError, ServerError
from pointrend.images.decode import decode
from pointrend.images.limits import ImageLimits
from pointrend.inference.base import Segmenter
from pointrend.inference.tile_grid import TileGrid
from pointrend.service import outputs
from pointrend.service.description import describe
from pointrend.service.inputs import DESCRIBE, HEALTH, Request
from pointrend.structures.options import Options

logger = logging.getLogger(__name__)

# A strip: the network's longest edge bounds its size, to a fraction of a photo's, and a busy machine answers in time.
HEALTH_IMAGE = np.full((4, 256, 3), 128, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Attributes:
        reply: for the caller.
        facts: for the log: nothing that tells what is in the image.
        timing_ms: milliseconds by stage, of :data:`pointrend.service.metrics.STAGES`, where an image was segmented.
    """

    reply: outputs.Reply
    facts: Mapping[str, Any]
    timing_ms: Mapping[str, float] = field(default_factory=dict)


class ModelService:
    """One loaded model behind whatever server.

    Args:
        segmenter: the model.
        limits: of an image.
        max_response_bytes: the largest body that the server sends.
        max_tiles: that an image may be cut into.

    Attributes:
        segmenter: the model.
        limits: of an image.

    Example:
        >>> service = ModelService(pointrend.load("demo"), ImageLimits(), 41_000_000, 100)
        >>> outcome = service.answer(lambda: read_form({"image": photo}, {}), "request 1")
        >>> outcome.reply.status, outcome.facts["found"]
        (200, 2)
    """

    def __init__(self, segmenter: Segmenter[Any], limits: ImageLimits, max_response_bytes: int, max_tiles: int) -> None:
        self.limits = limits
        self.segmenter = segmenter
        self._max_response_bytes = max_response_bytes
        self._max_tiles = max_tiles

    def answer(self, read: Callable[[], Request], request_id: str | None) -> Outcome:
        """Answer a request; whatever goes wrong becomes an error's reply, so that neither server nor neighbours suffer.

        Args:
            read: reads the request, or raises a :class:`~pointrend.errors.RequestError`; what it takes counts as
                decoding.
            request_id: names the request in the log where the fault is ours.
        """
        try:
            try:
                return self._perform(read)
            except RequestError as error:
                return refused(error)
        except Exception:
            logger.exception("Request %s failed", request_id)
            return refused(
                ServerError(f"The server failed on this request; its log has the details under {request_id}.")
            )

    def health(self) -> outputs.Reply:
        """Send a small grey image through the whole network: a worker that is up but cannot predict is not healthy."""
        # The task that every model answers.
        options = Options(task="semantic", score_threshold=0.0, max_detections=1, categories=("all",))
        prediction = self.segmenter(HEALTH_IMAGE, options)
        return outputs.Reply.json(
            {"health": "ok", "model": prediction.model, "inference_ms": round(prediction.timing_ms["inference"], 1)}
        )

    def _perform(self, read: Callable[[], Request]) -> Outcome:
        started = time.perf_counter()
        request = read()
        if request.action == DESCRIBE:
            tree = describe(self.segmenter, self.limits, self._max_response_bytes)
            return Outcome(outputs.Reply.json(tree), {"action": request.action})
        if request.action == HEALTH:
            return Outcome(self.health(), {"action": request.action})
        return self._segment(request, started)

    def _segment(self, request: Request, started: float) -> Outcome:
        options = request.options
        image = decode(request.image, self.limits)
        if options.tiles is not None:
            TileGrid.of(image.shape[:2], options.tiles, self._max_tiles)  # refuses what would take too long
        decoded = time.perf_counter()
        # A picture shows masks whether or not they are asked for as run lengths.
        masks = "probability" if options.format == "uncertainty" else "rle"
        wanted = options if options.format == "json" else dataclasses.replace(options, masks=masks)
        prediction = self.segmenter(image, wanted, started=started)
        timing = {"decode": (decoded - started) * 1000, **prediction.timing_ms}
        prediction = dataclasses.replace(prediction, timing_ms=timing)
        replying = time.perf_counter()
        reply = outputs.reply(prediction, image, options, self._max_response_bytes)
        timing = {**timing, "reply": (time.perf_counter() - replying) * 1000}
        reply = dataclasses.replace(reply, headers={**reply.headers, "Server-Timing": outputs.server_timing(timing)})
        facts = {
            "action": request.action,
            "task": options.task,
            "format": options.format,
            "image_bytes": len(request.image),
            "width": prediction.width,
            "height": prediction.height,
            "found": len(prediction.segments if options.task == "semantic" else prediction.instances),
            "timing_ms": {stage: round(value, 1) for stage, value in timing.items()},
        }
        return Outcome(reply, facts, timing)


def refused(error: RequestError) -> Outcome:
    """What becomes of a request that is answered with an error."""
    return Outcome(outputs.refusal(error), {"code": error.code, "field": error.field})
