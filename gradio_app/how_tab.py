"""The tab that shows how a mask comes about."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gradio_app import view
from gradio_app.examples import EXAMPLES
from gradio_app.image_tab import AT_ONCE, KEPT_SECONDS
from gradio_app.page import Page
from gradio_app.refinement import SIDES, RefinementTrace
from gradio_app.servers import Servers
from pointrend.errors import RequestError

PICTURE_HEIGHT = 460
START = "Choose an image, then look at each object's mask step by step."
TEXT = """
A mask does not need the same care everywhere. Inside an object and far outside of it neighbours agree; only along the
outline a pixel's answer is open. PointRend treats a mask as a picture to be *rendered*: it starts with a rough guess of
7 x 7 cells, doubles the grid step by step, and recomputes after each doubling only the points where the answer
is nearest to a coin toss. A small network answers for each point, from the fine features of the photo at that place and
from the coarse guess. So a mask of 224 x 224 cells costs some 3,000 answers rather than 50,000.
"""
COMPARISON = "Drag the handle. Left: a constant 28 x 28 mask as in Mask R-CNN. Right: PointRend's."
NO_CONSTANT = "This model has no 28 x 28 head to compare with."

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
        gr.Markdown(TEXT)
        self.kept = gr.State(None, time_to_live=KEPT_SECONDS)
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                photo = gr.Image(
                    label="Photo",
                    sources=["upload", "webcam", "clipboard"],
                    type="filepath",
                    image_mode=None,
                    webcam_options=gr.WebcamOptions(mirror=False),
                    height=300,
                    elem_id="how-photo",
                )
                gr.Examples(
                    [[str(example.path)] for example in EXAMPLES],
                    inputs=[photo],
                    label="Examples",
                    elem_id="how-examples",
                )
                self.object = gr.Dropdown([], label="Object", visible=False, elem_id="how-object")
            with gr.Column(scale=3, min_width=300):
                self.status = gr.Markdown(START, elem_id="how-status")
                self.step = gr.Slider(
                    0,
                    len(SIDES) - 1,
                    value=0,
                    step=1,
                    label="Step",
                    info="The mask's grid: " + ", ".join(f"{side} x {side}" for side in SIDES) + ".",
                    elem_id="how-step",
                )
                self.points = gr.Checkbox(True, label="Show the points that this step predicted", elem_id="how-points")
                self.picture = gr.Image(
                    label="The mask after this step",
                    interactive=False,
                    format="png",
                    height=PICTURE_HEIGHT,
                    buttons=["fullscreen"],
                    alt_text="The object, enlarged, with its mask and the points of this step",
                    elem_id="how-picture",
                )
                self.said = gr.Markdown(COMPARISON, visible=False, elem_id="how-comparison-text")
                self.comparison = gr.ImageSlider(
                    label="Constant 28 x 28 | PointRend 224 x 224",
                    format="png",
                    interactive=False,
                    visible=False,
                    height=PICTURE_HEIGHT,
                    buttons=["fullscreen"],
                    elem_id="how-comparison",
                )
        shown = [self.picture, self.status]
        asked = photo.change(
            self.ask,
            inputs=[photo, chooser],
            outputs=[*shown, self.kept, self.object, self.step, self.said, self.comparison],
            preprocess=False,  # the server judges the file, as on the tab for one photo
            show_progress_on=[self.picture],
            concurrency_limit=AT_ONCE,
            concurrency_id="server",
            trigger_mode="always_last",
            api_visibility="private",
        )
        page.complain(asked, self._complain)
        gr.on(
            [self.step.input, self.points.input],
            self.draw_step,
            inputs=[self.kept, self.object, self.step, self.points],
            outputs=shown,
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )
        self.object.input(
            self.draw_object,
            inputs=[self.kept, self.object, self.step, self.points],
            outputs=[*shown, self.said, self.comparison],
            show_progress="hidden",
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
            trace = RefinementTrace.ask(
                self._servers[label].client,
                self._page.uploads.read(upload),
                on_step=lambda number, count: progress((number, count), desc="Refining", unit="steps"),
            )
        except RequestError as error:
            return self._complain(error)
        if not trace.labels:
            return {**self._nothing("No objects found in this image; try another."), self.kept: None}
        objects = [(name, index) for index, name in enumerate(trace.labels)]
        return {
            **self._object(trace, 0, 0, points=True),
            self.kept: trace,
            self.object: gr.update(choices=objects, value=0, visible=True),
            self.step: gr.update(value=0, interactive=len(trace.steps) > 1),
        }

    def _complain(self, error: RequestError) -> Updates:
        gr.Warning(error.message)
        return {self.status: view.complaint(error)}

    def draw_step(self, trace: RefinementTrace | None, chosen: int | None, step: int, points: bool) -> Updates:
        """Show another step."""
        if trace is None or chosen is None:
            return {self.picture: None, self.status: START}
        drawn = trace.draw_step(chosen, step, points=points)
        return {self.picture: drawn, self.status: trace.explain(chosen, step)}

    def draw_object(self, trace: RefinementTrace | None, chosen: int | None, step: int, points: bool) -> Updates:
        """Show another object."""
        if trace is None or chosen is None:
            return self._nothing(START)
        return self._object(trace, chosen, step, points=points)

    def _object(self, trace: RefinementTrace, chosen: int, step: int, *, points: bool) -> Updates:
        compared = trace.draw_comparison(chosen)
        return {
            **self.draw_step(trace, chosen, step, points),
            self.said: gr.update(value=NO_CONSTANT if compared is None else COMPARISON, visible=True),
            self.comparison: gr.update(value=compared, visible=compared is not None),
        }

    def _nothing(self, said: str) -> Updates:
        return {
            self.picture: None,
            self.status: said,
            self.said: gr.update(visible=False),
            self.comparison: gr.update(value=None, visible=False),
        }
