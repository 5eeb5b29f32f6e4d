"""The photos of tasks: fetched from the one Label Studio that was named at the start, and from nowhere else.

A task says where its photo is: a path of Label Studio's own (an upload, a local file, a storage that it resolves), a
URL, or a ``data:`` URL. Whoever reaches the backend may say so too; no other host is asked, no file is opened, and the
key goes to Label Studio alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from urllib.parse import urljoin, urlsplit

import httpx

from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError
from pointrend.images.limits import ImageLimits
from pointrend.plain_text import plain

SECONDS = 30.0  # for one photo
_HOPS = 3  # redirects, as from Label Studio to a storage
_PORTS = {"http": 80, "https": 443}


class Photos:
    """Fetches photos; a context manager.

    Args:
        url: Label Studio's, such as ``http://localhost:8080``.
        key: its API key: a personal access token, or a legacy one; empty where none is needed.
        origins: others that may be asked without the key, such as ``https://photos.example.org``.
        max_bytes: of one photo.

    Raises:
        InvalidRequest: a URL is none of http or https.
    """

    def __init__(
        self, url: str, key: str = "", origins: Collection[str] = (), max_bytes: int = ImageLimits().max_bytes
    ) -> None:
        self._base = url if url.endswith("/") else f"{url}/"
        self._own = _origin(self._base)
        self._others = {_origin(each) for each in origins}
        self._key = key
        self._max_bytes = max_bytes
        self._http = httpx.Client(timeout=SECONDS, trust_env=False)

    def __enter__(self) -> Photos:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._http.close()

    def fetch(self, place: object) -> bytes:
        """The file of a photo.

        Args:
            place: what a task has in the place of its photo.

        Raises:
            InvalidRequest: it names nothing that may be asked.
            ImageTooLarge: more bytes than are accepted.
            RequestError: Label Studio does not answer, or refuses.
        """
        if not isinstance(place, str) or not place:
            raise InvalidRequest("The task has no photo where the labelling configuration says.", field="image")
        if place.startswith("data:"):
            return self._data(place)
        url = _join(self._base, place)
        for _ in range(_HOPS + 1):
            answer = self._ask(url)
            if isinstance(answer, bytes):
                return answer
            url = _join(url, answer)
        raise InvalidRequest(f"The photo is behind more than {_HOPS} redirects.", field="image", limit=_HOPS)

    def _ask(self, url: str) -> bytes | str:
        """A file, or where it has moved to."""
        origin = _origin(url)
        if origin != self._own and origin not in self._others:
            shown = f"{origin[0]}://{origin[1]}:{origin[2]}"
            raise InvalidRequest(
                f"The photo is at {plain(shown, 200)}, which may not be asked: --allow-origin allows it.",
                field="image",
                value=shown[:200],
            )
        headers = {"Authorization": self._authorization()} if self._key and origin == self._own else {}
        try:
            with self._http.stream("GET", url, headers=headers) as response:
                if response.is_redirect:
                    return response.headers["location"]
                if response.status_code in (401, 403):
                    raise RequestError(
                        f"Label Studio refuses the photo ({response.status_code}): set LABEL_STUDIO_API_KEY to the "
                        "access token of a user who may see the project.",
                        field="image",
                        value=response.status_code,
                        status=502,
                        code="photo_refused",
                    )
                if response.status_code != 200:
                    raise RequestError(
                        f"The photo cannot be fetched: the answer was {response.status_code}.",
                        field="image",
                        value=response.status_code,
                        status=502,
                        code="photo_refused",
                    )
                return self._read(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RequestError(
                f"The photo cannot be fetched: {type(error).__name__} {plain(str(error), 200)}.",
                field="image",
                status=502,
                code="photo_unreachable",
            ) from error

    def _read(self, response: httpx.Response) -> bytes:
        data = bytearray()
        for part in response.iter_bytes():
            data += part
            if len(data) > self._max_bytes:
                raise _too_large(self._max_bytes)
        return bytes(data)

    def _data(self, place: str) -> bytes:
        head, _, body = place.partition(",")
        if len(body) > self._max_bytes * 4 // 3 + 4:
            raise _too_large(self._max_bytes)
        try:
            if not head.endswith(";base64"):
                raise ValueError("it is not base64")
            return base64.b64decode(body, validate=True)
        except (ValueError, binascii.Error) as error:
            raise InvalidRequest(f"The photo's data: URL cannot be read: {error}.", field="image") from error

    def _authorization(self) -> str:
        """A legacy token as it is; a personal access token, a JWT, is exchanged for one that lives for minutes."""
        if self._key.count(".") != 2:
            return f"Token {self._key}"
        response = self._http.post(urljoin(self._base, "api/token/refresh"), json={"refresh": self._key})
        if response.status_code != 200:
            raise RequestError(
                "Label Studio refuses LABEL_STUDIO_API_KEY: create a new access token.",
                field="LABEL_STUDIO_API_KEY",
                status=502,
                code="photo_refused",
            )
        return f"Bearer {response.json()['access']}"


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _no_url(url, error) from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise InvalidRequest(
            f"The photo is at {plain(url, 200)!r}; only http, https and data URLs without a user's name are fetched.",
            field="image",
            value=url[:200],
        )
    return parts.scheme, parts.hostname.lower().rstrip("."), port or _PORTS[parts.scheme]


def _join(base: str, place: str) -> str:
    try:
        return urljoin(base, place)
    except ValueError as error:
        raise _no_url(place, error) from error


def _no_url(text: str, error: ValueError) -> InvalidRequest:
    return InvalidRequest(f"{plain(text, 200)!r} is not a URL: {error}.", field="image", value=text[:200])


def _too_large(limit: int) -> ImageTooLarge:
    return ImageTooLarge(f"The photo has more than {limit} bytes.", field="image", limit=limit)
