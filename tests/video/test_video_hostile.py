"""Files that are no videos, or want more than to be read: one sentence each, and nothing else is opened."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from pointrend.errors import VideoError
from pointrend.video.clip import ClipLimits, open_clip
from pointrend.video.frames import Frame, read
from tests.video.clips import photo, squares, write_clip


def refused(path: Path) -> str:
    with pytest.raises(VideoError) as caught, open_clip(path):
        pass
    message = str(caught.value)
    assert "\n" not in message
    return message


def outcome(path: Path, limits: ClipLimits | None = None) -> int | str:
    """How many frames a file has, broken ones included, or the sentence that refuses it."""
    try:
        with open_clip(path, limits) as clip:
            return len(list(read(clip)))
    except VideoError as error:
        return str(error)


@pytest.fixture
def visited() -> Iterator[tuple[str, list[str]]]:
    """A web server's address, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "txt"])
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{place}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{place}'\n",
        "ffconcat version 1.0\nfile 'file:{place}'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT10S" minBufferTime="PT1S"><Period><AdaptationSet mimeType="video/mp4">'
        '<Representation id="1" bandwidth="1"><BaseURL>{place}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
    ],
    ids=["playlist", "concat", "concat-url", "dash", "sdp"],
)
def test_files_that_name_others_are_not_followed(
    tmp_path: Path, visited: tuple[str, list[str]], text: str, suffix: str
) -> None:
    address, asked = visited
    inside = write_clip(tmp_path / "inside.ts", squares(8, {}), codec="libx264")
    with av.open(str(inside)) as container:
        assert container.format.name == "mpegts"  # that would be read, were it followed
    for place in (str(inside), "/etc/passwd", f"{address}/a.ts"):
        file = tmp_path / f"list.{suffix}"
        file.write_text(text.format(place=place))
        assert "is no video that can be read" in refused(file)
    assert asked == []


def test_an_address_is_not_opened(visited: tuple[str, list[str]]) -> None:
    address, asked = visited
    for name in (f"{address}/a.mp4", "concat:a.ts|b.ts", "pipe:0", "rtsp://127.0.0.1/a", "lavfi:testsrc"):
        assert "cannot be read: No such file" in refused(Path(name))
    assert asked == []


def test_what_is_no_video_is_refused_in_a_sentence(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "empty.mp4").touch()
    assert "is no video that can be read" in refused(tmp_path / "empty.mp4")
    (tmp_path / "zeros.mp4").write_bytes(bytes(100_000))
    assert "is no video that can be read" in refused(tmp_path / "zeros.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    assert "is no video that can be read" in refused(tmp_path / "text.mp4")
    for suffix in ("png", "jpg", "gif", "webp"):
        Image.fromarray(photo("coffee.jpg", (64, 48))).save(tmp_path / f"image.{suffix}")
        (tmp_path / f"image.{suffix}").rename(tmp_path / "image.mp4")
        assert "is no video that can be read" in refused(tmp_path / "image.mp4")
    assert refused(tmp_path).endswith("cannot be read: it is a folder, not a regular file.")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert refused(tmp_path / "pipe.mp4").endswith("cannot be read: it is a FIFO, not a regular file.")
    assert refused(tmp_path / "none.mp4").endswith("cannot be read: No such file or directory.")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "tone.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        for index in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, 1024 * index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert refused(tmp_path / "tone.mp4").endswith("has no moving pictures, only audio.")


def test_too_many_pixels_are_refused_before_any_is_decoded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "in.mp4", squares(2, {}))
    with (
        pytest.raises(VideoError, match=r"has frames of 96x64 pixels; at most 6,000 pixels are read\. Scale it down\."),
        open_clip(path, ClipLimits(pixels=6000)),
    ):
        pass


def test_too_long_a_video_is_refused_by_what_it_tells_and_by_what_it_has(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "in.mp4", squares(10, {}))
    for limits, told in (
        (ClipLimits(seconds=0.3), "The video has 0.4 s; at most 0.3 s are taken here. Cut it."),
        (ClipLimits(frames=5), "The video has 10 frames; at most 5 are taken here. Cut it."),
    ):
        assert outcome(path, limits) == told
    silent = write_clip(tmp_path / "in.ts", squares(10, {}))  # tells no number of frames
    with open_clip(silent, ClipLimits(frames=5)) as clip, pytest.raises(VideoError, match="has 6 frames; at most 5"):
        list(read(clip))
    data = bytearray(path.read_bytes())
    for atom, place in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        start = data.index(atom) + place
        data[start : start + 4] = (1).to_bytes(4)  # its length
    (tmp_path / "short.mp4").write_bytes(data)
    limits = ClipLimits(seconds=0.3)
    with (
        open_clip(tmp_path / "short.mp4", limits) as clip,
        pytest.raises(VideoError, match=r"has 0\.\d s; at most 0\.3"),
    ):
        list(read(clip))


def test_sizes_that_a_file_claims_cost_nothing(tmp_path: Path) -> None:
    """A frame size in the container that the stream does not have, and a length of 10 GB that is not there."""
    path = write_clip(tmp_path / "in.mp4", squares(2, {}))
    data = bytearray(path.read_bytes())
    entry = data.index(b"avc1", data.index(b"stsd"))
    assert data[entry + 28 : entry + 32] == (96).to_bytes(2) + (64).to_bytes(2)
    data[entry + 28 : entry + 32] = b"\xff\xff\xff\xff"
    (tmp_path / "wide.mp4").write_bytes(data)
    with open_clip(tmp_path / "wide.mp4") as clip:
        frames = [each for each in read(clip) if isinstance(each, Frame)]
    assert [each.pixels.shape for each in frames] == [(64, 96, 3)] * 2  # the stream's own size counts
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") - 4
    data[start : start + 4] = (0xFFFFFFF0).to_bytes(4)
    (tmp_path / "long.mp4").write_bytes(data)
    assert "is no video that can be read" in refused(tmp_path / "long.mp4")


def test_a_file_cut_off_anywhere_ends_in_a_sentence_or_in_frames(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv", ".ts"):
        data = write_clip(tmp_path / f"in{suffix}", squares(6, {"red": lambda i: (i, 4)})).read_bytes()
        for share in range(0, 100, 7):
            (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) * share // 100])
            found = outcome(tmp_path / f"cut{suffix}")
            assert found <= 7 if isinstance(found, int) else found.endswith(".")
