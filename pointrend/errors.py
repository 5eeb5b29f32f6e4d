"""What can go wrong, as one tree.

PointRendError
├── RequestError          a request that cannot be answered; carries what the served API says of it
│   ├── InvalidRequest    400  the request itself cannot be understood
│   ├── ImageTooLarge     413  too many bytes or pixels
│   ├── ResponseTooLarge  413  the answer would have more bytes than the server sends
│   ├── UnsupportedImage  415  not an image that we read
│   ├── InvalidOption     422  an option is unknown or out of range
│   └── ServerError       5xx  the server failed, is overloaded or is not there
├── ConfigError           a model configuration that we cannot build
├── DataError             labelled photos that we cannot read
├── TrainingError         a training that cannot go on
├── DownloadError         a published model that cannot be fetched
│   └── Unreachable       because there is no connection
├── UploadError           a model that cannot be published
└── CheckpointError       weights that cannot be read, or that do not fit their configuration
"""

from __future__ import annotations

from typing import Any


class PointRendError(Exception):
    """Base of every error that this project raises on purpose."""


class ConfigError(PointRendError):
    """A model configuration that cannot be read or built."""


class DataError(PointRendError):
    """A data set of labelled photos that cannot be read, or that does not fit the model."""


class TrainingError(PointRendError):
    """A training that cannot go on."""


class DownloadError(PointRendError):
    """A published model that cannot be fetched: the server refuses, fails, or delivers something else."""


class Unreachable(DownloadError):
    """A published model that cannot be fetched because there is no connection, or must be none."""


class UploadError(PointRendError):
    """A model that cannot be published: the server refuses, fails, or cannot be reached."""


class CheckpointError(PointRendError):
    """Weights that cannot be read safely, or that do not fit their configuration."""


class RequestError(PointRendError):
    """A request that cannot be answered.

    Args:
        message: one readable sentence; it names the field, the limit and the value.
        field: which part of the request is at fault, such as ``image`` or ``score_threshold``.
        limit: what is allowed.
        value: what was received.
        code: a stable identifier for programs; each subclass has its own default.
        status: the HTTP status; each subclass has its own default.
    """

    status = 500
    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        limit: Any = None,
        value: Any = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.limit = limit
        self.value = value
        self.code = code or type(self).code
        self.status = status or type(self).status

    def to_dict(self) -> dict[str, Any]:
        """The error as the served API answers it: ``{"error": {"code": ..., "status": ..., "message": ..., ...}}``.

        It repeats its status, because over gRPC TorchServe delivers the body alone.
        """
        details = {"field": self.field, "limit": self.limit, "value": self.value}
        return {
            "error": {
                "code": self.code,
                "status": self.status,
                "message": self.message,
                **{key: value for key, value in details.items() if value is not None},
            }
        }


class InvalidRequest(RequestError):
    """400: the request cannot be understood."""

    status = 400
    code = "invalid_request"


class ImageTooLarge(RequestError):
    """413: the image has too many bytes or too many pixels."""

    status = 413
    code = "image_too_large"


class ResponseTooLarge(RequestError):
    """413: the answer would have more bytes than the server sends; the message says what makes it smaller."""

    status = 413
    code = "response_too_large"


class UnsupportedImage(RequestError):
    """415: the bytes are no image that we read."""

    status = 415
    code = "unsupported_image"


class InvalidOption(RequestError):
    """422: an option is unknown or out of range."""

    status = 422
    code = "invalid_option"


class ServerError(RequestError):
    """5xx: the server failed, is overloaded, or cannot be reached (status 503)."""


def from_response(status: int, tree: dict[str, Any]) -> RequestError:
    """Rebuild the error that a server answered as ``tree`` (see :meth:`RequestError.to_dict`) with ``status``."""
    detail = tree.get("error", {})
    kinds: dict[int, type[RequestError]] = {
        kind.status: kind for kind in (InvalidRequest, ImageTooLarge, UnsupportedImage, InvalidOption)
    }
    if detail.get("code") == ResponseTooLarge.code:
        kinds[status] = ResponseTooLarge
    kind = kinds.get(status, ServerError if status >= 500 else RequestError)
    return kind(
        str(detail.get("message", f"The server answered with status {status}.")),
        field=detail.get("field"),
        limit=detail.get("limit"),
        value=detail.get("value"),
        code=detail.get("code"),
        status=status,
    )
