"""A batch loses no image: whatever its name, whatever lies beside it, and wherever a run was cut off."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pointrend.batch.plan import BatchConfig, BatchError, Plan, put
from pointrend.batch.run import _outcome
from pointrend.batch.worker import Worker
from pointrend.errors import OutputError

DEMO = Path(__file__).parents[1] / "demo"
ODD = ("a\u2028b.png", "a\u2029b.png", "a\rb.png", "a\x85b.png", "a\nb.png", "a\x1cb.png", "caf\udce9.png", " a.png ")
IMAGES = tuple(sorted((*ODD[:-1], "n" * 251 + ".png", "sub/'\"\\.JFIF")))


def config(source: Path | str, form: str = "jsonl", shard_size: int = 100) -> BatchConfig:
    return BatchConfig(
        input=str(source), model="demo", version="1", engine="eager", options={}, form=form, shard_size=shard_size
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*IMAGES, ODD[-1]):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no image")
    shutil.copy(DEMO / "chelsea.png", tmp_path / "in" / IMAGES[0])
    return tmp_path / "in"


def test_a_plan_of_any_names_is_the_same_when_it_is_read(folder: Path, tmp_path: Path) -> None:
    plan = Plan.open(config(folder), str(tmp_path / "out"))
    assert plan.images == IMAGES
    assert Plan.open(config(folder), str(tmp_path / "out")) == plan
    assert [(Path(each.path).name, each.missed) for each in plan.not_read] == [(" a.png ", False)]


def test_a_plan_of_the_former_format_is_continued(folder: Path, tmp_path: Path) -> None:
    names = sorted({"a\u2028b.png", "a\rb.png", "a\x85b.png", "a\x1cb.png"})
    text = "".join(f"{name}\n" for name in names)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photos.txt").write_bytes(text.encode())
    digest = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "out" / "plan.json").write_text(json.dumps({**asdict(config(folder)), "sha256": digest}))
    plan = Plan.open(config(folder), str(tmp_path / "out"))
    assert plan.images == tuple(names)
    assert len([each for each in plan.not_read if "added after" in each.reason]) == len(IMAGES) - len(names)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_every_image_is_in_the_part_or_among_the_failures(folder: Path, tmp_path: Path, form: str) -> None:
    (folder / "caf\udce9.png").write_bytes((DEMO / "chelsea.png").read_bytes())
    out = tmp_path / "out"
    plan = Plan.open(config(folder, form), str(out))
    (shard,) = plan.shards()
    worker = Worker(plan.settings, plan.output, threads=1)
    assert worker.do(shard) == (2, len(IMAGES) - 2)
    failed = [json.loads(line)["file_name"] for line in (out / shard.failures).read_text().splitlines()]
    if form == "jsonl":
        done = [json.loads(line)["file_name"] for line in (out / shard.part(form)).read_text().splitlines()]
    else:
        done = [row["file_name"] for row in pq.read_table(out / shard.part(form)).to_pylist()]
        assert "caf\\xe9.png" in done
        done[done.index("caf\\xe9.png")] = "caf\udce9.png"
    assert sorted([*done, *failed]) == list(IMAGES)

    summary = _outcome(plan, [shard], {0: ""}, 1.0).summary()
    assert f"{len(IMAGES)} found: 2 done, 0 done before, {len(IMAGES) - 2} failed; 1 not read" in summary.headline()
    again = _outcome(Plan.open(plan.settings, plan.output), [], {}, 1.0).summary()
    assert f"{len(IMAGES)} found: 0 done, 2 done before, {len(IMAGES) - 2} failed; 1 not read" in again.headline()
    assert len((out / "report.jsonl").read_text().splitlines()) == len(IMAGES) - 2 + 1


def test_failures_of_an_attempt_that_was_cut_off_do_not_count(folder: Path, tmp_path: Path) -> None:
    for name in IMAGES:
        shutil.copy(DEMO / "chelsea.png", folder / name)
    plan = Plan.open(config(folder, shard_size=2), str(tmp_path / "out"))
    shard = next(plan.shards())
    put(plan.output, shard.failures, b'{"file_name": "x", "message": "cut off"}\n')
    assert Worker(plan.settings, plan.output, threads=1).do(shard) == (2, 0)
    assert not (tmp_path / "out" / shard.failures).exists()


def test_a_part_that_cannot_be_written_is_told_and_left(folder: Path, tmp_path: Path) -> None:
    plan = Plan.open(config(folder, shard_size=2), str(tmp_path / "out"))
    first, second, *_ = plan.shards()
    (tmp_path / "out" / first.failures / "in the way").mkdir(parents=True)
    worker = Worker(plan.settings, plan.output, threads=1)

    def row(number: int, images: tuple[str, ...]) -> dict[str, list[object]]:
        return worker({"number": [number], "images": [json.dumps(images)]})

    answer = row(0, first.images)
    assert answer["failed"] == [2]
    assert "Part 0 cannot be written" in str(answer["error"][0])
    assert row(1, second.images)["error"] == [""]
    assert not list((tmp_path / "out").glob(".*"))
    outcome = _outcome(plan, [first, second], {0: str(answer["error"][0]), 1: ""}, 1.0)
    assert outcome.left == 1
    assert {each.path for each in outcome.failures} >= set(first.images)
    (tmp_path / "out" / first.failures / "in the way").rmdir()
    (tmp_path / "out" / first.failures).rmdir()
    assert plan.left()[0] == first


def test_what_is_beside_the_images_is_named(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    (folder / "up").symlink_to(".")
    (folder / "gone.png").symlink_to("nothing")
    (folder / "linked").symlink_to("sub")
    out = folder / "out"
    plan = Plan.open(config(folder), str(out))
    assert [image for image in plan.images if image.startswith("linked")] == ["linked/'\"\\.JFIF"]
    plan = Plan.open(config(folder), str(out))
    assert {Path(each.path).name for each in plan.not_read} == {"pipe.jpg", "up", "gone.png", " a.png ", "out"}
    assert {Path(each.path).name for each in plan.not_read if each.missed} == {"pipe.jpg", "gone.png"}


def test_an_output_in_the_input_itself(folder: Path) -> None:
    plan = Plan.open(config(folder), str(folder))
    put(plan.output, "part-00000.jsonl", b"")
    again = Plan.open(config(folder), str(folder))
    assert again == plan
    assert [Path(each.path).name for each in again.not_read] == [" a.png "]


def test_what_comes_later_is_named(folder: Path, tmp_path: Path) -> None:
    Plan.open(config(folder), str(tmp_path / "out"))
    (folder / "new.png").write_bytes(b"no image")
    (new,) = [each for each in Plan.open(config(folder), str(tmp_path / "out")).not_read if each.missed]
    assert new.path == f"{folder}/new.png"
    assert "added after the batch started" in new.reason


def test_inputs_and_outputs_that_cannot_be_used_are_a_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(OutputError, match=r"OUTPUT: .*file/out cannot be written: Not a directory"):
        Plan.open(config(folder), str(tmp_path / "file" / "out"))
    for source, why in (("nothing", "No such file"), ("file", "Not a directory")):
        with pytest.raises(BatchError, match=f"holds no image. Not read: .*{source} .*{why}"):
            Plan.open(config(tmp_path / source), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_urls_hold_images_of_every_suffix_too(folder: Path) -> None:
    memory = MemoryFileSystem()
    for name in ("a\u2028.jfif", "b.PGM", "notes.txt", "out/old.png"):
        memory.pipe_file(f"/in/{name}", b"no image")
    try:
        plan = Plan.open(config("memory://in"), "memory://in/out")
        assert plan.images == ("a\u2028.jfif", "b.PGM")
        assert [each.path for each in plan.not_read] == ["memory://in/notes.txt"]
        assert Plan.open(config("memory://in"), "memory://in/out") == plan
    finally:
        memory.rm("/in", recursive=True)
