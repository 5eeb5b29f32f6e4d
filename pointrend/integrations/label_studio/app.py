"""Label Studio's protocol for backends, as a Starlette application; what it asks is answered by a :class:`Backend`.

=======================  ======================================================================
``GET /``, ``/health``   the backend stands
``POST /setup``          checks a project's labelling configuration and its extra parameters
``POST /predict``        labels tasks, or finds the mask of what an annotator drew
``GET /versions``        the model's
``POST /webhook``        is told what annotators do, and ignores it; training is refused
=======================  ======================================================================

Label Studio shows an error's status line and drops its body, so that the sentence stands in both.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from pointrend.errors import ImageTooLarge, InvalidRequest, PointRendError, RequestError
from pointrend.integrations.label_studio.backend import Backend, Failure
from pointrend.plain_text import plain
from pointrend.system.loopback import is_loopback

MAX_BYTES = 64 * 2**20  # of a request; tasks may hold photos as data: URLs
_REASON = b"x-reason"
_LONGEST_REASON = 500
_MODEL_CLASS = "PointRend"

logger = logging.getLogger(__name__)


def build(backend: Backend, password: str = "") -> Starlette:
    """The application.

    Args:
        backend: answers.
        password: of HTTP Basic Auth, whatever the user's name; empty asks for none, and then answers programs of this
            machine only, no page that a browser has open.
    """
    routes = Routes(backend, password)
    return Starlette(
        routes=[
            Route("/", routes.health),
            Route("/health", routes.health),
            Route("/setup", routes.guarded(routes.set_up), methods=["POST"]),
            Route("/predict", routes.guarded(routes.predict), methods=["POST"]),
            Route("/versions", routes.guarded(routes.versions), methods=["GET", "POST"]),
            Route("/webhook", routes.guarded(routes.webhook), methods=["POST"]),
            Route("/train", routes.guarded(routes.train), methods=["POST"]),
        ],
        exception_handlers={PointRendError: refuse, Exception: fail},
    )


def server(app: Starlette, host: str, port: int) -> uvicorn.Server:
    """uvicorn with sentences in the status lines, still to be run."""
    return uvicorn.Server(
        uvicorn.Config(app, host=host, port=port, http=_Protocol, ws="none", log_level="warning", server_header=False)
    )


Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """The handlers of :func:`build`."""

    def __init__(self, backend: Backend, password: str) -> None:
        self._backend = backend
        self._password = password.encode()

    def guarded(self, handler: Handler) -> Handler:
        """The same, for whoever knows the password."""

        async def checked(request: Request) -> Response:
            if not self._password:
                _check_names(request)
            elif not self._knows(request.headers.get("authorization", "")):
                raise RequestError(
                    "Set the backend's authentication to Basic, with the password that it was started with.",
                    field="Authorization",
                    code="invalid_token",
                    status=401,
                )
            return await handler(request)

        return checked

    async def health(self, _request: Request) -> Response:
        """That the backend stands."""
        return JSONResponse({"status": "UP", "model_class": _MODEL_CLASS})

    async def set_up(self, request: Request) -> Response:
        """Check a project's settings."""
        tree = await _tree(request)
        project, labelling = _text(tree, "project"), _text(tree, "schema")
        await run_in_threadpool(self._backend.set_up, project, labelling, tree.get("extra_params"))
        return JSONResponse({"model_version": self._backend.version})

    async def predict(self, request: Request) -> Response:
        """Label tasks; one that fails has an empty prediction, is named in ``errors``, and is logged."""
        tree = await _tree(request)
        project, labelling = _text(tree, "project"), _text(tree, "label_config")
        tasks = tree.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(each, dict) for each in tasks):
            raise InvalidRequest("tasks is not a list of objects.", field="tasks")
        parameters = tree.get("params")
        context = parameters.get("context") if isinstance(parameters, dict) else None
        if isinstance(context, dict) and context.get("result"):
            if len(tasks) != 1:
                raise InvalidRequest("What was drawn belongs to one task.", field="tasks", limit=1, value=len(tasks))
            drawn = await run_in_threadpool(self._backend.predict_drawn, project, labelling, tasks[0], context)
            return JSONResponse({"results": [drawn], "errors": []})
        found = await run_in_threadpool(self._backend.predict, project, labelling, tasks)
        failed = [each for each in found if isinstance(each, Failure)]
        for each in failed:
            logger.warning("Task %s: %s", each.task, each.error.message)
        if failed and len(failed) == len(found):
            raise failed[0].error  # whoever asked for these sees why
        empty = {"model_version": self._backend.version, "score": 0.0, "result": []}
        return JSONResponse(
            {
                "results": [empty if isinstance(each, Failure) else each for each in found],
                "errors": [{"task": each.task, "message": each.error.message} for each in failed],
            }
        )

    async def versions(self, _request: Request) -> Response:
        """The model's only version."""
        return JSONResponse({"versions": [self._backend.version]})

    async def webhook(self, request: Request) -> Response:
        """Take what annotators did, which changes nothing here."""
        if (await _tree(request)).get("action") == "START_TRAINING":
            return await self.train(request)
        return JSONResponse({})

    async def train(self, _request: Request) -> Response:
        """Say where training is done."""
        raise RequestError(
            "This backend does not train. Export the project as COCO and run: pointrend train.",
            code="not_supported",
            status=501,
        )

    def _knows(self, header: str) -> bool:
        scheme, _, encoded = header.partition(" ")
        try:
            _, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and secrets.compare_digest(password, self._password)


async def refuse(_request: Request, error: Exception) -> Response:
    """Answer with what is wrong."""
    assert isinstance(error, PointRendError)
    message = str(error)
    status = error.status if isinstance(error, RequestError) else 500
    tree = (
        error.to_dict()
        if isinstance(error, RequestError)
        else {"error": {"code": "internal_error", "message": message}}
    )
    logger.warning("Refused: %s", message)
    return JSONResponse(tree, status, {_REASON.decode(): _reason(message)})


async def fail(_request: Request, error: Exception) -> Response:
    """Answer a fault of ours."""
    logger.error("A request failed.", exc_info=error)
    tree = {"error": {"code": "internal_error", "message": "The backend failed; its log says why."}}
    return JSONResponse(tree, 500)


def _check_names(request: Request) -> None:
    """Refuse what a page sends that a browser has open: it has an ``Origin``, or another name than this machine's."""
    if request.headers.get("origin") is not None or not is_loopback(request.url.hostname or ""):
        raise RequestError(
            "Without a password only Label Studio on this machine is answered, at localhost or 127.0.0.1.",
            field="Host",
            code="unknown_host",
            status=403,
        )


async def _tree(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            raise ImageTooLarge(f"The request has more than {MAX_BYTES} bytes.", field="body", limit=MAX_BYTES)
    try:
        tree = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The request is not JSON.", field="body") from error
    if not isinstance(tree, dict):
        raise InvalidRequest("The request is not a JSON object.", field="body")
    return tree


def _text(tree: dict[str, Any], name: str) -> str:
    value = tree.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is missing, or is not text.", field=name)
    return value


def _reason(message: str) -> str:
    """A sentence as it may stand in a status line: printable ASCII."""
    return plain(message, _LONGEST_REASON).encode("ascii", "replace").decode("ascii")


class _Connection(h11.Connection):
    """Sends the sentence of a refusal as the status line's reason, and not as a header."""

    def send(self, event: Any) -> Any:
        if isinstance(event, h11.Response):
            headers = [(name, value) for name, value in event.headers if name != _REASON]
            reason = next((value for name, value in event.headers if name == _REASON), event.reason)
            event = h11.Response(status_code=event.status_code, headers=headers, reason=reason)
        return super().send(event)


class _Protocol(H11Protocol):
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.conn = _Connection(h11.SERVER, self.config.h11_max_incomplete_event_size or 65536)
