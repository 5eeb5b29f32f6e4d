"""A prediction or an error as what TorchServe sends: a body, its type and its status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray

from pointrend.errors import InvalidOption, RequestError
from pointrend.options import Options
from pointrend.prediction import Prediction
from pointrend.render import encode_png, overlay


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request of a batch."""

    body: bytes
    content_type: str
    status: int = 200

    @classmethod
    def json(cls, tree: Mapping[str, object], status: int = 200) -> Reply:
        """A JSON body; whatever stands in ``tree`` is finite."""
        text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return cls(text.encode(), "application/json", status)

    @property
    def phrase(self) -> str:
        """The status in words, as HTTP has it."""
        return HTTPStatus(self.status).phrase


def reply(prediction: Prediction, image: NDArray[np.uint8], options: Options, max_bytes: int) -> Reply:
    """Encode a prediction in the form that was asked for.

    Args:
        prediction: what was found.
        image: the HWC uint8 RGB photo that it was found in.
        options: ``format`` chooses JSON or a picture.
        max_bytes: the largest body that TorchServe sends; a larger one would make it restart the worker.

    Raises:
        InvalidOption: the answer would be larger than that; the message says what makes it smaller.
    """
    if options.format == "png":
        answer = Reply(encode_png(overlay(image, prediction)), "image/png")
        field, advice = "format", "send a smaller photo, or ask for format=json"
    else:
        answer = Reply.json(prediction.to_dict())
        field, advice = "masks", "ask for masks=none, a higher score_threshold or fewer max_detections"
    if len(answer.body) > max_bytes:
        raise InvalidOption(
            f"The answer would have {len(answer.body)} bytes; at most {max_bytes} can be sent. "
            f"To make it fit, {advice}.",
            field=field,
            limit=max_bytes,
            value=len(answer.body),
            code="response_too_large",
        )
    return answer


def refusal(error: RequestError) -> Reply:
    """An error as JSON with its status. The body alone says that it is one: gRPC drops an item's status."""
    return Reply.json(error.to_dict(), error.status)


def server_timing(timing_ms: Mapping[str, float]) -> str:
    """Milliseconds by stage as the ``Server-Timing`` header (W3C), which browsers show beside the request."""
    return ", ".join(f"{stage};dur={value:.1f}" for stage, value in timing_ms.items())
