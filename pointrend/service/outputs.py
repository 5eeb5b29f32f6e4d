"""A prediction or an error as an HTTP response: a body, its type, its status and its headers."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pointrend.errors import RequestError, ResponseTooLarge
from pointrend.images.encode import encode_png
from pointrend.masks.alpha import Alpha
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction
from pointrend.visualize.cutouts import cutouts
from pointrend.visualize.label_map import encode_label_map, legend
from pointrend.visualize.overlay import overlay
from pointrend.visualize.uncertainty import uncertainty_picture

LEGEND_HEADER = "X-PointRend-Legend"
MANIFEST = "manifest.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same image makes the same zip; a zip knows no earlier time


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request of a batch."""

    body: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, tree: Mapping[str, object], status: int = 200) -> Reply:
        """A JSON body; what stands in ``tree`` is finite. A lone surrogate, which UTF-8 cannot carry, becomes ``?``."""
        text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return cls(text.encode(errors="replace"), "application/json", status)

    @property
    def phrase(self) -> str:
        """The status in words, as HTTP has it."""
        return HTTPStatus(self.status).phrase


def reply(prediction: Prediction, image: NDArray[np.uint8], options: Options, max_bytes: int) -> Reply:
    """Encode a prediction in the form that was asked for.

    Args:
        prediction: what was found, with masks as run lengths unless ``format=json`` or ``task=detection``; for
            ``format=uncertainty`` with their probabilities.
        image: the HWC uint8 RGB image that it was found in.
        options: ``format`` chooses.
        max_bytes: the largest body that the server sends.

    Raises:
        ResponseTooLarge: the answer would be larger than that; the message says what makes it smaller.
        InvalidOption: a category's id does not fit a label map.
    """
    return _WRITERS[options.format](prediction, image, options, max_bytes)


def refusal(error: RequestError) -> Reply:
    """An error as JSON with its status. The body alone says that it is one: gRPC drops an item's status."""
    return Reply.json(error.to_dict(), error.status)


def server_timing(timing_ms: Mapping[str, float]) -> str:
    """Milliseconds by stage as the ``Server-Timing`` header (W3C), which browsers show beside the request."""
    return ", ".join(f"{stage};dur={value:.1f}" for stage, value in timing_ms.items())


def _json(prediction: Prediction, _image: NDArray[np.uint8], _options: Options, max_bytes: int) -> Reply:
    answer = Reply.json(prediction.to_dict())
    _check(
        len(answer.body),
        max_bytes,
        "masks",
        "ask for masks=none, a higher score_threshold, or fewer max_detections or boxes",
    )
    return answer


def _png(prediction: Prediction, image: NDArray[np.uint8], _options: Options, max_bytes: int) -> Reply:
    return _picture(encode_png(overlay(image, prediction)), max_bytes)


def _label_map(prediction: Prediction, _image: NDArray[np.uint8], _options: Options, max_bytes: int) -> Reply:
    answer = _picture(encode_label_map(prediction), max_bytes)
    return replace(answer, headers={LEGEND_HEADER: json.dumps(legend(prediction), separators=(",", ":"))})


def _uncertainty(prediction: Prediction, image: NDArray[np.uint8], _options: Options, max_bytes: int) -> Reply:
    return _picture(encode_png(uncertainty_picture(image, prediction)), max_bytes)


def _picture(body: bytes, max_bytes: int) -> Reply:
    _check(len(body), max_bytes, "format", "send a smaller image, or ask for format=json")
    return Reply(body, "image/png")


def _cutouts(prediction: Prediction, image: NDArray[np.uint8], options: Options, max_bytes: int) -> Reply:
    """A zip of PNG files, and a manifest that says where in the image each one was; checked as it grows."""
    buffer = io.BytesIO()
    manifest = []
    advice = "send a smaller image, or ask for a higher score_threshold, or fewer max_detections or boxes"
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for cutout in cutouts(image, prediction, cast(Alpha, options.alpha)):
            name = f"{cutout.name}.png"
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), cutout.png())
            _check(buffer.tell(), max_bytes, "format", advice, at_least=True)
            height, width = cutout.pixels.shape[:2]
            place = {"file": name, "x": cutout.x, "y": cutout.y, "width": width, "height": height}
            found = cutout.instance.to_dict()
            del found["segmentation"]  # the picture shows it
            manifest.append({**place, **found})
        tree = {**prediction.to_dict(), "instances": manifest}
        archive.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), json.dumps(tree, indent=1))
    _check(buffer.tell(), max_bytes, "format", advice)
    return Reply(buffer.getvalue(), "application/zip")


def _check(size: int, limit: int, at_fault: str, advice: str, *, at_least: bool = False) -> None:
    if size > limit:
        raise ResponseTooLarge(
            f"The response would have {'at least ' if at_least else ''}{size} bytes; at most {limit} can be sent. "
            f"To make it fit, {advice}.",
            field=at_fault,
            limit=limit,
            value=size,
        )


_WRITERS: dict[str, Callable[[Prediction, NDArray[np.uint8], Options, int], Reply]] = {
    "json": _json,
    "png": _png,
    "cutouts": _cutouts,
    "label_map": _label_map,
    "uncertainty": _uncertainty,
}
