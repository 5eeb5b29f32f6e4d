"""The servers that the page may ask: how they are named, and how they are doing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gradio_app.model_choice import ASK_EVERY_SECONDS, ModelChoice
from pointrend.client import Client
from pointrend.client.retries import Retries
from pointrend.errors import PointRendError, RequestError
from pointrend.structures.options import Task

READY, LOADING, OVERLOADED, RESTARTING, DOWN = "ready", "loading", "overloaded", "restarting", "down"
KEPT_SECONDS = ASK_EVERY_SECONDS - 1.0  # less than from one tick of the page to the next, so that each tick asks anew
STALE_SECONDS = KEPT_SECONDS + 2.0  # from then on nobody is told "ready" while the next answer is awaited
PATIENCE_SECONDS = 5.0  # with which the state is asked for: longer means that the server is at work
DEFAULT_MODEL = "pointrend"


class ServerAddressError(PointRendError):
    """A server that the page was configured with cannot be one; one sentence says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A model at a server, as the chooser lists it.

    Attributes:
        label: what the page calls it.
        url: where the server listens.
        model: the name under which it serves the model.
    """

    label: str
    url: str
    model: str = DEFAULT_MODEL

    @classmethod
    def parse(cls, text: str) -> Server:
        """Read ``URL``, ``LABEL=URL``, or either with ``/predictions/MODEL`` at its end.

        Raises:
            ServerAddressError: it is no such address.
        """
        label, separator, address = text.partition("=")
        if not separator or "://" in label:
            label, address = "", text
        place, _, model = address.strip().partition("/predictions/")
        parts = urlsplit(place)
        if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.netloc:
            raise ServerAddressError(
                f"{text!r} names no server; write LABEL=URL, such as Demo=http://127.0.0.1:8080, "
                "with /predictions/NAME behind it where the model is not called pointrend."
            )
        name = model.strip("/") or DEFAULT_MODEL
        return cls(label.strip() or f"{name} at {parts.netloc}", place.rstrip("/"), name)


@dataclass(frozen=True, slots=True)
class State:
    """How a server is doing.

    Attributes:
        kind: :data:`READY`, :data:`LOADING`, :data:`OVERLOADED`, :data:`RESTARTING` or :data:`DOWN`.
        about: what its model says of itself, see ``pointrend/service/description.py``; empty until it has
            answered once.
    """

    kind: str
    about: dict[str, Any] = field(default_factory=dict)


class Watch:
    """Looks after one server for all viewers: however many ask, the server is asked once in a few seconds.

    The question goes through the model's own worker, since TorchServe's ``/ping`` says Healthy while no worker can
    predict. A worker that is busy with a large photo answers late: that is overload, not absence.

    Args:
        server: the one.
        clock: seconds, monotonic.
    """

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self.server = server
        self._clock = clock
        self.client = Client(server.url, server.model)
        # For pictures that are stale by a second try. It is as patient as the other: giving up earlier would leave an
        # overloaded server with work that nobody waits for.
        self.live_client = Client(server.url, server.model, retries=Retries(count=0))
        self._quick = Client(server.url, server.model, timeout=PATIENCE_SECONDS, retries=Retries(count=0))
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._state = State(LOADING)
        self._was_ready = False

    def state(self) -> State:
        """The server's state, a few seconds old at most.

        While another viewer's question runs, it is the last one; but a server that was ready longer ago than
        :data:`STALE_SECONDS` may be gone, and then that question's answer is waited for.
        """
        last = self._state
        stale = last.kind == READY and self._clock() - self._asked > STALE_SECONDS
        if not self._lock.acquire(blocking=stale or not last.about):
            return last
        try:
            if self._clock() - self._asked > KEPT_SECONDS:
                self._state = self._ask()
                self._asked = self._clock()
            return self._state
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Ask anew at the next occasion: another model is served."""
        with self._lock:
            self._asked = float("-inf")
            self._state = State(LOADING)

    @property
    def task(self) -> Task:
        """What to ask for: ``instances``, or ``semantic`` of a model that finds no single objects."""
        tasks = self.state().about.get("tasks", {})
        return "semantic" if tasks and "instances" not in tasks else "instances"

    def _ask(self) -> State:
        try:
            about = self._quick.describe()
        except RequestError as error:
            kind = self._kind(error)
            # Until it answers again, what refuses after it was down is loading, not overloaded.
            self._was_ready = self._was_ready and kind == OVERLOADED
            return State(kind, self._state.about)
        self._was_ready = True
        return State(READY, about)

    def _kind(self, error: RequestError) -> str:
        if error.code == "server_down":
            return DOWN
        if error.code == "server_restarting" or self._state.kind == RESTARTING:
            return RESTARTING  # and so is what answers late or refuses until it has been ready again
        if error.code == "worker_died" or not self._was_ready:
            return LOADING
        return OVERLOADED


class Servers:
    """All servers that the page is configured with, by label.

    Args:
        servers: at least one.
        models: of the first server, which serves one of several at a time; without them the viewer chooses a server.

    Raises:
        ServerAddressError: there is none, or two have the same label.
    """

    def __init__(self, servers: Sequence[Server], models: ModelChoice | None = None) -> None:
        self.models = models
        if not servers:
            raise ServerAddressError("The page needs at least one server.")
        self._watches = {server.label: Watch(server) for server in servers}
        if len(self._watches) < len(servers):
            raise ServerAddressError("Two servers have the same label; write LABEL=URL with a label each.")

    @property
    def labels(self) -> list[str]:
        """Of the servers, in the order of the configuration."""
        return list(self._watches)

    @property
    def choices(self) -> list[str]:
        """What the chooser offers: the models of one server, or else the servers."""
        return list(self.models.offer().models) if self.models is not None else self.labels

    @property
    def chosen(self) -> str:
        """What the chooser shows to a new viewer."""
        return self.models.offer().served if self.models is not None else self.labels[0]

    def __getitem__(self, label: str | None) -> Watch:
        """The server called ``label``, the first one for None.

        Raises:
            RequestError: none is called so.
        """
        chosen = label or self.labels[0]
        if self.models is not None and chosen in self.models.offer().models:
            return next(iter(self._watches.values()))
        if chosen not in self._watches:
            raise RequestError(
                f"There is no model {chosen!r} here; choose {' or '.join(self.labels)}.",
                field="model",
                limit=self.labels,
                value=chosen,
                code="unknown_model",
            )
        return self._watches[chosen]
