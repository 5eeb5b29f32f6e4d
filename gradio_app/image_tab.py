"""The tab for photos: what was found in each, seen in many ways, and saved. The browser draws; this answers it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from gradio_app.callers import Caller
from gradio_app.edits import apply_edit
from gradio_app.examples import EXAMPLES, OPENING, Example, by_key, thumbnail
from gradio_app.exports import BY_KEY, EXPORTS, write, write_all
from gradio_app.kept_results import KeptResults
from gradio_app.once_per_model import OncePerModel, ServedModel
from gradio_app.page import Page
from gradio_app.payload import Payload, photo_payload, result_payload
from gradio_app.result import LOWEST_SCORE, Picture, Result, ViewSelection, fitted
from gradio_app.servers import Servers, Watch
from gradio_app.snippets import snippets
from gradio_app.view_selection import page_address, read_selection, read_share
from gradio_app.viewer import make_viewer
from pointrend.errors import InvalidRequest, RequestError
from pointrend.images.decode import decode
from pointrend.structures.categories import ALL_CATEGORIES
from pointrend.structures.corrections import Add
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction

KEPT_SECONDS = 600  # a result lives as long as the upload that it was made of
AT_ONCE = 2  # questions to the server, of all viewers together
MOST_LISTED = 100  # that one event may name
MOST_SHARED = 50  # results of examples that all viewers share, of all models together
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

# The browser saves what the hidden component holds; the address is the page's own.
SAVE_FILE = """(file) => {
    if (!file) return;
    const link = document.createElement("a");
    link.href = file.url;
    link.download = file.orig_name ?? file.path.split("/").pop();
    link.click();
}"""
_TO_VIEWER = 'document.querySelector("#viewer .pr-viewer").parentElement.dispatchEvent(new CustomEvent({}))'
_CODE, _LOST = '"pr-code", {detail: texts}', '"pr-lost"'
SHOW_CODE = f"(texts) => {{ {_TO_VIEWER.format(_CODE)} }}"
SAY_LOST = f"() => {{ {_TO_VIEWER.format(_LOST)} }}"


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
        self._results = KeptResults(KEPT_SECONDS)
        self._examples: OncePerModel[tuple[str, Result]] = OncePerModel(MOST_SHARED)
        image = decode(OPENING.data())
        self.viewer = make_viewer(
            first=photo_payload(OPENING.path.name, image.shape, fitted(image))
            | {"id": "first", "example": OPENING.key},
            examples=[{"key": each.key, "label": each.label, "thumbnail": thumbnail(each)} for each in EXAMPLES],
            exports=[{"key": export.key, "label": export.label} for export in EXPORTS],
            threshold=Options().score_threshold,
            kept_seconds=KEPT_SECONDS,
            max_bytes=page.uploads.limits.file_bytes,
        )
        self.file = gr.DownloadButton(visible="hidden")
        self.code = gr.JSON(visible="hidden")
        self._wire()

    def _wire(self) -> None:
        asked = self.viewer.photo(
            self.find,
            inputs=[self._chooser],
            outputs=[self.viewer],
            concurrency_limit=AT_ONCE,
            concurrency_id="server",
            trigger_mode="multiple",
            preprocess=False,
            **QUIET,
        )
        self._page.complain(asked, lambda error: {self.viewer: _failure(None, error)})
        asked.failure(None, js=SAY_LOST, api_visibility="private")
        edited = self.viewer.edit(
            self.edit,
            inputs=[self._chooser],
            outputs=[self.viewer],
            concurrency_limit=AT_ONCE,
            trigger_mode="multiple",
            **QUIET,
        )
        self._page.complain(edited, lambda error: {self.viewer: _failure(None, error)})
        edited.failure(None, js=SAY_LOST, api_visibility="private")
        self.viewer.cancel(None, cancels=[asked], **QUIET)
        self.viewer.restore(self.restore, inputs=[self._chooser], outputs=[self.viewer], **QUIET)
        self.viewer.save(
            self.save, inputs=[self._chooser], outputs=[self.file], trigger_mode="multiple", **QUIET
        ).success(None, inputs=[self.file], js=SAVE_FILE, api_visibility="private")
        self.viewer.code(
            self.write_code, inputs=[self._chooser], outputs=[self.code], trigger_mode="always_last", **QUIET
        ).success(None, inputs=[self.code], js=SHOW_CODE, api_visibility="private")

    def find(self, label: str | None, event: gr.EventData, request: gr.Request) -> Iterator[Payload]:
        """Find the objects of a photo, of an example, or of a photo again: first the photo comes, then the result."""
        ticket = None
        try:
            asked = _brought(event)
            ticket = asked.get("ticket")
            caller = self._page.caller(request)
            watch = self._servers[label]
            if asked.get("box") is not None:
                yield self._find_in_box(asked, ticket, watch, caller)
            elif asked.get("doubt") is not None:
                yield self._find_doubt(asked["doubt"], ticket, watch, caller)
            elif asked.get("example") is not None:
                yield from self._find_example(str(asked["example"]), ticket, watch)
            else:
                name, data = self._asked_photo(asked, caller)
                yield from self._find_photo(name, data, ticket, watch, caller)
        except RequestError as error:
            yield _failure(ticket, error)

    def _asked_photo(self, asked: Payload, caller: Caller) -> tuple[str, bytes]:
        if asked.get("again") is not None:
            result = self._results.get(asked["again"], caller)
            return result.file_name, result.data
        file = asked.get("file")
        if not isinstance(file, dict) or not (file.get("path") or file.get("url")):  # as Page admits an upload
            raise InvalidRequest("The event names no photo.", field="file")
        return Path(file.get("path") or "photo").name, self._page.uploads.read(file)

    def _find_photo(self, name: str, data: bytes, ticket: Any, watch: Watch, caller: Caller) -> Iterator[Payload]:
        image = decode(data)
        screen, size = fitted(image), image.shape
        del image  # a large one has 150 MB, and the server may take a while
        yield photo_payload(name, size, screen) | {"id": ticket, "ticket": ticket}
        result = _ask(watch, name, data, screen)
        identity = self._results.keep(result, caller)
        yield _payload(result, identity, watch, with_photo=False) | {"ticket": ticket}

    def _find_in_box(self, asked: Payload, ticket: Any, watch: Watch, caller: Caller) -> Payload:
        """A result with one object more, that of a box which a viewer drew: the last one."""
        before = self._results.get(asked.get("of"), caller)
        found = watch.client.segment(before.data, boxes=[asked["box"]], masks="probability")
        result = before.edited(Add(found.instances))
        result = replace(result, prediction=replace(result.prediction, timing_ms=found.timing_ms))
        identity = self._results.keep(result, caller)
        return _payload(result, identity, watch, with_photo=False) | {"ticket": ticket}

    def _find_doubt(self, identity: Any, ticket: Any, watch: Watch, caller: Caller) -> Payload:
        """Each pixel's probability, of every object of a result."""
        result = self._results.get(identity, caller)
        if any(each.area and each.probabilities is None for each in result.found.instances):
            result = result.with_probabilities(_segment(watch, result.data, masks="probability"))
            self._results.update(identity, result, caller)
        crops = [each.probabilities for each in result.prediction.instances]
        return {"kind": "doubt", "ticket": ticket, "crops": crops}

    def _find_example(self, key: str, ticket: Any, watch: Watch) -> Iterator[Payload]:
        example = by_key(key)
        identity, result = self._examples.get(key, watch, lambda model: self._publish(example, watch, model))
        yield _payload(result, identity, watch, with_photo=True) | {"ticket": ticket, "example": key}

    def _publish(self, example: Example, watch: Watch, model: ServedModel) -> tuple[str, Result]:
        result = _ask(watch, example.path.name, example.data())
        return self._results.publish(f"{example.key} by {' '.join(model)}", result), result

    def edit(self, label: str | None, event: gr.EventData, request: gr.Request) -> Payload:
        """Correct a result as its viewer asks: the corrected one is the viewer's own."""
        ticket = None
        try:
            asked = _brought(event)
            ticket = asked.get("ticket")
            caller = self._page.caller(request)
            watch = self._servers[label]
            before = self._results.get(asked.get("of"), caller)
            result = apply_edit(before, asked.get("edit"), watch.state().about.get("categories", []))
            identity = self._results.keep(result, caller)
            return _payload(result, identity, watch, with_photo=False) | {"ticket": ticket}
        except RequestError as error:
            return _failure(ticket, error)

    def restore(self, label: str | None, event: gr.EventData, request: gr.Request) -> Payload:
        """Give a viewer's results again, after a reload."""
        try:
            return self._restore(_listed(_brought(event), "ids"), self._page.caller(request), self._servers[label])
        except RequestError as error:
            return _failure(None, error)

    def _restore(self, identities: list[Any], caller: Caller, watch: Watch) -> Payload:
        results, lost = [], []
        for identity in identities:
            try:
                result = self._results.get(identity, caller)
                results.append(_payload(result, identity, watch, with_photo=True))
            except RequestError:
                lost.append(identity)
        return {"kind": "restored", "results": results, "lost": lost}

    def save(self, label: str | None, event: gr.EventData, request: gr.Request) -> str:
        """Make the file that a viewer asks for."""
        try:
            asked = _brought(event)
            caller = self._page.caller(request)
            export = BY_KEY.get(str(asked.get("kind")))
            if export is None:
                raise InvalidRequest(f"kind is one of {', '.join(BY_KEY)}.", field="kind", limit=list(BY_KEY))
            background = asked.get("background")
            picture = None if background is None else self._page.uploads.read(background)
            chosen: list[tuple[Result, ViewSelection]] = []
            for each in _listed(asked, "results"):
                if not isinstance(each, dict):
                    raise InvalidRequest("results is not a list of objects.", field="results")
                result = self._results.get(each.get("id"), caller)
                chosen.append((result, read_selection(each.get("selection"), picture)))
            if not chosen:
                raise InvalidRequest("There is nothing to save yet.", field="results")
            known = self._servers[label].state().about.get("categories", [])
            return write(export, *chosen[0], known) if len(chosen) == 1 else write_all(export, chosen, known)
        except RequestError as error:
            raise gr.Error(error.message, print_exception=False) from error

    def write_code(self, label: str | None, event: gr.EventData, request: gr.Request) -> dict[str, str]:
        """The code that gives what a viewer sees; objects that were hidden one by one come with it."""
        try:
            asked = _brought(event)
            result = self._results.get(asked.get("id"), self._page.caller(request))
            watch = self._servers[label]
            names = {each.category for each in result.prediction.instances}  # None is of a box that was drawn
            shown = tuple(str(name) for name in _listed(asked, "categories") if str(name) in names)
            selection = ViewSelection(threshold=read_share("threshold", asked.get("threshold")), categories=shown)
            ids = {each.name: each.category_id or 0 for each in result.prediction.instances}
            return snippets(
                watch.server.url,
                watch.server.model,
                page_address(asked.get("page")),
                result.file_name,
                selection,
                task=watch.task,
                label=label,
                ids=ids,
            )
        except RequestError as error:
            raise gr.Error(error.message, print_exception=False) from error


def _ask(watch: Watch, name: str, data: bytes, screen: Picture | None = None) -> Result:
    return Result.of(name, data, _segment(watch, data), screen)


def _segment(watch: Watch, data: bytes, **options: Any) -> Prediction:
    return watch.client.segment(
        data, task=watch.task, score_threshold=LOWEST_SCORE, categories=ALL_CATEGORIES, **options
    )


def _payload(result: Result, identity: str, watch: Watch, *, with_photo: bool) -> Payload:
    about = watch.state().about
    names = [category["name"] for category in about.get("categories", [])]
    return result_payload(result, identity, about.get("reliable", []), with_photo=with_photo, categories=names)


def _failure(ticket: Any, error: RequestError) -> Payload:
    return {"kind": "error", "ticket": ticket, "message": error.message}


def _brought(event: gr.EventData) -> Payload:
    """What an event of the viewer brings; Gradio has no public way to it."""
    data = event._data  # noqa: SLF001
    if not isinstance(data, dict):
        raise InvalidRequest("The event brings nothing.", field="event_data")
    return data


def _listed(data: Payload, field: str) -> list[Any]:
    value = data.get(field)
    if not isinstance(value, list) or len(value) > MOST_LISTED:
        raise InvalidRequest(f"{field} is not a list of at most {MOST_LISTED}.", field=field, limit=MOST_LISTED)
    return value
