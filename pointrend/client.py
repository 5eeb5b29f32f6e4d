"""A client of the served model over REST. It imports no torch.

Every failure is one of :mod:`pointrend.errors`' requests errors: what the server answers as JSON comes back as it was
raised there; what TorchServe answers bare, and what never answers, is told in the same words.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import requests
from PIL import Image

from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError, ServerError, from_response
from pointrend.options import Options
from pointrend.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Photo = str | Path | bytes | bytearray | NDArray[np.uint8] | Image.Image

OPTIONS_HEADER = "X-PointRend-Options"


class Client:
    """Asks a server for predictions; one object may be used again and again, by one thread at a time.

    Args:
        url: where the server listens.
        model: the name under which it serves the model.
        token: sent as a bearer token, for servers that ask for one.
        timeout: seconds to wait for an answer.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        model: str = "pointrend",
        *,
        token: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._endpoint = f"{self.url}/predictions/{model}"
        self._session = requests.Session()
        # The body is the photo itself; declared as JSON or a form, TorchServe would take it apart.
        self._session.headers["Content-Type"] = "application/octet-stream"
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def segment(self, image: Photo, **options: Any) -> Prediction:
        """Find the objects of a photo.

        Args:
            image: a path or a file's bytes, sent as they are; an HWC uint8 RGB array or a PIL image, sent as PNG.
            options: see :class:`~pointrend.options.Options`; checked here before anything is sent.

        Raises:
            RequestError: one of its kinds; see :mod:`pointrend.errors`.
            OSError: the path cannot be read.
        """
        response = self._post(image, options | {"format": "json"})
        try:
            return Prediction.from_dict(response.json())
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(response) from error

    def render(self, image: Photo, **options: Any) -> bytes:
        """The photo with its masks drawn on it, as a PNG file; arguments and errors as in :meth:`segment`."""
        response = self._post(image, options | {"format": "png"})
        if response.headers.get("Content-Type") != "image/png":
            raise _unreadable(response)
        return response.content

    def ready(self) -> bool:
        """Whether a real prediction answers: TorchServe's own ``/ping`` says Healthy while it cannot predict."""
        try:
            self.segment(Image.new("RGB", (32, 32)), masks="none")
        except RequestError:
            return False
        return True

    def _post(self, image: Photo, options: Mapping[str, Any]) -> requests.Response:
        Options.parse(options)
        body = _file_bytes(image)
        if not body:
            raise InvalidRequest("The photo is empty: it has 0 bytes.", field="image", code="missing_image")
        headers = {OPTIONS_HEADER: urlencode({name: _text(value) for name, value in options.items()})}
        try:
            response = self._session.post(self._endpoint, data=body, headers=headers, timeout=self.timeout)
        except requests.Timeout as error:
            raise ServerError(
                f"{self.url} did not answer within {self.timeout:g} s.", limit=self.timeout, code="timeout", status=504
            ) from error
        except requests.RequestException as error:
            raise ServerError(
                f"No server answers at {self.url}. Start one with: make run", code="server_down", status=503
            ) from error
        if response.ok:
            return response
        raise _failure(response, len(body))


def _failure(response: requests.Response, sent: int) -> RequestError:
    """What a response that is no success says, in the words of the error tree."""
    try:
        tree = response.json()
    except ValueError:
        tree = None
    if isinstance(tree, dict) and isinstance(tree.get("error"), dict):
        return from_response(response.status_code, tree)
    said = str(tree.get("message", "")) if isinstance(tree, dict) else ""
    if response.status_code == 413:  # TorchServe's own, with an empty body: over max_request_size
        return ImageTooLarge(f"The request of {sent} bytes is larger than the server takes.", field="image", value=sent)
    if response.status_code == 503:
        return ServerError("The server is overloaded or still starting; try again.", code="overloaded", status=503)
    if "Worker died" in said:
        return ServerError("The server's worker ended on this request; it is restarting.", code="worker_died")
    return RequestError(
        f"The server answered with status {response.status_code}: {said or 'nothing more'}.",
        code="bad_response",
        status=response.status_code,
    )


def _unreadable(response: requests.Response) -> ServerError:
    kind = response.headers.get("Content-Type", "no type")
    return ServerError(
        f"What answered at {response.url} is no PointRend server ({kind}).", code="bad_response", status=502
    )


def _file_bytes(image: Photo) -> bytes:
    if isinstance(image, bytes | bytearray):
        return bytes(image)
    if isinstance(image, str | Path):
        return Path(image).read_bytes()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
