"""The sound of a video: its packets as they are where the new container takes them, encoded anew where it does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from pointrend.video.clip import Clip

_RATE = 48_000  # Opus knows no other, and every player of AAC takes it


class Sound:
    """Writes the packets of a stream.

    Args:
        source: what they come from.
        container: where they go; its header is not written yet.
        encoder: for codecs that the container does not take, or that the reader of ``source`` cannot copy.

    Attributes:
        copied: whether packets stay as they are.
    """

    def __init__(self, source: AudioStream, container: OutputContainer, encoder: str) -> None:
        self._container = container
        self.copied = source.codec.canonical_name in container.supported_codecs
        self._resampler: av.AudioResampler | None = None
        if self.copied:
            self._stream = container.add_stream_from_template(source)
        else:
            layout = "mono" if source.channels == 1 else "stereo"
            self._stream = cast(AudioStream, container.add_stream(encoder, rate=_RATE, layout=layout))
            context = self._stream.codec_context
            self._resampler = av.AudioResampler(context.format, layout, _RATE, context.frame_size or None)

    def write(self, packet: Packet[AudioStream]) -> None:
        """Write one packet; what cannot be decoded, where it must be, is left out."""
        if self._resampler is None:
            packet.stream = self._stream
            self._container.mux(packet)
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            self._encode(self._resampler.resample(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._resampler is not None:
            self._encode([*self._resampler.resample(None), None])

    def _encode(self, frames: Iterable[av.AudioFrame | None]) -> None:
        for frame in frames:
            self._container.mux(self._stream.encode(frame))


def open_sound(clip: Clip, container: OutputContainer, encoder: str) -> tuple[Sound | None, str | None]:
    """Prepare the sound of a video.

    Returns:
        what writes it, None where there is none, and, where it is lost or changed, a sentence that says so.
    """
    if clip.audio is None:
        return None, None
    if clip.audio.codec_context is None:
        return None, "The sound is left out: its codec is not known."
    name = clip.audio.codec.canonical_name
    try:
        sound = Sound(clip.audio, container, encoder)
    except (av.FFmpegError, ValueError) as error:
        return None, f"The sound ({name}) is left out: {error}."
    if sound.copied:
        return sound, None
    return sound, f"The sound is encoded anew, since {container.format.name} takes no {name}."
