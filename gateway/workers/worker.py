"""``python -m gateway.workers.worker``: loads one model and answers requests from its standard input.

What it writes otherwise goes to standard error, with the server's own log. It ends with the server: when its standard
input does. Signals that a terminal or a supervisor sends to the whole group do not end it, so that what it works on is
answered before the server stops.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from gateway.form_parser import parse
from gateway.forms import BINARY, FORM, JSON
from gateway.header_values import Header
from gateway.workers.messages import BEGUN, FAILED, READY, REPLY, Message, read, write
from handler.config import ModelConfig
from pointrend.errors import PointRendError
from pointrend.images.limits import ImageLimits
from pointrend.service.answering import ModelService
from pointrend.service.inputs import BODY, Request, read_form, read_json
from pointrend.system.memory import MemoryLimit


def main(
    folder: Annotated[Path, typer.Option(help="The model's folder.")],
    config: Annotated[Path, typer.Option(help="Its model-config.yaml.")],
    engine: Annotated[str, typer.Option(help="What computes its network.")],
    threads: Annotated[int | None, typer.Option(min=1, help="One for each core by default.")] = None,
    share_in: Annotated[
        Path | None, typer.Option(help="A folder of its workers, who map the weights from there.")
    ] = None,
) -> None:
    """Answer requests until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    replies = _claim_output()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, replies, requests), daemon=True).start()
    try:
        service = _load(folder, ModelConfig.read(config), engine, threads, share_in)
    except PointRendError as error:
        write(replies, Message(FAILED, {"why": str(error), "final": True}))
        raise SystemExit(1) from error
    except Exception as error:  # no memory, for instance, which there may be in a moment
        write(replies, Message(FAILED, {"why": f"{type(error).__name__}: {error}", "final": False}))
        raise
    memory = MemoryLimit()
    write(replies, Message(READY, {"engine": service.segmenter.engine}))
    while True:
        write(replies, answer(service, requests.get()))
        memory.settle()


def answer(service: ModelService, request: Message) -> Message:
    """The reply to one request, with what there is to log and to count.

    Args:
        service: the model.
        request: its head has ``id``, ``headers`` by their names in lower case, and ``content_type``.
    """
    started = time.perf_counter()
    head = request.head
    outcome = service.answer(
        lambda: read_request(request.body, head["content_type"], head["headers"], service.limits), head["id"]
    )
    reply = outcome.reply
    told = {
        "status": reply.status,
        "headers": {"content-type": reply.content_type, **reply.headers},
        "facts": outcome.facts,
        "timing_ms": outcome.timing_ms,
        "total_ms": (time.perf_counter() - started) * 1000,
    }
    return Message(REPLY, told, reply.body)


def read_request(body: bytes, content_type: str, headers: Mapping[str, str], limits: ImageLimits) -> Request:
    """Read what :func:`gateway.predictions.cleaned` has written.

    Raises:
        RequestError: as :func:`pointrend.service.inputs.read_form` and :func:`pointrend.service.inputs.read_json` say.
    """
    kind = Header.parse("Content-Type", content_type)
    if kind.value == JSON:
        return read_json(body, headers, limits)
    if kind.value != FORM:
        return read_form({BODY: body} if body else {}, headers)
    fields: dict[str, Any] = {}
    for name, part in parse(body, kind):
        typed = part.headers.get("content-type", BINARY)
        fields[name] = json.loads(part.content) if typed == JSON else part.content
    return read_form(fields, headers)


def _load(folder: Path, config: ModelConfig, engine: str, threads: int | None, share_in: Path | None) -> ModelService:
    """Load the model, and run it once: who is ready has answered already."""
    from pointrend.inference.loading import load  # and PyTorch

    settings = config.handler
    segmenter = load(folder, threads=threads, engine=engine, share_in=share_in)
    service = ModelService(segmenter, settings.image_limits, settings.max_response_bytes, settings.max_tiles)
    service.health()
    return service


def _claim_output() -> BinaryIO:
    """Standard output for replies alone: whatever a library prints goes to standard error from now on."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _receive(stream: BinaryIO, replies: BinaryIO, requests: queue.SimpleQueue[Message]) -> None:
    """Take requests as they come, so that the server knows which ones this process has read; end with the server.

    The main thread writes no reply meanwhile: the server sends the next request once it has the last reply.
    """
    try:
        while True:
            request = read(stream)
            write(replies, Message(BEGUN, {"id": request.head["id"]}))
            requests.put(request)
    except (EOFError, OSError):
        os._exit(0)  # also where the model hangs


if __name__ == "__main__":
    typer.run(main)
