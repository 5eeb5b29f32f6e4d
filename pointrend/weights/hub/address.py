"""``hf://OWNER/NAME[@REVISION]``: the address of a model on the Hugging Face Hub. Needs no network and no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pointrend.errors import ConfigError

SCHEME = "hf://"
FORM = "hf://OWNER/NAME or hf://OWNER/NAME@REVISION"
OTHER_KINDS = ("datasets", "spaces", "buckets", "kernels")  # what the Hub's own addresses begin with besides models
LONGEST_REVISION = 255
_PART = re.compile(r"\w(?:[\w.-]{0,94}\w)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REVISION = re.compile(r"[!-~]+")
_NOT_IN_A_REVISION = ("..", "//", "@{", *"~^:?*[\\")  # git's rules for the name of a reference


def is_address(model: object) -> bool:
    """Whether a model's name is meant as an address on the Hub, well-formed or not."""
    return str(model).lower().startswith("hf:")


def is_commit(text: object) -> bool:
    """Whether this is the full SHA of a commit: 40 hexadecimal digits."""
    return isinstance(text, str) and _COMMIT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A model repository on the Hub.

    Attributes:
        owner: a user or an organisation.
        name: of the repository.
        revision: a branch, a tag, another reference or a commit; None for the default branch.
    """

    owner: str
    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubAddress:
        """Read an address.

        Raises:
            ConfigError: it is malformed; the message names the part.
        """
        if not text.startswith(SCHEME):
            raise ConfigError(f"{text!r:.200} is not an address on the Hub: write {FORM}.")
        repository, at, revision = text.removeprefix(SCHEME).partition("@")
        parts = repository.split("/")
        if len(parts) != 2:
            raise ConfigError(
                f"{text!r:.200} names {len(parts)} part(s) before any @, not an owner and a name: {FORM}."
            )
        if parts[0] in OTHER_KINDS:
            raise ConfigError(f"{text!r:.200} is the address of one of the Hub's {parts[0]}, not of a model: {FORM}.")
        for part, value in zip(("owner", "name"), parts, strict=True):
            _check_part(text, part, value)
        if at:
            _check_revision(text, revision)
        return cls(parts[0], parts[1], revision if at else None)

    @property
    def repository(self) -> str:
        """``OWNER/NAME``, as the Hub's API takes it."""
        return f"{self.owner}/{self.name}"

    def at(self, revision: str | None) -> HubAddress:
        """The same repository at another revision."""
        return HubAddress(self.owner, self.name, revision)

    def __str__(self) -> str:
        return f"{SCHEME}{self.repository}" + (f"@{self.revision}" if self.revision else "")


def _check_part(text: str, part: str, value: str) -> None:
    if not _PART.fullmatch(value) or "--" in value or ".." in value or value.endswith(".git"):
        raise ConfigError(
            f"{text!r:.200}: the {part} is {value!r:.100}; it may have 1 to 96 letters, digits, '_', '-' and '.'; "
            "no '-' or '.' at its ends, no '--', no '..', and no '.git' at its end."
        )


def _check_revision(text: str, value: str) -> None:
    components = value.split("/")
    if (
        not _REVISION.fullmatch(value)
        or len(value) > LONGEST_REVISION
        or any(each in value for each in _NOT_IN_A_REVISION)
        or value.startswith("-")
        or value.endswith(".")
        or any(not each or each.startswith(".") or each.endswith(".lock") for each in components)
    ):
        raise ConfigError(
            f"{text!r:.300}: the revision is {value!r:.100}; it must be a branch, a tag or a commit as git names them, "
            f"in 1 to {LONGEST_REVISION} printable ASCII characters."
        )
