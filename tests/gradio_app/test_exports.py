"""What each download holds, without a server: the page's own result, written and read back."""

import io
import json
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image

from gradio_app.exports import BY_KEY, EXPORTS, write
from gradio_app.result import ViewSelection
from pointrend.errors import InvalidRequest, UnsupportedImage
from pointrend.visualize.effects import EFFECTS
from tests.gradio_app.test_result import make

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 3, "name": 'a "car": x'}, {"id": 18, "name": "dog"}]
GREY = (128, 128, 128)


def content(kind, result=None, categories=CATEGORIES, **choice):
    return BY_KEY[kind].content(result or make(), ViewSelection(**choice), categories)


def archive(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def png(data):
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


def as_file(colour, size=(30, 20)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_each_has_a_key_and_a_label_of_its_own():
    assert len(BY_KEY) == len(EXPORTS) == len({export.label for export in EXPORTS})


def test_yolo_is_a_data_set_of_one_image():
    result = make()
    files = archive(content("yolo", result, kept=(0, 1)))
    assert set(files) == {"data.yaml", "images/photo.png", "labels/photo.txt"}
    assert files["images/photo.png"] == result.data
    names = yaml.safe_load(files["data.yaml"])["names"]
    assert names == {0: "person", 1: 'a "car": x', 2: "dog"}
    person, dog = (line.split() for line in files["labels/photo.txt"].decode().splitlines())
    assert (person[0], dog[0]) == ("0", "2")
    points = np.array(dog[1:], float).reshape(-1, 2) * (200, 100)
    assert points.min(axis=0) == pytest.approx((120, 20), abs=1)
    assert points.max(axis=0) == pytest.approx((160, 60), abs=1)


def test_yolo_without_known_categories_and_without_a_suffix():
    result = make()
    object.__setattr__(result, "file_name", "photo.v2")
    files = archive(content("yolo", result, categories=[], threshold=0.1))
    assert set(files) == {"data.yaml", "images/photo.v2.png", "labels/photo.v2.txt"}
    assert yaml.safe_load(files["data.yaml"])["names"] == {0: "person", 1: "dog"}
    assert [line[0] for line in files["labels/photo.v2.txt"].decode().splitlines()] == ["0", "1", "0"]


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_is_at_the_photos_own_size(effect):
    """The photo is all grey: what differs from that is what the effect put there."""
    picture = png(content("effect", make(scale=20), effect=effect, colour=(9, 8, 7), background=as_file((1, 2, 3))))
    assert picture.shape == (2000, 4000, 4 if effect == "transparent" else 3)
    assert tuple(picture[40 * 20, 40 * 20][:3]) == tuple(picture[40 * 20, 140 * 20][:3]) == GREY
    expected = {"colour": (9, 8, 7), "transparent": (0, 0, 0, 0), "picture": (1, 2, 3)}.get(effect, GREY)
    assert tuple(picture[5, 5]) == expected
    assert tuple(picture[85 * 20, 95 * 20]) == expected  # the second person is below the threshold


def test_an_effect_keeps_what_the_viewer_chose():
    picture = png(content("effect", effect="transparent", kept=(1,)))
    assert picture[40, 140, 3] == 255
    assert picture[40, 40, 3] == 0


def test_a_background_must_be_an_image():
    with pytest.raises(InvalidRequest, match="background"):
        content("effect", effect="picture")
    with pytest.raises(UnsupportedImage):
        content("effect", effect="picture", background=b"nothing")


def test_all_follow_what_the_viewer_kept():
    choice = {"kept": (2,), "threshold": 0.9}
    assert [each["score"] for each in json.loads(content("coco", **choice))["annotations"]] == [0.4]
    assert len(json.loads(content("labelme", **choice))["shapes"]) == 1
    assert len(archive(content("yolo", **choice))["labels/photo.txt"].splitlines()) == 1
    assert list(archive(content("masks", **choice))) == ["person-1.png"]
    assert list(archive(content("cutouts", **choice))) == ["person-1.png"]
    drawn = png(content("overlay", **choice))
    assert tuple(drawn[15, 15]) == GREY
    assert tuple(drawn[80, 90]) != GREY


def test_a_file_is_named_after_its_photo(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path = write(BY_KEY["effect"], make(), ViewSelection(), CATEGORIES)
    assert path.startswith(str(tmp_path))
    assert path.endswith("/photo-effect.png")
