"""The page's head: which model answers, how its server is doing, and the choice of another."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gradio_app import view
from gradio_app.browser import script
from gradio_app.model_choice import ASK_EVERY_SECONDS
from gradio_app.page import Page
from gradio_app.servers import Servers
from pointrend.errors import RequestError
from pointrend.system.channel import ChannelError

Updates = dict[Any, Any]
LOST = '<span class="light down">Page disconnected, it reconnects automatically</span>'
WATCH_CONNECTION = f"() => {{ {script('connection')}\nwindow.pageServerAnswered = watchConnection(); }}"
ANSWERED = "() => { window.pageServerAnswered?.(); }"

INTRODUCTION = "# PointRend\nEvery object in a photo, each with a crisp mask."


class Header:
    """Lays the head out inside the current Blocks.

    Args:
        servers: what may be asked.

    Attributes:
        chooser: holds the label of the server, or the name of the model, to ask.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        with gr.Row(elem_id="header", equal_height=True):
            gr.Markdown(INTRODUCTION, elem_id="introduction")
            self.chooser = gr.Dropdown(
                servers.choices,
                value=servers.chosen,
                label="Model",
                visible=len(servers.choices) > 1,
                min_width=200,
                elem_id="model",
            )
            gr.HTML(LOST, elem_id="page-lost", padding=False)  # takes the place of the next where it is marked as lost
            self.state = gr.HTML(elem_id="server-state", padding=False)
        self.hint = gr.Markdown(elem_id="hint", visible=False, render=False)  # below: it comes late
        self._offered = gr.State(servers.choices)

    def wire(self, page: Page, about: gr.Markdown) -> None:
        """Keep it up to date; ``about`` receives what the model says of itself."""
        self._about = about
        shown = [self.state, about, self.chooser, self.hint, self._offered]
        page.load(None, js=WATCH_CONNECTION, api_visibility="private")
        looked = gr.on(
            [page.load, gr.Timer(ASK_EVERY_SECONDS).tick],
            self.look_after,
            inputs=[self.chooser, self._offered],
            outputs=shown,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        looked.success(None, js=ANSWERED, api_visibility="private")
        self.chooser.input(
            self.choose,
            inputs=[self.chooser],
            outputs=shown,
            show_progress_on=[self.chooser],
            concurrency_limit=1,
            api_visibility="private",
        )

    def look_after(self, label: str | None, offered: list[str]) -> Updates:
        """How the server is doing; and the models, where others can be chosen since, or another viewer chose one."""
        models = self._servers.models
        if models is None:
            return self._shown(label)
        offer = models.offer()
        updates = self._shown(offer.served)
        if offer.coming is None and (label != offer.served or offered != list(offer.models)):
            updates |= self._choices()
        return updates | {self.hint: gr.update(value=offer.hint or "", visible=bool(offer.hint))}

    def choose(
        self,
        label: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Updates:
        """Ask another server, or have another model served; on a failure the last one stays."""
        models = self._servers.models
        if models is not None and label != models.offer().served:
            progress(0.1, desc=f"Starting {label}")
            try:
                models.serve(label)
            except ChannelError as error:
                gr.Warning(str(error))
            served = models.offer().served
            self._servers[served].forget()
            return {**self._shown(served), **self._choices()}
        return self._shown(label)

    def _shown(self, label: str | None) -> Updates:
        try:
            state = self._servers[label].state()
        except RequestError:  # a model that is no longer here: the next tick shows another
            return {}
        return {self.state: view.state(state), self._about: view.about(state)}

    def _choices(self) -> Updates:
        choices = self._servers.choices
        chooser = gr.update(choices=choices, value=self._servers.chosen, visible=len(choices) > 1)
        return {self.chooser: chooser, self._offered: choices}
