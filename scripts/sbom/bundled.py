"""The libraries that wheels carry inside them without a package of their own: Java's runtime, and native code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

import pi_heif
from PIL import features

# libwebp-51b0b3f7.so.7.2.0, as auditwheel names it, and libtbb.so.12
_SHARED = re.compile(r"^lib(?P<name>.+?)(?:-[0-9a-f]{8})*\.so(?:\.(?P<version>[0-9.]+))?$")
_FOLDERS = re.compile(r"(?:^|/)(?:[\w.-]+\.libs|lib|libs)$")
_OWN = re.compile(r"torch|c10|shm|openvino|aoti|backend_with_compiler|jitbackend")
UNVERSIONED = "unknown"
LICENCES = {"heif": "LGPL-3.0-or-later", "de265": "LGPL-3.0-or-later"}
"""Of what is linked from wheels under another licence; the text is Debian's ``/usr/share/common-licenses/LGPL-3``."""


@dataclass(frozen=True, slots=True)
class Bundled:
    """Something inside a wheel.

    Attributes:
        name: of the library.
        version: a release where the library or its runtime says so, else that of its binary interface, else
            :data:`UNVERSIONED`.
        wheel: that carries it.
        file: its path.
        licence: where it differs from the wheel's own; else None.
    """

    name: str
    version: str
    wheel: str
    file: str
    licence: str | None = None

    @property
    def purl(self) -> str:
        """As a package URL."""
        return f"pkg:generic/{self.name.lower()}@{self.version}"


def bundled(package: Distribution) -> Iterator[Bundled]:
    """What one wheel carries: each shared library that is not the project's own, and a Java runtime."""
    wheel = package.metadata["Name"]
    releases = {"pillow": _pillow_releases, "pi_heif": _heif_releases}.get(wheel.lower().replace("-", "_"), dict)()
    seen = set()
    for file in package.files or []:
        if not Path(str(package.locate_file(file))).exists():
            continue  # the image leaves out what it does not need
        if file.name == "release" and file.parent.name == "java-runtime":
            text = Path(str(package.locate_file(file))).read_text()
            if match := re.search(r'^JAVA_VERSION="([^"]+)"', text, re.MULTILINE):
                yield Bundled("openjdk", match[1], wheel, str(file))
        match = _SHARED.match(file.name)
        # Java's runtime is one thing, named above.
        if match is None or not _FOLDERS.search(str(file.parent)) or "java-runtime" in file.parts:
            continue
        if _OWN.match(match["name"]) or match["name"] in seen:
            continue
        seen.add(match["name"])
        version = releases.get(match["name"]) or match["version"] or UNVERSIONED
        yield Bundled(match["name"], version, wheel, str(file), LICENCES.get(match["name"]))


def _heif_releases() -> dict[str, str]:
    """The releases of libheif and of its decoder, as pi-heif tells them."""
    info = pi_heif.libheif_info()
    decoder = re.search(r"version (\d[\d.]*)", str(info["decoders"].get("libde265", "")))
    return {"heif": str(info["libheif"])} | ({"de265": decoder[1]} if decoder else {})


def _pillow_releases() -> dict[str, str]:
    """The releases of the codecs that Pillow knows the version of, by the names of their files."""
    known = {
        "jpeg": ("libjpeg_turbo", "jpg"),
        "webp": ("webp",),
        "avif": ("avif",),
        "tiff": ("libtiff",),
        "freetype": ("freetype2",),
        "lcms2": ("littlecms2",),
        "openjp2": ("jpg_2000",),
        "harfbuzz": ("harfbuzz",),
    }
    found = {}
    for name, asked in known.items():
        for each in asked:
            version = (
                features.version(each) if each in {**features.modules, **features.codecs, **features.features} else None
            )
            if version and re.match(r"\d", version):
                found[name] = version
                break
    return found
