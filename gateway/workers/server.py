"""What stands behind the gateway where there is no TorchServe: the workers of all models, asked in the same words."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway.limits import ServerLimits
from gateway.refusals import ModelRefusal, method_not_allowed, model_not_found, not_found
from gateway.tracing import upstream_span
from gateway.workers.archive import read_table
from gateway.workers.messages import REQUEST, Message
from gateway.workers.metrics import CONTENT_TYPE, Metrics
from gateway.workers.pool import WorkerPool
from gateway.workers.queue import Job
from pointrend.errors import RequestError
from pointrend.service.request_ids import client_id, trace_context
from pointrend.serving.server_config import INFERENCE, METRICS, ServerConfig

_JSON = {"content-type": "application/json"}
_DESCRIBE = b'{"describe": true}'

logger = logging.getLogger(__name__)


class WorkerServer:
    """Serves models by workers of its own, in the place of :class:`gateway.upstream.Upstream`.

    Attributes:
        folder: where it keeps what it writes.
        models: the names under which it serves.
        max_request_bytes: the largest request.
        failure: why it has to end, in one sentence; None as long as it need not.
        on_failure: is called then.

    Args:
        table: which models; see :func:`gateway.workers.archive.read_table`.
        engine: what computes their networks, before what the table and the archives say.

    Raises:
        ConfigError: the table or a model cannot be read.
    """

    def __init__(self, table: Path, engine: str | None = None) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="pointrend-models-")
        self.folder = Path(self._scratch.name)
        self._pools = {
            model.name: WorkerPool(model, self._give_up, self._changed)
            for model in read_table(table, self.folder, engine)
        }
        self.models = tuple(self._pools)
        self.max_request_bytes = ServerConfig.read().max_request_bytes
        self.failure: str | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._metrics = Metrics()
        self._seconds = ServerLimits.read().answer_seconds + 10

    async def start(self) -> None:
        """Start the workers; the models are loaded meanwhile."""
        for pool in self._pools.values():
            pool.start()

    async def close(self) -> None:
        """End the workers, and remove what was unpacked."""
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        self._scratch.cleanup()

    @asynccontextmanager
    async def ask(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        pieces: Sequence[bytes | bytearray] = (),
        seconds: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """See :meth:`gateway.model_server.ModelServer.ask`."""
        place, _, query = path.partition("?")
        if kind == METRICS:
            yield _answer(200, {"content-type": CONTENT_TYPE}, self._metrics.text().encode())
        elif kind == INFERENCE and place == "/ping":
            yield _answer(200, _JSON, b'{"status": "Healthy"}')
        elif kind == INFERENCE:
            if method != "POST":
                raise method_not_allowed("POST")
            with upstream_span(f"{method} {kind}") as span:
                given = {**(headers or {}), **span.headers}
                answer = await self._predict(place, given, b"".join(pieces), seconds or self._seconds)
                span.answered(answer.status_code, answer.headers)
            yield answer
        else:
            tree = await self._describe(place, customized="customized=true" in query)
            yield _answer(200, _JSON, json.dumps(tree).encode())

    async def _predict(self, path: str, headers: Mapping[str, str], body: bytes, seconds: float) -> httpx.Response:
        _, prefix, name, *version = path.split("/")
        if prefix != "predictions":
            raise not_found()
        pool = self._pool(name, *version)
        request_id, own_id = str(uuid.uuid4()), client_id(headers)
        head = {"id": request_id, "headers": dict(headers), "content_type": headers["content-type"]}
        ids = {"x-request-id": request_id, **({"x-client-request-id": own_id} if own_id else {})}
        job = Job(Message(REQUEST, head, body))
        trace = trace_context(headers)
        facts: dict[str, Any] = {
            "request_id": request_id,
            "client_request_id": own_id,
            "trace_id": trace.trace_id if trace else None,
            "parent_id": trace.span_id if trace else None,
            "transport": "rest",
        }
        try:
            reply = await pool.answer(job, seconds)
        except RequestError as error:
            if error.code != "overloaded":  # TorchServe counts and logs none of those either
                self._told(pool, job, error.status, {"code": error.code}, {}, facts)
            raise
        told = reply.head
        facts |= {"answer_bytes": len(reply.body), "total_ms": round(told["total_ms"], 1)}
        self._told(pool, job, told["status"], told["facts"], told["timing_ms"], facts)
        if told["status"] >= 400:
            raise ModelRefusal(json.loads(reply.body), told["status"], ids)
        return _answer(told["status"], {**told["headers"], **ids}, reply.body)

    def _told(
        self,
        pool: WorkerPool,
        job: Job,
        status: int,
        outcome: Mapping[str, Any],
        timing_ms: Mapping[str, float],
        facts: Mapping[str, Any],
    ) -> None:
        """Log and count what became of a request."""
        model, queued = pool.model, job.begun - job.queued
        self._metrics.answered(
            model.name, model.version, status, outcome, timing_ms, queued=queued, took=time.perf_counter() - job.queued
        )
        line = {"event": "request", **facts, "status": status, "queued_ms": round(queued * 1000, 1), **outcome}
        logger.info("%s", json.dumps({name: value for name, value in line.items() if value is not None}))

    async def _describe(self, path: str, *, customized: bool) -> object:
        """What TorchServe's management says of all models, or of one."""
        _, prefix, *names = path.split("/")
        if prefix != "models" or len(names) > 1:
            raise not_found()
        if not names:
            models = [{"modelName": name, "modelUrl": pool.model.file} for name, pool in self._pools.items()]
            return {"models": models}
        pool = self._pool(*names)
        tree = _described(pool)
        if customized:
            answer = await self._predict(f"/predictions/{names[0]}", _JSON, _DESCRIBE, self._seconds)
            tree["customizedMetadata"] = json.loads(await answer.aread())
        return [tree]

    def _pool(self, name: str, version: str | None = None) -> WorkerPool:
        pool = self._pools.get(name)
        if pool is None or version not in (None, pool.model.version):
            raise model_not_found()
        return pool

    def _changed(self, model: str, change: int) -> None:
        self._metrics.ready(model, change)

    def _give_up(self, why: str) -> None:
        self.failure = self.failure or why
        self.on_failure()


def _described(pool: WorkerPool) -> dict[str, Any]:
    model, config = pool.model, pool.model.config
    return {
        "modelName": model.name,
        "modelVersion": model.version,
        "modelUrl": model.file,
        "engine": model.engine,
        "minWorkers": model.workers,
        "maxWorkers": model.workers,
        "batchSize": 1,
        "responseTimeout": config.response_seconds,
        "startupTimeout": config.startup_seconds,
        "workers": [
            {
                "id": str(worker.pid),
                "startTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(worker.started)),
                "status": "READY",
                "pid": worker.pid,
            }
            for worker in pool.workers
        ],
        "jobQueueStatus": {
            "remainingCapacity": max(0, pool.queue.limit - len(pool.queue)),
            "pendingRequests": len(pool.queue),
        },
    }


class _Body(httpx.AsyncByteStream):
    """A body that is here already; httpx' own would count as read."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> httpx.Response:
    return httpx.Response(status, headers={**headers, "content-length": str(len(body))}, stream=_Body(body))
