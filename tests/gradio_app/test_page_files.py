"""Strangers who ask the page for files: every event and endpoint, by every way in, whatever it is that names one."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from gradio_app.examples import EXAMPLES
from gradio_app.upload_errors import NOT_UPLOADED
from gradio_app.upload_limits import BY_ADDRESS
from pointrend.serving.page_process import Page
from pointrend.serving.torchserve import TorchServe
from tests.gradio_app.raw import FILE_META, RawCaller
from tests.ports import free_ports

pytestmark = pytest.mark.server

PHOTO = EXAMPLES[0].path
MULTIPART = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def page(served: TorchServe) -> Iterator[Page]:
    with Page(served.url, free_ports(1)[0], mcp=True) as page:
        page.wait_ready()
        yield page


@pytest.fixture(scope="module")
def me(page: Page) -> RawCaller:
    return RawCaller(page.url)


@pytest.fixture(scope="module")
def folder(me: RawCaller) -> Path:
    """Where the page keeps files, as every visitor sees it from an upload."""
    return Path(me.upload(PHOTO.read_bytes())).parents[2]


@pytest.fixture(scope="module")
def hostile(page: Page, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """By name, what a stranger may send where a file is expected."""
    outside = tmp_path_factory.mktemp("server")
    secret = outside / "secret.png"
    secret.write_bytes(PHOTO.read_bytes())
    pipes = [outside / "pipe.png", folder / "pipe.png"]
    for pipe in pipes:
        os.mkfifo(pipe)
    (folder / "link.png").symlink_to(secret)
    (folder / "folder.png").mkdir()
    (folder / "planted.png").write_bytes(PHOTO.read_bytes())
    with (folder / "sparse.png").open("wb") as sparse:
        sparse.truncate(2**40)
    neighbour = RawCaller(page.url)
    of_neighbour = neighbour.upload(PHOTO.read_bytes())
    script = RawCaller(page.url, visits=False)
    of_script = script.upload(PHOTO.read_bytes())
    script.http.cookies.clear()
    script.call("segment", [{"path": of_script}, 0.5, "", None], session_hash=script.session)
    paths = {
        "a picture of the server": str(secret),
        "a text": "/etc/passwd",
        "nothing there": "/etc/no-such-file",
        "a device": "/dev/zero",
        "a pipe": str(pipes[0]),
        "a pipe among the uploads": str(pipes[1]),
        "a link": str(folder / "link.png"),
        "a folder": str(folder / "folder.png"),
        "the folder itself": str(folder),
        "a sparse file": str(folder / "sparse.png"),
        "a file that nobody uploaded": str(folder / "planted.png"),
        "dots": f"{folder}/../../../../../../../../../../..{secret}",
        "dots from an upload": f"{Path(of_neighbour).parent}/../{Path(of_neighbour).parent.name}/photo.png",
        "a relative path": "README.md",
        "NUL": f"{secret}\0.png",
        "a long name": "/tmp/" + "x" * 5000,
        "nothing": ".",
        "a neighbour's": of_neighbour,
        "a script's": of_script,
        "a file URL": f"file://{secret}",
        "a loopback URL": f"{page.url}/gradio_api/file={of_neighbour}",
        "a far URL": "https://example.com/photo.png",
        "the own URL": f"/gradio_api/file={of_neighbour}",
        "a number": 7,
        "a list": [str(secret)],
        "an object": {"path": str(secret)},
    }
    sent: dict[str, Any] = {name: {"path": path} for name, path in paths.items()}
    sent |= {f"{name}, as Gradio's": {"path": path, "meta": FILE_META} for name, path in paths.items()}
    sent["a stream"] = {"path": str(secret), "is_stream": True, "meta": FILE_META}
    sent["a URL alone"] = {"url": f"{page.url}/gradio_api/file={of_neighbour}"}
    sent["a file URL alone"] = {"path": None, "url": f"file://{secret}"}
    sent["both"] = {"path": str(secret), "url": "data:image/png;base64,AAAA", "orig_name": "x.svg"}
    sent["a gallery"] = [{"image": {"path": str(secret), "meta": FILE_META}, "caption": None}]
    sent["deep"] = [[[{"files": [{"path": str(secret)}]}]]]
    sent["a prop"] = {"value": {"path": str(secret)}}
    yield sent
    for pipe in pipes:
        pipe.unlink(missing_ok=True)


def events(me: RawCaller) -> list[tuple[dict[str, Any], list[Any]]]:
    """Every event that the server handles, whatever its tab, with what its components hold at the start."""
    tree = me.config()
    components = {each["id"]: each for each in tree["components"]}
    return [
        (event, [components[each]["props"].get("value") for each in event["inputs"]])
        for event in tree["dependencies"]
        if event["backend_fn"] and event["inputs"]
    ]


def find(caller: RawCaller, file: Any) -> str:
    """All that the page says of a photo that is sent from the Image tab."""
    event, usual = next((event, usual) for event, usual in events(caller) if event["api_name"] == "find")
    return caller.join(event["id"], usual, event_data={"ticket": "1", "file": file})


def test_every_event_refuses_whatever_the_visitor_did_not_upload(me: RawCaller, hostile: dict[str, Any]) -> None:
    """In each of its inputs, whether that is one for files or not; and nothing tells which files exist."""
    types = {each["id"]: each["type"] for each in me.config()["components"]}
    attacked = 0
    few = {name: hostile[name] for name in ("a picture of the server", "a neighbour's", "a URL alone", "deep")}
    for event, usual in events(me):
        for place in range(len(usual)):
            takes_files = types[event["inputs"][place]] in ("image", "file")
            for name, value in (hostile if takes_files else few).items():
                sent = [*usual[:place], value, *usual[place + 1 :]]
                said = me.run(event["id"], event["api_name"], sent)
                assert NOT_UPLOADED in said, (event["api_name"], place, name, said)
                assert "Traceback" not in said
                attacked += 1
    assert attacked > 400


def test_the_queue_refuses_the_same(me: RawCaller, hostile: dict[str, Any]) -> None:
    """By the way that a browser goes, on the events that take files; a pipe keeps nobody waiting."""
    with_files = [(event, usual) for event, usual in events(me) if None in usual and usual[0] is None]
    assert {"segment", "overlay", "export", "refine", "frame", "ask"} <= {event["api_name"] for event, _ in with_files}
    for event, usual in with_files:
        for name in ("a picture of the server", "a pipe", "a neighbour's", "a sparse file", "a loopback URL"):
            said = me.join(event["id"], [hostile[name], *usual[1:]])
            assert NOT_UPLOADED in said, (event["api_name"], name, said)


@pytest.mark.parametrize("way", ["call", "call/v2"])
def test_the_named_endpoints_refuse_the_same(page: Page, hostile: dict[str, Any], way: str) -> None:
    caller = RawCaller(page.url, visits=False)
    usual: dict[str, list[Any]] = {
        "segment": [0.5, "", None],
        "overlay": [0.5, "", "Masks", 0.5, None],
        "export": [0.5, "", "coco", None, "blur", "#ffffff", None],
        "refine": [0.5, 4, None],
    }
    for name, rest in usual.items():
        for kind, value in hostile.items():
            if way == "call":
                said = caller.call(name, [value, *rest])
            else:
                asked = caller.http.post(f"/gradio_api/call/v2/{name}", json={"photo": value})
                said = caller.http.get(f"/gradio_api/call/v2/{name}/{asked.json()['event_id']}").text
            assert NOT_UPLOADED in said, (name, kind, said)
    for kind, value in hostile.items():
        said = caller.call("export", [None, 0.5, "", "effect", None, "picture", "#ffffff", value])
        assert NOT_UPLOADED in said, (kind, said)


def test_what_an_event_brings_beside_its_inputs_is_checked_too(me: RawCaller, hostile: dict[str, Any]) -> None:
    """The viewer's events bring their files so, wherever in what they bring."""
    named = {"find", "edit", "save", "restore", "write_code"}
    found = [(event, usual) for event, usual in events(me) if event["api_name"] in named]
    assert {event["api_name"] for event, _ in found} == named
    for event, usual in found:
        for kind, value in hostile.items():
            for brought in ({"ticket": "1", "file": value}, {"results": [{"id": value}]}, {"background": value}, value):
                said = me.join(event["id"], usual, event_data=brought)
                assert NOT_UPLOADED in said, (event["api_name"], kind, said)
        for brought in (None, 7, "text", [], {}, {"file": "text"}, {"file": {"x": 1}}, {"ids": 3}, {"results": [7]}):
            said = me.join(event["id"], usual, event_data=brought)
            assert "Traceback" not in said


def test_a_result_is_seen_by_its_viewer_only(page: Page) -> None:
    mine, other = RawCaller(page.url), RawCaller(page.url)
    said = find(mine, {"path": mine.upload(PHOTO.read_bytes())})
    (identity,) = re.findall(r'"id": ?"([\w-]{32})"', said)
    for caller in (mine, other):
        event, usual = next((event, usual) for event, usual in events(caller) if event["api_name"] == "restore")
        said = caller.join(event["id"], usual, event_data={"ids": [identity, "nothing", 7]})
        assert ("person" in said) == (caller is mine)
    for name, brought in (
        ("find", {"ticket": "1", "again": identity}),
        ("edit", {"ticket": "1", "of": identity, "edit": {"delete": [0]}}),
        ("save", {"kind": "coco", "results": [{"id": identity, "selection": {"kept": [0]}}]}),
        ("write_code", {"id": identity, "page": page.url, "threshold": 0.5, "categories": ["person"]}),
    ):
        event, usual = next((event, usual) for event, usual in events(other) if event["api_name"] == name)
        assert "has been deleted" in other.join(event["id"], usual, event_data=brought)
        assert "has been deleted" not in mine.join(event["id"], usual, event_data=brought)


def test_the_photo_tabs_say_it_in_their_status_line(me: RawCaller, hostile: dict[str, Any]) -> None:
    for name in ("ask", "frame"):
        event, usual = next((event, usual) for event, usual in events(me) if event["api_name"] == name)
        said = me.run(event["id"], name, [hostile["a text"], *usual[1:]])
        assert f"⚠️ {NOT_UPLOADED}" in json.dumps(json.loads(said)["data"], ensure_ascii=False)


def test_a_malformed_file_is_a_sentence(me: RawCaller) -> None:
    for event, usual in events(me):
        if usual[0] is not None or event["api_name"] not in ("segment", "ask", "frame"):
            continue
        for value in ("text", 7, ["text"], {"name": "x"}):
            said = me.run(event["id"], event["api_name"], [value, *usual[1:]])
            assert "is not what it takes" in said or NOT_UPLOADED in said, (event["api_name"], value)
        deep: Any = "x"
        for _ in range(200):
            deep = [deep]
        assert "levels deep" in me.run(event["id"], event["api_name"], [deep, *usual[1:]])


def test_a_data_url_is_an_image_of_the_request_itself(me: RawCaller) -> None:
    """As the camera's frames are; bounded, and opened by the page's own limits."""
    image = "data:image/png;base64," + base64.b64encode(PHOTO.read_bytes()).decode()
    assert "person" in find(me, {"url": image})
    for bad in ("data:image/png;base64,%%%", "data:text/plain,hello", "data:"):
        assert "data: URL" in find(me, {"url": bad})
    frame, usual = next((event, usual) for event, usual in events(me) if event["api_name"] == "frame")
    assert "not an image" in me.run(frame["id"], "frame", [{"url": "data:image/png;base64,AAAA"}, *usual[1:]])


def test_an_own_upload_is_taken_by_every_way(page: Page) -> None:
    browser = RawCaller(page.url)
    path = browser.upload(PHOTO.read_bytes())
    assert "person" in find(browser, {"path": path, "meta": FILE_META})
    browser.session = "another-tab"
    assert "person" in find(browser, {"path": path})
    assert browser.file(path).content == PHOTO.read_bytes()

    script = RawCaller(page.url, visits=False)
    path = script.upload(PHOTO.read_bytes())
    script.http.cookies.clear()
    for _ in range(2):  # each call is a session of its own
        assert "person" in script.call("segment", [{"path": path, "meta": FILE_META}, 0.5, "", None])


def test_a_neighbours_upload_and_session_are_not_shared(page: Page, folder: Path) -> None:
    """A browser's file is its own; a script's belongs to the first session that uses it."""
    mine, other = RawCaller(page.url), RawCaller(page.url)
    path = mine.upload(PHOTO.read_bytes())
    nobody = RawCaller(page.url, visits=False)
    for caller in (other, nobody):
        assert NOT_UPLOADED in caller.call("segment", [{"path": path}, 0.5, "", None])
        assert NOT_UPLOADED in caller.call("segment", [{"path": path}, 0.5, "", None], session_hash=mine.session)
        assert caller.file(path).status_code == 404
    assert "person" in mine.call("segment", [{"path": path}, 0.5, "", None])

    script = Client(page.url, verbose=False, download_files=False)
    before = stored(folder)
    assert script.predict(photo=handle_file(PHOTO), api_name="/segment")
    (kept,) = stored(folder) - before
    for caller in (other, nobody):
        assert NOT_UPLOADED in caller.call("segment", [{"path": str(kept)}, 0.5, "", None])


def test_the_same_content_lies_apart(page: Page) -> None:
    """Nobody finds another's upload by what is in it."""
    mine, other = RawCaller(page.url), RawCaller(page.url)
    paths = {mine.upload(PHOTO.read_bytes()), other.upload(PHOTO.read_bytes()), mine.upload(PHOTO.read_bytes())}
    assert len(paths) == 3


def test_examples_are_everybodys(page: Page) -> None:
    caller = RawCaller(page.url)
    event, usual = next((event, usual) for event, usual in events(caller) if event["api_name"] == "find")
    for example in EXAMPLES:
        said = caller.join(event["id"], usual, event_data={"ticket": "1", "example": example.key})
        assert f"example-{example.key}" in said
        assert example.shows[0] in said
    for other in ("../../etc/passwd", "x" * 5000, 7, ["coffee"]):
        said = caller.join(event["id"], usual, event_data={"ticket": "1", "example": other})
        assert "There is no example" in said


def test_files_are_served_from_the_folder_alone(me: RawCaller, hostile: dict[str, Any]) -> None:
    for name, value in hostile.items():
        path = value.get("path") if isinstance(value, dict) else None
        if isinstance(path, str) and name != "a file that nobody uploaded":  # whoever plants it knows its name
            for form in ("file=", "file/"):
                answer = me.http.get("/gradio_api/" + form + path.replace("\0", "%00").replace("..", "%2e%2e"))
                assert answer.status_code in (307, 400, 403, 404) or "planted" in path, (name, form)


@pytest.mark.parametrize(
    "path",
    [
        "proxy=https://example.com/x",
        "file=https://example.com/x",
        "deep_link?session_hash=x",
        "custom_component/a/b/c/d",
        "vibe-code/",
    ],
)
def test_addresses_that_fetch_or_keep_for_others_are_closed(me: RawCaller, path: str) -> None:
    assert me.http.get(f"/gradio_api/{path}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/gradio_api/nothing", 404, "not_found"),
        ("GET", "/gradio_api/cancel", 405, "method_not_allowed"),
        ("DELETE", "/", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_refused_as_everything_else(
    me: RawCaller, method: str, path: str, status: int, code: str
) -> None:
    answer = me.http.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["content-length"] == str(len(answer.content))


def test_nothing_else_is_posted_to(me: RawCaller) -> None:
    """Gradio's other addresses store files, run components' functions, or edit the program."""
    described = me.http.get("/openapi.json").json()["paths"]
    posted = {path for path, methods in described.items() if "post" in methods}
    assert "/gradio_api/process_recording" in posted
    known = re.compile(r"/gradio_api/(queue/join|run/|api/|call/|cancel|reset|stream/|upload)")
    for path in sorted(posted):
        if not known.match(path):
            assert me.http.post(path, json={}).status_code == 404, path
    assert me.http.put("/gradio_api/upload", content=b"x").status_code in (404, 405)


def mcp(url: str, arguments: list[dict[str, Any]]) -> list[Any]:
    """The answers of the tool that segments."""

    async def use() -> list[Any]:
        from mcp import ClientSession
        from mcp.client.streamable_http import streamablehttp_client

        async with (
            streamablehttp_client(f"{url}/gradio_api/mcp/") as (incoming, outgoing, _),
            ClientSession(incoming, outgoing) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            name = next(tool.name for tool in tools if tool.name.endswith("segment"))
            return [await session.call_tool(name, each) for each in arguments]

    return asyncio.run(use())


def test_language_models_get_no_files_either(page: Page, hostile: dict[str, Any]) -> None:
    pytest.importorskip("mcp", reason="needs the extra mcp")
    named = [value["path"] for value in hostile.values() if isinstance(value, dict) and value.get("path")]
    sent: list[dict[str, Any]] = [{"photo": value} for value in (*named, *hostile.values())]
    sent += [{"photo": None, "categories": value} for value in hostile.values()]
    for arguments, answer in zip(sent, mcp(page.url, sent), strict=True):
        assert answer.isError, arguments
        assert "person" not in str(answer.content)
    photo = "data:image/png;base64," + base64.b64encode(PHOTO.read_bytes()).decode()
    (good,) = mcp(page.url, [{"photo": photo}])
    assert not good.isError
    (far,) = mcp(page.url, [{"photo": "https://example.com/photo.png"}])
    assert NOT_UPLOADED in far.content[0].text


@pytest.mark.parametrize(
    ("name", "said"),
    [("..", "name"), ("../up.png", "name"), ("a\0b.png", "name"), ("x" * 300 + ".png", "name"), ("a/b.png", "name")],
)
def test_a_files_name_is_one(me: RawCaller, name: str, said: str) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="' + name.encode() + b'"\r\n\r\nx\r\n--b--\r\n'
    )
    answer = me.http.post("/gradio_api/upload", content=body, headers={"Content-Type": MULTIPART})
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def part(disposition: bytes, end: bytes = b"\r\n--b--\r\n") -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\nx" + end


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        (MULTIPART, b""),
        (MULTIPART, b"nonsense"),
        (MULTIPART, part(b'name="files"')),
        (MULTIPART, part(b'filename="x"')),
        (MULTIPART, part(b'name="other"; filename="x"')),
        (MULTIPART, part(b'name="files"; filename="x"', end=b"")),
        (f"{MULTIPART}; charset=idna", part(b'name="\xff."; filename="x"')),
        ("application/json", b"{}"),
        ("image/png", b"x"),
        (None, b"x"),
    ],
)
def test_a_malformed_upload_is_a_sentence(me: RawCaller, folder: Path, kind: str | None, body: bytes) -> None:
    before = stored(folder)
    headers = {} if kind is None else {"Content-Type": kind}
    answer = me.http.post("/gradio_api/upload?upload_id=abc", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]
    assert stored(folder) == before


def test_many_parts_are_refused(me: RawCaller, folder: Path) -> None:
    before = stored(folder)
    answer = me.http.post("/gradio_api/upload", files=[("files", ("x.png", b"x")) for _ in range(3000)])
    assert answer.status_code == 400
    assert "Too many files" in answer.json()["error"]["message"]
    assert stored(folder) == before


def test_too_large_is_413_wherever_it_comes(me: RawCaller, folder: Path) -> None:
    before = stored(folder)
    big = bytes(21 * 2**20)
    assert me.post_upload(big).status_code == 413
    assert (
        me.http.post("/gradio_api/upload", files=[("files", ("x", big[: 15 * 2**20])) for _ in range(2)]).status_code
        == 413
    )
    said = me.http.post("/gradio_api/queue/join", content=b'{"data": ["' + bytes(40 * 2**20))
    assert said.status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(2**20)

    assert me.http.post("/gradio_api/queue/join", content=endless()).status_code == 413
    assert stored(folder) == before


def stored(folder: Path) -> set[Path]:
    # os.walk goes on where a folder is deleted meanwhile.
    return {Path(place) / name for place, _, names in os.walk(folder / "received") for name in names}


def test_an_upload_that_breaks_off_leaves_nothing(page: Page, folder: Path) -> None:
    before = stored(folder)
    address = page.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as peer:
        peer.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="half.png"\r\n\r\n' + bytes(100_000)
        )
        deadline = time.monotonic() + 60
        while stored(folder) == before:  # it is being written
            assert time.monotonic() < deadline
            time.sleep(0.05)
    while stored(folder) != before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_browser_gets_its_name_by_a_cookie_that_no_script_reads(page: Page) -> None:
    plain = RawCaller(page.url).http.cookies
    assert len(plain["pointrend_visitor"]) == 43
    answer = RawCaller(page.url, visits=False).http.get("/", headers={"X-Forwarded-Proto": "https"})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=None; Secure; Partitioned" in cookie


def test_a_picture_replaced_on_the_disk_is_not_followed(page: Page, tmp_path: Path) -> None:
    """Not that a visitor could; but what is opened is what was uploaded."""
    me = RawCaller(page.url)
    secret = tmp_path / "secret.png"
    Image.open(PHOTO).save(secret)
    for replace in (lambda path: path.symlink_to(secret), os.mkfifo, Path.mkdir):
        path = Path(me.upload(PHOTO.read_bytes()))
        path.unlink()
        replace(path)
        assert NOT_UPLOADED in find(me, {"path": str(path)})
    path = Path(me.upload(PHOTO.read_bytes()))
    path.unlink()
    assert "has expired" in find(me, {"path": str(path)})
    path = Path(me.upload(PHOTO.read_bytes()))
    os.truncate(path, 2**40)
    assert "bytes are accepted" in find(me, {"path": str(path)})


def test_uploads_have_a_rate_by_the_address_that_the_proxy_names(page: Page) -> None:
    """A proxy on this machine is believed; new cookies do not help."""
    script = RawCaller(page.url, visits=False)

    def send(address: str) -> httpx.Response:
        script.http.cookies.clear()
        return script.post_upload(b"x", headers={"X-Forwarded-For": f"10.0.0.1, {address}"})

    answers = [send("198.51.100.7") for _ in range(BY_ADDRESS.burst + 80)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(answers) > len(refused) > 0
    assert all(answer.status_code == 200 for answer in answers[: BY_ADDRESS.burst])
    assert refused[0].json()["error"]["code"] == "rate_limited"
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert send("198.51.100.8").status_code == 200
    browser = script.post_upload(
        b"x", headers={"X-Forwarded-For": "198.51.100.7", "Sec-Fetch-Mode": "cors"}, params={"upload_id": "a"}
    )
    assert browser.status_code == 200 or browser.text.startswith("Too many uploads")


def test_a_full_disk_is_507_and_the_results_failure_a_sentence(tmp_path: Path, served: TorchServe) -> None:
    """In a process that may write no file of more than 150 kB, which fails as a full disk does."""
    small = tmp_path / "small.png"
    Image.open(PHOTO).resize((100, 100)).save(small)
    script = f"""
import resource
from pathlib import Path
from gradio_app import app
from gradio_app.servers import Server, Servers
page = app.build(Servers([Server("Here", {served.url!r})]))
_, url, _ = page.launch(server_name="127.0.0.1", ssr_mode=False, prevent_thread_lock=True, quiet=True, show_error=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
from tests.gradio_app.raw import RawCaller
me = RawCaller(url)
full = me.post_upload(bytes(200_000))
print(full.status_code, full.text)
photo = me.upload(Path({str(small)!r}).read_bytes())
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 150_000))
print(me.call("export", [{{"path": photo}}, 0.5, "all", "coco", None, "blur", "#ffffff", None]))
print([str(each) for each in (page.uploads.folder / "received").rglob("*") if each.is_file()] == [photo])
page.close()
"""
    here = str(Path(__file__).parent)
    environment = os.environ | {"GRADIO_TEMP_DIR": str(tmp_path / "cache"), "PYTHONPATH": here}
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert run.returncode == 0, run.stderr
    assert "507" in run.stdout
    assert run.stdout.count("The server's disk is full; try again in a few minutes.") == 2
    assert "True" in run.stdout
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").rglob("*.png"))


def test_every_frame_of_the_camera_is_checked(page: Page, hostile: dict[str, Any]) -> None:
    """Its frames are requests of their own, and none of them is kept."""
    me = RawCaller(page.url)
    event, usual = next((event, usual) for event, usual in events(me) if event["api_name"] == "frame")
    picture = io.BytesIO()
    with Image.open(PHOTO) as opened:
        opened.convert("RGB").resize((320, 320)).save(picture, "JPEG")
    frame = {"url": "data:image/jpeg;base64," + base64.b64encode(picture.getvalue()).decode()}
    answer = json.loads(me.run(event["id"], "frame", [frame, *usual[1:]]))["data"][0]
    assert (answer["width"], answer["height"]) == (320, 320)
    assert "person" in {each["name"] for each in answer["objects"]}
    assert NOT_UPLOADED in me.run(event["id"], "frame", [hostile["a picture of the server"], *usual[1:]])
    large = {"url": "data:image/jpeg;base64," + base64.b64encode(bytes(300_000)).decode()}
    assert "A frame may have 262144 bytes, this one has 300000" in me.run(event["id"], "frame", [large, *usual[1:]])
