"""KServe's own clients against the gateway and a real TorchServe, by REST and by gRPC."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import TorchServe
from tests.conftest import installed
from tests.gateway.documented import DOCUMENTED, documented_program
from tests.ports import free_ports

pytestmark = pytest.mark.server
CALLS = Path(__file__).with_name("kserve_calls.py")
# With what it imports, as far as that is not here.
KSERVE = ["kserve==0.21.0", "cloudevents==1.13.0", "kubernetes==37.0.1", "grpc-interceptor==0.15.4", "fastapi==0.165.0"]
KSERVE += [
    "orjson",
    "deprecation",
    "timing-asgi",
    "tabulate",
    "prometheus-client",
    "python-dotenv",
    "watchfiles",
    "uvloop",
]
KSERVE += ["httptools", "requests-oauthlib", "oauthlib", "durationpy", "websocket-client"]
FIELDS = {"score_threshold": "0.3", "masks": "polygon"}
WAYS = pytest.mark.parametrize("way", ["rest", "grpc"])


@pytest.fixture(scope="module")
def said(private_server: TorchServe, photo: bytes, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the clients made of a gateway's answers, and what the REST API says of the same image."""
    packages, folder = installed(tmp_path_factory.mktemp("kserve"), *KSERVE), tmp_path_factory.mktemp("calls")
    (folder / "good.png").write_bytes(photo)
    (folder / "bad.txt").write_bytes(b"no image")
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    rest_port, grpc_port = free_ports(2)
    with Gateway(private_server, rest_port, ["--grpc-port", str(grpc_port)]) as gateway:
        gateway.wait_ready()
        command = [sys.executable, str(CALLS), gateway.url, f"127.0.0.1:{grpc_port}", "good.png", "bad.txt"]
        run = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=240,
        )
        program = documented_program("kserve").replace(f"http://{DOCUMENTED}", gateway.url)
        (folder / "photo.jpg").write_bytes(photo)
        printed = subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
        )
        own = httpx.post(f"{gateway.url}/predictions/pointrend", files={"image": photo}, data=FIELDS, timeout=60)
    return {**json.loads(run.stdout), "own": own.json(), "printed": json.loads(printed.stdout)}


@WAYS
def test_it_is_alive_and_ready(said: Any, way: str) -> None:
    assert [said[way][name] for name in ("live", "ready", "model_ready")] == [True] * 3


@WAYS
def test_a_bad_image_fails_alone(said: Any, way: str) -> None:
    answer = said[way]["several"]
    assert (answer["id"], answer["status"]) == ("one", [200, 415, 200])
    assert answer["prediction"][1]["error"]["code"] == "unsupported_image"
    for index in (0, 2):
        assert answer["prediction"][index]["instances"] == said["own"]["instances"]
    assert said["own"]["instances"]


@pytest.mark.parametrize(("way", "bad", "unknown"), [("rest", "415", "422"), ("grpc", *["INVALID_ARGUMENT"] * 2)])
def test_a_failure_says_why(said: Any, way: str, bad: str, unknown: str) -> None:
    assert said[way]["bad"].startswith(f"{bad} This looks like text, not an image")
    assert said[way]["unknown"].startswith(f"{unknown} There is no option 'mask'. Did you mean 'masks'?")


def test_the_documented_program_prints_a_prediction(said: Any) -> None:
    found = {each["category"] for each in said["printed"]["instances"]}
    assert found
    assert found <= {each["category"] for each in said["own"]["instances"]}
