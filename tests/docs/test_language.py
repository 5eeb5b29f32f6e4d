"""Documentation, help and messages in short idiomatic English: none of the phrases that a reader has to read twice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "spaces/*.md", "model_store/*.md", "notebooks/*.ipynb")
    for path in ROOT.glob(pattern)
)
CODE = sorted(
    path for name in ("pointrend", "handler", "gradio_app", "gateway") for path in (ROOT / name).rglob("*.py")
)
INSTEAD = {
    r"(is|are|was|were) gone on with|goes? on (by (itself|themselves)|as soon|where|with)": "resumes, continues",
    r"a run that was (cut|killed) goes on": "an interrupted run resumes",
    r"the best so many|so many (images|photos) only": "the n best",
    r"in COCO's words": "as COCO results, with COCO's field names",
    r"(is|what is|are) known of": "details of",
    r"(is|are) told (by|with|to) ": "is given by, is documented in",
    r"\btells? of\b": "describes",
    r"hands? (it )?on (a|to)\b|handed on\b": "passes, forwards",
    r"in a folder of its own": "in its own folder",
    r"what is not here yet": "downloaded if necessary",
    r"stands? at the end of its": "is at the end of",
    r"(is|are) learnt\b": "is trained, learned",
    r"to judge with": "for evaluation",
    r"made anew|computed anew": "recomputed",
    r"looked after": "managed",
    r"once more\b": "again",
    r"singled? (it |objects )?out": "select",
    r"is sure of": "with a score of at least",
    r"that is none\b|and is none\b": "is not one",
    r"\b(wherever|whoever|whatever) (it|he|she|they) (be|may)": "name the condition",
    r"for want of": "for lack of",
    r"is no (model folder|regular file|number|key file|image file)": "is not a",
    r"as it comes\b": "unchanged",
    r"(is|was|were) thrown away": "discarded",
    r"begins? anew": "start over",
    r"is not spoken here": "is not supported",
    r"one an? (request|part|file|line)\b": "one per",
    r"which is none of": "which is not one of",
    r"(a|that are|which is) no UTF-8": "not UTF-8",
    r"(is|are) asked for twice": "is listed twice",
    r"to mend\b": "to fix",
}
"""Phrases as regular expressions, and what to write instead."""


def found(text: str) -> list[str]:
    """Each phrase of the list that a text has, with what to write instead."""
    flat = " ".join(text.split())
    return [
        f"{match[0]!r}: write {instead!r}"
        for phrase, instead in INSTEAD.items()
        for match in re.finditer(rf"\b(?:{phrase})", flat, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages(page: Path) -> None:
    assert not found(page.read_text(encoding="utf-8"))


def test_help_and_messages() -> None:
    awkward = {
        f"{path.relative_to(ROOT)}:{line}": phrases
        for path in CODE
        for line, text in messages(ast.parse(path.read_text(encoding="utf-8")))
        if (phrases := found(text))
    }
    assert not awkward


def messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text of a module that is not a docstring, with its line; of an f-string, what is fixed in it."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def test_every_page_of_the_site_begins_with_what_it_is_for() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        lines = page.read_text(encoding="utf-8").splitlines()
        if page.name != "benchmarks-table.md":
            assert lines[0].startswith("# "), page
            assert lines[2].strip(), f"{page}: a sentence after the title"
            assert not lines[2].startswith("#"), f"{page}: a sentence before the first section"


@pytest.mark.parametrize("phrase", ["A run that was cut goes on in it.", "what is\nknown of it", "The best so many."])
def test_a_phrase_is_found_across_lines_and_in_any_case(phrase: str) -> None:
    assert found(phrase)
