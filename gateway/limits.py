"""How much one request, one address and all of them together may take."""

from __future__ import annotations

from dataclasses import dataclass

from handler.config import ModelConfig
from pointrend.serving.server_config import ServerConfig
from pointrend.serving.workers import SINGLE, Workers


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What TorchServe and the model take; the gateway refuses the rest before it costs them anything.

    Attributes:
        request_bytes: the largest request.
        image_bytes: the largest image in it.
        requests: how many TorchServe holds, waiting ones included.
        answer_seconds: how long an answer may take.
    """

    request_bytes: int
    image_bytes: int
    requests: int
    answer_seconds: int

    @classmethod
    def read(cls, workers: Workers = SINGLE) -> ServerLimits:
        """Those in ``config.properties`` and in the model's ``model-config.yaml``.

        Args:
            workers: of each model.
        """
        model = ModelConfig.read()
        return cls(
            request_bytes=ServerConfig.read().max_request_bytes,
            image_bytes=model.handler.max_image_bytes,
            requests=workers.held,
            answer_seconds=model.response_seconds,
        )


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What callers may take of the gateway, so that a slow or greedy one leaves room for the others.

    Attributes:
        head_seconds: until a request's line and headers have arrived.
        upload_seconds: until its whole body has arrived.
        grace_seconds: after which a body has to keep up with ``upload_bytes_per_second``.
        upload_bytes_per_second: the least average speed of a body.
        uploads_per_address: bodies that one address may be sending at a time; more wait for ``wait_seconds``.
        uploads: the same for all addresses together.
        wait_seconds: how long a request waits for its turn to send its body.
        buffered_bytes: of all requests that are arriving, waiting or being answered.
        read_seconds: how long a caller may take none of its answer.
        idle_seconds: how long a connection may stay open between two requests.
        connections_per_address: open connections of one address.
        connections: open connections of all.
    """

    head_seconds: float = 10.0
    upload_seconds: float = 120.0
    grace_seconds: float = 15.0
    upload_bytes_per_second: int = 8192
    uploads_per_address: int = 8
    uploads: int = 32
    wait_seconds: float = 10.0
    buffered_bytes: int = 640 * 2**20
    read_seconds: float = 30.0
    idle_seconds: float = 30.0
    connections_per_address: int = 128
    connections: int = 512
