"""A batch on a real Ray cluster of two nodes, one of which is killed midway; and a run that is killed whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray", reason="needs the extra batch")
from ray.cluster_utils import Cluster  # noqa: E402

DEMO = Path(__file__).parents[1] / "demo"
PHOTOS, SHARD = 24, 2
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(PHOTOS - 1):
        shutil.copy(DEMO / ("chelsea.png", "coffee.png")[index % 2], folder / f"{index:03d}.png")
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8 no more")
    return folder


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 200 * 2**20})
    yield cluster
    cluster.shutdown()


def command(photos: Path, out: Path, *options: str) -> list[str]:
    run = [sys.executable, "-m", "pointrend", "batch", str(photos), str(out), "--form", "jsonl"]
    return [*run, "--shard-size", str(SHARD), *options]


def check_results(out: Path) -> None:
    """Every photo once: in a part, or among what failed."""
    seen = []
    for path in out.glob("part-*.jsonl"):
        seen += [json.loads(line)["file_name"] for line in path.read_text().splitlines()]
    assert sorted(seen) == sorted([*(f"{index:03d}.png" for index in range(PHOTOS - 1)), "damaged.jpg"])
    (failures,) = out.glob("*.failed.jsonl")
    assert json.loads(failures.read_text())["file_name"] == "damaged.jpg"


def parts(out: Path) -> int:
    return len([path for path in out.glob("part-*.jsonl") if ".failed" not in path.name])


def wait_for_parts(run: subprocess.Popen[str], out: Path, count: int) -> None:
    while parts(out) < count:
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.05)


def test_a_node_that_is_killed_midway_costs_nothing(cluster: Cluster, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    second = cluster.add_node(num_cpus=2, object_store_memory=200 * 2**20)
    cluster.wait_for_nodes()
    options = ("--address", cluster.address, "--workers", "2")
    with subprocess.Popen(command(photos, out, *options), text=True, stdout=subprocess.PIPE) as run:
        wait_for_parts(run, out, 3)
        cluster.remove_node(second, allow_graceful=False)
        said, _ = run.communicate(timeout=300)
    assert run.returncode == 0
    assert f"{PHOTOS - 1} done" in said
    check_results(out)


def test_a_run_that_is_killed_goes_on_where_it_was(cluster: Cluster, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--address", cluster.address)
    with subprocess.Popen(command(photos, out, *options), text=True, stdout=subprocess.PIPE) as run:
        wait_for_parts(run, out, 3)
        run.send_signal(signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    done = subprocess.run(command(photos, out, *options), check=True, text=True, capture_output=True, timeout=300)
    kept = int(done.stdout.split(" done before")[0].rsplit(" ", 1)[-1])
    assert SHARD * 3 <= kept < PHOTOS
    assert all(path.stat().st_mtime_ns == time_then for path, time_then in before.items())
    check_results(out)
    again = subprocess.run(command(photos, out, *options), check=True, text=True, capture_output=True, timeout=60)
    assert f"{PHOTOS} found: 0 done, {PHOTOS - 1} done before, 1 failed; 0 not read" in again.stdout
