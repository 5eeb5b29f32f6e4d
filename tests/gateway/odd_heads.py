"""Odd request lines, headers and framing, and requests cut short, each with the statuses that may answer it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.gateway.raw_requests import GOOD_JSON, IMAGE, PATH, PHOTO, form, head, post


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
        "/v3/models/pointrend/infer",
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
