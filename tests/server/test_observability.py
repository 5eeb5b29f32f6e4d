"""What an operator sees: metrics on their port, one line of JSON a request in the log, request ids in answers."""

import json
import re
import time
from pathlib import Path

import pytest
import requests

from pointrend.service.metrics import DESCRIPTIONS
from pointrend.serving.torchserve import TorchServe

pytestmark = pytest.mark.server

PHOTO = (Path(__file__).parents[1] / "demo" / "astronaut.png").read_bytes()
RAW = {"Content-Type": "application/octet-stream"}


def ask(either, data=PHOTO, **headers):
    return requests.post(f"{either.url}/predictions/pointrend", data=data, headers=RAW | headers, timeout=120)


def metrics(either):
    """Every sample of the metrics port, by name and labels (Hostname left out)."""
    samples = {}
    for line in requests.get(either.metrics_url, timeout=30).text.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match:
            labels = re.findall(r'(\w+)="([^"]*)"', match[2] or "")
            samples[match[1], tuple(sorted(label for label in labels if label[0] != "Hostname"))] = float(match[3])
    return samples


def total(samples, name, **labels):
    return sum(value for (each, given), value in samples.items() if each == name and set(labels.items()) <= set(given))


def eventually(condition):
    """TorchServe reads metrics and log lines from the worker's output: they come a moment after the answer."""
    deadline = time.monotonic() + 30
    while not (result := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return result


def test_metrics_count_images_instances_stages_and_errors(either):
    before = metrics(either)
    answer = ask(either, **{"X-PointRend-Options": "task=detection"})
    found = len(answer.json()["instances"])
    assert found
    assert ask(either, b"no photo").status_code == 415
    grown = {
        ("pointrend_images_total", (("task", "detection"), ("format", "json"))): 1,
        ("pointrend_instances_total", (("ModelName", "pointrend"),)): found,
        ("pointrend_errors_total", (("code", "unsupported_image"),)): 1,
        ("pointrend_decode_seconds_count", ()): 1,
        ("pointrend_inference_seconds_count", ()): 1,
        ("pointrend_encode_seconds_count", ()): 1,
        ("pointrend_reply_seconds_count", ()): 1,
    }

    def all_grown():
        after = metrics(either)
        return (
            after
            if all(
                total(after, name, **dict(labels)) - total(before, name, **dict(labels)) == by
                for (name, labels), by in grown.items()
            )
            else None
        )

    after = eventually(all_grown)
    seconds = total(after, "pointrend_inference_seconds_sum") - total(before, "pointrend_inference_seconds_sum")
    assert seconds == pytest.approx(answer.json()["timing_ms"]["inference"] / 1000, abs=1e-4)
    assert total(after, "pointrend_inference_seconds_bucket", le="+Inf") >= 1
    # TorchServe's own stand beside them.
    assert total(after, "ts_inference_requests_total") >= 2
    names = {name for name, _ in after}
    assert all(name in names or f"{name}_count" in names for name in DESCRIPTIONS)


def test_the_log_has_a_line_of_json_for_each_request(either):
    good = ask(either, **{"X-Request-Id": "trace-7:a"})
    bad = ask(either, b"no photo")
    lines = eventually(lambda: _lines(either, {good.headers["x-request-id"], bad.headers["x-request-id"]}))
    line = lines[good.headers["x-request-id"]]
    assert line["client_request_id"] == good.headers["X-Client-Request-Id"] == "trace-7:a"
    assert (line["transport"], line["status"], line["task"], line["format"]) == ("rest", 200, "instances", "json")
    assert (line["width"], line["height"], line["image_bytes"]) == (512, 512, len(PHOTO))
    assert line["found"] == len(good.json()["instances"])
    assert line["answer_bytes"] == len(good.content)
    assert set(line["timing_ms"]) == {"decode", "inference", "encode", "reply"}
    refused = lines[bad.headers["x-request-id"]]
    assert (refused["status"], refused["code"], refused["field"]) == (415, "unsupported_image", "image")


def test_browsers_are_told_how_long_each_stage_took(either):
    timing = ask(either).headers["Server-Timing"]
    assert re.fullmatch(r"decode;dur=\S+, inference;dur=\S+, encode;dur=\S+, reply;dur=\S+", timing)


def _lines(either, wanted):
    kept = "logs/model_log.log" if isinstance(either, TorchServe) else "output.log"
    text = (either.folder / kept).read_text()
    lines = [json.loads(found) for found in re.findall(r'\{"event": "request".*\}$', text, re.MULTILINE)]
    by_id = {line["request_id"]: line for line in lines}
    return by_id if wanted <= set(by_id) else None
