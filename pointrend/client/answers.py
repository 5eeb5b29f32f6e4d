"""From answers to results and errors, for every transport alike.

What the handler answers carries its error as JSON and comes back as it was raised. What TorchServe or the network
answers by itself is told in the same tree:

============================================  ==========================  ==============  ======  =================
REST                                          gRPC                        error           status  code
============================================  ==========================  ==============  ======  =================
400 ``InvalidKeyException``                   PERMISSION_DENIED           InvalidRequest  400     invalid_token
404 ``ModelNotFoundException``                INTERNAL, the same          RequestError    404     model_not_found
413, empty                                    CANCELLED,                  ImageTooLarge   413     request_too_large
                                              RESOURCE_EXHAUSTED
500, 507 ``Worker died.``                     RESOURCE_EXHAUSTED, same    ServerError     500     worker_died
503 (queue full, no worker)                   INTERNAL, the same          ServerError     503     overloaded
no answer in time                             DEADLINE_EXCEEDED           ServerError     504     timeout
no connection                                 UNAVAILABLE                 ServerError     503     server_down
an answer that makes no sense                 the same                    ServerError     502     bad_response
============================================  ==========================  ==============  ======  =================
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.client.messages import Answer
from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError, ServerError, from_response
from pointrend.prediction import Prediction

INVALID_TOKEN = "invalid_token"


def server_down(where: str) -> ServerError:
    """Nothing listens at ``where``, or the connection broke."""
    return ServerError(f"No server answers at {where}. Start one with: make run", code="server_down", status=503)


def timed_out(where: str, seconds: float) -> ServerError:
    """The answer took too long."""
    return ServerError(
        f"{where} did not answer within {seconds:g} s.", limit=seconds, value=None, code="timeout", status=504
    )


def error_tree(body: bytes) -> dict[str, Any] | None:
    """The handler's error in a body, or None; over gRPC the body is all that tells a refusal from a result."""
    if not body.startswith(b"{"):
        return None
    try:
        tree = json.loads(body)
    except ValueError:
        return None
    return tree if isinstance(tree.get("error"), dict) else None


def failure(answer: Answer, sent: int) -> RequestError | None:
    """What an answer reports as failed, or None for a success.

    Args:
        answer: what came back.
        sent: bytes of the photo that was sent.
    """
    if answer.status < 400:
        return None
    tree = error_tree(answer.body)
    if tree is not None:
        return from_response(answer.status, tree)
    said = answer.said
    if answer.status == 413:
        return ImageTooLarge(
            f"The request with a photo of {sent} bytes is larger than the server takes.",
            field="image",
            value=sent,
            code="request_too_large",
        )
    if answer.status == 503:
        return ServerError("The server is overloaded or still starting; try again.", code="overloaded", status=503)
    if answer.status == 400 and "Token" in said:
        return InvalidRequest(
            "The server refuses the token: it is wrong, has expired, or is missing.", field="token", code=INVALID_TOKEN
        )
    if answer.status == 404:
        return RequestError(f"The server has no such model: {said}", field="model", code="model_not_found", status=404)
    if "Worker died" in said:
        return ServerError("The server's worker ended on this request; it is restarting.", code="worker_died")
    kind = ServerError if answer.status >= 500 else RequestError
    return kind(
        f"The server answered with status {answer.status}: {said or 'nothing more'}.",
        code="bad_response",
        status=answer.status,
    )


def prediction(answer: Answer) -> Prediction:
    """Read a prediction.

    Raises:
        ServerError: what answered is no PointRend server.
    """
    try:
        return Prediction.from_dict(json.loads(answer.body))
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable("a prediction") from error


def png(answer: Answer) -> bytes:
    """Read a PNG file; errors as in :func:`prediction`."""
    if not answer.body.startswith(b"\x89PNG\r\n\x1a\n"):
        raise _unreadable("a picture")
    return answer.body


def label_map(answer: Answer) -> NDArray[np.uint16]:
    """Read a label map as (height, width) uint16; errors as in :func:`prediction`."""
    with Image.open(io.BytesIO(png(answer))) as picture:
        return np.asarray(picture).astype(np.uint16)


def cutouts(answer: Answer) -> dict[str, bytes]:
    """Read a zip of cut-outs: the PNG files by name, best first; errors as in :func:`prediction`."""
    try:
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            return {name: archive.read(name) for name in archive.namelist() if name.endswith(".png")}
    except zipfile.BadZipFile as error:
        raise _unreadable("cut-outs") from error


def description(answer: Answer) -> dict[str, Any]:
    """Read what the model says of itself; errors as in :func:`prediction`."""
    try:
        tree = json.loads(answer.body)
    except ValueError as error:
        raise _unreadable("a description") from error
    if not isinstance(tree, dict):
        raise _unreadable("a description")
    return tree


def _unreadable(wanted: str) -> ServerError:
    return ServerError(
        f"What answered is no PointRend server: {wanted} was expected, and something else came.",
        code="bad_response",
        status=502,
    )
