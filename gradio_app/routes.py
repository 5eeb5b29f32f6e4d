"""What of the page's addresses deals with files, before Gradio sees the request.

Uploads are received here. Of Gradio's other addresses those that take or give files in ways that the page does not
need are closed, and requests are bounded.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from gradio.route_utils import GradioMultiPartParser, GradioUploadFile, MultiPartException
from gradio.routes import API_PREFIX, file_upload_statuses
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gradio_app import upload_errors
from gradio_app.callers import Caller, new_visitor, set_cookie
from gradio_app.upload_records import Arrival
from gradio_app.uploads import Uploads
from pointrend.errors import InvalidRequest, RequestError

CALLER = "gradio_app.caller"  # in the scope of every request
FILES = 10  # in one upload; the page and Gradio's client send one
NAME_BYTES = 200
PROGRESS_SECONDS = 60  # for which the browser may ask how an upload went on, after its end
_SLACK_BYTES = 2**20  # of a request beside its image

# All that the page, gradio_client, curl's users and MCP post to. Gradio answers at others too: one stores recordings
# of the screen, one passes files to components, one edits the program.
POSTED = re.compile(
    r"/(queue/join|run/[^/]+|api/[^/]+|call/(v2/)?[^/]+|cancel|reset|stream/[^/]+(/close)?|upload|mcp(/.*)?)/?"
)
# Other servers' files, fetched for the caller; and a link to a session, which is a copy of it on the disk.
CLOSED = re.compile(r"/(file[=/]https?:.*|proxy=.*|deep_link|vibe-.*|custom_component/.*)", re.IGNORECASE | re.DOTALL)
FILE = re.compile(r"/file[=/](?P<path>.*)", re.DOTALL)


class FileRoutes:
    """ASGI middleware between the network and Gradio.

    Args:
        app: Gradio's.
        uploads: where uploads go.
    """

    def __init__(self, app: ASGIApp, uploads: Uploads) -> None:
        self._app = app
        self._uploads = uploads
        self._body_bytes = 4 * uploads.limits.file_bytes // 3 + _SLACK_BYTES  # an image in Base64, and the rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let Gradio answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = scope[CALLER] = Caller.of(scope)
        response = await self._answer(Request(scope, receive), caller)
        if response is not None:
            await response(scope, receive, send)
            return
        if scope["method"] == "POST":
            receive = _bounded(receive, self._body_bytes)
        if caller.visitor is None and _path(scope) == "/":
            send = _naming(send, set_cookie(new_visitor(), is_https=scope["scheme"] == "https"))
        await self._app(scope, receive, _in_our_form(send))

    async def _answer(self, request: Request, caller: Caller) -> Response | None:
        """The answer to what is settled here; None for Gradio to answer."""
        path = _path(request.scope)
        is_api, path = path.startswith(f"{API_PREFIX}/"), path.removeprefix(API_PREFIX)
        if request.method == "POST":
            if not is_api or not POSTED.fullmatch(path):
                return _error(RequestError("Not found.", code="not_found", status=404))
            if path.rstrip("/") == "/upload":
                return await self._upload(request, caller)
            if int(request.headers.get("content-length") or 0) > self._body_bytes:
                return _error(upload_errors.too_large(self._body_bytes))
        elif is_api and CLOSED.fullmatch(path):
            return _error(RequestError("Not found.", code="not_found", status=404))
        elif is_api and (named := FILE.fullmatch(path)) and not self._uploads.may_fetch(named["path"], caller):
            return _error(RequestError("No such file.", code="not_found", status=404))
        return None

    async def _upload(self, request: Request, caller: Caller) -> Response:
        visitor = caller.visitor or new_visitor()
        progress = request.query_params.get("upload_id", "")[:64]
        try:
            with self._uploads.receive(caller) as arrival:
                await asyncio.to_thread(self._uploads.sweep, self._uploads.limits.kept_seconds)
                paths = self._uploads.keep(arrival, await self._files(request, arrival, progress), visitor)
        except RequestError as error:
            return _error(error, to_browser="sec-fetch-mode" in request.headers)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        finally:
            if progress:
                file_upload_statuses.set_done(progress)
                asyncio.get_running_loop().call_later(PROGRESS_SECONDS, file_upload_statuses.stop_tracking, progress)
        cookie = {} if caller.visitor else {"Set-Cookie": set_cookie(visitor, is_https=request.url.scheme == "https")}
        return JSONResponse(paths, headers=cookie)

    async def _files(self, request: Request, arrival: Arrival, progress: str) -> dict[str, Path]:
        """Read an upload's files into the arrival's folder; by their names where they lie."""
        if progress:
            file_upload_statuses.track(progress)
        try:
            parser = GradioMultiPartParser(
                request.headers,
                self._chunks(request, arrival),
                max_files=FILES,
                max_fields=0,
                upload_dir=arrival.folder,
                max_file_size=self._uploads.limits.file_bytes,
                upload_id=progress,
                upload_progress=file_upload_statuses if progress else None,
            )
            parts = (await parser.parse()).multi_items()
        except MultiPartException as error:
            if "File size exceeded" in error.message:
                raise upload_errors.too_large(self._uploads.limits.file_bytes) from error
            raise InvalidRequest(f"The upload cannot be read: {error.message}", field="files") from error
        except (KeyError, ValueError, AssertionError) as error:  # what the parser does not foresee
            raise InvalidRequest("The upload is not multipart/form-data with a boundary.", field="files") from error
        files: dict[str, Path] = {}
        for field, part in parts:
            if field != "files" or not isinstance(part, GradioUploadFile):
                raise InvalidRequest(f"The part {field!r} is none of an upload; send files as the part 'files'.")
            part.file.close()
            name = _checked_name(part.filename or "image")
            while name in files:
                name = f"{len(files)}-{name}"
            files[name] = Path(str(part.file.name))
        if not files:
            raise InvalidRequest("The upload holds no file, or ends too early; send the part 'files'.", field="files")
        return files

    async def _chunks(self, request: Request, arrival: Arrival) -> AsyncGenerator[bytes, None]:
        """The body, counted; given up if it stops."""
        stream = request.stream()
        limit = self._uploads.limits.file_bytes + _SLACK_BYTES
        while True:
            try:
                chunk = await asyncio.wait_for(anext(stream, None), self._uploads.limits.idle_seconds)
            except TimeoutError as error:
                raise RequestError(
                    f"The upload stopped for {self._uploads.limits.idle_seconds:g} s; send it again.",
                    field="files",
                    code="timeout",
                    status=408,
                ) from error
            if chunk is None:
                return
            arrival.grow(len(chunk))
            if arrival.size > limit:
                raise upload_errors.too_large(limit)
            yield chunk


def _checked_name(name: str) -> str:
    """A file's name as its sender has it, or an error: it becomes a name on this machine's disk.

    Raises:
        InvalidRequest: it is none.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    if last != name or last in (".", "..") or not last.isprintable() or len(last.encode(errors="replace")) > NAME_BYTES:
        raise InvalidRequest(
            f"A file's name has at most {NAME_BYTES} bytes, all printable, and no path before it: {name[:80]!r}.",
            field="files",
            limit=NAME_BYTES,
            code="invalid_file_name",
        )
    return last


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", "").rstrip("/"))


def _bounded(receive: Receive, limit: int) -> Receive:
    """The same body, until it is too long."""
    size = 0

    async def read() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            error = upload_errors.too_large(limit)
            raise HTTPException(error.status, error.message)
        return message

    return read


def _naming(send: Send, cookie: str) -> Send:
    """The same answer, with a cookie."""

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode("latin-1"))]
        await send(message)

    return add


# What Starlette says where nothing is routed.
_UNROUTED = {
    b'{"detail":"Not Found"}': RequestError("Not found.", code="not_found", status=404),
    b'{"detail":"Method Not Allowed"}': RequestError(
        "Method not allowed.", field="method", code="method_not_allowed", status=405
    ),
}


def _in_our_form(send: Send) -> Send:
    """The same answer, but what is not routed is refused as everything else is."""
    held: Message | None = None

    async def reform(message: Message) -> None:
        nonlocal held
        if message["type"] == "http.response.start" and message["status"] in (404, 405):
            held = message
            return
        if held is not None:
            start, held = held, None
            if error := _UNROUTED.get(message.get("body", b"")):
                body = json.dumps(error.to_dict()).encode()
                others = [header for header in start["headers"] if header[0] != b"content-length"]
                start = {**start, "headers": [*others, (b"content-length", str(len(body)).encode())]}
                message = {**message, "body": body}
            await send(start)
        await send(message)

    return reform


def _error(error: RequestError, *, to_browser: bool = False) -> Response:
    headers = {"Retry-After": str(error.value)} if error.status == 429 and isinstance(error.value, int) else {}
    if to_browser:  # Gradio's script shows its reader the body as it stands
        return PlainTextResponse(error.message, error.status, headers)
    tree: dict[str, Any] = error.to_dict()
    return JSONResponse(tree, error.status, headers)
