"""Two test processes, each with whole suites; what happens to a run is told at its end as in one process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.suite_scheduling import LONGEST_FIRST, RUN_WITH, suite_of

ROOT = Path(__file__).parents[1]
PASSES = """
import os

def test_first(): print("process", os.getpid())

def test_second(): print("process", os.getpid())
"""
FAILS = "def test_fails(): assert 1 == 2"
FAILS_ONCE = """
from pathlib import Path

def test_once():
    mark = Path(__file__).with_suffix(".ran")
    if not mark.exists():
        mark.touch()
        raise AssertionError
"""
SKIPS = """
import pytest

def test_skips(): pytest.skip("why")
"""
DIES = """
import os

def test_before(): pass

def test_dies():
    with open(__file__ + ".deaths", "a") as deaths:
        deaths.write("x")
    os._exit(3)

def test_after(): pass
"""


def run(folder: Path, suites: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run suites of one file each with this project's ``conftest.py``, as ``make test`` does."""
    (folder / "tests").mkdir()
    for name in ("conftest.py", "tests/__init__.py", "tests/file_progress.py", "tests/suite_scheduling.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    for name, text in suites.items():
        (folder / "tests" / name).mkdir()
        (folder / "tests" / name / f"test_{name}.py").write_text(text)
    plugins = [word for name in ("xdist.plugin", "pytest_rerunfailures", "no:cacheprovider") for word in ("-p", name)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "auto", *plugins, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the others take seconds to import
    )


def test_suites_stay_whole_and_the_longest_is_first(tmp_path: Path) -> None:
    suites = dict.fromkeys(("aside", "beside", "container"), PASSES)
    done = run(tmp_path, suites, "--fail-on-skip", "-rP")
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
    lines = [line.split("] ")[1] for line in done.stdout.splitlines() if " s [" in line]
    assert set(lines) == {f"tests/{name}/test_{name}.py" for name in suites}
    assert "tests/container/test_container.py" in lines[:2]
    processes = [line for line in done.stdout.splitlines() if line.startswith("process")]
    assert (len(processes), len(set(processes))) == (6, 2)


def test_a_skipped_test_fails_the_run_where_that_is_wanted(tmp_path: Path) -> None:
    done = run(tmp_path, {"passes": PASSES, "skips": SKIPS}, "--fail-on-skip")
    assert done.returncode == 1, done.stdout
    assert "2 passed, 1 skipped" in done.stdout


def test_what_fails_is_rerun_and_named_and_a_process_that_dies_takes_one_test_with_it(tmp_path: Path) -> None:
    done = run(tmp_path, {"dies": DIES, "fails": FAILS, "once": FAILS_ONCE}, "--reruns", "1", "-r", "fEsR")
    assert done.returncode == 1, done.stdout
    assert "2 failed, 3 passed, 2 rerun" in done.stdout
    assert "] FAILED tests/fails/test_fails.py::test_fails" in done.stdout
    summary = done.stdout.split("rerun test summary info")[1].splitlines()
    assert "RERUN tests/once/test_once.py::test_once" in summary
    for test in ("tests/fails/test_fails.py::test_fails", "tests/dies/test_dies.py::test_dies"):
        assert any(line.startswith(f"FAILED {test}") for line in summary)
    assert (tmp_path / "tests" / "dies" / "test_dies.py.deaths").read_text() == "x"


def test_a_part_of_the_suite_runs_in_this_process(tmp_path: Path) -> None:
    done = run(tmp_path, {"passes": PASSES, "others": PASSES}, "tests/passes")
    assert done.returncode == 0
    assert "created:" not in done.stdout
    assert " s [" not in done.stdout
    assert "tests/passes/test_passes.py .." in done.stdout


@pytest.mark.parametrize("suite", [*LONGEST_FIRST, *RUN_WITH, *RUN_WITH.values()])
def test_the_order_names_suites_that_exist(suite: str) -> None:
    assert (ROOT / "tests" / suite).is_dir()
    assert suite_of(f"tests/{suite}/test_it.py::test_a[b/c]") == suite
