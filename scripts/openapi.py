"""The served API as an OpenAPI 3.1 document, made from the tables that the server itself reads."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pointrend
from gateway.image_urls import MAX_URL
from pointrend.error_codes import CLIENT, ERROR_CODES
from pointrend.structures.options import schema
from scripts import openapi_v2

Tree = dict[str, Any]

_SUMMARY = (
    "PointRend instance segmentation, served by TorchServe behind a gateway. Send options as form fields or JSON keys, "
    "or, with a raw image body, in the header X-PointRend-Options: TorchServe drops query parameters."
)


def document() -> Tree:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PointRend Serve",
            "version": pointrend.__version__,
            "description": _SUMMARY,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8080"}],
        "paths": {"/predictions/pointrend": {"post": _predict()}, **openapi_v2.paths()},
        "components": {
            "schemas": {**_schemas(), **openapi_v2.schemas()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # Without a token, or with one: servers on loopback ask for none.
        "security": [{}, {"token": []}],
    }


def _predict() -> Tree:
    return {
        "operationId": "predict",
        "summary": "Segment an image; or, as JSON or a form without an image, request `describe` or `health`.",
        "parameters": [
            {
                "name": "X-PointRend-Options",
                "in": "header",
                "description": "URL-encoded options, such as score_threshold=0.7&masks=polygon.",
                "schema": {"type": "string"},
            },
            {
                "name": "X-Request-Id",
                "in": "header",
                "description": "Up to 128 letters, digits and _.:-; returned as X-Client-Request-Id.",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "contentMediaType": "image/*"}},
                "multipart/form-data": {"schema": _ref("Form")},
                "application/json": {"schema": _ref("JsonRequest")},
            },
        },
        "responses": {"200": _success(), **_failures()},
    }


def _success() -> Tree:
    return {
        "description": "The result in the requested `format`, or the description, or the health.",
        "headers": {
            "X-Request-Id": {"description": "The id that TorchServe gave the request.", "schema": {"type": "string"}},
            "X-Client-Request-Id": {"description": "The request's X-Request-Id.", "schema": {"type": "string"}},
            "Server-Timing": {"description": "Milliseconds by stage.", "schema": {"type": "string"}},
            "X-PointRend-Legend": {
                "description": "With format=label_map: the meaning of each pixel value, as a JSON object.",
                "schema": {"type": "string"},
            },
        },
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        *(_ref(f"{task}Prediction") for task in ("Instances", "Detection", "Semantic")),
                        _ref("Description"),
                        _ref("Health"),
                    ]
                }
            },
            "image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}},
            "application/zip": {"schema": {"type": "string", "contentMediaType": "application/zip"}},
        },
    }


def _failures() -> Tree:
    """One response a status, all in one form where the gateway stands before TorchServe."""
    failures: Tree = {}
    answered = [entry for entry in ERROR_CODES if entry.origin != CLIENT]
    for status in sorted({status for entry in answered for status in (entry.status, entry.also) if status}):
        codes = [entry for entry in answered if status in (entry.status, entry.also)]
        said = "; ".join(f"{entry.code}: {entry.meaning}" for entry in codes)
        failures[str(status)] = {"description": f"{HTTPStatus(status).phrase}. {said}."}
        failures[str(status)]["content"] = {"application/json": {"schema": _ref("Error")}}
    return failures


def _schemas() -> Tree:
    return {
        "Options": _object(schema(), required=()),
        "Form": _object(
            {"image": {"type": "string", "contentMediaType": "image/*"}, **_by_url(), **schema(), **_asked()}, ()
        ),
        "JsonRequest": _object(
            {"image": {"type": "string", "contentEncoding": "base64"}, **_by_url(), **schema(), **_asked()}, required=()
        ),
        "RunLengths": _object(
            {
                "size": {"type": "array", "items": _count(), "minItems": 2, "maxItems": 2},
                "counts": {"type": "string"},
            }
        ),
        "Polygons": {"type": "array", "items": {"type": "array", "items": {"type": "number"}, "minItems": 6}},
        "Segmentation": {"oneOf": [_ref("RunLengths"), _ref("Polygons")]},
        "Box": {
            "type": "array",
            "items": {"type": "number"},
            "minItems": 4,
            "maxItems": 4,
            "description": "x, y, width, height in pixels of the upright image.",
        },
        "Detection": _object(_found(), required=tuple(_found())),
        "Instance": _object(
            {
                **_found(),
                **_given(),
                "area": _count(),
                **_quality(),
                "grid": {**_count(1), "description": "Cells a side of the grid that the mask was refined to."},
                "segmentation": _ref("Segmentation"),
                "probabilities": _probabilities(),
                "points": _points(),
            },
            required=(*_found(), "area", *_quality(), "grid"),
        ),
        "Segment": _object(
            {**_category(), "area": _count(), "segmentation": _ref("Segmentation")}, required=(*_category(), "area")
        ),
        "InstancesPrediction": _prediction("instances", "instances", "Instance"),
        "DetectionPrediction": _prediction("detection", "instances", "Detection"),
        "SemanticPrediction": _prediction("semantic", "segments", "Segment"),
        "Model": _object({"name": _text(), "version": _text()}),
        "Health": _object({"health": {"const": "ok"}, "model": _ref("Model"), "inference_ms": {"type": "number"}}),
        "Description": _description(),
        "Error": _object({"error": _error()}),
    }


def _prediction(task: str, key: str, item: str) -> Tree:
    milliseconds = {"type": "number", "minimum": 0}
    return _object(
        {
            "model": _ref("Model"),
            "image": _object({"width": _count(1), "height": _count(1)}),
            "task": {"const": task},
            key: {"type": "array", "items": _ref(item)},
            "timing_ms": _object(dict.fromkeys(("decode", "inference", "encode"), milliseconds)),
        }
    )


def _description() -> Tree:
    names = {"type": "array", "items": _text()}
    limits = ("max_image_bytes", "max_image_pixels", "max_image_side", "max_image_memory", "max_response_bytes")
    properties = {
        "name": _text(),
        "version": _text(),
        "description": _text(),
        "licence": _text(),
        "categories": {"type": "array", "items": _object({"id": {"type": "integer"}, "name": _text()})},
        "reliable": names,
        "often_missed": names,
        "engine": _text(),
        "mask_heads": names,
        "refines_points": {"type": "boolean"},
        "takes_boxes": {"type": "boolean"},
        "limits": _object({**{name: _count(1) for name in limits}, "image_formats": names}),
        "tasks": {"type": "object", "additionalProperties": names},
        "options": {"type": "object", "description": "JSON Schema of each option."},
    }
    return _object(properties)


def _error() -> Tree:
    properties = {
        "code": {"type": "string", "enum": sorted(entry.code for entry in ERROR_CODES if entry.origin != CLIENT)},
        "status": {"type": "integer"},
        "message": {"type": "string", "description": "Names the field, the limit and the value."},
        "field": {"type": "string"},
        "limit": {"description": "What is allowed."},
        "value": {"description": "What was sent."},
    }
    return _object(properties, required=("code", "status", "message"))


def _category() -> Tree:
    return {"category_id": {"type": "integer"}, "category": _text()}


def _found() -> Tree:
    return {**_category(), "score": {"type": "number", "minimum": 0, "maximum": 1}, "bbox": _ref("Box")}


def _given() -> Tree:
    """Of a box that was given without a category, both are null where the model does not classify boxes."""
    return {"category_id": {"type": ["integer", "null"]}, "category": {"type": ["string", "null"]}}


def _quality() -> Tree:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return {
        "mask_score": {**share, "description": "The IoU with the object's true mask that the model expects."},
        "edge_uncertainty": {**share, "description": "How unsure the model is of the outline: 0 is sure."},
    }


def _probabilities() -> Tree:
    png = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    return {
        **_object({"x": _count(), "y": _count(), "png": png}),
        "description": "With masks=probability: an 8-bit grey crop of the image whose left top corner is x, y; the "
        "mask is where a value is at least 128. An empty mask has none.",
    }


def _points() -> Tree:
    return {
        "type": "array",
        "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        "description": "With points=true: x, y of the points that the last refinement step predicted.",
    }


def _by_url() -> Tree:
    said = "In place of the image: where it is; off unless the server allows its origin."
    return {"image_url": {"type": "string", "format": "uri", "maxLength": MAX_URL, "description": said}}


def _asked() -> Tree:
    return {
        "describe": {"type": "boolean", "description": "Without an image: describe the model."},
        "health": {"type": "boolean", "description": "Without an image: check that the model can predict."},
    }


def _object(properties: Tree, required: tuple[str, ...] | None = None) -> Tree:
    """An object without other keys; all are required where not said otherwise."""
    needed = list(properties if required is None else required)
    tree: Tree = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**tree, "required": needed} if needed else tree


def _count(least: int = 0) -> Tree:
    return {"type": "integer", "minimum": least}


def _text() -> Tree:
    return {"type": "string"}


def _ref(name: str) -> Tree:
    return {"$ref": f"#/components/schemas/{name}"}
