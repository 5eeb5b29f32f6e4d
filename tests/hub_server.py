"""A stand-in of the Hugging Face Hub's HTTP API: real HTTP on loopback, git's and LFS's objects in memory.

It speaks what ``huggingface_hub`` 2.4 asks of the Hub for models: repository information, metadata and content of
files, creating repositories and branches, and commits with LFS uploads. Large files are on a second server, the
"storage", as the Hub's are on another host: it must never see a token. Faults are injected by :class:`Fault`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_a-token-of-the-tests"
LFS = (".safetensors", ".bin", ".pth", ".pkl")


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Fault:
    """What is done in place of, or to, the answers to matching requests.

    Attributes:
        path: a pattern that is searched in ``METHOD /path``.
        times: how often; None for always.
        status: answered in place of the content.
        headers: added to the answer; they replace its own.
        body: in place of the content.
        cut_after: bytes of the body after which the connection is closed.
        location: where to redirect to.
        before: called before the request is answered: the world may change between two requests.
    """

    path: str
    times: int | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut_after: int | None = None
    location: str | None = None
    before: Callable[[], object] | None = None


@dataclass
class Repository:
    """A model repository: its commits hold whole trees."""

    private: bool = False
    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Add a commit with exactly these files."""
        digest = hashlib.sha1(f"{len(self.commits)} {branch}".encode())
        for name, content in sorted(files.items()):
            digest.update(name.encode() + content)
        sha = digest.hexdigest()
        self.commits[sha] = dict(files)
        self.branches[branch] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        sha = self.branches.get(revision, revision)
        matching = [each for each in self.commits if len(sha) >= 7 and each.startswith(sha)]
        return matching[0] if len(matching) == 1 else None


@dataclass(frozen=True)
class Seen:
    """A request that a server got; its headers' names in lower case."""

    method: str
    path: str
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that break off are part of the tests."""


class Server:
    """One HTTP server with its faults and what it was asked."""

    def __init__(self, answer: Callable[[Exchange], None]) -> None:
        self.requests: list[Seen] = []
        self.faults: list[Fault] = []
        self._server = _HttpServer(("127.0.0.1", 0), _handler(self, answer))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def speak_tls(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


class Exchange:
    """One request and its answer."""

    def __init__(self, server: Server, handler: BaseHTTPRequestHandler) -> None:
        split = urlsplit(handler.path)
        self.server, self._handler = server, handler
        self.method, self.path, self.query = handler.command, unquote(split.path), parse_qs(split.query)
        self.headers = handler.headers
        self.content = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        self.fault = Fault("")
        server.requests.append(
            Seen(self.method, self.path, {name.lower(): value for name, value in handler.headers.items()})
        )

    @property
    def authorised(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def json(self) -> Any:
        return json.loads(self.content)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send an answer, or as much of it as the fault leaves."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        body = body if self.fault.body is None else self.fault.body
        if status == 200 and (match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))):
            start = int(match[1])
            named["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
        named = {"Content-Length": str(len(body)), **named, **self.fault.headers}
        self._handler.close_connection = self.fault.cut_after is not None
        self._handler.send_response(status)
        for key, value in named.items():
            self._handler.send_header(key, value)
        self._handler.end_headers()
        if self.method != "HEAD":
            self._handler.wfile.write(body[: self.fault.cut_after])

    def json_answer(self, tree: Any, status: int = 200, **headers: str) -> None:
        self.answer(status, json.dumps(tree).encode(), Content_Type="application/json", **headers)

    def refuse(self, status: int, code: str | None, message: str) -> None:
        """An error as the Hub tells it."""
        named = {"X_Error_Message": message} | ({"X_Error_Code": code} if code else {})
        self.json_answer({"error": message}, status, **named)


def _handler(server: Server, answer: Callable[[Exchange], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            exchange = Exchange(server, self)
            for fault in server.faults:
                if fault.times != 0 and re.search(fault.path, f"{exchange.method} {exchange.path}"):
                    fault.times = None if fault.times is None else fault.times - 1
                    exchange.fault = fault
                    break
            if exchange.fault.before:
                exchange.fault.before()
            if exchange.fault.location:
                exchange.answer(302, Location=exchange.fault.location)
            elif exchange.fault.status:
                exchange.answer(exchange.fault.status)
            else:
                answer(exchange)

        do_GET = do_HEAD = do_POST = do_PUT = respond  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


class StandInHub:
    """The Hub and its storage, until the end of a ``with`` block."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}  # LFS objects that were uploaded, by SHA-256
        self.storage = Server(self._store)
        self.hub = Server(self._answer)

    def __enter__(self) -> StandInHub:
        self.storage.start()
        self.hub.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self.hub.stop()
        self.storage.stop()

    @property
    def url(self) -> str:
        return self.hub.url

    @property
    def asked(self) -> list[str]:
        """What both servers were asked, in words."""
        return [str(seen) for server in (self.hub, self.storage) for seen in server.requests]

    def forget(self) -> None:
        self.hub.requests.clear()
        self.storage.requests.clear()

    # The storage: LFS objects under signed addresses.

    def _store(self, exchange: Exchange) -> None:
        oid = exchange.path.removeprefix("/object/")
        if exchange.query.get("signed") != ["yes"]:
            exchange.answer(403)
        elif exchange.method == "PUT":
            if hashlib.sha256(exchange.content).hexdigest() != oid:
                exchange.answer(400)
                return
            self.objects[oid] = exchange.content
            exchange.answer(200)
        elif oid in self.objects:
            exchange.answer(200, self.objects[oid], ETag=f'"storage-{oid[:8]}"')
        else:
            exchange.answer(404)

    def _signed(self, oid: str) -> str:
        return f"{self.storage.url}/object/{oid}?signed=yes"

    # The Hub.

    def _answer(self, exchange: Exchange) -> None:
        if exchange.headers.get("Authorization") and not exchange.authorised:
            exchange.refuse(401, None, "Invalid credentials in Authorization header")
            return
        for method, pattern, answer in (
            ("GET", r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", self._info),
            ("GET|HEAD", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._resolve),
            ("POST", r"/api/repos/create", self._create),
            ("POST", r"/api/validate-yaml", self._validate),
            ("POST", r"/api/models/([^/]+/[^/]+)/branch/(.+)", self._branch),
            ("POST", r"/api/models/([^/]+/[^/]+)/preupload/(.+)", self._preupload),
            ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", self._batch),
            ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/verify", self._verify),
            ("POST", r"/api/models/([^/]+/[^/]+)/commit/(.+)", self._commit),
        ):
            match = re.fullmatch(pattern, exchange.path)
            if match and re.fullmatch(method, exchange.method):
                answer(exchange, *match.groups())
                return
        exchange.refuse(404, None, f"no such page: {exchange.method} {exchange.path}")

    def _find(self, exchange: Exchange, name: str, *, write: bool = False) -> Repository | None:
        repository = self.repositories.get(name)
        if repository is None or ((repository.private or write) and not exchange.authorised):
            # To those whom it does not know, the Hub does not tell what there is.
            if exchange.authorised:
                exchange.refuse(404, "RepoNotFound", "Repository not found")
            else:
                exchange.refuse(401, None, "Invalid username or password.")
            return None
        return repository

    def _at(self, exchange: Exchange, repository: Repository, revision: str) -> str | None:
        sha = repository.resolve(revision)
        if sha is None:
            exchange.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    def _info(self, exchange: Exchange, name: str, revision: str | None) -> None:
        repository = self._find(exchange, name)
        sha = repository and self._at(exchange, repository, revision or "main")
        if not repository or not sha:
            return
        siblings = [{"rfilename": file} for file in repository.commits[sha]]
        tree = {"id": name, "modelId": name, "sha": sha, "private": repository.private, "siblings": siblings}
        exchange.json_answer({**tree, "gated": "auto" if repository.gated else False, "tags": [], "downloads": 0})

    def _resolve(self, exchange: Exchange, name: str, revision: str, file: str) -> None:
        repository = self._find(exchange, name)
        sha = repository and self._at(exchange, repository, revision)
        if not repository or not sha:
            return
        if repository.gated:
            exchange.refuse(403, "GatedRepo", f"Access to model {name} is restricted.")
            return
        content = repository.commits[sha].get(file)
        if content is None:
            exchange.refuse(404, "EntryNotFound", "Entry not found")
        elif not file.endswith(LFS):
            exchange.answer(200, content, X_Repo_Commit=sha, ETag=f'"{git_hash(content)}"')
        else:
            oid = hashlib.sha256(content).hexdigest()
            self.objects.setdefault(oid, content)
            exchange.answer(
                302,
                Location=self._signed(oid),
                X_Repo_Commit=sha,
                X_Linked_Size=str(len(content)),
                X_Linked_ETag=f'"{oid}"',
            )

    def _create(self, exchange: Exchange) -> None:
        asked = exchange.json()
        name = f"{asked['organization']}/{asked['name']}"
        if not exchange.authorised:
            exchange.refuse(401, None, "Invalid username or password.")
        elif asked["organization"] == "others":
            exchange.refuse(403, None, 'You don\'t have the rights to create a model under the namespace "others"')
        elif name in self.repositories:
            exchange.json_answer({"error": "You already created this model repo", "url": f"{self.url}/{name}"}, 409)
        else:
            self.repositories[name] = Repository(private=asked.get("visibility") == "private")
            self.repositories[name].commit({".gitattributes": b"*.safetensors filter=lfs\n"})
            exchange.json_answer({"url": f"{self.url}/{name}"})

    def _validate(self, exchange: Exchange) -> None:
        content = exchange.json()["content"]
        if re.match(r"---\n[\s\S]*?\n---\n", content):
            exchange.json_answer({"errors": [], "warnings": []})
        else:
            exchange.json_answer({"errors": [], "warnings": [{"message": "empty or missing yaml metadata"}]})

    def _branch(self, exchange: Exchange, name: str, branch: str) -> None:
        repository = self._find(exchange, name, write=True)
        if not repository:
            return
        if branch in repository.branches:
            exchange.refuse(409, None, f"Reference already exists: {branch}")
            return
        repository.branches[branch] = repository.branches["main"]
        exchange.json_answer({})

    def _preupload(self, exchange: Exchange, name: str, branch: str) -> None:
        repository = self._find(exchange, name, write=True)
        sha = repository and self._at(exchange, repository, branch)
        if not repository or not sha:
            return
        here = repository.commits[sha]
        files = []
        for file in exchange.json()["files"]:
            lfs, content = file["path"].endswith(LFS), here.get(file["path"])
            known = content is not None and (hashlib.sha256(content).hexdigest() if lfs else git_hash(content))
            entry = {"path": file["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            files.append(entry | ({"oid": known} if known else {}))
        exchange.json_answer({"files": files})

    def _batch(self, exchange: Exchange, name: str) -> None:
        if not self._find(exchange, name, write=True):
            return
        objects = []
        for asked in exchange.json()["objects"]:
            entry = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.objects:
                verify = {"href": f"{self.url}/{name}.git/info/lfs/verify"}
                entry["actions"] = {"upload": {"href": self._signed(asked["oid"])}, "verify": verify}
            objects.append(entry)
        exchange.json_answer({"transfer": "basic", "objects": objects})

    def _verify(self, exchange: Exchange, name: str) -> None:
        asked = exchange.json()
        whole = len(self.objects.get(asked["oid"], b"")) == asked["size"]
        exchange.answer(200 if whole else 404)

    def _commit(self, exchange: Exchange, name: str, branch: str) -> None:
        repository = self._find(exchange, name, write=True)
        sha = repository and self._at(exchange, repository, branch)
        if not repository or not sha:
            return
        files = dict(repository.commits[sha])
        for line in map(json.loads, exchange.content.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    exchange.refuse(400, None, f"LFS object {value['oid']} was not uploaded")
                    return
                files[value["path"]] = self.objects[value["oid"]]
            elif line["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                exchange.refuse(404, "EntryNotFound", "A file with this name doesn't exist")
                return
        made = repository.commit(files, branch)
        exchange.json_answer({"commitUrl": f"{self.url}/{name}/commit/{made}", "commitOid": made, "success": True})
