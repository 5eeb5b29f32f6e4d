"""gRPC: calls and answers through TorchServe's inference service, blocking and asynchronous.

TorchServe delivers no status of an item's own: a refusal arrives as OK, and its body says what it is.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pointrend.client.answers import BAD_GATEWAY, error_tree, server_down, timed_out, unreadable
from pointrend.client.limits import ResponseLimits
from pointrend.client.messages import Answer, Call
from pointrend.plain_text import plain

try:
    import grpc

    from pointrend.client.grpc_stubs import InferenceStub, PredictionsRequest
except ImportError as error:
    raise ImportError(
        "The client over gRPC needs grpcio and protobuf: pip install 'pointrend-serve[client]'"
    ) from error

DEFAULT_PORT = 7070
_ENVELOPE_BYTES = 64  # of a message around its body


class Rpc:
    """Sends calls to one model of one server, from any number of threads.

    Args:
        url: ``grpc://host:port``, or ``grpcs://`` for one behind TLS.
        model: the name under which it serves the model.
        timeout: seconds from sending to the whole answer.
        limits: how much of an answer is read.
    """

    def __init__(self, url: str, model: str, timeout: float, limits: ResponseLimits) -> None:
        self._url, self._model, self._timeout, self._limits = url, model, timeout, limits
        self._channel = _channel(grpc, url, limits)
        self._stub = InferenceStub(self._channel)

    def send(self, call: Call, token: str | None) -> Answer:
        """Send a call.

        Raises:
            ServerError: no connection, no answer in time, or one that is too large.
        """
        request, metadata = _request(call, self._model), _metadata(token)
        try:
            return _answer(self._stub.Predictions(request, timeout=self._timeout, metadata=metadata))
        except grpc.RpcError as error:
            return _refusal(error, self._url, self._timeout, self._limits)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class AsyncRpc:
    """As :class:`Rpc`, awaited; to be made while the event loop runs that it will be used in."""

    def __init__(self, url: str, model: str, timeout: float, limits: ResponseLimits) -> None:
        self._url, self._model, self._timeout, self._limits = url, model, timeout, limits
        self._channel = _channel(grpc.aio, url, limits)
        self._stub = InferenceStub(self._channel)

    async def send(self, call: Call, token: str | None) -> Answer:
        """Send a call; errors as in :meth:`Rpc.send`."""
        request, metadata = _request(call, self._model), _metadata(token)
        try:
            reply = await self._stub.Predictions(request, timeout=self._timeout, metadata=metadata)
        except grpc.RpcError as error:
            return _refusal(error, self._url, self._timeout, self._limits)
        return _answer(reply)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


def _channel(library: Any, url: str, limits: ResponseLimits) -> Any:
    """A channel of ``grpc`` or ``grpc.aio``."""
    parts = urlsplit(url)
    target = f"{parts.hostname}:{parts.port or DEFAULT_PORT}"
    options = (
        ("grpc.max_send_message_length", -1),  # how large a request may be is the server's to say
        ("grpc.max_receive_message_length", limits.max_bytes + _ENVELOPE_BYTES),
        # A compressed message is bounded only after it is unpacked: none is.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.per_message_decompression", 0),
    )
    if parts.scheme == "grpcs":
        return library.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
    return library.insecure_channel(target, options=options)


def _request(call: Call, model: str) -> Any:
    if call.image is None:
        return PredictionsRequest(model_name=model, input={"describe": b"true"})
    options = {name: value.encode() for name, value in call.options.items()}
    return PredictionsRequest(model_name=model, input={"image": call.image, **options})


def _metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("authorization", f"Bearer {token}"),)


def _answer(reply: Any) -> Answer:
    if reply is None:  # as grpc.aio tells bytes that are no message
        raise unreadable("a message of protobuf", "its bytes are none")
    body = reply.prediction
    tree = error_tree(body)
    if tree is None:
        return Answer(200, body)
    status = tree["error"].get("status", 500)
    return Answer(status if type(status) is int and 400 <= status < 600 else BAD_GATEWAY, body)


def _refusal(error: Any, url: str, timeout: float, limits: ResponseLimits) -> Answer:
    """What REST would have answered; TorchServe puts the name of its exception into the details."""
    code, said = error.code(), plain(str(error.details() or ""))
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        raise timed_out(url, timeout) from error
    if code == grpc.StatusCode.UNAVAILABLE:
        raise server_down(url) from error
    if code == grpc.StatusCode.PERMISSION_DENIED:
        return Answer(400, said=said)
    if "Worker died" in said:  # told as RESOURCE_EXHAUSTED
        return Answer(500, said=said)
    if (
        code == grpc.StatusCode.RESOURCE_EXHAUSTED and "Received message larger" in said
    ):  # grpc's own words, on our side
        raise unreadable("an answer of bounded size", f"it has more than max_bytes={limits.max_bytes}") from error
    # TorchServe cancels a message that is too large; newer servers and proxies say RESOURCE_EXHAUSTED.
    if code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED):
        return Answer(413, said=said)
    if "ModelNotFoundException" in said or "ModelVersionNotFoundException" in said:
        return Answer(404, said=said)
    if "ServiceUnavailableException" in said or "has no worker to serve" in said:
        return Answer(503, said=said)
    return Answer(500, said=said or code.name)
