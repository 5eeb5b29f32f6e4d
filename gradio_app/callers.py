"""Who calls: the name that a browser carries for the page, the network it calls from, its session."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass

from starlette.requests import cookie_parser
from starlette.types import Scope

COOKIE = "pointrend_visitor"
_NAME = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 random bytes


def new_visitor() -> str:
    """A name that nobody guesses."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from.

    Attributes:
        visitor: what the browser's cookie says; None of a script, which keeps none.
        network: the address, or an IPv6 address's /64, of which one machine has all.
        session: what the request calls itself by; None if it does not.
    """

    visitor: str | None
    network: str
    session: str | None = None

    @classmethod
    def of(cls, scope: Scope, session: str | None = None) -> Caller:
        """Read it from an ASGI scope, whose client is the visitor's: uvicorn believes a proxy on this machine only."""
        peer = scope.get("client")
        return cls(_visitor(scope), _network(peer[0] if peer else ""), session)


def set_cookie(visitor: str, *, is_https: bool) -> str:
    """The header that gives a browser its name until it is closed.

    A page that is embedded in another site's, as a Space is, gets cookies by https only, and one jar a site.
    """
    kind = "SameSite=None; Secure; Partitioned" if is_https else "SameSite=Lax"
    return f"{COOKIE}={visitor}; Path=/; HttpOnly; {kind}"


def _visitor(scope: Scope) -> str | None:
    text = "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
    name = cookie_parser(text).get(COOKIE, "")
    return name if _NAME.fullmatch(name) else None


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
