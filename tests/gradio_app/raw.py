"""A caller of the page by requests written out: no Gradio client checks or completes them."""

from __future__ import annotations

import json
import secrets
from typing import Any

import httpx

FILE_META = {"_type": "gradio.FileData"}


class RawCaller:
    """One visitor: a session, and the cookies that the page gave.

    Args:
        url: the page's.
        visits: whether the page itself is opened first, as a browser does.
    """

    def __init__(self, url: str, *, visits: bool = True) -> None:
        self.http = httpx.Client(base_url=url, timeout=60)
        self.session = secrets.token_hex(8)
        if visits:
            self.http.get("/").raise_for_status()

    def config(self) -> dict[str, Any]:
        """What the page tells every browser of its components and events."""
        tree: dict[str, Any] = self.http.get("/config").raise_for_status().json()
        return tree

    def post_upload(self, data: bytes, name: str = "photo.png", **options: Any) -> httpx.Response:
        return self.http.post("/gradio_api/upload", files={"files": (name, data)}, **options)

    def upload(self, data: bytes, name: str = "photo.png") -> str:
        """The path that the page gave the file."""
        (path,) = self.post_upload(data, name).raise_for_status().json()
        return str(path)

    def join(self, event: int, data: list[Any], **more: Any) -> str:
        """Put an event into the queue, and everything that is said of it."""
        body = {"fn_index": event, "data": data, "session_hash": self.session} | more
        asked = self.http.post("/gradio_api/queue/join", json=body)
        if asked.status_code != 200:
            return asked.text
        mine = asked.json()["event_id"]
        said = []
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                said.append(line)
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("event_id") != mine:
                    continue
                if message["msg"] in ("process_generating", "process_streaming"):  # of a camera: no next frame comes
                    self.http.post(f"/gradio_api/stream/{mine}/close")
                if message["msg"] == "process_completed":
                    break
        return "\n".join(said)

    def run(self, event: int, name: str, data: list[Any]) -> str:
        """The same without the queue."""
        body = {"fn_index": event, "data": data, "session_hash": self.session}
        return self.http.post(f"/gradio_api/run/{name}", json=body).text

    def call(self, name: str, data: list[Any], **more: Any) -> str:
        """A named endpoint, as curl's users call it."""
        asked = self.http.post(f"/gradio_api/call/{name}", json={"data": data} | more)
        if asked.status_code != 200:
            return asked.text
        return self.http.get(f"/gradio_api/call/{name}/{asked.json()['event_id']}").text

    def file(self, path: str) -> httpx.Response:
        return self.http.get(f"/gradio_api/file={path}")
