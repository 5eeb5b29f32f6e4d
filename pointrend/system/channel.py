"""Questions from a child process to its parent, as JSON over a private local connection.

A socket (a pipe on Windows) in a folder of this user's own, and a secret that only the child's environment holds.
Nothing is unpickled: bytes travel, and are read as JSON.

>>> with Channel(lambda question: {"sum": question["a"] + question["b"]}) as channel:
...     ask(channel.environment, {"a": 1, "b": 2})
{'sum': 3}
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from multiprocessing import AuthenticationError, connection
from typing import Any, Self

from pointrend.errors import PointRendError

ADDRESS, SECRET = "POINTREND_CHANNEL", "POINTREND_CHANNEL_SECRET"
MOST_BYTES = 2**16  # of a question or an answer

logger = logging.getLogger(__name__)


class ChannelError(PointRendError):
    """The parent cannot be asked, or refused; one sentence says why."""


class Channel:
    """The parent's side; each question is answered in a thread of its own.

    Args:
        answer: maps a question to an answer; a :class:`~pointrend.errors.PointRendError` becomes the child's
            :class:`ChannelError`.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._answer = answer
        secret = secrets.token_hex(32)
        self._listener = connection.Listener(authkey=secret.encode())
        self._closed = False
        self.environment = {ADDRESS: str(self._listener.address), SECRET: secret}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while not self._closed:
            try:
                peer = self._listener.accept()
            except (AuthenticationError, OSError, EOFError):
                continue  # a stranger, a peer that went away, or the end
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: connection.Connection) -> None:
        with peer:
            try:
                answer = self._answer(_parse(peer.recv_bytes(MOST_BYTES)))
            except PointRendError as error:
                answer = {"error": str(error)}
            except (OSError, EOFError):
                return
            except Exception:
                logger.exception("A question could not be answered")
                answer = {"error": "The server failed; its log has the details."}
            try:
                peer.send_bytes(json.dumps(answer).encode())
            except OSError:
                logger.info("Whoever asked is gone.")

    def close(self) -> None:
        """Listen no longer."""
        self._closed = True
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask(environment: Mapping[str, str], question: Mapping[str, Any], seconds: float = 10.0) -> dict[str, Any]:
    """Ask the parent.

    Args:
        environment: holds :data:`ADDRESS` and :data:`SECRET`.
        question: JSON, at most :data:`MOST_BYTES`.
        seconds: how long the answer may take.

    Raises:
        ChannelError: there is no parent to ask, it did not answer in time, or it refused; the message is its own then.
    """
    if ADDRESS not in environment:
        raise ChannelError("There is nobody to ask: this process was started by itself.")
    try:
        with connection.Client(environment[ADDRESS], authkey=environment[SECRET].encode()) as peer:
            peer.send_bytes(json.dumps(question).encode())
            if not peer.poll(seconds):
                raise ChannelError(f"There was no answer in {seconds:.0f} s.")
            answer = _parse(peer.recv_bytes(MOST_BYTES))
    except (OSError, EOFError, AuthenticationError) as error:
        raise ChannelError(f"The server could not be asked ({type(error).__name__}).") from error
    if "error" in answer:
        raise ChannelError(str(answer["error"]))
    return answer


def _parse(data: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(data)
    except ValueError as error:
        raise ChannelError("What came over the channel is not JSON.") from error
    if not isinstance(tree, dict):
        raise ChannelError("What came over the channel is no JSON object.")
    return tree
