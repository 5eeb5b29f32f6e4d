"""The images, each built once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.workshop import IMAGE, MODEL, ROOT, SECRET, SLIM_IMAGE, SPACE, build
from tests.file_server import served
from tests.published import write_checkpoint


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    build(ROOT, IMAGE, tmp_path_factory.mktemp("build"))
    return IMAGE


@pytest.fixture(scope="session")
def slim_image(image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The slim image; built after the image, whose layers it shares."""
    build(ROOT, SLIM_IMAGE, tmp_path_factory.mktemp("build"), target="slim")
    return SLIM_IMAGE


@pytest.fixture(scope="session")
def space(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Space, from its own folder and with its own model, which a mirror has with random weights.

    Built after the image, whose layers it shares as far as the folder holds the same files.
    """
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("space") / "space"
    sha256 = write_checkpoint(MODEL, site)
    with served(site) as url:
        subprocess.run([sys.executable, ROOT / "spaces" / "assemble.py", folder], check=True, capture_output=True)
        arguments = {"POINTREND_MIRROR": url, "MODEL_SHA256": sha256}
        build(folder, SPACE, tmp_path_factory.mktemp("build"), arguments)
    yield SPACE
    # A mirror has another port each time, so that this build's layers are of no use to the next.
    subprocess.run(["buildah", "rmi", "--force", SPACE], check=False, capture_output=True)


@pytest.fixture(scope="session")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("secret") / "token"
    file.write_text(SECRET + "\n")
    file.chmod(0o444)
    return file
