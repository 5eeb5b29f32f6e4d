"""What KServe's own clients do with a server, as JSON: run with their packages, in a process of its own.

``python kserve_calls.py URL HOST:PORT GOOD BAD`` with an image file and one that is not an image.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

MODEL = "pointrend"


def request(elements: list[bytes], *, binary: bool, **options: Any) -> InferRequest:
    made = InferInput("image", [len(elements)], "BYTES")
    made.set_data_from_numpy(np.array(elements, dtype=object), binary_data=binary)
    return InferRequest(MODEL, [made], request_id="one", parameters=options)


def answer(response: Any) -> dict[str, Any]:
    texts = response.get_output_by_name("prediction").as_numpy()
    return {
        "id": response.id,
        "prediction": [json.loads(each) for each in texts],
        "status": response.get_output_by_name("status").as_numpy().tolist(),
    }


async def failure(call: Awaitable[Any]) -> str:
    try:
        await call
    except httpx.HTTPStatusError as error:
        return f"{error.response.status_code} {error}"
    except grpc.RpcError as error:
        return f"{error.code().name} {error.details()}"
    raise AssertionError("no failure")


async def by_rest(url: str, good: bytes, bad: bytes) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    async with client:

        def infer(sent: InferRequest) -> Any:
            return client.infer(url, sent, model_name=MODEL)

        return {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model_ready": await client.is_model_ready(url, MODEL),
            "several": answer(
                await infer(request([good, bad, good], binary=True, score_threshold=0.3, masks="polygon"))
            ),
            "bad": await failure(infer(request([bad], binary=True))),
            "unknown": await failure(infer(request([good], binary=True, mask="polygon"))),
        }


async def by_grpc(address: str, good: bytes, bad: bytes) -> dict[str, Any]:
    async with InferenceGRPCClient(address) as client:
        several = request([good, bad, good], binary=True, score_threshold="0.3", masks="polygon")  # it sends no floats
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model_ready": await client.is_model_ready(MODEL),
            "several": answer(await client.infer(several)),
            "bad": await failure(client.infer(request([bad], binary=True))),
            "unknown": await failure(client.infer(request([good], binary=True, mask="polygon"))),
        }


async def main(url: str, address: str, good_file: str, bad_file: str) -> None:
    good, bad = Path(good_file).read_bytes(), Path(bad_file).read_bytes()
    said = {"rest": await by_rest(url, good, bad), "grpc": await by_grpc(address, good, bad)}
    print(json.dumps(said))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
