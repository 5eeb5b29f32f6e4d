"""Calls of the Open Inference Protocol by gRPC."""

from __future__ import annotations

import json
from typing import Any

import grpc

from gateway.grpc_services import OPEN_INFERENCE
from gateway.open_inference.grpc_messages import MESSAGES

SECONDS = 60.0


def call(address: str, name: str, secret: str | None, message: Any = None) -> Any:
    """The answer to one call.

    Args:
        address: ``HOST:PORT``.
        name: of the call.
        secret: sent as a bearer, if any.
        message: by default an empty request.

    Raises:
        grpc.RpcError: it is refused.
    """
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(
            f"/{OPEN_INFERENCE.name}/{name}",
            request_serializer=MESSAGES[f"{name}Request"].SerializeToString,
            response_deserializer=MESSAGES[f"{name}Response"].FromString,
        )
        metadata = [("authorization", f"Bearer {secret}")] if secret else []
        return ask(message or MESSAGES[f"{name}Request"](), timeout=SECONDS, metadata=metadata, wait_for_ready=True)


def refusal(address: str, name: str, secret: str | None) -> grpc.StatusCode:
    """Why a call is refused; OK if it is not."""
    try:
        call(address, name, secret)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def instances(address: str, secret: str | None, photo: bytes) -> list[Any]:
    """What the model finds in a photo."""
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [photo]}}
    answer = call(address, "ModelInfer", secret, MESSAGES["ModelInferRequest"](model_name="pointrend", inputs=[image]))
    length = int.from_bytes(answer.raw_output_contents[0][:4], "little")
    found: list[Any] = json.loads(answer.raw_output_contents[0][4 : 4 + length])["instances"]
    return found
