"""The call of transformers' ``image-segmentation`` pipeline, beside transformers' own; and each of its settings."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

import pointrend
from pointrend.client import Client
from pointrend.errors import InvalidOption, InvalidRequest, RequestError
from pointrend.images.inputs import pixels
from pointrend.inference.base import Segmenter
from pointrend.integrations.huggingface import ImageSegmentationPipeline, SegmentDict, pipeline
from pointrend.serving.torchserve import TorchServe
from pointrend.structures.options import Options
from tests.semantic_models import write_tiny

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "tests" / "demo" / "chelsea.png"
OTHER = ROOT / "tests" / "demo" / "astronaut.png"


@pytest.fixture(scope="module")
def segmenter() -> Segmenter[Any]:
    return pointrend.load("demo")


@pytest.fixture(scope="module")
def pipe(segmenter: Segmenter[Any]) -> ImageSegmentationPipeline:
    return pipeline(model=segmenter)


@pytest.fixture(scope="module")
def semantic_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"))


def told(segments: list[SegmentDict]) -> list[tuple[float | None, str, bytes]]:
    return [(each["score"], each["label"], each["mask"].tobytes()) for each in segments]


def bits(segment: SegmentDict) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(segment["mask"]) == 255


@pytest.mark.slow
def test_transformers_own_pipeline_returns_the_same_forms(transformers_folder: Path, semantic_folder: Path) -> None:
    program = Path(__file__).with_name("transformers_calls.py")
    path = os.pathsep.join([str(transformers_folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, str(program), str(PHOTO), str(semantic_folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    size = list(Image.open(PHOTO).size)
    one = ["list", {"score": "float", "label": "str", "mask": ["L", size, True]}]
    assert answers["instance"]["theirs"] == {
        "path": one,
        "picture": one,
        "list": ["list", one],
        "list of one": ["list", one],
        "generator": ["iterator", ["list", one]],
        "data set": ["iterator", ["list", one]],
    }
    assert answers["semantic"]["theirs"]["path"][1]["score"] == "NoneType"
    for answer in answers.values():
        assert answer["ours"] == answer["theirs"]


def test_masks_scores_and_labels_are_the_models_own(pipe: ImageSegmentationPipeline, segmenter: Segmenter[Any]) -> None:
    own = segmenter(pixels(PHOTO), Options(score_threshold=0.3)).instances
    found = pipe(PHOTO, threshold=0.3)
    assert len(found) == len(own) > 0
    for each, instance in zip(found, own, strict=True):
        assert (each["score"], each["label"]) == (instance.score, instance.category)
        assert np.array_equal(bits(each), instance.mask())
    assert pipe(PHOTO, threshold=1) == []


def test_an_image_in_any_form_gives_the_same(pipe: ImageSegmentationPipeline) -> None:
    wanted = told(pipe(str(PHOTO)))
    with Image.open(PHOTO) as picture:
        for form in (PHOTO, PHOTO.read_bytes(), picture, np.array(picture.convert("RGB"))):
            assert told(pipe(form)) == wanted


def test_a_photo_is_turned_upright(pipe: ImageSegmentationPipeline, tmp_path: Path) -> None:
    with Image.open(PHOTO) as picture:
        exif = picture.getexif()
        exif[0x0112] = 6  # to be shown a quarter turn clockwise
        picture.convert("RGB").rotate(90, expand=True).save(tmp_path / "photo.png", exif=exif)
        assert {each["mask"].size for each in pipe(tmp_path / "photo.png", threshold=0.1)} == {picture.size}


def test_lists_streams_and_data_sets(pipe: ImageSegmentationPipeline) -> None:
    class Photos(Dataset[Path]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Path:
            return (PHOTO, OTHER)[index]

    wanted = [told(pipe(PHOTO)), told(pipe(OTHER))]
    assert [told(each) for each in pipe([PHOTO, OTHER])] == wanted
    assert [told(each) for each in pipe((PHOTO, OTHER))] == wanted
    assert pipe([]) == []
    taken = []

    def photos() -> Iterator[Path]:
        for photo in (PHOTO, OTHER):
            taken.append(photo)
            yield photo

    stream = pipe(photos())
    assert taken == []
    assert told(next(stream)) == wanted[0]
    assert taken == [PHOTO]
    assert told(next(stream)) == wanted[1]
    assert [told(each) for each in pipe(Photos())] == wanted


@pytest.mark.server
def test_a_server_gives_the_same(pipe: ImageSegmentationPipeline, served: TorchServe) -> None:
    photos = [PHOTO, OTHER, PHOTO]
    wanted = pipe(photos)
    with Client(served.url) as client:
        for there in (pipeline(model=served.url)(photos), list(pipeline(model=client, batch_size=2)(iter(photos)))):
            for found, own in zip(there, wanted, strict=True):
                assert [each[1:] for each in told(found)] == [each[1:] for each in told(own)]
                assert [each["score"] for each in found] == pytest.approx([each["score"] for each in own], abs=1e-3)
        with pytest.raises(RequestError):
            pipeline(model=client)([b"no image", PHOTO])


def test_settings_of_the_pipeline_hold_until_a_call_has_its_own(segmenter: Segmenter[Any]) -> None:
    strict = pipeline("image-segmentation", segmenter, threshold=1, categories="cat")
    assert strict(PHOTO) == []
    assert {each["label"] for each in strict(PHOTO, threshold=0.3)} == {"cat"}
    assert {each["label"] for each in strict(OTHER, threshold=0.3, categories="person")} == {"person"}


def test_a_lower_mask_threshold_gives_larger_masks(pipe: ImageSegmentationPipeline) -> None:
    masks = [bits(pipe(PHOTO, mask_threshold=threshold)[0]) for threshold in (0.2, 0.5, 0.501, 0.9)]
    for larger, smaller in itertools.pairwise(masks):
        assert larger[smaller].all()
    assert masks[0].sum() > masks[1].sum() > masks[3].sum() > 0
    box = pipe(PHOTO)[0]["mask"].getbbox()
    whole = pipe(PHOTO, mask_threshold=0)[0]["mask"]
    assert whole.getbbox() != box
    assert len(set(np.asarray(whole.crop(whole.getbbox())).ravel())) == 1  # the model's box, all of it


def test_a_model_of_objects_joins_those_of_a_category(pipe: ImageSegmentationPipeline) -> None:
    found = pipe(PHOTO, subtask="semantic", threshold=0.1)
    objects = pipe(PHOTO, threshold=0.1)
    assert found[0]["label"] == "cat"
    assert {each["label"] for each in found} <= {each["label"] for each in objects}
    assert {each["score"] for each in found} == {None}
    joined, separate = (np.any([bits(each) for each in segments], axis=0) for segments in (found, objects))
    assert np.array_equal(joined, separate)


def test_a_semantic_model_gives_a_mask_for_each_category(semantic_folder: Path) -> None:
    pipe = pipeline(model=semantic_folder)
    found = pipe(PHOTO, threshold=0.99)  # there are no scores for it to meet
    order = [category.name for category in pointrend.load(semantic_folder).info.categories]
    labels = [each["label"] for each in found]
    assert labels == sorted(labels, key=order.index)
    assert len(set(labels)) == len(labels) > 1
    assert {each["score"] for each in found} == {None}
    assert np.array_equal(np.sum([bits(each) for each in found], axis=0), np.ones((300, 451)))
    with pytest.raises(InvalidOption, match="subtask cannot be 'instance': this model can do semantic"):
        pipe(PHOTO, subtask="instance")
    with pytest.raises(InvalidOption, match=r"mask_threshold=0\.7 does not go together with subtask=semantic"):
        pipe(PHOTO, mask_threshold=0.7)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"subtask": "panoptic"},
            "no model here labels objects and background at once; this model can do instance and",
        ),
        ({"subtask": "instances"}, "subtask cannot be 'instances': this model can do instance and semantic"),
        ({"overlap_mask_area_threshold": 0.5}, "masks of different objects may overlap"),
        ({"threshold": 1.5}, "threshold must be a number from 0 to 1, not 1.5"),
        ({"threshold": float("nan")}, "threshold must be a number from 0 to 1, not nan"),
        ({"mask_threshold": -1}, "mask_threshold must be a number from 0 to 1, not -1"),
        ({"mask_threshold": 0.6, "tiles": 1024}, "mask_threshold=0.6 does not go together with tiles"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"score_threshold": 0.5}, "score_threshold cannot be set here: give threshold"),
        ({"timeout": 3}, "timeout cannot be set here: no URL is opened"),
        ({"categories": "unicorn", "masks": "rle"}, "masks cannot be set here"),
        ({"tile": 1024}, "There is no option 'tile'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_once(
    segmenter: Segmenter[Any], settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidOption, match=sentence):
        pipeline(model=segmenter, **settings)
    with pytest.raises(InvalidOption, match=sentence):
        pipeline(model=segmenter)(iter([PHOTO]), **settings)


def test_a_model_in_the_place_of_the_task_is_explained() -> None:
    with pytest.raises(
        InvalidOption, match=r"task must be image-segmentation, not 'demo'\. .*pipeline\(model='demo'\)"
    ):
        pipeline("demo")


@pytest.mark.parametrize(
    "url", ["https://user:secret@photos.example/a.jpg", "HTTP://[", "file:///etc/passwd", "data:,x"]
)
def test_no_url_is_opened(pipe: ImageSegmentationPipeline, url: str) -> None:
    for inputs, where in ((url, "inputs is"), ([PHOTO, url], r"inputs\[1\] is")):
        with pytest.raises(InvalidRequest, match=f"^{where} a URL .* download the image") as caught:
            pipe(inputs)
        assert "secret" not in str(caught.value)
    with pytest.raises(InvalidRequest, match="no URL is opened"):
        list(pipe(iter([url])))


@pytest.mark.parametrize("inputs", [None, 3, {"image": "photo.jpg"}, torch.zeros(3, 8, 8), [None], ["a.jpg", {}]])
def test_what_is_no_image_is_refused(pipe: ImageSegmentationPipeline, inputs: Any) -> None:
    with pytest.raises(TypeError, match="a path, a file's bytes, an HWC uint8 RGB array or a PIL image"):
        pipe(inputs)


def test_files_that_cannot_be_read(pipe: ImageSegmentationPipeline, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pipe(str(tmp_path / "missing.jpg"))
    with pytest.raises(RequestError):
        pipe(b"no image")
    with pytest.raises(TypeError, match="HWC uint8 RGB"):
        pipe(np.zeros((8, 8)))
