"""TorchServe's inference API over gRPC: the messages and calls that this project uses. Imports no TorchServe.

The messages are declared here and built at import, rather than generated: generated code is tied to the protobuf that
it was generated for, and a client's environment has its own. In the language of protobuf they are

.. code-block:: proto

    package org.pytorch.serve.grpc.inference;
    message PredictionsRequest { string model_name = 1; string model_version = 2; map<string, bytes> input = 3; }
    message PredictionResponse { bytes prediction = 1; }
    message TorchServeHealthResponse { string health = 1; }
    service InferenceAPIsService {
        rpc Ping(google.protobuf.Empty) returns (TorchServeHealthResponse);
        rpc Predictions(PredictionsRequest) returns (PredictionResponse);
        rpc StreamPredictions(PredictionsRequest) returns (stream PredictionResponse);
    }

which is ``proto/inference.proto`` of TorchServe 0.12 without the fields of its stateful calls.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, empty_pb2, message_factory

_PACKAGE = "org.pytorch.serve.grpc.inference"
SERVICE = f"{_PACKAGE}.InferenceAPIsService"

_Field = descriptor_pb2.FieldDescriptorProto


def _messages() -> tuple[Any, Any, Any]:
    """Build the message classes, in a pool of our own: TorchServe's own stubs may be loaded in the same process."""
    file = descriptor_pb2.FileDescriptorProto(name="pointrend/inference.proto", package=_PACKAGE, syntax="proto3")
    request = file.message_type.add(name="PredictionsRequest")
    _add(request, 1, "model_name", _Field.TYPE_STRING)
    _add(request, 2, "model_version", _Field.TYPE_STRING)
    entry = request.nested_type.add(name="InputEntry")  # how protobuf spells map<string, bytes>
    entry.options.map_entry = True
    _add(entry, 1, "key", _Field.TYPE_STRING)
    _add(entry, 2, "value", _Field.TYPE_BYTES)
    request.field.add(
        number=3,
        name="input",
        type=_Field.TYPE_MESSAGE,
        label=_Field.LABEL_REPEATED,
        type_name=f".{_PACKAGE}.PredictionsRequest.InputEntry",
    )
    _add(file.message_type.add(name="PredictionResponse"), 1, "prediction", _Field.TYPE_BYTES)
    _add(file.message_type.add(name="TorchServeHealthResponse"), 1, "health", _Field.TYPE_STRING)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request_class, response_class, health_class = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{message.name}"))
        for message in file.message_type
    )
    return request_class, response_class, health_class


def _add(message: Any, number: int, name: str, kind: Any) -> None:
    message.field.add(number=number, name=name, type=kind, label=_Field.LABEL_OPTIONAL)


PredictionsRequest, PredictionResponse, TorchServeHealthResponse = _messages()


class InferenceStub:
    """The calls of one channel, named as generated stubs name them; each is a callable of grpc.

    Args:
        channel: a ``grpc.Channel`` or a ``grpc.aio.Channel``.
    """

    def __init__(self, channel: Any) -> None:
        answers = {
            "request_serializer": PredictionsRequest.SerializeToString,
            "response_deserializer": PredictionResponse.FromString,
        }
        self.Ping = channel.unary_unary(
            f"/{SERVICE}/Ping",
            request_serializer=empty_pb2.Empty.SerializeToString,
            response_deserializer=TorchServeHealthResponse.FromString,
        )
        self.Predictions = channel.unary_unary(f"/{SERVICE}/Predictions", **answers)
        self.StreamPredictions = channel.unary_stream(f"/{SERVICE}/StreamPredictions", **answers)
