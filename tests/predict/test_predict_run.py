"""Many photos to files, with the demo model: formats, failures, and runs that go on where they were cut."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from rich.progress import Progress
from typer.testing import CliRunner

import pointrend
from pointrend.cli.main import app
from pointrend.errors import InvalidOption
from pointrend.predict import SAVERS, Job, LocalSource, find_images, result_folders, run
from pointrend.predict.job import JobError
from pointrend.structures.options import Options

DEMO = Path(__file__).parent.parent / "demo"
RUN = CliRunner()
ALL = tuple(SAVERS)


class Counting(LocalSource):
    """The demo model, which remembers what it was asked."""

    def __init__(self, segmenter):
        super().__init__(segmenter)
        self.asked = []

    def predict(self, photos, options):
        for photo, answer in zip(photos, super().predict(photos, options), strict=True):
            self.asked.append(photo.file_name)
            yield answer


@pytest.fixture(scope="module")
def segmenter():
    return pointrend.load("demo")


@pytest.fixture
def source(segmenter):
    return Counting(segmenter)


@pytest.fixture
def photos(tmp_path):
    """Two people, a cat, and a file that is no photo."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    small = Image.open(DEMO / "astronaut.png").convert("RGB").resize((256, 256))
    small.save(folder / "astronaut.jpg")
    small.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "more" / "mirrored.png")
    shutil.copy(DEMO / "chelsea.png", folder / "more" / "chelsea.png")
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder


def job(photos, out, save=ALL, alpha="soft", **options):
    return Job(find_images([photos], outside=result_folders(out)), out, save, Options.parse(options), alpha)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()
    }


def test_every_format_is_written_and_the_bad_photo_passed_over(photos, tmp_path, source):
    out = tmp_path / "out"
    outcome = run(job(photos, out), source)

    assert (outcome.predicted, outcome.kept) == (3, 0)
    [failure] = outcome.failures
    assert failure.image.path == photos / "broken.jpg"
    assert "not an image" in failure.reason
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(out / "coco" / "instances.json"))
        results = coco.loadRes(str(out / "coco" / "results.json"))
    names = {image["file_name"]: image["id"] for image in coco.loadImgs(coco.getImgIds())}
    assert set(names) == {"astronaut.jpg", "more/mirrored.png", "more/chelsea.png"}
    person, *_ = coco.loadAnns(coco.getAnnIds(imgIds=names["astronaut.jpg"], catIds=coco.getCatIds(catNms=["person"])))
    same, *_ = [each for each in results.dataset["annotations"] if each["image_id"] == names["astronaut.jpg"]]
    mask = coco.annToMask(person)
    np.testing.assert_array_equal(mask, results.annToMask(same))
    labels = np.asarray(Image.open(out / "png" / "astronaut.png"))
    np.testing.assert_array_equal(labels == 1, mask)  # the best is on top
    np.testing.assert_array_equal(np.asarray(Image.open(out / "png" / "astronaut" / "person-1.png")), mask * 255)
    labelme = json.loads((out / "labelme" / "more" / "mirrored.json").read_text())
    assert (out / "labelme" / "more" / labelme["imagePath"]).resolve() == photos / "more" / "mirrored.png"
    assert (out / "yolo" / "labels" / "more" / "mirrored.txt").read_text().startswith("0 ")
    assert (out / "yolo" / "images" / "more" / "mirrored.png").read_bytes() == (
        photos / "more" / "mirrored.png"
    ).read_bytes()
    assert "0: " in (out / "yolo" / "data.yaml").read_text()
    assert Image.open(out / "overlay" / "astronaut.png").size == (256, 256)
    unsure = np.asarray(Image.open(out / "uncertainty" / "astronaut.png")).astype(int)
    assert unsure.shape == (256, 256, 3)
    assert 0 < (np.ptp(unsure, axis=2) > 64).mean() < 0.5  # the rest is grey, or nearly
    assert Image.open(out / "cutouts" / "astronaut" / "person-1.png").mode == "RGBA"
    assert not [name for name in files(out) if "partial" in name or "broken" in name]


def test_cutouts_of_other_edges_are_made_anew(photos, tmp_path, source):
    out = tmp_path / "out"
    person = out / "cutouts" / "astronaut" / "person-1.png"
    levels = {}
    for alpha in ("soft", "hard", "hard"):
        run(job(photos, out, ("cutouts",), alpha), source)
        levels[alpha] = np.asarray(Image.open(person))[..., 3]
    assert len(source.asked) == 9  # three photos and the broken one, twice; the third time only the latter
    assert set(np.unique(levels["hard"])) == {0, 255}
    assert (levels["hard"] == 255).sum() == (levels["soft"] >= 128).sum()
    assert ((levels["soft"] > 0) & (levels["soft"] < 255)).any()


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_an_image_that_changes_while_it_is_predicted_fails_alone(photos, tmp_path, segmenter, change):
    class Changing(LocalSource):
        """Changes the first image's file once it is predicted."""

        def predict(self, photos, options):
            for photo, answer in zip(photos, super().predict(photos, options), strict=True):
                if photo.file_name == "astronaut.jpg":
                    photo.path.unlink()
                    if change == "replaced":
                        Image.new("RGB", (20, 10)).save(photo.path)
                yield answer

    (photos / "broken.jpg").unlink()
    outcome = run(job(photos, tmp_path / "out", ("overlay",)), Changing(segmenter))

    assert outcome.predicted == 2
    [failure] = outcome.failures
    assert failure.image.file_name == "astronaut.jpg"
    assert ("is now 20x10" if change == "replaced" else "cannot be read") in failure.reason


def test_what_is_done_is_not_done_again(photos, tmp_path, source):
    out = tmp_path / "out"
    run(job(photos, out, ("coco", "labelme"), categories="person,cat"), source)
    before = files(out)
    source.asked.clear()

    outcome = run(job(photos, out, ("coco", "labelme"), categories="person,cat"), source)

    assert source.asked == ["broken.jpg"]  # it may have been repaired
    assert (outcome.predicted, outcome.kept, len(outcome.failures)) == (0, 3, 1)
    after = files(out)
    assert {name for name in after if after[name] != before[name]} == {
        "coco/instances.json",
        "coco/results.json",
        "predictions/report.jsonl",
    }

    source.asked.clear()
    run(job(photos, out, ("overlay", "coco"), categories="person,cat"), source)
    assert source.asked == ["broken.jpg"]  # another format needs no prediction
    assert (out / "overlay" / "more" / "chelsea.png").is_file()


def test_what_has_changed_is_done_again(photos, tmp_path, source):
    out = tmp_path / "out"
    (photos / "broken.jpg").unlink()
    run(job(photos, out, ("overlay",)), source)
    source.asked.clear()
    Image.new("RGB", (90, 60)).save(photos / "astronaut.jpg")
    run(job(photos, out, ("overlay",)), source)
    assert source.asked == ["astronaut.jpg"]
    assert Image.open(out / "overlay" / "astronaut.png").size == (90, 60)

    source.asked.clear()
    run(job(photos, out, ("labelme",), score_threshold=0.95), source)
    assert len(source.asked) == 3
    run(job(photos, out, ("labelme", "overlay"), score_threshold=0.95), source)
    assert len(source.asked) == 3
    record = json.loads((out / "predictions" / "more" / "mirrored.json").read_text())
    assert record["saved"] == ["labelme", "overlay"]  # the overlay of the former threshold was not taken for it

    (out / "predictions" / "astronaut.json").write_text('{"made')
    source.asked.clear()
    run(job(photos, out, ("labelme",), score_threshold=0.95), source)
    assert source.asked == ["astronaut.jpg"]


def test_another_engine_is_asked_anew(photos, tmp_path, source, monkeypatch):
    run(job(photos, tmp_path / "out", ("coco",)), source)
    monkeypatch.setattr(source, "model", {**source.model, "engine": "bf16"})
    assert run(job(photos, tmp_path / "out", ("coco",)), source).predicted == 3


def test_a_run_that_is_killed_goes_on(photos, tmp_path):
    out = tmp_path / "out"
    for number in range(12):
        shutil.copy(photos / "astronaut.jpg", photos / f"copy{number:02}.jpg")
    (photos / "broken.jpg").unlink()
    command = [sys.executable, "-c", "from pointrend.cli.main import main; main()", "predict", str(photos)]
    command += ["--out", str(out), "--threads", "1", "--save", "coco,cutouts"]
    with subprocess.Popen(command, start_new_session=True) as process:
        while len(list(out.glob("predictions/*.json"))) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    kept = set(out.glob("predictions/*.json"))
    assert not (out / "coco").exists()

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert f"{15 - len(kept)} done, {len(kept)} done before, 0 failed" in done.stdout
    dataset = json.loads((out / "coco" / "instances.json").read_text())
    assert len(dataset["images"]) == 15
    assert len(list(out.glob("cutouts/*"))) == 14  # one of them is the folder more, with two


@pytest.mark.parametrize(("task", "save"), [("detection", "coco,labelme,yolo,overlay"), ("semantic", "png,overlay")])
def test_other_tasks(photos, tmp_path, task, save):
    out = tmp_path / "out"
    result = RUN.invoke(
        app, ["predict", str(photos / "astronaut.jpg"), "--out", str(out), "--task", task, "--save", save]
    )
    assert result.exit_code == 0, result.output
    assert "1 done, 0 done before, 0 failed" in result.output
    assert {path.name for path in out.iterdir()} == {*save.split(","), "predictions"}
    if task == "semantic":
        assert Image.open(out / "png" / "astronaut.png").mode == "P"
    else:
        found, *_ = json.loads((out / "coco" / "results.json").read_text())
        assert "bbox" in found
        assert "segmentation" not in found


def test_the_command_line_reports_failures_and_says_so_in_its_status(photos, tmp_path):
    out = tmp_path / "out"
    result = RUN.invoke(
        app,
        ["predict", str(photos / "*.jpg"), "--out", str(out), "--save", "labelme", "--categories", "cat"],
    )
    assert result.exit_code == 1
    assert "1 done, 0 done before, 1 failed" in result.output
    assert "broken.jpg: This looks like text, not an image" in result.output
    assert json.loads((out / "labelme" / "astronaut.json").read_text())["shapes"] == []


def test_an_image_of_too_many_tiles_fails_alone(photos, tmp_path):
    Image.new("L", (30_000, 1000)).save(photos / "wide.png")
    (photos / "broken.jpg").unlink()
    shutil.rmtree(photos / "more")
    out = tmp_path / "out"
    arguments = ["predict", str(photos), "--out", str(out), "--save", "labelme", "--tiles", "256"]
    result = RUN.invoke(app, arguments)
    assert result.exit_code == 1
    assert "1 done, 0 done before, 1 failed" in result.output
    assert "wide.png: tiles=256 cuts this image of 30000x1000 pixels into 735 tiles; at most 400 are" in result.output
    shapes = json.loads((out / "labelme" / "astronaut.json").read_text())["shapes"]
    assert "person" in {shape["label"] for shape in shapes}
    again = RUN.invoke(app, [*arguments[:-1], "10"])
    assert "tiles must be a whole number from 256 to 4096, not 10." in str(again.exception)


def test_a_large_object_is_looked_at_again(tmp_path):
    with Image.open(DEMO / "chelsea.png") as photo:
        photo.convert("RGB").resize((1202, 800)).save(tmp_path / "large.png")
    arguments = ["predict", str(tmp_path / "large.png"), "--categories", "cat", "--out"]
    cats = []
    for more in ([], ["--zoom"]):
        out = tmp_path / f"out{len(more)}"
        assert RUN.invoke(app, [*arguments, str(out), *more]).exit_code == 0
        cats.append(json.loads((out / "coco" / "instances.json").read_text())["annotations"][0])
    plain, close = cats
    assert plain["bbox"] == close["bbox"]
    assert plain["segmentation"] != close["segmentation"]


def test_progress_is_shown_by_tile(photos, tmp_path, source, monkeypatch):
    shown = []

    class Shown(Progress):
        def update(self, task_id, **values):
            super().update(task_id, **values)
            shown.append((values.get("completed"), values.get("total"), self.tasks[task_id].description))

    module = import_module("pointrend.predict.run")  # the package has a function of that name
    monkeypatch.setattr(module, "bar", lambda *, shown: Shown(disable=not shown))
    found = find_images([photos / "more" / "chelsea.png"])  # 451 x 300
    run(Job(found, tmp_path / "out", ("coco",), Options(tiles=256)), source, progress=False)
    assert shown == [(done, 5, "Tiles") for done in range(1, 6)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"save": ("coco", "pdf")}, JobError, "no format 'pdf' to save. Known: coco, labelme"),
        ({"save": ()}, JobError, "names no format"),
        ({"save": ("cutouts",), "task": "semantic"}, JobError, "cutouts cannot hold the task semantic; png, overlay"),
        ({"save": ("coco",), "alpha": "hard"}, JobError, "--alpha hard is for --save cutouts"),
        ({"save": ("cutouts",), "alpha": "matte"}, JobError, "--alpha must be soft or hard, not 'matte'"),
        (
            {"save": ("coco", "uncertainty"), "tiles": 512},
            JobError,
            "uncertainty needs the masks' probabilities.*leave out uncertainty or tiles=512",
        ),
        ({"categories": "unicorn"}, InvalidOption, "knows no category 'unicorn'"),
    ],
)
def test_a_job_that_cannot_be_done_ends_at_once(photos, tmp_path, source, options, error, message):
    with pytest.raises(error, match=message):
        run(job(photos, tmp_path / "out", **options), source)
    assert not (tmp_path / "out").exists()


@pytest.mark.server
@pytest.mark.parametrize("transport", ["url", "rpc_url"])
def test_a_server_gives_the_same_files(served, photos, tmp_path, transport):
    here, there = tmp_path / "here", tmp_path / "there"
    arguments = ["predict", str(photos), "--save", ",".join(ALL)]
    # In a process of its own, with as many threads as the server's: another number sums in another order.
    command = [sys.executable, "-m", "pointrend", *arguments, "--out", str(here), "--engine", "eager"]
    subprocess.run(command, check=False, timeout=300)
    result = RUN.invoke(app, [*arguments, "--out", str(there), "--server", getattr(served, transport)])
    assert result.exit_code == 1
    assert "3 done, 0 done before, 1 failed" in result.output
    assert set(files(here)) == set(files(there))
    for name in files(here):
        if not name.startswith("predictions/"):  # they hold times
            assert (here / name).read_bytes() == (there / name).read_bytes(), name


def test_a_server_that_is_not_there_ends_the_run(photos, tmp_path):
    result = RUN.invoke(app, ["predict", str(photos), "--out", str(tmp_path), "--server", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "No server answers at http://127.0.0.1:9" in str(result.exception)
    result = RUN.invoke(app, ["predict", str(photos), "--out", str(tmp_path), "--server", "example.org"])
    assert "must begin with http://" in str(result.exception)
