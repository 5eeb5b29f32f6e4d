"""What the gateway answers at each path."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Send

from gateway.image_download import ImageDownloads
from gateway.image_urls import UrlPolicy
from gateway.limits import ClientLimits
from gateway.model_server import ModelServer
from gateway.open_inference.routes import OpenInference
from gateway.predictions import check_headers, cleaned, model_path
from gateway.readiness import Readiness
from gateway.responses import Streamed
from gateway.uploads import Uploads
from gateway.upstream import headers_of as answer_headers
from pointrend.errors import ServerError
from pointrend.serving.server_config import INFERENCE, MANAGEMENT, METRICS


class Gateway:
    """Answers requests with the help of what runs the models.

    Args:
        upstream: runs the models.
        limits: what callers may take.
        page: the page's URL, where readiness includes it.
        downloads: fetches images by URL; by default none is fetched.
    """

    def __init__(
        self, upstream: ModelServer, limits: ClientLimits, page: str | None, downloads: ImageDownloads | None = None
    ) -> None:
        self._upstream = upstream
        self._downloads = downloads or ImageDownloads(UrlPolicy(), 0)
        self._uploads = Uploads(limits, upstream.max_request_bytes)
        self._readiness = Readiness(upstream, [upstream.folder, Path(tempfile.gettempdir())], page)

    @property
    def readiness(self) -> Readiness:
        """Of all models."""
        return self._readiness

    def routes(self) -> list[Route]:
        """The paths that are answered."""
        get = ["GET"]
        return [
            Route("/predictions/{model}", self._predict, methods=["POST"]),
            Route("/predictions/{model}/{version}", self._predict, methods=["POST"]),
            Route("/models", self._models, methods=get),
            Route("/models/{model}", self._models, methods=get),
            Route("/metrics", self._metrics, methods=get),
            Route("/ping", self._ping, methods=get),
            Route("/healthz", self._healthz, methods=get),
            Route("/readyz", self._readyz, methods=get),
            *OpenInference(self._upstream, self._downloads, self._uploads, self._readiness).routes(),
        ]

    async def _predict(self, request: Request) -> Response:
        path = model_path(request.path_params["model"], request.path_params.get("version"))
        length = check_headers(request.headers)
        address = request.client.host if request.client else ""

        async def answer(send: Send) -> None:
            async with self._uploads.body(request.receive, address, length) as body:
                asked = cleaned(request.headers, body)
                del body
                async with AsyncExitStack() as stack:
                    if asked.image_url is not None:
                        image = await stack.enter_async_context(self._downloads.image(asked.image_url))
                        asked = asked.with_image(image)
                        del image
                    await self._pass_on(send, INFERENCE, "POST", path, headers=asked.headers, pieces=asked.pieces)

        return Streamed(answer)

    async def _models(self, request: Request) -> Response:
        model = request.path_params.get("model")
        path = f"/models/{model}" if model else "/models"
        if request.url.query == "customized=true":
            path += "?customized=true"  # TorchServe asks the model then
        return self._simple(MANAGEMENT, path)

    async def _metrics(self, request: Request) -> Response:
        return self._simple(METRICS, "/metrics")

    async def _ping(self, request: Request) -> Response:
        return self._simple(INFERENCE, "/ping")

    async def _healthz(self, request: Request) -> Response:
        return Response(status_code=204)

    async def _readyz(self, request: Request) -> Response:
        await self._readiness.check()
        return Response(status_code=204)

    def _simple(self, kind: str, path: str) -> Response:
        return Streamed(lambda send: self._pass_on(send, kind, "GET", path))

    async def _pass_on(
        self,
        send: Send,
        kind: str,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        pieces: Sequence[bytes | bytearray] = (),
    ) -> None:
        """Send TorchServe's answer to the caller as it comes."""
        try:
            async with self._upstream.ask(kind, method, path, headers=headers, pieces=pieces) as answer:
                start = {"type": "http.response.start", "status": answer.status_code, "headers": answer_headers(answer)}
                await send(start)
                async for piece in answer.aiter_raw():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ServerError:
            await self._readiness.check_disk()  # what fails on a full disk should say so
            raise
