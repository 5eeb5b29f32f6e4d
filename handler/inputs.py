"""One request as TorchServe hands it over: which form it has, how it came, and what its headers say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointrend.images.limits import ImageLimits
from pointrend.service.inputs import BODY, Request, read_form, read_json


def read(data: Mapping[str, Any], headers: Mapping[str, Any], limits: ImageLimits) -> Request:
    """Read one request; gRPC's input map is handed over as a form is.

    Args:
        data: TorchServe's parameters: ``{"body": bytes or parsed JSON}``, or one entry a form field.
        headers: its header names and values in the client's spelling; entries that are no text describe form fields.
        limits: of the image.

    Raises:
        RequestError: see :func:`pointrend.service.inputs.read_form` and :func:`pointrend.service.inputs.read_json`.
    """
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    if data.keys() == {BODY} and _is_json(headers):
        return read_json(data[BODY], texts, limits)
    return read_form(data, texts)


def is_grpc(headers: Mapping[str, Any]) -> bool:
    """Whether a request came by gRPC: over REST, TorchServe itself adds the header ``url_path``, always."""
    return not isinstance(headers.get("url_path"), str)


def asks_description(headers: Mapping[str, Any]) -> bool:
    """Whether TorchServe's management asks for a description (``GET /models/pointrend?customized=true``)."""
    return bool(headers.get("describe") == "True")


def _is_json(headers: Mapping[str, Any]) -> bool:
    """Whether the body was declared as JSON; TorchServe keeps a parameter's type under the parameter's name."""
    declared = headers.get(BODY)
    kind = str(declared.get("content-type")) if isinstance(declared, Mapping) else ""
    return kind.partition(";")[0].strip().lower() == "application/json"  # RFC 9110: types have no case
