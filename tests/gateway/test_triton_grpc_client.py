"""Triton's own client against the gateway and a real TorchServe, over gRPC."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.open_inference.grpc_messages import MESSAGES
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import TorchServe
from pointrend.version import __version__
from tests.ports import free_ports

pytestmark = pytest.mark.server
CALLS = Path(__file__).with_name("triton_grpc_calls.py")
FIELDS = {"score_threshold": "0.3", "masks": "polygon"}


@pytest.fixture(scope="module")
def said(
    private_server: TorchServe, photo: bytes, triton_packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """What the client made of the answers of a gateway with a port for gRPC, and what REST says of the same image."""
    folder = tmp_path_factory.mktemp("calls")
    (folder / "good.png").write_bytes(photo)
    (folder / "bad.txt").write_bytes(b"no image")
    rest_port, grpc_port = free_ports(2)
    command = [sys.executable, str(CALLS), f"127.0.0.1:{grpc_port}", "good.png", "bad.txt"]
    environment = {**os.environ, "PYTHONPATH": str(triton_packages)}
    with Gateway(private_server, rest_port, ["--grpc-port", str(grpc_port)]) as gateway:
        gateway.wait_ready()
        run = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=240
        )
        rest = httpx.post(f"{gateway.url}/predictions/pointrend", files={"image": photo}, data=FIELDS, timeout=60)
    return {**json.loads(run.stdout), "rest": rest.json()}


def prediction(answer: Any, index: int = 0) -> Any:
    return json.loads(base64.b64decode(answer["prediction"][index]))


def test_health_and_metadata(said: Any) -> None:
    assert [said[name] for name in ("live", "ready", "model_ready", "version_ready")] == [True] * 4
    assert said["other_ready"] is False
    assert (said["server"]["name"], said["server"]["version"]) == ("pointrend-serve", __version__)
    assert said["metadata"]["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": ["-1"]}]
    assert [output["name"] for output in said["metadata"]["outputs"]] == ["prediction", "status"]


def test_a_prediction_is_that_of_rest(said: Any) -> None:
    assert (said["one"]["id"], said["one"]["status"]) == ("one", [200])
    assert said["one"]["content_type"] == "application/json"
    found = prediction(said["one"])["instances"]
    assert found == said["rest"]["instances"]
    assert found


def test_a_bad_image_fails_alone(said: Any) -> None:
    assert said["several"]["status"] == [200, 415, 400, 200]
    assert prediction(said["several"], 1)["error"]["code"] == "unsupported_image"
    assert prediction(said["several"], 0)["instances"] == prediction(said["several"], 3)["instances"]


def test_pictures_and_one_output(said: Any) -> None:
    assert base64.b64decode(said["png"]["prediction"][0]).startswith(b"\x89PNG")
    assert said["png"]["content_type"] == "image/png"
    assert said["alone"]["status"] is None
    assert prediction(said["alone"])["task"] == "instances"


@pytest.mark.parametrize(
    ("call", "status", "part"),
    [
        ("no_image", "INVALID_ARGUMENT", "not an image"),
        ("bad_option", "INVALID_ARGUMENT", "There is no option 'mask'"),
        ("no_model", "NOT_FOUND", "No model of that name"),
        ("no_name", "INVALID_ARGUMENT", "not the name of a model"),
        ("too_many", "INVALID_ARGUMENT", "at most 32"),
        ("too_large", "RESOURCE_EXHAUSTED", ""),
        ("other_call", "UNIMPLEMENTED", ""),
    ],
)
def test_what_fails_is_told_by_status_and_message(said: Any, call: str, status: str, part: str) -> None:
    assert said[call]["status"] == f"StatusCode.{status}"
    assert part in said[call]["message"]


def test_the_messages_are_tritons(said: Any) -> None:
    """Theirs have more fields; each of ours has the same number, type and name there."""
    for name, message in MESSAGES.items():
        ours = [[each.number, each.type, each.name] for each in message.DESCRIPTOR.fields]
        assert all(field in said["fields"][name] for field in ours), name
