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

No answer is believed. These make no sense, and end in the last row's error:

- a body of more than ``max_bytes`` (40 MiB unless :class:`~pointrend.client.limits.ResponseLimits` says more), or a
  compressed one;
- a status that is neither 200 nor an error; a redirect, which is not followed;
- JSON that is nested too deep, has a key twice, or NaN; a prediction that
  :mod:`pointrend.structures.prediction_checks` refuses, is of another task than was asked for, or has more instances;
  a description whose parts are of the wrong type;
- a picture that is damaged, cut short, or of more than ``max_pixels`` (50 million); a label map that is not grey;
- a zip of more than 101 members, or of more than ``max_bytes`` once unpacked; one whose members are encrypted, lie over
  each other, have names with folders, or are no PNG files.

An answer that is not there as a whole after ``timeout`` seconds is given up. What an error says is cleaned of control
characters, and shortened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrend.client.bodies import read_json, unzip_pngs
from pointrend.client.descriptions import checked_description
from pointrend.client.limits import ResponseLimits
from pointrend.client.messages import Answer
from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError, ServerError, from_response
from pointrend.images.png import read_png
from pointrend.plain_text import plain
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction

INVALID_TOKEN = "invalid_token"
BAD_GATEWAY = 502

_LABEL_MODES = ("I;16", "I", "L", "P")  # older Pillow opens 16-bit grey as 32-bit integers


def server_down(where: str) -> ServerError:
    """Nothing listens at ``where``, or the connection broke."""
    return ServerError(f"No server answers at {where}. Start one with: make run", code="server_down", status=503)


def timed_out(where: str, seconds: float) -> ServerError:
    """The answer took too long."""
    return ServerError(
        f"{where} did not answer within {seconds:g} s.", limit=seconds, value=None, code="timeout", status=504
    )


def unreadable(wanted: str, problem: str) -> ServerError:
    """What answered makes no sense."""
    return ServerError(
        f"What answered is no PointRend server: {wanted} was expected, and {problem}.",
        code="bad_response",
        status=BAD_GATEWAY,
    )


def error_tree(body: bytes) -> dict[str, Any] | None:
    """The handler's error in a body, or None; over gRPC the body is all that tells a refusal from a result."""
    if not body.startswith(b"{"):
        return None
    try:
        tree = read_json(body)
    except ValueError:
        return None
    return tree if isinstance(tree.get("error"), dict) else None


def failure(answer: Answer, sent: int) -> RequestError | None:
    """What an answer reports as failed, or None for a success.

    Args:
        answer: what came back.
        sent: bytes of the image that was sent.
    """
    if answer.status == 200:
        return None
    said = answer.said
    if 300 <= answer.status < 400:
        return unreadable(
            "an answer",
            f"it is a redirect to {said or 'nowhere'}, which is not followed, because it would receive the token; "
            "use that URL if you trust it",
        )
    if not 400 <= answer.status < 600:
        return unreadable("status 200 or an error", f"the status is {answer.status}")
    tree = error_tree(answer.body)
    if tree is not None:
        return from_response(answer.status, tree)
    if answer.status == 413:
        return ImageTooLarge(
            f"The request with an image of {sent} bytes is larger than the server accepts.",
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


def prediction(answer: Answer, limits: ResponseLimits, asked: Options) -> Prediction:
    """Read a prediction.

    Args:
        answer: what came back.
        limits: what is accepted.
        asked: what was asked for; an answer of another task, with more instances, or not with one a box, is none.

    Raises:
        ServerError: what answered is no PointRend server.
    """
    with _expecting("a prediction"):
        result = Prediction.from_dict(read_json(answer.body), max_pixels=limits.max_pixels)
        if result.task != asked.task:
            raise ValueError(f"its task is {result.task}, but {asked.task} was requested")
        if len(result.instances) > asked.max_detections:
            raise ValueError(
                f"it has {len(result.instances)} instances, but at most {asked.max_detections} were requested"
            )
        if asked.boxes is not None and len(result.instances) != len(asked.boxes):
            raise ValueError(f"it has {len(result.instances)} instances for {len(asked.boxes)} boxes")
        if asked.boxes is None and any(each.category is None for each in result.instances):
            raise ValueError("it has an instance without a category, though no boxes were given")
        return result


def png(answer: Answer, limits: ResponseLimits) -> bytes:
    """Read a PNG file; errors as in :func:`prediction`."""
    with _expecting("a picture"):
        read_png(answer.body, limits.max_pixels).close()
        return answer.body


def label_map(answer: Answer, limits: ResponseLimits) -> NDArray[np.uint16]:
    """Read a label map as (height, width) uint16; errors as in :func:`prediction`."""
    with _expecting("a label map"), read_png(answer.body, limits.max_pixels) as picture:
        if picture.mode not in _LABEL_MODES:
            raise ValueError(f"the picture is of mode {picture.mode}, not one of {', '.join(_LABEL_MODES)}")
        try:
            return np.asarray(picture).astype(np.uint16)
        except Exception as error:
            # Pillow answers broken bytes in one of many ways.
            raise ValueError(f"the picture is damaged: {error}") from error


def cutouts(answer: Answer, limits: ResponseLimits) -> dict[str, bytes]:
    """Read a zip of cut-outs: the PNG files by name, best first; errors as in :func:`prediction`."""
    with _expecting("cut-outs"):
        return unzip_pngs(answer.body, limits.max_bytes, limits.max_pixels)


def description(answer: Answer) -> dict[str, Any]:
    """Read what the model says of itself; errors as in :func:`prediction`."""
    with _expecting("a description"):
        return checked_description(read_json(answer.body))


@contextmanager
def _expecting(wanted: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise unreadable(wanted, plain(str(error)).rstrip(".")) from error
