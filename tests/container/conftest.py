"""The image, built once."""

from __future__ import annotations

from pathlib import Path

import pytest
from workshop import IMAGE, ROOT, SECRET, build


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    build(ROOT, IMAGE, tmp_path_factory.mktemp("build"))
    return IMAGE


@pytest.fixture(scope="session")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("secret") / "token"
    file.write_text(SECRET + "\n")
    file.chmod(0o444)
    return file
