"""CONTRIBUTING.md's examples, applied to a copy of the project: what they add works there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Of "model_store" what other tests are making there: it may be gone before it is copied.
LEFT_OUT = shutil.ignore_patterns(
    ".venv", ".git", "*_cache", ".hypothesis", "__pycache__", "build", "*.mar", ".building-*", "golden"
)
_FILE = re.compile(r"^--- (?:a/\S+|/dev/null)\n\+\+\+ b/(\S+)\n", re.MULTILINE)


def diffs() -> list[tuple[str, str]]:
    """The file that each part of each diff changes, and the part."""
    parts: list[tuple[str, str]] = []
    for block in re.findall(r"^```diff\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        names = list(_FILE.finditer(block))
        ends = [name.start() for name in names[1:]] + [len(block)]
        parts += [(name[1], block[name.end() : end]) for name, end in zip(names, ends, strict=True)]
    return parts


def apply(part: str, path: Path) -> None:
    """Replace what each hunk says; it has no line numbers, so what it replaces must be in the file exactly once."""
    new_file = not path.exists()
    text = "" if new_file else path.read_text(encoding="utf-8")
    for hunk in part.split("@@\n")[1:]:
        lines = hunk.splitlines()
        old = "\n".join(line[1:] for line in lines if line[:1] in (" ", "-"))
        new = "\n".join(line[1:] for line in lines if line[:1] in (" ", "+"))
        if new_file:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = new + "\n"
            continue
        assert text.count(old) == 1, f"{path.name} has {text.count(old)} times:\n{old}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with all examples applied and its generated pages rewritten."""
    folder = tmp_path_factory.mktemp("contributing") / "project"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    for name, part in diffs():
        apply(part, folder / name)
    run(folder, "scripts/write_api_docs.py")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Run Python in the copy, whose packages come before the installed ones."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_copy_is_what_is_imported(copy: Path) -> None:
    assert str(copy) in run(copy, "-c", "import pointrend; print(pointrend.__file__)")


@pytest.mark.parametrize(
    "tests",
    [
        ("tests/inference/test_min_side.py", "tests/structures/test_options.py", "tests/docs/test_api_docs.py"),
        ("tests/exporters/test_csv_rows.py", "tests/docs/test_readme.py::test_every_format_of_predict_is_documented"),
        ("tests/modeling/test_vgg.py", "tests/modeling/test_efficientnet.py"),
        ("tests/deploy/test_fly.py", "tests/deploy/test_manifests.py::test_each_target_has_a_page"),
    ],
    ids=["option", "format", "backbone", "deploy target"],
)
def test_an_example_works_and_breaks_nothing_near_it(copy: Path, tests: tuple[str, ...]) -> None:
    assert re.search(r"\d+ passed", run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests))


def test_the_examples_are_formatted_typed_and_keep_the_import_rule(copy: Path) -> None:
    files = sorted({name for name, _ in diffs() if name.endswith(".py")})
    run(copy, "-m", "ruff", "check", *files)
    run(copy, "-m", "ruff", "format", "--check", *files)
    run(copy, "-m", "mypy", "pointrend/exporters", "pointrend/config", "pointrend/modeling/backbone")
    run(
        copy, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(is_debug_mode=False))"
    )


def test_the_site_has_the_new_page(copy: Path) -> None:
    run(copy, "-m", "mkdocs", "build", "--strict", "-q")
    assert (copy / "build" / "site" / "deploy" / "fly.html").is_file()


def test_the_commands_of_the_table_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^\| `make (\w+)` \|", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_marker_is_named() -> None:
    import tomllib

    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    for marker in options["markers"]:
        assert f"`{marker.partition(':')[0]}`" in TEXT
