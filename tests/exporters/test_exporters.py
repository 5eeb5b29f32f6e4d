"""Round trips: each format is read back by its own library, or by what its documentation says."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import given
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from pointrend.exporters import (
    coco_dataset,
    to_coco,
    to_labelme,
    to_mask_pngs,
    to_supervision,
    to_yolo,
    yolo_data,
)
from pointrend.exporters.coco import CocoImage
from tests.exporters.exporter_cases import CATEGORIES, disc, instance, prediction, predictions

IDS = [category["id"] for category in CATEGORIES]
LABELME_SCHEMA = json.loads((Path(__file__).parent / "labelme.schema.json").read_text())


def iou(first, second):
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def load(path, tree):
    """Read a data set with pycocotools, which prints as it goes."""
    path.write_text(json.dumps(tree))
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def filled(size, rings):
    """Even-odd filling of polygons in pixels, four times finer than the photo and then asked at pixels' centres."""
    scale = 4
    canvas = np.zeros((size[0] * scale, size[1] * scale), bool)
    for ring in rings:
        picture = Image.new("1", (canvas.shape[1], canvas.shape[0]))
        points = [(x * scale, y * scale) for x, y in np.reshape(ring, (-1, 2))]
        ImageDraw.Draw(picture).polygon(points, fill=1)
        canvas |= np.asarray(picture)
    return canvas[scale // 2 :: scale, scale // 2 :: scale]


class TestCoco:
    def test_pycocotools_reads_the_data_set(self, awkward, tmp_path):
        other = prediction((10, 10), instance(np.ones((10, 10), bool), 1))
        images = [CocoImage(1, "a.jpg", awkward), CocoImage(7, "b/c.jpg", other)]
        coco = load(tmp_path / "coco.json", coco_dataset(images, CATEGORIES))
        assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["a.jpg", "b/c.jpg"]
        assert coco.getCatIds(catNms=["cat"]) == [17]
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=1))
        assert len(annotations) == 4
        for annotation, expected in zip(annotations, awkward.instances, strict=True):
            mask = coco.annToMask(annotation).astype(bool)
            np.testing.assert_array_equal(mask, expected.mask())
            assert annotation["area"] == mask.sum() == expected.area
            assert annotation["score"] == expected.score

    def test_results_load_beside_it(self, awkward, tmp_path):
        coco = load(tmp_path / "coco.json", coco_dataset([CocoImage(3, "a.jpg", awkward)], CATEGORIES))
        with contextlib.redirect_stdout(io.StringIO()):
            loaded = coco.loadRes(to_coco(awkward, 3, boxes=False))
            with_boxes = coco.loadRes(to_coco(awkward, 3))
        for result, boxed, expected in zip(
            loaded.dataset["annotations"], with_boxes.dataset["annotations"], awkward.instances, strict=True
        ):
            np.testing.assert_array_equal(loaded.annToMask(result).astype(bool), expected.mask())
            assert result["area"] == expected.area
            assert boxed["bbox"] == list(expected.bbox)

    def test_polygons_become_run_lengths(self):
        mask = disc((60, 60), 30, 30, 20)
        [result] = to_coco(prediction((60, 60), instance(mask, form="polygon")), 1)
        assert iou(coco_mask.decode(result["segmentation"]).astype(bool), mask) > 0.97

    def test_boxes_alone(self, boxes, tmp_path):
        coco = load(tmp_path / "coco.json", coco_dataset([CocoImage(1, "a.jpg", boxes)], CATEGORIES))
        assert [annotation["area"] for annotation in coco.dataset["annotations"]] == [21 * 21, 9 * 9]
        assert [set(result) for result in to_coco(boxes, 1)] == [{"image_id", "category_id", "score", "bbox"}] * 2
        with pytest.raises(ValueError, match="no masks"):
            to_coco(boxes, 1, boxes=False)

    @given(predictions())
    def test_masks_and_areas_survive(self, found):
        for result, expected in zip(to_coco(found, 1), found.instances, strict=True):
            np.testing.assert_array_equal(coco_mask.decode(result["segmentation"]), expected.mask())
            assert coco_mask.area(result["segmentation"]) == expected.area


class TestQuality:
    """What is known of a mask goes along, and whoever corrects masks meets the least certain first."""

    @pytest.fixture
    def found(self):
        mask = disc((30, 40), 15, 15, 8)
        return prediction(
            (30, 40), *(instance(mask, score=score, mask_score=quality) for score, quality in ((0.9, 0.8), (0.7, 0.35)))
        )

    def test_a_data_set_begins_with_the_least_certain(self, found):
        unknown = replace(found, instances=(instance(disc((30, 40), 9, 9, 4), score=0.95), *found.instances))
        annotations = coco_dataset([CocoImage(1, "a.jpg", unknown)], CATEGORIES)["annotations"]
        assert [each.get("mask_score") for each in annotations] == [0.35, 0.8, None]
        assert [each["id"] for each in annotations] == [1, 2, 3]
        assert annotations[0]["edge_uncertainty"] == 0.65

    def test_results_stay_best_first(self, found):
        assert [(each["score"], each["mask_score"]) for each in to_coco(found, 1)] == [(0.9, 0.8), (0.7, 0.35)]

    def test_labelme_begins_with_the_least_certain(self, found):
        shapes = to_labelme(found, "a.jpg")["shapes"]
        assert [shape["group_id"] for shape in shapes] == [2, 1]
        assert shapes[0]["description"] == "score 0.7000, mask_score 0.3500, edge_uncertainty 0.6500"

    def test_supervision_has_both_beside_the_names(self, found):
        pytest.importorskip("supervision")
        detections = to_supervision(found)
        np.testing.assert_allclose(detections.data["mask_score"], [0.8, 0.35])
        np.testing.assert_allclose(detections.data["edge_uncertainty"], [0.2, 0.65])


class TestLabelMe:
    def test_the_awkward_masks(self, awkward):
        tree = to_labelme(awkward, "../photos/a.jpg", b"photo")
        jsonschema.validate(tree, LABELME_SCHEMA)
        assert base64.b64decode(tree["imageData"]) == b"photo"
        assert (tree["imagePath"], tree["imageWidth"], tree["imageHeight"]) == ("../photos/a.jpg", 120, 90)
        for number, expected in enumerate(awkward.instances, start=1):
            shapes = [shape for shape in tree["shapes"] if shape["group_id"] == number]
            assert len(shapes) == (0, 2, 2, 1, 0)[number]
            assert {shape["label"] for shape in shapes} <= {expected.category}
            assert iou(filled((90, 120), [shape["points"] for shape in shapes]), expected.mask()) > 0.93

    def test_boxes_are_rectangles(self, boxes):
        tree = to_labelme(boxes, "a.jpg")
        jsonschema.validate(tree, LABELME_SCHEMA)
        assert tree["imageData"] is None
        assert [shape["shape_type"] for shape in tree["shapes"]] == ["rectangle", "rectangle"]
        assert tree["shapes"][0]["points"] == [[15, 10], [36, 31]]

    @given(predictions())
    def test_it_always_fits_the_schema(self, found):
        tree = to_labelme(found, "a.jpg")
        jsonschema.validate(json.loads(json.dumps(tree)), LABELME_SCHEMA)
        for shape in tree["shapes"]:
            assert np.min(shape["points"]) >= 0
            assert np.all(np.max(shape["points"], axis=0) <= (found.width, found.height))


class TestYolo:
    def parse(self, text, size):
        """What the documentation says of a line: a class, then pairs of shares."""
        for line in text.splitlines():
            index, *shares = line.split(" ")
            assert len(shares) >= 6
            assert len(shares) % 2 == 0
            values = np.array(shares, float)
            assert values.min() >= 0
            assert values.max() <= 1
            yield int(index), values.reshape(-1, 2) * (size[1], size[0])

    def test_the_awkward_masks_as_one_polygon_each(self, awkward):
        lines = list(self.parse(to_yolo(awkward, IDS), (90, 120)))
        assert [index for index, _ in lines] == [0, 1, 0]  # the empty mask has no outline
        for (_, ring), expected in zip(lines, awkward.instances, strict=False):
            assert iou(filled((90, 120), [ring]), expected.mask()) > 0.93

    def test_boxes(self, boxes):
        first, second = to_yolo(boxes, IDS).splitlines()
        assert first == "1 0.425000 0.512500 0.350000 0.525000"
        assert second.startswith("0 ")

    def test_a_class_is_a_place_in_the_list(self, awkward):
        assert to_yolo(awkward, IDS[::-1]).splitlines()[0].startswith("2 ")
        with pytest.raises(ValueError, match="not in category_ids"):
            to_yolo(awkward, [1])

    @given(predictions())
    def test_every_line_can_be_read(self, found):
        lines = list(self.parse(to_yolo(found, IDS), (found.height, found.width)))
        assert len(lines) == sum(expected.area > 0 for expected in found.instances)

    def test_the_data_file_is_yaml(self):
        tree = yaml.safe_load(yolo_data(CATEGORIES))
        assert tree == {
            "path": ".",
            "train": "images",
            "val": "images",
            "names": {0: "person", 1: "cat", 2: 'tooth "brush": x'},
        }


class TestPngs:
    @given(predictions())
    def test_each_mask_is_a_picture(self, found):
        pictures = dict(to_mask_pngs(found))
        assert len(pictures) == len(found.instances)
        for content, expected in zip(pictures.values(), found.instances, strict=True):
            picture = Image.open(io.BytesIO(content))
            assert picture.mode == "L"
            np.testing.assert_array_equal(np.asarray(picture), expected.mask() * np.uint8(255))

    def test_their_names_are_safe(self, awkward):
        names = [name for name, _ in to_mask_pngs(awkward)]
        assert names == ["person-1.png", "cat-1.png", "person-2.png", "tooth_brush_x-1.png"]


@pytest.mark.filterwarnings("ignore:OpenCV:UserWarning")
class TestSupervision:
    def test_the_real_package_takes_it(self, awkward):
        import supervision

        detections = to_supervision(awkward)
        assert isinstance(detections, supervision.Detections)
        assert len(detections) == 4
        np.testing.assert_array_equal(detections.mask, awkward.masks())
        np.testing.assert_array_equal(detections.xyxy[0], [10, 10, 71, 71])
        cats = detections[detections["class_name"] == "cat"]
        assert cats.class_id.tolist() == [17]
        drawn = supervision.MaskAnnotator().annotate(np.zeros((90, 120, 3), np.uint8), detections)
        assert drawn[40, 15].any()
        assert not drawn[85, 5].any()

    def test_boxes_and_nothing(self, boxes):
        detections = to_supervision(boxes)
        assert detections.mask is None
        assert detections.confidence.tolist() == pytest.approx([0.9, 0.5])
        assert len(to_supervision(prediction((5, 6)))) == 0


@pytest.mark.parametrize(
    "export",
    [
        lambda found: to_coco(found, 1),
        lambda found: coco_dataset([CocoImage(1, "a.jpg", found)], CATEGORIES),
        lambda found: to_labelme(found, "a.jpg"),
        lambda found: to_yolo(found, IDS),
        lambda found: list(to_mask_pngs(found)),
        to_supervision,
    ],
    ids=["coco", "dataset", "labelme", "yolo", "png", "supervision"],
)
def test_segments_are_no_objects(export, semantic):
    with pytest.raises(ValueError, match="task was semantic"):
        export(semantic)
