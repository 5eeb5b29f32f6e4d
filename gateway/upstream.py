"""TorchServe behind the gateway: where it listens, how it is asked, and its answers in our form."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from gateway.refusals import (
    ModelRefusal,
    model_not_found,
    overloaded,
    request_too_large,
    restarting,
    timeout,
    worker_died,
)
from gateway.tracing import upstream_span
from pointrend.errors import InvalidRequest, RequestError, ServerError
from pointrend.serving.server_config import METRICS, ServerConfig
from pointrend.serving.server_state import ServerState
from pointrend.system.http_probe import UNIX

CONNECT_SECONDS = 5.0
ERROR_BYTES = 2**20  # of an answer that is no success; the model's own are far shorter
# What belongs to one connection, or is said anew by the gateway (RFC 9110, 7.6.1).
_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "date", "server")


class Upstream:
    """A TorchServe that is asked over HTTP.

    Attributes:
        folder: its working directory: the key file, logs and temporary files.
        models: the names under which it serves.
        max_request_bytes: the largest request.

    Args:
        config_file: the ``config.properties`` that it was started with, in its working directory.
        answer_seconds: how long an answer may take.

    Raises:
        ConfigError: the file cannot be read.
    """

    def __init__(self, config_file: Path, answer_seconds: float) -> None:
        config = ServerConfig.read(config_file)
        self.folder = config_file.resolve().parent
        self.models = config.models
        self.max_request_bytes = config.max_request_bytes
        self._asks_token = config.asks_token
        self._state = ServerState(self.folder)
        # TorchServe gives up first, and says so.
        self._seconds = answer_seconds + 10
        self._clients = {kind: _client(address, self._seconds) for kind, address in config.addresses.items()}

    async def start(self) -> None:
        """Nothing is to be done: connections are opened as they are needed."""

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()

    @asynccontextmanager
    async def ask(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        pieces: Sequence[bytes | bytearray] = (),
        seconds: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """See :meth:`gateway.model_server.ModelServer.ask`; what TorchServe says by itself is put in our form."""
        sent = sum(map(len, pieces))
        with upstream_span(f"{method} {kind}") as span:
            request = self._clients[kind].build_request(
                method,
                path,
                headers={**(headers or {}), **self._token(kind), **span.headers, "content-length": str(sent)},
                content=_Pieces(pieces) if pieces else None,
                timeout=httpx.Timeout(seconds or self._seconds, connect=CONNECT_SECONDS),
            )
            answer = await self._send(kind, request, pieces)
            span.answered(answer.status_code, answer.headers)
            try:
                if answer.status_code >= 400:
                    said = await _beginning(answer)
                    error = failure(answer.status_code, said, self.max_request_bytes, answer.headers)
                    raise self._unavailable() if error.code == "overloaded" else error
                yield answer
            finally:
                await answer.aclose()

    async def _send(self, kind: str, request: httpx.Request, pieces: Sequence[bytes | bytearray]) -> httpx.Response:
        client = self._clients[kind]
        try:
            try:
                return await client.send(request, stream=True)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                # An idle connection that TorchServe closed at that moment, or a worker's end: a prediction changes
                # nothing, so that asking once more is safe.
                if pieces:
                    request.stream = _Pieces(pieces)
                return await client.send(request, stream=True)
        except httpx.ConnectTimeout as error:
            raise overloaded() from error
        except httpx.TimeoutException as error:
            # While it starts, TorchServe takes requests that no worker answers yet.
            raise (restarting() if self._state.restarts() else timeout(self._seconds)) from error
        except httpx.TransportError as error:
            raise self._unavailable(unreachable=isinstance(error, httpx.ConnectError)) from error

    def _unavailable(self, *, unreachable: bool = False) -> RequestError:
        """Why TorchServe takes no request now."""
        return restarting() if self._state.restarts(unreachable=unreachable) else overloaded()

    def _token(self, kind: str) -> dict[str, str]:
        """The token of a TorchServe that asks for one; read anew each time, since it may be renewed."""
        if not self._asks_token or kind == METRICS:
            return {}
        try:
            keys = json.loads((self.folder / "key_file.json").read_text())
            return {"authorization": f"Bearer {keys[kind]['key']}"}
        except (OSError, ValueError, KeyError, TypeError):
            return {}  # it is starting, or writes the file at this moment


class _Pieces(httpx.AsyncByteStream):
    """A body in pieces that may be sent twice."""

    def __init__(self, pieces: Sequence[bytes | bytearray]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield bytes(piece)


def _client(address: str, seconds: float) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=10)
    path = address.removeprefix(UNIX) if address.startswith(UNIX) else None
    # Nothing is encrypted on the way, so that no authority's certificates need to be read, which takes a while.
    transport = httpx.AsyncHTTPTransport(uds=path, limits=limits, verify=False)
    return httpx.AsyncClient(
        transport=transport, base_url="http://torchserve" if path else address, timeout=seconds, trust_env=False
    )


async def _beginning(answer: httpx.Response) -> bytes:
    body = b""
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > ERROR_BYTES:
            break
    return body


def headers_of(answer: httpx.Response) -> list[tuple[bytes, bytes]]:
    """What the caller is told of an answer's headers."""
    return [
        (name.lower(), value) for name, value in answer.headers.raw if name.lower().decode("latin-1") not in _HOP_BY_HOP
    ]


def failure(status: int, body: bytes, request_bytes: int, headers: Mapping[str, str]) -> RequestError:
    """What an answer with an error's status says: the model's own words, or TorchServe's in our form."""
    own = _own(body)
    if own is not None:
        return ModelRefusal(own, status, headers)
    said = body.decode(errors="replace")
    if status == 404:
        return model_not_found()
    if status == 413:
        return request_too_large(request_bytes)
    if "Worker died" in said or status == 507:
        return worker_died()
    if status in (502, 503):
        return overloaded()
    if status < 500:
        return InvalidRequest(f"TorchServe refuses the request with status {status}: {said[:300]!r}.")
    return ServerError(f"TorchServe failed on this request with status {status}.", code="internal_error")


def _own(body: bytes) -> dict[str, object] | None:
    """The error's JSON, where it is the model's."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return None
    detail = tree.get("error") if isinstance(tree, dict) else None
    return tree if isinstance(detail, dict) and {"code", "message"} <= detail.keys() else None
