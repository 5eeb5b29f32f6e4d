"""What waits beside a served model stays small: it imports none of what decodes, computes or draws."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMPUTES = {"torch", "numpy", "PIL", "pi_heif", "openvino", "contourpy", "pycocotools"}
PAGE = {"gradio", "pandas", "matplotlib"}
CLIENTS = {"httpx", "requests", "huggingface_hub", "rich", "typer", "asyncio"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("pointrend", COMPUTES | PAGE | CLIENTS),
        ("gateway.app", COMPUTES | PAGE | {"requests", "huggingface_hub"}),
        ("gateway.__main__", COMPUTES | PAGE | CLIENTS),
        ("gateway.health", COMPUTES | PAGE | CLIENTS),
        ("pointrend.serving.up", COMPUTES | PAGE | {"httpx", "huggingface_hub"}),
        ("gradio_app.app", {"torch", "openvino"}),
    ],
)
def test_a_process_imports_nothing_that_it_does_not_use(module: str, absent: set[str]) -> None:
    code = f"import json, sys, {module}; print(json.dumps([*sys.modules]))"
    # As the container runs them: from the packages alone.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not absent & set(json.loads(done.stdout.splitlines()[-1]))
