"""The client against real servers: the same results and the same errors over REST and gRPC."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pointrend.client import AsyncClient, Client, Retries, tokens
from pointrend.errors import ImageTooLarge, InvalidOption, InvalidRequest, RequestError, ServerError, UnsupportedImage
from pointrend.system.environment import KEY_FILE

pytestmark = pytest.mark.server

PHOTO = Path(__file__).parent.parent / "demo" / "astronaut.png"
TRANSPORTS = pytest.mark.parametrize("transport", ["rest", "rpc"])
ONCE = Retries(count=0)
PATIENT = Retries(count=1000, first=0.2, longest=0.5)


def url_of(server, transport):
    return server.url if transport == "rest" else server.rpc_url


def small(seed=0, side=64):
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@TRANSPORTS
def test_a_path_bytes_and_pixels_give_the_same(served, transport):
    with Client(url_of(served, transport)) as client:
        assert client.ready()
        pixels = Image.open(PHOTO).convert("RGB")
        predictions = [client.segment(photo) for photo in (PHOTO, PHOTO.read_bytes(), pixels, np.asarray(pixels))]
    assert predictions[0].masks().shape == (len(predictions[0].instances), 512, 512)
    assert predictions[0].masks()[0].sum() == predictions[0].instances[0].area
    for prediction in predictions[1:]:
        assert prediction.instances == predictions[0].instances


def test_rest_and_grpc_blocking_and_async_agree_on_every_kind_of_answer(served):
    async def awaited(url):
        async with AsyncClient(url) as client:
            return (
                (await client.segment(PHOTO, masks="polygon")).instances,
                (await client.segment(PHOTO, masks="probability")).instances,
                await client.uncertainty(PHOTO),
                (await client.segment(PHOTO, task="semantic")).segments,
                await client.render(PHOTO),
                await client.cutouts(PHOTO),
                (await client.label_map(PHOTO)).tolist(),
                (await client.describe())["name"],
                await client.ready(),
            )

    def blocking(url):
        with Client(url) as client:
            return (
                client.segment(PHOTO, masks="polygon").instances,
                client.segment(PHOTO, masks="probability").instances,
                client.uncertainty(PHOTO),
                client.segment(PHOTO, task="semantic").segments,
                client.render(PHOTO),
                client.cutouts(PHOTO),
                client.label_map(PHOTO).tolist(),
                client.describe()["name"],
                client.ready(),
            )

    first, *others = [
        blocking(served.url),
        blocking(served.rpc_url),
        asyncio.run(awaited(served.url)),
        asyncio.run(awaited(served.rpc_url)),
    ]
    assert "person-1.png" in first[5]
    assert np.max(first[6]) == len(first[0])
    for instance in first[1]:
        x, y, crop = instance.probability_crop()
        inside = np.zeros((512, 512), bool)
        inside[y : y + crop.shape[0], x : x + crop.shape[1]] = crop >= 128
        np.testing.assert_array_equal(inside, instance.mask())
        assert 0.5 < instance.mask_score < 1
        assert 0 < instance.edge_uncertainty < 0.5
        assert instance.grid == 224
    assert Image.open(io.BytesIO(first[2])).size == (512, 512)
    for other in others:
        assert other == first


@TRANSPORTS
def test_boxes_as_numbers_arrays_and_results_one_or_a_hundred(served, transport):
    with Client(url_of(served, transport)) as client:
        found = client.segment(PHOTO, categories=["all"], score_threshold=0.1)
        by_numbers = client.segment(PHOTO, boxes=np.array([each.bbox for each in found.instances]))
        by_result = client.segment(PHOTO, boxes=[each.to_dict() for each in found.instances])
        assert [each.category for each in by_result.instances] == [each.category for each in found.instances]
        for answers in (by_numbers, by_result):
            for answer, expected in zip(answers.instances, found.instances, strict=True):
                assert (answer.mask() != expected.mask()).sum() <= 0.01 * expected.mask().sum()
        assert client.segment(PHOTO, boxes=[]).instances == ()
        # More than a header may hold.
        many = [{"bbox": [index, index, 100.125, 200.25], "category": "person"} for index in range(100)]
        assert [each.bbox[0] for each in client.segment(PHOTO, boxes=many, masks="none").instances] == list(range(100))
        with pytest.raises(InvalidOption, match=r"boxes\[1\] .* outside the image of 512x512 pixels") as outside:
            client.segment(PHOTO, boxes=[[0, 0, 9, 9], [512, 0, 9, 9]])
        assert (outside.value.field, outside.value.limit) == ("boxes[1]", [512, 512])
        with pytest.raises(InvalidOption, match="at most 100"):
            client.segment(PHOTO, boxes=[*many, many[0]])


@TRANSPORTS
def test_the_models_own_errors_come_back_as_they_were_raised(served, transport):
    with Client(url_of(served, transport)) as client:
        with pytest.raises(UnsupportedImage, match="not an image") as unreadable:
            client.segment(b"text")
        assert unreadable.value.status == 415
        with pytest.raises(InvalidOption, match="Did you mean 'horse'") as unknown:
            client.segment(PHOTO, categories="hors")
        assert (unknown.value.code, unknown.value.status) == ("unknown_category", 422)
        assert "person" in unknown.value.limit


@TRANSPORTS
def test_a_model_that_is_not_served(served, transport):
    with pytest.raises(RequestError, match="no such model") as raised:
        Client(url_of(served, transport), "other").segment(PHOTO)
    assert (raised.value.code, raised.value.status) == ("model_not_found", 404)


@TRANSPORTS
def test_many_photos_of_different_sizes_keep_their_order(served, transport):
    photos = [PHOTO, b"text", *(small(side=40 + 8 * index) for index in range(6))]
    with Client(url_of(served, transport)) as client:
        results = client.segment_many(photos, concurrency=3)
        one = client.segment(photos[4])
    assert [getattr(result, "width", None) for result in results] == [512, None, 40, 48, 56, 64, 72, 80]
    assert isinstance(results[1], UnsupportedImage)
    assert results[4].instances == one.instances


@TRANSPORTS
def test_the_token_of_a_server_of_this_machine_is_found(guarded, transport):
    assert Client(url_of(guarded, transport)).segment(PHOTO).width == 512


@TRANSPORTS
@pytest.mark.parametrize("token", ["wrong", ""])
def test_a_token_that_is_refused(guarded, transport, token):
    with pytest.raises(InvalidRequest, match="refuses the token") as raised:
        Client(url_of(guarded, transport), token=token).segment(PHOTO)
    assert (raised.value.code, raised.value.status, raised.value.field) == ("invalid_token", 400, "token")


@TRANSPORTS
def test_the_key_file_may_be_named(guarded, transport, monkeypatch, tmp_path):
    key_file = tokens.find_key_file(url_of(guarded, transport))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # where no server can be found
    url = url_of(guarded, transport)
    with pytest.raises(InvalidRequest, match="refuses the token"):
        Client(url).segment(PHOTO)
    assert Client(url, key_file=key_file).segment(PHOTO).width == 512
    token = json.loads(key_file.read_text())["inference"]["key"]
    assert Client(url, token=token).segment(PHOTO).width == 512
    monkeypatch.setenv(KEY_FILE.name, str(key_file))
    assert Client(url).segment(PHOTO).width == 512


@TRANSPORTS
@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_a_token_is_renewed_before_it_expires(guarded, transport, client_class, monkeypatch):
    def key():
        return json.loads(tokens.find_key_file(guarded.url).read_text())["inference"]["key"]

    async def awaited():
        async with AsyncClient(url_of(guarded, transport)) as client:
            return await client.segment(small())

    before = key()
    monkeypatch.setattr(tokens, "RENEW_SECONDS_BEFORE", 10 * 3600)
    width = (asyncio.run(awaited()) if client_class is AsyncClient else Client(guarded.url).segment(small())).width
    assert width == 64
    assert key() != before
    with pytest.raises(InvalidRequest, match="refuses the token"):
        Client(url_of(guarded, transport), token=before).segment(small())


def test_clients_that_renew_at_once_all_get_their_answers(guarded, monkeypatch):
    """Each renewal ends the token that the other client may just have read."""
    file = tokens.find_key_file(guarded.url)
    keys = json.loads(file.read_text())
    before = keys["inference"]["key"]
    # Due for the present token, but for a new one only after longer than all requests take on a busy machine.
    keys["inference"]["expiration time"] = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    file.write_text(json.dumps(keys))
    monkeypatch.setattr(tokens, "RENEW_SECONDS_BEFORE", 1800)
    clients = [Client(url, retries=PATIENT) for url in (guarded.url, guarded.rpc_url)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: clients[number % 2].segment(small()).width, range(8)))
    assert answers == [64] * 8
    assert json.loads(file.read_text())["inference"]["key"] != before


@TRANSPORTS
def test_a_request_that_is_larger_than_the_server_takes(guarded, transport):
    with pytest.raises(ImageTooLarge, match="larger than the server accepts") as raised:
        Client(url_of(guarded, transport)).segment(bytes(1_500_000))
    assert (raised.value.code, raised.value.status, raised.value.value) == ("request_too_large", 413, 1_500_000)


@TRANSPORTS
def test_an_answer_that_takes_too_long(guarded, worker, transport):
    worker.suspend()
    with pytest.raises(ServerError, match=r"did not answer within 0.5 s") as raised:
        Client(url_of(guarded, transport), timeout=0.5).segment(small())
    assert (raised.value.code, raised.value.status) == ("timeout", 504)


@TRANSPORTS
def test_a_worker_that_dies(guarded, worker, transport):
    worker.suspend()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(Client(url_of(guarded, transport)).segment, small())
        time.sleep(1)  # by now the request is with the worker
        worker.kill()
        with pytest.raises(ServerError, match="worker ended") as raised:
            asked.result()
    assert (raised.value.code, raised.value.status) == ("worker_died", 500)


@TRANSPORTS
def test_a_full_queue_is_told_and_waited_for(guarded, worker, transport):
    url = url_of(guarded, transport)
    worker.suspend()
    with ThreadPoolExecutor(3) as pool:
        waiting = []
        for _ in range(2):  # one with the worker, one in the queue
            waiting.append(pool.submit(Client(url).segment, small()))
            time.sleep(0.5)
        with pytest.raises(ServerError, match="overloaded") as raised:
            Client(url, retries=ONCE).segment(small())
        assert (raised.value.code, raised.value.status) == ("overloaded", 503)
        patient = pool.submit(Client(url, retries=PATIENT).segment, small())
        threading.Timer(1.0, worker.resume).start()
        assert patient.result().width == 64
        assert [each.result().width for each in waiting] == [64, 64]
