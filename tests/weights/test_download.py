"""Downloads from a server that truncates, stalls, refuses, and delivers the wrong file."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pointrend.errors import DownloadError, Unreachable
from pointrend.weights.download import ATTEMPTS, download
from pointrend.weights.expected_file import ExpectedFile
from tests.ports import free_ports
from tests.weights.flaky_server import Behaviour, FlakyServer

BODY = random.Random(1).randbytes(1_000_003)
PIECE = 2**16
CUT = 4 * PIECE  # 262144
EXPECTED = ExpectedFile(900_000, 1_100_000, hashlib.md5(BODY).hexdigest()[:6])


@pytest.fixture
def server() -> Iterator[FlakyServer]:
    with FlakyServer(BODY) as running:
        yield running


class Pauses(list[float]):
    """Stands for sleeping: notes how long."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def fetch(server: FlakyServer, path: Path, *behaviours: Behaviour, expected: ExpectedFile = EXPECTED) -> Pauses:
    server.behaviours = list(behaviours) or [Behaviour()]
    pauses = Pauses()
    download(f"{server.url}/file.pkl", path, expected, sleep=pauses, stall_seconds=0.5)
    return pauses


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_arrives_with_its_hashes_and_its_progress(server: FlakyServer, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    found = download(
        f"{server.url}/file.pkl",
        tmp_path / "new" / "file",
        EXPECTED,
        progress=lambda here, total: told.append((here, total)),
    )
    assert (tmp_path / "new" / "file").read_bytes() == BODY
    assert found == {"md5": hashlib.md5(BODY).hexdigest(), "sha256": hashlib.sha256(BODY).hexdigest()}
    assert told[0] == (0, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert told == sorted(told)
    assert leftovers(tmp_path / "new") == {"file"}


def test_what_is_here_already_is_not_fetched_again_unless_it_is_damaged(server: FlakyServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    fetch(server, tmp_path / "file")
    assert server.requests == []
    (tmp_path / "file").write_bytes(BODY[:-1])
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_sha256_prefix_does_too(server: FlakyServer, tmp_path: Path) -> None:
    prefix = hashlib.sha256(BODY).hexdigest()[:8]
    fetch(server, tmp_path / "file", expected=ExpectedFile(1, len(BODY), prefix))
    assert (tmp_path / "file").read_bytes() == BODY


def test_it_goes_on_where_the_connection_broke_off(server: FlakyServer, tmp_path: Path) -> None:
    fetch(server, tmp_path / "file", Behaviour(cut_after=CUT), Behaviour(cut_after=CUT + PIECE), Behaviour())
    assert (tmp_path / "file").read_bytes() == BODY
    assert server.starts == [0, CUT, 2 * CUT + PIECE]
    assert server.requests[1]["If-Range"] == '"1"'
    assert leftovers(tmp_path) == {"file"}


def test_it_goes_on_after_a_stall(server: FlakyServer, tmp_path: Path) -> None:
    fetch(server, tmp_path / "file", Behaviour(stall_after=CUT), Behaviour())
    assert (tmp_path / "file").read_bytes() == BODY
    assert server.starts[1] > 0


def test_an_interrupted_process_goes_on_in_the_next(server: FlakyServer, tmp_path: Path) -> None:
    cut, dead = Behaviour(cut_after=CUT), Behaviour(status=503)
    with pytest.raises(DownloadError, match=r"503 .* 0\.2 MiB are kept"):
        fetch(server, tmp_path / "file", cut, dead)
    server.requests.clear()
    fetch(server, tmp_path / "file")
    assert server.starts == [CUT]
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_server_without_ranges_is_asked_for_the_whole_again(server: FlakyServer, tmp_path: Path) -> None:
    fetch(server, tmp_path / "file", Behaviour(cut_after=CUT, ranges=False), Behaviour(ranges=False))
    assert (tmp_path / "file").read_bytes() == BODY


def test_parts_of_two_versions_are_not_joined(server: FlakyServer, tmp_path: Path) -> None:
    old = Behaviour(cut_after=CUT, body=bytes(len(BODY)), etag='"old"')
    fetch(server, tmp_path / "file", old, Behaviour(etag='"new"'))
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_part_that_was_damaged_is_fetched_anew(server: FlakyServer, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(bytes(CUT))
    (tmp_path / "file.part.json").write_text(json.dumps({"version": '"1"'}))
    fetch(server, tmp_path / "file")
    assert server.starts == [CUT, 0]
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_fetched_anew(server: FlakyServer, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(bytes(len(BODY) + 1))
    (tmp_path / "file.part.json").write_text("no JSON")
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_errors_that_pass_are_waited_for_longer_and_longer(server: FlakyServer, tmp_path: Path) -> None:
    pauses = fetch(server, tmp_path / "file", Behaviour(status=500), Behaviour(status=503), Behaviour())
    assert (tmp_path / "file").read_bytes() == BODY
    assert pauses == [1.0, 2.0]


def test_an_error_that_stays_is_told(server: FlakyServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=rf"{ATTEMPTS} attempts: the server answers 500") as caught:
        fetch(server, tmp_path / "file", Behaviour(status=500))
    assert not isinstance(caught.value, Unreachable)
    assert len(server.requests) == ATTEMPTS
    assert leftovers(tmp_path) == set()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_not_tried_again(server: FlakyServer, tmp_path: Path, status: int) -> None:
    with pytest.raises(DownloadError, match=rf"the server answers {status} .*POINTREND_MIRROR"):
        fetch(server, tmp_path / "file", Behaviour(status=status))
    assert len(server.requests) == 1


def test_wrong_bytes_are_thrown_away(server: FlakyServer, tmp_path: Path) -> None:
    wrong = bytes(len(BODY))
    with pytest.raises(DownloadError, match=rf"begin with {EXPECTED.hash_prefix}, but its MD5 is "):
        fetch(server, tmp_path / "file", Behaviour(body=wrong))
    assert leftovers(tmp_path) == set()


def test_a_page_in_place_of_the_file_is_refused_by_its_size(server: FlakyServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="has 13 bytes; the published file has 900000 to 1100000"):
        fetch(server, tmp_path / "file", Behaviour(body=b"<html></html>"))
    with pytest.raises(DownloadError, match="has 13 bytes; the published file has 900000 to 1100000"):
        fetch(server, tmp_path / "file", Behaviour(body=b"<html></html>", length=False))


def test_an_endless_file_is_stopped(server: FlakyServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="delivers more than 1100000 bytes"):
        fetch(server, tmp_path / "file", Behaviour(body=bytes(3_000_000), length=False))


def test_another_range_than_asked_for_is_refused(server: FlakyServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=rf"the bytes from {CUT} with .bytes 0-1000002/1000003"):
        fetch(server, tmp_path / "file", Behaviour(cut_after=CUT), Behaviour(wrong_range=True))


def test_a_file_of_unknown_length_is_judged_by_its_hash(server: FlakyServer, tmp_path: Path) -> None:
    fetch(server, tmp_path / "file", Behaviour(length=False))
    assert (tmp_path / "file").read_bytes() == BODY


def test_no_server_at_all(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unreachable, match="there is no connection"):
        download(f"http://127.0.0.1:{port}/file", tmp_path / "file", EXPECTED, sleep=Pauses())


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="cannot be fetched"):
        download("ftp://127.0.0.1/file", tmp_path / "file", EXPECTED, sleep=Pauses())


def test_no_room(server: FlakyServer, tmp_path: Path) -> None:
    """A server may announce any length; nothing is written of what cannot be held."""
    huge = ExpectedFile(1, 10**18, "00")

    class Huge(bytes):
        def __len__(self) -> int:
            return 10**16

    with pytest.raises(DownloadError, match="MiB are still to come"):
        fetch(server, tmp_path / "file", Behaviour(body=Huge(b"x")), expected=huge)
