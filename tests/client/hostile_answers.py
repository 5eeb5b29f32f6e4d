"""Answers that no PointRend server gives, each with the method of the client that asks for it.

:func:`bodies` come over REST and gRPC alike; :func:`refusals` are errors of odd shapes. What HTTP alone can do wrong is
in ``hostile_wires``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image

from tests.client import hostile_files, hostile_json
from tests.client.hostile_files import MEBIBYTE


@dataclass(frozen=True)
class HostileBody:
    """A body that comes with status 200.

    Attributes:
        name: what is wrong with it.
        method: of the client.
        body: as sent.
    """

    name: str
    method: str
    body: bytes


@cache
def bodies() -> list[HostileBody]:
    """All that can be wrong with what a body says."""
    return list(_bodies())


def _bodies() -> Iterator[HostileBody]:
    for name, body in (
        *hostile_json.json_texts(),
        *hostile_json.fields(),
        *hostile_json.instances(),
        *hostile_json.run_lengths(),
        *hostile_json.polygons(),
    ):
        yield HostileBody(name, "segment", body)
    for name, body in hostile_files.pngs():
        yield HostileBody(f"overlay: {name}", "render", body)
        yield HostileBody(f"label map: {name}", "label_map", body)
    for mode in ("RGB", "RGBA", "1", "LA"):
        yield HostileBody(f"label map of mode {mode}", "label_map", hostile_files.png_file(Image.new(mode, (40, 30))))
    for name, body in hostile_files.zips():
        yield HostileBody(f"zip: {name}", "cutouts", body)
    for name, body in hostile_json.descriptions():
        yield HostileBody(f"description: {name}", "describe", body)


def refusals() -> Iterator[tuple[str, int, bytes]]:
    """Errors of odd shapes: a name, a status and a body."""
    details: dict[str, Any] = {
        "a list": [],
        "text": "no",
        "null": None,
        "empty": {},
        "a code that is a number": {"code": 5, "message": "m"},
        "a code that is a list": {"code": [], "message": "m"},
        "a code with escapes": {"code": "\x1b[2J", "message": "m"},
        "a code of a megabyte": {"code": "x" * MEBIBYTE, "message": "m"},
        "a message that is null": {"code": "unsupported_image", "message": None},
        "a message that is a tree": {"code": "unsupported_image", "message": {"a": [1]}},
        "a message with escapes": {"code": "unsupported_image", "message": "\x1b]0;owned\a\x1b[2J\u202e[red]x"},
        "a message of a megabyte": {"code": "unsupported_image", "message": "x" * MEBIBYTE},
        "a message with a surrogate": {"code": "unsupported_image", "message": "\ud800"},
        "a field that is a list": {"code": "unsupported_image", "message": "m", "field": [1]},
        "a status of text": {"code": "unsupported_image", "message": "m", "status": "no"},
        "a status that is a list": {"code": "unsupported_image", "message": "m", "status": []},
        "a status of 200": {"code": "unsupported_image", "message": "m", "status": 200},
        "a status of 10**30": {"code": "unsupported_image", "message": "m", "status": 10**30},
        "a negative status": {"code": "unsupported_image", "message": "m", "status": -1},
        "a status that contradicts": {"code": "unsupported_image", "message": "m", "status": 503},
        "a status that is true": {"code": "unsupported_image", "message": "m", "status": True},
        "a status of null": {"code": "unsupported_image", "message": "m", "status": None},
    }
    for name, detail in details.items():
        yield f"error is {name}", 415, json.dumps({"error": detail}).encode()
    yield "deep error", 415, b'{"error":' * 100_000 + b"1" + b"}" * 100_000
    yield "an infinite status", 415, b'{"error": {"code": "unsupported_image", "message": "m", "status": 1e999}}'
