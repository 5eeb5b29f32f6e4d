"""What the gateway and nginx refuse by themselves, as errors in the form of the model's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError, ServerError

_CODES = {
    400: "invalid_request",
    408: "upload_too_slow",
    414: "path_too_long",
    417: "expectation_failed",
    431: "headers_too_long",
}
ID_HEADERS = ("x-request-id", "x-client-request-id")
_RETRY_AFTER = {"disk_full": "10", "server_restarting": "5"}  # seconds; 2 otherwise


def bad_request(why: str = "The request is not valid HTTP/1.1.", status: int = 400) -> RequestError:
    """400, or another ``status`` of those that have a code here: HTTP itself is broken."""
    return InvalidRequest(why, code=_CODES[status], status=status)


def invalid_form(
    message: str, field: str, *, limit: object = None, value: object = None, code: str = "invalid_form"
) -> RequestError:
    """400: a form, or a header that describes one, cannot be understood."""
    return InvalidRequest(message, field=field, limit=limit, value=value, code=code)


def not_found() -> RequestError:
    """404: no such path."""
    return RequestError(
        "There is nothing at this path; models are at /predictions/NAME, and the first one is called pointrend.",
        code="not_found",
        status=404,
    )


def model_not_found() -> RequestError:
    """404: no such model."""
    return RequestError(
        "No model of that name and version is served; the first one is called pointrend.",
        field="model",
        code="model_not_found",
        status=404,
    )


def method_not_allowed(allowed: str) -> RequestError:
    """405: the path is answered, with other methods."""
    return RequestError(
        f"Only {allowed} is allowed here.", field="method", limit=allowed, code="method_not_allowed", status=405
    )


def request_too_large(limit: int, value: int | None = None) -> RequestError:
    """413: more bytes than TorchServe takes."""
    return ImageTooLarge(
        f"The request is larger than {limit} bytes.", field="image", limit=limit, value=value, code="request_too_large"
    )


def overloaded() -> RequestError:
    """503: no room for now."""
    return ServerError(
        "The server is overloaded or still starting; try again in a moment.", code="overloaded", status=503
    )


def restarting() -> RequestError:
    """503: TorchServe ended, or serves another model in a moment."""
    return ServerError("The server is restarting; try again in a few seconds.", code="server_restarting", status=503)


def worker_died() -> RequestError:
    """500: the worker ended, perhaps by this request."""
    return ServerError("The model's process ended on this request; it is restarting.", code="worker_died")


def timeout(seconds: float) -> RequestError:
    """504: no answer in time."""
    return ServerError(f"The model did not answer within {seconds:g} s.", limit=seconds, code="timeout", status=504)


class ModelRefusal(RequestError):
    """An error that the model has told; it is passed on unchanged, with the request's ids.

    Args:
        tree: its JSON.
        status: of HTTP.
        headers: that came with it.
    """

    def __init__(self, tree: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> None:
        detail = tree["error"]
        super().__init__(str(detail.get("message")), code=str(detail.get("code")), status=status)
        self._tree = dict(tree)
        self.headers = {name: headers[name] for name in ID_HEADERS if name in headers}

    def to_dict(self) -> dict[str, object]:
        """The JSON as it came."""
        return self._tree


def headers_of(error: RequestError) -> dict[str, str]:
    """What an error says in HTTP's headers beside its JSON."""
    return {**_by_status(error), **(error.headers if isinstance(error, ModelRefusal) else {})}


def _by_status(error: RequestError) -> dict[str, str]:
    if error.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if error.status == 405:
        return {"Allow": str(error.limit)}
    if error.status == 429:
        return {"Retry-After": "1"}
    if error.status == 503:
        return {"Retry-After": _RETRY_AFTER.get(error.code, "2")}
    return {}


def body_of(error: RequestError, path: str = "") -> bytes:
    """The JSON of an error, in ASCII: what it repeats of the request may be anything.

    Args:
        error: what is refused.
        path: that was asked; below ``/v2`` an error is in the Open Inference Protocol's form, the message alone.
    """
    in_protocol = path == "/v2" or path.startswith("/v2/")
    return json.dumps({"error": error.message} if in_protocol else error.to_dict()).encode() + b"\n"
