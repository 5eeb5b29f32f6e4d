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
│   └── InaccurateExport  a model that an engine would compute wrongly
├── InvalidPrediction     a prediction, as JSON has it, that is none; also a ValueError
├── DataError             labelled images that we cannot read
├── VideoError            a video that cannot be read or written
├── TrainingError         a training that cannot go on
├── DownloadError         a published model that cannot be fetched
│   └── Unreachable       because there is no connection
├── UploadError           a model that cannot be published
├── OutputError           a place for results that cannot be written
└── CheckpointError       weights that cannot be read, or that do not fit their configuration
"""

from __future__ import annotations

import math
import re
from typing import Any

from pointrend.plain_text import plain

_CODE = re.compile("[a-z][a-z0-9_]{0,63}")


class PointRendError(Exception):
    """Base of every error that this project raises on purpose."""


class ConfigError(PointRendError):
    """A model configuration that cannot be read or built."""


class InaccurateExport(ConfigError):
    """A model whose parts, converted for an engine, answer something else than in plain PyTorch."""


class InvalidPrediction(PointRendError, ValueError):
    """A prediction, as JSON has it, that cannot be believed.

    Args:
        field: which part of it, such as ``instances[3].segmentation.counts``.
        problem: what is wrong with it, as the rest of a sentence that begins with the field.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}.".replace("..", "."))
        self.field = field


class DataError(PointRendError):
    """A data set of labelled images that cannot be read, or that does not fit the model."""


class VideoError(PointRendError):
    """A video that cannot be read or written."""


class TrainingError(PointRendError):
    """A training that cannot go on."""


class DownloadError(PointRendError):
    """A published model that cannot be fetched: the server refuses, fails, or delivers something else."""


class Unreachable(DownloadError):
    """A published model that cannot be fetched because there is no connection, or must be none."""


class UploadError(PointRendError):
    """A model that cannot be published: the server refuses, fails, or cannot be reached."""


class OutputError(PointRendError):
    """A file or folder for results that cannot be written."""


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
    """Rebuild the error that a server answered as ``tree`` (see :meth:`RequestError.to_dict`) with ``status``.

    The tree may come from anybody: what is of the wrong type in it is left out, and text is made fit to be printed.
    """
    found = tree.get("error")
    detail = found if isinstance(found, dict) else {}
    code, message, field = detail.get("code"), detail.get("message"), detail.get("field")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        code = None  # the class's own
    kinds: dict[int, type[RequestError]] = {
        kind.status: kind for kind in (InvalidRequest, ImageTooLarge, UnsupportedImage, InvalidOption)
    }
    if code == ResponseTooLarge.code:
        kinds[status] = ResponseTooLarge
    kind = kinds.get(status, ServerError if status >= 500 else RequestError)
    return kind(
        plain(message) if isinstance(message, str) and message else f"The server answered with status {status}.",
        field=plain(field, 100) if isinstance(field, str) else None,
        limit=_plain_detail(detail.get("limit")),
        value=_plain_detail(detail.get("value")),
        code=code,
        status=status,
    )


def _plain_detail(value: Any) -> Any:
    """A limit or a value: a number, text, or a list of them."""
    if isinstance(value, list):
        return [_plain_detail(each) for each in value if not isinstance(each, dict | list)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return plain(value) if isinstance(value, str) else None if isinstance(value, dict) else value
