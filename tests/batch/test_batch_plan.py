"""Plans and shards without Ray: what a batch has, that it stays so, and what one worker writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pointrend.batch.plan import BatchConfig, BatchError, Plan, put
from pointrend.batch.run import batch_config
from pointrend.batch.worker import Worker
from pointrend.errors import InvalidOption
from pointrend.images.inputs import pixels
from pointrend.inference.loading import load
from pointrend.structures.prediction import Instance
from tests.demo_models import SMALL_RCNN

DEMO = Path(__file__).parents[1] / "demo"


def settings(source: Path | str, form: str = "jsonl", shard_size: int = 2) -> BatchConfig:
    return batch_config(
        str(source), model="demo", engine="eager", options={"score_threshold": 0.5}, form=form, shard_size=shard_size
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name in ("b.png", "below/a.png", "c.PNG"):
        shutil.copy(DEMO / "chelsea.png", folder / name)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8 no more")
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_shards_cover_each_photo_once_in_a_fixed_order(photos: Path, tmp_path: Path) -> None:
    plan = Plan.open(settings(photos), str(tmp_path / "out"))
    assert [shard.images for shard in plan.shards()] == [("b.png", "below/a.png"), ("c.PNG", "damaged.jpg")]
    assert plan.left() == list(plan.shards())
    put(plan.output, "part-00000.jsonl", b"")
    assert [shard.number for shard in plan.left()] == [1]


def test_what_comes_later_changes_no_plan(photos: Path, tmp_path: Path) -> None:
    first = Plan.open(settings(photos), str(tmp_path / "out"))
    shutil.copy(DEMO / "chelsea.png", photos / "a-new-one.png")
    assert Plan.open(settings(photos), str(tmp_path / "out")) == first


def test_another_batch_needs_another_folder(photos: Path, tmp_path: Path) -> None:
    Plan.open(settings(photos), str(tmp_path / "out"))
    with pytest.raises(BatchError, match="holds a batch with shard_size 2; 3 needs"):
        Plan.open(settings(photos, shard_size=3), str(tmp_path / "out"))
    (tmp_path / "out" / "images.jsonl").write_text('"b.png"\n')
    with pytest.raises(BatchError, match="does not match its plan"):
        Plan.open(settings(photos), str(tmp_path / "out"))


def test_what_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BatchError, match="holds no image"):
        Plan.open(settings(tmp_path / "empty"), str(tmp_path / "out"))
    with pytest.raises(BatchError, match="masks as RLE"):
        batch_config(
            str(photos), model="demo", engine="eager", options={"masks": "polygon"}, form="jsonl", shard_size=2
        )
    with pytest.raises(InvalidOption):
        batch_config(
            str(photos), model="demo", engine="eager", options={"score_threshold": 2}, form="jsonl", shard_size=2
        )


def test_the_plan_says_which_engine_auto_stood_for(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointrend.engines.has_int8_products", lambda: True)
    chosen = batch_config(str(photos), model=str(SMALL_RCNN), engine="auto", options={}, form="jsonl", shard_size=2)
    assert chosen.engine == "openvino-int8"
    Plan.open(chosen, str(tmp_path / "out"))
    with pytest.raises(BatchError, match="holds a batch with engine 'openvino-int8'; 'eager' needs a folder"):
        Plan.open(
            batch_config(str(photos), model=str(SMALL_RCNN), engine="eager", options={}, form="jsonl", shard_size=2),
            str(tmp_path / "out"),
        )


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_worker_writes_what_the_library_finds_and_lists_what_failed(photos: Path, tmp_path: Path, form: str) -> None:
    plan = Plan.open(settings(photos, form, shard_size=4), str(tmp_path / "out"))
    (shard,) = plan.shards()
    assert Worker(plan.settings, plan.output, threads=1).do(shard) == (3, 1)
    assert plan.left() == []
    part = tmp_path / "out" / f"part-00000.{form}"
    rows = (
        [json.loads(line) for line in part.read_text().splitlines()]
        if form == "jsonl"
        else pq.read_table(part).to_pylist()
    )
    assert [row["file_name"] for row in rows] == ["b.png", "below/a.png", "c.PNG"]
    expected = load("demo", threads=1)(pixels(DEMO / "chelsea.png"))
    for row in rows:
        assert (row["height"], row["width"]) == pixels(DEMO / "chelsea.png").shape[:2]
        found = [Instance.from_dict(tree) for tree in row["instances"]]
        assert [each.segmentation for each in found] == [each.segmentation for each in expected.instances]
        assert [each.grid for each in found] == [each.grid for each in expected.instances]
        assert [each.score for each in found] == pytest.approx([each.score for each in expected.instances], abs=1e-4)
    (failure,) = (tmp_path / "out" / "part-00000.failed.jsonl").read_text().splitlines()
    assert json.loads(failure)["file_name"] == "damaged.jpg"
    assert json.loads(failure)["code"] == "unsupported_image"
    assert not list((tmp_path / "out").glob(".*"))


def test_input_and_output_may_be_urls(photos: Path) -> None:
    memory = MemoryFileSystem()
    memory.put(str(photos), "/in", recursive=True)
    plan = Plan.open(settings("memory://in", shard_size=2), "memory://out")
    try:
        first, second = plan.left()
        assert Worker(plan.settings, plan.output, threads=1).do(first) == (2, 0)
        assert plan.left() == [second]
        assert memory.cat_file("/out/part-00000.jsonl").count(b"\n") == 2
    finally:
        memory.rm("/in", recursive=True)
        memory.rm("/out", recursive=True)
