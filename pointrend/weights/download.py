"""Fetching one large file over HTTP: resumed where it broke off, retried, and checked before it counts.

What was received waits beside the destination, see :mod:`pointrend.weights.partial_file`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
from requests.auth import AuthBase

from pointrend.errors import DownloadError, Unreachable
from pointrend.weights.cache import digests
from pointrend.weights.expected_file import ExpectedFile
from pointrend.weights.partial_file import PartialFile

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
    expected: ExpectedFile,
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
    if destination.is_file() and expected.fits(here := digests(destination, expected.kinds)):
        return here  # fetched before, by a process that came no further
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = PartialFile(destination)
    resumed = part.size > 0
    _fetch(source, part, progress, sleep)
    found = digests(part.path, expected.kinds)
    if resumed and not expected.fits(found):
        # The earlier part may have been damaged while it waited: once more, from nothing.
        part.discard()
        _fetch(source, part, progress, sleep)
        found = digests(part.path, expected.kinds)
    if not expected.fits(found):
        part.discard()
        raise DownloadError(expected.mismatch(url, found))
    part.finish(destination)
    return found


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a file comes from, and what is known of it."""

    url: str
    expected: ExpectedFile
    stall_seconds: float
    auth: AuthBase | None
    advice: str


def _fetch(source: _Source, part: PartialFile, progress: Progress, sleep: Callable[[float], None]) -> None:
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


def _gave_up(source: _Source, part: PartialFile, attempts: int, error: Exception) -> DownloadError:
    kept = f"{part.size / 2**20:.1f} MiB are kept: run the command again to resume." if part.size else NETWORK_ADVICE
    kind = DownloadError if isinstance(error, _Transient) else Unreachable
    tried = f", not in {attempts} attempts" if attempts > 1 else ""
    return kind(f"{source.url} cannot be fetched{tried}: {_reason(error)}. {kept} {source.advice}")


def _receive(source: _Source, part: PartialFile, progress: Progress) -> None:
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
        part.require_room(total)
        _append(source, response, part, total, progress)


def _unready(response: requests.Response) -> _Transient:
    """What a server that may do better later says, with the time to wait where it tells that in seconds."""
    wait = response.headers.get("Retry-After", "")
    says = f"the server answers {response.status_code} {response.reason}"
    if not (wait.isascii() and wait.isdecimal()):
        return _Transient(says)
    return _Transient(f"{says}, and asks to wait {wait} seconds", float(wait))


def _append(
    source: _Source, response: requests.Response, part: PartialFile, total: int | None, progress: Progress
) -> None:
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
