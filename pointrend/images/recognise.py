"""What bytes that are no readable image look like, and what to do about it: for the one who sent them by mistake."""

from __future__ import annotations

import re

BEGINNING = 1024
"""Bytes of a file that are looked at."""
_UNDECODED = "it is damaged, or of a kind that the decoder lacks: convert it to JPEG"
_DAMAGED = "it is damaged, or was cut short: send the whole file, in binary"

_SIGNATURES = (
    (rb"version https://git-lfs", "a Git LFS pointer", "the file itself was not fetched: run `git lfs pull`"),
    (rb"%PDF-", "PDF", "export the page as JPEG or PNG"),
    (rb"%!PS", "PostScript", "export it as JPEG or PNG"),
    (rb"<svg|<\?xml[^>]*>.*<svg", "SVG", "render it as PNG"),
    (rb"<!doctype html|<html|<head|<body", "HTML", "the URL returned a web page, not the image"),
    (rb"<\?xml|<Error>", "XML", "a storage service responds like this if a file is missing or private"),
    (rb"data:image/", "a data: URL", "send the decoded bytes, or put it in JSON as 'image'"),
    (rb"https?://\S+", "a URL", "download it and send the bytes: the server does not fetch URLs"),
    (rb"[{\[]", "JSON", "declare it as Content-Type: application/json, with the image in base64 as 'image'"),
    (rb"(?s:.{4})ftyp(?:avif|avis)", "AVIF", _UNDECODED),
    (rb"(?s:.{4})ftyp(?:hei[cmsx]|hev[cmsx]|mif[12]|msf1)", "HEIC", _UNDECODED),
    (rb"(?s:.{4})ftypcrx", "a camera's raw file (CR3)", "develop it as JPEG or TIFF"),
    (rb"II\*\0(?s:.{4})CR|IIU\0|IIRO|FUJIFILMCCD-RAW|\0MRM|FOVb", "a camera's raw file", "develop it as JPEG or TIFF"),
    (rb"(?s:.{4})ftyp|(?s:.{4})moov|\x1aE\xdf\xa3|RIFF(?s:.{4})AVI |OggS|\0\0\x01\xba", "video", "send single frames"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000", "convert it to JPEG or PNG"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL", "convert it to JPEG or PNG"),
    (rb"8BPS", "Photoshop (PSD)", "export it as JPEG or PNG"),
    (rb"\0\0\x01\0", "an icon (ICO)", "convert it to PNG"),
    (rb"v/1\x01", "OpenEXR", "convert it to 8-bit PNG"),
    (rb"(?s:.{128})DICM", "DICOM", "export the picture as PNG"),
    (rb"\x93NUMPY", "a numpy array", "encode it as PNG, or use the client, which does"),
    (rb"PK\x03\x04", "a zip archive", "send its images one by one"),
    (rb"\x1f\x8b", "gzip", "send it uncompressed"),
)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-\s]{24,}={0,2}\s*")
_RIGHT = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)


def recognise(data: bytes | bytearray) -> tuple[str, str]:
    """Say what bytes look like that could not be read as an image.

    >>> recognise(b"<!DOCTYPE html><html>")
    ('HTML', 'the URL returned a web page, not the image')

    Args:
        data: all of them, or the first :data:`BEGINNING`; at least one.

    Returns:
        what they look like, as a noun, and what to do; both empty where nothing is known.
    """
    start = bytes(data[:BEGINNING])
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, name, advice in _SIGNATURES:
        if re.match(pattern, start, re.DOTALL) or re.match(pattern, text, re.IGNORECASE | re.DOTALL):
            return name, advice
    for signature, name in _RIGHT:
        if start.startswith(signature):
            return name, _DAMAGED
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP", _DAMAGED
    if _BASE64.fullmatch(start) and (len(set(start)) > 12):
        return "base64 text", "decode it first, or put it in JSON as 'image'"
    if not start.strip(b"\0"):
        return "nothing but zero bytes", "the file was not written completely"
    if _is_text(start):
        return "text", "send the image file's bytes"
    return "", ""


def _is_text(start: bytes) -> bool:
    decoded = start.decode("utf-8", "ignore")
    return len(decoded) > len(start) - 4 and not re.search(r"[\x00-\x08\x0e-\x1f]", decoded)
