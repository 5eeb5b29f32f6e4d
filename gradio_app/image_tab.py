"""The tab for one photo: what was found in it, seen in many ways, and saved."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gradio_app import view
from gradio_app.examples import EXAMPLES
from gradio_app.exports import EXPORTS, Export, write
from gradio_app.page import Page
from gradio_app.result import CUTOUTS, LOWEST_SCORE, MASKS, SEMANTIC, VIEWS, Result, ViewSelection
from gradio_app.servers import Servers
from pointrend.errors import RequestError
from pointrend.structures.categories import ALL_CATEGORIES
from pointrend.structures.options import Options

KEPT_SECONDS = 600  # a result lives as long as the upload that it was made of
AT_ONCE = 2  # questions to the server, of all viewers together
PICTURE_HEIGHT = 460

Updates = dict[Any, Any]

# The browser saves what the hidden component holds; the address is the page's own.
SAVE_FILE = """(file) => {
    if (!file) return;
    const link = document.createElement("a");
    link.href = file.url;
    link.download = file.orig_name ?? file.path.split("/").pop();
    link.click();
}"""


class ImageTab:
    """Lays the tab out inside the current Blocks and wires it.

    Args:
        page: what it is laid out in.
        servers: what may be asked.
        chooser: holds the label of the one to ask.
    """

    def __init__(self, page: Page, servers: Servers, chooser: gr.Dropdown) -> None:
        self._page = page
        self._servers = servers
        self._chooser = chooser
        with gr.Row():
            with gr.Column(min_width=300):
                self._lay_out_input()
            with gr.Column(min_width=300):
                self._lay_out_result()
        with gr.Row():
            with gr.Column(min_width=300):
                self._lay_out_controls()
            with gr.Column(min_width=300):
                self._lay_out_table()
        self._wire()

    def _lay_out_input(self) -> None:
        self.photo = gr.Image(
            label="Photo",
            sources=["upload", "webcam", "clipboard"],
            type="filepath",
            image_mode=None,
            webcam_options=gr.WebcamOptions(mirror=False),
            height=PICTURE_HEIGHT,
            elem_id="photo",
        )
        self.button = gr.Button("Find objects", variant="primary", elem_id="segment")
        gr.Examples(
            [[str(example.path)] for example in EXAMPLES],
            inputs=[self.photo],
            label="Examples",
            elem_id="examples",
        )

    def _lay_out_result(self) -> None:
        self.kept = gr.State(None, time_to_live=KEPT_SECONDS)
        self.chosen = gr.State(None)
        self.view = gr.Radio(list(VIEWS), value=MASKS, label="View", elem_id="view")
        self.result = gr.Image(
            label="Result",
            show_label=False,
            interactive=False,
            height=PICTURE_HEIGHT,
            buttons=["fullscreen"],
            alt_text="The image with the detected objects",
            elem_id="result",
        )
        self.gallery = gr.Gallery(
            label="Cut-outs",
            columns=3,
            height=PICTURE_HEIGHT,
            object_fit="contain",
            format="png",  # keeps what is transparent
            visible=False,
            elem_id="cutouts",
        )
        self.status = gr.Markdown(view.INVITATION, elem_id="status")

    def _lay_out_controls(self) -> None:
        self.threshold = gr.Slider(
            LOWEST_SCORE,
            0.95,
            value=Options().score_threshold,
            step=0.05,
            label="Score threshold",
            info="Show objects with at least this score.",
            elem_id="threshold",
        )
        self.opacity = gr.Slider(0, 1, value=0.5, step=0.05, label="Opacity of the masks", elem_id="opacity")
        self.categories = gr.CheckboxGroup(label="Categories", visible=False, elem_id="categories")

    def _lay_out_table(self) -> None:
        self.table = gr.Dataframe(
            headers=list(view.COLUMNS),
            interactive=False,
            label="Select a row, or click an object in the picture",
            max_height=260,
            elem_id="found",
        )
        with gr.Row(elem_id="downloads"):
            self.downloads = [
                gr.Button(f"⬇ {export.label}", size="sm", min_width=90, elem_id=f"save-{export.key}")
                for export in EXPORTS
            ]
        self.file = gr.DownloadButton(visible="hidden")

    def _wire(self) -> None:
        shown = [self.result, self.gallery, self.status, self.table, self.chosen]
        choice = [self.kept, self.view, self.threshold, self.categories, self.opacity, self.chosen]
        asked = gr.on(
            [self.photo.change, self.button.click],
            self.segment,
            inputs=[self.photo, self._chooser, self.view, self.threshold, self.opacity],
            outputs=[*shown, self.kept, self.categories],
            # The file goes to the server as it came. Gradio's own preprocessing would open it first, and what it
            # cannot read becomes an error that says nothing to a reader.
            preprocess=False,
            show_progress_on=[self.result],
            concurrency_limit=AT_ONCE,
            concurrency_id="server",
            trigger_mode="always_last",
            api_visibility="private",
        )
        self._page.complain(asked, self._complain)
        gr.on(
            [self.view.input, self.threshold.input, self.categories.input, self.opacity.input],
            self.redraw,
            inputs=choice,
            outputs=shown,
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )
        for listener, select in (
            (self.result.select, self.select_in_picture),
            (self.table.select, self.select_in_table),
        ):
            listener(
                select,
                inputs=choice,
                outputs=shown,
                show_progress="hidden",
                trigger_mode="always_last",
                api_visibility="private",
            )
        for export, button in zip(EXPORTS, self.downloads, strict=True):
            button.click(
                self._saver(export),
                inputs=[self._chooser, *choice],
                outputs=[self.file],
                show_progress_on=[self.status],
                api_visibility="private",
            ).success(None, inputs=[self.file], js=SAVE_FILE, api_visibility="private")

    def segment(
        self,
        upload: dict[str, Any] | None,
        label: str | None,
        shown_view: str,
        threshold: float,
        opacity: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Updates:
        """Find the objects of a photo; on a failure the last result stays and a message says what happened."""
        if not upload:
            hidden = gr.update(choices=[], value=[], visible=False)
            return {**self._updates(None, ViewSelection()), self.kept: None, self.categories: hidden}
        try:
            watch = self._servers[label]
            progress(0.2, desc="Segmenting")
            data = self._page.uploads.read(upload)
            prediction = watch.client.segment(
                data, task=watch.task, score_threshold=LOWEST_SCORE, categories=ALL_CATEGORIES
            )
            progress(0.8, desc="Drawing")
            result = Result.of(upload.get("orig_name") or "photo", data, prediction)
        except RequestError as error:
            return self._complain(error)
        offered, ticked = view.category_choices(result, watch.state().about.get("reliable", []))
        choice = ViewSelection(shown_view, threshold, tuple(ticked), opacity)
        return {
            **self._updates(result, choice),
            self.kept: result,
            self.categories: gr.update(choices=offered, value=ticked, visible=bool(offered)),
        }

    def _complain(self, error: RequestError) -> Updates:
        gr.Warning(error.message)
        return {self.status: view.complaint(error)}

    def redraw(
        self, result: Result | None, shown: str, threshold: float, names: list[str], opacity: float, chosen: int | None
    ) -> Updates:
        """Show the kept result as the controls say."""
        return self._updates(result, ViewSelection(shown, threshold, tuple(names), opacity, chosen))

    def select_in_picture(
        self,
        result: Result | None,
        shown: str,
        threshold: float,
        names: list[str],
        opacity: float,
        chosen: int | None,
        event: gr.SelectData,
    ) -> Updates:
        """Single out what is seen at the pixel that was selected; beside everything, or again, show all."""
        choice = ViewSelection(shown, threshold, tuple(names), opacity)
        found = None if result is None or shown == SEMANTIC else result.at(event.index[0], event.index[1], choice)
        return self._updates(result, choice, None if found == chosen else found)

    def select_in_table(
        self,
        result: Result | None,
        shown: str,
        threshold: float,
        names: list[str],
        opacity: float,
        chosen: int | None,
        event: gr.SelectData,
    ) -> Updates:
        """Single out the object of the row that was selected; again, show all."""
        choice = ViewSelection(shown, threshold, tuple(names), opacity)
        visible = [] if result is None else result.visible(choice)
        row = event.index[0]
        found = visible[row] if row < len(visible) else None
        return self._updates(result, choice, None if found == chosen else found)

    def _updates(self, result: Result | None, choice: ViewSelection, chosen: int | None = None) -> Updates:
        """What the picture, the gallery, the status and the table show."""
        if chosen is not None:
            choice = ViewSelection(choice.view, choice.threshold, choice.categories, choice.opacity, chosen)
        if result is None:
            return {
                self.result: gr.update(value=None, visible=True),
                self.gallery: gr.update(value=None, visible=False),
                self.status: view.INVITATION,
                self.table: view.table(None, choice),
                self.chosen: None,
            }
        is_gallery = choice.view == CUTOUTS
        return {
            self.result: gr.update(visible=False)
            if is_gallery
            else gr.update(value=result.picture(choice), visible=True),
            self.gallery: gr.update(value=result.cutouts(choice) if is_gallery else None, visible=is_gallery),
            self.status: view.summary(result, choice),
            self.table: view.table(result, choice),
            self.chosen: choice.chosen if choice.chosen in result.visible(choice) else None,
        }

    def _saver(self, export: Export) -> Any:
        def save(
            label: str,
            result: Result | None,
            shown: str,
            threshold: float,
            names: list[str],
            opacity: float,
            chosen: int | None,
        ) -> str:
            if result is None:
                raise gr.Error("Nothing to save yet. Choose an image first.", print_exception=False)
            choice = ViewSelection(shown, threshold, tuple(names), opacity, chosen)
            try:
                return write(export, result, choice, self._servers[label].state().about.get("categories", []))
            except RequestError as error:
                raise gr.Error(error.message, print_exception=False) from error

        return save
