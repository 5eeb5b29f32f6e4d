"""Results of the page's examples: each is found once for all viewers, for the model that is served."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gradio_app.examples import by_key
from gradio_app.kept_results import KeptResults
from gradio_app.result import Result
from gradio_app.servers import Watch

Find = Callable[[str, bytes], Result]


class ExampleResults:
    """Remembers them until another model is served.

    Args:
        results: where they are published.
    """

    def __init__(self, results: KeptResults) -> None:
        self._results = results
        self._lock = threading.Lock()
        self._found: dict[str, tuple[str, str, Result]] = {}  # by key: the model's name and version, the id, the result
        self._asking: dict[str, threading.Lock] = {}

    def find(self, key: str, watch: Watch, find: Find) -> tuple[str, Result]:
        """An example's result and its id.

        Args:
            key: of the example.
            watch: of the server that finds it where nobody asked before.
            find: asks that server, by the photo's name and file.

        Raises:
            RequestError: there is no such example, or the server did not answer.
        """
        example = by_key(key)
        about = watch.state().about
        model = f"{watch.server.label} {about.get('name')} {about.get('version')}"
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:  # the second viewer of the same second waits for the first one's answer
            known = self._found.get(key)
            if known is not None and known[0] == model:
                return known[1], known[2]
            result = find(example.path.name, example.data())
            identity = self._results.publish(key, result)
            if about:
                self._found[key] = (model, identity, result)
        return identity, result
