"""Where a server is, and how it is spoken to."""

from __future__ import annotations

from urllib.parse import urlsplit

from pointrend.system.loopback import is_loopback

_REST = ("http", "https")
_RPC = ("grpc", "grpcs")


def checked_url(url: str) -> str:
    """A server's URL without the slash at its end.

    Raises:
        ValueError: it names no kind of server that we speak to, no host, or no port.
    """
    parts = urlsplit(url)
    _ = parts.port  # raises where it is none
    if parts.scheme not in (*_REST, *_RPC) or not parts.hostname:
        raise ValueError(f"A server's URL must begin with http://, https://, grpc:// or grpcs://, not {url!r}.")
    return url.rstrip("/")


def is_rpc(url: str) -> bool:
    """Whether gRPC is spoken there."""
    return urlsplit(url).scheme in _RPC


def leads_to_loopback(url: str) -> bool:
    """Whether a URL leads to this machine and to no other."""
    return is_loopback(urlsplit(url).hostname or "")
