"""What a file of weights is, by its first bytes rather than by its name; what it is instead, in words."""

from __future__ import annotations

import re
from typing import Literal

from pointrend.errors import CheckpointError
from pointrend.weights.torch_files import LEGACY_START

Format = Literal["safetensors", "torch zip", "torch legacy", "pickle"]
HEAD_BYTES = 1024
_LONGEST_SAFETENSORS_HEADER = 100_000_000  # the format's own limit
_UNPACK = "unpack it first"
_CONVERT = "save the weights of the PyTorch model with torch.save or as safetensors"
_MAGIC = (
    (0, b"\x1f\x8b", f"compressed with gzip: {_UNPACK}"),
    (0, b"\xfd7zXZ\0", f"compressed with xz: {_UNPACK}"),
    (0, b"\x28\xb5\x2f\xfd", f"compressed with zstd: {_UNPACK}"),
    (0, b"BZh", f"compressed with bzip2: {_UNPACK}"),
    (0, b"\x04\x22\x4d\x18", f"compressed with lz4: {_UNPACK}"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7z archive: {_UNPACK}"),
    (0, b"Rar!", f"a RAR archive: {_UNPACK}"),
    (257, b"ustar", f"a tar archive: {_UNPACK}"),
    (0, b"\x89HDF\r\n\x1a\n", f"an HDF5 file, as Keras writes: {_CONVERT}"),
    (0, b"\x93NUMPY", f"a single numpy array: {_CONVERT}"),
    (0, b"GGUF", f"a GGUF file: {_CONVERT}"),
    (0, b"\x89PNG", "a PNG image, not weights"),
    (0, b"\xff\xd8\xff", "a JPEG image, not weights"),
    (0, b"%PDF", "a PDF document, not weights"),
    (0, b"\x7fELF", "a program, not weights"),
)
_DOWNLOAD = "the download is a web page instead of the file: open the URL in a browser, then download it again"
_TEXTS = (
    (
        re.compile(rb"version https://(git-lfs\.github\.com|hawser\.github\.com)/spec/"),
        "a Git LFS pointer, a few lines in place of the weights: get them with `git lfs pull`, or download the file",
    ),
    (re.compile(rb"<(!doctype\s+html|html|head|body|!--)", re.I), f"an HTML page; {_DOWNLOAD}"),
    (re.compile(rb"<\?xml|<Error>", re.I), f"an XML document; {_DOWNLOAD}"),
    (
        re.compile(rb'\{[^\x80-\xff]*?"(weight_map|metadata)"\s*:', re.S),
        "the index of a model in several files, without weights of its own: join the files that it names into one, as "
        "Hugging Face's save_pretrained does with a larger max_shard_size",
    ),
    (re.compile(rb'[\[{]\s*("|\]|\}|\[|\{|-?\d)'), f"JSON, not weights; if it is an error message, {_DOWNLOAD}"),
)
# The first step of a pickle of protocol 0 or 1, which has no mark of its own: a container, or a name.
_OLD_PICKLE = re.compile(rb"\((d|l|t|i[\w.]+\n)|[\]}](q|r|p|\(|\.|U|X|V|K)|c[\w.]+\n[\w.]+\n|\(lp|\(dp")


def identify(head: bytes, size: int) -> Format:
    """Tell the format of a file.

    Args:
        head: its first :data:`HEAD_BYTES`, or all.
        size: its bytes.

    Raises:
        CheckpointError: it has none that is read; says what the file is, where that can be seen, and what to do.
    """
    if size == 0:
        raise CheckpointError("the file is empty")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "torch zip"
    if head.startswith(LEGACY_START):
        return "torch legacy"
    if head[:1] == b"\x80" and 2 <= head[1] <= 5 if len(head) > 1 else False:
        return "pickle"
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= _LONGEST_SAFETENSORS_HEADER:
        return "safetensors"
    for place, magic, words in _MAGIC:
        if head[place:].startswith(magic):
            raise CheckpointError(f"it is {words}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, words in _TEXTS:
        if pattern.match(text):
            raise CheckpointError(f"it is {words}")
    if _OLD_PICKLE.match(head):
        return "pickle"
    kind = "text" if text and all(byte >= 32 or byte in b"\t\r\n" for byte in text) and text.isascii() else "damaged"
    if kind == "text":
        raise CheckpointError(f"it is text, not weights; it begins with {text[:60].decode()!r}")
    raise CheckpointError(
        "it is damaged, or not one of the supported formats: safetensors, what torch.save writes, a pickle of arrays"
    )
