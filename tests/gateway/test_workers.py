"""The server without TorchServe: its workers die, hang, fill up and fail, and cost no request but their own."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from PIL import Image

from gateway.refusals import headers_of
from gateway.workers import pool as pools
from gateway.workers.archive import ModelSource, read_table
from gateway.workers.messages import REQUEST, Message
from gateway.workers.pool import WorkerPool
from gateway.workers.process import WorkerDied, WorkerProcess
from gateway.workers.queue import Job
from handler.config import MODEL_CONFIG
from pointrend.errors import ConfigError, RequestError
from pointrend.serving.asgi import AsgiServer, ModelFiles
from pointrend.system.processes import LaunchError
from tests.asgi_servers import Crowd, eventually, pending, workers_of
from tests.gateway import oddities
from tests.ports import free_ports, is_free
from tests.workers import weights_of

HEALTH = {"health": True}


@pytest.fixture(scope="module")
def asgi(store: Path) -> Iterator[AsgiServer]:
    """The small model, from the very archive that TorchServe serves."""
    with AsgiServer({"pointrend": ModelFiles(store / "pointrend.mar")}, free_ports(1)[0]) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def predictions(asgi: AsgiServer) -> str:
    return f"{asgi.url}/predictions/pointrend"


def test_requests_that_no_honest_client_sends(asgi: AsgiServer) -> None:
    port = urlsplit(asgi.url).port
    assert port
    assert oddities.faults(port) == []


def test_other_names_origins_paths_and_models(asgi: AsgiServer, predictions: str, photo: bytes) -> None:
    for path, headers, status, code in (
        ("/predictions/pointrend", {"Host": "evil.example"}, 421, "unknown_host"),
        ("/predictions/pointrend", {"Origin": "http://evil.example"}, 403, "foreign_origin"),
        ("/predictions/other", {}, 404, "model_not_found"),
        ("/predictions/pointrend/9.9", {}, 404, "model_not_found"),
        ("/v1/predict", {}, 404, "not_found"),
    ):
        answer = httpx.post(f"{asgi.url}{path}", content=photo, headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert httpx.post(f"{predictions}/1.0", content=photo, timeout=60).status_code == 200
    assert httpx.get(f"{asgi.url}/ping").json() == {"status": "Healthy"}
    assert httpx.get(f"{asgi.url}/models").json() == {
        "models": [{"modelName": "pointrend", "modelUrl": "pointrend.mar"}]
    }


def test_a_large_body_arrives_whole_and_one_that_is_too_large_is_refused(predictions: str, photo: bytes) -> None:
    padded = photo + bytes(19 * 2**20)  # more than any pipe holds
    assert httpx.post(predictions, files={"image": padded}, timeout=120).status_code == 200
    answer = httpx.post(predictions, content=bytes(29 * 2**20), timeout=120)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_a_slow_client_holds_no_worker(asgi: AsgiServer, predictions: str, photo: bytes) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(asgi.url).port or 0)) as slow:
        head = f"POST /predictions/pointrend HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n"
        slow.sendall(head.encode() + photo[:100])
        assert httpx.post(predictions, content=photo, timeout=60).status_code == 200
        slow.sendall(photo[100:])
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_a_worker_that_is_killed_at_rest_costs_nothing(asgi: AsgiServer, predictions: str, photo: bytes) -> None:
    (worker,) = workers_of(asgi)
    worker.kill()
    assert httpx.post(predictions, content=photo, timeout=120).status_code == 200
    (other,) = workers_of(asgi)
    assert other.pid != worker.pid


def test_a_request_that_the_killed_worker_had_not_read_goes_to_the_next(
    asgi: AsgiServer, predictions: str, photo: bytes
) -> None:
    (worker,) = workers_of(asgi)
    worker.suspend()
    crowd = Crowd(predictions, photo, 8)
    eventually(lambda: pending(asgi) == 7, asgi)
    worker.kill()
    assert crowd.join() == [(200, None)] * 8


def test_a_worker_that_is_killed_at_work_costs_its_own_request_alone(
    asgi: AsgiServer, predictions: str, photo: bytes
) -> None:
    (worker,) = workers_of(asgi)
    file = io.BytesIO()
    Image.new("RGB", (3000, 3000)).save(file, "JPEG")
    before = sum(worker.cpu_times()[:2])
    long = Crowd(predictions, file.getvalue(), 1, {"X-PointRend-Options": "tiles=420"})
    eventually(lambda: sum(worker.cpu_times()[:2]) > before + 0.3, asgi)  # of many times as much
    crowd = Crowd(predictions, photo, 5)
    eventually(lambda: pending(asgi) == 5, asgi)
    worker.kill()
    assert long.join() == [(500, "worker_died")]
    assert crowd.join() == [(200, None)] * 5
    counted = httpx.get(f"{asgi.url}/metrics").text
    assert re.search(
        r'pointrend_errors_total\{ModelName="pointrend",Level="Model",code="worker_died",.*\} 1\n', counted
    )


def test_a_full_queue_refuses_and_forgets_nobody_who_waits(asgi: AsgiServer, predictions: str, photo: bytes) -> None:
    (worker,) = workers_of(asgi)
    worker.suspend()
    try:
        waiting = Crowd(predictions, photo, 20)  # one at the worker, the others in the queue
        eventually(lambda: pending(asgi) == 19, asgi)
        refused = httpx.post(predictions, content=photo, timeout=60)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "2"
        assert httpx.get(f"{asgi.url}/healthz").status_code == 204
    finally:
        worker.resume()
    assert waiting.join() == [(200, None)] * 20


def test_sigterm_lets_requests_finish_and_leaves_nothing(store: Path, photo: bytes) -> None:
    port = free_ports(1)[0]
    with AsgiServer({"pointrend": ModelFiles(store / "pointrend.mar")}, port) as server:
        server.wait_ready()
        (worker,) = workers_of(server)
        worker.suspend()
        crowd = Crowd(f"{server.url}/predictions/pointrend", photo, 3)
        eventually(lambda: pending(server) == 2, server)
        folder, leader = server.folder, psutil.Process(server.pid)
        for process in (leader, worker):  # the whole group, as a supervisor or a terminal does
            process.send_signal(signal.SIGTERM)
        worker.resume()
        assert crowd.join() == [(200, None)] * 3
        eventually(lambda: not server.running(), server)
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
        assert [path.name for path in folder.iterdir() if path.name.startswith("pointrend-models-")] == []
    assert is_free(port)


def test_a_model_that_cannot_be_loaded_ends_the_start_with_its_reason(store: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(store / "pointrend.mar", tmp_path / "model", "zip")
    weights = tmp_path / "model" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with AsgiServer({"pointrend": ModelFiles(tmp_path / "model")}, free_ports(1)[0]) as server:
        with pytest.raises(LaunchError, match=r"The server ended with exit status 1"):
            server.wait_ready()
        assert "gateway: The model pointrend cannot be loaded: " in server.log()


# ---- A pool by itself ----


def source(folder: Path, tmp_path: Path, **own: int) -> ModelSource:
    """The small model, which has five seconds for an answer, with more of its own."""
    shutil.unpack_archive(folder / "pointrend.mar", tmp_path / "model", "zip")
    text = re.sub(r"(?<=^responseTimeout: )\d+", "5", MODEL_CONFIG.read_text(), flags=re.MULTILINE)
    (tmp_path / "model" / "model-config.yaml").write_text(text)
    (tmp_path / "models.json").write_text(json.dumps({"pointrend": {"path": "model", **own}}))
    (read,) = read_table(tmp_path / "models.json", tmp_path)
    return read


def health() -> Job:
    head = {"id": "1", "headers": {}, "content_type": "application/json"}
    return Job(Message(REQUEST, head, json.dumps(HEALTH).encode()))


def test_two_workers_one_of_which_hangs(store: Path, tmp_path: Path) -> None:
    """The one that hangs is ended and replaced; meanwhile the other answers."""
    model = source(store, tmp_path, workers=2, threads=1)
    failures: list[str] = []

    async def run() -> None:
        pool = WorkerPool(model, failures.append, lambda *_: None)
        pool.start()
        try:
            while len(pool.workers) < 2:
                assert not failures
                await asyncio.sleep(0.05)
            assert {weights_of(psutil.Process(each.pid)) for each in pool.workers} == {
                str(model.shared / "eager.weights")
            }
            hanging = psutil.Process(pool.workers[0].pid)
            hanging.suspend()
            answers = await asyncio.gather(*(pool.answer(health(), 120) for _ in range(4)), return_exceptions=True)
            errors = [each for each in answers if not isinstance(each, Message)]
            assert [(each.status, each.code) for each in errors if isinstance(each, RequestError)] == [(504, "timeout")]
            assert len(errors) == 1
            while len(pool.workers) < 2:
                await asyncio.sleep(0.05)
            assert hanging.pid not in [worker.pid for worker in pool.workers]
        finally:
            pids = [worker.pid for worker in pool.workers]
            await pool.close()
        assert not any(psutil.pid_exists(pid) for pid in pids)

    asyncio.run(run())


def test_what_dies_before_it_has_loaded_is_not_started_for_ever(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import os; os._exit(7)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setattr(pools, "FIRST_PAUSE", 0.01)

    async def run() -> str:
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        pool = WorkerPool(source(store, tmp_path), told.set_result, lambda *_: None)
        pool.start()
        try:
            return await told
        finally:
            await pool.close()

    assert asyncio.run(run()) == (
        "A worker of pointrend ended with exit status 7 before its model was loaded. It was tried 5 times."
    )


def test_who_waits_when_the_server_ends_is_told_to_come_back(store: Path, tmp_path: Path) -> None:
    async def run() -> RequestError:
        pool = WorkerPool(source(store, tmp_path), lambda _: None, lambda *_: None)
        waiting = asyncio.create_task(pool.answer(health(), 60))
        await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(RequestError) as caught:
            await waiting
        return caught.value

    error = asyncio.run(run())
    assert (error.status, error.code, headers_of(error)) == (503, "overloaded", {"Retry-After": "2"})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[]", "must name models"),
        ("{", "cannot be read"),
        ('{"m": {"path": 1}}', "m must be an object with `path`"),
        ('{"m": {"path": "a.mar", "enigne": "eager"}}', "m must be an object"),
        ('{"m": {"path": "a.mar", "workers": 0}}', "workers of m is 0; it must be a whole number"),
        ('{"m": {"path": "a.mar", "threads": true}}', "threads of m is True"),
        ('{"m": {"path": "a.mar"}}', "a.mar is no archive of a model: No such file"),
        ('{"m": {"path": "models.json"}}', "models.json is no archive of a model: File is not a zip file"),
    ],
)
def test_a_table_of_models_that_cannot_be_served(table: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "models.json").write_text(table)
    with pytest.raises(ConfigError, match=message):
        read_table(tmp_path / "models.json", tmp_path / "scratch")


def test_an_archives_code_is_not_even_unpacked(store: Path, tmp_path: Path) -> None:
    (tmp_path / "models.json").write_text(json.dumps({"m": {"path": str(store / "pointrend.mar")}}))
    (read,) = read_table(tmp_path / "models.json", tmp_path / "scratch")
    files = {path.name for path in (tmp_path / "scratch").rglob("*") if path.is_file()}
    assert not [name for name in files if name.endswith(".py")]
    assert {"model.safetensors", "model-config.yaml"} <= files
    assert (read.name, read.file, read.engine) == ("m", "pointrend.mar", "eager")


HOLDS_PIPES = """
import os, sys, time
if os.fork() == 0:
    time.sleep(60)  # with its parent's pipes
    os._exit(0)
sys.stdout.write("ready")
sys.stdout.flush()
time.sleep(60)
"""


def test_a_dead_worker_whose_pipes_somebody_holds_is_dead() -> None:
    async def run() -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLDS_PIPES, stdin=pipe, stdout=pipe, start_new_session=True
        )
        assert process.stdout is not None
        await process.stdout.readexactly(5)
        worker = WorkerProcess(process, "eager")
        ended = asyncio.create_task(worker.ended())
        asked = asyncio.create_task(worker.ask(Message(REQUEST, {"id": "1"}), 50))
        await asyncio.sleep(0.5)
        process.kill()
        with pytest.raises(WorkerDied, match="SIGKILL"):
            await asyncio.wait_for(asked, 30)
        assert "SIGKILL" in await asyncio.wait_for(ended, 30)
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()  # with its pipes

    asyncio.run(run())
