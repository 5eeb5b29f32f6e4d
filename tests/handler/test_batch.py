"""A batch that TorchServe hands over: every request is answered for itself, whatever its neighbours are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import ts
from ts.context import Context, RequestProcessor
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

from handler.pointrend_handler import PointRendHandler
from pointrend.modeling.preprocess import network_size
from pointrend.service.answering import HEALTH_IMAGE
from pointrend.weights import zoo
from pointrend.weights.folder import ModelFolder

PHOTO = (Path(__file__).parents[1] / "demo" / "astronaut.png").read_bytes()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """What TorchServe's worker gives a handler, in its own classes."""
    (tmp_path / "model").symlink_to(ModelFolder.open("demo").path)
    made = Context("pointrend", str(tmp_path), {}, 4, None, "0.12")
    made.model_yaml_config = {"handler": {"max_image_bytes": len(PHOTO), "max_tiles": 4}}
    made.metrics = MetricsCacheYamlImpl(Path(ts.__file__).parent / "configs" / "metrics.yaml")
    made.metrics.initialize_cache()
    made.metrics.set_request_ids("the worker's")
    return made


def test_each_request_of_a_batch_is_answered_for_itself(context: Context) -> None:
    requests: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
        ({}, {"body": bytearray(PHOTO)}),
        ({}, {"body": bytearray(b"no photo")}),
        ({}, {"image": bytearray(PHOTO), "format": "png"}),
        ({}, {"image": bytearray(PHOTO), "task": "panoptic"}),
        ({}, {"body": bytearray(PHOTO + b" ")}),
        ({}, {"describe": bytearray(b"true")}),
        ({"X-Request-Id": "mine"}, {"body": bytearray(PHOTO)}),
        ({"body": {"content-type": "application/json"}}, {"body": {"image": "AAAA", "\ud800": "\udfff"}}),
        ({"X-PointRend-Options": "\ud800=1"}, {"body": bytearray(PHOTO)}),
        ({}, {"image": bytearray(PHOTO), "tiles": "384"}),
        ({}, {"image": bytearray(PHOTO), "tiles": "256"}),
    ]
    context.request_ids = {index: f"request {index}" for index in range(len(requests))}
    context.request_processor = [RequestProcessor(dict(headers)) for headers, _ in requests]
    handler = PointRendHandler()
    handler.initialize(context)

    answers = handler.handle([data for _, data in requests], context)

    replies = [each.get_response_headers() for each in context.request_processor]
    statuses = [each.get_response_status_code() for each in context.request_processor]
    assert statuses == [200, 415, 200, 422, 413, 200, 200, 400, 422, 200, 422]
    assert answers[2].startswith(b"\x89PNG")
    assert [reply.get("X-Client-Request-Id") for reply in replies] == [None] * 6 + ["mine", None, None, None, None]
    trees = {index: json.loads(answer) for index, answer in enumerate(answers) if index != 2}
    assert {index: tree["error"]["field"] for index, tree in trees.items() if "field" in tree.get("error", {})} == {
        1: "image",
        3: "task",
        4: "image",
        8: "?",
        10: "tiles",
    }
    assert trees[9]["instances"][0]["category"] == "person"
    assert "into 9 tiles; at most 4 are allowed: send tiles=284 or more" in trees[10]["error"]["message"]
    assert trees[0]["instances"] == trees[6]["instances"]
    assert trees[0]["instances"][0]["category"] == "person"
    assert "limits" in trees[5]


@pytest.mark.parametrize("model", zoo.models(), ids=lambda model: model.name)
def test_asking_for_health_costs_a_fraction_of_a_photo(model: zoo.ZooModel) -> None:
    """Probes ask often, and give up after seconds."""
    height, width = network_size(*HEALTH_IMAGE.shape[:2], model.config)
    photo_height, photo_width = network_size(480, 640, model.config)
    assert 10 * height * width < photo_height * photo_width


def test_health_is_a_prediction(context: Context) -> None:
    context.request_ids, context.request_processor = {0: "probe"}, [RequestProcessor({})]
    handler = PointRendHandler()
    handler.initialize(context)
    (answer,) = handler.handle([{"health": b"true"}], context)
    assert json.loads(answer)["health"] == "ok"
    assert json.loads(answer)["model"]["name"] == "pointrend-demo"
