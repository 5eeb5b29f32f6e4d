"""Writing a video: frames at the times that they had, and the sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pointrend.errors import VideoError
from pointrend.plain_text import escaped
from pointrend.video.clip import Clip
from pointrend.video.sound import Sound, open_sound

# Encoders and their options, the best first; a PyAV that was built without GPL parts has no libx264. No frame refers to
# a later one, so that times are written as they are. x264's macroblock tree gives other bytes for the same frames in
# one of fifty tries on a busy machine, so that a resumed video would not be the same; without it a video is 8 % larger,
# at 0.4 dB more.
_H264 = ("libx264", {"crf": "20", "preset": "veryfast", "bf": "0", "mbtree": "0"})
_VP9 = ("libvpx-vp9", {"crf": "32", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"})
_MPEG4 = ("mpeg4", {"qscale": "4"})
_BT709 = 1  # in every one of FFmpeg's lists
_LIMITED = 1


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A container.

    Attributes:
        name: FFmpeg's.
        encoders: of the frames, the best first, with their options.
        audio: the encoder of sound that cannot be copied.
    """

    name: str
    encoders: tuple[tuple[str, dict[str, str]], ...]
    audio: str


FORMATS = {
    ".mp4": OutputFormat("mp4", (_H264, _VP9, _MPEG4), "aac"),
    ".mov": OutputFormat("mov", (_H264, _MPEG4), "aac"),
    ".mkv": OutputFormat("matroska", (_H264, _VP9, _MPEG4), "aac"),
    ".webm": OutputFormat("webm", (_VP9,), "libopus"),
}
"""By the suffix of the file."""


def output_format(path: Path) -> OutputFormat:
    """The container that a file's suffix stands for.

    Raises:
        VideoError: it stands for none.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise VideoError(f"OUT: {escaped(path.name)} must end in one of {', '.join(FORMATS)}.")
    return found


class VideoWriter:
    """Writes one video; see :func:`open_writer`.

    Attributes:
        note: a sentence on sound that is lost or changed; None where all is kept.
    """

    def __init__(self, container: OutputContainer, clip: Clip, form: OutputFormat) -> None:
        self._container = container
        self._clip = clip
        self._form = form
        self._sound: Sound | None = None
        self.note: str | None = None
        self._stream: VideoStream | None = None
        self._waiting: list[Packet[AudioStream]] = []  # sound before the first frame, which tells what the header needs

    def sound(self, packet: Packet[AudioStream]) -> None:
        """Write a packet of the sound."""
        if self._stream is None:
            self._waiting.append(packet)
        elif self._sound is not None:
            self._sound.write(packet)

    def frame(self, pixels: NDArray[np.uint8], pts: int, time_base: Fraction) -> None:
        """Write a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB, of one size throughout; an odd side gets one more row or column, since the
                usual codecs know even ones only.
            pts, time_base: its time.
        """
        height, width = pixels.shape[:2]
        if self._stream is None:
            self._begin(width, height, time_base)
        assert self._stream is not None
        if height % 2 or width % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        picture.pts, picture.time_base = pts, time_base
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Write what the encoders still hold.

        Raises:
            VideoError: there was no frame.
        """
        if self._stream is None:
            raise VideoError(f"{escaped(str(self._clip.path))} has no frame that can be read.")
        self._container.mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.finish()

    def _begin(self, width: int, height: int, time_base: Fraction) -> None:
        name, options = next(each for each in self._form.encoders if _is_there(each[0]))
        stream: VideoStream = self._container.add_stream(  # type: ignore[assignment]
            name, rate=self._clip.rate or 25, options=options
        )
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        shape = self._clip.video.sample_aspect_ratio
        if shape:  # of a pixel; a turned frame has turned pixels
            turned = (width, height) != (self._clip.width, self._clip.height)
            stream.codec_context.sample_aspect_ratio = 1 / shape if turned else shape
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._sound, self.note = open_sound(self._clip, self._container, self._form.audio)
        self._stream = stream
        for packet in self._waiting:
            self.sound(packet)
        self._waiting.clear()


@contextmanager
def open_writer(file: BinaryIO, clip: Clip, form: OutputFormat) -> Iterator[VideoWriter]:
    """Write a video to an open file, which can be sought in.

    Raises:
        VideoError: the encoder refuses the frames, or the file cannot be written.
    """
    try:
        with av.open(file, "w", format=form.name) as container:
            writer = VideoWriter(container, clip, form)
            yield writer
            writer.finish()
    except av.FFmpegError as error:
        raise VideoError(f"The video cannot be written: {error.strerror or error}.") from error


def _is_there(encoder: str) -> bool:
    try:
        av.Codec(encoder, "w")
    except (UnknownCodecError, ValueError):
        return False
    return True
