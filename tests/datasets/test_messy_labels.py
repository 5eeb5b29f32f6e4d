"""Everything wrong with a label file is listed at once, and what is harmless is counted alike in every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pointrend.datasets.annotations import Annotations, LabelledImage, LabelledObject
from pointrend.datasets.coco import CocoFile
from pointrend.datasets.findings import EXAMPLES, RULES, Findings, rules_table
from pointrend.datasets.ground_truth import GroundTruth
from pointrend.datasets.segmentation import mask_of, to_rle
from pointrend.engines.calibration import find_images, read_labels
from pointrend.errors import DataError
from pointrend.structures.model_info import Category
from pointrend.training.augment import Augmentation
from pointrend.training.copy_paste import paste
from pointrend.training.gfl_losses import label_losses

GOOD = [2, 2, 22, 2, 22, 22, 2, 22]
DOCS = Path(__file__).parents[2] / "docs" / "training.md"


def annotation(number: int | str, **changes: Any) -> dict[str, Any]:
    plain = {"id": number, "image_id": 1, "category_id": 1, "bbox": [2, 2, 20, 20], "area": 400, "iscrowd": 0}
    return {**plain, "segmentation": [GOOD], **changes}


def tree(*annotations: dict[str, Any], **image: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 32, "height": 32, **image}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": list(annotations),
    }


def save(folder: Path, content: dict[str, Any] | str | bytes) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    Image.new("RGB", (32, 32), "red").save(folder / "images" / "a.png")
    path = folder / "instances_train.json"
    data = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(folder: Path, content: dict[str, Any] | str | bytes) -> CocoFile:
    return CocoFile.read(save(folder, content), folder / "images")


MESSY = tree(
    annotation(1, segmentation=[]),
    annotation(2, iscrowd=None, segmentation=[GOOD, [1, 1, 2, 2]]),
    annotation(3, bbox=[40, 40, 5, 5], segmentation=[[40, 40, 45, 40, 45, 45, 40, 45]]),
    annotation(4, area=0, bbox=[5, 5, 0, 0], segmentation=[[5, 5, 5, 5, 5, 5]]),
    annotation(5, category_id=99),
    file_name="images\\a.png",
)


def test_eval_training_and_calibration_count_the_same(tmp_path: Path) -> None:
    path = save(tmp_path, MESSY)
    expected = {
        "file-name": 1,
        "crowd-null": 1,
        "unknown-category": 1,
        "no-mask": 1,
        "part": 1,
        "beyond": 1,
        "empty-mask": 2,
    }
    trained = Annotations.read(path, tmp_path / "images")
    judged = GroundTruth.read(tmp_path, "train", [Category(1, "person")])
    calibrated = read_labels(tmp_path)
    assert calibrated is not None
    assert trained.findings.counts == judged.findings.counts == calibrated.findings.counts == expected
    # Beside the one object the box of the one without a mask, as neutral as a crowd.
    for objects in (trained.images[0].objects, judged.objects):
        assert [item.crowd for item in objects] == [True, False]
    assert find_images(tmp_path) == [tmp_path / "images" / "a.png"]
    assert "no-mask (1): segmentation is missing or empty: neither learnt nor judged: what is found in its bbox" in (
        trained.findings.note()
    )


def test_an_object_without_a_mask_is_never_background(tmp_path: Path) -> None:
    bbox = [4, 4, 24, 24]
    learnt: dict[str, torch.Tensor] = {}
    cells = torch.tensor([[4.0 * x, 4.0 * y, 4.0] for y in range(8) for x in range(8)])
    for name, changes in {
        "masked": {},
        "boxed": {"segmentation": None},
        "crowd": {"segmentation": [[4, 4, 28, 4, 28, 28, 4, 28]], "iscrowd": 1},
        "nowhere": {"segmentation": [], "bbox": None},
        "absent": {"category_id": 9},
    }.items():
        assert isinstance(changes, dict)
        small = annotation(2, bbox=[0, 0, 3, 3], segmentation=[[0, 0, 3, 0, 3, 3, 0, 3]])
        content = tree(annotation(1, **{"bbox": bbox, **changes}), small)
        read_again = Annotations.read(save(tmp_path, content), tmp_path / "images")
        sample = Augmentation(32, jitter=(1.0, 1.0), flip=0.0)(read_again.images[0], np.random.default_rng(0))
        logits = torch.zeros(1, len(cells), 1, requires_grad=True)
        bins = torch.zeros(1, len(cells), 4, 8)
        bins[..., 1] = 9.0  # each cell's box reaches one stride to all sides
        label_losses(logits, bins, cells, [sample])["class"].backward()
        assert logits.grad is not None
        learnt[name] = logits.grad[0, :, 0].reshape(8, 8) != 0
    inside = (slice(2, 6), slice(2, 6))  # cells whose box lies in the object's
    assert learnt["absent"].all()
    assert learnt["masked"].all()
    assert not learnt["boxed"][inside].any()
    assert torch.equal(learnt["boxed"], learnt["crowd"])
    assert learnt["boxed"].sum() > 20  # elsewhere background is learnt as before
    assert learnt["nowhere"].sum() < 9  # only the cells of the small object


def test_objects_without_masks_alone_are_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no object with a mask"):
        Annotations.read(save(tmp_path, tree(annotation(1, segmentation=[]))), tmp_path / "images")
    file = read(tmp_path, tree(annotation(1, segmentation=[], bbox=None), annotation(2)))
    assert not file.images[0].labels(1)
    assert not file.all_objects[0].image.labels(1)


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        (tree(annotation(1), annotation(2)), {"repeated": 1}),
        (tree(annotation(1), annotation(1, segmentation=[[2, 2, 9, 2, 9, 9]], bbox=None)), {"annotation-id": 1}),
        (tree(annotation("1", image_id="1", category_id=1.0)), {"id": 2}),
        (tree(annotation(1), width="32", height=32.0), {"id": 2}),
        (tree(annotation(1, segmentation=[[float("nan")] * 6, GOOD])), {"part": 1}),
        (tree(annotation(1, segmentation=[[1e300] * 6, GOOD])), {"part": 1}),
        (tree(annotation(1, segmentation=[[-1, 2, 22, 2, 22, 22, -1, 22]], bbox=None)), {"beyond": 1}),
        (tree(annotation(1, bbox=[1, 2, 3])), {"bbox": 1}),
        (tree(annotation(1, bbox=[20, 20, 9, 9])), {"bbox": 1}),
        (tree(annotation(1, area="big")), {"area": 1}),
        (tree(annotation(1, iscrowd=1)), {"crowd-only": 1}),
        (tree(annotation(1, iscrowd=True)), {"crowd-null": 1, "crowd-only": 1}),
        (tree(annotation(1), annotation(2, segmentation=None, keypoints=[1, 2, 2])), {"no-mask": 1}),
        (tree(), {"bare": 1}),
        (tree(annotation(1), file_name="./images/a.png"), {"file-name": 1}),
        (tree(annotation(1), file_name="../../label-studio/media/upload/3/a.png"), {"file-name": 1}),
        (tree(annotation(1), file_name="..\\media\\upload\\12\\a.png"), {"file-name": 1}),
        ({**tree(annotation(1)), "images": tree()["images"] * 2}, {"image-repeated": 1}),
        (b"\xef\xbb\xbf" + json.dumps(tree(annotation(1))).encode(), {"encoding": 1}),
        (json.dumps(tree(annotation(1))).encode("utf-16"), {"encoding": 1}),
        (json.dumps(tree(annotation(1), source="Zoë"), ensure_ascii=False).encode("latin-1"), {"encoding": 1}),
    ],
)
def test_harmless_things_are_counted(tmp_path: Path, content: Any, counts: dict[str, int]) -> None:
    assert read(tmp_path, content).findings.counts == counts


def test_everything_that_is_wrong_is_listed_at_once(tmp_path: Path) -> None:
    content = tree(
        annotation(1, segmentation={"size": [30, 40], "counts": "x"}),
        annotation(2, segmentation={"size": [32, 32], "counts": [1, 2]}),
        annotation(3, iscrowd=2),
        annotation(4, image_id=9),
        *(annotation(number, segmentation=[]) for number in range(10, 20)),
    )
    for number, name in enumerate(["../../a.png", "/etc/passwd", "..\\a.png", "C:\\a.png", "none.png", "bad.png"], 2):
        content["images"].append({"id": number, "file_name": name, "width": 32, "height": 32})
    content["images"].append({"id": 1, "file_name": "b.png", "width": 32, "height": 32})
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as raised:
        read(tmp_path, content)
    message = str(raised.value)
    assert "11 faults to fix" in message
    for line in (
        "segmentation (2)",
        "crowd (1)",
        "no-image (1)",
        "outside-folder (4)",
        "no-file (1)",
        "unreadable (1)",
        "image-twice (1)",
    ):
        assert line in message
    assert f"no-mask (10): {RULES['no-mask'].text}" in message
    assert f"and {10 - EXAMPLES} more" in message


@pytest.mark.parametrize("side", [10**400, 2**40, 0, -1])
def test_sides_that_no_image_has_are_refused(tmp_path: Path, side: int) -> None:
    with pytest.raises(DataError, match=r"image a\.png: width must be a whole number from 1 to 65536, not "):
        read(tmp_path, tree(annotation(1), width=side))


def test_images_are_compared_with_their_labels(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (32, 16)).save(tmp_path / "images" / "turned.jpg", exif=exif)
    exif[0x0112] = 3
    Image.new("RGB", (32, 16)).save(tmp_path / "images" / "down.jpg", exif=exif)
    noise = np.random.default_rng(0).integers(0, 255, (99, 99, 3), dtype=np.uint8)
    for name in ("cut.jpg", "cut.png"):
        Image.fromarray(noise).save(tmp_path / "images" / name)
        whole = (tmp_path / "images" / name).read_bytes()
        (tmp_path / "images" / name).write_bytes(whole[: len(whole) // 2])
    content = tree(annotation(1), width=31)
    for number, (name, width, height) in enumerate(
        [("turned.jpg", 32, 16), ("down.jpg", 32, 16), ("cut.jpg", 99, 99), ("cut.png", 99, 99)], 2
    ):
        content["images"].append({"id": number, "file_name": name, "width": width, "height": height})
    with pytest.raises(DataError) as raised:
        read(tmp_path, content)
    for line in ("size (1)", "turned (1)", "unreadable (2)", "mirrored (1)", "labelled as 31x32"):
        assert line in str(raised.value)
    content["images"] = [{"id": 1, "file_name": "turned.jpg", "width": 16, "height": 32}]
    assert read(tmp_path, content).findings.counts.keys() <= {"beyond", "bbox"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is empty"),
        ("[]", "looks like a list"),
        ('[{"image_id": 1, "score": 0.5}]', "COCO results"),
        ("3", "a bare int"),
        ('{"shapes": [], "imagePath": "a.png"}', "LabelMe"),
        ("<annotation><object/></annotation>", "Pascal VOC"),
        ("<!doctype html>", "XML or HTML"),
        ("0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n", "YOLO"),
        ('{"a": 1}\n{"a": 2}\n', "JSON lines"),
        ('{"images": [{"id": 1', "ends in the middle"),
        ('{"images": [{"file_name": "a', "ends in the middle"),
        ("version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ('{"images": oops, "annotations": []}', "is not JSON: Expecting value"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_a_folder_of_another_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").touch()
    with pytest.raises(DataError, match="looks like YOLO's"):
        CocoFile.read(tmp_path / "instances_train.json", tmp_path / "images")


def test_the_documentation_has_every_rule() -> None:
    assert rules_table() in DOCS.read_text(encoding="utf-8")


def test_names_cannot_forge_lines() -> None:
    findings = Findings()
    findings.add("no-mask", "a\nno-file (3): b" + "x" * 999)
    assert len(findings.lines(fatal=False)) == 1
    assert "\n" not in findings.lines(fatal=False)[0]
    assert len(findings.lines(fatal=False)[0]) < 400


coordinate = st.one_of(st.integers(-40, 80), st.floats(-40, 80), st.sampled_from([float("nan"), float("inf"), 1e300]))
polygon = st.lists(coordinate, max_size=12)


@given(st.lists(polygon, max_size=4))
def test_no_mask_is_empty(parts: list[list[float]]) -> None:
    mask = mask_of(parts, 24, 32, "annotation 1", Findings())
    if mask is not None:
        x, y, window = LabelledObject(0, mask, False).window()
        assert window.any()
        assert 0 <= x < 32
        assert 0 <= y < 24


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(0, 60), st.floats(0, 40), st.floats(0.6, 30), st.floats(0.6, 30)), min_size=1, max_size=4
    ),
    st.integers(0, 2**32),
    st.sampled_from([64, 96]),
)
def test_no_crop_has_an_empty_mask(boxes: list[tuple[float, float, float, float]], seed: int, side: int) -> None:
    objects = []
    for x, y, width, height in boxes:
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        mask = mask_of([corners], 40, 60, "annotation 1", Findings())
        if mask is not None:
            objects.append(LabelledObject(0, mask, False))
    image = _Painted(Path("a.png"), 60, 40, "", (True,), tuple(objects))
    rng = np.random.default_rng(seed)
    augment = Augmentation(side, (0.05, 4.0))
    one, other = augment(image, rng), augment(image, rng)
    for sample in (one, other, paste(one, other, rng)):
        assert len(sample.masks) == len(sample.boxes) == len(sample.classes)
        assert all(mask.any() for mask in sample.masks)
        assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()


class _Painted(LabelledImage):
    """A picture without a file."""

    def read(self, scale: float = 1.0) -> Image.Image:
        return Image.new("RGB", (self.width, self.height), "blue")


def test_runs_of_the_wrong_size_are_refused_and_right_ones_read() -> None:
    findings = Findings()
    assert mask_of({"size": [2, 3], "counts": [1, 5]}, 2, 3, "a", findings) == to_rle(
        {"size": [2, 3], "counts": [1, 5]}, 2, 3
    )
    assert mask_of({"size": [3, 2], "counts": [1, 5]}, 2, 3, "a", findings) is None
    assert findings.counts == {"segmentation": 1}
