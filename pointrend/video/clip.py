"""Opening a video that may come from anybody: one local file, real containers only, limits checked before decoding.

FFmpeg also reads playlists and scripts that name other files or URLs. None of that happens here: it gets an open file
instead of a name, no protocol to open another with, and may recognise no more than :data:`CONTAINERS`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pointrend.errors import VideoError
from pointrend.plain_text import escaped, plain
from pointrend.system.regular_files import open_regular

CONTAINERS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg")
"""FFmpeg's names of what is read: MP4, MOV and 3GP are ``mov``, WebM is ``matroska``."""
MAX_PIXELS = 50_000_000
"""Of a frame."""
MAX_STREAMS = 64


@dataclass(frozen=True, slots=True)
class ClipLimits:
    """How much of a video is taken.

    Attributes:
        pixels: of a frame.
        seconds: from the first frame to the last; None for any length.
        frames: None for any number.
    """

    pixels: int = MAX_PIXELS
    seconds: float | None = None
    frames: int | None = None

    def check_length(self, seconds: float | None, frames: int | None) -> None:
        """Refuse a video that is too long.

        Raises:
            VideoError: it has more than so many seconds or frames.
        """
        if self.seconds is not None and seconds is not None and seconds > self.seconds:
            raise VideoError(f"The video has {seconds:.1f} s; at most {self.seconds:g} s are taken here. Cut it.")
        if self.frames is not None and frames is not None and frames > self.frames:
            raise VideoError(f"The video has {frames} frames; at most {self.frames} are taken here. Cut it.")


# No protocol may be opened: what a file refers to stays closed. An empty list would allow all.
_OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "none"}


@dataclass(frozen=True, slots=True)
class Clip:
    """An open video.

    Attributes:
        path: the file.
        limits: how much of it is taken.
        container: what reads it.
        video: its pictures.
        audio: its sound, or None.
        width, height: of its frames in pixels, upright once the first one is turned; see :mod:`pointrend.video.frames`.
    """

    path: Path
    limits: ClipLimits
    container: InputContainer
    video: VideoStream
    audio: AudioStream | None
    width: int
    height: int

    @property
    def rate(self) -> Fraction | None:
        """Frames a second on average, where the file tells."""
        return self.video.average_rate or self.video.guessed_rate

    @property
    def seconds(self) -> float | None:
        """Its length as the file tells it, which may be wrong; None where it does not."""
        if self.video.duration is not None and self.video.time_base is not None:
            return float(self.video.duration * self.video.time_base)
        return None if self.container.duration is None else self.container.duration / av.time_base

    @property
    def frames(self) -> int | None:
        """How many frames it has, where the file tells or its length and rate do: an estimate."""
        if self.video.frames:
            return self.video.frames
        return None if self.seconds is None or not self.rate else round(self.seconds * self.rate)


@contextlib.contextmanager
def open_clip(path: Path, limits: ClipLimits | None = None) -> Iterator[Clip]:
    """Open a video file.

    Args:
        path: a regular file.
        limits: how much is taken; frames of 50 megapixels, and any length, by default.

    Raises:
        VideoError: it cannot be read, is no video in one of :data:`CONTAINERS`, has no pictures, too large ones, or is
            too long.

    Example::

        with open_clip(Path("street.mp4")) as clip:
            print(clip.width, clip.height, clip.seconds)
    """
    name = escaped(path.name)
    limits = limits or ClipLimits()
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path))
        except OSError as error:
            raise VideoError(f"{name} cannot be read: {error.strerror or error}.") from error
        try:
            container = stack.enter_context(av.open(file, "r", container_options=_OPTIONS))
        except (av.FFmpegError, UnicodeError) as error:
            raise VideoError(
                f"{name} is no video that can be read ({_reason(error)}). Formats: MP4, MOV, MKV, WebM, AVI, MPEG, "
                "FLV, WMV and Ogg."
            ) from error
        if len(container.streams) > MAX_STREAMS:
            raise VideoError(f"{name} has {len(container.streams)} streams; at most {MAX_STREAMS} are read.")
        video = next((each for each in container.streams.video if not _is_picture(each)), None)
        if video is None:
            raise VideoError(f"{name} has no moving pictures, only {_kinds(container)}.")
        if video.codec_context is None:
            raise VideoError(f"{name} has moving pictures of a codec that is not known.")
        width, height = video.width, video.height
        if width < 1 or height < 1:
            raise VideoError(f"{name} does not tell the size of its frames; it may be cut off.")
        if width * height > limits.pixels:
            raise VideoError(
                f"{name} has frames of {width}x{height} pixels; at most {limits.pixels:,} pixels are read. Scale it "
                "down."
            )
        video.codec_context.options = {"max_pixels": str(limits.pixels)}  # of what a frame in the middle claims, too
        audio = container.streams.audio[0] if container.streams.audio else None
        clip = Clip(path, limits, container, video, audio, width, height)
        limits.check_length(clip.seconds, video.frames)
        yield clip


def _is_picture(stream: VideoStream) -> bool:
    """Whether it is a cover picture rather than a video."""
    return bool(stream.disposition & Disposition.attached_pic)


def _kinds(container: InputContainer) -> str:
    kinds = sorted({"a cover picture" if each.type == "video" else each.type for each in container.streams})
    return " and ".join(kinds) or "nothing"


def _reason(error: Exception) -> str:
    return plain(getattr(error, "strerror", None) or str(error), 200)
