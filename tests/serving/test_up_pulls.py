"""``pointrend up`` with a published model that is not here yet: pulled, archived, and served with another beside it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image

from pointrend.client import Client
from pointrend.config.files import config_to_dict, read_config
from pointrend.weights import zoo
from pointrend.weights.convert import convert
from tests.file_server import served
from tests.launched import launched
from tests.ports import free_server_port

GOLDEN = Path(__file__).parents[1] / "golden" / "pointrend_coco80_landscape"
MASK_RCNN = GOLDEN.parent / "maskrcnn_coco80_landscape"
# A narrow model under a published name, as a zoo of its own; its archive is kept out of the checkout's store.
PROGRAM = """
import sys
from pathlib import Path
from pointrend.serving import up as launcher
from pointrend.weights import zoo
zoo.ZOO, launcher.STORE = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
from pointrend.cli.main import main
main()
"""


@pytest.mark.server
def test_a_published_model_is_pulled_and_served(tmp_path: Path) -> None:
    body = (GOLDEN / "model_final.pkl").read_bytes()
    path = f"PointRend/7/model_final_{hashlib.md5(body).hexdigest()[:6]}.pkl"
    (tmp_path / "site" / path).parent.mkdir(parents=True)
    (tmp_path / "site" / path).write_bytes(body)
    tree = json.loads(zoo.ZOO.read_text())
    entry = next(entry for entry in tree["models"] if entry["name"] == "coco-r50-3x")
    config = read_config(GOLDEN / "config.yaml")
    entry |= {"path": path, "weight_bytes": int(len(body) * 0.97), "config": config_to_dict(config)}
    (tmp_path / "zoo.json").write_text(json.dumps(tree))

    port = free_server_port()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "zoo.json"), str(tmp_path / "store")]
    # Mask R-CNN, the published structure but narrow, as a folder of the user's own.
    mask_rcnn = convert(
        MASK_RCNN / "model_final.pkl",
        MASK_RCNN / "config.yaml",
        tmp_path / "own",
        zoo.find("coco-mask-rcnn-r50-3x").info,
    )
    command += ["up", "--model", "coco-r50-3x", "--also", "demo", "--also", str(mask_rcnn.path)]
    command += ["--no-page", "--server-port", str(port), "--engine", "eager"]
    log = tmp_path / "out"
    with served(tmp_path / "site") as mirror:
        environment = os.environ | {"POINTREND_HOME": str(tmp_path / "home"), "POINTREND_MIRROR": mirror}
        environment.pop("POINTREND_OFFLINE", None)
        with launched(command, log, environment) as process:
            client = Client(f"http://127.0.0.1:{port}", timeout=60)
            assert client.describe()["name"] == "coco-r50-3x"
            assert len(client.describe()["categories"]) == 80
            assert client.segment(Image.new("RGB", (64, 48))).width == 64
            beside = Client(f"http://127.0.0.1:{port}", model="pointrend-demo", timeout=60)
            assert beside.describe()["name"] == "pointrend-demo"
            third = Client(f"http://127.0.0.1:{port}", model="coco-mask-rcnn-r50-3x", timeout=60)
            assert not third.describe()["refines_points"]
            answered = third.segment(GOLDEN.parent / "images" / "coffee_600x400.png", score_threshold=0.3)
            assert len(answered.instances) > 10
            assert all(instance.area is not None for instance in answered.instances)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, log.read_text()
    assert "Pulled coco-r50-3x to" in " ".join(log.read_text().split())
    assert (tmp_path / "home" / "models" / "coco-r50-3x" / "manifest.json").is_file()
