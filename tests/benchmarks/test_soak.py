"""The soak and the overload, in short: every answer is accounted for. How fast it is, is not a test's to judge."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.answers import DIFFERENT, LOST, SAME, Case, Examiner, Tally, content, new_client
from benchmarks.stack import ALONE, WHOLE, Stack
from benchmarks.watch import FILES, JAVA, WORKER, Trend, lying_in, unlinked_mib

ROOT = Path(__file__).parents[2]


def run(benchmark: str, report: Path, *options: str) -> dict:
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--engine", "eager", "--json", str(report), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refused as documented: yes" in done.stdout
    return json.loads(report.read_text())


@pytest.mark.server
@pytest.mark.slow
def test_an_overload_in_short(tmp_path):
    plot = tmp_path / "plot.png"
    options = ("--requests", "200", "--probe", "5", "--settle", "20", "--plot", str(plot))
    report = run("overload", tmp_path / "report.json", *options)
    assert sum(report["outcomes"].values()) == report["sent"] == 200
    assert report["outcomes"][SAME] > 0
    assert any(outcome.startswith("refused (503") for outcome in report["outcomes"])
    assert report["offered"] == pytest.approx(8 * report["capacity"])
    assert plot.read_bytes().startswith(b"\x89PNG")
    # Nothing but the unpacked archive and a few small files is left in the temporary folder.
    latest = max(file["seconds"] for file in report["files"])
    left = [file for file in report["files"] if file["seconds"] == latest and not file["part"].endswith(": models")]
    assert sum(file["mib"] for file in left) < 1


@pytest.mark.server
@pytest.mark.slow
def test_a_soak_in_short(tmp_path):
    report = run("soak", tmp_path / "report.json", "--seconds", "20", "--clients", "2", "--sizes", "6", "--every", "1")
    assert report["outcomes"] == {SAME: report["sent"]}
    assert {JAVA, WORKER} <= {sample["process"] for sample in report["samples"]}
    assert {"rss_mib", "descriptors", "threads"} == set(report["trends"][JAVA])
    for trends in report["trends"].values():
        for trend in trends.values():
            assert trend["low"] <= trend["an_hour"] <= trend["high"]
    assert FILES in report["trends"]


def test_a_trend_covers_the_slope_of_a_noisy_line():
    seconds = np.arange(0, 3600, 10.0)
    noise = np.random.default_rng(0).normal(0, 5, len(seconds))
    trend = Trend.of(seconds, 100 + 7 * seconds / 3600 + noise)
    assert trend.low < 7 < trend.high
    assert trend.high - trend.low < 10


def test_a_trend_of_what_never_changes_is_flat():
    trend = Trend.of(np.arange(5.0), np.full(5, 62.0))
    assert (trend.low, trend.an_hour, trend.high) == pytest.approx((0, 0, 0), abs=1e-6)


def response(body: bytes, kind: str) -> httpx.Response:
    return httpx.Response(200, headers={"Content-Type": kind}, content=body)


def test_durations_are_no_difference_and_everything_else_is():
    def zipped(manifest: str, pixels: bytes) -> httpx.Response:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("person-1.png", pixels)
            archive.writestr("manifest.json", manifest)
        return response(file.getvalue(), "application/zip")

    first, later = '{"instances": [1], "timing_ms": {"decode": 1}}', '{"timing_ms": {"decode": 2}, "instances": [1]}'
    assert content(response(first.encode(), "application/json")) == content(
        response(later.encode(), "application/json")
    )
    assert content(zipped(first, b"a")) == content(zipped(later, b"a"))
    assert content(zipped(first, b"a")) != content(zipped(first, b"b"))
    assert content(response(b"a", "image/png")) != content(response(b"b", "image/png"))


def answering(status: int, headers: dict[str, str], body: bytes) -> httpx.AsyncClient:
    reply = httpx.Response(status, headers=headers, content=body)
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: reply), base_url="http://server")


@pytest.mark.parametrize(
    ("status", "headers", "body", "through", "outcome"),
    [
        (503, {"Retry-After": "2"}, b'{"error": {"code": "overloaded"}}', WHOLE, "refused (503)"),
        (429, {"Retry-After": "1"}, b'{"error": {"code": "rate_limited"}}', WHOLE, "refused (429)"),
        (503, {}, b'{"error": {"code": "overloaded"}}', WHOLE, "undocumented"),
        (503, {"Retry-After": "2"}, b'{"error": {"code": "rate_limited"}}', WHOLE, "undocumented"),
        (500, {"Retry-After": "2"}, b"", WHOLE, "undocumented"),
        (503, {}, b"", ALONE, "refused (503)"),
        (429, {}, b"", ALONE, "undocumented"),
        (200, {"Content-Type": "image/png"}, b"other", WHOLE, DIFFERENT),
    ],
)
def test_each_answer_is_told_for_what_it_is(tmp_path, status, headers, body, through, outcome):
    stack = Stack("http://server", {}, through, 1, tmp_path)
    case, tally = Case("case", b"x"), Tally()
    examiner = Examiner(stack, answering(status, headers, body), [case])
    examiner.at_rest["case"] = b"at rest"
    assert asyncio.run(examiner.ask(case, 0, tally)) == outcome
    assert tally.outcomes == {outcome: 1}
    assert tally.is_clean == outcome.startswith("refused")


def test_a_connection_that_breaks_is_lost(tmp_path):
    async def ask() -> str:
        stack = Stack("http://127.0.0.1:1", {}, WHOLE, 1, tmp_path)
        async with new_client(stack) as client:
            return await Examiner(stack, client, []).ask(Case("case", b"x"), 0, tally)

    tally = Tally()
    assert asyncio.run(ask()) == LOST
    assert not tally.is_clean
    assert "ConnectError" in tally.faults[0]


def test_files_without_a_name_are_seen(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(3 * 2**20))
        file.flush()
        before = unlinked_mib("self")
        (tmp_path / "file").unlink()
        assert unlinked_mib("self") - before == pytest.approx(3)


def test_parts_of_the_temporary_folder_are_told_apart(tmp_path):
    for path in ("pointrend-x/models/1/model.bin", "pointrend-nginx-y/body/1", "pointrend-x/logs/ts.log"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(bytes(2**20))
    assert lying_in(tmp_path) == {"TorchServe: models": (1, 1), "nginx: body": (1, 1), "TorchServe: logs": (1, 1)}
