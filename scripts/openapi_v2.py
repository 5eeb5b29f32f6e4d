"""The paths of the Open Inference Protocol as a part of the OpenAPI document."""

from __future__ import annotations

from typing import Any

from gateway.open_inference.requests import JSON_LENGTH_HEADER, OUTPUTS
from gateway.open_inference.tensors import BYTES, IMAGE, INT32, MAX_IMAGES
from pointrend.structures.options import schema

Tree = dict[str, Any]
_STRING: Tree = {"type": "string"}
_BOOLEAN: Tree = {"type": "boolean"}
_INTEGER: Tree = {"type": "integer"}
_MODEL = "/v2/models/pointrend"


def paths() -> Tree:
    """Each path with its operation."""
    return {
        "/v2": {"get": _operation("v2Server", "name, version and extensions of the server.", "V2Server")},
        "/v2/health/live": {"get": _operation("v2Live", "whether the gateway runs.", "V2Live")},
        "/v2/health/ready": {"get": _operation("v2Ready", "whether every model can predict.", "V2Ready")},
        _MODEL: {"get": _operation("v2Model", "inputs, outputs and parameters of the model.", "V2Model")},
        f"{_MODEL}/ready": {"get": _operation("v2ModelReady", "whether the model can predict.", "V2ModelReady")},
        f"{_MODEL}/infer": {"post": _infer()},
    }


def schemas() -> Tree:
    """What requests and responses hold."""
    tensor = _object({"name": _STRING, "datatype": _STRING, "shape": _list(_INTEGER)})
    parameters = _object({**schema(), "binary_data_output": _BOOLEAN}, required=())
    output = _object({"name": {"enum": list(OUTPUTS)}, "parameters": {"type": "object"}}, ("name",))
    answered = {
        "name": {"enum": list(OUTPUTS)},
        "shape": _list(_INTEGER),
        "datatype": {"enum": [BYTES, INT32]},
        "parameters": {"type": "object"},
        "data": _list({"type": ["string", "integer"]}),
    }
    return {
        "V2Error": _object({"error": {**_STRING, "description": "A message for people."}}),
        "V2Server": _object({"name": _STRING, "version": _STRING, "extensions": _list(_STRING)}),
        "V2Live": _object({"live": _BOOLEAN}),
        "V2Ready": _object({"live": _BOOLEAN, "ready": _BOOLEAN}),
        "V2ModelReady": _object({"name": _STRING, "ready": _BOOLEAN}),
        "V2Model": _object(
            {
                "name": _STRING,
                "versions": _list(_STRING),
                "platform": _STRING,
                "inputs": _list(tensor),
                "outputs": _list(tensor),
                "parameters": {"type": "object", "description": "JSON Schema of each option."},
                "limits": {"type": "object", "description": "What an image may cost."},
            }
        ),
        "V2Request": _object(
            {
                "id": _STRING,
                "parameters": parameters,
                "inputs": {**_list(_input()), "minItems": 1, "maxItems": 1},
                "outputs": _list(output),
            },
            required=("inputs",),
        ),
        "V2Response": _object(
            {
                "model_name": _STRING,
                "model_version": _STRING,
                "id": _STRING,
                "outputs": _list(_object(answered, ("name", "shape", "datatype"))),
            },
            required=("model_name", "outputs"),
        ),
    }


def _input() -> Tree:
    sides = {**_INTEGER, "minimum": 1, "maximum": MAX_IMAGES}
    element = {"description": "An image file in base64, or a list of one.", "type": ["string", "array"]}
    return _object(
        {
            "name": {"const": IMAGE},
            "shape": {**_list(sides), "minItems": 1, "maxItems": 2},
            "datatype": {"const": BYTES},
            "parameters": _object({"binary_data_size": {**_INTEGER, "minimum": 0}}, required=()),
            "data": {**_list(element), "maxItems": MAX_IMAGES},
        },
        ("name", "shape", "datatype"),
    )


def _infer() -> Tree:
    binary = {"application/octet-stream": {"schema": {"description": "The JSON, then the tensors' binary data."}}}
    length = {
        "name": JSON_LENGTH_HEADER,
        "in": "header",
        "description": "Bytes of the JSON, where binary data follows it.",
        "schema": _INTEGER,
    }
    return {
        **_operation("v2Infer", "segment one image or several.", "V2Response", binary),
        "parameters": [length],
        "requestBody": {"required": True, "content": {**_json("V2Request"), **binary}},
    }


def _operation(name: str, summary: str, response: str, more: Tree | None = None) -> Tree:
    return {
        "operationId": name,
        "summary": f"Open Inference Protocol: {summary}",
        "responses": {
            "200": {"description": "Success.", "content": {**_json(response), **(more or {})}},
            "default": {"description": "An error, by the statuses of `predict`.", "content": _json("V2Error")},
        },
    }


def _json(name: str) -> Tree:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _object(properties: Tree, required: tuple[str, ...] | None = None) -> Tree:
    needed = list(properties if required is None else required)
    tree: Tree = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**tree, "required": needed} if needed else tree


def _list(items: Tree) -> Tree:
    return {"type": "array", "items": items}
