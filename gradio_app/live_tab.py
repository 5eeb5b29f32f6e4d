"""The tab for the camera's live picture: the browser shows it and draws on it, the page answers with masks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gradio_app import view
from gradio_app.browser import script, style
from gradio_app.live import SENT_SIDE, Viewers, find_objects
from gradio_app.page import Page
from gradio_app.result import LOWEST_SCORE
from gradio_app.servers import Servers
from pointrend.errors import InvalidRequest, RequestError
from pointrend.structures.options import Options
from pointrend.visualize.palettes import colour

VIEWERS = 4  # at once; the next one waits for a place
MINUTES = 10  # then a viewer makes room and has to press the button again
COLOURS = 24  # of objects; further ones begin anew

EXPLANATION = (
    f"Press Start and allow the camera. Your browser shows its picture and draws the masks; frames are sent at "
    f"{SENT_SIDE} pixels and are not kept. It stops by itself after {MINUTES} minutes."
)
# Text and buttons; all that changes is the script's.
TEMPLATE = f"""
<div class="live">
  <div class="stage">
    <video muted playsinline aria-label="The camera's picture"></video>
    <canvas aria-hidden="true"></canvas>
  </div>
  <p class="status" id="live-status" role="status" aria-live="polite">The camera is off.</p>
  <div class="controls">
    <button type="button" class="toggle" id="live-toggle">Start</button>
    <button type="button" class="turn" hidden>Switch to the front camera</button>
    <label class="cameras" hidden>Camera <select></select></label>
    <label class="threshold">Score threshold
      <input type="range" id="live-threshold" min="{LOWEST_SCORE}" max="0.95" step="0.05"
        value="{Options().score_threshold}"><output for="live-threshold">{Options().score_threshold:.2f}</output>
    </label>
  </div>
</div>
"""


class LiveTab:
    """Lays the tab out inside the current Blocks and wires it.

    Args:
        page: what it is laid out in.
        servers: what may be asked.
        chooser: holds the label of the one to ask.
    """

    def __init__(self, page: Page, servers: Servers, chooser: gr.Dropdown) -> None:
        self._page = page
        self._servers = servers
        self._viewers = Viewers(VIEWERS, MINUTES * 60)
        gr.Markdown(EXPLANATION)
        live = gr.HTML(
            chooser.value,  # the model that frames are sent to
            html_template=TEMPLATE,
            css_template=style("live"),
            js_on_load=script("masks", "live_paint", "camera", "live") + "\nnew LiveView(element, props);",
            apply_default_css=False,
            elem_id="live-view",
            sent_side=SENT_SIDE,
            minutes=MINUTES,
            palette=[colour(index) for index in range(COLOURS)],
        )
        chooser.change(
            None, inputs=[chooser], outputs=[live], js="(label) => label", queue=False, api_visibility="private"
        )
        # The script asks by itself, without the queue: one request a frame, whose answer no component is drawn for.
        with gr.Column(visible=False):
            frame = gr.Image(label="frame", type="filepath")
            threshold = gr.Slider(LOWEST_SCORE, 1, value=Options().score_threshold, label="score_threshold")
            model = gr.Dropdown(servers.labels, value=servers.labels[0], label="model")
            number = gr.Number(0, label="number")
            answer = gr.JSON()
            asked = gr.Button().click(
                self.frame,
                inputs=[frame, threshold, model, number],
                outputs=[answer],
                queue=False,
                preprocess=False,  # the server judges the file
                api_name="frame",
                api_visibility="private",
            )
        page.complain(asked, lambda error: {answer: _complaint(error)})

    def frame(
        self,
        upload: dict[str, Any] | None,
        threshold: float,
        label: str | None,
        number: int,
        request: gr.Request,
    ) -> dict[str, Any]:
        """Answer one frame: see :func:`find_objects`, or ``error`` with ``code`` and ``message``.

        Args:
            upload: the frame, as a ``data:`` URL; the page keeps none of them.
            threshold: the lowest score.
            label: of the server.
            number: of the frame since the button was pressed, from 0.
            request: whose session is the viewer.
        """
        try:
            if not upload:
                raise InvalidRequest("The request has no frame; send a JPEG file as a data: URL.", field="frame")
            with self._viewers.frame(str(request.session_hash), is_first=number == 0):
                watch = self._servers[label]
                return find_objects(watch.live_client, self._page.uploads.read(upload), threshold, task=watch.task)
        except RequestError as error:
            return _complaint(error)


def _complaint(error: RequestError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": view.complaint(error)}}
