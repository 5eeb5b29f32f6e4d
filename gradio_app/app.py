"""The page: a client of the servers in Gradio's components. It never loads a model."""

from __future__ import annotations

import importlib.util
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Read when gradio is imported: the page makes no request beyond its own server.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# Where it keeps files: a folder that no other program, and no other page, has; made when the first page is built.
os.environ["GRADIO_TEMP_DIR"] = str(
    Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()) / f"pointrend-page-{secrets.token_hex(8)}"
)

import gradio as gr
from gradio.utils import get_upload_folder

from gradio_app import api
from gradio_app.examples import credits
from gradio_app.header import Header
from gradio_app.how_tab import HowTab
from gradio_app.image_tab import KEPT_SECONDS, ImageTab
from gradio_app.live_tab import LiveTab
from gradio_app.look import STYLE, THEME
from gradio_app.model_choice import ModelChoice
from gradio_app.page import Page
from gradio_app.servers import Server, Servers
from gradio_app.upload_limits import UploadLimits
from gradio_app.uploads import Uploads
from pointrend.errors import PointRendError

QUEUE_LENGTH = 40
CLEAN_EVERY_SECONDS = 60
SESSIONS_KEPT = 100  # each holds the photo that its viewer has seen explained

PRIVACY = (
    "Your photos, videos and camera pictures stay with the server that runs this page; they and their results are "
    f"deleted within {KEPT_SECONDS // 60 + 1} minutes."
)


class McpMissingError(PointRendError):
    """The page was to be an MCP server too, and the library for it is not installed."""


def build(servers: Servers, limits: UploadLimits | None = None) -> Page:
    """Lay out the page.

    Args:
        servers: what the viewer may choose from.
        limits: what uploads may cost.
    """
    uploads = Uploads(Path(get_upload_folder()), limits or UploadLimits(kept_seconds=KEPT_SECONDS))

    page = Page(
        uploads,
        sweep_seconds=CLEAN_EVERY_SECONDS,
        title="PointRend",
        analytics_enabled=False,
        delete_cache=(CLEAN_EVERY_SECONDS, KEPT_SECONDS),
    )
    with page:
        api.add(servers, uploads)  # first: an endpoint has its name unless an event before it has the same
        header = Header(servers)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Image", id="image"):
                ImageTab(page, servers, header.chooser)
            with gr.Tab("Live", id="live"):
                LiveTab(page, servers, header.chooser)
            with gr.Tab("How PointRend works", id="how"):
                HowTab(page, servers, header.chooser)
            if all(importlib.util.find_spec(module) for module in ("av", "norfair")):
                from gradio_app.video_tab import VideoTab  # needs the extra `video`

                with gr.Tab("Video", id="video"):
                    VideoTab(page, servers, header.chooser)
        header.hint.render()
        about = gr.Markdown(elem_id="about")
        gr.Markdown(f"{PRIVACY} {credits()}", elem_id="privacy")
        header.wire(page, about)
    page.queue(max_size=QUEUE_LENGTH, default_concurrency_limit=2)
    return page


def launch(
    servers: Sequence[Server],
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    mcp: bool = False,
    limits: UploadLimits | None = None,
) -> None:
    """Serve the page until the process ends.

    Args:
        servers: what the viewer may choose from, the first at the start.
        host: the address to listen on.
        port: the port.
        mcp: serve the API to language models too, by the Model Context Protocol, at ``/gradio_api/mcp/``.
        limits: what uploads may cost.

    Raises:
        McpMissingError: ``mcp`` without its library.
        ServerAddressError: no server, or two with the same label.
    """
    if mcp and importlib.util.find_spec("mcp") is None:
        raise McpMissingError("The page cannot be an MCP server here: pip install 'pointrend-serve[mcp]' first.")
    page = build(Servers(servers, ModelChoice.from_launcher()), limits)
    page.launch(
        server_name=host,
        server_port=port,
        ssr_mode=False,
        max_file_size=page.uploads.limits.file_bytes,
        state_session_capacity=SESSIONS_KEPT,
        theme=THEME,
        css=STYLE,
        footer_links=["api"],
        quiet=True,
        show_error=True,
        mcp_server=mcp,
    )
