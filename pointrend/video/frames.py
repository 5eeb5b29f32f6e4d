"""Reading a video from its first frame to its last: pictures upright, with their times; broken ones named, not fatal.

Shapes: H, W of an upright frame in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pointrend.plain_text import plain
from pointrend.video.clip import Clip

# Ends a file of nothing but broken packets, which may be long.
_BROKEN_IN_A_ROW = 10_000


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture.

    Attributes:
        index: its number, from 0; broken frames are counted too.
        pts: its time in ``time_base``.
        time_base: seconds.
        pixels: (H, W, 3) uint8 RGB, upright.
    """

    index: int
    pts: int
    time_base: Fraction
    pixels: NDArray[np.uint8]

    @property
    def time(self) -> float:
        """Seconds since the video's zero."""
        return float(self.pts * self.time_base)


@dataclass(frozen=True, slots=True)
class BrokenFrame:
    """A frame that cannot be decoded.

    Attributes:
        index: its number.
        time: seconds, where the file tells.
        reason: a few words.
    """

    index: int
    time: float | None
    reason: str


Event: TypeAlias = "Frame | BrokenFrame | Packet[AudioStream]"
"""What a video is made of, in the order of the file; a packet is of its sound, and is not decoded."""


def read(clip: Clip) -> Iterator[Event]:
    """Every frame of a video, and the packets of its sound between them.

    All frames have the size of the first: a video that changes its size in the middle is scaled. A frame without a time
    follows the last one by the frame rate; one whose time does not increase is counted as broken.

    Raises:
        VideoError: the video is longer than its file told, and than the limits allow.
    """
    reader = _Reader(clip)
    streams = [clip.video] if clip.audio is None else [clip.video, clip.audio]
    packets = clip.container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            yield reader.broken(None, error)
            return  # the container itself cannot be read on
        if packet is None:
            return
        if clip.audio is not None and packet.stream is clip.audio:
            if packet.dts is not None:
                yield cast("Packet[AudioStream]", packet)
            continue
        yield from reader.decode(cast("Packet[VideoStream]", packet))
        if reader.broken_in_a_row >= _BROKEN_IN_A_ROW:
            return


class _Reader:
    """Decodes one stream's packets."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._count = 0
        self._last_pts: int | None = None
        self._first_pts: int | None = None
        self._size: tuple[int, int] | None = None  # (width, height) as coded, before turning
        self.broken_in_a_row = 0

    def decode(self, packet: Packet[VideoStream]) -> Iterator[Event]:
        try:
            frames = self._clip.video.decode(packet)
        except av.FFmpegError as error:
            yield self.broken(packet.pts, error)
            return
        for frame in frames:
            yield self._frame(frame)

    def broken(self, pts: int | None, reason: Exception | str) -> BrokenFrame:
        base = self._clip.video.time_base
        text = getattr(reason, "strerror", None) or str(reason)
        self.broken_in_a_row += 1
        self._count += 1
        return BrokenFrame(
            self._count - 1, None if pts is None or base is None else round(float(pts * base), 6), plain(text, 200)
        )

    def _frame(self, frame: VideoFrame) -> Event:
        base = self._clip.video.time_base or Fraction(1, 1000)
        pts = self._pts(frame, base)
        if frame.is_corrupt:
            return self.broken(pts, "its data is damaged")
        if self._last_pts is not None and pts <= self._last_pts:
            return self.broken(pts, "its time is not after that of the frame before")
        self._first_pts = pts if self._first_pts is None else self._first_pts
        self._clip.limits.check_length(float((pts - self._first_pts) * base), self._count + 1)
        self._size = self._size or (frame.width, frame.height)
        try:
            pixels = frame.to_ndarray(format="rgb24", width=self._size[0], height=self._size[1])
        except (av.FFmpegError, ValueError) as error:
            return self.broken(pts, error)
        self._last_pts = pts
        self.broken_in_a_row = 0
        self._count += 1
        return Frame(self._count - 1, pts, base, _upright(pixels, frame.rotation))

    def _pts(self, frame: VideoFrame, base: Fraction) -> int:
        if frame.pts is not None:
            return frame.pts
        if self._last_pts is None:
            return 0
        return self._last_pts + max(1, round(1 / ((self._clip.rate or 25) * base)))


def _upright(pixels: NDArray[Any], degrees: int) -> NDArray[np.uint8]:
    """Turn a frame as its display matrix says: counter-clockwise, by the nearest quarter turn."""
    return np.ascontiguousarray(np.rot90(pixels, round(degrees / 90) % 4), dtype=np.uint8)
