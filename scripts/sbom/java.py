"""The libraries inside TorchServe's jar, and which of its classes can run at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import yaml

TABLE = Path(__file__).with_name("java-libraries.yaml")
JAR = "ts/frontend/model-server.jar"
SERVER = "org/pytorch/serve/"
# Whose services are looked for: Log4j asks Java for script engines, and so Groovy's factory is loaded.
SERVICES = ("javax.", "io.grpc.", "org.apache.logging.")
_SERVICES = "META-INF/services/"
_CLASS = ".class"
_MULTI_RELEASE = re.compile(r"^META-INF/versions/\d+/")
# A class' name as it stands in another's constants, with slashes in code and with dots where it is found by name.
_NAME = re.compile(rb"[A-Za-z_$][\w$]*(?:(?:/[\w$]+)+|(?:\.[\w$]+)+)")
# Constants of a class file: the tag of a text, the bytes behind every other tag, and the tags that take two places.
_TEXT = 1
_SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
_DOUBLE = (5, 6)


class UnknownLibraryError(Exception):
    """The jar holds what :data:`TABLE` does not explain."""


@dataclass(frozen=True, slots=True)
class Library:
    """A library of which the jar holds classes.

    Attributes:
        name: its Maven coordinates, ``group:artifact``.
        version: that lies in the jar.
        licence: an SPDX identifier.
        source: where the version is known from.
        is_read: whether it was read from the jar, not only declared elsewhere.
        folders: of its classes.
    """

    name: str
    version: str
    licence: str
    source: str
    is_read: bool
    folders: tuple[str, ...]

    @property
    def purl(self) -> str:
        """As a package URL."""
        return f"pkg:maven/{self.name.replace(':', '/')}@{self.version}"


class Jar:
    """TorchServe's jar.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = ZipFile(path)

    @classmethod
    def installed(cls) -> Jar | None:
        """That of the wheel, where it is installed; nothing of it is imported."""
        spec = find_spec("ts")
        return cls(Path(spec.origin).parents[1] / JAR) if spec and spec.origin else None

    def read(self, name: str) -> bytes:
        """A file in it that is no class."""
        return self._file.read(name)

    @cached_property
    def classes(self) -> frozenset[str]:
        """Names with slashes; those for newer Javas count as the ones that they replace."""
        names = (_MULTI_RELEASE.sub("", name) for name in self._file.namelist() if name.endswith(_CLASS))
        return frozenset(name.removesuffix(_CLASS) for name in names)

    @cached_property
    def libraries(self) -> tuple[Library, ...]:
        """All of them, each with its version.

        Raises:
            UnknownLibraryError: a class belongs to none of the table, one of the table has none, or a version is not
                where the table says.
        """
        found = tuple(self._library(row) for row in yaml.safe_load(TABLE.read_text()))
        owned = {folder for library in found for folder in library.folders}
        strangers = {name for name in self.classes if "/" in name and not owned.intersection(_folders(name))}
        if strangers:
            raise UnknownLibraryError(f"{len(strangers)} classes are of no known library, such as {min(strangers)}.")
        held = {folder for name in self.classes for folder in _folders(name)}
        if missing := owned - held:
            raise UnknownLibraryError(f"The jar holds nothing in {', '.join(sorted(missing))}.")
        return found

    @cached_property
    def reachable(self) -> frozenset[str]:
        """The classes that running TorchServe can load, seen from the outside: an upper bound.

        From TorchServe's own, and the services that Java, gRPC and Log4j find by name, follow all classes that their
        constants name.
        """
        names = (name for name in self._file.namelist() if name.startswith(_SERVICES))
        services = [name for name in names if name.removeprefix(_SERVICES).startswith(SERVICES)]
        roots = {name for name in self.classes if name.startswith(SERVER)}
        for service in services:
            lines = self._file.read(service).decode().splitlines()
            roots |= {line.split("#")[0].strip().replace(".", "/") for line in lines} & self.classes
        reached, left = set(roots), list(roots)
        while left:
            named = set(self._named(left.pop())) - reached
            reached |= named
            left += named
        return frozenset(reached)

    def can_run(self, prefix: str) -> bool:
        """Whether any class whose name begins so is :attr:`reachable`.

        Raises:
            UnknownLibraryError: the jar has no such class, so that the question is mistaken.
        """
        if not any(name.startswith(prefix) for name in self.classes):
            raise UnknownLibraryError(f"The jar has no class {prefix}.")
        return any(name.startswith(prefix) for name in self.reachable)

    def _named(self, name: str) -> Iterator[str]:
        if f"{name}{_CLASS}" not in self._file.NameToInfo:  # for newer Javas alone
            return
        for text in constants(self._file.read(f"{name}{_CLASS}")):
            for found in _NAME.findall(text):
                candidate = found.decode().replace(".", "/")
                # A descriptor has an L before the name.
                yield from {candidate, candidate.removeprefix("L")} & self.classes

    def _library(self, row: Mapping[str, Any]) -> Library:
        where = row["version"]
        if "declared" in where:
            version, source = where["declared"], f"declared by {where['by']}"
        else:
            text = self._file.read(where["file"]).decode("latin-1")
            match = re.search(where["pattern"], text)
            if match is None:
                raise UnknownLibraryError(f"{where['file']} does not say which {row['name']} it is.")
            version, source = match[1], where["file"]
        return Library(
            name=row["name"],
            version=version,
            licence=row["licence"],
            source=source,
            is_read="file" in where,
            folders=tuple(row["folders"]),
        )


def constants(code: bytes) -> Iterator[bytes]:
    """The texts among the constants of a class file (The Java Virtual Machine Specification, section 4.4)."""
    count, at, index = int.from_bytes(code[8:10]), 10, 1
    while index < count:
        tag = code[at]
        if tag == _TEXT:
            length = int.from_bytes(code[at + 1 : at + 3])
            yield code[at + 3 : at + 3 + length]
            at += 3 + length
        else:
            at += 1 + _SIZES[tag]
        index += 2 if tag in _DOUBLE else 1


def _folders(name: str) -> list[str]:
    """The folders above a class, ``a/b/C`` -> ``a``, ``a/b``."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]
