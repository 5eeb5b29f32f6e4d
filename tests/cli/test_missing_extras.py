"""Without an optional package, a command says in one sentence which extra brings it and how to install it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from pointrend.errors import ConfigError
from pointrend.system.extras import EXTRAS, explain, require_modules

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOR_DEVELOPERS = {"test", "docs", "mcp"}
# Brought by what is always there, named by their own sentence, or a part of another.
ELSEWHERE = {"httpcore", "httpx2", "supervision", "ncnn", "scipy"}
BLOCKED = """
import sys
module, *arguments = sys.argv[1:]
sys.modules[module] = None
sys.argv = ["pointrend", *arguments]
from pointrend.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("tensorboard", ["train", "demo", "--data", "none", "--out", "{out}"]),
        ("matplotlib", ["train", "demo", "--data", "none", "--out", "{out}"]),
        ("ray", ["batch", "{out}", "{out}/results"]),
        ("fsspec", ["batch", "{out}", "{out}/results"]),
        ("pyarrow", ["batch", "{out}", "{out}/results"]),
        ("ts", ["up"]),
        ("model_archiver", ["up", "--no-page"]),
        ("gradio", ["up"]),
        ("httpx", ["up"]),
        ("uvicorn", ["up", "--server", "asgi"]),
        ("model_archiver", ["archive", "--engine", "eager", "--destination", "{out}"]),
        ("openvino", ["predict", "{images}", "--out", "{out}/results", "--engine", "openvino"]),
        ("httpx", ["predict", "{images}", "--out", "{out}/results", "--server", "http://127.0.0.1:9"]),
        ("grpc", ["predict", "{images}", "--out", "{out}/results", "--server", "grpc://127.0.0.1:9"]),
        ("av", ["video", "in.mp4", "{out}/out.mp4"]),
        ("norfair", ["video", "in.mp4", "{out}/out.mp4"]),
        ("huggingface_hub", ["weights", "pull", "hf://owner/name"]),
    ],
)
def test_a_command_names_the_extra(module: str, arguments: list[str], tmp_path: Path) -> None:
    places = {"out": str(tmp_path), "images": str(ROOT / "tests" / "demo")}
    command = [sys.executable, "-c", BLOCKED, module, *(each.format(**places) for each in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"pip install '?pointrend-serve\[[a-z-]+\]", done.stderr), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_every_optional_import_has_its_extra() -> None:
    always = {re.split(r"[^\w-]", each)[0] for each in PROJECT["dependencies"]} | {"PIL", "pi_heif", "yaml"}
    own = {"pointrend", "handler", "gradio_app", "gateway"} | ELSEWHERE
    unknown = set()
    for file in (ROOT / "pointrend").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                known = {name, top, ".".join(name.split(".")[:2])} & EXTRAS.keys()
                if not known and top not in always | own | sys.stdlib_module_names:
                    unknown.add(name)
    assert not unknown


def test_every_extra_is_one_of_the_project() -> None:
    extras = PROJECT["optional-dependencies"].keys()
    assert set(EXTRAS.values()) == extras - FOR_DEVELOPERS


@pytest.mark.parametrize("module", EXTRAS)
def test_a_failed_import_is_explained(module: str) -> None:
    for name in (module, f"{module}.part.deeper"):
        told = explain(ModuleNotFoundError(f"No module named {name!r}", name=name))
        assert told is not None
        assert f"pip install 'pointrend-serve[{EXTRAS[module]}]'" in told
    assert explain(ModuleNotFoundError("No module named 'pointrend.none'", name="pointrend.none")) is None
    assert explain(ImportError("cannot import")) is None


def test_what_is_missing_is_told_before_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert find_spec("tensorboard") is None
    with pytest.raises(ConfigError, match=r"pointrend train needs the Python package tensorboard.*\[train\]"):
        require_modules("pointrend train", "matplotlib", "tensorboard")
