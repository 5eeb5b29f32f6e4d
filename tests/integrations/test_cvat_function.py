"""CVAT's SDK and command line and nuclio's classes, from the registry, take what we give. CVAT's server is not run."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import logging
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import pointrend
from pointrend.client import Client
from pointrend.errors import InvalidOption, ServerError
from pointrend.images.inputs import pixels
from pointrend.inference.base import Segmenter
from pointrend.masks.polygon_runs import polygon_runs
from pointrend.masks.rle import crop_of_runs
from pointrend.serving.torchserve import TorchServe
from pointrend.structures.prediction import Instance

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "tests" / "demo"
NUCLIO = ROOT / "deploy" / "cvat" / "nuclio"
PHOTO = DEMO / "astronaut.png"


@pytest.fixture(scope="module")
def cvat(cvat_folder: Path) -> Iterator[Any]:
    """The SDK's module of functions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(cvat_folder))
        import cvat_sdk.auto_annotation

        yield cvat_sdk.auto_annotation


@pytest.fixture(scope="module")
def segmenter() -> Segmenter[Any]:
    return pointrend.load("demo")


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return Image.open(PHOTO).convert("RGB")


@pytest.fixture(scope="module")
def own(segmenter: Segmenter[Any]) -> tuple[Instance, ...]:
    return segmenter(pixels(PHOTO)).instances


def create(*arguments: Any, **keywords: Any) -> Any:
    from pointrend.integrations import cvat as module

    return module.create(*arguments, **keywords)


def detected(cvat: Any, function: Any, image: Image.Image, **asked: Any) -> list[Any]:
    context = cvat.driver._DetectionFunctionContextImpl(frame_name="photo.png", **asked)
    return list(function.detect(context, image))


def mapped(cvat: Any, function: Any, shapes: list[Any], labels: list[Any], **keywords: Any) -> list[Any]:
    """What CVAT uploads, after its own checks."""
    mapper = cvat.driver._AnnotationMapper(
        logging.getLogger("cvat"),
        function.spec.labels,
        labels,
        **{"allow_unmatched_labels": True, "conv_mask_to_poly": False, **keywords},
    )
    tags, uploaded = mapper.validate_and_remap(shapes, 5)
    assert tags == []
    return list(uploaded)


def task_label(name: str, number: int, kind: str = "any") -> Any:
    return SimpleNamespace(name=name, id=number, type=kind, attributes=[], sublabels=[])


def test_masks_are_the_models_own_pixel_for_pixel(
    cvat: Any, segmenter: Segmenter[Any], image: Image.Image, own: tuple[Instance, ...]
) -> None:
    from cvat_sdk.masks import decode_mask

    function = create(segmenter)
    shapes = detected(cvat, function, image)
    assert len(shapes) == len(own) > 0
    for shape, instance in zip(shapes, own, strict=True):
        assert shape.type.value == "mask"
        mask = decode_mask(shape.points, image_width=image.width, image_height=image.height)
        assert np.array_equal(mask, instance.mask())
    uploaded = mapped(cvat, function, shapes, [task_label("person", 44, "mask")])
    assert [(each.label_id, each.frame, each.source) for each in uploaded] == [(44, 5, "auto")] * len(own)


def test_polygons_of_one_object_are_one_group(
    cvat: Any, segmenter: Segmenter[Any], image: Image.Image, own: tuple[Instance, ...]
) -> None:
    size = image.height, image.width
    for shapes in (
        detected(cvat, create(segmenter, shape="polygon"), image),
        detected(cvat, create(segmenter), image, conv_mask_to_poly=True),
    ):
        assert {each.type.value for each in shapes} == {"polygon"}
        x, y, crop = crop_of_runs(*polygon_runs([each.points for each in shapes], size), size[0])
        drawn = np.zeros(size, bool)
        drawn[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        mask = np.any([each.mask() for each in own], axis=0)
        assert (drawn & mask).sum() > 0.97 * (drawn | mask).sum()


def test_parts_share_a_group_that_no_other_image_has(cvat: Any, segmenter: Segmenter[Any]) -> None:
    from pointrend.integrations.cvat import PointRendFunction
    from pointrend.integrations.source import LocalSource
    from pointrend.structures.prediction import Prediction

    ring, other = [1.0, 1, 5, 1, 5, 5, 1, 5], [10.0, 10, 15, 10, 15, 15, 10, 15]
    parts = Instance(1, "person", 0.9, (1, 1, 14, 14), 41, [ring, other])
    whole = Instance(17, "cat", 0.8, (1, 1, 4, 4), 16, [ring])

    class Parts(LocalSource):
        def __call__(self, image: Any, **options: Any) -> Prediction:
            return Prediction(width=20, height=20, instances=(parts, whole), model={}, timing_ms={})

    function = PointRendFunction(Parts(segmenter), shape="polygon")
    blank = Image.new("RGB", (20, 20))
    first, second = (detected(cvat, function, blank) for _ in range(2))
    assert [getattr(each, "group", None) for each in first] == [1, 1, None]
    assert [getattr(each, "group", None) for each in second] == [2, 2, None]
    assert len(mapped(cvat, function, first, [task_label("person", 1), task_label("cat", 2)])) == 3


def test_rectangles_and_thresholds(cvat: Any, segmenter: Segmenter[Any], image: Image.Image) -> None:
    function = create(segmenter, shape="rectangle", conf_threshold=0.2)
    many, few = detected(cvat, function, image), detected(cvat, function, image, conf_threshold=0.999)
    assert many
    assert few == []
    x0, y0, x1, y1 = many[0].points
    assert 0 <= x0 < x1 <= image.width
    assert 0 <= y0 < y1 <= image.height


@pytest.mark.parametrize("labels", [{"person": "animal", "cat": "animal"}, "person=animal, cat = animal"])
def test_categories_go_into_the_tasks_labels(
    cvat: Any, segmenter: Segmenter[Any], image: Image.Image, own: tuple[Instance, ...], labels: Any
) -> None:
    function = create(segmenter, labels=labels)
    assert [(each.name, each.id) for each in function.spec.labels] == [("animal", 1)]
    cat = Image.open(DEMO / "chelsea.png").convert("RGB")
    shapes = detected(cvat, function, image) + detected(cvat, function, cat)
    assert len(shapes) == len(own) + 1
    keywords = {"allow_unmatched_labels": False}
    assert {each.label_id for each in mapped(cvat, function, shapes, [task_label("animal", 9)], **keywords)} == {9}
    assert detected(cvat, create(segmenter, labels="cat"), image) == []


def test_labels_are_checked_before_anything_runs(cvat: Any, segmenter: Segmenter[Any]) -> None:
    from pointrend.integrations.cvat import check_labels

    for labels, sentence in (
        ("person,catt", r"labels: This model knows no category 'catt'\. Did you mean 'cat'"),
        ("catt,drog", r"no category 'catt', 'drog'\. It knows person, "),
        ("person=", "labels gives 'person' no label"),
        ("", "labels names no category"),
    ):
        with pytest.raises(InvalidOption, match=sentence):
            create(segmenter, labels=labels)
    function = create(segmenter, labels="person=pedestrian,cat,dog")
    task = [task_label("cat", 1, "polygon"), task_label("tree", 2)]
    with pytest.raises(InvalidOption, match=r"no label 'pedestrian', 'dog'\..* under 'cat \(of type polygon") as told:
        check_labels(function, task)
    assert told.value.limit == ["cat", "tree"]
    check_labels(create(segmenter, labels="cat"), task, conv_mask_to_poly=True)
    check_labels(create(segmenter, labels="person=tree"), task)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shape": "skeleton"}, "shape must be one of mask, polygon, rectangle"),
        ({"score_threshold": 0.5}, "score_threshold cannot be set here: give conf_threshold"),
        ({"task": "semantic"}, "task cannot be semantic"),
        ({"conf_threshold": 2}, "score_threshold"),
        ({"tile": 1024}, "There is no option 'tile'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    cvat: Any, segmenter: Segmenter[Any], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidOption, match=sentence):
        create(segmenter, **options)


def test_the_command_line_loads_it_by_its_parameters(cvat: Any) -> None:
    from cvat_cli._internal.common import FunctionLoader
    from cvat_cli._internal.parsers import parse_function_parameter

    given = ("model=str:demo", "labels=str:person=pedestrian,cat", "shape=str:polygon", "refinement=int:2")
    parameters = dict(map(parse_function_parameter, given))
    function = FunctionLoader("pointrend.integrations.cvat", None, parameters).load()
    assert [(each.name, each.type) for each in function.spec.labels] == [("pedestrian", "polygon"), ("cat", "polygon")]


@pytest.mark.server
def test_a_server_gives_the_same(
    cvat: Any, served: TorchServe, segmenter: Segmenter[Any], image: Image.Image, nuclio: Any
) -> None:
    from cvat_sdk.masks import encode_mask

    here = [each.points for each in detected(cvat, create(segmenter), image)]
    assert [each.points for each in detected(cvat, create(served.url), image)] == here
    with Client(served.url) as client:
        assert [each.points for each in detected(cvat, create(client), image)] == here
    with pytest.raises(ServerError):
        create("http://127.0.0.1:9")
    # And through nuclio: its mask is of single pixels, which CVAT's server encodes.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTREND_URL", served.url)
        patch.delenv("POINTREND_TOKEN", raising=False)
        main, context = nuclio
        main.init_context(context)
        answer = main.handler(context, event({"image": base64.b64encode(PHOTO.read_bytes()).decode()}))
        assert (answer.status_code, answer.content_type) == (200, "application/json")
        shapes = json.loads(answer.body)
        known = {each["name"] for each in json.loads(function_yaml()["metadata"]["annotations"]["spec"])}
        for shape, points in zip(shapes, here, strict=True):
            assert shape["type"] == "mask"
            assert shape["label"] in known
            *flat, left, top, right, bottom = shape["mask"]
            mask = np.array(flat, bool).reshape(bottom - top + 1, right - left + 1)
            *runs, _, _, _, _ = encode_mask(mask, (0, 0, mask.shape[1], mask.shape[0]))
            assert [*runs, left, top, right, bottom] == points
            assert len(shape["points"]) >= 6
        assert json.loads(main.handler(context, event({"image": shape_of_nothing(), "threshold": 0.9})).body) == []
        for body, status, sentence in (
            ({}, 400, "field image"),
            ({"image": "%"}, 400, "field image"),
            ({"image": base64.b64encode(b"no image").decode()}, 415, "image"),
            ({"image": shape_of_nothing(), "threshold": 3}, 422, "score_threshold"),
        ):
            refused = main.handler(context, event(body))
            assert refused.status_code == status
            assert sentence in json.loads(refused.body)


@pytest.fixture
def nuclio(cvat_folder: Path) -> Iterator[Any]:
    """The handler's module and a context of nuclio's own kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(cvat_folder))
        from nuclio_sdk import Context, Response
        from nuclio_sdk.logger import Logger

        spec = importlib.util.spec_from_file_location("nuclio_main", NUCLIO / "main.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        context = Context(logger=Logger(logging.INFO))
        context.Response = Response
        yield module, context


def event(body: Any) -> Any:
    from nuclio_sdk import Event

    return Event(body=body)


def shape_of_nothing() -> str:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 90, 90)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def function_yaml() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((NUCLIO / "function.yaml").read_text(encoding="utf-8"))
    return tree


def test_nuclios_file_names_the_models_categories_and_the_handler(segmenter: Segmenter[Any]) -> None:
    tree = function_yaml()
    labels = json.loads(tree["metadata"]["annotations"]["spec"])
    assert [(each["id"], each["name"]) for each in labels] == [
        (each.id, each.name) for each in segmenter.info.categories
    ]
    assert {each["type"] for each in labels} == {"mask"}
    module, function = tree["spec"]["handler"].split(":")
    assert f"def {function}(" in (NUCLIO / f"{module}.py").read_text(encoding="utf-8")


def test_the_nuclio_handler_needs_only_what_its_image_has() -> None:
    directives = function_yaml()["spec"]["build"]["directives"]["preCopy"]
    (install,) = [each["value"] for each in directives if "pip" in each["value"]]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    absent = {re.split(r"[^\w-]", each)[0] for each in project} - set(install.split())
    assert "torch" in absent
    code = "import sys; sys.path.insert(0, sys.argv[1]); sys.modules.update(dict.fromkeys(sys.argv[2:])); import main"
    code += "; from pointrend.client import Client; Client('http://127.0.0.1:9').close()"
    subprocess.run([sys.executable, "-c", code, str(NUCLIO), *absent], check=True, timeout=120)


def test_without_cvat_the_extra_is_named() -> None:
    code = "import sys; sys.modules['cvat_sdk'] = None; import pointrend.integrations.cvat"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'pointrend-serve[cvat]'" in done.stderr.splitlines()[-1]
