"""Which models of the Hub are kept in the cache, and at which commits. Needs no network and no torch.

``hub/OWNER/NAME/COMMIT/`` is a model folder with a manifest, and ``hub/OWNER/NAME/pins.json`` says which commit each
revision that was asked for stands for. A pin changes only when the model is pulled with ``force``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pointrend.errors import CheckpointError, ConfigError
from pointrend.system.home import home
from pointrend.weights import cache
from pointrend.weights.hub.address import HubAddress, is_address, is_commit

PINS = "pins.json"
_DEFAULT = ""  # the key of the default branch among the pins


@dataclass(frozen=True, slots=True)
class KeptModel:
    """One commit of a repository in the cache.

    Attributes:
        address: with the commit as its revision.
        path: its model folder.
        pinned_by: the addresses that stand for it.
    """

    address: HubAddress
    path: Path
    pinned_by: tuple[HubAddress, ...]


def repository_folder(address: HubAddress) -> Path:
    """What holds a repository's pins and commits; it need not exist."""
    return home() / "hub" / address.owner / address.name


def commit_folder(address: HubAddress, commit: str) -> Path:
    """The model folder of a commit; it appears only when it is complete."""
    return repository_folder(address) / commit


def is_kept(address: HubAddress, commit: str) -> bool:
    """Whether this commit of the repository is in the cache."""
    return (commit_folder(address, commit) / cache.MANIFEST).is_file()


def commit_of(address: HubAddress) -> str | None:
    """The commit that an address stands for here; None where nothing is kept for it.

    Raises:
        CheckpointError: the pins cannot be read.
    """
    commit = _pins(address).get(address.revision or _DEFAULT)
    if commit is None and is_commit(address.revision):
        commit = address.revision
    return commit if commit is not None and is_kept(address, commit) else None


def locate(address: HubAddress) -> Path:
    """The model folder of an address, checked against its manifest.

    Raises:
        ConfigError: the model has not been pulled.
        CheckpointError: it has changed since.
    """
    commit = commit_of(address)
    if commit is None:
        raise ConfigError(f"{address} is not in {home()} yet. Get it with: pointrend weights pull {address}")
    folder = commit_folder(address, commit)
    cache.check_manifest(folder, str(address))
    return folder


def frozen(model: str) -> str:
    """A model's name that means the same on every machine: an address with the commit that it stands for here."""
    if not is_address(model):
        return model
    address = HubAddress.parse(model)
    return str(address.at(commit_of(address)))


def pin(address: HubAddress, commit: str) -> None:
    """Let an address stand for a commit from now on."""
    _write_pins(address, {**_pins(address), address.revision or _DEFAULT: commit})


def kept_models() -> list[KeptModel]:
    """Every commit in the cache, by address."""
    models = []
    for manifest in sorted((home() / "hub").glob(f"*/*/*/{cache.MANIFEST}")):
        folder = manifest.parent
        address = HubAddress(folder.parent.parent.name, folder.parent.name, folder.name)
        pins = _pins(address).items()
        pinned_by = tuple(address.at(revision or None) for revision, commit in sorted(pins) if commit == folder.name)
        models.append(KeptModel(address, folder, pinned_by))
    return models


def remove(address: HubAddress) -> str:
    """Remove from the cache the commit that an address stands for, with every pin on it.

    Returns:
        the commit.

    Raises:
        ConfigError: nothing is kept for the address.
    """
    repository = repository_folder(address)
    if not repository.is_dir():
        raise ConfigError(f"{address} is not in {home()}.")
    with cache.exclusive(repository):
        commit = commit_of(address)
        if commit is None:
            raise ConfigError(f"{address} is not in {home()}.")
        _write_pins(address, {asked: pinned for asked, pinned in _pins(address).items() if pinned != commit})
        # Renamed first, so that a removal that is cut leaves no half of a model in its place.
        scratch = Path(tempfile.mkdtemp(dir=repository, prefix=".removed-"))
        commit_folder(address, commit).rename(scratch / commit)
        shutil.rmtree(scratch)
    return commit


def _pins(address: HubAddress) -> dict[str, str]:
    path = repository_folder(address) / PINS
    try:
        pins = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}. Delete it, and pull {address} again.") from error
    if not isinstance(pins, dict) or not all(map(is_commit, pins.values())):
        raise CheckpointError(f"{path} does not hold commits by revision. Delete it, and pull {address} again.")
    return pins


def _write_pins(address: HubAddress, pins: dict[str, str]) -> None:
    path = repository_folder(address) / PINS
    unfinished = path.with_name(f".{PINS}.new")
    unfinished.write_text(json.dumps(pins, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)
