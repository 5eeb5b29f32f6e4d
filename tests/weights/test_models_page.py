"""The table in docs/models.md is the data's."""

from __future__ import annotations

from pathlib import Path

from pointrend.weights import zoo

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def row(model: zoo.ZooModel) -> str:
    figure = " ".join(map(str, next(iter(model.figures.items()))))
    finds = "a category for each pixel" if model.task == "semantic" else "objects"
    return (
        f"| `{model.name}` | {model.kind} {model.backbone} | {model.dataset} | {finds}, {len(model.categories)} "
        f"categories | {figure} | {model.weight_bytes / 2**20:.0f} MiB |"
    )


def test_every_published_model_stands_in_the_table() -> None:
    _, table = PAGE.read_text(encoding="utf-8").split("| as published | download |\n", 1)
    rows = table.split("\n\n", 1)[0].splitlines()[1:]
    assert rows == [row(model) for model in zoo.models()]
