"""The client through TLS, REST and gRPC: nginx in front of the server, with a certificate of our own authority."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pointrend.serving.torchserve import TorchServe
from tests.ports import free_ports

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
PHOTO = Path(__file__).parents[1] / "demo" / "astronaut.png"
pytestmark = [
    pytest.mark.server,
    pytest.mark.nginx,
    pytest.mark.skipif(NGINX is None, reason="needs nginx; on Debian and Ubuntu: apt-get install nginx-light"),
]
CONFIGURATION = """
daemon off;
error_log stderr error;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_max_body_size 30m;
    client_body_buffer_size 30m;
    proxy_buffering off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    server {{ listen 127.0.0.1:{rest} ssl; location / {{ proxy_pass {rest_url}; }} }}
    server {{ listen 127.0.0.1:{rpc} ssl http2; location / {{ grpc_pass {rpc_url}; }} }}
}}
"""
ASK = """
import sys
from pointrend.client import Client
from pointrend.errors import RequestError
try:
    with Client(sys.argv[1]) as client:
        print(client.segment(sys.argv[2]).instances[0].category)
except RequestError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def tls(served: TorchServe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Path]]:
    """Ports for https and grpcs, and the certificate to trust."""
    folder = tmp_path_factory.mktemp("tls")
    certificate = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", folder / "key.pem", "-out", certificate], check=True, capture_output=True)
    rest, rpc = free_ports(2)
    text = CONFIGURATION.format(
        folder=folder, rest=rest, rpc=rpc, rest_url=served.url, rpc_url=f"grpc://{urlsplit(served.rpc_url).netloc}"
    )
    (folder / "nginx.conf").write_text(text)
    assert NGINX is not None
    with subprocess.Popen([NGINX, "-c", folder / "nginx.conf", "-p", folder]) as nginx:
        try:
            deadline = time.monotonic() + 30
            while any(socket.socket().connect_ex(("127.0.0.1", port)) for port in (rest, rpc)):
                assert nginx.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield rest, rpc, certificate
        finally:
            nginx.terminate()


def ask(url: str, trusted: Path | None) -> str:
    """In a process of its own, since the libraries read once whom they trust; a proxy cannot reach loopback."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    kept = {key: value for key, value in os.environ.items() if key not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    trust = {} if trusted is None else {"SSL_CERT_FILE": str(trusted), "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(trusted)}
    run = [sys.executable, "-c", ASK, url, str(PHOTO)]
    return subprocess.run(
        run, env=kept | proxies | trust, capture_output=True, text=True, timeout=120, check=True
    ).stdout.strip()


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_trusted_server_answers_and_another_is_not_believed(tls: tuple[int, int, Path], scheme: str) -> None:
    rest, rpc, certificate = tls
    url = f"{scheme}://127.0.0.1:{rest if scheme == 'https' else rpc}"
    assert ask(url, certificate) == "person"
    assert ask(url, None) == "server_down"
