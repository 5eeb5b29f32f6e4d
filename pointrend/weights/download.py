"""Fetching one large file over HTTP: resumed where it broke off, retried, and checked before it counts.

What was received lies beside the destination as ``NAME.part``, with ``NAME.part.json`` telling which version of the
file it is a part of, so that parts of two versions are never joined.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from requests.auth import AuthBase

from pointrend.errors import DownloadError, Unreachable
from pointrend.weights.cache import GIT_BLOB, digests

HASHES = ("md5", "sha256")  # what the digits in a zoo file's name may be of
HASH_NAMES = {"md5": "MD5", "sha256": "SHA-256", GIT_BLOB: "git hash"}
ATTEMPTS = 4  # in a row without receiving anything
FIRST_PAUSE = 1.0  # seconds; doubled with every attempt in vain
LONGEST_PAUSE = 30.0
CONNECT_SECONDS = 10.0
MIRROR_ADVICE = "If a mirror is set (POINTREND_MIRROR), check its address."
NETWORK_ADVICE = "Check the network and its proxy, and try again."
STALL_SECONDS = 30.0  # without a byte
_CHUNK = 2**16  # what is lost at most when a connection breaks off
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

Progress = Callable[[int, int | None], None]
"""Told the bytes that are here, and how many there will be, where the server says so."""


@dataclass(frozen=True, slots=True)
class Expected:
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


class Bearer(AuthBase):
    """A token for the server that is asked, which neither follows a redirect to another nor gives way to ``.netrc``."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request; requests takes the header away again where a redirect leads to another server."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Transient(Exception):
    """Worth another attempt, after ``wait`` seconds at least; says what happened."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


def download(
    url: str,
    destination: Path,
    expected: Expected,
    *,
    progress: Progress = lambda _here, _total: None,
    sleep: Callable[[float], None] = time.sleep,
    stall_seconds: float = STALL_SECONDS,
    auth: AuthBase | None = None,
    advice: str = MIRROR_ADVICE,
) -> dict[str, str]:
    """Fetch a file, or what of it is still missing.

    Args:
        url: http or https.
        destination: the file, which appears only once it is whole and has been checked.
        expected: what it must be.
        progress: told after each piece.
        sleep: waits between attempts, seconds.
        stall_seconds: how long the server may be silent.
        auth: signs the requests.
        advice: what to do where the server refuses.

    Returns:
        its hashes in hexadecimal, by ``expected.kinds``.

    Raises:
        Unreachable: no connection came about; what is here is kept, for the next call to go on with.
        DownloadError: the server refuses, goes on failing, or delivers something else; the message says what.
    """
    source = _Source(url, expected, stall_seconds, auth, advice)
    if destination.is_file() and _fits(here := digests(destination, expected.kinds), expected):
        return here  # fetched before, by a process that came no further
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(destination)
    resumed = part.size > 0
    _fetch(source, part, progress, sleep)
    found = digests(part.path, expected.kinds)
    if resumed and not _fits(found, expected):
        # The earlier part may have been damaged while it waited: once more, from nothing.
        part.discard()
        _fetch(source, part, progress, sleep)
        found = digests(part.path, expected.kinds)
    if not _fits(found, expected):
        part.discard()
        raise _another_file(url, expected, found)
    part.finish(destination)
    return found


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a file comes from, and what is known of it."""

    url: str
    expected: Expected
    stall_seconds: float
    auth: AuthBase | None
    advice: str


def _fits(found: dict[str, str], expected: Expected) -> bool:
    if not any(found[kind].startswith(expected.hash_prefix) for kind in expected.hashes):
        return False
    return expected.sha256 is None or found["sha256"] == expected.sha256


def _another_file(url: str, expected: Expected, found: dict[str, str]) -> DownloadError:
    hashes = ", ".join(f"its {HASH_NAMES[kind]} is {digest}" for kind, digest in found.items())
    whole = f" and its SHA-256 be {expected.sha256}" if expected.sha256 else ""
    asked = "asked for" if expected.sha256 else "published"
    return DownloadError(
        f"{url} delivered another file than was {asked}: its hash should begin with {expected.hash_prefix}{whole}, "
        f"but {hashes}. It was thrown away."
    )


class _Part:
    """What has been received so far, and of which version of the file."""

    def __init__(self, destination: Path) -> None:
        self.path = destination.with_name(destination.name + ".part")
        self._note = destination.with_name(destination.name + ".part.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> str | None:
        """The ETag or date of the file that this is a part of; None where the server gave none."""
        try:
            version = json.loads(self._note.read_text(encoding="utf-8"))["version"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return version if isinstance(version, str) else None

    def begin(self, version: str | None) -> None:
        self.discard()
        if version is not None:
            self._note.write_text(json.dumps({"version": version}), encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, destination: Path) -> None:
        self.path.replace(destination)
        self._note.unlink(missing_ok=True)


def _fetch(source: _Source, part: _Part, progress: Progress, sleep: Callable[[float], None]) -> None:
    """Receive until the part is whole; attempts in vain are counted anew after each that brought something."""
    in_vain = 0
    while True:
        before = part.size
        try:
            _receive(source, part, progress)
            return
        except (_Transient, requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as e:
            in_vain = 0 if part.size > before else in_vain + 1
            wait = e.wait if isinstance(e, _Transient) else 0.0
            if in_vain >= ATTEMPTS or wait > LONGEST_PAUSE:
                raise _gave_up(source, part, in_vain, e) from e
            sleep(max(wait, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** max(in_vain - 1, 0))))
        except requests.RequestException as error:
            raise DownloadError(f"{source.url} cannot be fetched: {_reason(error)}.") from error


def _gave_up(source: _Source, part: _Part, attempts: int, error: Exception) -> DownloadError:
    kept = f"{part.size / 2**20:.1f} MiB are here and kept: run it again to go on." if part.size else NETWORK_ADVICE
    kind = DownloadError if isinstance(error, _Transient) else Unreachable
    tried = f", not in {attempts} attempts" if attempts > 1 else ""
    return kind(f"{source.url} cannot be fetched{tried}: {_reason(error)}. {kept} {source.advice}")


def _receive(source: _Source, part: _Part, progress: Progress) -> None:
    """One request, and its body appended to the part.

    Raises:
        _Transient: it failed, or broke off.
        DownloadError: trying again would not help.
    """
    offset = part.size
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if part.version is not None:
            headers["If-Range"] = part.version
    timeout = (CONNECT_SECONDS, source.stall_seconds)
    with requests.get(source.url, headers=headers, auth=source.auth, stream=True, timeout=timeout) as response:
        if response.status_code == 416:  # what is here is as long as the file, or longer: it is of another version
            part.discard()
            raise _Transient("the server has no more to add to what is here, which is not the file")
        if response.status_code in _TRANSIENT:
            raise _unready(response)
        if response.status_code not in (200, 206):
            raise DownloadError(
                f"{source.url} cannot be fetched: the server answers {response.status_code} {response.reason}. "
                f"{source.advice}"
            )
        total = _length(source.url, response, offset)
        if response.status_code == 200:
            part.begin(_version(response))
        _check_length(source, total)
        _check_room(part, total)
        _append(source, response, part, total, progress)


def _unready(response: requests.Response) -> _Transient:
    """What a server that may do better later says, with the time to wait where it tells that in seconds."""
    wait = response.headers.get("Retry-After", "")
    says = f"the server answers {response.status_code} {response.reason}"
    if not (wait.isascii() and wait.isdecimal()):
        return _Transient(says)
    return _Transient(f"{says}, and asks to wait {wait} seconds", float(wait))


def _append(source: _Source, response: requests.Response, part: _Part, total: int | None, progress: Progress) -> None:
    here = part.size
    most = source.expected.most_bytes if total is None else total
    progress(here, total)
    with part.path.open("ab") as file:
        for block in response.iter_content(_CHUNK):
            here += len(block)
            if here > most:
                raise DownloadError(f"{source.url} delivers more than {most} bytes.")
            file.write(block)
            progress(here, total)
    if total is not None and here < total:
        raise _Transient(f"the connection broke off after {here} of {total} bytes")
    _check_length(source, here)


def _length(url: str, response: requests.Response, offset: int) -> int | None:
    """Bytes of the whole file; None where the server does not say.

    Raises:
        _Transient: the server sends another part than was asked for.
    """
    if response.status_code == 200:
        text = response.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() else None
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != offset:
        raise DownloadError(
            f"{url} answers a request for the bytes from {offset} with "
            f"{response.headers.get('Content-Range', 'no Content-Range')!r:.100}."
        )
    return int(match[2]) + 1 if match[3] == "*" else int(match[3])


def _version(response: requests.Response) -> str | None:
    """What If-Range may repeat: a strong ETag, or the date of the last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _check_length(source: _Source, length: int | None) -> None:
    expected = source.expected
    if length is not None and not expected.least_bytes <= length <= expected.most_bytes:
        raise DownloadError(
            f"{source.url} has {length} bytes; the published file has {expected.least_bytes} to {expected.most_bytes}. "
            "It is another file."
        )


def _check_room(part: _Part, total: int | None) -> None:
    free = shutil.disk_usage(part.path.parent).free
    missing = (total or 0) - part.size
    if missing > free:
        raise DownloadError(
            f"{part.path.parent} has {free / 2**20:.0f} MiB free, and {missing / 2**20:.0f} MiB are still to come. "
            "Free some space, or set POINTREND_HOME to a folder with more."
        )


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "the server is silent"
    if isinstance(error, requests.ConnectionError) and "Read timed out" in str(error):
        return "the server is silent"  # how requests tells of a stall within a body
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if isinstance(error, requests.ConnectionError):
        return "there is no connection"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection breaks off"
    return str(error) or type(error).__name__
