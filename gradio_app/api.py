"""The page's functions by name, for ``gradio_client``, the API page and, where it is switched on, MCP.

Their docstrings are what the API page and language models read; of a parameter's text Gradio reads one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from gradio_app.exports import BY_KEY, EXPORTS, write
from gradio_app.refinement import SIDES
from gradio_app.result import CUTOUTS, LOWEST_SCORE, MASKS, UNSURE, VIEWS, Result, ViewSelection
from gradio_app.servers import Servers
from gradio_app.uploads import Uploads
from gradio_app.view_selection import read_colour
from pointrend.errors import RequestError
from pointrend.structures.options import OptionKeywords, Options
from pointrend.structures.prediction import Prediction
from pointrend.visualize.effects import EFFECTS, Effect

DEFAULTS = Options()
DRAWN_VIEWS = tuple(name for name in VIEWS if name not in (CUTOUTS, UNSURE))


def add(servers: Servers, uploads: Uploads) -> None:
    """Add the endpoints to the current Blocks; nothing of them is seen on the page."""
    functions = Functions(servers, uploads)
    with gr.Column(visible=False):
        photo = gr.File(label="photo", type="filepath")
        threshold = gr.Slider(LOWEST_SCORE, 1, value=DEFAULTS.score_threshold, label="score_threshold")
        categories = gr.Textbox("", label="categories")
        shown = gr.Dropdown(list(DRAWN_VIEWS), value=MASKS, label="view")
        opacity = gr.Slider(0, 1, value=0.5, label="opacity")
        kind = gr.Dropdown([export.key for export in EXPORTS], value="coco", label="kind")
        step = gr.Slider(0, len(SIDES) - 1, value=len(SIDES) - 1, step=1, label="step")
        effect = gr.Dropdown(list(EFFECTS), value="blur", label="effect")
        colour = gr.Textbox("#ffffff", label="colour")
        background = gr.File(label="background", type="filepath")
        model = gr.Dropdown(servers.labels, value=servers.labels[0], label="model")
        tree, file = gr.JSON(label="answer"), gr.File(label="file")
        common = [photo, threshold, categories]
        _endpoint(functions.segment, [*common, model], tree)
        _endpoint(functions.overlay, [*common, shown, opacity, model], file)
        _endpoint(functions.export, [*common, kind, model, effect, colour, background], file)
        _endpoint(functions.refine, [photo, threshold, step, model], tree)
        _endpoint(functions.models, [], tree)


def _endpoint(function: Callable[..., Any], inputs: list[Any], output: Any) -> None:
    gr.Button().click(
        function,
        inputs=inputs,
        outputs=[output],
        api_name=function.__name__,
        concurrency_limit=2,
        concurrency_id="server",
    )


@dataclass(frozen=True, slots=True)
class Functions:
    """What the endpoints do.

    Attributes:
        servers: what may be asked.
        uploads: the callers' photos.
    """

    servers: Servers
    uploads: Uploads

    def segment(
        self,
        photo: str | None,
        score_threshold: float = DEFAULTS.score_threshold,
        categories: str = "",
        model: str | None = None,
    ) -> dict[str, Any]:
        """Find the objects of a photo: category, score, box and mask of each, with COCO's field names.

        A semantic model answers with segments instead, one a category that it sees.

        Args:
            photo: JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP, TIFF or PPM; a data: URL where none can be uploaded.
            score_threshold: keep objects that the model is at least this sure of, from 0.05 to 1.
            categories: names to keep, separated by commas, or "all"; empty keeps what the model shows by default.
            model: one of those that `models` lists.
        """
        with _readable():
            data = self._read(photo)
            return self._ask(data, score_threshold, categories, model).to_dict()

    def overlay(
        self,
        photo: str | None,
        score_threshold: float = DEFAULTS.score_threshold,
        categories: str = "",
        view: str = MASKS,
        opacity: float = 0.5,
        model: str | None = None,
    ) -> str:
        """Draw what is found in a photo on it, as a PNG file.

        Args:
            photo: JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP, TIFF or PPM; a data: URL where none can be uploaded.
            score_threshold: show objects that the model is at least this sure of, from 0.05 to 1.
            categories: names to show, separated by commas, or "all"; empty shows what the model shows by default.
            view: Masks, Boxes or Semantic map.
            opacity: the masks' opacity, from 0 (outlines only) to 1.
            model: one of those that `models` lists.
        """
        with _readable():
            result = self._result(photo, score_threshold, categories, model)
            return write(BY_KEY["overlay"], result, ViewSelection(view, score_threshold, None, opacity), [])

    def export(
        self,
        photo: str | None,
        score_threshold: float = DEFAULTS.score_threshold,
        categories: str = "",
        kind: str = "coco",
        model: str | None = None,
        effect: Effect = "blur",
        colour: str = "#ffffff",
        background: str | None = None,
    ) -> str:
        """Find the objects of a photo and write them to a file for other tools.

        Args:
            photo: JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP, TIFF or PPM; a data: URL where none can be uploaded.
            score_threshold: keep objects that the model is at least this sure of, from 0.05 to 1.
            categories: names to keep, separated by commas, or "all"; empty keeps what the model shows by default.
            kind: coco or labelme (JSON); yolo, masks or cutouts (a zip); overlay or effect (a PNG).
            model: one of those that `models` lists.
            effect: for kind=effect, what becomes of the background: blur, grey, colour, transparent or picture.
            colour: for effect=colour, the background's, as #rrggbb.
            background: for effect=picture, another image, scaled to cover.
        """
        with _readable():
            result = self._result(photo, score_threshold, categories, model)
            known = self.servers[model].state().about.get("categories", [])
            choice = ViewSelection(
                threshold=score_threshold,
                effect=effect,
                colour=read_colour(colour),
                background=None if background is None else self.uploads.read(background),
            )
            return write(BY_KEY[kind], result, choice, known)

    def refine(
        self,
        photo: str | None,
        score_threshold: float = DEFAULTS.score_threshold,
        step: int = len(SIDES) - 1,
        model: str | None = None,
    ) -> dict[str, Any]:
        """Show how PointRend works: masks after a step of refinement, and the points that it recomputed.

        Args:
            photo: JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP, TIFF or PPM; a data: URL where none can be uploaded.
            score_threshold: keep objects that the model is at least this sure of, from 0.05 to 1.
            step: 0 to 4: the mask's grid is 7, 28, 56, 112 or 224 cells wide.
            model: one of those that `models` lists.
        """
        with _readable():
            client = self.servers[model].client
            answer = client.segment(
                self._read(photo), score_threshold=score_threshold, refinement=int(step), exact=True, points=True
            )
            return answer.to_dict()

    def models(self) -> list[dict[str, Any]]:
        """List the models to choose from, how each is doing, and what it finds."""
        listed = []
        for label in self.servers.labels:
            state = self.servers[label].state()
            listed.append({"model": label, "state": state.kind, "about": state.about})
        return listed

    def _result(self, photo: str | None, threshold: float, categories: str, model: str | None) -> Result:
        data = self._read(photo)
        prediction = self._ask(data, threshold, categories, model)
        return Result.of(Path(str(photo)).name, data, prediction)

    def _ask(self, data: bytes, threshold: float, categories: str, model: str | None) -> Prediction:
        watch = self.servers[model]
        options: OptionKeywords = {"task": watch.task, "score_threshold": threshold}
        if categories.strip():
            options["categories"] = categories
        return watch.client.segment(data, **options)

    def _read(self, photo: str | None) -> bytes:
        if photo is None:
            raise RequestError(
                "There is no photo: send an image file.", field="photo", code="missing_image", status=400
            )
        return self.uploads.read(photo)


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what goes wrong with a request into what Gradio shows to a caller as it stands."""
    try:
        yield
    except RequestError as error:
        raise gr.Error(error.message, print_exception=False) from error
