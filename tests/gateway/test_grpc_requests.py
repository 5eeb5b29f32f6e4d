"""How a request of the Open Inference Protocol by gRPC is read."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.open_inference.grpc_messages import MESSAGES
from gateway.open_inference.grpc_service import read
from gateway.open_inference.tensors import pack
from pointrend.errors import InvalidRequest

RAW = pack([b"a photo", b"another"])


def request(parameters: dict[str, Any], raw: list[bytes], contents: list[bytes]) -> Any:
    image = {"name": "image", "datatype": "BYTES", "shape": [2], "parameters": parameters}
    return MESSAGES["ModelInferRequest"](
        model_name="pointrend", inputs=[{**image, "contents": {"bytes_contents": contents}}], raw_input_contents=raw
    )


@pytest.mark.parametrize("parameters", [{}, {"binary_data_size": {"int64_param": len(RAW)}}])
def test_raw_contents_may_tell_their_size(parameters: dict[str, Any]) -> None:
    assert read(request(parameters, [RAW], [])).images == [b"a photo", b"another"]


@pytest.mark.parametrize(
    ("parameters", "raw", "contents", "message"),
    [
        (
            {"binary_data_size": {"int64_param": 3}},
            [RAW],
            [],
            "binary_data_size of 'image' is 3, and 22 bytes were sent",
        ),
        ({"binary_data_size": {"string_param": "26"}}, [RAW], [], "binary_data_size of 'image' is '26', and 22 bytes"),
        ({"binary_data_size": {"bool_param": True}}, [RAW], [], "binary_data_size of 'image' is True"),
        ({"binary_data_size": {}}, [RAW], [], "binary_data_size of 'image' is None"),
        ({"binary_data_size": {"int64_param": 2}}, [], [b"a", b"b"], "'binary_data_size' of 'image' is not supported"),
        ({"shared_memory_region": {"string_param": "x"}}, [RAW], [], "'shared_memory_region' of 'image' is not supp"),
        ({}, [RAW], [b"a", b"b"], "Send 'image' once"),
        ({}, [RAW, RAW], [], "Send 'image' once"),
    ],
)
def test_what_is_not_so_is_refused(
    parameters: dict[str, Any], raw: list[bytes], contents: list[bytes], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read(request(parameters, raw, contents))
