"""A one-stage model in all that takes a model: a server and its clients, the page's ways to ask, the commands."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pointrend
from gradio_app.live import find_objects
from gradio_app.refinement import SIDES, RefinementTrace
from pointrend.cli.main import app
from pointrend.client import Client
from pointrend.engines import DETECTRON2
from pointrend.errors import ConfigError, InvalidOption
from pointrend.inference.instances import InstanceSegmenter
from pointrend.serving.archive import build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.structures.options import Options, Task
from pointrend.weights.folder import ModelFolder
from tests.labelled import DEMO, label
from tests.ports import free_ports

PHOTO = (DEMO / "coffee.png").read_bytes()
LOW = 0.2  # below which random weights find hardly anything


@pytest.fixture(scope="module")
def server(one_stage_folder: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    archive = build(one_stage_folder, tmp_path_factory.mktemp("store"))
    with TorchServe(archive.parent, Ports(*free_ports(6))) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, server: TorchServe) -> Iterator[Client]:
    with Client(server.url if request.param == "rest" else f"grpc://{server.grpc_address}") as client:
        yield client


@pytest.mark.server
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exact": True},
        {"mask_head": "conv"},
        {"masks": "polygon", "categories": ["box"], "max_detections": 3},
        *({"refinement": refinement, "points": True} for refinement in range(5)),
        {"task": "detection"},
        {"task": "semantic"},
    ],
)
def test_the_server_answers_as_the_library(
    client: Client, one_stage_folder: ModelFolder, options: dict[str, Any]
) -> None:
    asked = Options.parse({"score_threshold": LOW, **options})
    answered = client.segment(PHOTO, score_threshold=LOW, **options)
    own = pointrend.load(one_stage_folder.path)(np.asarray(Image.open(io.BytesIO(PHOTO)).convert("RGB")), asked)
    assert answered.instances or answered.segments
    assert [each.category for each in answered.segments] == [each.category for each in own.segments]
    assert [each.category for each in answered.instances] == [each.category for each in own.instances]
    for ours, served in zip(own.instances, answered.instances, strict=True):
        assert served.score == pytest.approx(ours.score, abs=1e-3)
        assert served.bbox == pytest.approx(ours.bbox, abs=0.1)
        assert len(served.points or ()) == len(ours.points or ())
        if asked.task == "instances" and asked.masks == "rle":
            assert (ours.mask() != served.mask()).sum() <= 0.01 * ours.mask().sum() + 5


@pytest.mark.server
def test_every_format_is_drawn(client: Client) -> None:
    height, width = np.asarray(Image.open(io.BytesIO(PHOTO))).shape[:2]
    found = client.segment(PHOTO, score_threshold=LOW).instances
    assert Image.open(io.BytesIO(client.render(PHOTO, score_threshold=LOW))).size == (width, height)
    assert Image.open(io.BytesIO(client.render(PHOTO, score_threshold=LOW, task="semantic"))).size == (width, height)
    assert len(client.cutouts(PHOTO, score_threshold=LOW)) == sum(bool(each.area) for each in found)
    numbers = client.label_map(PHOTO, score_threshold=LOW)
    assert numbers.shape == (height, width)
    assert 0 < len(np.unique(numbers)) <= len(found) + 1


@pytest.mark.server
def test_it_is_described(client: Client) -> None:
    said = client.describe()
    assert (said["name"], said["engine"], said["refines_points"]) == ("balls", "eager", True)
    assert said["mask_heads"] == ["point", "conv"]
    assert [each["name"] for each in said["categories"]] == ["ball", "box", "cone"]


@pytest.mark.server
def test_what_it_has_not_is_refused_by_name(client: Client) -> None:
    with pytest.raises(InvalidOption) as refused:
        client.segment(PHOTO, categories=["cat"])
    assert refused.value.field == "categories"


@pytest.mark.server
def test_the_page_explains_its_refinement(client: Client) -> None:
    trace = RefinementTrace.ask(client, PHOTO, on_step=lambda number, count: None)
    assert len(trace.steps) == len(SIDES)
    points = [0 if told is None else len(told.instances[0].points or ()) for told in trace.points]
    assert points[0] == 0 < points[1]
    close_up = trace.close_up(0)
    assert len(close_up.overlaps) == len(SIDES)
    assert close_up.constant_overlap is not None


@pytest.mark.server
def test_a_cameras_frames_are_segmented(client: Client) -> None:
    frame = io.BytesIO()
    with Image.open(io.BytesIO(PHOTO)) as image:
        image.convert("RGB").resize((320, 213)).save(frame, "JPEG")
    tasks: tuple[Task, ...] = ("instances", "semantic")
    for task in tasks:
        assert find_objects(client, frame.getvalue(), LOW, task=task)["objects"]


def test_no_archive_is_built_for_detectron2(
    one_stage_folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: "found")
    command = ["archive", "--model", str(one_stage_folder.path), "--engine", DETECTRON2, "--destination", str(tmp_path)]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, ConfigError)
    assert "engine: detectron2 does not support one-stage models" in str(refused.exception)
    assert not list(tmp_path.iterdir())


def test_a_model_without_the_second_head_says_so(one_stage_folder: ModelFolder) -> None:
    segmenter = pointrend.load(one_stage_folder.path)
    assert isinstance(segmenter, InstanceSegmenter)
    segmenter.model.config = replace(segmenter.model.config, conv_mask=None)
    assert not segmenter.has_conv_head
    with pytest.raises(InvalidOption, match="balls"):
        segmenter(np.zeros((40, 60, 3), np.uint8), Options(mask_head="conv"))


@pytest.mark.parametrize("shape", [(1, 1), (5, 900), (700, 3)])
def test_images_of_any_shape_are_answered(one_stage_folder: ModelFolder, shape: tuple[int, int]) -> None:
    answered = pointrend.load(one_stage_folder.path)(np.full((*shape, 3), 90, np.uint8), Options(score_threshold=LOW))
    assert (answered.height, answered.width) == shape
    assert all(each.mask().shape == shape for each in answered.instances)


def test_predict_writes_its_instances(one_stage_folder: ModelFolder, tmp_path: Path) -> None:
    model = str(one_stage_folder.path)
    command = ["predict", str(DEMO / "coffee.png"), "--model", model, "--out", str(tmp_path), "--engine", "eager"]
    done = CliRunner().invoke(app, [*command, "--score-threshold", str(LOW)])
    assert done.exit_code == 0, (done.output, done.exception)
    assert list(tmp_path.iterdir())


def test_a_batchs_worker_does_a_shard(one_stage_folder: ModelFolder, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="needs the extra batch")
    from pointrend.batch.plan import BatchConfig, Shard
    from pointrend.batch.worker import Worker

    (tmp_path / "in").mkdir()
    shutil.copy(DEMO / "coffee.png", tmp_path / "in")
    options = {"score_threshold": LOW}
    settings = BatchConfig(
        input=str(tmp_path / "in"),
        model=str(one_stage_folder.path),
        version="1",
        engine="eager",
        options=options,
        form="jsonl",
        shard_size=1,
    )
    (tmp_path / "out").mkdir()
    worker = Worker(settings, str(tmp_path / "out"), 1)
    assert worker.do(Shard(0, ("coffee.png",))) == (1, 0)
    (part,) = (tmp_path / "out").iterdir()
    assert json.loads(part.read_text())["instances"]


def test_all_three_heads_are_judged(one_stage_folder: ModelFolder, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    label(data, ["coffee"], one_stage_folder.path)
    command = ["eval", "--data", str(data), "--model", str(one_stage_folder.path), "--out", str(out)]
    done = CliRunner().invoke(app, [*command, "--bootstrap", "5", "--sheet", "1"])
    assert done.exit_code == 0, (done.output, done.exception)
    report = json.loads((out / "report.json").read_text())
    assert set(report["masks"]) == {"refined", "coarse", "conv"}
    # What it finds is the truth.
    assert report["boxes"]["everything"]["overall"]["ap"] == pytest.approx(100, abs=1)
    assert report["masks"]["refined"]["mask"]["everything"]["overall"]["ap"] == pytest.approx(100, abs=1)
