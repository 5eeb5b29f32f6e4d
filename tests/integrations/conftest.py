"""A Label Studio with a backend of the demo model, shared by the tests of both."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from tests.label_studio import KEY, LabelStudio, install, running
from tests.launched import launched
from tests.ports import free_ports


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    folder = tmp_path_factory.mktemp("label-studio")
    program = install(tmp_path_factory.mktemp("label-studio-environment"))
    with running(program, folder, free_ports(1)[0]) as server:
        yield server


@pytest.fixture(scope="session")
def backend(label_studio: LabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of ``pointrend label-studio``."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "pointrend", "label-studio", "--url", label_studio.url, "--port", str(port)]
    log = tmp_path_factory.mktemp("backend") / "output.log"
    with launched(command, log, os.environ | {"LABEL_STUDIO_API_KEY": KEY}):
        yield f"http://127.0.0.1:{port}"
