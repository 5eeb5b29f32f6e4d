"""The image built from the Dockerfile, and run as carefully as a platform may: whatever it is said to do, it does here.

Run with the base made here, and without Docker; see ``workshop.py``.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from gradio_client import Client as PageClient
from gradio_client import handle_file

from pointrend.client import Client
from pointrend.engines import AUTO, resolve
from pointrend.errors import RequestError
from pointrend.serving.archive import build
from pointrend.weights.folder import ModelFolder
from scripts.image.trim import KEPT, UNUSED
from tests.container.workshop import HARDENED, LIMITS, PHOTO, PODMAN, ROOT, SECRET, Container, call, missing, running
from tests.open_inference_calls import instances, refusal
from tests.ports import free_ports

reason = missing()
pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(reason is not None, reason=str(reason)),
]


@pytest.fixture(scope="module")
def container(image: str, secret_file: Path) -> Iterator[Container]:
    """Page and server in one, hardened; the secret comes from a file."""
    mount = f"--volume={secret_file}:/run/secrets/token:ro"
    variables = {"POINTREND_TOKEN_FILE": "/run/secrets/token", "HF_TOKEN": HUB_TOKEN}
    with running(image, variables, (*HARDENED, mount)) as container:
        container.wait_ready()
        yield container


HUB_TOKEN = "hf_a-token-of-the-tests"
# Which processes have it, besides the one that asks.
WHO_HAS_IT = """
import os, pathlib
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    if int(folder.name) != os.getpid() and b"\\0HF_TOKEN=" in b"\\0" + (folder / "environ").read_bytes():
        print((folder / "cmdline").read_bytes().replace(b"\\0", b" ").decode().strip())
"""
UNDECLARED = "not declared"  # as scripts/sbom says it
KILL_WORKERS = """
import os, pathlib, signal
count = 0
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    words = (folder / "cmdline").read_bytes().split(b"\\0")
    if any(word.endswith(b"model_service_worker.py") for word in words):
        os.kill(int(folder.name), signal.SIGKILL)
        count += 1
print(count)
"""


def test_what_the_image_says_of_itself(image: str) -> None:
    config = json.loads(call("podman", "inspect", image))[0]
    assert config["Config"]["User"] == "1000"
    assert config["Config"]["Entrypoint"] == ["tini", "--"]
    assert "gateway.health" in " ".join(config["Healthcheck"]["Test"])
    assert config["Size"] < 1.25e9
    history = call("buildah", "inspect", "--format", "{{.Docker.History}}", image)
    assert "TOKEN" not in history


def test_runs_as_nobody_in_particular_and_writes_nowhere(container: Container) -> None:
    assert container.execute("id", "-u").stdout.strip() == "1000"
    status = container.execute("cat", "/proc/1/status").stdout
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert container.execute("cat", "/proc/1/comm").stdout.strip() == "tini"
    for place in ("/", "/opt/pointrend", "/etc", "/home/pointrend"):
        assert "Read-only" in container.execute("touch", f"{place}/file").stderr
    assert container.execute("python", "-m", "pip", "--version").returncode != 0


PACKAGES = """
import json, sysconfig
from pathlib import Path
site = Path(sysconfig.get_path("purelib"))
print(json.dumps({pattern: [str(path.relative_to(site)) for path in site.glob(pattern)] for pattern in %r}))
"""
# Of what a process has imported, what has to be compiled at each start.
UNCOMPILED = """
import importlib, sys
sys.modules["openvino_telemetry"] = None  # as `pointrend.engines.openvino` has it, which workers take from the archive
for name in %r:
    importlib.import_module(name)
files = {name: getattr(module, "__cached__", None) for name, module in sys.modules.items() if name != "__main__"}
import os
print([name for name, file in files.items() if isinstance(file, str) and not os.path.exists(file)])
"""
JAVA_MAPS = """
import pathlib
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    if (folder / "comm").read_text() == "java\\n":
        print((folder / "maps").read_text())
"""


def test_the_packages_hold_what_runs_and_nothing_else(container: Container) -> None:
    patterns = [pattern for pattern in UNUSED if pattern != "**/__pycache__"]
    listed = container.execute("python", "-c", PACKAGES % patterns)
    found = {path for paths in json.loads(listed.stdout).values() for path in paths}
    assert found == KEPT, listed.stderr
    for modules in (["gateway.__main__"], ["gateway.app"], ["gradio_app.app"], ["ts.async_service", "openvino"]):
        done = container.execute("python", "-c", UNCOMPILED % modules)
        assert done.stdout.strip() == "[]", done.stderr


def test_java_starts_from_the_cache_that_was_made_with_the_image(container: Container) -> None:
    maps = container.execute("python", "-c", JAVA_MAPS).stdout
    assert "/opt/pointrend/torchserve.aot" in maps
    assert "libjvm.so" in maps
    assert "[warning]" not in container.logs()


def test_rest_with_the_secret_a_wrong_one_and_none(container: Container) -> None:
    with Client(container.url, token=SECRET) as client:
        assert client.segment(PHOTO).instances
    for token in ("wrong" * 4, None):
        with Client(container.url, token=token) as client, pytest.raises(RequestError) as caught:
            client.segment(PHOTO)
        assert (caught.value.status, caught.value.code) == (401, "invalid_token")


def test_grpc_with_the_secret_a_wrong_one_and_none(container: Container) -> None:
    url = f"grpc://127.0.0.1:{container.grpc_port}"
    with Client(url, token=SECRET) as client:
        assert client.segment(PHOTO).instances
    for token in ("wrong" * 4, None):
        with Client(url, token=token) as client, pytest.raises(RequestError) as caught:
            client.segment(PHOTO)
        assert caught.value.code == "invalid_token"


def test_the_open_inference_protocol_by_grpc(container: Container) -> None:
    address = f"127.0.0.1:{container.grpc_port}"
    assert instances(address, SECRET, PHOTO.read_bytes())
    for secret in ("wrong" * 4, None):
        assert refusal(address, "ServerReady", secret) == grpc.StatusCode.PERMISSION_DENIED


def test_the_engine_is_what_auto_stands_for(container: Container) -> None:
    with Client(container.url, token=SECRET) as client:
        assert client.describe()["engine"] == resolve(AUTO, ModelFolder.open("demo").network, quantised=True)
    assert container.execute("python", "-c", "import nncf").returncode != 0  # it was needed for the build alone


def test_the_page(container: Container, tmp_path: Path) -> None:
    page = PageClient(container.url, verbose=False, download_files=str(tmp_path))
    answer = page.predict(photo=handle_file(str(PHOTO)), score_threshold=0.5, api_name="/segment")
    assert "instances" in json.dumps(answer)


def test_the_health_check_asks_the_model(container: Container) -> None:
    assert subprocess.run([*PODMAN, "healthcheck", "run", container.name], check=False).returncode == 0
    answer = httpx.get(f"{container.url}/readyz", timeout=20)
    assert (answer.status_code, answer.content) == (204, b"")


def test_the_secret_shows_nowhere(container: Container) -> None:
    assert SECRET not in container.logs()
    shown = container.execute("sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'").stdout
    assert "POINTREND_ROLE" in shown or "POINTREND_HOST" in shown
    assert SECRET not in shown


def test_no_service_has_the_secrets_of_the_start(container: Container) -> None:
    who = container.execute("python", "-c", WHO_HAS_IT)
    assert sorted(who.stdout.splitlines()) == ["python -m gateway", "tini -- python -m gateway"], who.stderr


def test_the_engine_is_chosen_at_the_start(image: str) -> None:
    variables = {"POINTREND_ROLE": "server", "POINTREND_TOKEN": SECRET, "POINTREND_ENGINE": "eager"}
    with running(image, variables, HARDENED) as container:
        container.wait_ready()
        with Client(container.url, token=SECRET) as client:
            assert client.describe()["engine"] == "eager"


def test_the_bill_of_materials_lists_what_is_installed(container: Container) -> None:
    document = json.loads(container.execute("cat", "/usr/share/pointrend/sbom.json").stdout)
    listed = {component["purl"].split("?")[0]: component for component in document["components"]}
    locked = "".join((ROOT / "requirements" / name).read_text() for name in ("image.txt", "cpu.txt"))
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", locked, re.MULTILINE):
        assert f"pkg:pypi/{name}@{version}" in listed
    assert any(purl.startswith("pkg:deb/debian/nginx") for purl in listed)
    assert not [name for name, component in listed.items() if component["licenses"][0]["license"]["name"] == UNDECLARED]
    assert any(component["type"] == "machine-learning-model" for component in listed.values())
    # What wheels carry, and what is stated of it.
    assert {"pkg:maven/io.netty/netty-codec-http@4.1.53.Final", "pkg:maven/io.grpc/grpc-core@1.50.0"} <= listed.keys()
    assert any(purl.startswith("pkg:generic/openjdk@") for purl in listed)
    assert document["vulnerabilities"]
    for name in ("heif", "de265"):
        library = next(each for purl, each in listed.items() if purl.startswith(f"pkg:generic/{name}@"))
        assert library["licenses"] == [{"license": {"name": "LGPL-3.0-or-later"}}]
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in container.execute("cat", "/usr/share/common-licenses/LGPL-3").stdout


def test_a_worker_that_dies_comes_back(container: Container) -> None:
    killed = container.execute("python", "-c", KILL_WORKERS)
    assert int(killed.stdout) >= 1
    container.wait_until_it_segments()


def test_sigterm_lets_a_request_finish_and_a_restart_serves_again(container: Container) -> None:
    body = PHOTO.read_bytes()
    caller = http.client.HTTPConnection("127.0.0.1", container.port, timeout=60)
    caller.putrequest("POST", "/predictions/pointrend")
    caller.putheader("Authorization", f"Bearer {SECRET}")
    caller.putheader("Content-Type", "image/png")
    caller.putheader("Content-Length", str(len(body)))
    caller.endheaders(body[:-1])
    httpx.get(f"{container.url}/healthz")  # answered after nginx has taken the connection that came before
    with subprocess.Popen([*PODMAN, "stop", "--time", "60", container.name], stdout=subprocess.DEVNULL) as stopping:
        while container.listens():
            time.sleep(0.05)
        caller.send(body[-1:])
        answer = caller.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["instances"]
    assert stopping.returncode == 0
    assert container.inspect()["State"]["ExitCode"] == 0
    call(*PODMAN, "start", container.name)
    container.wait_ready()
    with Client(container.url, token=SECRET) as client:
        assert client.segment(PHOTO).instances


def test_killed_and_started_again(container: Container) -> None:
    call(*PODMAN, "kill", "--signal", "KILL", container.name)
    call(*PODMAN, "wait", container.name)
    call(*PODMAN, "start", container.name)
    container.wait_ready()
    with Client(container.url, token=SECRET) as client:
        assert client.segment(PHOTO).instances


def test_a_server_without_a_secret_does_not_start(image: str) -> None:
    done = subprocess.run(
        [*PODMAN, "run", "--rm", "--network=none", *LIMITS, "--env=POINTREND_ROLE=server", image],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "set POINTREND_TOKEN or POINTREND_TOKEN_FILE" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_wheel_alone_brings_pointrend_up(image: str) -> None:
    """What is installed in the image is the wheel: no checkout is near."""
    port = free_ports(1)[0]
    name = f"pointrend-wheel-{port}"
    command = ["pointrend", "up", "--no-page", "--server-port", str(port)]
    options = ["--detach", "--network=host", *LIMITS, "--name", name, "--entrypoint", ""]
    call(*PODMAN, "run", *options, image, *command)
    try:
        deadline = time.monotonic() + 120
        with Client(f"http://127.0.0.1:{port}", timeout=30) as client:
            while not client.ready():
                assert time.monotonic() < deadline, call(*PODMAN, "logs", name)
                time.sleep(0.5)
            assert client.segment(PHOTO).instances
    finally:
        call(*PODMAN, "rm", "--force", "--time", "30", name)


def test_an_archive_that_was_built_elsewhere(image: str, tmp_path: Path) -> None:
    build(ModelFolder.open("demo"), tmp_path, engine="bf16")
    tmp_path.chmod(0o755)
    options = (*HARDENED, f"--volume={tmp_path}:/store:ro")
    with running(image, {"POINTREND_STORE": "/store", "POINTREND_TOKEN": SECRET}, options) as container:
        container.wait_ready()
        with Client(container.url, token=SECRET) as client:
            assert client.describe()["engine"] == "bf16"
            assert client.segment(PHOTO).instances


def test_server_and_page_apart_under_a_user_that_the_platform_chose(image: str) -> None:
    """As on Heroku and OpenShift: a user id without a name, and one port, told by PORT."""
    user = ("--user=54321:54321", *HARDENED)
    server_role = {"POINTREND_ROLE": "server", "POINTREND_TOKEN": SECRET, "POINTREND_GRPC_PORT": "0"}
    with running(image, server_role, user) as server:
        server.wait_ready()
        assert httpx.get(server.url).status_code == 404
        page_role = {"POINTREND_ROLE": "page", "POINTREND_SERVER": server.url, "POINTREND_TOKEN": SECRET}
        with running(image, page_role, user) as page:
            page.wait_ready()
            answer = PageClient(page.url, verbose=False).predict(photo=handle_file(str(PHOTO)), api_name="/segment")
            assert "instances" in json.dumps(answer)
