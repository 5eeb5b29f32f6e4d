import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DEMO = Path(__file__).parents[1] / "demo"

ECHO = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"objects": asked["objects"], "bytes": 2500 if asked["exact"] else 1500}), flush=True)
"""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "alternatives.py"), "--rounds", "2", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_ours_and_another_program_take_turns() -> None:
    echo = shlex.join([sys.executable, "-c", ECHO])
    done = _run("--objects", "1", "--objects", "9", "--other", f"an echo={echo}")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert [(row[0].strip(), int(row[1])) for row in rows] == [
        ("demo, auto", 1),
        ("demo, auto", 9),
        ("an echo", 1),
        ("an echo", 9),
    ]
    assert rows[3][6].strip() == "1.5"
    assert float(rows[0][6]) < float(rows[1][6])  # nine masks are more to say than one


def test_other_programs_are_told_to_compute_all_steps() -> None:
    done = _run("--exact", "--objects", "1", "--other", f"an echo={shlex.join([sys.executable, '-c', ECHO])}")
    assert done.returncode == 0, done.stderr
    assert [line.split("|")[7].strip() for line in done.stdout.splitlines() if "an echo" in line] == ["2.5"]


def test_a_program_that_ends_is_named() -> None:
    done = _run("--other", f"broken={shlex.join([sys.executable, '-c', 'raise SystemExit(3)'])}")
    assert done.returncode != 0
    assert "broken ended with status 3 instead of answering" in done.stderr + done.stdout


def test_a_command_without_a_name_is_refused() -> None:
    done = _run("--other", "python")
    assert done.returncode == 2
    assert "is not NAME=VALUE" in " ".join((done.stderr + done.stdout).split())


def test_our_program_writes_what_the_server_answers(tmp_path: Path) -> None:
    photo = next(iter(sorted(DEMO.glob("*.png"))))
    asked = json.dumps({"photo": str(photo), "objects": 100, "exact": True})
    command = [sys.executable, str(BENCHMARKS / "answering.py"), "demo", "eager"]
    done = subprocess.run(command, input=asked + "\n", capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout)["objects"] > 1
