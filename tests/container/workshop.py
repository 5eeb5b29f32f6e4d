"""Building and running images without Docker: debootstrap for the base, buildah, podman and runc.

Debian's own image cannot be had everywhere, so that the base is made here from Debian's packages, under the name that
the Dockerfile asks for. Everything runs as root, on the machine's own network.
"""

from __future__ import annotations

import configparser
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pointrend.client import Client
from pointrend.errors import RequestError
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
BASE = "docker.io/library/debian:bookworm-slim"
PACKAGES = {"buildah": "buildah", "podman": "podman", "runc": "runc", "debootstrap": "debootstrap"}
PODMAN = ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs")
LIMITS = ("--ulimit", "nofile=16384:16384", "--ulimit", "nproc=16384:16384")
HARDENED = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp:size=512m,mode=1777",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--memory=4g",
)
# What Debian's slim image leaves out of every package.
SLIM = """\
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/lintian/*
"""
READY_SECONDS = 180.0
IMAGE = "localhost/pointrend:test"
SLIM_IMAGE = "localhost/pointrend:slim-test"
SPACE = "localhost/pointrend:space"
MODEL = "coco-r50-3x"  # the Space's
SECRET = "a-secret-for-" + secrets.token_hex(16)
PHOTO = ROOT / "tests" / "demo" / "chelsea.png"


def missing() -> str | None:
    """Why nothing can be built here, or None."""
    absent = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if absent:
        return f"needs Debian's {' '.join(absent)}"
    return None if os.geteuid() == 0 else "needs root"


def call(*command: str | Path, patience: float = 900.0) -> str:
    """Run a command; its output, or an error with the end of what it said."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=patience, cwd=ROOT
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise RuntimeError(f"{command[0]} {command[1]} failed with status {done.returncode}:\n{said}")
    return done.stdout


def make_base(scratch: Path) -> None:
    """Make the Dockerfile's base image from Debian's packages, unless it is there."""
    if subprocess.run(["podman", "image", "exists", BASE], check=False).returncode == 0:
        return
    root = scratch / "rootfs"
    call("debootstrap", "--variant=minbase", "bookworm", root)
    # As Debian's own slim image: licences are all of the documentation, and there are neither translations nor caches.
    for folder in ("var/cache/apt", "var/lib/apt/lists", "usr/share/man", "usr/share/locale", "usr/share/info"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()
    for path in (root / "usr/share/doc").glob("*/*"):
        if path.name != "copyright" and not path.is_symlink():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(SLIM)
    (root / "etc/apt/apt.conf.d/clean").write_text('Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n')
    tar = scratch / "rootfs.tar"
    call("tar", "-C", root, "-cf", tar, ".")
    call("podman", "import", tar, BASE)
    tar.unlink()
    shutil.rmtree(root)


def pip_mounts(scratch: Path) -> list[str]:
    """What lets pip in the build find what pip outside is configured to find; nothing where nothing is configured."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        settings.setdefault(key.rsplit(".", 1)[-1], shlex.split(value)[0])
    mounts, parser = [], configparser.ConfigParser(interpolation=None)
    parser["global"] = {}
    for key in ("find-links", "extra-index-url", "index-url"):
        if key in settings:
            parser["global"][key] = settings[key]
            # An index may point to files beside its own folder.
            places = [Path(word.removeprefix("file://")) for word in settings[key].split()]
            folders = [place if key == "find-links" else place.parent for place in places if place.is_dir()]
            mounts += [f"{folder}:{folder}:ro" for folder in folders]
    if "cert" in settings:
        parser["global"]["cert"] = "/tmp/pip-cert.pem"
        mounts.append(f"{settings['cert']}:/tmp/pip-cert.pem:ro")
    if parser["global"]:
        with (scratch / "pip.conf").open("w") as file:
            parser.write(file)
        mounts.append(f"{scratch / 'pip.conf'}:/etc/pip.conf:ro")
    return [part for mount in mounts for part in ("--volume", mount)]


def build(
    context: Path, name: str, scratch: Path, arguments: Mapping[str, str] | None = None, target: str | None = None
) -> None:
    """Build the Dockerfile of a folder.

    Args:
        context: the folder.
        name: of the image.
        scratch: for what lies about meanwhile.
        arguments: the Dockerfile's, by their names.
        target: the stage to build; by default the last one.
    """
    make_base(scratch)
    mounts = pip_mounts(scratch)
    # Where pip is told where PyTorch is, the Dockerfile need not say it.
    given = {**({"TORCH_INDEX": ""} if mounts else {}), **(arguments or {})}
    words = [word for key, value in given.items() for word in ("--build-arg", f"{key}={value}")]
    words += ["--target", target] if target else []
    options = ["--isolation", "chroot", "--network", "host", "--pull=never", "--layers", "--format", "docker"]
    call("buildah", "bud", *options, *mounts, *words, "-t", name, context, patience=1800)


@dataclass(frozen=True)
class Container:
    """A container that runs.

    Attributes:
        name: by which podman knows it.
        port: of REST and the page.
        grpc_port: of gRPC.
        network: podman's; with "none" it has only a loopback of its own, and is asked from inside.
    """

    name: str
    port: int
    grpc_port: int
    network: str = "host"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def logs(self) -> str:
        done = subprocess.run([*PODMAN, "logs", self.name], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    def inspect(self) -> dict[str, Any]:
        state = json.loads(call(*PODMAN, "inspect", self.name))[0]
        return dict(state)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PODMAN, "exec", self.name, *command], capture_output=True, text=True, check=False, timeout=120
        )

    def wait_ready(self) -> float:
        """Seconds until it was ready."""
        started = time.monotonic()
        while time.monotonic() - started < READY_SECONDS:
            if self._is_ready():
                return time.monotonic() - started
            if self.inspect()["State"]["Status"] == "exited":
                break
            time.sleep(0.3)
        raise AssertionError(f"{self.name} did not become ready:\n{self.logs()[-3000:]}")

    def _is_ready(self) -> bool:
        if self.network == "none":
            return self.execute("python", "-m", "gateway.health").returncode == 0
        try:
            return httpx.get(f"{self.url}/readyz", timeout=20).status_code == 204
        except httpx.TransportError:
            return False

    def wait_until_it_segments(self) -> None:
        """Return once the model finds something, a minute from now at most."""
        deadline = time.monotonic() + 60
        with Client(self.url, token=SECRET) as client:
            while True:
                try:
                    assert client.segment(PHOTO).instances
                    return
                except RequestError:
                    assert time.monotonic() < deadline
                    time.sleep(0.5)


@contextmanager
def running(
    image: str,
    variables: Mapping[str, str],
    options: Sequence[str] = (),
    name: str = "pointrend-test",
    network: str = "host",
) -> Iterator[Container]:
    """Run an image in the background, on ports of its own, until the end of the block."""
    port, grpc_port = free_ports(2)
    container = Container(f"{name}-{port}", port, grpc_port, network)
    given = {"PORT": str(port), "POINTREND_GRPC_PORT": str(grpc_port), **variables}
    environment = [part for key, value in given.items() for part in ("--env", f"{key}={value}")]
    common = ["--detach", "--network", network, *LIMITS, "--name", container.name]
    call(*PODMAN, "run", *common, *environment, *options, image)
    try:
        yield container
    finally:
        call(*PODMAN, "rm", "--force", "--time", "40", container.name)
