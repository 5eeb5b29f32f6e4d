"""gRPC: calls and answers through TorchServe's inference service, blocking and asynchronous.

TorchServe delivers no status of an item's own: a refusal arrives as OK, and its body says what it is.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pointrend.client.answers import error_tree, server_down, timed_out
from pointrend.client.messages import Answer, Call

try:
    import grpc

    from pointrend.grpc_stubs import InferenceStub, PredictionsRequest
except ImportError as error:
    raise ImportError(
        "The client over gRPC needs grpcio and protobuf: pip install 'pointrend-serve[client]'"
    ) from error

DEFAULT_PORT = 7070
# How large a message may be is the server's to say.
_OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


class Rpc:
    """Sends calls to one model of one server, from any number of threads.

    Args:
        url: ``grpc://host:port``, or ``grpcs://`` for one behind TLS.
        model: the name under which it serves the model.
        timeout: seconds from sending to the whole answer.
    """

    def __init__(self, url: str, model: str, timeout: float) -> None:
        self._url, self._model, self._timeout = url, model, timeout
        self._channel = _channel(grpc, url)
        self._stub = InferenceStub(self._channel)

    def send(self, call: Call, token: str | None) -> Answer:
        """Send a call.

        Raises:
            ServerError: no connection, or no answer in time.
        """
        request, metadata = _request(call, self._model), _metadata(token)
        try:
            return _answer(self._stub.Predictions(request, timeout=self._timeout, metadata=metadata).prediction)
        except grpc.RpcError as error:
            return _refusal(error, self._url, self._timeout)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class AsyncRpc:
    """As :class:`Rpc`, awaited; to be made while the event loop runs that it will be used in."""

    def __init__(self, url: str, model: str, timeout: float) -> None:
        self._url, self._model, self._timeout = url, model, timeout
        self._channel = _channel(grpc.aio, url)
        self._stub = InferenceStub(self._channel)

    async def send(self, call: Call, token: str | None) -> Answer:
        """Send a call; errors as in :meth:`Rpc.send`."""
        request, metadata = _request(call, self._model), _metadata(token)
        try:
            reply = await self._stub.Predictions(request, timeout=self._timeout, metadata=metadata)
        except grpc.RpcError as error:
            return _refusal(error, self._url, self._timeout)
        return _answer(reply.prediction)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


def _channel(library: Any, url: str) -> Any:
    """A channel of ``grpc`` or ``grpc.aio``."""
    parts = urlsplit(url)
    target = f"{parts.hostname}:{parts.port or DEFAULT_PORT}"
    if parts.scheme == "grpcs":
        return library.secure_channel(target, grpc.ssl_channel_credentials(), options=_OPTIONS)
    return library.insecure_channel(target, options=_OPTIONS)


def _request(call: Call, model: str) -> Any:
    if call.photo is None:
        return PredictionsRequest(model_name=model, input={"describe": b"true"})
    options = {name: value.encode() for name, value in call.options.items()}
    return PredictionsRequest(model_name=model, input={"image": call.photo, **options})


def _metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("authorization", f"Bearer {token}"),)


def _answer(body: bytes) -> Answer:
    tree = error_tree(body)
    return Answer(200 if tree is None else int(tree["error"].get("status", 500)), body)


def _refusal(error: Any, url: str, timeout: float) -> Answer:
    """What REST would have answered; TorchServe puts the name of its exception into the details."""
    code, said = error.code(), str(error.details() or "")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        raise timed_out(url, timeout) from error
    if code == grpc.StatusCode.UNAVAILABLE:
        raise server_down(url) from error
    if code == grpc.StatusCode.PERMISSION_DENIED:
        return Answer(400, said=said)
    if "Worker died" in said:  # told as RESOURCE_EXHAUSTED
        return Answer(500, said=said)
    # TorchServe cancels a message that is too large; newer servers and proxies say RESOURCE_EXHAUSTED.
    if code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED):
        return Answer(413, said=said)
    if "ModelNotFoundException" in said or "ModelVersionNotFoundException" in said:
        return Answer(404, said=said.splitlines()[0])
    if "ServiceUnavailableException" in said or "has no worker to serve" in said:
        return Answer(503, said=said)
    return Answer(500, said=said or code.name)
