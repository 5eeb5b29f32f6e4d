"""Triton's own client against the gateway and a real TorchServe, over HTTP."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from pointrend.serving.gateway_process import Gateway
from pointrend.structures.options import names
from pointrend.version import __version__
from tests.gateway.documented import DOCUMENTED, documented_program

pytestmark = pytest.mark.server
CALLS = Path(__file__).with_name("triton_calls.py")


@pytest.fixture(scope="module")
def said(gateway: Gateway, photo: bytes, triton_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the client made of the gateway's answers."""
    folder = tmp_path_factory.mktemp("calls")
    (folder / "good.png").write_bytes(photo)
    (folder / "bad.txt").write_bytes(b"no image")
    command = [sys.executable, str(CALLS), urlsplit(gateway.url).netloc, "good.png", "bad.txt"]
    environment = {**os.environ, "PYTHONPATH": str(triton_packages)}
    run = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=240
    )
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def by_rest(gateway: Gateway, photo: bytes) -> Any:
    """The same image by the REST API."""
    fields = {"score_threshold": "0.3", "masks": "polygon"}
    url = f"{gateway.url}/predictions/pointrend"
    return httpx.post(url, files={"image": photo}, data=fields, timeout=60).raise_for_status().json()


def prediction(answer: Any, index: int = 0) -> Any:
    return json.loads(base64.b64decode(answer["prediction"][index]))


def test_health_and_metadata(said: Any) -> None:
    assert [said[name] for name in ("live", "ready", "model_ready", "version_ready")] == [True] * 4
    assert said["other_ready"] is False
    assert (said["server"]["name"], said["server"]["version"]) == ("pointrend-serve", __version__)
    assert "binary_tensor_data" in said["server"]["extensions"]
    metadata = said["metadata"]
    assert (metadata["name"], metadata["platform"]) == ("pointrend", "pointrend_eager")
    assert metadata["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert [output["name"] for output in metadata["outputs"]] == ["prediction", "status"]
    assert list(metadata["parameters"]) == list(names())


@pytest.mark.parametrize("form", ["binary", "text"])
def test_a_prediction_is_that_of_rest(said: Any, by_rest: Any, form: str) -> None:
    answer = said[form]
    assert (answer["status"], answer["shape"]) == ([200], [1])
    assert answer["parameters"]["content_type"] == "application/json"
    assert answer["response"]["model_name"] == "pointrend"
    assert answer["response"].get("id") == ("one" if form == "binary" else None)
    found = prediction(answer)
    assert found["instances"] == by_rest["instances"]
    assert found["instances"]


def test_a_version_is_asked_for_by_its_path(said: Any) -> None:
    assert said["version"]["status"] == [200]
    assert said["version"]["response"]["model_version"] == said["metadata"]["versions"][0]


def test_a_bad_image_fails_alone(said: Any) -> None:
    answer = said["several"]
    assert answer["status"] == [200, 415, 400, 200]
    assert answer["shape"] == [4]
    assert prediction(answer, 1)["error"]["code"] == "unsupported_image"
    assert prediction(answer, 2)["error"]["code"] == "missing_image"
    first, last = prediction(answer, 0), prediction(answer, 3)
    assert first["instances"] == last["instances"]


def test_pictures_are_bytes_and_in_json_base64(said: Any) -> None:
    raw = base64.b64decode(said["png"]["prediction"][0])
    assert raw.startswith(b"\x89PNG")
    assert said["png"]["parameters"]["content_type"] == "image/png"
    assert said["png_text"]["parameters"] == {"content_type": "image/png", "encoding": "base64"}
    assert base64.b64decode(base64.b64decode(said["png_text"]["prediction"][0])) == raw


def test_lists_are_sent_as_text(said: Any) -> None:
    assert [each["bbox"] for each in prediction(said["boxes"])["instances"]] == [[10, 20, 100, 200]]


def test_one_output_alone(said: Any) -> None:
    assert said["status_alone"] == [200]


@pytest.mark.parametrize(
    ("call", "status", "part"),
    [
        ("no_image", 415, "not an image"),
        ("bad_option", 422, "There is no option 'mask'. Did you mean"),
        ("bad_category", 422, "unicorn"),
        ("no_model", 404, "No model of that name"),
        ("no_metadata", 404, "No model of that name"),
        ("shared_memory", 404, "nothing at this path"),
    ],
)
def test_what_fails_is_told_by_status_and_message(said: Any, call: str, status: int, part: str) -> None:
    assert said[call]["status"] == str(status)
    assert part in said[call]["message"]


def test_the_documented_program_runs(gateway: Gateway, photo: bytes, triton_packages: Path, tmp_path: Path) -> None:
    program = documented_program("tritonclient")
    (tmp_path / "photo.jpg").write_bytes(photo)
    run = subprocess.run(
        [sys.executable, "-c", program.replace(DOCUMENTED, urlsplit(gateway.url).netloc)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(triton_packages)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    assert re.fullmatch(r"\d+ objects\n", run.stdout)
