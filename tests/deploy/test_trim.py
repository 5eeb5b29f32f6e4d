"""What the image's packages lose, and what stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.image import trim

needs_strip = pytest.mark.skipif(shutil.which("strip") is None, reason="needs Debian's binutils")
LIBRARY = next(Path("/usr/lib").glob("*/libc.so.6"), None)


@needs_strip
@pytest.mark.skipif(LIBRARY is None, reason="needs a shared library to strip")
def test_unused_files_go_and_everything_else_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = [
        "torch/bin/test_api",
        "torch/include/ATen/ATen.h",
        "sympy/core/tests/test_expr.py",
        "torch/nn/__pycache__/a",
    ]
    kept = ["torch/bin/torch_shm_manager", "torch/testing/_internal/a.py", "sympy/core/expr.py", "own/tests/a.py"]
    kept += ["torch-2.13.0.dist-info/licenses/LICENSE", "openvino/libs/libopenvino_intel_cpu_plugin.so"]
    for name in [*gone, *kept]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert LIBRARY is not None
    (tmp_path / "torch/lib").mkdir()
    shutil.copy(LIBRARY, tmp_path / "torch/lib/libtorch_cpu.so")
    trim.main(tmp_path)
    assert [name for name in gone if (tmp_path / name).exists()] == []
    assert [name for name in kept if (tmp_path / name).read_text() == name] == kept
    assert (tmp_path / "torch/lib/libtorch_cpu.so").stat().st_size > 0
    said = capsys.readouterr().out
    assert "trim: torch/test matches nothing" in said
    assert "gradio" not in said  # a package that is not there is nothing to wonder at


def test_each_entry_says_why() -> None:
    assert all(trim.UNUSED.values())
