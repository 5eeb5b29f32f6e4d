"""Forms: what is read, what is refused and why, and that whatever comes is one of the two."""

from __future__ import annotations

import email.parser
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.form_parser import parse
from gateway.forms import BINARY, FORM, JSON, Field, clean, write
from gateway.header_values import Header
from pointrend.errors import InvalidOption, InvalidRequest, RequestError

BOUNDARY = Header(FORM, {"boundary": "XX"})


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form of parts given as their headers and content."""
    pieces = [f"--XX\r\n{headers}\r\n\r\n".encode() + content + b"\r\n" for headers, content in parts]
    return b"".join(pieces) + b"--XX--\r\n"


def named(name: str, content: bytes = b"x", more: str = "") -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="{name}"{more}', content


def read(*parts: tuple[str, bytes]) -> dict[str, Field]:
    return clean(parse(form(*parts), BOUNDARY))


def test_what_is_handed_on() -> None:
    fields = read(
        named("image", b"\xff\xd8", '; filename="a; b.jpg"\r\nContent-Type: image/jpeg'),
        named("masks", b"none"),
        named("categories", b"person"),
        named("categories", b"cat,dog"),
        named("exact", "trüe".encode("latin-1"), "\r\nContent-Type: text/plain; charset=ISO-8859-1"),
        named("refinement", b"3", "\r\nContent-Type: application/json"),
    )
    assert fields == {
        "image": Field(b"\xff\xd8", BINARY),
        "masks": Field(b"none"),
        "categories": Field(b"person,cat,dog"),
        "exact": Field("trüe".encode()),
        "refinement": Field(b"3", JSON),
    }


@pytest.mark.parametrize(
    ("parts", "code", "said"),
    [
        ([("Content-Type: text/plain", b"x")], "invalid_form", "no Content-Disposition"),
        ([("Content-Disposition: form-data", b"x")], "invalid_form", "no name"),
        ([named("")], "invalid_form", "no name"),
        ([named("masks", b"x", "; name=b")], "invalid_form", "gives name twice"),
        ([named("masks", b"x", "\r\nContent-Type: text/plain; charset=klingon")], "unknown_charset", "'klingon'"),
        ([named("image", b"x", "\r\nContent-Type: image/png; charset=klingon")], "unknown_charset", "'klingon'"),
        ([named("masks", b"x", "\r\nContent-Transfer-Encoding: base64")], "invalid_form", "'base64'"),
        ([named("image", b"x", "\r\nContent-Encoding: gzip")], "unsupported_encoding", "'gzip'"),
        ([named("image"), named("image")], "duplicate_image", "2 images"),
        ([named("image"), named("data")], "duplicate_image", "'image' and 'data'"),
        ([named("image"), named("body")], "duplicate_image", "'image' and 'body'"),
        ([named("masks", b"{", "\r\nContent-Type: application/json")], "invalid_json", "not valid JSON"),
        ([named("masks", bytes(70_000))], "invalid_form", "at most 65536"),
        ([named(f"o{number}") for number in range(65)], "invalid_form", "more than 64"),
        ([named("image", b"x", "\r\nContent-Type: multipart/mixed; boundary=YY")], "invalid_form", "multipart/mixed"),
        ([named("masks", b"x", "\r\nX: " + "y" * 5000)], "invalid_form", "cannot be read"),
        ([named("masks", b"x", "\r\nX: y" * 2)], "invalid_form", "twice"),
    ],
)
def test_what_is_refused(parts: list[tuple[str, bytes]], code: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as raised:
        read(*parts)
    assert (raised.value.status, raised.value.code) == (400, code)


@pytest.mark.parametrize("boundary", [None, "", "x" * 71, "a<b", "a ", "ä"])
def test_a_bad_boundary(boundary: str | None) -> None:
    with pytest.raises(InvalidRequest, match="boundary") as raised:
        parse(form(named("image")), Header(FORM, {} if boundary is None else {"boundary": boundary}))
    assert raised.value.field == "Content-Type"


@pytest.mark.parametrize("end", [b"", b"\r\n", b"-", b"--\r\nmore", b"--\r\n--XX--"])
def test_an_end_that_is_none(end: bytes) -> None:
    body = form(named("image")).removesuffix(b"--\r\n") + end
    with pytest.raises(InvalidRequest, match="last"):
        parse(body, BOUNDARY)


def test_names_that_no_option_has_are_told_as_unknown_options() -> None:
    for name in ("im age", "../x", "\x01", "ü", "x" * 200):
        with pytest.raises(InvalidOption, match="There is no option"):
            read(named(name))


def test_a_field_that_is_no_text() -> None:
    with pytest.raises(InvalidOption, match="UTF-8"):
        read(named("masks", b"\xff"))


@pytest.mark.parametrize("text", ["", ";", "a/b c", 'a/b; c="d', "a/b; c", "a/b; c=", "a/b; c=d; C=e", "a/b, c=d"])
def test_headers_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Header.parse("Content-Type", text)


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from((b"--XX", b"\r\n", b"--", b"-", b"\r", b":", b"x", b'"')), max_size=40).map(b"".join),
    st.text(max_size=40),
)
def test_whatever_comes_is_read_or_refused(body: bytes, declared: str) -> None:
    for content_type in ("multipart/form-data; boundary=XX", f"multipart/form-data; boundary=XX{declared}"):
        status = 200
        try:
            clean(parse(body, Header.parse("Content-Type", content_type)))
        except RequestError as error:
            status = error.status
        assert status in (200, 400, 422)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,20}", fullmatch=True),
        st.builds(Field, st.binary(max_size=200), st.sampled_from((None, BINARY, JSON))),
        max_size=5,
    )
)
def test_what_is_written_says_the_same_to_another_parser(fields: dict[str, Field]) -> None:
    pieces, content_type = write(fields)
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + b"".join(pieces))
    read_back = parse(b"".join(pieces), Header.parse("Content-Type", content_type))
    assert {name: bytes(part.content) for name, part in read_back} == {
        name: bytes(each.content) for name, each in fields.items()
    }
    if fields:
        names = [part.get_param("name", header="content-disposition") for part in message.iter_parts()]
        assert names == list(fields)
