"""TorchServe's gRPC calls on the served model, with its traps: lost statuses, and streams that end workers."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import requests

from pointrend.client.grpc_stubs import SERVICE, InferenceStub, PredictionResponse, PredictionsRequest
from tests.workers import workers_of

pytestmark = pytest.mark.server

PHOTO = (Path(__file__).parents[1] / "demo" / "astronaut.png").read_bytes()
LARGE = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@pytest.fixture(scope="module")
def stub(served):
    with grpc.insecure_channel(served.grpc_address, LARGE) as channel:
        yield InferenceStub(channel)


def request(**fields):
    return PredictionsRequest(model_name="pointrend", input=fields)


def predict(stub, **fields):
    return stub.Predictions(request(**fields), timeout=120).prediction


def workers(served):
    return {process.pid for process in workers_of(served)}


def test_predictions_are_those_of_rest(served, stub):
    by_grpc = json.loads(predict(stub, image=PHOTO, masks=b"polygon", max_detections=b"2"))
    by_rest = requests.post(
        f"{served.url}/predictions/pointrend",
        files={"image": PHOTO},
        data={"masks": "polygon", "max_detections": "2"},
        timeout=120,
    ).json()
    assert by_grpc["instances"]
    assert by_grpc["instances"] == by_rest["instances"]


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"format": b"png"}, b"\x89PNG"),
        ({"format": b"label_map"}, b"\x89PNG"),
        ({"task": b"semantic", "format": b"label_map"}, b"\x89PNG"),
        ({"format": b"cutouts"}, b"PK"),
        ({"task": b"detection"}, b"{"),
    ],
)
def test_every_format_comes_as_bytes(stub, options, start):
    assert predict(stub, image=PHOTO, **options).startswith(start)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"image": b"no photo"}, 415, "unsupported_image"),
        ({"image": PHOTO, "mask": b"none"}, 422, "unknown_option"),
        ({"image": PHOTO, "url_path": b"x"}, 422, "unknown_option"),
        ({"image": PHOTO, "task": b"detection", "format": b"cutouts"}, 422, "unsupported_combination"),
        ({}, 400, "missing_image"),
        ({"image": bytes(21 * 2**20)}, 413, "image_too_large"),
    ],
)
def test_a_refusal_is_recognised_by_its_body(stub, fields, status, code):
    error = json.loads(predict(stub, **fields))["error"]
    assert (error["status"], error["code"]) == (status, code)


def test_what_needs_no_image(stub):
    assert json.loads(predict(stub, health=b"true"))["health"] == "ok"
    assert json.loads(predict(stub, describe=b"true"))["name"] == "pointrend-demo"


def test_a_request_over_the_limit_is_cancelled(stub):
    with pytest.raises(grpc.RpcError) as raised:
        predict(stub, image=bytes(29 * 2**20))
    assert raised.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert json.loads(predict(stub, health=b"true"))["health"] == "ok"


def test_a_stream_has_one_answer_and_the_worker_lives(served, stub):
    before = workers(served)
    for _ in range(2):
        answers = list(stub.StreamPredictions(request(image=PHOTO, max_detections=b"1"), timeout=120))
        assert len(answers) == 1
        assert json.loads(answers[0].prediction)["instances"]
    (refused,) = stub.StreamPredictions(request(image=b"no photo"), timeout=120)
    assert json.loads(refused.prediction)["error"]["code"] == "unsupported_image"
    assert len(json.loads(predict(stub, image=PHOTO, max_detections=b"1"))["instances"]) == 1
    assert workers(served) == before


def test_torchserves_stateful_stream_ends_without_an_answer(served, stub):
    """StreamPredictions2 is for models with sequences; on this one TorchServe answers by itself, and nothing breaks."""
    before = workers(served)
    with grpc.insecure_channel(served.grpc_address, LARGE) as channel:
        call = channel.stream_stream(
            f"/{SERVICE}/StreamPredictions2",
            request_serializer=PredictionsRequest.SerializeToString,
            response_deserializer=PredictionResponse.FromString,
        )
        answers = list(call(iter([request(image=PHOTO)]), timeout=60))
    assert [answer.prediction for answer in answers] == [b""]
    assert json.loads(predict(stub, health=b"true"))["health"] == "ok"
    assert workers(served) == before


def test_rest_grpc_and_streams_share_batches(served, stub):
    """Sent at once; each answer belongs to its own request."""
    before = workers(served)

    def rest(count):
        data = {"max_detections": str(count), "score_threshold": "0.05"}
        return requests.post(
            f"{served.url}/predictions/pointrend", files={"image": PHOTO}, data=data, timeout=120
        ).content

    def unary(count):
        return predict(stub, image=PHOTO, max_detections=str(count).encode(), score_threshold=b"0.05")

    def stream(count):
        fields = {"image": PHOTO, "max_detections": str(count).encode(), "score_threshold": b"0.05"}
        (answer,) = stub.StreamPredictions(request(**fields), timeout=120)
        return answer.prediction

    asked = [(call, 1 + index % 3) for index, call in enumerate([rest, unary, stream, rest] * 3)]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda one: one[0](one[1]), asked))
    assert [len(json.loads(answer)["instances"]) for answer in answers] == [count for _, count in asked]
    assert workers(served) == before
