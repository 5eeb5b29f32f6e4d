"""The documentation's command, with the demo model, on real objects that move over a real photo and pass each other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pointrend
from pointrend.cli.main import app
from tests.video.clips import cutout, moving, photo, read_clip, write_clip

PAGE = Path(__file__).parents[2] / "docs" / "video.md"


def test_objects_in_photos_keep_their_numbers_through_a_crossing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = pointrend.load("demo", engine="auto")

    def segment(pixels: np.ndarray) -> pointrend.Prediction:
        return model(pixels)

    dog = cutout(segment, "dogs.jpg", (358, 400), "dog")
    other = dog.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ground = photo("wine.jpg", (320, 240))

    def right(index: int) -> tuple[int, int]:
        return 12 * index - 20, 60

    def left(index: int) -> tuple[int, int]:
        return 235 - 12 * index, 90

    frames = moving(ground, 21, [(dog, right), (other, left)])
    write_clip(tmp_path / "clip.mp4", frames, sound="aac")
    (command,) = re.findall(r"^pointrend (video .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("21 frames: 21 done, 0 done before, 0 broken; ")
    assert len(read_clip(tmp_path / "masks.mp4")[1]) == 21
    numbers: dict[str, set[int]] = {"right": set(), "left": set()}
    seen = {"right": 0, "left": 0}
    for line in (tmp_path / "masks.mp4.jsonl").read_text().splitlines()[1:-1]:
        tree = json.loads(line)
        for each in tree["instances"]:
            x, y, width, height = each["bbox"]
            for side, path in (("right", right), ("left", left)):
                at = path(tree["frame"])
                true = [max(at[0], 0), at[1], min(at[0] + dog.width, 320), min(at[1] + dog.height, 240)]
                found = [x, y, x + width, y + height]
                if each["track_id"] is not None and np.abs(np.subtract(true, found)).max() < 16:
                    numbers[side].add(each["track_id"])
                    seen[side] += 1
    assert min(seen.values()) > 10, seen
    assert all(len(each) == 1 for each in numbers.values()), numbers
    assert numbers["right"] != numbers["left"]
