"""The component that shows a photo and what was found in it; it draws in the browser and asks nothing for it."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from gradio_app.browser import script
from gradio_app.payload import Payload

# In this order: each uses what those before it declare.
SCRIPTS = (
    "dom",
    "masks",
    "scene",
    "labels",
    "soft_edges",
    "effects",
    "viewport",
    "box_tool",
    "edits",
    "adding",
    "doubt",
    "camera",
    "stage",
    "panel",
    "intake",
    "jobs",
    "strip",
    "links",
    "keeping",
    "save",
    "viewer",
)
_START = """
const viewer = new Viewer(element.querySelector(".pr-viewer"), props, trigger, upload);
element.querySelector(".pr-viewer").viewer = viewer;
watch("value", () => viewer.receive(props.value));
element.addEventListener("pr-lost", () => viewer.lost());
element.addEventListener("pr-code", (event) => viewer.code.show(event.detail, viewer.scene ?? {}));
"""


def make_viewer(
    *,
    first: Payload | None,
    examples: Sequence[dict[str, str]],
    exports: Sequence[dict[str, str]],
    threshold: float,
    kept_seconds: float,
    max_bytes: int,
) -> gr.HTML:
    """A large picture with its objects, their list, and the ways in and out for photos.

    Its value is a message to it, see :mod:`gradio_app.payload`. It sends the events ``photo``, ``edit``, ``cancel``,
    ``restore``, ``save`` and ``code``. A function, since Gradio writes a file beside every module that has a class of
    components.

    Args:
        first: the photo that is seen before anything was asked.
        examples: ``{"key": ..., "label": ..., "thumbnail": ...}`` each.
        exports: ``{"key": ..., "label": ...}`` each.
        threshold: the score from which objects are shown at the start.
        kept_seconds: how long the server keeps a result.
        max_bytes: what a photo's file may have.
    """
    return gr.HTML(
        value=None,
        html_template='<div class="pr-viewer"></div>',
        js_on_load=f"{script(*SCRIPTS)}\n{_START}",
        apply_default_css=False,
        elem_id="viewer",
        first=first,
        examples=list(examples),
        exports=list(exports),
        threshold=threshold,
        keptSeconds=kept_seconds,
        maxBytes=max_bytes,
    )
