"""What Triton's own HTTP client does with a server, as JSON: run with the client's packages, in a process of its own.

``python triton_calls.py HOST:PORT GOOD BAD`` with an image file and one that is not an image.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def tensor(elements: list[Any], *, binary: bool) -> triton.InferInput:
    made = triton.InferInput("image", [len(elements)], "BYTES")
    made.set_data_from_numpy(np.array(elements, dtype=object), binary_data=binary)
    return made


def shown(result: triton.InferResult) -> dict[str, Any]:
    """What a result holds: bytes as base64."""
    answers = result.as_numpy("prediction")
    statuses = result.as_numpy("status")
    return {
        "response": {key: value for key, value in result.get_response().items() if key != "outputs"},
        "prediction": [
            base64.b64encode(each if isinstance(each, bytes) else str(each).encode()).decode() for each in answers
        ],
        "shape": list(answers.shape),
        "parameters": result.get_output("prediction").get("parameters"),
        "status": None if statuses is None else statuses.tolist(),
    }


def failure(call: Any, *arguments: Any, **keywords: Any) -> dict[str, str]:
    try:
        call(*arguments, **keywords)
    except InferenceServerException as error:
        return {"status": str(error.status()), "message": error.message()}
    raise AssertionError("no failure")


def main(address: str, good_file: str, bad_file: str) -> None:
    good, bad = Path(good_file).read_bytes(), Path(bad_file).read_bytes()
    text = base64.b64encode(good).decode()
    both = [triton.InferRequestedOutput(name, binary_data=False) for name in ("prediction", "status")]
    with triton.InferenceServerClient(address, network_timeout=120) as client:

        def infer(elements: list[Any], *, binary: bool = True, **keywords: Any) -> dict[str, Any]:
            return shown(client.infer("pointrend", [tensor(elements, binary=binary)], **keywords))

        metadata = client.get_model_metadata("pointrend")
        (version,) = metadata["versions"]
        png = {"format": "png", "score_threshold": 0.3}
        said = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready("pointrend"),
            "version_ready": client.is_model_ready("pointrend", version),
            "other_ready": client.is_model_ready("other"),
            "server": client.get_server_metadata(),
            "metadata": metadata,
            "binary": infer([good], request_id="one", parameters={"score_threshold": 0.3, "masks": "polygon"}),
            "text": infer([text], binary=False, outputs=both, parameters={"score_threshold": 0.3, "masks": "polygon"}),
            "version": infer([good], model_version=version),
            "several": infer([good, bad, b"", good]),
            "png": infer([good], parameters=png),
            "png_text": infer([good], outputs=both, parameters=png),
            "boxes": infer([good], parameters={"boxes": "[[10, 20, 100, 200]]"}),
            "status_alone": client.infer(
                "pointrend", [tensor([good], binary=True)], outputs=[triton.InferRequestedOutput("status")]
            )
            .as_numpy("status")
            .tolist(),
            "no_image": failure(infer, [bad]),
            "bad_option": failure(infer, [good], parameters={"mask": "none"}),
            "bad_category": failure(infer, [good, good], parameters={"categories": "unicorn"}),
            "no_model": failure(client.infer, "other", [tensor([good], binary=True)]),
            "no_metadata": failure(client.get_model_metadata, "other"),
            "shared_memory": failure(client.get_system_shared_memory_status),
        }
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
