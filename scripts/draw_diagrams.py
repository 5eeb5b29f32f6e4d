"""Draw the architecture page's diagrams: ``python scripts/draw_diagrams.py``.

``packages.svg`` shows the layers of the import contract in pyproject.toml, ``data.svg`` the way of an image through the
code. Both use system fonts, and colours that read on light and dark pages.
"""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "diagrams"
WIDTH = 720  # pixels, as all lengths here
MARGIN = 16
BOX = 40
GAP = 18
FILL = "#3f51b5"
SIDE_FILL = "#546e7a"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the way of an image.

    Attributes:
        does: what happens.
        module: where.
        gives: what the next step gets.
    """

    does: str
    module: str
    gives: str


STEPS = (
    Step("Parse the request", "pointrend.service.inputs", "file bytes, options"),
    Step("Decode", "pointrend.images.decode", "upright RGB, H x W x 3 uint8"),
    Step("Resize and normalise", "pointrend.modeling.preprocess", "1 x 3 x H x W float32"),
    Step("Backbone and pyramid", "pointrend.modeling.backbone", "feature maps at strides 4 to 64"),
    Step("Proposals", "pointrend.modeling.rpn", "at most 1,000 boxes"),
    Step("Classify and refine boxes", "pointrend.modeling.roi_heads.box_head", "R detections"),
    Step("Coarse masks, then points", "pointrend.modeling.point_rend", "R x S x S logits, S from 7 to 224"),
    Step("Paste each mask in its box", "pointrend.inference.paste", "one crop at a time"),
    Step("Encode", "pointrend.masks.encode", "RLE or polygons"),
    Step("Collect", "pointrend.structures.prediction", "Prediction"),
    Step("Respond", "pointrend.service.outputs", "JSON, PNG or zip"),
)
"""What happens to an image that the server gets, in this order."""


def packages() -> str:
    """The layers of the import contract, the outermost at the top, as SVG.

    Raises:
        ValueError: pyproject.toml has no contract of layers.
    """
    rows: list[tuple[Sequence[str], str]] = [(("handler", "gradio_app", "gateway"), SIDE_FILL)]
    rows += [([name.strip() for name in layer.split("|")], FILL) for layer in layers()]
    body: list[str] = []
    y = MARGIN
    for names, fill in rows:
        width = (WIDTH - 2 * MARGIN - GAP * (len(names) - 1)) / len(names)
        for column, name in enumerate(names):
            body.append(box(MARGIN + column * (width + GAP), y, width, name, fill))
        y += BOX + GAP
    for row in range(len(rows) - 1):
        body.append(arrow(WIDTH / 2, MARGIN + row * (BOX + GAP) + BOX, GAP))
    return svg(y - GAP + MARGIN, "The packages: each imports only from the rows below it", body)


def layers() -> list[str]:
    """Those of the contract, as pyproject.toml has them: names of one row with a bar between.

    Raises:
        ValueError: there is no such contract.
    """
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    for contract in contracts:
        if contract["type"] == "layers":
            return list(contract["layers"])
    raise ValueError("pyproject.toml has no import-linter contract of the type layers.")


def data() -> str:
    """The path of an image, as SVG.

    Raises:
        ValueError: a step names a module that does not exist.
    """
    body: list[str] = []
    y = MARGIN
    left = WIDTH * 0.62
    for number, step in enumerate(STEPS):
        if importlib.util.find_spec(step.module) is None:
            raise ValueError(f"The step {step.does!r} names {step.module}, which does not exist.")
        body.append(box(MARGIN, y, left - MARGIN, step.does, FILL, step.module))
        body.append(f'<text x="{left + GAP:g}" y="{y + BOX / 2 + 5:g}" class="note">{escape(step.gives)}</text>')
        if number < len(STEPS) - 1:
            body.append(arrow((MARGIN + left) / 2, y + BOX, GAP))
        y += BOX + GAP
    return svg(y - GAP + MARGIN, "The path of an image, from request to response", body)


def box(x: float, y: float, width: float, name: str, fill: str, below: str = "") -> str:
    """A box with a name in it, and a smaller second line."""
    middle = x + width / 2
    first = y + (BOX / 2 - 3 if below else BOX / 2 + 5)
    lines = f'<text x="{middle:g}" y="{first:g}" class="name">{escape(name)}</text>'
    if below:
        lines += f'<text x="{middle:g}" y="{y + BOX - 8:g}" class="module">{escape(below)}</text>'
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{BOX}" rx="6" fill="{fill}"/>{lines}'


def arrow(x: float, y: float, length: float) -> str:
    """One that points down."""
    tip = y + length - 2
    line = f'<path d="M{x:g} {y + 2:g}V{tip - 4:g}" class="arrow"/>'
    return f'{line}<path d="M{x - 5:g} {tip - 5:g}L{x:g} {tip:g}L{x + 5:g} {tip - 5:g}z" fill="#888"/>'


def svg(height: float, title: str, body: Sequence[str]) -> str:
    """A whole file."""
    style = (
        "text{font-family:system-ui,sans-serif;text-anchor:middle}.name{font-size:14px;font-weight:600;fill:#fff}"
        ".module{font-size:11px;fill:#e8eaf6;font-family:ui-monospace,monospace}"
        ".note{font-size:13px;text-anchor:start;fill:#888}.arrow{stroke:#888;stroke-width:2}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{title}">'
    return "\n".join([head, f"<title>{title}</title>", f"<style>{style}</style>", *body, "</svg>", ""])


DIAGRAMS = {"packages.svg": packages, "data.svg": data}


def main() -> None:
    """Write both."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in DIAGRAMS.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
