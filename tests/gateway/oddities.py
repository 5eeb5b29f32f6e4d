"""Requests as no honest client sends them, byte by byte, with what each may be answered.

``python tests/gateway/oddities.py PORT [TOKEN]`` sends them to a server on this machine and lists what goes wrong.
"""

from __future__ import annotations

import base64
import io
import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

SECONDS = 60
PATH = "/predictions/pointrend"


@dataclass(frozen=True)
class Oddity:
    """One request.

    Attributes:
        name: of the case.
        raw: the bytes, with ``@auth@`` where the token's header goes.
        statuses: what is right.
        half_close: whether the sender then says that it is done.
    """

    name: str
    raw: bytes
    statuses: frozenset[int]
    half_close: bool = False


def tiny() -> bytes:
    """A PNG file that costs little to predict."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 120, 150)).save(buffer, "PNG")
    return buffer.getvalue()


IMAGE = tiny()
GOOD_JSON = json.dumps({"image": base64.b64encode(IMAGE).decode()}).encode()


def head(line: str, *headers: str, host: str | None = "localhost") -> bytes:
    lines = [line, *([f"Host: {host}"] if host is not None else []), "@auth@", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(body: bytes, *headers: str, path: str = PATH) -> bytes:
    return head(f"POST {path} HTTP/1.1", *headers, f"Content-Length: {len(body)}") + body


def part(*headers: str, content: bytes = IMAGE) -> bytes:
    return b"\r\n".join([header.encode("latin-1") for header in headers] + [b"", content])


def form(*parts: bytes, boundary: str = "XX", declared: str | None = None, tail: str = "--\r\n") -> bytes:
    delimiter = b"--" + boundary.encode("latin-1")
    body = b"".join(delimiter + b"\r\n" + each + b"\r\n" for each in parts) + delimiter + tail.encode()
    return post(body, f"Content-Type: {declared or f'multipart/form-data; boundary={boundary}'}")


FILE = 'Content-Disposition: form-data; name="image"; filename="a.png"'
TYPE = "Content-Type: image/png"
PHOTO = part(FILE, TYPE)


def option(name: str = "masks", content: bytes = b"none", *headers: str) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', *headers, content=content)


def forms() -> Iterator[tuple[str, bytes, set[int]]]:
    yield "form: plain", form(PHOTO), {200}
    yield "form: option", form(PHOTO, option()), {200}
    yield "form: repeated list", form(PHOTO, option("categories", b"person"), option("categories", b"cat")), {200, 422}
    yield "form: repeated choice", form(PHOTO, option(), option()), {422}
    yield "form: two images", form(PHOTO, PHOTO), {400}
    yield "form: image and data", form(PHOTO, PHOTO.replace(b'"image"', b'"data"')), {400}
    yield "form: 65 parts", form(PHOTO, *[option(f"o{n}") for n in range(65)]), {400}
    yield "form: no parts", form(), {400}
    yield "form: unknown option", form(PHOTO, option("nonsense")), {422}
    yield "form: not utf-8", form(PHOTO, option(content=b"\xff\xfe")), {422, 400}
    yield "form: nul in a value", form(PHOTO, option(content=b"no\0ne")), {422}
    yield "form: large field", form(PHOTO, option(content=b"x" * 70_000)), {400, 413, 422}
    yield "form: json part", form(PHOTO, option("masks", b'"none"', "Content-Type: application/json")), {200}
    yield "form: bad json part", form(PHOTO, option("masks", b"{", "Content-Type: application/json")), {400}
    yield "form: surrogate", form(PHOTO, option("masks", b'"\\ud800"', "Content-Type: application/json")), {400, 422}
    yield "form: empty file", form(part(FILE, TYPE, content=b"")), {400}
    yield "form: image without file name", form(part('Content-Disposition: form-data; name="image"')), {200, 400}
    dispositions = [
        "form-data",
        "form-data; name",
        "form-data; name=",
        'form-data; name=""',
        'form-data; filename="a.png"',
        'attachment; name="image"',
        'form-data; name="image',
        'form-data; name="image"; name="data"',
        "",
        ";",
        'form-data name="image"',
        'form-data; name="a"b"',
        "form-data; name*=utf-8''image",
        'form-data; nam="image"',
        'form-data; name="image" garbage',
        'form-data; name="im\x00age"',
        'form-data; name="\xe4"',
        'form-data; name="im\\"age"',
        'form-data; name="../image"',
        'form-data; name="im age"',
    ]
    for text in dispositions:
        yield f"disposition {text!r}", form(part(f"Content-Disposition: {text}", TYPE)), {400, 422}
    yield "no headers", form(part()), {400}
    yield "no disposition", form(part(TYPE)), {400}
    yield "two dispositions", form(part(FILE, FILE, TYPE)), {400}
    yield "header without colon", form(part(FILE, "nonsense")), {400}
    yield "header with a space in its name", form(part(FILE, "X Y: z")), {400}
    yield "header of 9 kB", form(part(FILE, "X: " + "y" * 9000)), {400}
    yield "30 headers", form(part(FILE, *[f"X{n}: y" for n in range(30)])), {400}
    yield "nested form", form(part(FILE, "Content-Type: multipart/mixed; boundary=YY")), {400, 415}
    yield "part type nonsense", form(part(FILE, "Content-Type: /;;=")), {400}
    for encoding in ("base64", "quoted-printable", "x-uuencode", "gzip", "8 bit", "7bit;", "\xe4", ""):
        raw = form(part(FILE, TYPE, f"Content-Transfer-Encoding: {encoding}"))
        yield f"transfer encoding {encoding!r}", raw, {400, 200} if encoding == "" else {400}
    for encoding in ("binary", "8bit", "7bit", "BINARY"):
        yield f"transfer encoding {encoding!r}", form(part(FILE, TYPE, f"Content-Transfer-Encoding: {encoding}")), {200}
    yield "part content encoding", form(part(FILE, TYPE, "Content-Encoding: gzip")), {400, 415}
    yield "part content length wrong", form(part(FILE, TYPE, "Content-Length: 7")), {200, 400}
    yield "part content length nonsense", form(part(FILE, TYPE, "Content-Length: x")), {200, 400}


def charsets() -> Iterator[tuple[str, bytes, set[int]]]:
    unknown = ["klingon", "utf-99", "", "\xe4", "x" * 300, "hex", "rot13", "idna", "utf-8;utf-8", "a b", "../x", "null"]
    for charset in unknown:
        option_part = option("masks", b"none", f'Content-Type: text/plain; charset="{charset}"')
        yield f"option charset {charset[:12]!r}", form(PHOTO, option_part), {400}
        yield (
            f"image charset {charset[:12]!r}",
            form(part(FILE, f'Content-Type: image/png; charset="{charset}"')),
            {400},
        )
        declared = f'multipart/form-data; boundary=XX; charset="{charset}"'
        yield f"form charset {charset[:12]!r}", form(PHOTO, declared=declared), {400}
        yield (
            f"json charset {charset[:12]!r}",
            post(GOOD_JSON, f'Content-Type: application/json; charset="{charset}"'),
            {400},
        )
        yield f"raw charset {charset[:12]!r}", post(IMAGE, f'Content-Type: image/png; charset="{charset}"'), {200, 400}
    for charset in ("utf-8", "UTF-8", "us-ascii", "iso-8859-1", "windows-1252"):
        option_part = option("masks", b"none", f"Content-Type: text/plain; charset={charset}")
        yield f"option charset {charset}", form(PHOTO, option_part), {200}
        yield f"json charset {charset}", post(GOOD_JSON, f"Content-Type: application/json; charset={charset}"), {200}
    yield (
        "option in utf-16",
        form(PHOTO, option("masks", "none".encode("utf-16"), "Content-Type: text/plain; charset=utf-16")),
        {200},
    )


def boundaries() -> Iterator[tuple[str, bytes, set[int]]]:
    declared = [
        "multipart/form-data",
        "multipart/form-data;",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="XX',
        "multipart/form-data; boundary=X X",
        "multipart/form-data; boundary=XX; boundary=YY",
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data; boundary=" + "x" * 5000,
        "multipart/form-data; boundary=YY",
        "multipart/form-data boundary=XX",
        "multipart/form-data; boundary=\xe4",
        'multipart/form-data; boundary="XX "',
        "multipart/form-data; boundary=X\tX",
        "multipart/form-data; boundary=<>",
        "multipart/form-data; BOUNDARY=",
        "multipart/form-data, boundary=XX",
    ]
    for text in declared:
        yield f"declared {text[:60]!r}", form(PHOTO, declared=text), {400, 415}
    yield "boundary in capitals", form(PHOTO, declared="MULTIPART/Form-Data; BOUNDARY=XX"), {200}
    yield "boundary quoted", form(PHOTO, declared='multipart/form-data; boundary="XX"'), {200}
    yield "boundary of 70", form(PHOTO, boundary="x" * 70), {200}
    for kind in ("mixed", "related", "byteranges", "x"):
        yield f"multipart/{kind}", form(PHOTO, declared=f"multipart/{kind}; boundary=XX"), {400, 415}
    yield "two content types", post(IMAGE, "Content-Type: image/png", "Content-Type: application/json"), {400}
    yield "never ends", form(PHOTO, tail=""), {400}
    yield "ends as a part", form(PHOTO, tail="\r\n"), {400}
    yield "one hyphen", form(PHOTO, tail="-\r\n"), {400}
    yield "epilogue", form(PHOTO, tail="--\r\nmore"), {400}
    yield "second form behind", form(PHOTO, tail="--\r\n--XX\r\n" + "x: y\r\n\r\nz\r\n--XX--"), {400}
    yield (
        "preamble",
        post(b"hello\r\n--XX\r\n" + PHOTO + b"\r\n--XX--\r\n", "Content-Type: multipart/form-data; boundary=XX"),
        {400},
    )
    yield (
        "line feeds alone",
        post(
            (b"--XX\n" + part(FILE).replace(b"\r\n", b"\n") + b"\n--XX--\n"),
            "Content-Type: multipart/form-data; boundary=XX",
        ),
        {400},
    )
    yield "headers cut", post(b"--XX\r\nContent-Dispo", "Content-Type: multipart/form-data; boundary=XX"), {400}
    yield "empty", post(b"", "Content-Type: multipart/form-data; boundary=XX"), {400}
    yield "no form at all", post(b"\0" * 1000, "Content-Type: multipart/form-data; boundary=XX"), {400}
    yield "delimiters alone", post(b"--XX\r\n" * 1000, "Content-Type: multipart/form-data; boundary=XX"), {400}


def bodies() -> Iterator[tuple[str, bytes, set[int]]]:
    for encoding in ("gzip", "deflate", "br", "zstd", "identity, gzip", "nonsense", "x" * 200):
        yield f"content encoding {encoding[:20]}", post(IMAGE, f"Content-Encoding: {encoding}"), {400, 415}
    yield "content encoding identity", post(IMAGE, "Content-Encoding: identity"), {200}
    for kind in (
        "application/x-www-form-urlencoded",
        "image/png",
        "text/plain",
        "text/html; charset=utf-8",
        "x",
        ";",
        "/",
        "\xe4",
    ):
        yield f"raw as {kind!r}", post(IMAGE, f"Content-Type: {kind}"), {200}
    yield "raw without type", post(IMAGE), {200}
    yield "nothing", post(b""), {400}
    yield "urlencoded fields", post(b"describe=true", "Content-Type: application/x-www-form-urlencoded"), {415}
    bad_json = [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'{"image": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"image": "AA==", "masks": "\\ud83d"}',
        b'{"image": ["x"]}',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"image": "!!"}',
        b'{"describe": true, "health": true}',
        b'{"image": "AAAA", "categories": [{"a": "\\udc00"}]}',
    ]
    for number, body in enumerate(bad_json):
        yield f"json {number} {body[:24]!r}", post(body, "Content-Type: application/json"), {400}
    yield (
        "json NaN",
        post(b'{"image": "AAAA", "score_threshold": NaN}', "Content-Type: application/json"),
        {400, 415, 422},
    )
    yield "json type in capitals", post(GOOD_JSON, "Content-Type: APPLICATION/JSON"), {200}
    yield (
        "json in utf-16",
        post(GOOD_JSON.decode().encode("utf-16"), "Content-Type: application/json; charset=utf-16"),
        {200},
    )
    for text in ("nonsense", "masks=", "a=%ff", "masks=rle&masks=none", "\xe4=1", "=", "x=" + "y" * 7000):
        yield f"options {text[:20]!r}", post(IMAGE, f"X-PointRend-Options: {text}"), {400, 422}
    yield "options twice", post(IMAGE, "X-PointRend-Options: masks=rle", "X-PointRend-Options: exact=true"), {400}


def framing() -> Iterator[tuple[str, bytes, set[int]]]:
    size = f"{len(IMAGE):x}".encode()
    chunked = size + b"\r\n" + IMAGE + b"\r\n0\r\n\r\n"
    line = f"POST {PATH} HTTP/1.1"
    te = "Transfer-Encoding: chunked"
    yield "chunked", head(line, te) + chunked, {200}
    yield "chunk extension", head(line, te) + size + b";a=b\r\n" + IMAGE + b"\r\n0\r\n\r\n", {200, 400}
    yield "trailer", head(line, te) + chunked[:-2] + b"X: y\r\n\r\n", {200, 400}
    yield "te and cl", head(line, te, f"Content-Length: {len(chunked)}") + chunked, {400}
    yield "cl and te", head(line, "Content-Length: 5", te) + chunked, {400}
    for value in (
        "gzip",
        "identity",
        "chunked, gzip",
        "gzip, chunked",
        "chunked, chunked",
        "xchunked",
        "chunked\x0b",
        "\xe4",
        ",",
        "nonsense",
    ):
        yield (
            f"te {value!r}",
            head(line, f"Transfer-Encoding: {value}") + chunked,
            {400, 200} if value == "identity" else {400},
        )
    yield "te twice", head(line, te, te) + chunked, {400}
    yield "te after a space", head(line, "Transfer-Encoding : chunked") + chunked, {400}
    yield "te in http/1.0", head(f"POST {PATH} HTTP/1.0", te) + chunked, {200, 400}
    for text in (
        b"zz\r\n",
        b"-5\r\nhello\r\n",
        b"5\r\nhello!!\r\n0\r\n\r\n",
        b"F" * 30 + b"\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhelloXX",
        b"\r\n",
    ):
        yield f"chunk {text[:12]!r}", head(line, te) + text, {400, 413, 415}
    for value in (
        "-1",
        "+5",
        "5, 5",
        "5,6",
        "0x5",
        "5 5",
        "",
        "1e3",
        "\xb2",
        "99999999999999999999999",
        "30000000",
        "nonsense",
    ):
        yield f"length {value!r}", head(line, f"Content-Length: {value}") + b"hello", {400, 413, 415}
    yield "lengths that differ", head(line, "Content-Length: 5", "Content-Length: 6") + b"hello!", {400}
    yield (
        "lengths that agree",
        head(line, f"Content-Length: {len(IMAGE)}", f"Content-Length: {len(IMAGE)}") + IMAGE,
        {200, 400},
    )
    yield "no length", head(line), {400, 411}
    yield "expect", post(IMAGE, "Expect: 100-continue"), {200}
    yield "expect nonsense", post(IMAGE, "Expect: 200-ok"), {417, 400, 200}
    yield (
        "upgrade",
        post(IMAGE, "Connection: upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        {200},
    )
    yield (
        "websocket",
        head(
            "GET /predictions/pointrend HTTP/1.1",
            "Connection: upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version: 13",
        ),
        {405},
    )
    yield "h2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 405}
    yield "tls hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n", {400}
    yield "ssh", b"SSH-2.0-x\r\n\r\n", {400}
    yield "nothing but line ends", b"\r\n" * 20 + b"x\r\n\r\n", {400}


def lines() -> Iterator[tuple[str, bytes, set[int]]]:
    paths = [
        "/",
        "/ping/../predictions/pointrend",
        "/predictions/../ping",
        "/predictions/pointrend/../../models",
        "/predictions/pointrend/..",
        "/predictions/./pointrend",
        "//predictions/pointrend",
        "/predictions//pointrend",
        "/predictions/pointrend/",
        "/predictions/",
        "/predictions",
        "/predictions/pointrend/1.0/x",
        "/predictions/%70ointrend",
        "/predictions/pointrend%2f..%2fx",
        "/predictions/pointrend%00",
        "/predictions/pointrend;x",
        "/predictions/other",
        "/predictions/pointrend/99.9",
        "/predictions/pointrend/latest",
        "/predictions/" + "x" * 5000,
        "/%2e%2e/ping",
        "/models/x",
        "/v2/models/pointrend/infer",
        "/explanations/pointrend",
        "/workflows",
        "/token",
        "/favicon.ico",
        "/predictions/po%zzint",
        "/predictions\\pointrend",
        "/PREDICTIONS/POINTREND",
        "/-/body",
        "/-/bad_request",
        "/.well-known/x",
        "/api-description",
    ]
    for path in paths:
        yield (
            f"path {path[:40]!r}",
            post(GOOD_JSON, "Content-Type: application/json", path=path),
            {400, 404, 405, 414, 200}
            - ({200} if "/../" not in path and "%" not in path and "." not in path and "//" not in path else set()),
        )
    yield "query", post(IMAGE, path=PATH + "?masks=none"), {200}
    yield "path of 40 kB", post(IMAGE, path="/" + "x" * 40_000), {400, 414, 431}
    for method in (
        "GET",
        "HEAD",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "CONNECT",
        "BREW",
        "get",
        "PROPFIND",
        "A" * 300,
    ):
        if method != "HEAD":
            yield f"method {method[:10]}", head(f"{method} {PATH} HTTP/1.1", "Content-Length: 0"), {400, 405}
    for path in ("/ping", "/metrics", "/models", "/healthz", "/readyz"):
        yield f"post to {path}", post(b"", path=path), {404, 405}
        yield f"delete {path}", head(f"DELETE {path} HTTP/1.1"), {404, 405}
    for target in (
        "*",
        "http://evil.example/predictions/pointrend",
        "evil.example:443",
        "predictions/pointrend",
        "?x",
        "/\x7f",
        "/\x01",
    ):
        yield f"target {target!r}", head(f"OPTIONS {target} HTTP/1.1"), {400, 404, 405, 421}
    yield "version 1.10", head(f"POST {PATH} HTTP/1.10", f"Content-Length: {len(IMAGE)}") + IMAGE, {200, 400}
    for version in (
        "HTTP/0.9",
        "HTTP/2.0",
        "HTTP/3",
        "HTTP/1.x",
        "HTTP/-1.1",
        "http/1.1",
        "HTTPS/1.1",
        "HTTP/9.9",
        "XTTP/1.1",
        "HTTP/11",
    ):
        yield f"version {version}", head(f"POST {PATH} {version}", f"Content-Length: {len(IMAGE)}") + IMAGE, {400}
    yield "http/1.0", head(f"POST {PATH} HTTP/1.0", f"Content-Length: {len(IMAGE)}") + IMAGE, {200}
    yield "http/0.9", b"GET /predictions/pointrend\r\n\r\n", {400, 401, 405}
    for text in (
        f"POST  {PATH} HTTP/1.1",
        f"POST {PATH}  HTTP/1.1",
        f" POST {PATH} HTTP/1.1",
        f"POST {PATH} HTTP/1.1 x",
        "POST",
        "",
        f"POST\t{PATH}\tHTTP/1.1",
    ):
        yield (
            f"line {text!r}",
            head(text, f"Content-Length: {len(IMAGE)}") + IMAGE,
            {400, 200} if "  HTTP" in text or text.startswith("POST  ") else {400},
        )


def headers() -> Iterator[tuple[str, bytes, set[int]]]:
    line = f"POST {PATH} HTTP/1.1"
    length = f"Content-Length: {len(IMAGE)}"
    yield "no host", head(line, length, host=None) + IMAGE, {400}
    yield "two hosts", head(line, "Host: localhost", length) + IMAGE, {400}
    for host in ("a b", "\xe4", "local\x00host", "evil.example/", "localhost:99999999", "[::1", "a,b"):
        yield f"host {host!r}", head(line, length, host=host) + IMAGE, {400, 421}
    bad = [
        "X Y: z",
        ": z",
        "X",
        "X\x00: y",
        "X: y\x00z",
        "X: a\rb",
        " folded: first",
        "X : y",
        "\xe4: y",
        "X(: y",
        "X: \x01",
    ]
    lenient = (
        "X",
        "X: \x01",
        "X(: y",
        "\xe4: y",
        "X Y: z",
        " folded: first",
    )  # nginx drops such headers; folding is allowed
    for text in bad:
        yield (
            f"header {text!r}",
            head(line, text, length) + IMAGE,
            {400, 200} if text in lenient else {400},
        )
    yield "folded", head(line, "X: y\r\n  z", length) + IMAGE, {200, 400}
    yield "header of 70 kB", head(line, "X: " + "y" * 70_000, length) + IMAGE, {400, 431}
    yield "2000 headers", head(line, *[f"X{n}: {'y' * 20}" for n in range(2000)], length) + IMAGE, {400, 431}
    yield "non-ascii value", head(line, "X: \xe4", length) + IMAGE, {200, 400}
    yield "origin null", head(line, "Origin: null", length) + IMAGE, {200, 403}
    yield "accept nonsense", head(line, "Accept: ;;;,,,", length) + IMAGE, {200}
    yield "describe header", head(line, "describe: True", length) + IMAGE, {200}
    yield "ts_stream_next", head(line, "ts_stream_next: true", length) + IMAGE, {200}
    yield "request id", head(line, "X-Request-Id: a b<script>", length) + IMAGE, {200}


def cut() -> Iterator[tuple[str, bytes, set[int]]]:
    """Requests whose sender says that it is done before they are whole; nginx takes that for a caller who has left."""
    whole = form(PHOTO)
    for name, raw in (("form", whole[:-40]), ("raw", post(IMAGE)[:-5]), ("head", whole[:60]), ("line", whole[:10])):
        yield f"cut {name}", raw, {0, 400}
    yield "cut chunked", head(f"POST {PATH} HTTP/1.1", "Transfer-Encoding: chunked") + b"ff\r\nhello", {0, 400}


def all_oddities() -> list[Oddity]:
    """Every case."""
    groups = (forms, charsets, boundaries, bodies, framing, lines, headers)
    made = [Oddity(name, raw, frozenset(right)) for group in groups for name, raw, right in group()]
    return made + [Oddity(name, raw, frozenset(right), half_close=True) for name, raw, right in cut()]


def send(port: int, oddity: Oddity, token: str | None = None) -> tuple[int, bytes]:
    """What comes back: the status, 0 for none at all, and the body."""
    auth = f"Authorization: Bearer {token}".encode() if token else b"X-Odd: yes"
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        try:
            connection.sendall(oddity.raw.replace(b"@auth@", auth))
            if oddity.half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            while not _complete(said):
                piece = connection.recv(2**16)
                if not piece:
                    break
                said += piece
        except OSError:
            pass
    while said.startswith(b"HTTP/1.1 100"):
        said = said.partition(b"\r\n\r\n")[2]
    if not said.startswith(b"HTTP/"):
        return (0 if not said else 400), said  # HTTP/0.9 has no status line
    top, _, body = said.partition(b"\r\n\r\n")
    return int(top.split()[1]), body


def _complete(said: bytes) -> bool:
    while said.startswith(b"HTTP/1.1 100"):
        said = said.partition(b"\r\n\r\n")[2]
    top, found, body = said.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in top.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return False


def fault(oddity: Oddity, status: int, body: bytes) -> str | None:
    """What is wrong with an answer, or None."""
    if status not in oddity.statuses:
        return f"{oddity.name}: {status}, not {sorted(oddity.statuses)}: {body[:150]!r}"
    if not status:
        return None  # and nothing was answered
    try:
        tree = json.loads(body)
    except ValueError:
        return f"{oddity.name}: {status} without JSON: {body[:150]!r}"
    if status >= 400:
        error = tree.get("error", {})
        if not (error.get("code") and str(error.get("message")).endswith(".")):
            return f"{oddity.name}: {status} in another form: {body[:150]!r}"
    return None


def faults(port: int, token: str | None = None) -> list[str]:
    """Send every case, and after each one a request that has to succeed."""
    described = post(b'{"describe": true}', "Content-Type: application/json")
    good = Oddity("a good request right after", described, frozenset({200}))
    found = []
    for oddity in all_oddities():
        for each in (oddity, good):
            wrong = fault(each, *send(port, each, token))
            if wrong:
                found.append(wrong if each is oddity else f"{oddity.name}: {wrong}")
    return found


if __name__ == "__main__":
    given = sys.argv[1:]
    wrong_ones = faults(int(given[0]), *given[1:2])
    print(*wrong_ones, sep="\n")
    print(len(wrong_ones), "of", len(all_oddities()))
