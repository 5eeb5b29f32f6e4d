"""Answers that all viewers share, such as those for the page's examples: each is asked for once for each model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from gradio_app.servers import Watch

Answer = TypeVar("Answer")
ServedModel = tuple[str, str, str]  # the server's label, the model's name and version


class OncePerModel(Generic[Answer]):
    """Remembers answers by what was asked and which model was served.

    Args:
        limit: how many are remembered; the oldest goes first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._answers: dict[tuple[ServedModel, str], Answer] = {}
        self._asking: dict[str, threading.Lock] = {}

    def get(self, key: str, watch: Watch, ask: Callable[[ServedModel], Answer]) -> Answer:
        """The answer for a key; whoever comes while it is asked for waits for it, and nobody else does.

        Args:
            key: one of few, of the page's own.
            watch: of the server that is asked.
            ask: asks it; is told which model is served. What it raises is raised here, and nothing is remembered.
        """
        about = watch.state().about
        model = (watch.server.label, str(about.get("name")), str(about.get("version")))
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            with self._lock:
                if (model, key) in self._answers:
                    return self._answers[model, key]
            answer = ask(model)
            if about:  # otherwise nobody knows which model it was
                with self._lock:
                    self._answers[model, key] = answer
                    if len(self._answers) > self._limit:
                        del self._answers[next(iter(self._answers))]
            return answer
