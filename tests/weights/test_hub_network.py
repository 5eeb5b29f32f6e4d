"""A Hub that is down, silent or offline, its certificates, a full disk, and two processes at once."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

import pointrend
from pointrend.errors import ConfigError, DownloadError, Unreachable
from pointrend.weights.hub import api
from pointrend.weights.pull import pull
from tests.hub_server import Repository, StandInHub
from tests.weights.hub_cases import ADDRESS, home, nothing_is_kept


def test_a_hub_that_is_down(hub: StandInHub, published: Repository) -> None:
    hub.stop()
    with pytest.raises(Unreachable, match=f"{ADDRESS}: {hub.url} cannot be reached: there is no connection"):
        pull(ADDRESS)


def test_a_hub_that_closes_the_connection(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread = threading.Thread(target=lambda: listening.accept()[0].close())  # noqa: PLW0108  # it waits in the thread
        thread.start()
        with pytest.raises(Unreachable, match="the connection breaks off"):
            pull(ADDRESS)
        thread.join()


def test_a_hub_that_is_silent(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(Unreachable, match="cannot be reached: it is silent"):
            pull(ADDRESS)


def test_a_hub_without_tls_where_it_is_asked_for(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("http:", "https:"))
    with pytest.raises(Unreachable, match="does not speak TLS"):
        pull(ADDRESS)


@pytest.fixture
def certificate(hub: StandInHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The stand-in speaks TLS now, with a certificate that nobody knows; huggingface_hub forgets what it knew."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    hub.hub.speak_tls(certificate, key)
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("http:", "https:"))
    huggingface_hub.close_session()
    yield certificate
    huggingface_hub.close_session()


@pytest.mark.usefixtures("certificate")
def test_a_certificate_of_nobody(published: Repository) -> None:
    with pytest.raises(Unreachable, match=r"its certificate is not accepted.*self.signed"):
        pull(ADDRESS)


def test_a_certificate_of_ones_own(published: Repository, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(Unreachable, match="its certificate is not accepted"):
        pull(ADDRESS)  # while the files are fetched
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert pull(ADDRESS).info.name == "shapes"


@pytest.mark.parametrize("variable", ["POINTREND_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(hub: StandInHub, published: Repository, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    for force in (False, True):
        with pytest.raises(Unreachable, match=f"{ADDRESS} cannot be pulled .* {variable} forbids the network"):
            pull(ADDRESS, force=force)
    with pytest.raises(ConfigError, match=f"Get it with: pointrend weights pull {ADDRESS}"):
        pointrend.load(ADDRESS)
    assert hub.asked == []
    monkeypatch.delenv(variable)
    pull(ADDRESS)
    monkeypatch.setenv(variable, "1")
    hub.forget()
    assert pull(ADDRESS).info.name == "shapes"
    assert hub.asked == []


def test_a_full_disk(hub: StandInHub, published: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(total=10, used=10, free=0))
    with pytest.raises(DownloadError, match=r"MiB are still to come\. Free some space"):
        pull(ADDRESS)
    assert nothing_is_kept()


@pytest.mark.slow
def test_two_processes_pull_once(hub: StandInHub, published: Repository) -> None:
    program = f"from pointrend.weights.pull import pull; print(pull({ADDRESS!r}).path)"
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate(timeout=120)[0].strip() for process in both}
    assert paths == {str(home() / "hub" / "ada" / "shapes" / published.branches["main"])}
    assert sum("/object/" in seen for seen in hub.asked) == 1
