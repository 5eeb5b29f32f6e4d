"""``pointrend correct``: results of a run, corrected by hand, in every format, undone, and kept by the next run."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pointrend.cli.correction_words import read_corrections
from pointrend.cli.main import app
from pointrend.errors import InvalidOption, OutputError
from pointrend.masks.rle import encode_crop
from pointrend.predict import Job, find_images, result_folders, run
from pointrend.predict import correct as correcting
from pointrend.predict.box_results import BoxResults
from pointrend.predict.correct import CorrectError, StoredResult, correct_result
from pointrend.structures.corrections import Delete
from pointrend.structures.labels import instance_labels
from pointrend.structures.model_info import Category
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance, Prediction
from pointrend.system.run_lock import locked

SIZE = 60, 90
RUN = CliRunner()
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]
ALL = ("coco", "labelme", "yolo", "png", "overlay", "cutouts")


def instance(category_id, category, score, *boxes):
    mask = np.zeros(SIZE, dtype=bool)
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = True
    return Instance(category_id, category, score, (0.0, 0.0, 9.0, 9.0), int(mask.sum()), encode_crop(mask, 0, 0, *SIZE))


OBJECTS = (
    instance(1, "person", 0.9, (2, 2, 20, 30), (40, 2, 10, 30)),  # two people, taken for one
    instance(18, "dog", 0.8, (60, 5, 20, 20)),
    instance(18, "dog", 0.6, (60, 30, 20, 20)),
)


class Knowing:
    """A source that finds the same in every image, and remembers what it was asked."""

    def __init__(self, **model):
        self.model = {"name": "m", "version": "1", "engine": "eager"} | model
        self.categories = CATEGORIES
        self.on_tile = None
        self.asked = []

    def predict(self, images, options):
        for image in images:
            self.asked.append(image.file_name)
            count = 1 if image.given is None else len(image.given.prompts)
            objects = OBJECTS if image.given is None else (OBJECTS[1],) * count
            task = options.task
            if task == "detection":
                objects = tuple(replace(each, segmentation=None, area=None) for each in objects)
            yield Prediction(SIZE[1], SIZE[0], () if task == "semantic" else objects, self.model, task=task)


@pytest.fixture
def photos(tmp_path):
    for name in ("a.png", "more/a.png", "b.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise(SIZE[::-1], 50).convert("RGB").save(tmp_path / "in" / name)
    return tmp_path / "in"


def predicted(photos, source=None, save=ALL, **options):
    out = photos.parent / "out"
    job = Job(find_images([photos], outside=result_folders(out)), out, save, Options.parse(options))
    return out, run(job, source or Knowing(), progress=False)


@pytest.fixture
def out(photos):
    return predicted(photos)[0]


def call(*words):
    done = RUN.invoke(app, ["correct", *map(str, words)], env={"COLUMNS": "120"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def contents(out, *names):
    """The files of some formats, by name."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for name in names or ALL
        for path in sorted((out / name).rglob("*"))
        if path.is_file()
    }


def annotated(out, file_name):
    tree = json.loads((out / "coco" / "instances.json").read_text())
    [number] = [image["id"] for image in tree["images"] if image["file_name"] == file_name]
    return [each for each in tree["annotations"] if each["image_id"] == number]


def test_without_corrections_the_objects_are_listed(out):
    before = contents(out)
    lines = call(out, "b").splitlines()
    assert lines[0] == "b: 3 objects, not corrected"
    assert [line.split() for line in lines[2:]] == [
        ["person", "1", "0.90", "0,", "0,", "9,", "9", "900", "2"],
        ["dog", "1", "0.80", "0,", "0,", "9,", "9", "400", "1"],
        ["dog", "2", "0.60", "0,", "0,", "9,", "9", "400", "1"],
    ]
    assert contents(out) == before


def test_corrections_are_in_every_format_of_the_image_and_in_no_other(out):
    before = contents(out)
    shown = call(out, "b.png", "--split", "person 1", "--rename", "dog 2=cat", "--delete", "Dog  1")
    assert shown.startswith("b: 3 objects, corrected once\n")
    after = contents(out)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {
        *("coco/instances.json", "coco/results.json", "labelme/b.json", "yolo/labels/b.txt", "png/b.png"),
        *("png/b/cat-1.png", "png/b/person-2.png", "png/b/dog-1.png", "png/b/dog-2.png", "png/b/person-1.png"),
        *("overlay/b.png", "cutouts/b/cat-1.png", "cutouts/b/person-2.png", "cutouts/b/dog-1.png"),
        *("cutouts/b/dog-2.png", "cutouts/b/person-1.png"),
    }
    assert {name for name in after if name.startswith("cutouts/b/")} == {
        f"cutouts/b/{name}.png" for name in ("person-1", "person-2", "cat-1")
    }
    assert sorted((each["category_id"], each["area"]) for each in annotated(out, "b.png")) == [
        (1, 300),
        (1, 600),
        (17, 400),
    ]
    assert len(annotated(out, "more/a.png")) == 3
    assert [line.split()[0] for line in (out / "yolo" / "labels" / "b.txt").read_text().splitlines()] == ["0", "0", "1"]
    labels = [each["label"] for each in json.loads((out / "labelme" / "b.json").read_text())["shapes"]]
    assert sorted(labels) == ["cat", "person", "person"]


def test_undo_goes_back_call_by_call_to_the_very_same_files(out):
    before = contents(out)
    call(out, "b", "--merge", "dog 1+dog 2")
    merged = contents(out)
    assert merged != before
    call(out, "b", "--delete", "dog 1", "--split", "person 1")
    assert call(out, "b", "--undo").startswith("b: 2 objects, corrected once")
    assert contents(out) == merged
    assert call(out, "b", "--undo").startswith("b: 3 objects, not corrected")
    assert contents(out) == before
    with pytest.raises(CorrectError, match="--undo: b has no corrections to undo"):
        call(out, "b", "--undo")


def test_a_later_run_keeps_the_corrections_and_has_them_in_new_formats(photos):
    out, _ = predicted(photos, save=("coco", "labelme"))
    call(out, "b", "--delete", "person 1")
    corrected = contents(out, "coco", "labelme")
    source = Knowing()
    _, outcome = predicted(photos, source, save=("coco", "labelme", "yolo"))
    assert (source.asked, outcome.kept, outcome.uncorrected) == ([], 3, ())
    assert contents(out, "coco", "labelme") == corrected
    assert len((out / "yolo" / "labels" / "b.txt").read_text().splitlines()) == 2


def test_a_run_with_other_options_or_another_model_predicts_anew_and_says_so(photos):
    out, _ = predicted(photos, save=("coco",))
    call(out, "b", "--delete", "person 1")
    _, outcome = predicted(photos, save=("coco",), score_threshold=0.3)
    assert [image.file_name for image in outcome.uncorrected] == ["b.png"]
    assert call(out, "b").startswith("b: 3 objects, not corrected")
    call(out, "b", "--delete", "person 1")
    _, outcome = predicted(photos, Knowing(version="2"), save=("coco",), score_threshold=0.3)
    assert [image.file_name for image in outcome.uncorrected] == ["b.png"]
    assert StoredResult.find(out, "b").categories()[1] == Category(17, "cat")


def test_shared_files_keep_the_images_and_numbers_of_the_run_that_wrote_them(photos):
    out, _ = predicted(photos, save=("coco",))
    before = json.loads((out / "coco" / "instances.json").read_text())
    (photos / "c.png").write_bytes((photos / "b.png").read_bytes())
    job = Job(find_images([photos / "b.png", photos / "c.png"]), out, ("labelme",), Options())
    run(job, Knowing(), progress=False)  # another run, of other images, that writes no COCO
    call(out, "b", "--delete", "person 1")
    after = json.loads((out / "coco" / "instances.json").read_text())
    assert after["images"] == before["images"]
    assert len(before["annotations"]) - len(after["annotations"]) == 1
    call(out, "c", "--delete", "person 1")  # no format of c is COCO
    assert json.loads((out / "coco" / "instances.json").read_text()) == after


def test_results_without_masks_are_corrected_but_not_split(photos):
    out, _ = predicted(photos, save=("coco", "overlay"), task="detection")
    assert call(out, "b", "--merge", "dog 1+dog 2").startswith("b: 2 objects")
    assert len(annotated(out, "b.png")) == 2
    with pytest.raises(Exception, match="split: 'person 1' has no mask"):
        call(out, "b", "--split", "person 1")


def test_semantic_results_and_those_of_given_boxes_are_refused(photos, tmp_path):
    out, _ = predicted(photos, save=("overlay",), task="semantic")
    with pytest.raises(CorrectError, match="b was predicted with task=semantic"):
        call(out, "b")
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image_id": "b", "bbox": [1, 1, 20, 20]}]))
    found, _ = BoxResults.read(boxes).attach(find_images([photos / "b.png"]), CATEGORIES)
    run(Job(found, tmp_path / "boxed", ("coco",), Options()), Knowing(), progress=False)
    with pytest.raises(CorrectError, match="b has a mask for each box of the file of --boxes"):
        call(tmp_path / "boxed", "b", "--delete", "dog 1")


@pytest.mark.parametrize("name", ["b", "b.png", "{photos}/b.png"])
def test_an_image_is_named_by_its_result_its_file_or_its_path(photos, out, name):
    assert call(out, name.format(photos=photos)).startswith("b: 3 objects")


def test_names_that_fit_several_or_none_are_refused_with_what_there_is(out, photos, tmp_path):
    assert call(out, "a").startswith("a: ")  # the very name of a result
    with pytest.raises(CorrectError, match=r"IMAGE: a.png fits 2 results: a, more/a. Name one of them"):
        call(out, "a.png")
    with pytest.raises(CorrectError, match=r"there is no result of bb. Did you mean 'b'\? There are: a, b, more/a"):
        call(out, "bb")
    with pytest.raises(CorrectError, match="has no folder predictions: name an output folder"):
        call(tmp_path / "nowhere", "b")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_of_an_older_version_is_told_what_to_do(out, photos):
    (out / "predictions" / "run.jsonl").unlink()
    with pytest.raises(
        CorrectError, match=r"does not tell what categories the model of b knows.*Run pointrend predict"
    ):
        call(out, "b", "--delete", "dog 1")
    source = Knowing()
    predicted(photos, source)
    assert source.asked == []
    call(out, "b", "--delete", "dog 1")
    (out / "predictions" / "run.jsonl").write_text("{")
    with pytest.raises(OutputError, match=r"run\.jsonl cannot be read: .* Delete it and run pointrend predict again"):
        call(out, "b")


def test_an_image_that_has_changed_is_predicted_first(out, photos):
    os.utime(photos / "b.png", ns=(1, 1))
    with pytest.raises(CorrectError, match=r"b\.png has changed since it was predicted. Run pointrend predict again"):
        call(out, "b", "--delete", "dog 1")
    assert call(out, "b").startswith("b: 3 objects, not corrected")


def test_an_image_that_is_gone_is_needed_only_where_it_is_drawn_on(photos):
    out, _ = predicted(photos, save=("coco", "labelme"))
    (photos / "b.png").unlink()
    call(out, "b", "--delete", "dog 1")
    assert len(annotated(out, "b.png")) == 2


def test_an_image_that_is_gone_leaves_everything_as_it_was_where_it_is_drawn_on(out, photos):
    (photos / "b.png").unlink()
    before = contents(out, *ALL, "predictions")
    with pytest.raises(Exception, match="cannot be read"):
        call(out, "b", "--delete", "dog 1")
    assert contents(out, *ALL, "predictions") == before


def test_what_an_interrupted_correction_left_is_written_by_the_next(out, photos, monkeypatch):
    before = contents(out)
    with monkeypatch.context() as patched:
        patched.setattr(correcting, "write_formats", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            correct_result(out, "b", step=(Delete((0,)),))
    assert contents(out) == before
    predicted(photos, save=("labelme",))  # this run writes one of the formats
    assert contents(out, "labelme") != before
    assert StoredResult.find(out, "b").record.pending == set(ALL) - {"labelme"}
    call(out, "b", "--delete", "dog 2")
    assert len(annotated(out, "b.png")) == 1
    assert len((out / "yolo" / "labels" / "b.txt").read_text().splitlines()) == 1


def test_a_folder_in_use_is_refused(out):
    with locked(out, "--out"), pytest.raises(OutputError, match=r"OUT: .* is in use by another run"):
        call(out, "b", "--delete", "dog 1")


def test_more_objects_than_a_result_holds_are_refused(out, monkeypatch):
    monkeypatch.setattr(correcting, "MAX_INSTANCES", 3)
    with pytest.raises(CorrectError, match="b would have 4 objects; a result has at most 3"):
        call(out, "b", "--split", "person 1")


LABELS = ["dog 1", "dog 2", "c+d 1", "x=y 1"]
KNOWN = (Category(17, "cat"), Category(3, "a=b"))


def test_words_are_read_whatever_a_category_is_called():
    step = read_corrections(
        LABELS, KNOWN, merge=["dog 1 + c+d 1+DOG 2"], rename=["x=y 1=17"], split=[" dog  1 "], delete=["c+d 1"]
    )
    assert [vars_of(each) for each in step] == [[(2,)], [(3,), Category(17, "cat")], [(0, 2, 1)], [0]]


def vars_of(correction):
    return [getattr(correction, name) for name in type(correction).__dataclass_fields__]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delete": ["dog 3"]}, r"--delete: there is no object 'dog 3'. Did you mean .*The objects are: dog 1, dog 2"),
        ({"rename": ["dog 1"]}, "--rename: 'dog 1' names no new category"),
        ({"rename": ["dog 1= "]}, "--rename: 'dog 1= ' names no new category"),
        ({"rename": ["dog 1=cot"]}, "--rename: This model knows no category 'cot'. Did you mean 'cat'"),
        ({"merge": ["dog 1"]}, "--merge: 'dog 1' names one object"),
        ({"merge": ["dog 1+"]}, "--merge: there is no object ''"),
    ],
)
def test_words_that_mean_nothing_are_refused_by_name(options, said):
    with pytest.raises(InvalidOption, match=said):
        read_corrections(LABELS, KNOWN, **options)


def test_undo_goes_with_no_other(out):
    with pytest.raises(InvalidOption, match="--undo goes with no other correction"):
        call(out, "b", "--undo", "--delete", "dog 1")


def test_labels_are_those_of_the_overlay(out):
    found = StoredResult.find(out, "b")
    assert (
        [each.label for each in found.objects()] == instance_labels(found.prediction) == ["person 1", "dog 1", "dog 2"]
    )
    assert isinstance(found.out, Path)
