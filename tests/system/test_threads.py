"""How PyTorch's threads wait: what libgomp itself says that it was told."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from pointrend.system.threads import SPIN_COUNT, TURNS, TURNS_WHILE_FREE, WAITED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PyTorch has another OpenMP")
HERE = str(TURNS_WHILE_FREE if WAITED.is_file() else TURNS)
OWN = {SPIN_COUNT, "OMP_WAIT_POLICY"}


def spin_counts(imports: str, **own: str) -> set[str]:
    """What every libgomp that a process loads was told."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    done = subprocess.run(
        [sys.executable, "-c", imports],
        env=environment | own | {"OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(rf"{SPIN_COUNT} = '(\d+)'", done.stderr))


@pytest.mark.parametrize(
    "imports",
    [
        "import handler.pointrend_handler, torch",  # as TorchServe's worker does
        "import pointrend.cli.main, torch",
    ],
)
def test_threads_spin_for_a_short_while_only(imports: str) -> None:
    assert spin_counts(imports) == {HERE}


def test_an_own_setting_wins() -> None:
    assert spin_counts("import pointrend, torch", OMP_WAIT_POLICY="passive") == {"0"}
    assert spin_counts("import pointrend, torch", **{SPIN_COUNT: "7"}) == {"7"}


def test_the_environment_stays_as_it_is_where_torch_is_loaded_already() -> None:
    check = f"import os, torch, pointrend; assert {SPIN_COUNT!r} not in os.environ"
    assert HERE not in spin_counts(check)
