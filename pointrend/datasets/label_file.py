"""A label file's bytes to its JSON object, or a sentence on what it is instead."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

from pointrend.datasets.findings import Findings
from pointrend.errors import DataError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_YOLO_LINE = re.compile(r"\d+(\s+-?\d*\.?\d+([eE]-?\d+)?){4,}\s*")


def read_json(path: Path, findings: Findings | None = None) -> dict[str, Any]:
    """Read a label file, not looking at what its lists hold.

    Args:
        path: a file in UTF-8, with or without a byte order mark; also in UTF-16 with one, or in Latin-1.
        findings: receives what was repaired.

    Raises:
        DataError: it is missing, not JSON, or another format; the message names the file and what it looks like.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.{_beside(path)}") from error
    text = _text(data, Findings() if findings is None else findings)
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON: {_looks_like(text, error)}") from error
    kind = _kind(tree)
    if kind:
        raise DataError(
            f"{path}: must hold an object with images, annotations and categories (COCO); this looks like {kind}."
        )
    found: dict[str, Any] = tree
    return found


def _text(data: bytes, findings: Findings) -> str:
    if data.startswith(codecs.BOM_UTF8):
        findings.add("encoding", "a byte order mark")
        data = data[len(codecs.BOM_UTF8) :]
    elif data.startswith(_UTF16):
        findings.add("encoding", "UTF-16")
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        findings.add("encoding", "read as Latin-1")
        return data.decode("latin-1")


def _looks_like(text: str, error: Exception) -> str:
    stripped = text.strip()
    lines = [line for line in stripped.splitlines()[:20] if line.strip()]
    if not stripped:
        return "it is empty."
    if stripped.startswith("version https://git-lfs"):
        return "it is a Git LFS pointer. Run git lfs pull."
    if stripped.startswith("<"):
        kind = "Pascal VOC" if "<annotation" in stripped else "XML or HTML"
        return f"this looks like {kind}. Convert it to COCO."
    if all(_YOLO_LINE.fullmatch(line) for line in lines):
        return "this looks like YOLO's labels. Convert them to COCO."
    if len(lines) > 1 and all(_is_json(line) for line in lines):
        return "this looks like JSON lines. Write one object with images, annotations and categories."
    if isinstance(error, json.JSONDecodeError) and (
        error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
    ):
        return f"it ends in the middle: {error}. Copy or export it again."
    return f"{error}."


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _kind(tree: Any) -> str:
    """What it is instead of COCO's object; empty if it may be that."""
    if isinstance(tree, list):
        first = tree[0] if tree and isinstance(tree[0], dict) else {}
        if "score" in first and "image_id" in first:
            return "COCO results (detections), which name no images"
        if "annotations" in first and "image" in first:
            return "CreateML"
        return "a list"
    if not isinstance(tree, dict):
        return f"a bare {type(tree).__name__}"
    if "shapes" in tree and "imagePath" in tree:
        return "LabelMe, which has one file per image"
    if "_via_img_metadata" in tree:
        return "a project of the VGG Image Annotator"
    if tree.get("type") == "FeatureCollection":
        return "GeoJSON"
    return ""


def _beside(path: Path) -> str:
    """What the folder of a missing file seems to hold."""
    folder = path.parent
    if not folder.is_dir():
        return ""
    here = sorted(each.name for each in folder.glob("instances_*.json"))[:5]
    if here:
        return f" The folder has {', '.join(here)}."
    if (folder / "data.yaml").is_file() or next(folder.glob("labels/**/*.txt"), None):
        return " The folder looks like YOLO's. Convert it to COCO."
    if (folder / "Annotations").is_dir():
        return " The folder looks like Pascal VOC's. Convert it to COCO."
    if any(
        name.stem.startswith("instances") or name.name == "_annotations.coco.json" for name in folder.glob("*.json")
    ):
        return f" Rename the label file to {path.name}."
    return ""
