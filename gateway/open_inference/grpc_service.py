"""The protocol over gRPC, on a port of its own; needs grpcio, which the extra ``client`` brings."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc

from gateway.grpc_services import OPEN_INFERENCE
from gateway.image_download import ImageDownloads
from gateway.model_server import ModelServer
from gateway.open_inference import metadata
from gateway.open_inference.grpc_messages import MESSAGES
from gateway.open_inference.images import passed_id, read_element, segment_all
from gateway.open_inference.requests import OUTPUTS, InferenceRequest, check_output
from gateway.open_inference.responses import MEDIA_TYPES
from gateway.open_inference.tensors import (
    BYTES,
    IMAGE,
    IMAGE_URL,
    INT32,
    PREDICTION,
    STATUS,
    check_count,
    check_input,
    invalid,
    pack,
    unpack,
)
from gateway.predictions import model_path
from gateway.readiness import Readiness
from gateway.tracing import Export, request_span
from pointrend.errors import RequestError, ServerError
from pointrend.structures.options import Options
from pointrend.system.trace_context import TRACEPARENT, TRACESTATE, TraceContext

ENVELOPE_BYTES = 2**16  # around the images of a request
DRAIN_SECONDS = 10.0
_SIZE = "binary_data_size"
_MODEL_NAME = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_CODES = {
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class GrpcServer:
    """Answers the protocol's calls; starts and stops with the gateway.

    Args:
        upstream: TorchServe.
        downloads: fetches images by URL.
        readiness: of all models.
        address: ``HOST:PORT`` to listen on.
        buffered_bytes: of all requests that are arriving or being answered.
        export: is given spans, where they are recorded.
    """

    def __init__(
        self,
        upstream: ModelServer,
        downloads: ImageDownloads,
        readiness: Readiness,
        address: str,
        buffered_bytes: int,
        export: Export | None = None,
    ) -> None:
        self._upstream = upstream
        self._downloads = downloads
        self._readiness = readiness
        self._address = address
        self._calls = max(1, buffered_bytes // upstream.max_request_bytes)
        self._export = export
        self._server: Any = None

    async def start(self) -> None:
        """Listen.

        Raises:
            RuntimeError: the port is taken.
        """
        limits = [
            ("grpc.max_receive_message_length", self._upstream.max_request_bytes + ENVELOPE_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.aio.server(options=limits, maximum_concurrent_rpcs=self._calls)
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._answering(name),
                request_deserializer=MESSAGES[f"{name}Request"].FromString,
                response_serializer=MESSAGES[f"{name}Response"].SerializeToString,
            )
            for name in OPEN_INFERENCE.calls
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(OPEN_INFERENCE.name, handlers),))
        self._server.add_insecure_port(self._address)
        await self._server.start()

    async def stop(self) -> None:
        """Let calls in flight finish, for a while."""
        await self._server.stop(DRAIN_SECONDS)

    def _answering(self, name: str) -> Callable[[Any, Any], Awaitable[Any]]:
        answers: dict[str, Callable[[Any], Awaitable[dict[str, Any]]]] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
        }

        async def answer(request: Any, context: Any) -> Any:
            given: dict[str, list[str]] = {TRACEPARENT: [], TRACESTATE: []}
            for key, value in context.invocation_metadata():
                if key in given:
                    given[key].append(value)
            parent = TraceContext.parse(given[TRACEPARENT], given[TRACESTATE])
            with request_span(f"{OPEN_INFERENCE.name}/{name}", parent, self._export) as span:
                span.attributes |= {"rpc.system": "grpc", "rpc.service": OPEN_INFERENCE.name, "rpc.method": name}
                try:
                    return MESSAGES[f"{name}Response"](**await answers[name](request))
                except RequestError as error:
                    refused = error
                    span.failed = error.status >= 500
            await context.abort(_status(refused), refused.message)  # which raises
            raise AssertionError

        return answer

    async def _live(self, _request: Any) -> dict[str, Any]:
        return {"live": True}

    async def _ready(self, _request: Any) -> dict[str, Any]:
        return {"ready": await _succeeds(self._readiness.check())}

    async def _model_ready(self, request: Any) -> dict[str, Any]:
        return {"ready": await _succeeds(self._readiness.check_model(_path(request.name, request.version)))}

    async def _server_metadata(self, _request: Any) -> dict[str, Any]:
        return metadata.server()

    async def _model_metadata(self, request: Any) -> dict[str, Any]:
        described = await metadata.model(self._upstream, request.name, _path(request.name, request.version))
        return {key: described[key] for key in ("name", "versions", "platform", "inputs", "outputs")}

    async def _infer(self, request: Any) -> dict[str, Any]:
        path = _path(request.model_name, request.model_version)
        asked = read(request)
        headers = passed_id(asked.id)
        results = await segment_all(self._upstream, self._downloads, path, asked.images, asked.options, headers)
        if any(result.status >= 500 for result in results):
            await self._readiness.check_disk()
        kind = {"string_param": MEDIA_TYPES.get(asked.format, "image/png")}
        described: dict[str, dict[str, Any]] = {
            PREDICTION: {"datatype": BYTES, "parameters": {"content_type": kind}},
            STATUS: {"datatype": INT32},
        }
        raw = {
            PREDICTION: pack([result.body for result in results]),
            STATUS: struct.pack(f"<{len(results)}i", *(result.status for result in results)),
        }
        return {
            "model_name": request.model_name,
            "model_version": request.model_version,
            "id": request.id,
            "outputs": [{"name": name, "shape": asked.shape, **described[name]} for name in asked.outputs],
            "raw_output_contents": [raw[name] for name in asked.outputs],
        }


def read(request: Any) -> InferenceRequest:
    """A ModelInferRequest, checked.

    Raises:
        RequestError: as :func:`gateway.open_inference.requests.read`.
    """
    parameters = {name: _value(each) for name, each in request.parameters.items()}
    options = Options.parse(parameters)
    if len(request.inputs) != 1:
        raise invalid("inputs", f"inputs must be one input, {IMAGE!r} or {IMAGE_URL!r}.", 1, len(request.inputs))
    (given,) = request.inputs
    name, shape = given.name, check_input(given.name, given.datatype, list(given.shape))
    elements: Sequence[bytes] = list(given.contents.bytes_contents)
    raw = request.raw_input_contents
    if raw and (elements or len(raw) != 1):
        raise invalid("raw_input_contents", f"Send {name!r} once, in contents or in raw_input_contents.", 1, None)
    # KServe's client sends by gRPC too what only HTTP needs.
    _check_parameters(name, given.parameters, {_SIZE: len(raw[0])} if raw else {})
    if raw:
        elements = unpack(raw[0], name)
    check_count(len(elements), shape, name)
    images = [read_element(name, element) for element in elements]
    outputs: dict[str, bool] = {}
    for output in request.outputs:
        check_output(output.name, outputs)
        outputs[output.name] = True
    wanted = outputs or dict.fromkeys(OUTPUTS, True)
    return InferenceRequest(request.id or None, images, shape, parameters, options.format, wanted)


def _check_parameters(tensor: str, parameters: Mapping[str, Any], known: Mapping[str, int]) -> None:
    """Refuse what would be ignored otherwise, such as shared memory, and what is not so."""
    for name, parameter in parameters.items():
        if name not in known:
            raise invalid("parameters", f"The parameter {name[:100]!r} of {tensor!r} is not supported.", None, name)
        value = _value(parameter)
        if value != known[name] or isinstance(value, bool):
            message = f"{name} of {tensor!r} is {repr(value)[:100]}, and {known[name]} bytes were sent."
            raise invalid(name, message, known[name], value)


def _value(parameter: Any) -> Any:
    """What an InferParameter holds."""
    choice = parameter.WhichOneof("parameter_choice")
    return None if choice is None else getattr(parameter, choice)


def _path(model: str, version: str) -> str:
    """TorchServe's path to a model whose name a caller has written."""
    if not model or not set(model) <= _MODEL_NAME or model in (".", ".."):
        raise invalid("model_name", f"{model[:100]!r} is not the name of a model.", None, model)
    return model_path(model, version or None)


async def _succeeds(check: Awaitable[None]) -> bool:
    try:
        await check
    except RequestError:
        return False
    return True


def _status(error: RequestError) -> Any:
    fallback = "INTERNAL" if isinstance(error, ServerError) or error.status >= 500 else "INVALID_ARGUMENT"
    return getattr(grpc.StatusCode, _CODES.get(error.status, fallback))
