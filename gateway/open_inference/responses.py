"""The protocol's inference response over HTTP."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from gateway.forms import BINARY, JSON
from gateway.open_inference.images import ImageResult
from gateway.open_inference.requests import JSON_LENGTH_HEADER, InferenceRequest
from gateway.open_inference.tensors import BYTES, INT32, PREDICTION, STATUS, pack

MEDIA_TYPES = {"json": JSON, "cutouts": "application/zip"}
"""Of predictions, by the option ``format``; the others are ``image/png``."""


def write(asked: InferenceRequest, model: str, version: str | None, results: Sequence[ImageResult]) -> Response:
    """The response to a request: JSON, and after it what is asked for as binary data."""
    outputs, pieces = [], []
    for name, binary in asked.outputs.items():
        described, raw = _WRITERS[name](asked, results, binary=binary)
        outputs.append({"name": name, "shape": list(asked.shape), **described})
        pieces.append(raw)
    tree: dict[str, Any] = {"model_name": model}
    if version is not None:
        tree["model_version"] = version
    if asked.id is not None:
        tree["id"] = asked.id
    head = json.dumps({**tree, "outputs": outputs}).encode()
    if not any(asked.outputs.values()):
        return Response(head, media_type=JSON)
    return Response(b"".join([head, *pieces]), headers={JSON_LENGTH_HEADER: str(len(head))}, media_type=BINARY)


def _predictions(
    asked: InferenceRequest, results: Sequence[ImageResult], *, binary: bool
) -> tuple[Mapping[str, Any], bytes]:
    bodies = [result.body for result in results]
    parameters: dict[str, Any] = {"content_type": MEDIA_TYPES.get(asked.format, "image/png")}
    if binary:
        raw = pack(bodies)
        return {"datatype": BYTES, "parameters": {**parameters, "binary_data_size": len(raw)}}, raw
    if asked.format == "json":
        data = [body.decode() for body in bodies]
    else:
        parameters["encoding"] = "base64"
        data = [base64.b64encode(body).decode() for body in bodies]
    return {"datatype": BYTES, "parameters": parameters, "data": data}, b""


def _statuses(
    _asked: InferenceRequest, results: Sequence[ImageResult], *, binary: bool
) -> tuple[Mapping[str, Any], bytes]:
    statuses = [result.status for result in results]
    if binary:
        raw = struct.pack(f"<{len(statuses)}i", *statuses)
        return {"datatype": INT32, "parameters": {"binary_data_size": len(raw)}}, raw
    return {"datatype": INT32, "data": statuses}, b""


_WRITERS = {PREDICTION: _predictions, STATUS: _statuses}
