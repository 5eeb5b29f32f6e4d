"""``pointrend correct``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pointrend.cli.correction_words import read_corrections
from pointrend.errors import InvalidOption
from pointrend.plain_text import escaped
from pointrend.predict.correct import StoredResult, correct_result
from pointrend.predict.records import Step
from pointrend.structures.labels import instance_labels
from pointrend.system.outputs import check_folder

app = typer.Typer(add_completion=False)


@app.command()
def correct(
    out: Annotated[Path, typer.Argument(help="Output folder of 'pointrend predict'.")],
    image: Annotated[str, typer.Argument(help="The image: its path, its file name, or the name of its results.")],
    delete: Annotated[list[str] | None, typer.Option(help="Leave an object out, such as 'person 2'.")] = None,
    rename: Annotated[list[str] | None, typer.Option(help="Give an object another category: 'dog 1=cat'.")] = None,
    merge: Annotated[list[str] | None, typer.Option(help="Make one object of several: 'car 1+car 2'.")] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Make an object of each connected part of one: 'bench 1'.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Undo the corrections of the latest call instead.")] = False,
) -> None:
    """Correct the objects of an image, and write its results again.

    Without options it lists the objects. Each option may be given several times; an object may be in one of them. The
    results are written in every format in which 'pointrend predict' has saved them.
    """
    corrections = (delete or [], rename or [], merge or [], split or [])
    if undo and any(corrections):
        raise InvalidOption("--undo goes with no other correction: undo first, then correct.", field="--undo")
    found = StoredResult.find(out, image)
    if undo or any(corrections):
        check_folder(out, "OUT")
        step: Step = ()
        if not undo:
            step = read_corrections(
                instance_labels(found.prediction),
                found.categories(),
                delete=corrections[0],
                rename=corrections[1],
                merge=corrections[2],
                split=corrections[3],
            )
        found = correct_result(out, image, step=step, undo=undo)
    _show(found)


def _show(found: StoredResult) -> None:
    """List the objects, as they are now."""
    table = Table(box=None, pad_edge=False)
    for heading in ("object", "score", "x, y, width, height", "pixels", "parts"):
        table.add_column(heading, justify="left" if heading == "object" else "right", overflow="fold")
    for each in found.objects():
        box = ", ".join(f"{value:.0f}" for value in each.instance.bbox)
        counts = ("" if count is None else str(count) for count in (each.instance.area, each.parts))
        table.add_row(escape(escaped(each.label)), f"{each.instance.score:.2f}", box, *counts)
    console = Console()
    steps = len(found.record.steps)
    corrected = "not corrected" if not steps else f"corrected {'once' if steps == 1 else f'{steps} times'}"
    count = len(found.prediction.instances)
    said = f"{found.image.key}: {count} object{'' if count == 1 else 's'}, {corrected}"
    console.print(escape(escaped(said)), highlight=False, soft_wrap=True)
    if count:
        console.print(table)
