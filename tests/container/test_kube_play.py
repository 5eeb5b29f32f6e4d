"""Kubernetes' manifest of the server, played by podman: the pod's security, volumes, secret and memory for real."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from pointrend.client import Client
from tests.container.workshop import LIMITS, PHOTO, PODMAN, ROOT, SECRET, Container, call, missing
from tests.ports import free_ports

reason = missing()
pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(reason is not None, reason=str(reason)),
]
ENCODED = base64.b64encode(SECRET.encode()).decode()


@pytest.fixture(scope="module")
def pod(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The Deployment as it stands; only the image's name and the ports are this machine's."""
    folder = tmp_path_factory.mktemp("pod")
    deployment = next(iter(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "server.yaml").read_text())))
    port, grpc_port = free_ports(2)
    (inside,) = deployment["spec"]["template"]["spec"]["containers"]
    inside["image"] = image
    inside["env"] += [{"name": "PORT", "value": str(port)}, {"name": "POINTREND_GRPC_PORT", "value": str(grpc_port)}]
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        del inside[kind]  # podman runs curl inside for them; they are asked from outside here
    del inside["ports"]  # podman would publish them, which the machine's own network needs no more
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "pointrend-token"},
        "data": {"token": ENCODED},
    }
    manifest = folder / "pod.yaml"
    manifest.write_text(yaml.safe_dump_all([secret, deployment]))
    # `kube play` takes no limits on its command line.
    (folder / "containers.conf").write_text(f"[containers]\ndefault_ulimits = {json.dumps([LIMITS[1], LIMITS[3]])}\n")
    os.environ["CONTAINERS_CONF"] = str(folder / "containers.conf")
    try:
        call(*PODMAN, "kube", "play", "--network", "host", manifest)
        names = call(*PODMAN, "ps", "--format", "{{.Names}}", "--filter", "name=pointrend-server").split()
        container = Container(next(name for name in names if name.endswith("-server")), port, grpc_port)
        container.wait_ready()
        yield container
    finally:
        subprocess.run([*PODMAN, "kube", "down", manifest], check=False, stdout=subprocess.DEVNULL)
        subprocess.run([*PODMAN, "secret", "rm", "pointrend-token"], check=False, stdout=subprocess.DEVNULL)
        del os.environ["CONTAINERS_CONF"]


def test_the_pod_predicts_for_those_who_have_its_secret(pod: Container) -> None:
    token = pod.execute("cat", "/run/secrets/pointrend/token").stdout.strip()
    assert token in (SECRET, ENCODED)  # podman 4.3 hands it over as it stands in the manifest, later ones decode it
    with Client(pod.url, token=token) as client:
        assert client.segment(PHOTO).instances
    with Client(f"grpc://127.0.0.1:{pod.grpc_port}", token=token) as client:
        assert client.segment(PHOTO).instances
    answer = httpx.post(f"{pod.url}/predictions/pointrend", content=Path(PHOTO).read_bytes())
    assert answer.status_code == 401


def test_the_probes_of_the_manifest_answer(pod: Container) -> None:
    deployment = next(iter(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "server.yaml").read_text())))
    (inside,) = deployment["spec"]["template"]["spec"]["containers"]
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        answer = httpx.get(pod.url + inside[kind]["httpGet"]["path"], timeout=inside[kind]["timeoutSeconds"])
        assert answer.status_code == 204
    stop = inside["lifecycle"]["preStop"]["exec"]["command"]
    started = time.monotonic()
    assert pod.execute(*stop).returncode == 0
    assert time.monotonic() - started >= float(stop[1])


def test_the_pods_security_holds(pod: Container) -> None:
    assert pod.execute("id", "-u").stdout.strip() == "1000"
    assert "Read-only" in pod.execute("touch", "/opt/pointrend/file").stderr
    assert pod.execute("touch", "/tmp/file").returncode == 0
    status = pod.execute("cat", "/proc/1/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert pod.inspect()["HostConfig"]["Memory"] == 4 * 2**30
