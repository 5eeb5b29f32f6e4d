"""One frame of a camera after the other: who may send them, and what is answered. Knows no page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gradio_app.regions import regions
from pointrend.client import Client
from pointrend.errors import RequestError
from pointrend.structures.options import Task

SENT_SIDE = 320  # the longer side of what the browser sends, in pixels
FRAME_BYTES = 256 * 1024  # a JPEG file of that size has some 20 KB
IN_FLIGHT = 2  # frames of one viewer: while one is looked at, the next is on its way
IDLE_SECONDS = 5.0  # without a frame, after which a viewer's place is free

FULL, OVER = "live_full", "live_over"  # codes of what is no failure: to wait for a place, and to have had one


@dataclass(slots=True)
class _Viewer:
    started: float
    seen: float
    in_flight: int = 0


class Viewers:
    """Those who watch: so many at once, each for so long.

    Args:
        places: how many may watch at once.
        seconds: how long each may.
        clock: seconds that only go up.
    """

    def __init__(self, places: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._viewers: dict[str, _Viewer] = {}

    @contextmanager
    def frame(self, name: str, *, is_first: bool) -> Iterator[None]:
        """A viewer's frame, from when it came until it is answered.

        Args:
            name: of the viewer.
            is_first: the viewer has just pressed the button.

        Raises:
            RequestError: there is no place (code :data:`FULL`), the time is over (:data:`OVER`), or more than
                :data:`IN_FLIGHT` frames came at once (``rate_limited``).
        """
        viewer = self._admit(name, is_first=is_first)
        try:
            yield
        finally:
            with self._lock:
                viewer.in_flight -= 1
                viewer.seen = self._clock()

    def _admit(self, name: str, *, is_first: bool) -> _Viewer:
        with self._lock:
            now = self._clock()
            self._viewers = {
                key: each for key, each in self._viewers.items() if each.in_flight or now - each.seen < IDLE_SECONDS
            }
            viewer = self._viewers.get(name)
            if viewer is None:
                if len(self._viewers) >= self._places:
                    raise RequestError(
                        f"{self._places} others are using the live view; it starts as soon as one of them stops.",
                        field="viewers",
                        limit=self._places,
                        code=FULL,
                        status=429,
                    )
                viewer = self._viewers[name] = _Viewer(now, now)
            elif is_first:
                viewer.started = now
            if now - viewer.started > self._seconds:
                minutes = self._seconds / 60
                raise RequestError(
                    f"Stopped after {minutes:g} minutes. Press Start to go on.",
                    field="minutes",
                    limit=minutes,
                    code=OVER,
                    status=429,
                )
            if viewer.in_flight >= IN_FLIGHT:
                raise RequestError(
                    f"{IN_FLIGHT} frames are being looked at; send the next after an answer.",
                    field="frame",
                    limit=IN_FLIGHT,
                    code="rate_limited",
                    status=429,
                )
            viewer.in_flight += 1
            viewer.seen = now
            return viewer


def find_objects(client: Client, frame: bytes, threshold: float, *, task: Task = "instances") -> dict[str, Any]:
    """Find the objects of a frame, for the browser to draw.

    Args:
        client: of the server; it should not try again, since the next frame is newer.
        frame: an image file.
        threshold: the lowest score.
        task: ``instances`` or ``semantic``, whose segments come as objects.

    Returns:
        ``width`` and ``height`` of the frame; ``objects``, each with its ``name``, ``score`` (None for segments),
        ``box`` (x, y, width, height) in the frame's pixels and ``mask`` in COCO's run lengths; ``ms`` on the server.

    Raises:
        RequestError: the file is too large; the server refused it, or is not there.
    """
    if len(frame) > FRAME_BYTES:
        raise RequestError(
            f"A frame may have {FRAME_BYTES} bytes, this one has {len(frame)}; send it {SENT_SIDE} pixels wide.",
            field="frame",
            limit=FRAME_BYTES,
            value=len(frame),
            code="image_too_large",
            status=413,
        )
    prediction = client.segment(frame, score_threshold=threshold, task=task)
    is_map = prediction.task == "semantic"
    found = regions(prediction) if is_map else prediction
    objects = [
        {
            "name": each.name,
            "score": None if is_map else round(each.score, 3),
            "box": [round(value, 1) for value in each.bbox],
            "mask": each.segmentation,
        }
        for each in found.instances
    ]
    took = sum(prediction.timing_ms.values())
    return {"width": prediction.width, "height": prediction.height, "objects": objects, "ms": round(took, 1)}
