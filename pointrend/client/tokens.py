"""The token of a TorchServe on this machine: found in its key file, and renewed before it expires.

TorchServe writes ``key_file.json`` (mode 0600) to its working directory when it starts, and again on each renewal,
which ends the former token at once:

.. code-block:: json

    {"management": {"key": "...", "expiration time": "2030-01-01T12:00:00Z"},
     "inference": {"key": "...", "expiration time": "2030-01-01T12:00:00Z"},
     "API": {"key": "..."}}
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pointrend.client.messages import Answer, Flow, Renew, Wait
from pointrend.client.urls import checked_url, is_rpc, leads_to_loopback
from pointrend.errors import InvalidRequest
from pointrend.system import environment, properties

KEY_FILE = "key_file.json"
RENEW_SECONDS_BEFORE = 30.0
FILE_PAUSES = (0.0, 0.05, 0.2, 0.5)  # seconds; TorchServe ends a token before the new one is in the file
MAX_FILE_BYTES = 2**20

# How far the management port is from the one that predictions are asked at, in TorchServe's own defaults.
_MANAGEMENT_DISTANCE = {"http": 8081 - 8080, "https": 8081 - 8080, "grpc": 8081 - 7070, "grpcs": 8081 - 7070}
_DEFAULT_PORTS = {"http": 80, "https": 443, "grpc": 7070, "grpcs": 7070}


class Tokens(Protocol):
    """Where a client's token comes from."""

    def current(self) -> Flow[str | None]:
        """The token to send now; None where there is none."""

    def refused(self, token: str | None) -> Flow[bool]:
        """Learn that the server refused a token; whether another try may do better."""


class FixedToken:
    """A token that was given, or none at all (None or empty).

    Raises:
        ValueError: no header can carry it.
    """

    def __init__(self, token: str | None) -> None:
        if token and not _fits_header(token):
            raise ValueError("A token must have printable ASCII characters only.")
        self._token = token or None

    def current(self) -> Flow[str | None]:
        """Always the same."""
        return self._token
        yield  # makes this a flow, though one without steps

    def refused(self, token: str | None) -> Flow[bool]:
        """A given token does not get better."""
        return False
        yield  # as above


@dataclass(frozen=True, slots=True)
class _Keys:
    inference: str
    expires: float  # seconds since the epoch
    api: str


class KeyFile:
    """The token in a server's key file; read anew whenever the file changes, renewed before it expires.

    Args:
        path: the key file; None looks for that of a running server at ``url`` that this user started.
        url: where predictions are asked for.
        management_url: where tokens are renewed; None derives it from the server's settings or from ``url``.
    """

    def __init__(self, path: Path | None, url: str, management_url: str | None = None) -> None:
        self._given = path
        self._url = url
        self._management_url = management_url
        self._lock = threading.Lock()
        self._renewing = False

    def current(self) -> Flow[str | None]:
        """The token of the file, renewed first where it is about to expire.

        Raises:
            InvalidRequest: the file that was named cannot be read.
        """
        path = self._given or find_key_file(self._url)
        if path is None:
            return None
        keys = _read(path)
        if keys is None:
            if self._given is None:
                return None
            raise InvalidRequest(f"{path} is not a TorchServe key file.", field="token", code="bad_key_file")
        if keys.expires - time.time() > RENEW_SECONDS_BEFORE:
            return keys.inference
        management = self._management(path)
        if management is None or not self._begin():
            return keys.inference
        try:
            answer: Answer = yield Renew(f"{management}/token?type=inference", keys.api)
        finally:
            self._renewing = False
        # A renewal that failed leaves the old token, which may still do; the server's answer will tell.
        renewed = _read(path) if answer.status == 200 else None
        return (renewed or keys).inference

    def refused(self, token: str | None) -> Flow[bool]:
        """Whether the file holds another token by now, or soon, as after a renewal by somebody else."""
        path = self._given or find_key_file(self._url)
        if path is None:
            return False
        for pause in FILE_PAUSES:
            yield Wait(pause)
            keys = _read(path)
            if keys is not None and keys.inference != token:
                return True
        return False

    def _begin(self) -> bool:
        """Whether the caller is the one who renews: two renewals at once would end each other's token."""
        with self._lock:
            mine = not self._renewing
            self._renewing = True
        return mine

    def _management(self, path: Path) -> str | None:
        """Where tokens are renewed, or None where the server's settings name no place."""
        if self._management_url:
            return self._management_url.rstrip("/")
        settings = _settings(path.parent / "config.properties")
        try:
            url = checked_url(settings.get("management_address") or management_beside(self._url))
        except ValueError:
            return None
        return None if is_rpc(url) else url


def tokens_for(url: str, token: str | None, key_file: str | Path | None, management_url: str | None) -> Tokens:
    """Choose where the token comes from: given, in a file that is named, or in that of a server on this machine.

    Args:
        url: where predictions are asked for.
        token: used as it is, where given.
        key_file: TorchServe's key file; None takes the environment's POINTREND_KEY_FILE.
        management_url: where tokens are renewed.
    """
    named = key_file or environment.KEY_FILE.read()
    if token is not None:
        return FixedToken(token)
    if named:
        return KeyFile(Path(named), url, management_url)
    return KeyFile(None, url, management_url) if leads_to_loopback(url) else FixedToken(None)


def management_beside(url: str) -> str:
    """Where management listens beside a server, if its ports keep the distances of TorchServe's defaults."""
    parts = urlsplit(url)
    port = (parts.port or _DEFAULT_PORTS[parts.scheme]) + _MANAGEMENT_DISTANCE[parts.scheme]
    return f"http://{parts.hostname}:{port}"


def find_key_file(url: str) -> Path | None:
    """The key file of the server at ``url``, where this user started it with ``pointrend up`` or the launcher.

    The launcher gives each server a folder of its own among the temporary files, with its settings in it. Only
    folders of this user count: others may write there too.
    """
    port = str(urlsplit(url).port or _DEFAULT_PORTS[urlsplit(url).scheme])
    found = []
    for path in Path(tempfile.gettempdir()).glob(f"pointrend-*/{KEY_FILE}"):
        settings = _settings(path.parent / "config.properties")
        inference_port = _port(settings.get("inference_address", ""))
        if port in (inference_port, settings.get("grpc_inference_port")):
            with contextlib.suppress(OSError):  # a server that stops takes its folder along
                state = path.stat()
                if state.st_uid == os.getuid():
                    found.append((state.st_mtime, path))
    return max(found)[1] if found else None  # the newest: one that was killed leaves its folder behind


def _settings(path: Path) -> dict[str, str]:
    try:
        return properties.parse(_text(path))
    except (OSError, ValueError):
        return {}


def _read(path: Path) -> _Keys | None:
    """The keys, or None where there are none to read: TorchServe may be writing the file at this moment."""
    try:
        tree = json.loads(_text(path))
        expires = datetime.fromisoformat(tree["inference"]["expiration time"]).timestamp()
        keys = _Keys(tree["inference"]["key"], expires, tree["API"]["key"])
        return keys if _fits_header(keys.inference) and _fits_header(keys.api) else None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _text(path: Path) -> str:
    """A small file's text; others may write to the folder for temporary files, and a FIFO there would never end.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a regular file, is larger than :data:`MAX_FILE_BYTES`, or no UTF-8.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is not a regular file.")
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"{path} has more than {MAX_FILE_BYTES} bytes.")
    return data.decode()


def _fits_header(token: object) -> bool:
    return isinstance(token, str) and token.isascii() and token.isprintable()


def _port(url: str) -> str:
    """The port that a URL names, or nothing where it names none or is no URL."""
    try:
        return str(urlsplit(url).port or "")
    except ValueError:
        return ""
