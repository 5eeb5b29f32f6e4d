"""The settings that name origins: of pages that may call the API, and of images that may be fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pointrend.errors import ConfigError
from pointrend.system.environment import Variable

ALLOW_ORIGINS = Variable(
    "POINTREND_ALLOW_ORIGINS",
    "",
    "Origins whose pages may call the API from a browser (CORS), such as `https://notes.example`, separated by commas.",
)
IMAGE_ORIGINS = Variable(
    "POINTREND_IMAGE_ORIGINS",
    "",
    "Origins that images may be fetched from (`image_url`), such as `https://photos.example`, separated by commas; by "
    "default none. `private:` before one allows private addresses.",
)
_PRIVATE = "private:"
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])"
_ORIGIN = re.compile(rf"https?://{_HOST}(?::(?!0)[0-9]{{1,5}})?", re.ASCII)
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443", re.ASCII)


def read_origins(texts: Iterable[str]) -> frozenset[str]:
    """Check origins: each exactly as browsers send it.

    >>> sorted(read_origins(["https://notes.example, http://localhost:3000"]))
    ['http://localhost:3000', 'https://notes.example']

    Args:
        texts: origins, or several in one text, separated by commas.

    Raises:
        ConfigError: one is a pattern, ``null``, has a path, or is not written as browsers do.
    """
    origins = {origin for text in texts for part in text.split(",") if (origin := part.strip())}
    for origin in sorted(origins):
        if not _ORIGIN.fullmatch(origin) or _DEFAULT_PORT.fullmatch(origin):
            raise ConfigError(
                f"{origin[:100]!r} is not an origin that can be allowed. Write it exactly as browsers send it: "
                "http:// or https://, the host in lower case, the port unless it is the default one, no path, no *."
            )
    return frozenset(origins)


def read_image_origins(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The origins of :data:`IMAGE_ORIGINS`: those with public addresses alone, and those that may have private ones.

    >>> read_image_origins("private:http://nas.lan:8080")
    (frozenset(), frozenset({'http://nas.lan:8080'}))

    Raises:
        ConfigError: it names something else than an origin, or one twice.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    private = read_origins(entry.removeprefix(_PRIVATE) for entry in entries if entry.startswith(_PRIVATE))
    public = read_origins(entry for entry in entries if not entry.startswith(_PRIVATE))
    if public & private:
        raise ConfigError(f"{IMAGE_ORIGINS.name} names {min(public & private)} twice, once as private.")
    return public, private
