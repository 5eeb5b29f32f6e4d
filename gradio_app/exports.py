"""What the page offers to save: each kind a file made of a result, at the photo's own size."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from gradio.utils import get_upload_folder

from gradio_app.result import CUTOUTS, MASKS, Result, ViewSelection
from gradio_app.upload_errors import storing
from pointrend.errors import InvalidRequest
from pointrend.exporters import coco_dataset, to_labelme, to_mask_pngs, to_yolo, yolo_data
from pointrend.exporters.coco import CocoImage
from pointrend.images.decode import decode, open_image
from pointrend.images.encode import encode_png
from pointrend.images.formats import SUFFIXES_BY_FORMAT
from pointrend.images.suffixes import has_image_suffix
from pointrend.structures.prediction import Prediction
from pointrend.visualize.cutouts import cutouts
from pointrend.visualize.effects import apply_effect

Categories = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Export:
    """One kind of file.

    Attributes:
        key: names it in the API.
        label: on its button.
        suffix: what follows the photo's name in the file's.
        content: makes the file of a result, what is visible of it, and the categories that the model knows.
    """

    key: str
    label: str
    suffix: str
    content: Callable[[Result, ViewSelection, Categories], bytes]


def write(export: Export, result: Result, choice: ViewSelection, categories: Categories) -> str:
    """Make the file where the page deletes what is old; returns its path.

    Args:
        export: one of :data:`EXPORTS`.
        result: what was found.
        choice: what of it is visible.
        categories: what the model knows, ``{"id": ..., "name": ...}`` each; of use to COCO and YOLO.

    Raises:
        RequestError: the background is missing, or no image that can be read.
        ServerError: the disk is full, or fails.
    """
    content = export.content(result, choice, categories)
    return _store(f"{Path(result.file_name).stem}{export.suffix}", content)


def write_all(export: Export, results: Sequence[tuple[Result, ViewSelection]], categories: Categories) -> str:
    """Make one zip of several results' files; returns its path.

    Args:
        export: one of :data:`EXPORTS`.
        results: what was found in each photo, and what of it is visible; at least one.
        categories: what the model knows.

    Raises:
        ServerError: the disk is full, or fails.
    """
    files: dict[str, bytes] = {}
    for result, choice in results:
        stem, number = Path(result.file_name).stem, 2
        name = f"{stem}{export.suffix}"
        while name.casefold() in map(str.casefold, files):  # two photos of one name, on any file system
            name, number = f"{stem}-{number}{export.suffix}", number + 1
        files[name] = export.content(result, choice, categories)
    return _store(f"photos-{export.key}.zip", _zip(files.items()))


def _store(name: str, content: bytes) -> str:
    """Write a file where the page deletes what is old; returns its path."""
    path = Path(get_upload_folder()) / uuid4().hex / name
    with storing():
        path.parent.mkdir(mode=0o700, parents=True)
        path.write_bytes(content)
    return str(path)


def _overlay(result: Result, choice: ViewSelection, _: Categories) -> bytes:
    drawn = replace(choice, view=MASKS) if choice.view == CUTOUTS else choice
    return encode_png(result.full_picture(drawn))


def _coco(result: Result, choice: ViewSelection, categories: Categories) -> bytes:
    prediction = result.visible_prediction(choice)
    return _json(coco_dataset([CocoImage(1, result.file_name, prediction)], _known(prediction, categories)))


def _known(prediction: Prediction, categories: Categories) -> Categories:
    """The model's categories, or, where it has not been asked for them, those that are seen."""
    return categories or [
        {"id": identity, "name": name}
        for identity, name in sorted({each.category_id or 0: each.name for each in prediction.instances}.items())
    ]


def _labelme(result: Result, choice: ViewSelection, _: Categories) -> bytes:
    return _json(to_labelme(result.visible_prediction(choice), result.file_name, result.data))


def _yolo(result: Result, choice: ViewSelection, categories: Categories) -> bytes:
    """A data set of one image, as YOLO expects its folders."""
    prediction = result.visible_prediction(choice)
    known = _known(prediction, categories)
    image = result.file_name
    if not has_image_suffix(image):  # YOLO finds images by their suffixes
        image += SUFFIXES_BY_FORMAT.get(open_image(result.data).format or "", (".jpg",))[0]
    return _zip(
        (
            ("data.yaml", yolo_data(known).encode()),
            (f"images/{image}", result.data),
            (f"labels/{Path(image).stem}.txt", to_yolo(prediction, [category["id"] for category in known]).encode()),
        )
    )


def _masks(result: Result, choice: ViewSelection, _: Categories) -> bytes:
    return _zip(to_mask_pngs(result.visible_prediction(choice)))


def _cutouts(result: Result, choice: ViewSelection, _: Categories) -> bytes:
    cut = cutouts(decode(result.data), result.visible_prediction(choice))
    return _zip((f"{each.name}.png", each.png()) for each in cut)


def _effect(result: Result, choice: ViewSelection, _: Categories) -> bytes:
    if choice.effect == "picture" and choice.background is None:
        raise InvalidRequest("The effect 'picture' needs another image: send one as background.", field="background")
    masks = [each.segmentation for each in result.visible_prediction(choice).instances if each.segmentation is not None]
    background = decode(choice.background) if choice.effect == "picture" and choice.background is not None else None
    image = decode(result.data)
    return encode_png(apply_effect(image, masks, choice.effect, colour=choice.colour, background=background))


def _json(tree: dict[str, Any]) -> bytes:
    return json.dumps(tree).encode()


def _zip(files: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # images do not shrink
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


EXPORTS = (
    Export("overlay", "Picture", "-overlay.png", _overlay),
    Export("coco", "COCO", "-coco.json", _coco),
    Export("labelme", "LabelMe", ".json", _labelme),
    Export("yolo", "YOLO", "-yolo.zip", _yolo),
    Export("masks", "Masks", "-masks.zip", _masks),
    Export("cutouts", "Cut-outs", "-cutouts.zip", _cutouts),
    Export("effect", "Effect", "-effect.png", _effect),
)
BY_KEY = {export.key: export for export in EXPORTS}
