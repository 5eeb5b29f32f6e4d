"""HTTP requests put together byte by byte, for cases that no HTTP library would send."""

from __future__ import annotations

import base64
import io
import json

from PIL import Image

PATH = "/predictions/pointrend"


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
