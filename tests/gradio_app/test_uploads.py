"""The store of uploads by itself: whose a file is, what it may cost, how it ends. Its folder is a real one."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from gradio_app.callers import Caller, new_visitor
from gradio_app.rates import NAMES_KEPT, Rate, Rates
from gradio_app.upload_limits import UploadLimits
from gradio_app.upload_records import Arrival
from gradio_app.uploads import MAX_DEPTH, Uploads
from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError, ServerError

OFTEN = Rate(per_minute=1e9, burst=10**9)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(tmp_path: Path, clock: Clock) -> Uploads:
    limits = UploadLimits(file_bytes=100, folder_bytes=1000, visitor_rate=OFTEN, network_rate=OFTEN)
    return Uploads(tmp_path / "page", limits, clock)


def browser(network: str = "192.0.2.1") -> Caller:
    return Caller(new_visitor(), network)


def script(session: str | None = None, network: str = "192.0.2.1") -> Caller:
    return Caller(None, network, session)


def put(uploads: Uploads, caller: Caller, data: bytes = b"image", name: str = "x.png") -> dict[str, Any]:
    with uploads.receive(caller) as arrival:
        arrival.grow(len(data))
        written = arrival.folder / "part"
        written.write_bytes(data)
        (path,) = uploads.keep(arrival, {name: written}, caller.visitor or new_visitor())
    return {"path": path}


def files(uploads: Uploads) -> list[Path]:
    return [each for each in uploads.folder.rglob("*") if each.is_file()]


def code(uploads: Uploads, file: dict[str, Any], caller: Caller) -> str:
    with pytest.raises(RequestError) as raised:
        uploads.admit(file, caller)
    return raised.value.code


def test_what_is_admitted_can_be_read_and_tells_nothing_of_the_callers_own(uploads: Uploads) -> None:
    me = browser()
    sent = put(uploads, me) | {"orig_name": "../../up.png", "url": "http://x/", "is_stream": True, "mime_type": "a/b"}
    (admitted,) = uploads.admit([sent], me)
    assert admitted == {"path": sent["path"], "orig_name": "x.png", "meta": {"_type": "gradio.FileData"}}
    assert uploads.read(admitted) == uploads.read(sent["path"]) == b"image"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    uses=st.lists(st.sampled_from(["me", "session 1", "session 2", "nobody", "other"]), max_size=8), kept=st.booleans()
)
def test_a_file_has_one_owner_whatever_the_order(uploads: Uploads, uses: list[str], kept: bool) -> None:
    """Whoever has a cookie owns by it alone; a script's file belongs to the first session that uses it."""
    me = browser()
    callers = {
        "me": me,
        "session 1": script("1"),
        "session 2": script("2"),
        "nobody": script(),
        "other": browser(),
    }
    file = put(uploads, me if kept else script())
    owner = "me" if kept else None
    for use in uses:
        try:
            uploads.admit(file, callers[use])
            granted = True
        except InvalidRequest:
            granted = False
        if owner is None and use.startswith("session"):
            owner = use
        assert granted == (use == owner or (owner is None and use == "nobody")), (use, owner)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
    wrap=st.lists(st.sampled_from(["list", "dict", "value"]), max_size=5),
    named=st.sampled_from(["path", "url"]),
    file=st.one_of(
        st.text(min_size=1), st.sampled_from(["/etc/passwd", "..", "http://x/", "\0", "data", "/"]), st.integers(1)
    ),
)
def test_no_file_is_so_deep_that_it_is_not_seen(
    uploads: Uploads, data: Any, wrap: list[str], named: str, file: Any
) -> None:
    hidden: Any = {named: file}
    for kind in wrap:
        hidden = [data, hidden] if kind == "list" else {kind: hidden, "more": data}
    if str(file).startswith("data:"):
        return
    with pytest.raises(RequestError):
        uploads.admit(hidden, browser())


def test_what_is_no_file_passes_as_it_is(uploads: Uploads) -> None:
    data = [0.5, "a", None, True, ["x"], {"a": [1, {"b": "/etc/passwd"}]}]
    assert uploads.admit(data, browser()) == data
    assert uploads.admit({"path": None, "url": ""}, browser()) is None
    deep: Any = 1
    for _ in range(MAX_DEPTH + 2):
        deep = [deep]
    with pytest.raises(InvalidRequest, match="levels deep"):
        uploads.admit(deep, browser())


def test_a_data_url_is_bounded_like_a_file(uploads: Uploads) -> None:
    assert uploads.read(uploads.admit({"url": "data:image/png;base64,aW1hZ2U="}, browser())) == b"image"
    with pytest.raises(ImageTooLarge):
        uploads.admit({"url": "data:image/png;base64," + "A" * 4000}, browser())


def test_an_old_upload_is_gone_and_said_to_have_expired_to_its_owner_alone(uploads: Uploads, clock: Clock) -> None:
    me, other = browser(), browser()
    file = put(uploads, me)
    admitted = uploads.admit(file, me)
    clock.now = 601
    for _ in range(2):  # before and after it is deleted
        assert code(uploads, file, me) == "upload_expired"
        assert code(uploads, file, other) == "not_uploaded"
        with pytest.raises(RequestError, match="kept for 10 minutes"):
            uploads.read(admitted)
        assert not uploads.may_fetch(file["path"], me) or files(uploads)
        uploads.sweep()
    assert files(uploads) == []


def test_expired_paths_are_not_remembered_for_ever(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradio_app.uploads.EXPIRED_KEPT", 20)
    limits = UploadLimits(visitor_rate=OFTEN, network_rate=OFTEN, kept_seconds=1)
    uploads = Uploads(tmp_path / "page", limits, clock)
    me = browser()
    first = put(uploads, me)
    for _ in range(20):
        put(uploads, me, b"")
    clock.now = 2
    uploads.sweep()
    assert code(uploads, first, me) == "not_uploaded"


def test_whoever_takes_most_room_loses_the_oldest(uploads: Uploads) -> None:
    flood, me = browser("198.51.100.1"), browser()
    mine = put(uploads, me, bytes(100))
    sent = [put(uploads, flood, bytes(100)) for _ in range(30)]
    assert sum(each.stat().st_size for each in files(uploads)) <= 1000
    assert uploads.read(uploads.admit(mine, me)) == bytes(100)
    assert code(uploads, sent[0], flood) == "upload_expired"
    uploads.admit(sent[-1], flood)


def test_uploads_under_way_count(uploads: Uploads) -> None:
    """They cannot be deleted for others: what finds no room beside them is refused, and leaves nothing."""
    with uploads.receive(browser()) as under_way:
        under_way.grow(950)
        with pytest.raises(ServerError) as raised:
            put(uploads, browser(), bytes(60))
    assert (raised.value.code, raised.value.status) == ("storage_full", 507)
    assert files(uploads) == []
    put(uploads, browser(), bytes(100))


def half_received(arrival: Arrival) -> None:
    arrival.grow(100)
    (arrival.folder / "part").write_bytes(bytes(100))
    raise ClientDisconnect


def test_a_failed_upload_gives_its_room_back(uploads: Uploads) -> None:
    for _ in range(20):
        with pytest.raises(ClientDisconnect), uploads.receive(browser()) as arrival:
            half_received(arrival)
    assert files(uploads) == []
    assert put(uploads, browser(), bytes(100))


@pytest.mark.parametrize(("error", "status"), [(28, 507), (122, 507), (5, 500)])
def test_a_full_disk_is_a_sentence(uploads: Uploads, error: int, status: int) -> None:
    with pytest.raises(ServerError) as raised, uploads.receive(browser()):
        raise OSError(error, os.strerror(error))
    assert raised.value.status == status


def test_uploads_have_a_rate_by_browser_and_by_address(tmp_path: Path, clock: Clock) -> None:
    limits = UploadLimits(visitor_rate=Rate(6, 2), network_rate=Rate(60, 5))
    uploads = Uploads(tmp_path / "page", limits, clock)
    me = browser()
    put(uploads, me)
    put(uploads, me)
    with pytest.raises(RequestError, match="try again in 10 s") as raised:
        put(uploads, me)
    assert (raised.value.status, raised.value.value) == (429, 10)
    put(uploads, browser())
    put(uploads, script())
    with pytest.raises(RequestError, match="try again in 1 s"):  # new names do not help
        put(uploads, browser())
    put(uploads, browser("2001:db8::1"))
    clock.now = 10
    put(uploads, me)


def test_uploads_at_once_are_bounded_by_address(uploads: Uploads) -> None:
    with ExitStack() as stack:
        for _ in range(uploads.limits.at_once):
            stack.enter_context(uploads.receive(browser()))
        with pytest.raises(RequestError, match="At most 16 uploads"), uploads.receive(browser()):
            pass
        stack.enter_context(uploads.receive(browser("198.51.100.1")))
    put(uploads, browser())


def test_results_are_bounded_and_the_pages_own_files_stay(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "page", UploadLimits(result_bytes=100_000))
    own = uploads.folder / "hash" / "example.png"
    own.parent.mkdir()
    own.write_bytes(bytes(60_000))
    uploads.publish([str(own)])
    mine = put(uploads, browser(), bytes(60_000))
    for number in range(5):
        (uploads.folder / f"{number}.zip").write_bytes(bytes(40_960))
        os.utime(uploads.folder / f"{number}.zip")
    uploads.sweep()
    left = {each.name for each in files(uploads)}
    assert {"example.png", Path(mine["path"]).name} < left
    assert len(left) == 4
    assert uploads.read(uploads.admit({"path": str(own)}, browser())) == bytes(60_000)


def test_one_address_is_one_name() -> None:
    def network(host: str) -> str:
        return Caller.of({"client": (host, 1), "headers": []}).network

    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") != network("192.0.2.2")
    assert network("unix") == "unix"


@pytest.mark.parametrize("value", ["", "short", "x" * 44, "ü" * 43, "x" * 42 + "'"])
def test_a_cookie_that_the_page_did_not_give_is_none(value: str) -> None:
    headers = [(b"cookie", f"a=b; =; pointrend_visitor={value}; c".encode())]
    assert Caller.of({"client": None, "headers": headers}).visitor is None
    good = new_visitor()
    headers = [(b"cookie", b'odd="x y; ["'), (b"cookie", f"pointrend_visitor={good}".encode())]
    assert Caller.of({"client": None, "headers": headers}).visitor == good


def test_names_are_forgotten_when_there_are_too_many() -> None:
    clock = Clock()
    rates = Rates(Rate(60, 1), clock)
    for name in range(3 * NAMES_KEPT):
        assert rates.take(name) == 0
        clock.now += 0.0001
    assert rates.take(3 * NAMES_KEPT - 1) == 1
    assert len(rates._buckets) <= NAMES_KEPT + 1
