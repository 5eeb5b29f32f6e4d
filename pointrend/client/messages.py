"""What goes to a server and what comes back, before it takes the form of REST or gRPC."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        image: an image file's bytes; None asks the model to describe itself.
        options: by name, as text.
    """

    image: bytes | None
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer in REST's terms; gRPC statuses are mapped to HTTP's.

    Attributes:
        status: the HTTP status.
        body: as it came.
        said: TorchServe's own message on a failure, where it has one.
        retry_after: seconds that the server asks to wait, where it does.
    """

    status: int
    body: bytes = b""
    said: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Step: send a call to the model; the reply is an :class:`Answer`."""

    call: Call
    token: str | None


@dataclass(frozen=True, slots=True)
class Renew:
    """Step: ask the management port for a new inference token; the reply is an :class:`Answer`."""

    url: str
    key: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Step: do nothing for some seconds; there is no reply."""

    seconds: float


Step = Send | Renew | Wait

Flow = Generator[Step, Any, Result]
"""A request in steps: it yields steps, is sent each one's reply, and returns its result. Whoever runs it
decides whether steps block (:class:`~pointrend.client.Client`) or are awaited (``AsyncClient``)."""
