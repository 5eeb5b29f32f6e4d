"""Clips for tests: pictures that move over pictures, written with whatever a test needs to go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction

Pixels = NDArray[np.uint8]
PHOTOS = Path(__file__).parents[2] / "gradio_app" / "photos"
COLOURS = {"red": (230, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 230)}


def photo(name: str, size: tuple[int, int]) -> Pixels:
    """An example photo, cropped and scaled to (width, height)."""
    with Image.open(PHOTOS / name) as image:
        picture = image.convert("RGB")
    scale = max(size[0] / picture.width, size[1] / picture.height)
    picture = picture.resize((round(picture.width * scale) + 1, round(picture.height * scale) + 1))
    return np.array(picture.crop((0, 0, *size)))


def squares(
    count: int, paths: dict[str, Callable[[int], tuple[int, int]]], size: tuple[int, int] = (96, 64), side: int = 16
) -> list[Pixels]:
    """Coloured squares on a grey photo: ``paths`` gives each one's corner by frame; later ones are in front."""
    ground = np.repeat(photo("coffee.jpg", size).mean(2, keepdims=True) // 2, 3, axis=2).astype(np.uint8)
    frames = []
    for index in range(count):
        frame = ground.copy()
        for name, path in paths.items():
            x, y = path(index)
            frame[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)] = COLOURS[name]
        frames.append(frame)
    return frames


def find_squares(pixels: Pixels) -> Prediction:
    """What :func:`squares` painted, found by colour; all are of one category, so that only motion tells them apart."""
    height, width = pixels.shape[:2]
    instances = []
    for colour in COLOURS.values():
        mask = np.abs(pixels.astype(int) - colour).sum(2) < 150
        if mask.sum() >= 16:
            ys, xs = np.nonzero(mask)
            x, y = int(xs.min()), int(ys.min())
            box = (x, y, int(xs.max()) + 1 - x, int(ys.max()) + 1 - y)
            instances.append(Instance(1, "square", 0.9, box, int(mask.sum()), encode_crop(mask, 0, 0, height, width)))
    return Prediction(width, height, tuple(instances), {"name": "colours", "version": "1"})


def colour_at(pixels: Pixels, instance: Instance) -> str:
    """Which square an instance is."""
    mask = instance.mask((pixels.shape[0], pixels.shape[1]))
    mean = pixels[mask].mean(0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def write_clip(
    path: Path,
    frames: Iterable[Pixels],
    times: Sequence[int] | None = None,
    *,
    time_base: Fraction = Fraction(1, 90_000),
    codec: str = "libx264",
    rotation: int | None = None,
    sound: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a clip: 25 frames a second, or at ``times`` in ``time_base``, with a tone if ``sound`` names its codec."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=25, options=options or {"crf": "10", "g": "4", "bf": "0"})
        video.pix_fmt = "yuv420p"
        audio: Any = None if sound is None else container.add_stream(sound, rate=48_000, layout="mono")
        count = 0
        for index, pixels in enumerate(frames):
            if index == 0:
                video.height, video.width = pixels.shape[:2]
                video.codec_context.time_base = video.time_base = time_base
                if rotation is not None:
                    video.set_display_rotation(rotation)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = round(index / 25 / time_base) if times is None else times[index]
            frame.time_base = time_base
            container.mux(video.encode(frame))
            count += 1
        container.mux(video.encode(None))
        if audio is not None:
            tone = np.sin(np.arange(count * 1920) / 20).astype(np.float32)[None]
            size = audio.codec_context.frame_size or 1024
            resampler = av.AudioResampler(audio.codec_context.format, "mono", 48_000, size)
            whole = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            whole.sample_rate, whole.pts, whole.time_base = 48_000, 0, Fraction(1, 48_000)
            for part in [*resampler.resample(whole), *resampler.resample(None), None]:
                container.mux(audio.encode(part))
    return path


def read_clip(path: Path) -> tuple[list[float], list[Pixels]]:
    """The times in seconds and the frames of a clip, as they are stored."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pixels = [np.array(frame.to_image()) for frame in frames]
    return [float(frame.time) for frame in frames], pixels


def sound_packets(path: Path) -> list[bytes]:
    """The packets of a clip's sound."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def cutout(segment: Callable[[Pixels], Prediction], name: str, size: tuple[int, int], category: str) -> Image.Image:
    """The best object of a category in an example photo, with everything around it transparent."""
    pixels = photo(name, size)
    best = next(each for each in segment(pixels).instances if each.category == category)
    alpha = best.mask((size[1], size[0])).astype(np.uint8) * 255
    left, top, width, height = (round(value) for value in best.bbox)
    return Image.fromarray(np.dstack((pixels, alpha))).crop((left, top, left + width, top + height))


def moving(
    ground: Pixels, count: int, paths: Sequence[tuple[Image.Image, Callable[[int], tuple[int, int]]]]
) -> list[Pixels]:
    """Cut-outs that move over a photo: each with its top left corner by frame; later ones are in front."""
    frames = []
    for index in range(count):
        frame = Image.fromarray(ground)
        for sprite, path in paths:
            frame.paste(sprite, path(index), sprite)
        frames.append(np.array(frame))
    return frames
