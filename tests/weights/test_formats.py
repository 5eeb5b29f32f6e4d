"""What a file of weights is, is told by its content; what it is instead, in one sentence with what to do."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import itertools
import json
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from pointrend.errors import CheckpointError
from pointrend.weights.checkpoint import read_checkpoint
from pointrend.weights.folder import SUFFIXES
from pointrend.weights.formats import HEAD_BYTES, identify

STATE = {"w": torch.arange(6, dtype=torch.float32).reshape(2, 3)}
ARRAYS = {"model": {"w": STATE["w"].numpy()}}


def torch_saved(*, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save({"model": STATE}, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


CONTENTS = {
    "safetensors": save(STATE),
    "torch zip": torch_saved(),
    "torch legacy": torch_saved(legacy=True),
    **{f"pickle {protocol}": pickle.dumps(ARRAYS, protocol) for protocol in range(6)},
}
CASES = (str.lower, str.upper, str.title)


@pytest.mark.parametrize("content", CONTENTS)
def test_every_format_is_read_under_every_name(tmp_path: Path, content: str) -> None:
    for suffix, case in itertools.product(SUFFIXES, CASES):
        path = tmp_path / f"m{case(suffix)}"
        path.write_bytes(CONTENTS[content])
        assert torch.equal(read_checkpoint(path)["w"], STATE["w"])
        path.unlink()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 173\n"
INDEX = {"metadata": {"total_size": 1}, "weight_map": {"w": "model-00001-of-00002.safetensors"}}
OTHERS = {
    "empty": (b"", "the file is empty"),
    "pointer": (POINTER, "Git LFS pointer.*git lfs pull"),
    "page": (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page.*download it again"),
    "page with space": (b"\xef\xbb\xbf\r\n  <HTML lang=en>", "an HTML page"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document.*download it again"),
    "json": (b'{"error": "Repository not found"}', "JSON.*error message"),
    "json list": (b'[ {"x": 1}]', "JSON"),
    "index": (json.dumps(INDEX).encode(), "the index of a model in several files.*join"),
    "text": (b"Not Found\n", "text, not weights; it begins with 'Not Found"),
    "gzip": (gzip.compress(CONTENTS["pickle 2"]), "gzip: unpack it first"),
    "xz": (lzma.compress(CONTENTS["pickle 2"]), "xz: unpack it first"),
    "bzip2": (bz2.compress(CONTENTS["pickle 2"]), "bzip2: unpack it first"),
    "zstd": (b"\x28\xb5\x2f\xfd" + b"\0" * 20, "zstd: unpack it first"),
    "tar": (tar(), "a tar archive: unpack it first"),
    "npy": (npy(), "a single numpy array"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 20, "HDF5"),
    "png": (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    "zeros": (b"\0" * 4096, "damaged, or not one of the supported formats"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".PKL"])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, name: str, suffix: str) -> None:
    content, words = OTHERS[name]
    path = tmp_path / f"m{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert len(text) < 400 + len(str(path))


def test_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.pth").mkdir()
    with pytest.raises(CheckpointError, match="it is a folder, not a regular file"):
        read_checkpoint(tmp_path / "m.pth")


@given(st.binary(max_size=2 * HEAD_BYTES) | st.text().map(str.encode))
def test_any_bytes_have_a_format_or_a_sentence(content: bytes) -> None:
    try:
        assert identify(content[:HEAD_BYTES], len(content)) in ("safetensors", "torch zip", "torch legacy", "pickle")
    except CheckpointError as error:
        sentence = str(error)
    else:
        sentence = "a format"
    assert sentence
    assert "\n" not in sentence


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(CONTENTS[data.draw(st.sampled_from(sorted(CONTENTS)))])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        length = data.draw(st.sampled_from([0, 1, 2, 4, 8]))
        patch = data.draw(st.binary(max_size=8) | st.sampled_from([b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0" * 8]))
        content[place : place + length] = patch
    path = tmp_path_factory.mktemp("damaged") / "m.pth"
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):  # damage within the numbers goes unseen
        read_checkpoint(path)


def test_an_empty_zip_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pth", "w"):
        pass
    with pytest.raises(CheckpointError, match=r"lacks data\.pkl"):
        read_checkpoint(tmp_path / "m.pth")


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, content: str) -> None:
    whole = CONTENTS[content]
    path = tmp_path / "m.pth"
    for length in {*range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
