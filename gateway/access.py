"""Who may ask, where no secret is asked for: programs of this machine, but no page that a browser has open.

A web page reaches loopback in two ways. It sends a request there, which the browser marks with the page's own
``Origin``; or its name is pointed at 127.0.0.1 after it was loaded (DNS rebinding), which leaves its name in ``Host``.
curl and every client name the server as they reach it, and send no ``Origin``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from pointrend.errors import RequestError
from pointrend.system.loopback import is_loopback

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Which names and origins are answered.

    Attributes:
        check_names: whether ``Host`` and ``Origin`` are looked at; not where each request brings a secret.
        hosts: names that are answered besides loopback's.
        origins: that are answered besides the server's own, such as ``https://example.org``, by CORS too.
    """

    check_names: bool = True
    hosts: Collection[str] = ()
    origins: Collection[str] = ()

    def check(self, host: str | None, origin: str | None) -> None:
        """Let a request pass by its headers ``Host`` and ``Origin``; None where one is absent.

        Raises:
            RequestError: 421 for a name that is not this server's, 403 for another site's page.
        """
        if not self.check_names:
            return
        if host is not None:
            match = _HOST.fullmatch(host)
            if match is None or not (is_loopback(match["name"]) or match["name"].lower() in self.hosts):
                raise RequestError(
                    f"This server does not answer as {host[:100]!r}; ask it as localhost or 127.0.0.1, or name "
                    "it at the start with --allow-host.",
                    field="Host",
                    value=host[:100],
                    code="unknown_host",
                    status=421,
                )
        if origin is not None and origin not in self.origins and not _same(origin, host):
            raise RequestError(
                f"Pages of {origin[:100]!r} may not call this server; --allow-origin allows them.",
                field="Origin",
                value=origin[:100],
                code="foreign_origin",
                status=403,
            )


def _same(origin: str, host: str | None) -> bool:
    """Whether a page came from this server itself."""
    parts = urlsplit(origin)
    return host is not None and parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
