"""Images by URL: fetched from a checked address, within limits, and every redirect checked like the first URL."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import httpx

from gateway.image_urls import FIELD, UrlPolicy, refused
from gateway.refusals import overloaded
from pointrend.errors import ImageTooLarge, RequestError

FETCHES = 8  # at a time; each holds an image until the model has answered
WAIT_SECONDS = 10.0
FETCH_SECONDS = 15.0  # from looking up the name to the last byte, redirects included
CONNECT_SECONDS = 3.0  # to one address
ADDRESSES = 4  # of a host, that are tried one after the other
REDIRECTS = 3
_REDIRECT = (301, 302, 303, 307, 308)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a host and port."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system.

    Raises:
        OSError: there is no such host.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class ImageDownloads:
    """Fetches images.

    Args:
        policy: where from.
        max_bytes: of an image.
        resolve: looks up names.
        seconds: that one image may take.
    """

    def __init__(
        self, policy: UrlPolicy, max_bytes: int, resolve: Resolve = resolve, seconds: float = FETCH_SECONDS
    ) -> None:
        self._policy = policy
        self._max_bytes = max_bytes
        self._resolve = resolve
        self._seconds = seconds
        self._turns = asyncio.Semaphore(FETCHES)
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def image(self, text: str) -> AsyncIterator[bytes]:
        """The file behind a URL, which counts against the limit until the block ends.

        Raises:
            RequestError: 413 too large, 422 the URL is refused, 424 its server does not deliver, 503 too many.
        """
        url = self._policy.check_url(text)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise overloaded() from None
        try:
            yield await self._fetched(url)
        finally:
            self._turns.release()

    async def _fetched(self, url: httpx.URL) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(REDIRECTS + 1):
                    answer = await self._ask(url)
                    if isinstance(answer, bytes):
                        return answer
                    url = answer
        except TimeoutError:
            raise _failed(url, f"took longer than {self._seconds:g} s", self._seconds) from None
        except (httpx.HTTPError, OSError, UnicodeError) as error:
            raise _failed(url, f"cannot be reached or broke off ({type(error).__name__})") from error
        raise refused(f"{FIELD} is redirected more than {REDIRECTS} times.", REDIRECTS)

    async def _ask(self, url: httpx.URL) -> bytes | httpx.URL:
        """The body, or where it is instead."""
        host, port = url.raw_host.decode("ascii"), url.port or {"http": 80, "https": 443}[url.scheme]
        addresses = await self._resolve(host, port)
        if not addresses:
            raise _failed(url, "has no address")
        self._policy.check_addresses(url, addresses)
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        *others, last = addresses[:ADDRESSES]
        for address in others:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._ask_at(url, host, address, self._tls)
        return await self._ask_at(url, host, last, self._tls)

    async def _ask_at(self, url: httpx.URL, host: str, address: str, tls: ssl.SSLContext) -> bytes | httpx.URL:
        """The same at an address that was checked: a name that is looked up again may have another."""
        request = httpx.Request(
            "GET",
            url.copy_with(host=address, fragment=None),
            headers={"host": url.netloc.decode("ascii"), "accept": "image/*", "accept-encoding": "identity"},
            extensions={
                "sni_hostname": host,
                "timeout": httpx.Timeout(self._seconds, connect=CONNECT_SECONDS).as_dict(),
            },
        )
        # A transport alone follows no redirect, keeps no cookies, and reads no proxies from the environment.
        async with httpx.AsyncHTTPTransport(verify=tls, trust_env=False, retries=0) as transport:
            answer = await transport.handle_async_request(request)
            try:
                return await self._read(url, answer)
            finally:
                await answer.aclose()

    async def _read(self, url: httpx.URL, answer: httpx.Response) -> bytes | httpx.URL:
        if answer.status_code in _REDIRECT and "location" in answer.headers:
            return self._policy.check_url(_target(url, answer.headers["location"]))
        if answer.status_code != 200:
            raise _failed(url, f"answered with status {answer.status_code}")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise _failed(url, "sent a compressed answer, which was not asked for")
        declared = answer.headers.get("content-length", "")
        if declared.isdecimal() and len(declared) < 20 and int(declared) > self._max_bytes:
            raise self._too_large(int(declared))
        body = bytearray()
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > self._max_bytes:
                raise self._too_large(None)
        return bytes(body)

    def _too_large(self, value: int | None) -> RequestError:
        return ImageTooLarge(
            f"The image at {FIELD} has more than {self._max_bytes} bytes.",
            field=FIELD,
            limit=self._max_bytes,
            value=value,
        )


def _target(url: httpx.URL, location: str) -> str:
    try:
        return str(url.join(location))
    except (httpx.InvalidURL, ValueError):
        raise refused(
            f"{FIELD} is redirected to {location[:100]!r}, which is not a URL.", None, location[:100]
        ) from None


def _failed(url: httpx.URL, what: str, limit: object = None) -> RequestError:
    """424: the server of the image is at fault, or not there."""
    return RequestError(
        f"The server of {FIELD}, {url.host[:100]!r}, {what}.",
        field=FIELD,
        limit=limit,
        value=url.host[:100],
        code="image_url_failed",
        status=424,
    )
