"""Gradio's Blocks, closed to files that the visitor did not upload."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import secrets
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import gradio as gr
from gradio import processing_utils
from pydantic import ValidationError
from starlette.middleware import Middleware

from gradio_app.api_page import describe
from gradio_app.callers import Caller
from gradio_app.routes import CALLER, FileRoutes
from gradio_app.uploads import Uploads
from pointrend.errors import InvalidRequest, RequestError

LOOK_FOR_EVENTS_SECONDS = 0.01  # a hundred times a second; Gradio's thousand keep a twentieth of a core busy
Complaint = Callable[[RequestError], Any]


class Page(gr.Blocks):
    """Blocks in which every event, by whatever way it comes, sees only files that its caller uploaded.

    Gradio checks a file's path where the request asks for it, by ``meta``. Here whatever stands for a file is checked,
    before a component or a handler sees it; so a new event needs nothing of its own.

    Args:
        uploads: the visitors' files.
        sweep_seconds: how often the old ones are deleted.
        options: of ``gr.Blocks``.
    """

    def __init__(self, uploads: Uploads, *, sweep_seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self.uploads = uploads
        self._sweep_seconds = sweep_seconds
        self._complaints: dict[int, Complaint] = {}

    def caller(self, request: gr.Request) -> Caller:
        """Whose event a handler answers."""
        arrived: Caller = request.request.scope[CALLER]
        return Caller(arrived.visitor, arrived.network, request.session_hash)

    def complain(self, event: Any, complaint: Complaint) -> None:
        """Let an event show a refused file itself; otherwise Gradio shows the sentence as an error.

        Args:
            event: what ``gr.on`` or a component's listener returned.
            complaint: makes the event's updates of the error.
        """
        self._complaints[event["id"]] = complaint

    def get_api_info(self, all_endpoints: bool = False, page: str | None = None) -> Any:
        """Describe the endpoints, as ``gr.Blocks`` does, in their docstrings' words."""
        info = super().get_api_info(all_endpoints, page)
        functions = {f"/{event.api_name}": event.fn for event in self.fns.values() if event.fn}
        named = {name: describe(each, functions[name]) for name, each in info["named_endpoints"].items()}
        return {**info, "named_endpoints": named}

    async def process_api(self, block_fn: Any, inputs: list[Any], **options: Any) -> Any:
        """Run an event, as Gradio's queue, its direct calls and its MCP server ask for it."""
        event = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        try:
            caller = _caller(options)
            inputs = self._checked(event, self.uploads.admit(inputs, caller))
            if options.get("event_data") is not None:
                data = options["event_data"]
                data._data = self.uploads.admit(data._data, caller)  # noqa: SLF001  # Gradio shows it nowhere else
        except RequestError as error:
            complaint = self._complaints.get(event._id)  # noqa: SLF001
            if complaint is None:
                raise gr.Error(error.message, print_exception=False) from error
            event, inputs = _answering(event, partial(complaint, error)), []
        try:
            return await super().process_api(block_fn=event, inputs=inputs, **options)
        except OSError as error:
            traceback.print_exc(file=sys.stderr)
            raise gr.Error(
                "The page could not read or write a file of its own; try again in a few minutes.", print_exception=False
            ) from error

    def _checked(self, event: Any, inputs: list[Any]) -> list[Any]:
        """The inputs, if each is what its component takes."""
        for component, value in zip(event.inputs, inputs, strict=False):
            model = getattr(component, "data_model", None)
            if model is None or value is None or component.stateful:
                continue
            try:
                model.model_validate(value, context={"validate_meta": True})
            except ValidationError as error:
                label = component.label or type(component).__name__
                raise InvalidRequest(f"The value of {label!r} is not what it takes.", field=label) from error
        return inputs

    def queue(self, *args: Any, **options: Any) -> Any:
        """Set the queue up, as ``gr.Blocks.queue`` does; it polls for events, less often than Gradio's own."""
        queued = super().queue(*args, **options)
        self._queue.sleep_when_free = max(self._queue.sleep_when_free, LOOK_FOR_EVENTS_SECONDS)
        return queued

    def launch(self, *args: Any, **options: Any) -> Any:
        """Serve the page, as ``gr.Blocks.launch`` does."""
        self.uploads.publish(str(path) for block in self.blocks.values() for path in block.keep_in_cache)
        # Gradio names a result by a hash of its bytes and this seed, which otherwise is a file in Gradio's package.
        processing_utils.hash_seed = secrets.token_bytes(32)
        served = dict(options.pop("app_kwargs", None) or {})
        served["middleware"] = [*served.get("middleware", ()), Middleware(FileRoutes, uploads=self.uploads)]
        served["lifespan"] = self._sweeping
        return super().launch(*args, app_kwargs=served, **options)

    @contextlib.asynccontextmanager
    async def _sweeping(self, _app: Any) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(self._sweep_seconds)
                await asyncio.to_thread(self.uploads.sweep, 2 * self._sweep_seconds)

        task = asyncio.create_task(sweep())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self.uploads.close()


def _caller(options: dict[str, Any]) -> Caller:
    """Whose event it is; a session that Gradio made up for this one event is none."""
    request = options["request"]
    caller: Caller = getattr(request, "request", request).scope[CALLER]  # Gradio's request has Starlette's in it
    session = options.get("session_hash")
    return Caller(caller.visitor, caller.network, None if session == options.get("event_id") else session)


def _answering(event: Any, answer: Callable[[], Any]) -> Any:
    """The event with another function, which needs no inputs."""
    refused = copy.copy(event)
    refused.fn = answer
    refused.inputs = []
    return refused
