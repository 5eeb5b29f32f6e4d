"""Which object of this frame is which of the last: norfair's tracker, fed with boxes.

An object gets its number once it was seen in :data:`SIGHTINGS` frames, and has it from its first frame on, so that what
flickers up once gets none. It keeps the number while it is unseen for up to :data:`LOST_FRAMES` frames. A number is of
one category.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from norfair import Detection, OptimizedKalmanFilterFactory, Tracker
from norfair.distances import VectorizedDistance
from numpy.typing import NDArray

from pointrend.structures.prediction import Instance

SIGHTINGS = 3
LOST_FRAMES = 30
# 1 - IoU of a box and where it was expected. Higher than for a still picture: at a crossing only a part is seen.
_MOST_DISTANT = 0.9
# Pixels of the longer side that the tracker's variances are meant for.
_SIDE = 640
# Intervals between frames that tell what the usual one is.
_INTERVALS = 15


@dataclass(slots=True)
class Track:
    """An object through time.

    Attributes:
        id: its number, from 1; None until it was seen often enough.
    """

    id: int | None = None


class IdentityTracker:
    """Numbers the objects of one video, frame by frame.

    Args:
        width, height: of its frames in pixels.

    Example::

        tracker = IdentityTracker(1920, 1080)
        tracks = tracker.update(0.04, prediction.instances)
    """

    def __init__(self, width: int, height: int) -> None:
        # The first speed is anybody's guess.
        motion = OptimizedKalmanFilterFactory(vel_variance=100)
        self._tracker = Tracker(
            "iou",
            _MOST_DISTANT,
            hit_counter_max=LOST_FRAMES,
            initialization_delay=SIGHTINGS - 1,
            filter_factory=motion,
            past_detections_length=0,
        )
        # norfair's own logs an error for each expected box that is turned inside out, as happens behind another object.
        self._tracker.distance_function = VectorizedDistance(box_distances)
        self._scale = _SIDE / max(width, height)
        self._tracks: dict[int | None, Track] = {}
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._time: float | None = None
        self._count = 0

    def update(self, time: float, instances: Sequence[Instance]) -> list[Track]:
        """Match a frame's objects.

        Args:
            time: of the frame in seconds; it increases from call to call. After a gap of several usual intervals
                objects are expected as far on as they would have moved.
            instances: with their boxes.

        Returns:
            one an instance, in order; its ``id`` may be known only some frames later.
        """
        for _ in range(self._missing(time)):
            self._tracker.update()
        found = [
            Detection(self._corners(each), data=index, label=str(each.category_id))
            for index, each in enumerate(instances)
        ]
        self._tracker.update(found)
        tracks = [Track() for _ in instances]
        alive: dict[int | None, Track] = {}
        confirmed: list[tuple[int, Track]] = []
        for each in self._tracker.tracked_objects:
            seen_now = each.last_detection.age == each.age
            track = self._tracks.get(each.initializing_id)
            if track is None:
                track = tracks[each.last_detection.data] if seen_now else Track()
            elif seen_now:
                tracks[each.last_detection.data] = track
            alive[each.initializing_id] = track
            if track.id is None and not each.is_initializing:
                confirmed.append((each.last_detection.data, track))
        for _, track in sorted(confirmed, key=lambda found: found[0]):
            self._count += 1
            track.id = self._count
        self._tracks = alive
        return tracks

    def _missing(self, time: float) -> int:
        """How many frames of the usual interval have been left out since the last one."""
        last, self._time = self._time, time
        if last is None:
            return 0
        usual = median(self._intervals) if self._intervals else time - last
        self._intervals.append(time - last)
        return min(max(round((time - last) / usual) - 1, 0), LOST_FRAMES + 1)

    def _corners(self, instance: Instance) -> NDArray[np.float64]:
        x, y, width, height = instance.bbox
        return np.array([[x, y], [x + width, y + height]]) * self._scale


def box_distances(boxes: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - IoU of each pair.

    Args:
        boxes: (N, 4) corners x0, y0, x1, y1.
        expected: (M, 4), in which a corner may have passed the other.

    Returns:
        (N, M) in [0, 1].
    """
    expected = np.hstack((np.minimum(expected[:, :2], expected[:, 2:]), np.maximum(expected[:, :2], expected[:, 2:])))
    first = np.maximum(boxes[:, None, :2], expected[None, :, :2])
    last = np.minimum(boxes[:, None, 2:], expected[None, :, 2:])
    common = np.clip(last - first, 0, None).prod(2)
    area, expected_area = ((each[:, 2:] - each[:, :2]).prod(1) for each in (boxes, expected))
    union = area[:, None] + expected_area[None] - common
    ratio: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return 1 - ratio
