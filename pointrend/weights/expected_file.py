"""What is known of a file before it is fetched, and whether a file is that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pointrend.weights.cache import GIT_BLOB

HASHES = ("md5", "sha256")  # what the digits in a zoo file's name may be of
HASH_NAMES = {"md5": "MD5", "sha256": "SHA-256", GIT_BLOB: "git hash"}


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """What is known of a file before it is fetched.

    Attributes:
        least_bytes: it has at least so many; a page that says "not found" politely has fewer.
        most_bytes: it has at most so many.
        hash_prefix: the first digits of its hash.
        hashes: the kinds of hash that the digits may be of, as :func:`pointrend.weights.cache.digests` knows them.
        sha256: its whole SHA-256, where that is known; it counts besides the prefix.
    """

    least_bytes: int
    most_bytes: int
    hash_prefix: str
    hashes: Sequence[str] = HASHES
    sha256: str | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind of hash that is looked at."""
        return tuple(dict.fromkeys([*self.hashes, *(["sha256"] if self.sha256 else [])]))

    def fits(self, found: Mapping[str, str]) -> bool:
        """Whether a file with these hashes, by :attr:`kinds`, is the one."""
        if not any(found[kind].startswith(self.hash_prefix) for kind in self.hashes):
            return False
        return self.sha256 is None or found["sha256"] == self.sha256

    def mismatch(self, url: str, found: Mapping[str, str]) -> str:
        """What is wrong with a file of other hashes that ``url`` delivered, in a sentence."""
        hashes = ", ".join(f"its {HASH_NAMES[kind]} is {digest}" for kind, digest in found.items())
        whole = f" and its SHA-256 be {self.sha256}" if self.sha256 else ""
        asked = "asked for" if self.sha256 else "published"
        return (
            f"{url} delivered a different file than {asked}: its hash should begin with {self.hash_prefix}{whole}, "
            f"but {hashes}. It was discarded."
        )
