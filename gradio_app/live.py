"""One picture of a camera after the other: scaled, sent, drawn, and counted. Knows no page."""

from __future__ import annotations

import io
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.client import Client
from pointrend.images.colours import srgb_profile
from pointrend.images.convert import to_picture
from pointrend.structures.options import Task
from pointrend.structures.prediction import Prediction
from pointrend.visualize.overlay import overlay

SENT_SIDE = 320  # the longer side of what is sent, in pixels
SENT_QUALITY = 85
COUNTED_SECONDS = 3.0


@dataclass
class Meter:
    """Counts a viewer's frames over the last few seconds."""

    _ends: deque[float] = field(default_factory=deque)

    def frame(self, now: float | None = None) -> float:
        """Count a frame that ends now; returns frames per second, 0 for the first one.

        Args:
            now: seconds of a monotonic clock, for tests.
        """
        now = time.monotonic() if now is None else now
        self._ends.append(now)
        while self._ends[0] < now - COUNTED_SECONDS:
            self._ends.popleft()
        span = now - self._ends[0]
        return (len(self._ends) - 1) / span if span > 0 else 0.0


def shrink(frame: Image.Image) -> Image.Image:
    """A frame as RGB, upright and in sRGB, its longer side at most :data:`SENT_SIDE`."""
    picture = to_picture(frame).copy()
    picture.thumbnail((SENT_SIDE, SENT_SIDE), Image.Resampling.BILINEAR)
    return picture


def segment_frame(
    client: Client, frame: Image.Image, threshold: float, *, task: Task = "instances"
) -> tuple[NDArray[np.uint8], Prediction]:
    """Find the objects of a frame.

    Args:
        client: of the server; it should not try again, since the next frame is newer.
        frame: as the camera gave it.
        threshold: the lowest score.
        task: ``instances`` or ``semantic``.

    Returns:
        the small frame with its masks, (h, w, 3) uint8 RGB, and the prediction.

    Raises:
        RequestError: the server refused it, or is not there.
    """
    small = shrink(frame)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=SENT_QUALITY, icc_profile=srgb_profile())
    prediction = client.segment(file.getvalue(), score_threshold=threshold, task=task)
    return overlay(np.asarray(small), prediction), prediction
