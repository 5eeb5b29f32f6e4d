"""Which URLs images may be fetched from: an allow-list of origins, and addresses that are no one's private network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from gateway.origins import IMAGE_ORIGINS, read_image_origins
from pointrend.errors import RequestError

FIELD = "image_url"
MAX_URL = 2048
_PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(r"[^\x00-\x20\x7f\\]+")
# IPv6 addresses that carry one of IPv4, which a router or the system may send it to.
_CARRIERS = [ipaddress.IPv6Network(each) for each in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")]
_CARRIERS += [ipaddress.IPv6Network(each) for each in ("64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10")]


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """Where images may be fetched from.

    Attributes:
        origins: exact ones, as :func:`gateway.origins.read_origins` returns them.
        private: those of them whose hosts may have private addresses.
    """

    origins: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()

    @classmethod
    def read(cls, text: str) -> UrlPolicy:
        """Read a setting, see :data:`gateway.origins.IMAGE_ORIGINS`.

        Raises:
            ConfigError: it names something else than an origin.
        """
        public, private = read_image_origins(text)
        return cls(public | private, private)

    def check_url(self, text: str) -> httpx.URL:
        """Parse a URL, whose origin has to be on the list.

        Raises:
            RequestError: 422, it is not one, it carries a user's name or password, or its origin is not allowed.
        """
        if not self.origins:
            raise refused(
                f"This server fetches no images; {IMAGE_ORIGINS.name} names the origins that it may fetch from."
            )
        if len(text) > MAX_URL:
            raise refused(f"{FIELD} has {len(text)} characters; at most {MAX_URL} are read.", MAX_URL, len(text))
        try:
            url = httpx.URL(text) if _PLAIN.fullmatch(text) else None
        except (httpx.InvalidURL, ValueError):  # ValueError: a host that IDNA refuses
            url = None
        if url is None or url.scheme not in _PORTS or not url.host:
            raise refused(f"{FIELD} is {text[:100]!r}, which is not an http or https URL.", None, text[:100])
        if url.userinfo or "@" in text.partition("//")[2].partition("/")[0]:
            raise refused(f"{FIELD} carries a user's name or password; send a URL without.")
        origin = origin_of(url)
        if origin not in self.origins:
            raise refused(f"Images are not fetched from {origin[:100]!r}.", sorted(self.origins), origin[:100])
        return url

    def check_addresses(self, url: httpx.URL, addresses: Iterable[str]) -> None:
        """Refuse a host that has an address which is not public, unless its origin may.

        Raises:
            RequestError: 422, one of them is private, of this machine, of a link, or for many.
        """
        if origin_of(url) in self.private:
            return
        for address in addresses:
            if not is_public(address):
                # The address stays unnamed: it says how the network behind the server looks.
                raise refused(f"The host {url.host[:100]!r} has an address that is not public.", None, url.host[:100])


def origin_of(url: httpx.URL) -> str:
    """Scheme, host and port of a URL as browsers write them; the host in IDNA's letters."""
    host = url.raw_host.decode("ascii")
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{shown}" + (f":{url.port}" if url.port not in (None, _PORTS[url.scheme]) else "")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet.

    >>> [is_public(each) for each in ("93.184.215.14", "10.0.0.1", "127.0.0.1", "::ffff:8.8.8.8", "fe80::1%eth0")]
    [True, False, False, False, False]
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (found.scope_id or any(found in each for each in _CARRIERS)):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


def refused(message: str, limit: object = None, value: object = None) -> RequestError:
    """422: this URL is not fetched."""
    return RequestError(message, field=FIELD, limit=limit, value=value, code="image_url_refused", status=422)
