"""The component that shows a photo and what was found in it; it draws in the browser and asks nothing for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from gradio_app.browser import script
from gradio_app.payload import Payload

# In this order: each uses what those before it declare.
SCRIPTS = (
    "dom",
    "masks",
    "scene",
    "labels",
    "effects",
    "camera_view",
    "stage",
    "panel",
    "intake",
    "jobs",
    "links",
    "keeping",
    "save",
    "viewer",
)
# The events that it sends; Gradio looks for their names, in quotes, in the script.
EVENTS = ("photo", "cancel", "save", "restore", "code")
_START = """
const viewer = new Viewer(element.querySelector(".pr-viewer"), props, trigger, upload);
watch("value", () => viewer.receive(props.value));
element.addEventListener("pr-lost", () => viewer.lost());
element.addEventListener("pr-code", (event) => viewer.code.show(event.detail));
"""

class Viewer(gr.HTML):  # type: ignore[misc]  # Gradio is not typed
    """A large picture with its objects, their list, and the ways in and out for photos.

    Its value is a message to it, see :mod:`gradio_app.payload`; its events are :data:`EVENTS`.

    Args:
        first: the photo that is seen before anything was asked.
        examples: ``{"key": ..., "label": ..., "thumbnail": ...}`` each.
        exports: ``{"key": ..., "label": ...}`` each.
        threshold: the score from which objects are shown at the start.
        kept_seconds: how long the server keeps a result.
        max_bytes: what a photo's file may have.
    """

    def __init__(
        self,
        *,
        first: Payload | None,
        examples: Sequence[dict[str, str]],
        exports: Sequence[dict[str, str]],
        threshold: float,
        kept_seconds: float,
        max_bytes: int,
    ) -> None:
        super().__init__(
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

    def get_block_name(self) -> str:
        """It is an HTML component to Gradio's own part in the browser."""
        return "html"

    def on_event(self, name: str) -> Callable[..., Any]:
        """The listener of one of :data:`EVENTS`."""
        listener: Callable[..., Any] = getattr(self, name)
        return listener
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component
