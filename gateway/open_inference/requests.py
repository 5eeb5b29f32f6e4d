"""The protocol's inference request: JSON, and with the binary tensor data extension the tensors' bytes after it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.datastructures import Headers

from gateway.image_urls import refused
from gateway.open_inference.images import Image, ImageUrl, read_element
from gateway.open_inference.tensors import (
    IMAGE,
    IMAGE_URL,
    PREDICTION,
    STATUS,
    check_count,
    check_input,
    invalid,
    unpack,
)
from pointrend.errors import InvalidRequest
from pointrend.images.base64_text import InvalidBase64, decode_base64
from pointrend.structures.options import Options

JSON_LENGTH_HEADER = "Inference-Header-Content-Length"
OUTPUTS = (PREDICTION, STATUS)
_NUMBER = re.compile("[0-9]{1,12}", re.ASCII)
_BINARY_OUTPUT = "binary_data_output"


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What one request asks for.

    Attributes:
        id: the caller's name for it.
        images: what each element stands for.
        shape: of the input: (N,) or (N, 1).
        options: the request's parameters: checked, but as they came.
        format: of the predictions.
        outputs: the names of those that are asked for, and whether each is sent as binary data.
    """

    id: str | None
    images: Sequence[Image]
    shape: tuple[int, ...]
    options: Mapping[str, Any]
    format: str
    outputs: Mapping[str, bool]


def json_length(headers: Headers) -> int | None:
    """Where the JSON of a body ends; None where all of it is JSON.

    Raises:
        InvalidRequest: the header is not one number.
    """
    given = headers.getlist(JSON_LENGTH_HEADER)
    if not given:
        return None
    if len(given) > 1 or not _NUMBER.fullmatch(given[0]):
        raise invalid(JSON_LENGTH_HEADER, f"{JSON_LENGTH_HEADER} must be one number of bytes.", None, given[0])
    return int(given[0])


def read(body: bytes, length: int | None) -> InferenceRequest:
    """Read a request.

    Args:
        body: all of it.
        length: of the JSON, as :func:`json_length` has it.

    Raises:
        RequestError: 400 it cannot be understood, 413 too many images, 422 a parameter is not an option.
    """
    if length is not None and length > len(body):
        raise invalid(JSON_LENGTH_HEADER, f"The body has {len(body)} bytes, fewer than that.", len(body), length)
    tree = _object(_parsed(body if length is None else body[:length]), "The body")
    raw = memoryview(b"" if length is None else body)[length or 0 :]
    request_id = tree.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise invalid("id", "id must be a string.", None, None)
    parameters = dict(_parameters(tree, "The request"))
    binary = _boolean(parameters.pop(_BINARY_OUTPUT, False), _BINARY_OUTPUT)
    options = Options.parse(parameters)
    images, shape = _images(tree, raw)
    return InferenceRequest(request_id, images, shape, parameters, options.format, _outputs(tree, binary=binary))


def _images(tree: Mapping[str, Any], raw: memoryview) -> tuple[list[Image], tuple[int, ...]]:
    inputs = tree.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        count = len(inputs) if isinstance(inputs, list) else None
        raise invalid("inputs", f"inputs must be a list of one input, {IMAGE!r} or {IMAGE_URL!r}.", 1, count)
    given = _object(inputs[0], "The input")
    shape = check_input(given.get("name"), given.get("datatype"), given.get("shape"))
    name = given["name"]
    parameters = _parameters(given, f"The input {name!r}")
    size = parameters.get("binary_data_size")
    _known(parameters, ("binary_data_size",), f"the input {name!r}")
    if size is None:
        if raw:
            raise invalid(
                "inputs", f"{len(raw)} bytes follow the JSON, and no input has binary_data_size.", 0, len(raw)
            )
        return [_decoded(name, text) for text in _flat(name, given.get("data"), shape)], shape
    if "data" in given:
        raise invalid("data", f"The input {name!r} has both data and binary_data_size.", None, None)
    if size != len(raw) or isinstance(size, bool):
        message = f"binary_data_size of {name!r} is {str(size)[:100]}, and {len(raw)} bytes follow the JSON."
        raise invalid("binary_data_size", message, len(raw), size)
    elements = unpack(raw, name)
    check_count(len(elements), shape, name)
    return [read_element(name, element) for element in elements], shape


def _flat(name: str, data: object, shape: Sequence[int]) -> list[Any]:
    """The elements of ``data``, which may be nested as the shape is."""
    if not isinstance(data, list):
        raise invalid("data", f"The input {name!r} has no data: send a list of strings.", None, None)
    if len(shape) > 1 and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    check_count(len(data), shape, name)
    return data


def _decoded(name: str, text: object) -> Image:
    """The image that an element stands for; what is wrong with it concerns this image alone."""
    if name == IMAGE_URL:
        return ImageUrl(text) if isinstance(text, str) else refused(f"An element of {name!r} is not a string.")
    if not isinstance(text, str):
        message = f"An element of {name!r} is not a string; send the image file in base64."
        return InvalidRequest(message, field=IMAGE, code="invalid_base64")
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        return decode_base64(text)
    except InvalidBase64 as error:
        message = f"An element of {name!r} is not valid base64: {error}."
        return InvalidRequest(message, field=IMAGE, code="invalid_base64")


def _outputs(tree: Mapping[str, Any], *, binary: bool) -> dict[str, bool]:
    asked = tree.get("outputs")
    if asked is None or asked == []:
        return dict.fromkeys(OUTPUTS, binary)
    if not isinstance(asked, list):
        raise invalid("outputs", "outputs must be a list.", None, None)
    outputs: dict[str, bool] = {}
    for each in asked:
        output = _object(each, "An output")
        name = output.get("name")
        check_output(name, outputs)
        parameters = _parameters(output, f"The output {name!r}")
        _known(parameters, ("binary_data",), f"the output {name!r}")
        outputs[str(name)] = _boolean(parameters.get("binary_data", binary), "binary_data")
    return outputs


def check_output(name: object, before: Mapping[str, bool]) -> None:
    """Check the name of an output that is asked for, after others.

    Raises:
        InvalidRequest: there is none of the name, or it is asked for twice.
    """
    if name not in OUTPUTS or name in before:
        message = f"outputs lists {repr(name)[:100]}; there are {' and '.join(OUTPUTS)}, each at most once."
        raise invalid("outputs", message, list(OUTPUTS), name)


def _parsed(text: bytes) -> object:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not a number in JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise InvalidRequest(f"The request is not valid JSON: {error}.", code="invalid_json") from error


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} must be a JSON object.", code="invalid_json")
    return value


def _parameters(tree: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    found = tree.get("parameters")
    return {} if found is None else _object(found, f"{what}: parameters")


def _known(parameters: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    """Refuse what would be ignored otherwise, such as shared memory."""
    for name in parameters:
        if name not in names:
            raise invalid("parameters", f"The parameter {name[:100]!r} of {what} is not supported.", list(names), name)


def _boolean(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise invalid(name, f"{name} must be true or false.", [False, True], value)
    return value
