"""Publishing a model folder on the Hugging Face Hub: checked whole, then one commit of three files and the card.

``huggingface_hub`` is optional, so that it is imported where it is used.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pointrend.errors import ConfigError, UploadError
from pointrend.weights.folder import CARD, CONFIG, INFO, WEIGHTS, ModelFolder
from pointrend.weights.hub import api, card
from pointrend.weights.hub.address import HubAddress, is_commit

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.hf_api import ModelInfo

DEFAULT_BRANCH = "main"
README = "README.md"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was published.

    Attributes:
        address: with the commit as its revision.
        url: of the commit, for a browser.
        changed: False where the repository had exactly these files.
        private: whether the repository is.
    """

    address: HubAddress
    url: str
    changed: bool
    private: bool


def push(model: str | Path, address: HubAddress, *, private: bool = False, message: str | None = None) -> Pushed:
    """Upload a model folder as one commit.

    Args:
        model: a model's folder or name. Its card becomes README.md, with the header of YAML that the Hub reads.
        address: the repository, made where it is missing; its revision is the branch, made where it is missing.
        private: make the repository a private one; one that is there and public is refused.
        message: of the commit.

    Raises:
        ConfigError: the model cannot be used, the address names a commit, or ``huggingface_hub`` is not installed.
        CheckpointError: the weights cannot be read, or do not fit the configuration; nothing was sent.
        UploadError: the Hub refuses, fails, falls silent or cannot be reached; the repository is as it was, or was
            made, empty.
    """
    from pointrend.weights.check import check_weights  # with torch, which other commands need not wait for

    if is_commit(address.revision):
        raise ConfigError(f"{address} names a commit, and a push makes a new one: name a branch, or none.")
    folder = ModelFolder.open(model)
    check_weights(folder)
    hub = api.connect()
    variable = api.offline()
    if variable is not None:
        raise UploadError(f"{address}: {variable} forbids the network.")
    message = message or f"{folder.info.name} {folder.info.version}"
    with _quiet(), api.impatient(), api.explained(address, UploadError), ExitStack() as files:
        readme = card.readme(folder)
        before = _prepare(hub, address, private)
        operations = _operations(folder, readme, files)
        if hub.file_exists(address.repository, CARD, revision=before.sha):
            operations.append(_without(CARD))  # or it would go on being taken for the card
        branch = address.revision or DEFAULT_BRANCH
        done = hub.create_commit(address.repository, operations, commit_message=message, revision=branch)
    return Pushed(address.at(done.oid), done.commit_url, done.oid != before.sha, bool(before.private))


def _prepare(hub: HfApi, address: HubAddress, private: bool) -> ModelInfo:
    """Make the repository and the branch where they are missing.

    Returns:
        the repository at the branch, as it is before the push.

    Raises:
        UploadError: the repository is public, and was to be private.
    """
    hub.create_repo(address.repository, private=private or None, exist_ok=True)
    if private and not hub.model_info(address.repository, timeout=api.SECONDS).private:
        raise UploadError(
            f"{address.repository} already exists and is public, but --private was given. Nothing was uploaded."
        )
    if address.revision not in (None, DEFAULT_BRANCH):
        hub.create_branch(address.repository, branch=str(address.revision), exist_ok=True)
    return hub.model_info(address.repository, revision=address.revision, timeout=api.SECONDS)


def _operations(folder: ModelFolder, readme: str, files: ExitStack) -> list[CommitOperationAdd | CommitOperationDelete]:
    from huggingface_hub import CommitOperationAdd

    # As open files, the library uploads by plain HTTP, which is what was tested, and not by its Xet protocol.
    contents: dict[str, BinaryIO] = {
        name: files.enter_context((folder.path / name).open("rb")) for name in (WEIGHTS, CONFIG, INFO)
    }
    contents[README] = io.BytesIO(readme.encode())
    return [CommitOperationAdd(name, content) for name, content in contents.items()]


def _without(name: str) -> CommitOperationDelete:
    from huggingface_hub import CommitOperationDelete

    return CommitOperationDelete(name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's warnings to itself: of cards without a header, of open files, and signed addresses in both."""
    from huggingface_hub.utils import logging as verbosity

    before = verbosity.get_verbosity()
    verbosity.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        verbosity.set_verbosity(before)
