"""The tab that shows how a mask comes about; the browser draws it, see ``browser/how.js``."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr
import numpy as np

from gradio_app import view
from gradio_app.browser import script, style
from gradio_app.examples import EXAMPLES, thumbnail
from gradio_app.image_tab import AT_ONCE, KEPT_SECONDS
from gradio_app.once_per_model import OncePerModel
from gradio_app.page import Page
from gradio_app.payload import data_url
from gradio_app.refinement import CONSTANT_SIDE, SIDES, CloseUp, RefinementTrace
from gradio_app.servers import Servers
from pointrend.errors import InvalidRequest, RequestError
from pointrend.masks.rle import encode_crop

FIRST_EXAMPLE = 0  # that the tab opens with
SHARED = 8  # examples of which the result is kept for everybody; one has up to 20 MB
START = "Choose an image, then look at each object's mask step by step."
TEXT = """
A mask does not need the same care everywhere. Inside an object and far outside of it neighbours agree; only along the
outline a pixel's answer is open. PointRend treats a mask as a picture to be *rendered*: it starts with a rough guess of
7 x 7 cells, doubles the grid step by step, and recomputes after each doubling only the points where the answer
is nearest to a coin toss. A small network answers for each point, from the fine features of the photo at that place and
from the coarse guess. So a mask of 224 x 224 cells costs some 3,000 answers rather than 50,000.
"""
TICKS = "".join(f"<span>{side} x {side}</span>" for side in SIDES)
# Text and controls; all that changes is the script's.
TEMPLATE = f"""
<div class="how">
  <p class="said" id="how-status" role="status" aria-live="polite">{START}</p>
  <div class="shown" hidden>
    <div class="steps">
      <div class="buttons">
        <button type="button" class="back" aria-label="Previous step">◀</button>
        <button type="button" class="play" id="how-play">Play</button>
        <button type="button" class="next" aria-label="Next step">▶</button>
      </div>
      <div class="grid">
        <input type="range" id="how-step" min="0" max="{len(SIDES) - 1}" step="1" value="0"
          aria-label="The mask's grid">
        <div class="ticks" aria-hidden="true">{TICKS}</div>
      </div>
    </div>
    <label class="points"><input type="checkbox" id="how-points" checked> Show the points that this step computed
    </label>
    <div class="pictures">
      <figure class="whole"><canvas id="how-picture" role="img"></canvas></figure>
      <figure class="detail">
        <canvas id="how-detail" role="img"></canvas>
        <figcaption>The place in the square, magnified: here the outline changes most.</figcaption>
      </figure>
    </div>
    <div class="compared">
      <figure class="versus">
        <canvas id="how-comparison" role="img"></canvas>
        <input type="range" id="how-divider" min="0" max="100" value="50">
        <figcaption>Drag the divider. Left: a constant {CONSTANT_SIDE} x {CONSTANT_SIDE} mask as in Mask R-CNN. Right:
          PointRend's.</figcaption>
      </figure>
      <p class="alone" hidden>This model has no {CONSTANT_SIDE} x {CONSTANT_SIDE} head to compare with.</p>
      <div>
        <table id="how-numbers">
          <thead><tr><th scope="col">Mask</th><th scope="col">IoU</th><th scope="col">Points</th>
            <th scope="col">Time (ms)</th></tr></thead>
          <tbody></tbody>
        </table>
        <p class="note"></p>
      </div>
    </div>
  </div>
</div>
"""

Updates = dict[Any, Any]


class HowTab:
    """Lays the tab out inside the current Blocks and wires it.

    Args:
        page: what it is laid out in.
        servers: what may be asked.
        chooser: holds the label of the one to ask.
    """

    def __init__(self, page: Page, servers: Servers, chooser: gr.Dropdown) -> None:
        self._page = page
        self._servers = servers
        self._shared: OncePerModel[RefinementTrace] = OncePerModel(SHARED)
        gr.Markdown(TEXT)
        self.kept = gr.State(None, time_to_live=KEPT_SECONDS)
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                self._photo = photo = gr.Image(
                    label="Photo",
                    sources=["upload", "webcam", "clipboard"],
                    type="filepath",
                    image_mode=None,
                    webcam_options=gr.WebcamOptions(mirror=False),
                    height=240,
                    elem_id="how-photo",
                )
                examples = gr.HTML(
                    html_template=_gallery(),
                    css_template=style("how"),
                    js_on_load=script("how") + "\nlistenToExamples(element, trigger);",
                    apply_default_css=False,
                    elem_id="how-examples",
                )
                self.object = gr.Dropdown([], label="Object", visible=False, elem_id="how-object")
            with gr.Column(scale=3, min_width=300):
                self.view = gr.HTML(
                    None,
                    html_template=TEMPLATE,
                    css_template=style("how"),
                    js_on_load=script("masks", "how") + "\nnew HowView(element, props, trigger, watch);",
                    apply_default_css=False,
                    elem_id="how",
                    first=FIRST_EXAMPLE,
                )
        shown = [self.view, self.kept, self.object]
        asked = photo.input(
            self.ask,
            inputs=[photo, chooser],
            outputs=shown,
            preprocess=False,  # the server judges the file, as on the tab for one photo
            show_progress_on=[self.view],
            concurrency_limit=AT_ONCE,
            concurrency_id="server",
            trigger_mode="always_last",
            api_visibility="private",
        )
        page.complain(asked, self._complain)
        gr.on(
            [examples.click, self.view.click],  # the view asks for its first example when it is first seen
            self.ask_example,
            inputs=[chooser],
            outputs=[photo, *shown],
            show_progress_on=[self.view],
            concurrency_limit=AT_ONCE,
            concurrency_id="server",
            trigger_mode="always_last",
            api_visibility="private",
        )
        self.object.input(
            self.draw_object,
            inputs=[self.kept, self.object],
            outputs=[self.view],
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )

    def ask(
        self,
        upload: dict[str, Any] | None,
        label: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Updates:
        """Ask for the masks of a photo after each step."""
        if not upload:
            return self._nothing(START)
        try:
            return self._show(self._ask(self._page.uploads.read(upload), label, progress))
        except RequestError as error:
            return self._complain(error)

    def ask_example(
        self,
        label: str | None,
        event: gr.EventData,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Updates:
        """Show an example; it is asked for once, for everybody, as long as the model is the same."""
        index = event._data.get("index") if isinstance(event._data, dict) else None  # noqa: SLF001
        try:
            if type(index) is not int or not 0 <= index < len(EXAMPLES):
                limit = len(EXAMPLES) - 1
                raise InvalidRequest(f"Choose an example from 0 to {limit}.", field="index", limit=limit, value=index)
            example = EXAMPLES[index]
            trace = self._shared.get(
                example.key, self._servers[label], lambda _model: self._ask(example.data(), label, progress)
            )
        except RequestError as error:
            return self._complain(error)
        return {**self._show(trace), self._photo: None}

    def _ask(self, data: bytes, label: str | None, progress: gr.Progress) -> RefinementTrace:
        return RefinementTrace.ask(
            self._servers[label].client,
            data,
            on_step=lambda number, count: progress((number, count), desc="Refining", unit="steps"),
        )

    def draw_object(self, trace: RefinementTrace | None, chosen: int | None) -> dict[str, Any]:
        """Show another object."""
        if trace is None or type(chosen) is not int or not 0 <= chosen < len(trace.labels):
            return {"said": START}
        return drawn(trace.close_up(chosen), len(trace.labels))

    def _show(self, trace: RefinementTrace) -> Updates:
        if not trace.labels:
            return self._nothing("No objects found in this image; try another.")
        objects = [(name, index) for index, name in enumerate(trace.labels)]
        return {
            self.view: self.draw_object(trace, 0),
            self.kept: trace,
            self.object: gr.update(choices=objects, value=0, visible=True),
        }

    def _complain(self, error: RequestError) -> Updates:
        gr.Warning(error.message)
        return {self.view: {"said": view.complaint(error)}}

    def _nothing(self, said: str) -> Updates:
        return {self.view: {"said": said}, self.kept: None, self.object: gr.update(visible=False)}


def drawn(close_up: CloseUp, objects: int) -> dict[str, Any]:
    """What the browser draws of an object: masks in COCO's run lengths, in the pixels of its window.

    Args:
        close_up: of the object.
        objects: how many the photo has, which the milliseconds are of.
    """
    overlaps, answers = close_up.overlaps, close_up.answers
    constant = None
    if close_up.constant is not None:
        constant = {
            "grid": f"Constant {CONSTANT_SIDE} x {CONSTANT_SIDE}",
            "mask": _encoded(close_up.constant),
            "iou": close_up.constant_overlap,
            "ms": close_up.constant_milliseconds,
        }
    return {
        "name": close_up.name,
        "objects": objects,
        "photo": data_url(np.asarray(close_up.picture)),
        "width": close_up.picture.width,
        "height": close_up.picture.height,
        "detail": close_up.detail,
        "constant": constant,
        "steps": [
            {
                "grid": f"{SIDES[step]} x {SIDES[step]}" if len(close_up.masks) > 1 else "The only step",
                "mask": _encoded(mask),
                "points": np.round(close_up.points[step]).astype(int).ravel().tolist(),
                "said": close_up.explain(step),
                "iou": overlaps[step],
                "answers": answers[step],
                "ms": close_up.milliseconds[step],
            }
            for step, mask in enumerate(close_up.masks)
        ],
    }


def _encoded(mask: np.ndarray[Any, Any]) -> dict[str, Any]:
    return encode_crop(mask, 0, 0, *mask.shape)


def _gallery() -> str:
    """The examples as buttons that are named by their pictures."""
    buttons = []
    for index, example in enumerate(EXAMPLES):
        name = html.escape(example.label)
        image = f'<img src="{thumbnail(example)}" alt="{name}">'
        buttons.append(f'<button type="button" data-index="{index}" title="{name}">{image}</button>')
    return f'<div class="gallery" role="group" aria-label="Examples">{"".join(buttons)}</div>'
