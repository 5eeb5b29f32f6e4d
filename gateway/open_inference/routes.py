"""The protocol's paths.

======================================  ==============================================================
``GET /v2``                             name, version and extensions of the server
``GET /v2/health/live``                 whether the gateway runs
``GET /v2/health/ready``                whether every model can predict
``GET /v2/models/NAME``                 inputs, outputs and parameters of a model
``GET /v2/models/NAME/ready``           whether it can predict
``POST /v2/models/NAME/infer``          predictions for one image or several
======================================  ==============================================================

A model's paths may go on with ``/versions/VERSION`` after its name.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Send

from gateway.image_download import ImageDownloads
from gateway.model_server import ModelServer
from gateway.open_inference import metadata
from gateway.open_inference.images import passed_id, segment_all
from gateway.open_inference.requests import json_length, read
from gateway.open_inference.responses import write
from gateway.predictions import check_headers, model_path
from gateway.readiness import Readiness
from gateway.responses import Streamed
from gateway.uploads import Uploads


class OpenInference:
    """Answers the protocol's requests with TorchServe's help.

    Args:
        upstream: TorchServe.
        downloads: fetches images by URL.
        uploads: the bodies of all requests.
        readiness: of all models.
    """

    def __init__(
        self, upstream: ModelServer, downloads: ImageDownloads, uploads: Uploads, readiness: Readiness
    ) -> None:
        self._upstream = upstream
        self._downloads = downloads
        self._uploads = uploads
        self._readiness = readiness

    def routes(self) -> list[Route]:
        """The paths that are answered."""
        get, post = ["GET"], ["POST"]
        routes = [
            Route("/v2", self._server, methods=get),
            Route("/v2/health/live", self._live, methods=get),
            Route("/v2/health/ready", self._ready, methods=get),
        ]
        for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            routes += [
                Route(model, self._model, methods=get),
                Route(f"{model}/ready", self._model_ready, methods=get),
                Route(f"{model}/infer", self._infer, methods=post),
            ]
        return routes

    async def _server(self, _request: Request) -> Response:
        return JSONResponse(metadata.server())

    async def _live(self, _request: Request) -> Response:
        return JSONResponse({"live": True})

    async def _ready(self, _request: Request) -> Response:
        await self._readiness.check()
        return JSONResponse({"live": True, "ready": True})

    async def _model(self, request: Request) -> Response:
        model, _, path = _asked(request)
        return JSONResponse(await metadata.model(self._upstream, model, path))

    async def _model_ready(self, request: Request) -> Response:
        model, _, path = _asked(request)
        await self._readiness.check_model(path)
        return JSONResponse({"name": model, "ready": True})

    async def _infer(self, request: Request) -> Response:
        model, version, path = _asked(request)
        length, json_bytes = check_headers(request.headers), json_length(request.headers)
        address = request.client.host if request.client else ""

        async def answer(send: Send) -> None:
            async with self._uploads.body(request.receive, address, length) as body:
                asked = read(body, json_bytes)
                del body
                headers = passed_id(request.headers.get("x-request-id") or asked.id)
                results = await segment_all(self._upstream, self._downloads, path, asked.images, asked.options, headers)
                if any(result.status >= 500 for result in results):
                    await self._readiness.check_disk()  # what fails on a full disk should say so
            await write(asked, model, version, results)(request.scope, request.receive, send)

        return Streamed(answer)


def _asked(request: Request) -> tuple[str, str | None, str]:
    """The model's name, its version where one is asked for, and TorchServe's path to it."""
    model, version = request.path_params["model"], request.path_params.get("version")
    return model, version, model_path(model, version)
