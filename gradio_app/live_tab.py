"""The tab for the camera's live picture."""

from __future__ import annotations

from typing import Any

import gradio as gr
from PIL import Image

from gradio_app import view
from gradio_app.live import SENT_SIDE, Meter, segment_frame
from gradio_app.page import Page
from gradio_app.result import LOWEST_SCORE
from gradio_app.servers import Servers
from pointrend.errors import RequestError
from pointrend.images.decode import decode
from pointrend.structures.options import Options

VIEWERS = 4  # at once; the next one waits in the queue
MINUTES = 10  # then a viewer makes room and has to press the button again
FRAME_EVERY_SECONDS = 0.1  # how often the browser offers a frame; of those that wait, the newest is taken
PICTURE_HEIGHT = 420

EXPLANATION = (
    f"Allow the camera, then press Record. Frames are sent {SENT_SIDE} pixels wide, one at a time: while one is being "
    "looked at, newer ones replace each other, so that the picture is never old. "
    f"It stops by itself after {MINUTES} minutes."
)


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
        gr.Markdown(EXPLANATION)
        with gr.Row():
            with gr.Column(min_width=300):
                camera = gr.Image(
                    label="Camera",
                    sources=["webcam"],
                    streaming=True,
                    type="pil",
                    webcam_options=gr.WebcamOptions(
                        mirror=False, constraints={"width": {"ideal": 640}, "height": {"ideal": 480}}
                    ),
                    height=PICTURE_HEIGHT,
                    elem_id="camera",
                )
                threshold = gr.Slider(
                    LOWEST_SCORE,
                    0.95,
                    value=Options().score_threshold,
                    step=0.05,
                    label="Score threshold",
                    elem_id="live-threshold",
                )
            with gr.Column(min_width=300):
                shown = gr.Image(
                    label="Live",
                    show_label=False,
                    interactive=False,
                    format="jpeg",
                    buttons=["fullscreen"],
                    alt_text="The camera's picture with masks drawn on it",
                    height=PICTURE_HEIGHT,
                    elem_id="live",
                )
                status = gr.Markdown("The camera is off.", elem_id="live-status")
        meter = gr.State(None)
        asked = camera.stream(
            self.frame,
            inputs=[camera, threshold, chooser, meter],
            outputs=[shown, status, meter],
            stream_every=FRAME_EVERY_SECONDS,
            time_limit=MINUTES * 60,
            concurrency_limit=VIEWERS,
            show_progress="hidden",
            preprocess=False,  # frames are opened like any other image, by the page's own limits
            api_visibility="private",
        )
        page.complain(asked, lambda error: {status: view.complaint(error)})

    def frame(
        self, upload: dict[str, Any] | None, threshold: float, label: str | None, meter: Meter | None
    ) -> tuple[Any, str, Meter]:
        """Show one frame's masks; while the server is away the last picture stays, and the next frame asks again."""
        meter = meter or Meter()
        if not upload:
            return gr.skip(), "The camera is off.", meter
        try:
            watch = self._servers[label]
            picture = Image.fromarray(decode(self._page.uploads.read(upload)))
            drawn, prediction = segment_frame(watch.live_client, picture, threshold, task=watch.task)
        except RequestError as error:
            return gr.skip(), f"⚠️ {error.message} The live view resumes once it responds.", meter
        rate = meter.frame()
        took = sum(prediction.timing_ms.values())
        found = len(prediction.instances) + len(prediction.segments)
        return drawn, f"**{rate:.1f} frames a second** · {found} found · {took:.0f} ms", meter
