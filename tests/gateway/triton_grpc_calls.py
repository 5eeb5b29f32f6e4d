"""What Triton's own gRPC client does with a server, as JSON: run with the client's packages, in a process of its own.

``python triton_grpc_calls.py HOST:PORT GOOD BAD`` with an image file and one that is not an image.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException


def tensor(elements: list[bytes]) -> triton.InferInput:
    made = triton.InferInput("image", [len(elements)], "BYTES")
    made.set_data_from_numpy(np.array(elements, dtype=object))
    return made


def failure(call: Any, *arguments: Any, **keywords: Any) -> dict[str, str]:
    try:
        call(*arguments, **keywords)
    except InferenceServerException as error:
        return {"status": str(error.status()), "message": error.message()}
    raise AssertionError("no failure")


def fields(descriptor: Any) -> dict[str, list[list[int | str]]]:
    """Number, type and name of each field, of a message and those within it."""
    own = {descriptor.name: [[each.number, each.type, each.name] for each in descriptor.fields]}
    for nested in descriptor.nested_types:
        own |= {f"{descriptor.name}.{name}": value for name, value in fields(nested).items()}
    return own


def main(address: str, good_file: str, bad_file: str) -> None:
    good, bad = Path(good_file).read_bytes(), Path(bad_file).read_bytes()
    with triton.InferenceServerClient(address) as client:

        def infer(elements: list[bytes], **keywords: Any) -> dict[str, Any]:
            result = client.infer("pointrend", [tensor(elements)], client_timeout=120, **keywords)
            response, statuses = result.get_response(), result.as_numpy("status")
            return {
                "id": response.id,
                "prediction": [base64.b64encode(each).decode() for each in result.as_numpy("prediction")],
                "status": None if statuses is None else statuses.tolist(),
                "content_type": result.get_output("prediction").parameters["content_type"].string_param,
            }

        metadata = client.get_model_metadata("pointrend", as_json=True)
        (version,) = metadata["versions"]
        said = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready("pointrend"),
            "version_ready": client.is_model_ready("pointrend", version),
            "other_ready": client.is_model_ready("other"),
            "server": client.get_server_metadata(as_json=True),
            "metadata": metadata,
            "one": infer([good], request_id="one", parameters={"score_threshold": 0.3, "masks": "polygon"}),
            "several": infer([good, bad, b"", good], model_version=version),
            "png": infer([good], parameters={"format": "png", "exact": True, "max_detections": 2}),
            "alone": infer([good], outputs=[triton.InferRequestedOutput("prediction")]),
            "no_image": failure(infer, [bad]),
            "bad_option": failure(infer, [good], parameters={"mask": "none"}),
            "no_model": failure(client.infer, "other", [tensor([good])]),
            "no_name": failure(client.infer, "../ping", [tensor([good])]),
            "too_many": failure(infer, [b"x"] * 33),
            "too_large": failure(infer, [bytes(29 * 2**20)]),
            "other_call": failure(client.get_model_config, "pointrend"),
            "fields": {
                name: value
                for descriptor in service_pb2.DESCRIPTOR.message_types_by_name.values()
                for name, value in fields(descriptor).items()
            },
        }
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
