"""The services that are reached by gRPC, and the calls of each that are answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GrpcService:
    """One service.

    Attributes:
        name: with its package, as in a call's path ``/NAME/CALL``.
        calls: those that are answered.
    """

    name: str
    calls: tuple[str, ...]


TORCHSERVE = GrpcService("org.pytorch.serve.grpc.inference.InferenceAPIsService", ("Predictions",))
"""TorchServe's own; of its other calls, a streaming one can kill a worker."""

OPEN_INFERENCE = GrpcService(
    "inference.GRPCInferenceService",
    ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer"),
)
"""The Open Inference Protocol, by the gateway."""
