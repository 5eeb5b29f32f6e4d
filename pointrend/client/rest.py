"""REST: calls and answers over HTTP, blocking and asynchronous."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from pointrend.client.answers import server_down, timed_out
from pointrend.client.messages import Answer, Call, Renew
from pointrend.client.tokens import is_loopback

try:
    import httpx
except ImportError as error:
    raise ImportError("The client over REST needs httpx: pip install 'pointrend-serve[client]'") from error

OPTIONS_HEADER = "X-PointRend-Options"
CONNECT_SECONDS = 10.0


class Rest:
    """Sends calls to one model of one server, from any number of threads.

    Args:
        url: where the server listens.
        model: the name under which it serves the model.
        timeout: seconds that it may be silent.
    """

    def __init__(self, url: str, model: str, timeout: float) -> None:
        self._door = _Door(url, model, timeout)
        self._client = httpx.Client(**self._door.settings())

    def send(self, call: Call, token: str | None) -> Answer:
        """Send a call.

        Raises:
            ServerError: no connection, or no answer in time.
        """
        with self._door.failing():
            return _answer(self._client.post(**self._door.request(call, token)))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class AsyncRest:
    """As :class:`Rest`, awaited."""

    def __init__(self, url: str, model: str, timeout: float) -> None:
        self._door = _Door(url, model, timeout)
        self._client = httpx.AsyncClient(**self._door.settings())

    async def send(self, call: Call, token: str | None) -> Answer:
        """Send a call; errors as in :meth:`Rest.send`."""
        with self._door.failing():
            return _answer(await self._client.post(**self._door.request(call, token)))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Door:
    """What both clients have in common: where they send, in what form, and how they fail."""

    def __init__(self, url: str, model: str, timeout: float) -> None:
        self._url = url
        self._endpoint = f"{url}/predictions/{model}"
        self._timeout = timeout

    def settings(self) -> dict[str, Any]:
        return {
            "timeout": httpx.Timeout(self._timeout, connect=min(self._timeout, CONNECT_SECONDS)),
            # No bound of the client's own: how many requests run at once is the caller's to say.
            "limits": httpx.Limits(max_connections=None),
            # A proxy that the environment names cannot reach this machine's loopback.
            "mounts": dict.fromkeys(("all://", "http://", "https://")) if is_loopback(self._url) else None,
        }

    def request(self, call: Call, token: str | None) -> dict[str, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if call.photo is None:
            body = json.dumps({"describe": True}).encode()
            return {
                "url": self._endpoint,
                "content": body,
                "headers": {**headers, "Content-Type": "application/json"},
            }
        # The body is the photo itself; declared as JSON or a form, TorchServe would take it apart.
        headers["Content-Type"] = "application/octet-stream"
        headers[OPTIONS_HEADER] = urlencode(call.options)
        return {"url": self._endpoint, "content": call.photo, "headers": headers}

    @contextmanager
    def failing(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise server_down(self._url) from error
        except httpx.TimeoutException as error:
            raise timed_out(self._url, self._timeout) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise server_down(self._url) from error


def renew(step: Renew, timeout: float) -> Answer:
    """Ask a server's management port for a new token; status 503 where nothing answers."""
    try:
        with httpx.Client(timeout=timeout, trust_env=False) as client:
            return _answer(client.get(step.url, headers=_bearer(step)))
    except httpx.HTTPError:
        return Answer(503)


async def renew_async(step: Renew, timeout: float) -> Answer:
    """As :func:`renew`, awaited."""
    try:
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            return _answer(await client.get(step.url, headers=_bearer(step)))
    except httpx.HTTPError:
        return Answer(503)


def _bearer(step: Renew) -> dict[str, str]:
    return {"Authorization": f"Bearer {step.key}"}


def _answer(response: httpx.Response) -> Answer:
    return Answer(
        response.status_code, response.content, _said(response), _seconds(response.headers.get("Retry-After"))
    )


def _said(response: httpx.Response) -> str:
    """TorchServe's own message, ``{"code": 503, "type": "...", "message": "..."}``."""
    if response.is_success:
        return ""
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _seconds(retry_after: str | None) -> float | None:
    """``Retry-After`` (RFC 9110, section 10.2.3): seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
