"""An image with a published model in place of the demo: downloaded at build time, and served without a network.

The weights are random and of the published structure. The image is the Space's, whose Dockerfile names the model; other
models are built from the project's own, by its build argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pointrend.client import Client
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.system.machine import has_int8_products
from pointrend.weights import zoo
from pointrend.weights.convert import convert
from tests.container.workshop import (
    HARDENED,
    LIMITS,
    MODEL,
    PHOTO,
    PODMAN,
    ROOT,
    SECRET,
    Container,
    build,
    call,
    missing,
    running,
)
from tests.hub_server import Repository, StandInHub
from tests.ports import free_ports

reason = missing()
pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(reason is not None, reason=str(reason)),
]
GOLDEN = ROOT / "tests" / "golden" / "pointrend_3class_portrait"
SERVER = {"POINTREND_ROLE": "server", "POINTREND_TOKEN": SECRET}
HUB_IMAGE = "localhost/pointrend:hub"
# Asked from inside: the container has no network.
DESCRIBE = """
import json, os
from pointrend.client import Client
with Client(f"http://127.0.0.1:{os.environ['PORT']}", token=os.environ["POINTREND_TOKEN"], timeout=60) as client:
    print(json.dumps(client.describe()))
"""
ROUTES = "import pathlib; print(pathlib.Path('/proc/net/route').read_text().count(chr(10)) - 1)"


def describe(container: Container) -> dict[str, Any]:
    done = container.execute("python", "-c", DESCRIBE)
    assert done.returncode == 0, done.stderr
    described: dict[str, Any] = json.loads(done.stdout)
    return described


def test_it_starts_without_a_network_with_the_fastest_engine(space: str) -> None:
    with running(space, SERVER, HARDENED, network="none") as container:
        container.wait_ready()
        assert container.execute("python", "-c", ROUTES).stdout.strip() == "0"
        described = describe(container)
    assert described["name"] == MODEL
    assert described["version"] == zoo.find(MODEL).version
    assert len(described["categories"]) == 80
    assert described["engine"] == ("openvino-int8" if has_int8_products() else "eager")


@pytest.mark.parametrize("engine", ["eager", "openvino-int8"])
def test_the_engine_is_chosen_at_the_start(space: str, engine: str) -> None:
    # Its own model by name is the one in its store.
    variables = {**SERVER, "POINTREND_ENGINE": engine, "POINTREND_MODEL": MODEL, "POINTREND_OFFLINE": "1"}
    with running(space, variables, HARDENED) as container:
        container.wait_ready()
        with Client(container.url, token=SECRET, timeout=120) as client:
            assert client.describe()["engine"] == engine
            assert client.segment(PHOTO).width == 451


def test_the_bill_of_materials_names_origin_licence_and_hash(space: str) -> None:
    run = (*PODMAN, "run", "--rm", "--network=host", *LIMITS, "--entrypoint=cat")
    bill = call(*run, space, "/usr/share/pointrend/sbom.json")
    models = {each["name"]: each for each in json.loads(bill)["components"] if each["type"] == "machine-learning-model"}
    assert models.keys() == {"pointrend-demo", MODEL}
    model = models[MODEL]
    assert model["version"] == zoo.find(MODEL).version
    assert model["licenses"] == [{"license": {"name": zoo.find(MODEL).licence}}]
    assert model["externalReferences"][0]["url"].endswith(zoo.find(MODEL).path)
    assert model["hashes"][0]["alg"] == "SHA-256"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"MODEL": MODEL, "POINTREND_MIRROR": "http://127.0.0.1:{port}"},
            f"pointrend: {MODEL}: http://127.0.0.1:{{port}}/{zoo.find(MODEL).path} cannot be fetched, "
            "not in 4 attempts: there is no connection. Check the network and its proxy, and try again. "
            "If a mirror is set (POINTREND_MIRROR), check its address.",
        ),
        (
            {"MODEL": "hf://ada/shapes@v1", "HF_ENDPOINT": "http://127.0.0.1:{port}"},
            "pointrend: hf://ada/shapes@v1: http://127.0.0.1:{port} cannot be reached: there is no connection. "
            "Check the network and its proxy, and try again.",
        ),
        ({"MODEL": "coco-r50"}, "pointrend: No published model is called 'coco-r50'. Did you mean 'coco-r50-"),
    ],
)
def test_a_download_that_fails_stops_the_build_with_a_sentence(
    image: str, tmp_path: Path, arguments: dict[str, str], sentence: str
) -> None:
    port = free_ports(1)[0]
    given = {key: value.format(port=port) for key, value in arguments.items()}
    with pytest.raises(RuntimeError) as failed:
        build(ROOT, HUB_IMAGE, tmp_path, given)
    assert sentence.format(port=port) in str(failed.value)
    assert "Traceback" not in str(failed.value)


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub() as hub:
        yield hub


def test_a_model_of_the_hub_goes_the_same_way(image: str, hub: StandInHub, tmp_path: Path) -> None:
    info = ModelInfo("shapes", "1.0", (Category(1, "square"), Category(2, "disc"), Category(7, "star")), licence="MIT")
    folder = convert(GOLDEN / "model_final.pkl", GOLDEN / "config.yaml", tmp_path / "shapes", info)
    hub.repositories["ada/shapes"] = Repository()
    commit = hub.repositories["ada/shapes"].commit({path.name: path.read_bytes() for path in folder.path.iterdir()})
    address = f"hf://ada/shapes@{commit}"
    build(ROOT, HUB_IMAGE, tmp_path, {"MODEL": address, "HF_ENDPOINT": hub.url})
    try:
        with running(HUB_IMAGE, {**SERVER, "POINTREND_MODEL": address}, HARDENED, network="none") as container:
            container.wait_ready()
            described = describe(container)
            bill = json.loads(container.execute("cat", "/usr/share/pointrend/sbom.json").stdout)
    finally:
        call("buildah", "rmi", "--force", HUB_IMAGE)
    assert (described["name"], len(described["categories"])) == ("shapes", 3)
    (model,) = [each for each in bill["components"] if each["name"] == "shapes"]
    assert model["purl"] == f"pkg:huggingface/ada/shapes@{commit}"
