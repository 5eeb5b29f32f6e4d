"""Addresses on the Hugging Face Hub: what is one, and the part that is wrong with what is none."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointrend.errors import ConfigError
from pointrend.weights.folder import ModelFolder
from pointrend.weights.hub.address import HubAddress, is_address
from pointrend.weights.pull import is_missing

PART = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?", fullmatch=True).filter(
    lambda part: "--" not in part and ".." not in part and not part.endswith(".git")
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf://ada/shapes", ("ada", "shapes", None)),
        ("hf://Ada-L/a_b.c-2@main", ("Ada-L", "a_b.c-2", "main")),
        ("hf://a/b@refs/pr/3", ("a", "b", "refs/pr/3")),
        ("hf://a/b@v1.0+cpu", ("a", "b", "v1.0+cpu")),
        ("hf://a/b@x@y", ("a", "b", "x@y")),
        (f"hf://{'a' * 96}/{'b' * 96}@{'0' * 40}", ("a" * 96, "b" * 96, "0" * 40)),
    ],
)
def test_an_address(text: str, parts: tuple[str, str, str | None]) -> None:
    address = HubAddress.parse(text)
    assert (address.owner, address.name, address.revision) == parts
    assert str(address) == text


@given(PART.filter(lambda owner: owner not in ("datasets", "spaces", "buckets", "kernels")), PART)
def test_any_owner_and_name_that_the_hub_allows(owner: str, name: str) -> None:
    from huggingface_hub.utils._validators import validate_repo_id

    validate_repo_id(f"{owner}/{name}")  # the library's own rule
    assert HubAddress.parse(f"hf://{owner}/{name}").repository == f"{owner}/{name}"


@given(st.text(max_size=120))
def test_whatever_is_read_stays_within_its_folder_and_reads_back(text: str) -> None:
    try:
        address = HubAddress.parse(f"hf://{text}")
    except ConfigError:
        return
    assert str(address) == f"hf://{text}"
    assert text.isascii()
    assert len(PurePosixPath(address.owner, address.name).parts) == 2
    assert ".." not in (address.owner, address.name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hf://shapes", r"names 1 part\(s\)"),
        ("hf://", r"names 1 part\(s\)"),
        ("hf://a/b/c", r"names 3 part\(s\)"),
        ("hf://a/b/", r"names 3 part\(s\)"),
        ("hf://datasets/a/b", r"names 3 part\(s\)"),
        ("hf://datasets/b", "one of the Hub's datasets"),
        ("hf:/a/b", "is not an address on the Hub: write hf://OWNER/NAME"),
        ("hf:a/b", "is not an address on the Hub"),
        ("HF://a/b", "is not an address on the Hub"),
        ("hf:///b", "the owner is ''"),
        ("hf://a/", "the name is ''"),
        ("hf://../b", "the owner is '..'"),
        ("hf://a/..", "the name is '..'"),
        ("hf://a/.hidden", "the name is '.hidden'"),
        ("hf://a/b..c", "the name is 'b..c'"),
        ("hf://a--b/c", "the owner is 'a--b'"),
        ("hf://-a/c", "the owner is '-a'"),
        ("hf://a/c.git", "the name is 'c.git'"),
        ("hf://a/b c", "the name is 'b c'"),
        ("hf://a/b?x=1", "the name is"),
        ("hf://a/b#x", "the name is"),
        ("hf://a/b%2F", "the name is"),
        ("hf://é/b", "the owner is"),
        ("hf://user:secret@host/b", r"names 1 part\(s\)"),
        ("hf://a/b\n", "the name is"),
        (f"hf://a/{'b' * 97}", "the name is"),
        ("hf://a/b@", "the revision is ''"),
        ("hf://a/b@..", "the revision is '..'"),
        ("hf://a/b@x/../y", "the revision is"),
        ("hf://a/b@/x", "the revision is"),
        ("hf://a/b@x/", "the revision is"),
        ("hf://a/b@x//y", "the revision is"),
        ("hf://a/b@-x", "the revision is"),
        ("hf://a/b@x.lock", "the revision is"),
        ("hf://a/b@x y", "the revision is"),
        ("hf://a/b@x~1", "the revision is"),
        ("hf://a/b@x^", "the revision is"),
        ("hf://a/b@x\\y", "the revision is"),
        ("hf://a/b@é", "the revision is"),
        (f"hf://a/b@{'x' * 256}", "the revision is"),
    ],
)
def test_what_is_no_address_is_told_by_its_part(text: str, message: str) -> None:
    assert is_address(text)
    for read in (HubAddress.parse, ModelFolder.open, is_missing):
        with pytest.raises(ConfigError, match=message):
            read(text)
