"""Requests whose answers are known, and what becomes of each when the server is pressed.

An answer at rest is what the same server gives a lone caller. Under load every 200 must equal it byte for byte (JSON
without its ``timing_ms``), and everything else must be a refusal as it is documented: 429 or 503 with ``Retry-After``.
"""

from __future__ import annotations

import asyncio
import io
import json
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from PIL import Image
from rich.table import Table

from benchmarks.stack import Stack
from gradio_app.examples import EXAMPLES

PREDICTIONS = "/predictions/pointrend"
SAME, DIFFERENT, REFUSED, UNDOCUMENTED, LOST = "same", "different", "refused", "undocumented", "lost"
REFUSALS = {429: "rate_limited", 503: "overloaded"}
TIMEOUT = 300.0
FAULTS_KEPT = 5  # shown in the report


@dataclass(frozen=True, slots=True)
class Case:
    """A request.

    Attributes:
        name: what reports call it.
        body: an encoded image.
        options: of the request, URL-encoded.
    """

    name: str
    body: bytes
    options: str = ""

    async def ask(self, client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
        """Send it."""
        told = {"Content-Type": "application/octet-stream", "X-PointRend-Options": self.options}
        return await client.post(PREDICTIONS, content=self.body, headers=headers | told)


def encoded(example: int, width: int, height: int, kind: str = "JPEG") -> bytes:
    """An example image in another size."""
    file = io.BytesIO()
    Image.open(EXAMPLES[example % len(EXAMPLES)].path).convert("RGB").resize((width, height)).save(file, kind)
    return file.getvalue()


def mixed_cases() -> list[Case]:
    """Every form of answer, from images of 60 KB to 3 MB."""
    forms = ("", "masks=polygon", "format=png", "format=cutouts", "format=label_map", "task=detection", "task=semantic")
    cases = [Case(f"480x320 {form or 'json'}", encoded(0, 480, 320), form) for form in forms]
    cases += [Case(f"{width}x{width} json", encoded(2, width, width)) for width in (96, 640, 1280)]
    return [*cases, Case("1600x1200 PNG, json", encoded(0, 1600, 1200, "PNG"))]


def sized_cases(count: int, seed: int = 0) -> list[Case]:
    """Images of random sizes, 64 to 1600 pixels an edge."""
    random = np.random.default_rng(seed)
    sizes = random.integers(64, 1600, (count, 2), endpoint=True).tolist()
    return [Case(f"{width}x{height}", encoded(number, width, height)) for number, (width, height) in enumerate(sizes)]


def content(response: httpx.Response) -> object:
    """What of a 200 must be the same every time."""
    kind = response.headers["Content-Type"]
    if kind == "application/json":
        return timeless(response.content)
    if kind == "application/zip":
        with zipfile.ZipFile(io.BytesIO(response.content)) as file:
            return [
                (name, timeless(file.read(name)) if name.endswith(".json") else file.read(name))
                for name in file.namelist()
            ]
    return response.content


def timeless(text: bytes) -> str:
    """A JSON answer, or the manifest of cut-outs, without its durations."""
    tree: dict[str, Any] = json.loads(text)
    return json.dumps({key: value for key, value in tree.items() if key != "timing_ms"}, sort_keys=True)


@dataclass(slots=True)
class Tally:
    """What became of the requests.

    Attributes:
        sent: how many were sent.
        outcomes: by outcome, :data:`REFUSED` with its status.
        seconds: how long each answer took, by outcome.
        faults: the first few answers that should not have been.
    """

    sent: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether each request got the answer at rest or a documented refusal."""
        good = sum(count for outcome, count in self.outcomes.items() if outcome == SAME or outcome.startswith(REFUSED))
        return good == self.sent

    def add(self, outcome: str, seconds: float, fault: str = "") -> None:
        """Count one."""
        self.outcomes[outcome] += 1
        self.seconds.setdefault(outcome, []).append(seconds)
        if fault and len(self.faults) < FAULTS_KEPT:
            self.faults.append(fault)

    def table(self) -> Table:
        """How many requests came to what, and how long that took."""
        table = Table("outcome", "requests", "p50, s", "p95, s")
        for outcome, count in self.outcomes.most_common():
            table.add_row(
                outcome, str(count), *(f"{np.percentile(self.seconds[outcome], each):.2f}" for each in (50, 95))
            )
        return table

    def to_dict(self) -> dict[str, object]:
        """For a report."""
        times = {
            outcome: {name: float(np.percentile(seconds, share)) for name, share in (("p50", 50), ("p95", 95))}
            for outcome, seconds in self.seconds.items()
        }
        return {"sent": self.sent, "outcomes": dict(self.outcomes), "seconds": times, "faults": self.faults}


class Examiner:
    """Asks a stack and compares what it answers with its answers at rest.

    Args:
        stack: that is asked.
        client: for its URL.
        cases: that will be asked.
    """

    def __init__(self, stack: Stack, client: httpx.AsyncClient, cases: Sequence[Case]) -> None:
        self._stack = stack
        self._client = client
        self.cases = list(cases)
        self.at_rest: dict[str, object] = {}

    async def rest(self) -> None:
        """Ask every case alone and keep the answers.

        Raises:
            httpx.HTTPStatusError: one was refused for another reason than the rate of requests.
        """
        for number, case in enumerate(self.cases):
            response = await case.ask(self._client, self._stack.caller(10_000 + number))
            self.at_rest[case.name] = content(response.raise_for_status())

    async def ask(self, case: Case, caller: int, tally: Tally) -> str:
        """Ask once more, count the outcome, and return it."""
        tally.sent += 1
        started = time.perf_counter()
        try:
            response = await case.ask(self._client, self._stack.caller(caller))
        except httpx.TransportError as error:
            tally.add(LOST, time.perf_counter() - started, f"{case.name}: {error!r}")
            return LOST
        outcome = self._outcome(case, response)
        fault = "" if outcome == SAME or outcome.startswith(REFUSED) else f"{case.name}: {describe(response)}"
        tally.add(outcome, time.perf_counter() - started, fault)
        return outcome

    def _outcome(self, case: Case, response: httpx.Response) -> str:
        if response.status_code == 200:
            return SAME if content(response) == self.at_rest[case.name] else DIFFERENT
        refused = f"{REFUSED} ({response.status_code})"
        if not self._stack.is_whole:
            return refused if response.status_code == 503 else UNDOCUMENTED
        code = REFUSALS.get(response.status_code)
        documented = code is not None and "Retry-After" in response.headers and code in response.text
        return refused if documented else UNDOCUMENTED


def describe(response: httpx.Response) -> str:
    """An answer in one line."""
    return f"{response.status_code} {response.headers.get('Content-Type')} {response.content[:200]!r}"


def new_client(stack: Stack) -> httpx.AsyncClient:
    """A client that opens as many connections as there are requests under way."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    return httpx.AsyncClient(base_url=stack.url, timeout=TIMEOUT, limits=limits, trust_env=False)


async def closed_loop(examiner: Examiner, clients: int, seconds: float, tally: Tally, seed: int = 0) -> None:
    """Let ``clients`` callers each send its next request as soon as the last one is answered."""
    ends = time.monotonic() + seconds
    random = np.random.default_rng(seed)

    async def call(number: int) -> None:
        while time.monotonic() < ends:
            case = examiner.cases[int(random.integers(len(examiner.cases)))]
            if await examiner.ask(case, number, tally) != SAME:
                await asyncio.sleep(0.5)

    await asyncio.gather(*(call(number) for number in range(clients)))
