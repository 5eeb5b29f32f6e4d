"""REST: calls and answers over HTTP, blocking and asynchronous.

An answer is read as it comes, up to a limit of bytes and of time. It is asked for uncompressed, and one that comes
compressed is refused; redirects are not followed, since a token would go with them; cookies are not kept.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

from pointrend.client.answers import server_down, timed_out, unreadable
from pointrend.client.bodies import read_json
from pointrend.client.limits import ResponseLimits
from pointrend.client.messages import Answer, Call, Renew
from pointrend.client.urls import leads_to_loopback
from pointrend.errors import ServerError
from pointrend.plain_text import plain
from pointrend.structures.options import OPTIONS_HEADER

try:
    import httpx

    from pointrend.client.deadlines import Deadline
except ImportError as error:
    raise ImportError("The client over REST needs httpx: pip install 'pointrend-serve[client]'") from error

CONNECT_SECONDS = 10.0
MAX_OPTIONS = 4096  # characters in a header, of 8 KiB that TorchServe reads of all; longer options make a form
RENEWAL_LIMITS = ResponseLimits(max_bytes=2**16)


class Rest:
    """Sends calls to one model of one server, from any number of threads.

    Args:
        url: where the server listens.
        model: the name under which it serves the model.
        timeout: seconds from sending to the whole answer.
        limits: how much of an answer is read.
    """

    def __init__(self, url: str, model: str, timeout: float, limits: ResponseLimits) -> None:
        self._endpoint = _Endpoint(url, model, timeout, limits)
        self._client = httpx.Client(**self._endpoint.settings())
        self._deadline = Deadline()
        self._deadline.watch(self._client)

    def send(self, call: Call, token: str | None) -> Answer:
        """Send a call.

        Raises:
            ServerError: no connection, no answer in time, or one that is too large or no HTTP.
        """
        return self.exchange("POST", **self._endpoint.request(call, token))

    def exchange(self, method: str, **request: Any) -> Answer:
        """Send any request; errors as in :meth:`send`."""
        with (
            self._endpoint.failing(),
            self._deadline.within(self._endpoint.timeout),
            self._client.stream(method, **request) as response,
        ):
            reader = _Reader(response, self._endpoint.limits)
            for piece in response.iter_raw():
                reader.add(piece)
            return reader.answer()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class AsyncRest:
    """As :class:`Rest`, awaited."""

    def __init__(self, url: str, model: str, timeout: float, limits: ResponseLimits) -> None:
        self._endpoint = _Endpoint(url, model, timeout, limits)
        self._client = httpx.AsyncClient(**self._endpoint.settings())

    async def send(self, call: Call, token: str | None) -> Answer:
        """Send a call; errors as in :meth:`Rest.send`."""
        return await self.exchange("POST", **self._endpoint.request(call, token))

    async def exchange(self, method: str, **request: Any) -> Answer:
        """Send any request; errors as in :meth:`Rest.send`."""
        with self._endpoint.failing():
            async with asyncio.timeout(self._endpoint.timeout), self._client.stream(method, **request) as response:
                reader = _Reader(response, self._endpoint.limits)
                async for piece in response.aiter_raw():
                    reader.add(piece)
                return reader.answer()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Endpoint:
    """What both clients have in common: where they send, in what form, and how they fail."""

    def __init__(self, url: str, model: str, timeout: float, limits: ResponseLimits) -> None:
        self._url = url
        self._endpoint = f"{url}/predictions/{model}"
        self.timeout = timeout
        self.limits = limits

    def settings(self) -> dict[str, Any]:
        return {
            "timeout": httpx.Timeout(self.timeout, connect=min(self.timeout, CONNECT_SECONDS)),
            # No bound of the client's own: how many requests run at once is the caller's to say.
            "limits": httpx.Limits(max_connections=None),
            # A proxy that the environment names cannot reach this machine's loopback.
            "mounts": dict.fromkeys(("all://", "http://", "https://")) if leads_to_loopback(self._url) else None,
            "headers": {"Accept-Encoding": "identity"},
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=())),
            "follow_redirects": False,
        }

    def request(self, call: Call, token: str | None) -> dict[str, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if call.image is None:
            body = json.dumps({"describe": True}).encode()
            return {
                "url": self._endpoint,
                "content": body,
                "headers": {**headers, "Content-Type": "application/json"},
            }
        # The body is the image itself; declared as JSON or a form, TorchServe would take it apart.
        options = urlencode(call.options)
        if len(options) > MAX_OPTIONS:
            return {"url": self._endpoint, "files": {"image": call.image}, "data": call.options, "headers": headers}
        headers["Content-Type"] = "application/octet-stream"
        headers[OPTIONS_HEADER] = options
        return {"url": self._endpoint, "content": call.image, "headers": headers}

    @contextmanager
    def failing(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise server_down(self._url) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise timed_out(self._url, self.timeout) from error
        except httpx.RemoteProtocolError as error:
            if "disconnected" in str(error) or "closed" in str(error):
                raise server_down(self._url) from error
            raise unreadable("HTTP", plain(str(error))) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise server_down(self._url) from error


class _Reader:
    """Collects an answer while it comes.

    Raises:
        ServerError: it is compressed.
    """

    def __init__(self, response: httpx.Response, limits: ResponseLimits) -> None:
        self._response = response
        self._limits = limits
        self._body = bytearray()
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.strip().lower() != "identity":
            raise unreadable("an uncompressed answer", f"it came as {plain(encoding, 40)}")

    def add(self, piece: bytes) -> None:
        """Take some more bytes.

        Raises:
            ServerError: there are too many by now.
        """
        self._body += piece
        if len(self._body) > self._limits.max_bytes:
            raise unreadable("an answer of bounded size", f"it has more than max_bytes={self._limits.max_bytes}")

    def answer(self) -> Answer:
        """All of it."""
        response, body = self._response, bytes(self._body)
        return Answer(response.status_code, body, _said(response, body), _seconds(response.headers.get("Retry-After")))


def renew(step: Renew, timeout: float) -> Answer:
    """Ask a server's management port for a new token; status 503 where nothing useful answers."""
    try:
        client = Rest(step.url, "", timeout, RENEWAL_LIMITS)
        try:
            return client.exchange("GET", url=step.url, headers=_bearer(step))
        finally:
            client.close()
    except (ServerError, httpx.InvalidURL, ValueError):
        return Answer(503)


async def renew_async(step: Renew, timeout: float) -> Answer:
    """As :func:`renew`, awaited."""
    try:
        client = AsyncRest(step.url, "", timeout, RENEWAL_LIMITS)
        try:
            return await client.exchange("GET", url=step.url, headers=_bearer(step))
        finally:
            await client.close()
    except (ServerError, httpx.InvalidURL, ValueError):
        return Answer(503)


def _bearer(step: Renew) -> dict[str, str]:
    return {"Authorization": f"Bearer {step.key}"}


def _said(response: httpx.Response, body: bytes) -> str:
    """TorchServe's own message, ``{"code": 503, "type": "...", "message": "..."}``, or where a redirect leads."""
    if response.is_redirect:
        return plain(response.headers.get("Location", ""), 200)
    if response.is_success:
        return ""
    try:
        return plain(str(read_json(body)["message"]))
    except (ValueError, KeyError, TypeError):
        return ""


def _seconds(retry_after: str | None) -> float | None:
    """``Retry-After`` (RFC 9110, section 10.2.3): seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.strip().isdigit():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
