"""``pointrend video``: what goes in comes out, frame for frame, and every object keeps its number."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pointrend.errors import OutputError, VideoError
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance
from pointrend.video.clip import open_clip
from pointrend.video.drawing import UNNUMBERED, draw
from pointrend.video.frames import BrokenFrame, Frame, read
from pointrend.video.job import VideoJob, VideoOutcome
from pointrend.video.run import run
from pointrend.visualize.palettes import colour
from tests.video.clips import colour_at, find_squares, read_clip, sound_packets, squares, write_clip

MODEL = {"name": "colours", "version": "1", "engine": "none"}
CATEGORIES = [{"id": 1, "name": "square"}]
ROOT = Path(__file__).parents[2]


def follow(source: Path, out: Path, segment: Any = find_squares, **options: Any) -> VideoOutcome:
    return run(VideoJob(source, out, Options(**options)), segment, MODEL, CATEGORIES, progress=False)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(f"{out}.jsonl").read_text().splitlines()]


def crossing(count: int = 24) -> list[np.ndarray]:
    return squares(count, {"red": lambda i: (4 + 3 * i, 20), "green": lambda i: (76 - 3 * i, 26)})


def test_each_object_keeps_its_number_through_a_crossing(tmp_path: Path) -> None:
    frames = crossing()
    outcome = follow(write_clip(tmp_path / "in.mp4", frames), tmp_path / "out.mp4")
    header, *found, summary = lines(tmp_path / "out.mp4")
    assert header["video"]["file"] == "in.mp4"
    assert header["categories"] == CATEGORIES
    assert summary == {"summary": {"frames": 24, "broken": 0, "tracks": 2}}
    assert (outcome.frames, outcome.tracks, outcome.kept) == (24, 2, 0)
    numbers: dict[str, set[int]] = {"red": set(), "green": set()}
    for index, (line, pixels) in enumerate(zip(found, frames, strict=True)):
        assert (line["frame"], line["time"], line["width"], line["height"]) == (index, index / 25, 96, 64)
        for each in line["instances"]:
            numbers[colour_at(pixels, Instance.from_dict(each))].add(each["track_id"])
    assert numbers == {"red": {1}, "green": {2}}  # from the very first frame to the last
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "out.mp4.jsonl"]


def test_colours_stay_with_the_objects() -> None:
    pixels = squares(1, {"red": lambda _: (20, 60), "green": lambda _: (120, 60)}, size=(192, 128), side=48)[0]
    found = find_squares(pixels)
    turned = replace(found, instances=found.instances[::-1])
    for prediction, ids in ((found, [7, 3]), (turned, [3, 7])):
        drawn = draw(pixels, prediction, ids)
        assert tuple(drawn[107, 24]) == colour(6)  # the outline, on the lower edge
        assert tuple(drawn[107, 124]) == colour(2)
    assert tuple(draw(pixels, found, [None, 3])[107, 24]) == UNNUMBERED


def test_what_flickers_up_gets_no_number(tmp_path: Path) -> None:
    away = (-100, -100)
    frames = squares(12, {"red": lambda i: (10 + i, 20), "blue": lambda i: (60, 40) if i == 5 else away})
    follow(write_clip(tmp_path / "in.mp4", frames), tmp_path / "out.mp4")
    found = lines(tmp_path / "out.mp4")
    assert [each["track_id"] for each in found[6]["instances"]] == [1, None]
    assert found[-1]["summary"]["tracks"] == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_times_are_kept_to_the_millisecond(tmp_path: Path, suffix: str) -> None:
    milliseconds = [0, 40, 80, 95, 130, 400, 433, 467, 1500, 1533]
    source = write_clip(tmp_path / "in.mkv", crossing(10), milliseconds, time_base=Fraction(1, 1000))
    follow(source, tmp_path / f"out{suffix}")
    times, frames = read_clip(tmp_path / f"out{suffix}")
    assert [round(1000 * time, 3) for time in times] == milliseconds
    assert [line["time"] * 1000 for line in lines(tmp_path / f"out{suffix}")[1:-1]] == milliseconds
    assert len(frames) == 10


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_turned_video_comes_out_upright(tmp_path: Path, degrees: int) -> None:
    upright = squares(4, {"red": lambda _: (4, 4), "green": lambda _: (76, 44)})
    stored = [np.rot90(each, -degrees // 90) for each in upright]
    source = write_clip(tmp_path / "in.mp4", stored, rotation=degrees)
    with av.open(str(source)) as container:
        assert (next(container.decode(video=0)).rotation - degrees) % 360 == 0  # as players see it
    follow(source, tmp_path / "out.mp4")
    found = lines(tmp_path / "out.mp4")[1]
    assert (found["width"], found["height"]) == (96, 64)
    boxes = {colour_at(upright[0], each := Instance.from_dict(tree)): each.bbox for tree in found["instances"]}
    assert np.allclose(boxes["red"], (4, 4, 16, 16), atol=2)
    assert np.allclose(boxes["green"], (76, 44, 16, 16), atol=2)
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height, frame.rotation) == (96, 64, 0)


def test_odd_sizes_get_one_more_row_and_column(tmp_path: Path) -> None:
    frames = squares(3, {"red": lambda i: (4 + i, 4)}, size=(63, 45))
    follow(write_clip(tmp_path / "in.mkv", frames, codec="ffv1", options={}), tmp_path / "out.mp4")
    _, drawn = read_clip(tmp_path / "out.mp4")
    assert drawn[0].shape == (46, 64, 3)
    assert lines(tmp_path / "out.mp4")[1]["width"] == 63


@pytest.mark.parametrize(("codec", "suffix"), [("aac", ".mp4"), ("aac", ".mkv"), ("libopus", ".webm")])
def test_sound_is_copied(tmp_path: Path, codec: str, suffix: str) -> None:
    source = write_clip(tmp_path / "in.mkv", crossing(10), sound=codec)
    outcome = follow(source, tmp_path / f"out{suffix}")
    assert outcome.note is None
    packets = sound_packets(source)
    assert len(packets) > 10
    assert sound_packets(tmp_path / f"out{suffix}") == packets


def test_sound_that_the_format_does_not_take_is_encoded_anew(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", crossing(10), sound="aac")
    outcome = follow(source, tmp_path / "out.webm")
    assert outcome.note == "The sound is encoded anew, since webm takes no aac."
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
        heard = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    assert abs(len(heard) / 48_000 - 0.4) < 0.06
    assert np.abs(heard).max() > 0.3


def break_frame(path: Path, index: int) -> None:
    """Overwrite the data of one frame's packet."""
    with av.open(str(path)) as container:
        packet = [each for each in container.demux(video=0) if each.size][index]
        place, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    start = data.index(bytes(packet)[:64], place)
    data[start : start + size] = b"\x00" * size
    path.write_bytes(data)


def test_a_broken_frame_is_left_out_and_counted(tmp_path: Path) -> None:
    frames = crossing(12)
    source = write_clip(tmp_path / "in.mp4", frames)
    break_frame(source, 5)
    outcome = follow(source, tmp_path / "out.mp4")
    assert (outcome.frames, outcome.broken, outcome.tracks) == (11, 1, 2)
    assert outcome.headline().startswith("12 frames: 11 done, 0 done before, 1 broken; objects followed: 2. Results: ")
    (told,) = outcome.broken_frames
    assert told.startswith("Frame 5 is left out: ")
    found = lines(tmp_path / "out.mp4")
    assert found[6]["frame"] == 5
    assert found[6]["broken"]
    assert "instances" not in found[6]
    times, _ = read_clip(tmp_path / "out.mp4")
    assert [round(25 * time) for time in times] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    # the objects behind it are the same ones
    assert [each["track_id"] for each in found[7]["instances"]] == [1, 2]


def test_a_file_that_is_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", crossing(24), codec="ffv1", options={"g": "1"})
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    outcome = follow(source, tmp_path / "out.mp4")
    assert 8 <= outcome.frames <= 14
    assert len(read_clip(tmp_path / "out.mp4")[1]) == outcome.frames


KILLED = """
import os, signal, sys
from pathlib import Path
from pointrend.visualize.palettes import colour
from tests.video.clips import find_squares
from tests.video.test_video_run import follow
calls = []
def segment(pixels):
    calls.append(1)
    if len(calls) == 15:
        os.kill(os.getpid(), signal.SIGKILL)
    return find_squares(pixels)
follow(Path(sys.argv[1]), Path(sys.argv[2]), segment)
"""


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", crossing(), sound="aac")
    follow(source, tmp_path / "whole.mp4")
    out = tmp_path / "out.mp4"
    killed = subprocess.run([sys.executable, "-c", KILLED, source, out], cwd=ROOT, check=False, timeout=120)
    assert killed.returncode == -9
    assert not out.exists()
    left = lines(out)
    assert 10 <= len(left) <= 14
    with Path(f"{out}.jsonl").open("a") as file:
        file.write('{"frame": 12, "time": 0.4')  # the line that it was writing
    calls = []

    def segment(pixels: np.ndarray) -> Any:
        calls.append(1)
        return find_squares(pixels)

    outcome = follow(source, out, segment)
    assert len(calls) == 24 - (len(left) - 1)
    assert outcome.kept == len(left) - 1
    assert lines(out)[1:] == lines(tmp_path / "whole.mp4")[1:]
    assert all(
        np.array_equal(a, b) for a, b in zip(read_clip(out)[1], read_clip(tmp_path / "whole.mp4")[1], strict=True)
    )
    assert sound_packets(out) == sound_packets(source)
    assert not list(tmp_path.glob(".*"))


def test_a_finished_run_is_not_done_again_unless_something_changes(tmp_path: Path) -> None:
    source, out = write_clip(tmp_path / "in.mp4", crossing(8)), tmp_path / "out.mp4"
    follow(source, out)

    def never(pixels: np.ndarray) -> Any:
        raise AssertionError("predicted again")

    before = out.stat().st_mtime_ns
    assert follow(source, out, never).kept == 8
    assert out.stat().st_mtime_ns == before
    out.unlink()  # the lines are enough to draw it again
    assert follow(source, out, never).kept == 8
    assert len(read_clip(out)[1]) == 8
    assert follow(source, out, score_threshold=0.7).kept == 0
    assert lines(out)[0]["options"]["score_threshold"] == 0.7


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", crossing(4))
    (tmp_path / "mine.mp4").write_text("mine")
    with pytest.raises(VideoError, match="exists already"):
        follow(source, tmp_path / "mine.mp4")
    (tmp_path / "out.mp4.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(OutputError, match="holds something else"):
        follow(source, tmp_path / "out.mp4")
    with pytest.raises(VideoError, match="is the video itself"):
        follow(source, source)
    with pytest.raises(VideoError, match=r"must end in one of \.mp4, \.mov, \.mkv, \.webm"):
        follow(source, tmp_path / "out.gif")
    with pytest.raises(VideoError, match="only instances and detection have objects"):
        follow(source, tmp_path / "out.mp4", task="semantic")
    with pytest.raises(OutputError, match="cannot be written"):
        follow(source, tmp_path / "no" / "folder" / "out.mp4")
    assert (tmp_path / "mine.mp4").read_text() == "mine"


def test_frames_may_be_predicted_several_at_a_time(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", crossing())
    follow(source, tmp_path / "one.mp4")
    job = VideoJob(source, tmp_path / "many.mp4", Options())
    run(job, find_squares, MODEL, CATEGORIES, concurrency=4, progress=False)
    assert lines(tmp_path / "many.mp4") == lines(tmp_path / "one.mp4")


def test_reading_names_times_and_sizes(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", crossing(5))
    with open_clip(source) as clip:
        assert (clip.width, clip.height, clip.frames) == (96, 64, 5)
        assert clip.rate == 25
        assert clip.seconds == pytest.approx(0.2)
        events = list(read(clip))
    assert all(isinstance(event, Frame) for event in events)
    assert not any(isinstance(event, BrokenFrame) for event in events)
