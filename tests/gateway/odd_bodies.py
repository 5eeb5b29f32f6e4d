"""Odd bodies, each with the statuses that may answer it: forms, character sets, boundaries, JSON and raw images."""

from __future__ import annotations

from collections.abc import Iterator

from tests.gateway.raw_requests import FILE, GOOD_JSON, IMAGE, PHOTO, TYPE, form, option, part, post


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
