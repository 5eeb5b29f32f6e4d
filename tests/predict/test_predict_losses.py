"""No result is lost, and no image skipped, whatever images are called and whatever happens to one of them."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import pointrend
from pointrend.cli.main import app
from pointrend.errors import OutputError, RequestError, ServerError
from pointrend.predict import SAVERS, Job, LocalSource, find_images, result_folders, run
from pointrend.predict.images import ImageFile
from pointrend.predict.run import RunStopped
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction

DEMO = Path(__file__).parent.parent / "demo"
ALL = tuple(SAVERS)


@pytest.fixture(scope="module")
def source() -> LocalSource:
    return LocalSource(pointrend.load("demo"))


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cat") / "cat.png"
    Image.open(DEMO / "chelsea.png").convert("RGB").resize((226, 150)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def fill(folder: Path, cat: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(cat, folder / name)


def job(folder: Path, save: tuple[str, ...] = ALL) -> Job:
    out = folder.parent / "out"
    return Job(find_images([folder], outside=result_folders(out)), out, save, Options())


def predict(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def check_all_there(out: Path, count: int) -> None:
    """Every format has a result of every image, each in files of its own."""
    assert len(list((out / "labelme").rglob("*.json"))) == count
    assert len(list((out / "overlay").rglob("*.png"))) == count
    assert len(list((out / "yolo" / "images").rglob("*.*"))) == count
    assert len(list((out / "yolo" / "labels").rglob("*.txt"))) == count
    for kind in ("cutouts", "png"):
        assert len(list((out / kind).rglob("cat-1.png"))) == count, kind
    maps = [path for path in (out / "png").rglob("*.png") if Image.open(path).mode.startswith("I")]
    assert len(maps) == count
    dataset = json.loads((out / "coco" / "instances.json").read_text())
    assert len({image["file_name"] for image in dataset["images"]}) == count
    assert len({each["image_id"] for each in dataset["annotations"]}) == count
    assert not list(out.rglob("*.partial"))


@pytest.mark.parametrize(
    "names",
    [
        ("cat.png", "cat/1.png", "cat/2.png", "cat/cat-2.png"),
        ("a.jpg", "a.png", "a_png.jpg", "A.JPG"),
        ("n" * 245 + ".png", "n" * 251 + ".png", "n" * 251 + ".jpg", "é" * 125 + ".png"),
        ("a.png.jpg", "a.jpg", "a.json.png", "b..png", "b.png", "c .png"),
        ("a\u2028b.png", "a\rb.png", "a\x85b.png", "a\nb.png", "caf\udce9.png", "caf\\xe9.png"),
    ],
)
def test_every_image_has_its_results_and_keeps_them(
    folder: Path, cat: Path, source: LocalSource, names: tuple[str, ...]
) -> None:
    fill(folder, cat, *names)
    out = folder.parent / "out"
    outcome = run(job(folder), source)
    assert (outcome.predicted, outcome.kept, outcome.failures) == (len(names), 0, ())
    check_all_there(out, len(names))
    before = {path: path.stat().st_mtime_ns for path in (out / "png").rglob("*")}
    again = run(job(folder), source)
    assert (again.predicted, again.kept, again.failures) == (0, len(names), ())
    assert before == {path: path.stat().st_mtime_ns for path in (out / "png").rglob("*")}
    check_all_there(out, len(names))


def test_a_later_run_takes_nothing_from_an_earlier_one(folder: Path, cat: Path, source: LocalSource) -> None:
    out = folder.parent / "out"
    fill(folder, cat, "cat.png")
    run(job(folder), source)
    fill(folder, cat, "cat/1.png", "cat/cat-1.png", "cat.jpg")
    outcome = run(job(folder), source)
    assert (outcome.predicted, outcome.kept) == (3, 1)
    check_all_there(out, 4)
    fill(folder.parent / "other", cat, "cat.png")
    found = find_images([folder.parent / "other", folder])
    assert run(Job(found, out, ALL, Options()), source).predicted == 1
    check_all_there(out, 5)


def test_a_users_own_files_stay(folder: Path, cat: Path, source: LocalSource) -> None:
    out = folder.parent / "out"
    fill(folder, cat, "cat.png")
    fill(out, cat, "cutouts/cat/mine.png", "overlay/cat_png.png")
    assert run(job(folder), source).predicted == 1
    assert (out / "cutouts" / "cat" / "mine.png").read_bytes() == cat.read_bytes()
    assert (out / "overlay" / "cat_png.png").read_bytes() == cat.read_bytes()
    assert len(list((out / "cutouts").glob("cat-*/cat-1.png"))) == 1


def test_an_output_folder_of_the_former_format_is_continued(folder: Path, cat: Path, source: LocalSource) -> None:
    fill(folder, cat, "cat.png", "sub/a.jpg", "sub/a.png")
    run(job(folder), source)
    (folder.parent / "out" / "predictions" / "names.jsonl").unlink()
    outcome = run(job(folder), source)
    assert (outcome.predicted, outcome.kept) == (0, 3)


def test_an_image_whose_results_cannot_be_written_fails_alone(folder: Path, cat: Path, source: LocalSource) -> None:
    out = folder.parent / "out"
    fill(folder, cat, "a.png", "b.png", "c.png")
    run(job(folder, ("coco", "overlay")), source)
    (out / "overlay" / "b.png").unlink()
    (out / "overlay" / "b.png" / "in the way").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        os.utime(folder / name, (1, 1))
    outcome = run(job(folder, ("coco", "overlay")), source)
    assert outcome.predicted == 2
    [failure] = outcome.failures
    assert failure.image.file_name == "b.png"
    assert "Is a directory" in failure.reason
    (out / "overlay" / "b.png" / "in the way").rmdir()
    (out / "overlay" / "b.png").rmdir()
    again = run(job(folder, ("coco", "overlay")), source)
    assert (again.predicted, again.kept) == (1, 2)
    assert (out / "overlay" / "b.png").is_file()


def test_a_file_that_is_too_large_for_its_disk_fails_its_image(folder: Path, cat: Path) -> None:
    """A limit of the process stands for a disk that takes no more of it; its results are whole or not there."""
    fill(folder, cat, "a.png", "c.png")
    Image.open(DEMO / "chelsea.png").resize((902, 600)).save(folder / "b.png")
    out = folder.parent / "out"
    command = [sys.executable, "-m", "pointrend", "predict", str(folder), "--out", str(out), "--save", "overlay"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = subprocess.run(
        [*command, "--engine", "eager"], preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "3 found: 2 done, 0 done before, 1 failed; 0 not read" in done.stdout
    assert "b.png: The results cannot be written: [Errno 27] File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (out / "overlay").iterdir()) == ["a.png", "c.png"]


class Failing(LocalSource):
    """The demo model behind a connection that is lost after the first image, or an error that nobody foresaw."""

    def __init__(self, segmenter: Any, error: Exception) -> None:
        super().__init__(segmenter)
        self._error = error

    def predict(self, images: Any, options: Options) -> Iterator[Prediction | RequestError]:
        for number, image in enumerate(images):
            if number == 1 and isinstance(self._error, RequestError):
                yield self._error
            else:
                yield from super().predict([image], options)


def test_a_server_that_goes_away_ends_the_run_with_a_summary(folder: Path, cat: Path) -> None:
    fill(folder, cat, "a.png", "b.png", "c.png")
    error = ServerError("The server is gone.", code="server_down", status=503)
    outcome = run(job(folder, ("coco",)), Failing(pointrend.load("demo"), error))
    assert outcome.stopped == "The server is gone."
    assert [(each.image.file_name, each.reason) for each in outcome.failures] == [
        ("b.png", "The server is gone."),
        ("c.png", "Not tried: The server is gone."),
    ]
    assert "3 found: 1 done, 0 done before, 2 failed" in outcome.summary().headline()


def test_an_error_that_nobody_foresaw_fails_its_image_alone(
    folder: Path, cat: Path, source: LocalSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, cat, "a.png", "b.png")
    segment = source._segmenter

    class Odd:
        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, pixels: Any, options: Options, **_: Any) -> Prediction:
            self.calls += 1
            if self.calls == 1:
                raise ZeroDivisionError("odd")
            return segment(pixels, options)

    monkeypatch.setattr(source, "_segmenter", Odd())
    outcome = run(job(folder, ("coco",)), source)
    assert [(each.image.file_name, each.reason) for each in outcome.failures] == [
        ("a.png", "An internal error: ZeroDivisionError('odd').")
    ]
    assert outcome.predicted == 1


def test_the_end_of_a_mixed_folder(folder: Path, cat: Path) -> None:
    fill(folder, cat, "cat.png", "cat/1.jfif", "b\udce9\n.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "up").symlink_to(".")
    (folder / "gone.jpg").symlink_to("nothing")
    for number in range(12):
        (folder / f"label{number:02}.txt").write_text("no image")
    out = folder / "out"
    result = predict(folder, "--out", out, "--save", "labelme", "--engine", "eager")
    assert result.exit_code == 1
    assert result.stdout == f"4 found: 3 done, 0 done before, 1 failed; 14 not read. Results: {out}\n"
    lines = result.stderr.splitlines()
    assert lines[0] == "Failed:"
    assert lines[1].startswith(f"  {folder}/broken.jpg: This looks like text")
    assert lines[2:4] == [
        "Not read:",
        f"  {folder}/gone.jpg: a link to nothing, which cannot be read: No such file or directory",
    ]
    report = out / "predictions" / "report.jsonl"
    assert lines[-1] == f"  ... and 4 more, in {report}"
    assert len(lines) == 2 + 1 + 10 + 1
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert [row["status"] for row in rows] == ["failed"] + ["not read"] * 14
    (folder / "broken.jpg").unlink()
    (folder / "gone.jpg").unlink()
    again = predict(folder, "--out", out, "--save", "labelme", "--engine", "eager")
    assert again.exit_code == 0
    assert "3 found: 0 done, 3 done before, 0 failed; 15 not read" in again.stdout  # two folders of results among them
    assert "holds this command's results" in report.read_text()


def test_names_that_the_terminal_cannot_show(folder: Path) -> None:
    (folder / "b\udce9\u65e5.jpg").write_bytes(b"no image")
    out = folder.parent / "\u65e5"
    done = subprocess.run(
        [sys.executable, "-m", "pointrend", "predict", folder, "--out", out, "--engine", "eager"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1:strict"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"1 found: 0 done, 0 done before, 1 failed; 0 not read. Results: " in done.stdout
    assert b"\\u65e5" in done.stdout
    assert b"b\\xe9\\u65e5.jpg: This looks like text" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing/below"])
def test_an_output_that_cannot_be_written_is_a_sentence(folder: Path, cat: Path, place: str) -> None:
    fill(folder, cat, "a.png")
    (folder.parent / "file").write_text("a file")
    result = predict(folder, "--out", folder.parent / place)
    assert isinstance(result.exception, OutputError)
    assert str(result.exception).startswith("--out: ")
    assert (folder.parent / "file").read_text() == "a file"


def test_a_format_whose_shared_files_cannot_be_written(folder: Path, cat: Path) -> None:
    fill(folder, cat, "a.png")
    out = folder.parent / "out"
    (out / "coco" / "results.json" / "in the way").mkdir(parents=True)
    result = predict(folder, "--out", out, "--engine", "eager")
    assert isinstance(result.exception, RunStopped)
    assert "The files of coco that hold all images cannot be written" in str(result.exception)
    assert "1 found: 1 done, 0 done before, 0 failed" in result.stdout


def test_images_with_one_path_are_one(folder: Path, cat: Path, source: LocalSource) -> None:
    fill(folder, cat, "a.png")
    (folder / "b.png").symlink_to("a.png")
    (folder / "c.png").hardlink_to(folder / "a.png")
    found = find_images([folder, folder / "a.png", f"{folder}/./a.png", f"{folder}/../in/a.png"])
    outcome = run(Job(found, folder.parent / "out", ALL, Options()), source)
    assert (outcome.predicted, outcome.failures) == (3, ())
    check_all_there(folder.parent / "out", 3)
    assert all(isinstance(each, ImageFile) for each in found.images)
