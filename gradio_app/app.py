"""The page: a client of the server in Gradio's components. It never loads the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Read when gradio is imported: the page makes no request beyond its own server.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from gradio_app import view
from gradio_app.examples import EXAMPLES, credits
from pointrend import image, render
from pointrend.client import Client
from pointrend.errors import RequestError
from pointrend.options import Options
from pointrend.weights.folder import ModelFolder

MAX_FILE_SIZE = "20mb"
UPLOADS_LIVE_SECONDS = 600
QUEUE_LENGTH = 20

INTRODUCTION = """
# PointRend
Every object in a photo, each with a crisp mask: a coarse 7 x 7 guess, refined where it is uncertain.
"""
INVITATION = "Choose a photo, take one with the camera, or try an example."
PRIVACY = (
    "Your photo goes to the server that runs this page and to no other; uploads are deleted within "
    f"{UPLOADS_LIVE_SECONDS // 60} minutes."
)
# System fonts: the default theme would fetch its own from elsewhere.
THEME = gr.themes.Soft(
    primary_hue="indigo",
    font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
    font_mono=["ui-monospace", "Consolas", "monospace"],
)
# Full width, or the container takes its content's and a phone has to scroll sideways.
STYLE = """
.gradio-container {max-width: 1180px !important; width: 100% !important; margin: 0 auto !important}
footer {display: none !important}
"""


def build(server_url: str, model: str = "demo") -> gr.Blocks:
    """Lay out the page.

    Args:
        server_url: where TorchServe answers.
        model: the served model's name or folder; only what it says of itself is read.
    """
    info = ModelFolder.open(model).info
    names = tuple(category.name for category in info.categories)

    def segment(upload: dict[str, Any] | None, threshold: float) -> tuple[Any, Any, str]:
        """Find the objects of a photo; on a failure the last result stays and the message says what happened."""
        if not upload or not upload.get("path"):
            return None, [], INVITATION
        try:
            data = Path(upload["path"]).read_bytes()
            prediction = Client(server_url).segment(data, score_threshold=threshold)
        except RequestError as error:
            return gr.skip(), gr.skip(), view.complaint(error)
        drawn = render.overlay(image.decode(data), prediction)
        return drawn, view.rows(prediction), view.summary(prediction)

    with gr.Blocks(title="PointRend", analytics_enabled=False, delete_cache=(60, UPLOADS_LIVE_SECONDS)) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column():
                photo = gr.Image(
                    label="Photo",
                    sources=["upload", "webcam", "clipboard"],
                    type="filepath",
                    image_mode=None,
                    webcam_options=gr.WebcamOptions(mirror=False),
                    height=420,
                    elem_id="photo",
                )
                threshold = gr.Slider(
                    0.05,
                    0.95,
                    value=Options().score_threshold,
                    step=0.05,
                    label="Score threshold",
                    info="Show objects that the model is at least this sure of.",
                )
                button = gr.Button("Find objects", variant="primary", elem_id="segment")
                gr.Examples(
                    [[str(example.path)] for example in EXAMPLES],
                    inputs=[photo],
                    example_labels=[example.label for example in EXAMPLES],
                    label="Examples",
                )
            with gr.Column():
                result = gr.Image(
                    label="Masks", show_label=False, format="png", interactive=False, height=420, elem_id="result"
                )
                status = gr.Markdown(INVITATION, elem_id="status")
                table = gr.Dataframe(
                    headers=list(view.COLUMNS),
                    interactive=False,
                    label="Found",
                    elem_id="found",
                )
        gr.Markdown(f"{view.reliability(info.name, info.reliable, names)} {info.description}")
        gr.Markdown(f"{PRIVACY} {credits()}")
        gr.on(
            [photo.change, threshold.release, button.click],
            segment,
            inputs=[photo, threshold],
            outputs=[result, table, status],
            api_name="segment",
            # The file goes to the server as it came. Gradio's own preprocessing would open it first, and what it
            # cannot read becomes an error that says nothing to a reader.
            preprocess=False,
            concurrency_limit=2,
            trigger_mode="always_last",
        )
    page.queue(max_size=QUEUE_LENGTH)
    return page


def launch(server_url: str, *, host: str = "127.0.0.1", port: int = 7860, model: str = "demo") -> None:
    """Serve the page until the process ends."""
    build(server_url, model).launch(
        server_name=host,
        server_port=port,
        ssr_mode=False,
        max_file_size=MAX_FILE_SIZE,
        theme=THEME,
        css=STYLE,
        quiet=True,
        show_error=True,
    )
