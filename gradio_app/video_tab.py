"""The tab for a short video: uploaded, its objects followed by the served model, and given back with them drawn.

Only where the extra ``video`` is installed: the page's own requirements have neither PyAV nor a tracker.
"""

from __future__ import annotations

import html
import io
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder
from numpy.typing import NDArray
from PIL import Image

from gradio_app import view
from gradio_app.page import Page
from gradio_app.payload import JPEG_QUALITY
from gradio_app.rates import Rate, Rates
from gradio_app.result import LOWEST_SCORE
from gradio_app.servers import Servers, Watch
from gradio_app.upload_errors import storing, too_many
from pointrend.errors import InvalidOption, OutputError, RequestError, VideoError
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction
from pointrend.video.clip import ClipLimits
from pointrend.video.job import VideoJob, VideoOutcome
from pointrend.video.run import steps

LIMITS = ClipLimits(pixels=1920 * 1088, seconds=20, frames=20 * 60)
AT_ONCE = 2  # frames that the server is asked for: one is sent while another is looked at
VIDEOS = Rate(per_minute=3, burst=3)  # of one address
TOLD_EVERY_SECONDS = 0.5

START = "Choose a video, then press Start."
CANCELLED = "Cancelled."
Updates = dict[Any, Any]


class VideoTab:
    """Lays the tab out inside the current Blocks and wires it.

    Args:
        page: what it is laid out in.
        servers: what may be asked.
        chooser: holds the label of the one to ask.
    """

    def __init__(self, page: Page, servers: Servers, chooser: gr.Dropdown) -> None:
        self._page = page
        self._servers = servers
        self._rates = Rates(VIDEOS)
        megabytes = page.uploads.limits.file_bytes // 2**20
        gr.Markdown(
            "Every object keeps its number and its colour from frame to frame. A video may have "
            f"{LIMITS.seconds:g} s, {megabytes} MB and 1920x1080 pixels; `pointrend video` on the command line has no "
            "such limits."
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                upload = gr.File(
                    label="Video", file_types=["video"], type="filepath", height=160, elem_id="video-upload"
                )
                threshold = gr.Slider(
                    LOWEST_SCORE, 0.95, value=Options().score_threshold, step=0.05, label="Score threshold"
                )
                with gr.Row():
                    start = gr.Button("Start", variant="primary", elem_id="video-start")
                    cancel = gr.Button("Cancel", elem_id="video-cancel")
            with gr.Column(scale=3, min_width=300):
                self._status = gr.HTML(said(START), elem_id="video-status", padding=False)
                self._shown = gr.Video(
                    label="With masks", buttons=["download"], interactive=False, visible=False, elem_id="video-result"
                )
                self._lines = gr.File(label="JSON lines", interactive=False, visible=False, elem_id="video-lines")
        outputs = [self._status, self._shown, self._lines]
        asked = start.click(
            self.follow,
            inputs=[upload, threshold, chooser],
            outputs=outputs,
            preprocess=False,  # nothing but this tab's own reader looks into the file
            show_progress="hidden",
            concurrency_limit=1,
            concurrency_id="video",
            trigger_mode="once",
            api_visibility="private",
        )
        page.complain(asked, self._complain)
        cancel.click(
            lambda: said(CANCELLED), outputs=[self._status], cancels=[asked], queue=False, api_visibility="private"
        )

    def follow(
        self, upload: dict[str, Any] | None, threshold: float, label: str | None, request: gr.Request
    ) -> Iterator[Updates]:
        """Follow the objects of a video; tells how far it is, and gives the new video and its lines in the end."""
        if not upload:
            yield {self._status: said(START)}
            return
        yield {self._status: said("Reading the video"), self._shown: _hidden(), self._lines: _hidden()}
        try:
            wait = self._rates.take(self._page.caller(request).network)
            if wait:
                raise too_many(f"Too many videos came from you; try again in {wait} s.", wait=wait)
            options = Options.parse({"score_threshold": threshold})
            data = self._page.uploads.read(upload)
            yield from self._follow(data, Path(upload.get("path") or "video").name, options, self._servers[label])
        except RequestError as error:
            yield self._complain(error)
        except (VideoError, OutputError) as error:
            yield {self._status: said(f"⚠️ {error}")}

    def _follow(self, data: bytes, name: str, options: Options, watch: Watch) -> Iterator[Updates]:
        if watch.task == "semantic":
            raise InvalidOption("This model finds no single objects to follow; choose another.", field="model")
        about = watch.state().about
        folder = Path(get_upload_folder()) / uuid4().hex
        kept = False
        try:
            with storing():
                (folder / "source").mkdir(mode=0o700, parents=True)
                source = folder / "source" / name
                source.write_bytes(data)
            job = VideoJob(source, folder / f"{Path(name).stem}-masks.mp4", options, LIMITS)
            model = {key: str(about.get(key, "")) or "unknown" for key in ("name", "version", "engine")}
            going = steps(
                job,
                lambda pixels: _ask(watch, pixels, options),
                model,
                about.get("categories", []),
                concurrency=AT_ONCE,
            )
            told = float("-inf")
            while True:
                try:
                    with storing():
                        done, total = next(going)
                except StopIteration as end:
                    outcome: VideoOutcome = end.value
                    break
                if time.monotonic() - told >= TOLD_EVERY_SECONDS:
                    told = time.monotonic()
                    yield {self._status: progress(done, total)}
            kept = True
            yield {
                self._status: said(summary(outcome)),
                self._shown: gr.update(value=str(job.out), visible=True),
                self._lines: gr.update(value=str(job.lines), visible=True),
            }
        finally:
            shutil.rmtree(folder / "source" if kept else folder, ignore_errors=True)

    def _complain(self, error: RequestError) -> Updates:
        return {self._status: said(view.complaint(error))}


def _ask(watch: Watch, pixels: NDArray[np.uint8], options: Options) -> Prediction:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return watch.client.segment(buffer.getvalue(), score_threshold=options.score_threshold)


def said(text: str) -> str:
    """A sentence for the status."""
    return f'<p role="status">{html.escape(text)}</p>'


def progress(done: int, total: int | None) -> str:
    """How far it is, for the status."""
    if total is None:
        return said(f"{done} frames")
    total = max(done, total)
    bar = f'<progress max="{total}" value="{done}" aria-label="Progress" style="width: 100%"></progress>'
    return f"{said(f'Frame {done} of {total}')}{bar}"


def summary(outcome: VideoOutcome) -> str:
    """What was done, for the status."""
    objects = "1 object" if outcome.tracks == 1 else f"{outcome.tracks} objects"
    text = f"{objects} followed through {outcome.frames} frames."
    if outcome.broken:
        text += f" Broken frames, which are left out: {outcome.broken}."
    return text if outcome.note is None else f"{text} {outcome.note}"


def _hidden() -> Any:
    return gr.update(value=None, visible=False)
