"""What detectron2 finds becomes our prediction: its own arrays, and a stand-in that runs our network, go in."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor, nn

import pointrend
from pointrend.config.files import config_from_dict, read_config
from pointrend.config.schema import ConvMaskConfig, EfficientNetConfig, ModelConfig, SemanticConfig
from pointrend.errors import CheckpointError, ConfigError, InvalidOption
from pointrend.inference import detectron2
from pointrend.inference.detectron2 import Detectron2Segmenter, Detectron2SemanticSegmenter
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.semantic import SemanticSegmenter
from pointrend.modeling.network import build_network
from pointrend.modeling.rcnn import RCNN
from pointrend.modeling.semantic import SemanticPointRend
from pointrend.structures.boxes import BoxPrompt
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.structures.options import Options
from pointrend.weights import zoo
from pointrend.weights.checkpoint import load_into, read_checkpoint
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder

GOLDEN = Path(__file__).parents[1] / "golden"


@dataclass
class Boxes:
    tensor: Tensor


class Instances:
    """A record with the documented fields of detectron2's ``Instances``."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        if name not in self.__dict__.get("fields", {}):
            raise AttributeError(name)
        return self.fields[name]

    def has(self, name: str) -> bool:
        return name in self.fields

    def to(self, device: str) -> Instances:
        return self


def sized(image_size: tuple[int, int], **fields: Any) -> Instances:
    """As detectron2 makes its own."""
    assert min(image_size) > 0
    return Instances(**fields)


STRUCTURES: Any = SimpleNamespace(Boxes=Boxes, Instances=sized)


class OurRoIHeads:
    """Our network's heads behind detectron2's interface: the boxes go through its parts to where ours take them."""

    box_in_features = ("p2", "p3", "p4", "p5")

    def __init__(self, network: RCNN) -> None:
        self.network = network

    def box_pooler(self, features: Sequence[Tensor], boxes: Sequence[Boxes]) -> Any:
        (each,) = boxes
        return dict(zip(self.box_in_features, features, strict=True)), each.tensor

    def box_head(self, pooled: Any) -> Any:
        return pooled

    def box_predictor(self, pooled: Any) -> tuple[Tensor, Tensor]:
        logits, deltas = self.network.roi_heads(*pooled)
        return logits, deltas

    def forward_with_given_boxes(
        self, features: dict[str, Tensor], instances: Sequence[Instances]
    ) -> Sequence[Instances]:
        (given,) = instances
        masks = self.network.mask_logits(features, given.pred_boxes.tensor, given.pred_classes).sigmoid()[:, None]
        return [Instances(**given.fields, pred_masks=masks)]


class Answering:
    """Stands for a model of detectron2's that has answered already."""

    backbone: Any = None  # no test of it gives boxes
    roi_heads: Any = None
    preprocess_image: Any = None

    def __init__(self, instances: Instances) -> None:
        self.instances = instances
        self.asked: list[Mapping[str, Any]] = []

    def inference(self, batched_inputs: Sequence[Mapping[str, Any]], *, do_postprocess: bool) -> list[Instances]:
        assert not do_postprocess
        self.asked += batched_inputs
        return [self.instances]


def own_input(item: Mapping[str, Any], mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Any]:
    """What detectron2's preprocessing does: normalise, pad to multiples of 32."""
    image = item["image"]
    assert image.dtype == torch.float32
    size = (image.shape[1], image.shape[2])
    assert size == (item["height"], item["width"])
    height, width = (-(-side // 32) * 32 for side in size)
    padded = torch.zeros(1, 3, height, width)
    padded[0, :, : size[0], : size[1]] = (image - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    return padded, size


class OurRCNN:
    """Our network behind detectron2's interface."""

    def __init__(self, network: RCNN) -> None:
        self.network = network
        self.backbone: Any = network.feature_maps
        self.roi_heads: Any = OurRoIHeads(network)  # whose fields are methods

    def preprocess_image(self, batched_inputs: Sequence[Mapping[str, Any]]) -> Any:
        (item,) = batched_inputs
        config = self.network.config
        return SimpleNamespace(tensor=own_input(item, config.pixel_mean, config.pixel_std)[0])

    def inference(self, batched_inputs: Sequence[Mapping[str, Any]], *, do_postprocess: bool) -> list[Instances]:
        assert not do_postprocess
        (item,) = batched_inputs
        config = self.network.config
        features, found = self.network.detect(*own_input(item, config.pixel_mean, config.pixel_std))
        masks = self.network.mask_logits(features, found.boxes, found.classes).sigmoid()[:, None]
        fields = {"pred_boxes": Boxes(found.boxes), "scores": found.scores, "pred_classes": found.classes}
        return [Instances(**fields, pred_masks=masks)]


class OurSemantic:
    """Our semantic network behind detectron2's interface."""

    def __init__(self, network: SemanticPointRend) -> None:
        self.network = network

    def __call__(self, batched_inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Tensor]]:
        (item,) = batched_inputs
        images, (height, width) = own_input(item, self.network.config.pixel_mean, self.network.config.pixel_std)
        logits = self.network.logits(images, 2)
        return [{"sem_seg": logits.rows(0, height)[:, :, :width]}]


def info(count: int) -> ModelInfo:
    categories = tuple(Category(number, f"thing {number}") for number in range(1, count + 1))
    return ModelInfo(name="tested", version="1", categories=categories)


def rcnn_config(case: Path) -> ModelConfig:
    config = read_config(case / "config.yaml")
    assert isinstance(config, ModelConfig)
    return config


def photo(name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(GOLDEN / "images" / name).convert("RGB"))


@pytest.fixture(scope="module")
def both() -> tuple[InstanceSegmenter, Detectron2Segmenter]:
    """The same network, run by us and behind detectron2's interface."""
    case = GOLDEN / "pointrend_3class_portrait"
    network = RCNN(rcnn_config(case)).eval()
    load_into(network, read_checkpoint(case / "model_final.pkl"))
    return InstanceSegmenter(network, info(3)), Detectron2Segmenter(
        OurRCNN(network), network.config, info(3), STRUCTURES
    )


@pytest.mark.parametrize(
    "options",
    [
        Options(score_threshold=0.0),
        Options(score_threshold=0.3, max_detections=4, categories=("thing 2", "3"), masks="polygon"),
        Options(score_threshold=0.0, task="detection"),
        Options(score_threshold=0.0, task="semantic"),
        Options(score_threshold=0.0, masks="none"),
        Options(score_threshold=1.0),
    ],
)
def test_the_same_network_gives_the_same_answer(
    both: tuple[InstanceSegmenter, Detectron2Segmenter], options: Options
) -> None:
    ours, theirs = both
    picture = photo("astronaut_crop_280x512.png")
    expected, answered = ours(picture, replace(options, exact=True)), theirs(picture, options)
    assert answered.to_dict() | {"timing_ms": None} == expected.to_dict() | {"timing_ms": None}
    assert set(answered.timing_ms) == {"inference", "encode"}
    assert bool(answered.instances or answered.segments) == (options.score_threshold < 1)


@pytest.mark.parametrize("masks", ["rle", "probability"])
def test_given_boxes_get_the_same_masks(both: tuple[InstanceSegmenter, Detectron2Segmenter], masks: str) -> None:
    """Some named, some left to the box head, one beyond the image's edge; or none at all."""
    ours, theirs = both
    picture = photo("astronaut_crop_280x512.png")
    boxes = (BoxPrompt(20, 30, 200, 400), BoxPrompt(50, 60, 100, 90, "thing 2"), BoxPrompt(-9, 400, 120, 300, "3"))
    for given in (boxes, ()):
        options = Options(boxes=given, masks=masks)
        expected, answered = ours(picture, replace(options, exact=True)), theirs(picture, options)
        assert len(answered.instances) == len(given)
        for own, other in zip(expected.instances, answered.instances, strict=True):
            assert other.to_dict() | {"score": None} == own.to_dict() | {"score": None}
            assert other.score == pytest.approx(own.score, abs=1e-6)
    assert theirs.takes_boxes


def test_arrays_that_detectron2_produced_become_its_own_detections() -> None:
    """Mask R-CNN's boxes, scores, classes and mask logits as they left detectron2, against what it made of them."""
    case = GOLDEN / "maskrcnn_coco80_landscape"
    config = rcnn_config(case)
    final = json.loads((case / "final.json").read_text())["detections"]
    with np.load(case / "arrays.npz") as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    model = Answering(
        Instances(
            pred_boxes=Boxes(arrays["det_boxes_net"]),
            scores=arrays["det_scores"],
            pred_classes=arrays["det_classes"],
            pred_masks=arrays["mask_logits_28"].sigmoid()[:, None],
        )
    )
    picture = photo("coffee_600x400.png")
    answered = Detectron2Segmenter(model, config, info(80), STRUCTURES)(picture, Options(score_threshold=0.0))
    (asked,) = model.asked
    assert asked["image"].shape == (3, asked["height"], asked["width"])
    assert min(asked["height"], asked["width"]) <= config.min_size
    assert config.input_format == "BGR"
    assert asked["image"][0].mean().item() == pytest.approx(float(picture[..., 2].mean()), abs=1)
    assert [each.category_id for each in answered.instances] == (arrays["final_classes"] + 1).tolist()
    assert [each.score for each in answered.instances] == pytest.approx(arrays["final_scores"].tolist())
    corners = [(x, y, x + width, y + height) for x, y, width, height in (each.bbox for each in answered.instances)]
    assert np.allclose(corners, arrays["final_boxes"], atol=0.01)
    differing = total = 0
    for each, expected in zip(answered.instances, final, strict=True):
        reference = coco_mask.decode(expected["segmentation"]).astype(bool)
        differing += int((each.mask() != reference).sum())
        total += int(reference.sum())
    assert differing <= 0.0005 * total


def test_a_photo_without_any_object() -> None:
    """PointRend's head then leaves the masks out."""
    nothing = Instances(
        pred_boxes=Boxes(torch.zeros(0, 4)), scores=torch.zeros(0), pred_classes=torch.zeros(0, dtype=torch.int64)
    )
    config = rcnn_config(GOLDEN / "pointrend_3class_portrait")
    segmenter = Detectron2Segmenter(Answering(nothing), config, info(3), STRUCTURES)
    for task in segmenter.tasks:
        answered = segmenter(photo("coffee_600x400.png"), Options(task=task))
        assert (answered.instances, answered.segments) == ((), ())


def test_a_semantic_model() -> None:
    case = GOLDEN / "semantic_cityscapes19_landscape"
    config = read_config(case / "config.yaml")
    assert isinstance(config, SemanticConfig)
    network = SemanticPointRend(config).eval()
    load_into(network, read_checkpoint(case / "model_final.pkl"))
    picture = photo("coffee_600x400.png")
    expected = SemanticSegmenter(network, info(19))(picture)
    segmenter = Detectron2SemanticSegmenter(OurSemantic(network), config, info(19))
    answered = segmenter(picture)
    assert answered.segments == expected.segments
    assert answered.segments
    with pytest.raises(InvalidOption, match="not objects"):
        segmenter(picture, Options())
    with pytest.raises(InvalidOption, match="a category for each pixel, not objects: omit boxes"):
        segmenter(picture, Options(boxes=()))
    with pytest.raises(InvalidOption, match="always refines"):
        segmenter(picture, Options(task="semantic", refinement=1))


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        (Options(points=True), "points", "engine detectron2, which runs tested here, does not report its points"),
        (Options(zoom=True), "zoom", "engine detectron2, which runs tested here, does not show its features"),
        (Options(refinement=2), "refinement", "refinement=2: the engine detectron2.*always refines.*Leave .* at 4"),
        (Options(budget_ms=50), "budget_ms", "budget_ms=50: the engine detectron2.*always refines.*Leave it out"),
        (Options(mask_head="conv"), "mask_head", "tested has no convolutional mask head"),
        (Options(boxes=(BoxPrompt(900, 2, 30, 40),)), "boxes[0]", "outside the image of 600x400"),
        (Options(categories=("thing 9",)), "categories", "knows no category 'thing 9'"),
    ],
)
def test_what_it_cannot_do_is_named(
    both: tuple[InstanceSegmenter, Detectron2Segmenter], options: Options, field: str, message: str
) -> None:
    with pytest.raises(InvalidOption, match=message) as raised:
        both[1](photo("coffee_600x400.png"), options)
    assert raised.value.field == field
    assert (both[1].has_points, both[1].has_conv_head) == (False, False)


@pytest.mark.parametrize("name", zoo.names())
def test_every_published_configuration_is_in_detectron2s_keys(name: str) -> None:
    config = zoo.find(name).config
    tree = detectron2.configuration(config)
    assert config_from_dict(tree) == config
    assert not {"CONV_MASK_HEAD", "EFFICIENTNET_LITE"} & set(tree["MODEL"])


def test_a_second_mask_head_and_the_masks_calibration_are_left_out() -> None:
    config = rcnn_config(GOLDEN / "pointrend_3class_portrait")
    tree = detectron2.configuration(replace(config, conv_mask=ConvMaskConfig(), mask_calibration=(1.1, -0.2)))
    assert config_from_dict(tree) == config


def test_a_backbone_that_it_has_not_is_named() -> None:
    config = rcnn_config(GOLDEN / "pointrend_3class_portrait")
    with pytest.raises(ConfigError, match="does not support this model's backbone, EfficientNet-Lite"):
        detectron2.configuration(replace(config, trunk=EfficientNetConfig()))


class Heads(nn.Module):
    """A network with what detectron2's modules hold besides weights."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 3)
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("pixel_mean", torch.ones(3))


def test_weights_are_checked_by_name_and_shape() -> None:
    model = Heads()
    state = {name: torch.full_like(value, 0.5) for name, value in model.state_dict().items()}
    del state["pixel_mean"], state["norm.num_batches_tracked"]
    half = {name: value.half() for name, value in state.items()}
    detectron2.load_weights(model, half | {"roi_heads.conv_mask_head.predictor.bias": torch.zeros(3)})
    assert model.fc.weight.tolist() == [[0.5, 0.5]] * 3
    with pytest.raises(CheckpointError, match=r"the checkpoint lacks fc\.weight and 1 more\."):
        detectron2.load_weights(model, {name: value for name, value in state.items() if "fc" not in name})
    with pytest.raises(CheckpointError, match=r"detectron2's network has no place for other\."):
        detectron2.load_weights(model, state | {"other": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="size mismatch"):
        detectron2.load_weights(model, state | {"fc.bias": torch.zeros(4)})


def test_our_weights_have_detectron2s_names(both: tuple[InstanceSegmenter, Detectron2Segmenter]) -> None:
    """A checkpoint that detectron2 wrote fits, name by name, what our network saves."""
    state = read_checkpoint(GOLDEN / "pointrend_3class_portrait" / "model_final.pkl")
    network = build_network(both[1].config)
    detectron2.load_weights(network, state)
    assert torch.equal(network.state_dict()["backbone.fpn_lateral2.weight"], state["backbone.fpn_lateral2.weight"])


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    case = GOLDEN / "pointrend_3class_portrait"
    return convert(case / "model_final.pkl", case / "config.yaml", tmp_path / "model", info(3))


def test_where_it_is_not_installed_the_package_is_named(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: None)  # also where it is
    with pytest.raises(ConfigError, match=r"needs the Python package detectron2, which .*pip install .*git\+https"):
        pointrend.load(folder.path, engine="detectron2")


def test_one_that_cannot_be_imported_is_no_crash(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: "found")
    monkeypatch.setitem(sys.modules, "detectron2", None)  # as Python itself says of a module that is not there
    monkeypatch.setitem(sys.modules, "detectron2.config", None)
    with pytest.raises(ConfigError, match="is installed, but cannot be imported with its project PointRend"):
        pointrend.load(folder.path, engine="detectron2")
