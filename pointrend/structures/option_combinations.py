"""Which options go together, and which answers a task has. What does not is refused, never ignored."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from pointrend.errors import InvalidOption

if TYPE_CHECKING:
    from pointrend.structures.options import Options

FORMATS: dict[str, dict[str, str]] = {
    "instances": {
        "json": "`instances`: category, score, bbox, area, segmentation",
        "png": "the image with masks, outlines and labels drawn on it",
        "cutouts": "a zip of transparent PNGs cropped to one mask each, such as `person-2.png`, and `manifest.json`",
        "label_map": "a 16-bit PNG: 0 is background, 1 the best instance, 2 the second best; better ones are on top",
        "uncertainty": "the image in grey, with colour where the model is unsure whether a pixel belongs to an object",
    },
    "detection": {
        "json": "`instances` without segmentation and area",
        "png": "the image with boxes and labels drawn on it",
    },
    "semantic": {
        "json": "`segments`, one per category: category, area, segmentation",
        "png": "the image with the categories drawn on it",
        "label_map": "an 8-bit palette PNG: 0 is background, other values are category ids",
    },
}
"""What a task is answered with, by ``format``; the two do not go together where nothing stands."""


def check_together(options: Options) -> None:
    """Refuse what a request asks for that no answer can give.

    Raises:
        InvalidOption: a format that the task does not have, probabilities or points where there are none, hard edges
            of what is no cut-out, or what :func:`check_tiles`, :func:`check_zoom` or :func:`check_budget` refuses.
    """
    if options.format not in FORMATS[options.task]:
        raise _no_such_answer(options)
    if options.masks == "probability" and options.task != "instances":
        raise _no_probabilities(options)
    if options.points and (options.task, options.format) != ("instances", "json"):
        raise _no_points(options)
    if options.alpha != "soft" and options.format != "cutouts":
        raise _no_cutouts(options)
    check_tiles(options)
    check_zoom(options)
    check_budget(options)


def looks_again(options: Options) -> bool:
    """Whether large objects get a second look: as ``zoom`` says, or else for cut-outs that it goes together with."""
    if options.zoom is not None:
        return options.zoom
    return options.format == "cutouts" and not any(_beside_zoom(options).values())


def check_zoom(options: Options) -> None:
    """Refuse ``zoom`` beside what has no mask to refine further.

    Raises:
        InvalidOption: another task than ``instances``, ``mask_head=conv``, less than the full ``refinement``,
            ``points``, of which a mask of two looks has no one set, ``tiles``, which are closer looks themselves, or
            ``budget_ms``, which bounds the first look only.
    """
    if options.zoom:
        does = "zoom=true refines the masks of large objects beyond the full refinement"
        _refuse_beside("zoom", True, does, _beside_zoom(options), limit=False)


def _beside_zoom(options: Options) -> dict[str, bool]:
    """What ``zoom`` does not go together with, and whether it is asked for."""
    full = {field.name: field.default for field in dataclasses.fields(options)}["refinement"]
    return {
        f"task={options.task}": options.task != "instances",
        f"mask_head={options.mask_head}": options.mask_head != "point",
        f"refinement={options.refinement}": options.refinement != full,
        "points=true": options.points,
        f"tiles={options.tiles}": options.tiles is not None,
        f"budget_ms={options.budget_ms}": options.budget_ms is not None,
    }


def check_tiles(options: Options) -> None:
    """Refuse ``tiles`` beside what cannot be joined.

    Raises:
        InvalidOption: another task than ``instances``, ``points``, ``boxes`` or probabilities.
    """
    if options.tiles is None:
        return
    if options.task != "instances":
        raise InvalidOption(
            f"tiles={options.tiles} is for task=instances, since objects are joined by their masks, not for "
            f"task={options.task}; leave one of the two out.",
            field="tiles",
            value=options.tiles,
            code="unsupported_combination",
        )
    beside = {
        "points=true": options.points,
        "masks=probability": options.masks == "probability",
        "format=uncertainty": options.format == "uncertainty",
        "boxes: every box has its own mask": options.boxes is not None,
    }
    _refuse_beside("tiles", options.tiles, f"tiles={options.tiles} joins objects of several tiles", beside)


def check_budget(options: Options) -> None:
    """Refuse ``budget_ms`` beside what has no steps to leave out, or needs them all.

    Raises:
        InvalidOption: another task than ``instances``, another mask head than ``point``, ``points`` or ``tiles``.
    """
    if options.budget_ms is None:
        return
    beside = {
        f"task={options.task}": options.task != "instances",
        f"mask_head={options.mask_head}": options.mask_head != "point",
        "points=true": options.points,
        f"tiles={options.tiles}": options.tiles is not None,
    }
    does = f"budget_ms={options.budget_ms} leaves out steps of refinement"
    _refuse_beside("budget_ms", options.budget_ms, does, beside)


def check_boxes(options: Options) -> None:
    """Refuse what chooses among detections, or merges them: every box gets its own mask.

    Raises:
        InvalidOption: such an option does not have its default.
    """
    if options.boxes is None:
        return
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    for name in ("task", "score_threshold", "max_detections", "categories"):
        value = getattr(options, name)
        if value != defaults[name]:
            raise InvalidOption(
                f"{name} does not go together with boxes, of which each gets its mask: omit {name}.",
                field=name,
                limit=defaults[name],
                value=list(value) if isinstance(value, tuple) else value,
                code="unsupported_combination",
            )


def _refuse_beside(field: str, value: int | bool, does: str, beside: dict[str, bool], limit: Any = None) -> None:
    """Refuse an option, of which ``does`` says what it does, beside others that are asked for."""
    asked = [name for name, is_asked in beside.items() if is_asked]
    if asked:
        raise InvalidOption(
            f"{does} and does not go with {', '.join(asked)}; leave one of the two out.",
            field=field,
            limit=limit,
            value=value,
            code="unsupported_combination",
        )


def _no_points(options: Options) -> InvalidOption:
    return InvalidOption(
        f"points=true is for task=instances and format=json, not task={options.task} and format={options.format}.",
        field="points",
        limit=False,
        value=True,
        code="unsupported_combination",
    )


def _no_cutouts(options: Options) -> InvalidOption:
    return InvalidOption(
        f"alpha={options.alpha} is for format=cutouts, not format={options.format}; masks are always hard.",
        field="alpha",
        limit=["soft"],
        value=options.alpha,
        code="unsupported_combination",
    )


def _no_probabilities(options: Options) -> InvalidOption:
    return InvalidOption(
        f"masks=probability is for task=instances, not task={options.task}.",
        field="masks",
        limit=["rle", "polygon", "none"],
        value=options.masks,
        code="unsupported_combination",
    )


def _no_such_answer(options: Options) -> InvalidOption:
    possible = list(FORMATS[options.task])
    return InvalidOption(
        f"task={options.task} cannot be answered as format={options.format}; ask for {' or '.join(possible)}.",
        field="format",
        limit=possible,
        value=options.format,
        code="unsupported_combination",
    )
