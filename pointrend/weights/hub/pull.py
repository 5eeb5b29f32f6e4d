"""Pulling a model from the Hugging Face Hub: three files and a card, of one commit, checked and kept.

The Hub's library resolves the revision and tells each file's size and hash before it is fetched; the bytes come by
the downloader of all published models, which resumes, bounds and hashes them. Nothing else of the repository is
fetched, no pickle is read, and nothing of it is run.

The library is optional, so that it is imported where it is used.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pointrend.errors import CheckpointError, ConfigError, DownloadError, Unreachable
from pointrend.system.home import home
from pointrend.weights import cache
from pointrend.weights.download import Bearer, Progress, download
from pointrend.weights.expected_file import ExpectedFile
from pointrend.weights.folder import CARD, CONFIG, INFO, WEIGHTS, ModelFolder
from pointrend.weights.hub import api, store
from pointrend.weights.hub.address import HubAddress, is_commit

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

MOST_BYTES = {WEIGHTS: 4 * 2**30, CONFIG: 2**20, INFO: 2**20, CARD: 2**20}
CARDS = (CARD, "README.md")  # by either name; the first that is there
OTHER_WEIGHTS = (".bin", ".pkl", ".pickle", ".pth", ".pt", ".ckpt", ".h5", ".onnx", ".msgpack", ".npz")
PARTS = ".parts"  # in a repository's folder: what was received so far
ADVICE = "The Hub listed the file a moment ago: run the command again."


@dataclass(frozen=True, slots=True)
class _RemoteFile:
    """A file of one commit, before it is fetched.

    Attributes:
        name: what it is called in a model folder.
        url: of its content.
        size: bytes, where the Hub tells.
        digest: its SHA-256, or for a small file its git hash; empty where the Hub tells neither.
    """

    name: str
    url: str
    size: int | None
    digest: str

    @property
    def expected(self) -> ExpectedFile:
        least, most = (0, MOST_BYTES[self.name]) if self.size is None else (self.size, self.size)
        return ExpectedFile(least, most, self.digest, (cache.GIT_BLOB,) if is_commit(self.digest) else ("sha256",))


def pull(address: HubAddress, *, progress: Progress = lambda _here, _total: None, force: bool = False) -> ModelFolder:
    """Get a model from the Hub; what is kept for the address is used without the network.

    Args:
        address: its revision is resolved to a commit, once: the address stands for it until it is pulled by force.
        progress: told of the download.
        force: resolve the revision again, and download the commit again.

    Raises:
        ConfigError: ``huggingface_hub`` is not installed, or the files are no model.
        Unreachable: it is not in the cache, and the Hub cannot be reached now, or must not be.
        DownloadError: the Hub has no such repository, revision or file, or does not give it, or another.
        CheckpointError: the weights do not fit the configuration; or the kept model has changed.
    """
    if force or store.commit_of(address) is None:
        variable = api.offline()
        if variable is not None:
            raise Unreachable(f"{address} cannot be pulled to {home()}: {variable} forbids the network.")
        with cache.exclusive(store.repository_folder(address)):
            if force or store.commit_of(address) is None:  # another process may have got it in the meantime
                _install(api.connect(), address, progress, force)
    return ModelFolder.open(str(address))


def _install(hub: HfApi, address: HubAddress, progress: Progress, force: bool) -> None:
    with api.explained(address):
        info = hub.model_info(address.repository, revision=address.revision, timeout=api.SECONDS)
    commit = info.sha or ""
    if not is_commit(commit) or (is_commit(address.revision) and commit != address.revision):
        raise DownloadError(f"{address}: the Hub resolves it to {commit!r:.100}, which is not its commit.")
    if force or not store.is_kept(address, commit):
        files = _files(hub, address, info, commit)
        _fetch(address, api.shown(hub.endpoint), commit, files, progress)
    store.pin(address, commit)


def _files(hub: HfApi, address: HubAddress, info: ModelInfo, commit: str) -> list[_RemoteFile]:
    """The model's files at a commit, each within its bounds.

    Raises:
        DownloadError: one is missing or too large.
    """
    files = []
    for name in (WEIGHTS, CONFIG, INFO):
        file = _look(hub, address, commit, name, name)
        if file is None:
            raise DownloadError(f"{address}: the repository lacks {name} at commit {commit}. {_instead(info)}")
        files.append(file)
    for name in CARDS:
        card = _look(hub, address, commit, name, CARD)
        if card is not None:
            return [*files, card]
    return files


def _look(hub: HfApi, address: HubAddress, commit: str, name: str, kept_as: str) -> _RemoteFile | None:
    """Ask for a file's size and hash; None where the commit has no such file."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError

    url = hf_hub_url(address.repository, name, revision=commit, endpoint=hub.endpoint)
    with api.explained(address):
        try:
            found = hub.get_hf_file_metadata(url=url, timeout=api.SECONDS)
        except RemoteEntryNotFoundError:
            return None
        except HfHubHTTPError as error:
            # A mirror may leave out the Hub's own code of the error; the repository itself was there a moment ago.
            if error.response.status_code == 404 and "X-Error-Code" not in error.response.headers:
                return None
            raise
    if found.commit_hash != commit:
        raise DownloadError(
            f"{address}: the Hub was asked for {name} at commit {commit}, and answers with {found.commit_hash!r:.60}."
        )
    if found.size is not None and not 0 <= found.size <= MOST_BYTES[kept_as]:
        raise DownloadError(f"{address}: {name} has {found.size} bytes; it may have at most {MOST_BYTES[kept_as]}.")
    digest = (found.etag or "").lower()
    known = len(digest) in (40, 64) and set(digest) <= set("0123456789abcdef")
    return _RemoteFile(kept_as, url, found.size, digest if known else "")


def _instead(info: ModelInfo) -> str:
    """What a model repository needs, and what this one has in its place."""
    names = [str(file.rfilename) for file in info.siblings or ()]
    others = sorted(name for name in names if name.lower().endswith(OTHER_WEIGHTS))
    needs = f"A model needs {WEIGHTS}, {CONFIG} and {INFO}, at the top."
    if not others:
        return needs
    shown = ", ".join(f"{name!r:.60}" for name in others[:3])
    return (
        f"{needs} It has {shown}, but only safetensors are read from the Hub: `pointrend weights convert` makes a "
        "model of a detectron2 checkpoint."
    )


def _fetch(address: HubAddress, endpoint: str, commit: str, files: Sequence[_RemoteFile], progress: Progress) -> None:
    """Download the files, check that they are a model, and put its folder in its place."""
    from pointrend.weights.check import check_weights, require_safetensors  # with torch, only needed here

    token = api.token()
    total, before = sum(file.size or 0 for file in files) or None, 0
    fetched: dict[str, Path] = {}
    parts = store.repository_folder(address) / PARTS

    def tell(here: int, _total: int | None) -> None:
        progress(before + here, total)

    for file in files:
        destination = parts / f"{commit}-{file.name}"
        download(
            file.url,
            destination,
            file.expected,
            progress=tell,
            auth=None if token is None else Bearer(token),
            advice=ADVICE,
        )
        before += file.size or 0
        fetched[file.name] = destination
    with cache.replacing(store.commit_folder(address, commit)) as made:
        made.mkdir()
        for name, path in fetched.items():
            path.replace(made / name)
        try:
            require_safetensors(made / WEIGHTS)
            check_weights(ModelFolder.open(made))
        except (ConfigError, CheckpointError) as error:
            message = str(error).replace(f"{made}/", "").replace(str(made), address.repository)
            raise type(error)(f"{address} at commit {commit}: {message}") from error
        source = {"hub": endpoint, "repository": address.repository, "revision": address.revision, "commit": commit}
        cache.write_manifest(made, source)
    shutil.rmtree(parts)  # of other commits too: downloads that were given up
