"""The server without TorchServe, started by tests, and what they look at in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import psutil

from pointrend.serving.asgi import AsgiServer


def workers_of(server: AsgiServer) -> list[psutil.Process]:
    """The processes that run models now."""
    return [
        process
        for process in psutil.Process(server.pid).children(recursive=True)
        if any("gateway.workers.worker" in part for part in process.cmdline())
    ]


def pending(server: AsgiServer) -> int:
    """Requests that wait for a worker."""
    tree = httpx.get(f"{server.url}/models/pointrend", timeout=60).json()
    return int(tree[0]["jobQueueStatus"]["pendingRequests"])


def eventually(condition: Callable[[], Any], server: AsgiServer, seconds: float = 60) -> Any:
    """What the condition returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)
    return result


class Crowd:
    """Requests that are sent at the same time, each in a thread of its own."""

    def __init__(self, url: str, photo: bytes, count: int, headers: Mapping[str, str] | None = None) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(url, photo, dict(headers or {}))) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str, photo: bytes, headers: dict[str, str]) -> None:
        try:
            self.answers.append(httpx.post(url, content=photo, headers=headers, timeout=120))
        except httpx.HTTPError as error:
            self.answers.append(error)

    def join(self) -> list[tuple[int, str | None]]:
        """Status and error code of each, once all are there."""
        for thread in self._threads:
            thread.join()
        told: list[tuple[int, str | None]] = []
        for answer in self.answers:
            assert isinstance(answer, httpx.Response), answer
            error = answer.json().get("error")
            told.append((answer.status_code, error["code"] if error else None))
        return told
