import base64
import re

import pytest

from pointrend.errors import UnsupportedImage
from pointrend.images.decode import decode

WHAT = {
    "HTML": b"\n<!doctype HTML><html><body>404</body></html>",
    "SVG": b"<?xml version='1.0'?>\n<!-- x --><svg xmlns='http://www.w3.org/2000/svg'/>",
    "XML": b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    "JSON": b'{"image": "abc"}',
    "PDF": b"%PDF-1.7\n",
    "base64 text": base64.b64encode(bytes(range(90))),
    "a data: URL": b"data:image/png;base64,iVBORw0KGgo=",
    "a URL": b"https://example.org/cat.jpg",
    "text": "Grüße".encode(),
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0" + bytes(100),
    "video": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(100),
    "a camera's raw file": b"II*\0\x10\0\0\0CR\2\0" + bytes(100),
    "a camera's raw file (CR3)": b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(100),
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "a zip archive": b"PK\x03\x04" + bytes(30),
    "nothing but zero bytes": bytes(500),
}


@pytest.mark.parametrize("name", WHAT)
def test_a_refusal_says_what_arrived_and_what_to_do(name: str) -> None:
    with pytest.raises(
        UnsupportedImage, match=rf"looks like {re.escape(name)}, .+: .+\. Formats that are read: JPEG"
    ) as caught:
        decode(WHAT[name])
    assert caught.value.value == name


def test_of_what_is_not_known_nothing_is_claimed() -> None:
    with pytest.raises(UnsupportedImage, match=r"^The data is not an image that can be read\. Formats") as caught:
        decode(bytes(range(128, 256)) * 3)
    assert caught.value.value is None
