"""TorchServe's starter: the command that Java gets, and the process that it becomes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

starter = pytest.importorskip("pointrend.serving.torchserve_starter", reason="needs the extra serve")

JAVA = f"{sys.prefix}/lib/java/bin/java"
COMMAND = [JAVA, "-Xmx1g", "-cp", ".:/ts/frontend/*", "org.pytorch.serve.ModelServer", "-ncs"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "torchserve.aot"
    file.touch()
    monkeypatch.setattr(starter, "java_cache", lambda: file)
    return file


def test_java_finds_no_classes_in_the_working_directory(cache: Path) -> None:
    cache.unlink()
    assert starter.adapted(COMMAND) == [
        JAVA,
        "-Xmx1g",
        "-cp",
        "/ts/frontend/*",
        "org.pytorch.serve.ModelServer",
        "-ncs",
    ]


def test_the_cache_goes_to_the_java_that_it_was_made_with(cache: Path) -> None:
    assert f"-XX:AOTCache={cache}" in starter.adapted(COMMAND)
    assert not [each for each in starter.adapted(["/usr/bin/java", *COMMAND[1:]]) if "AOT" in each]


def test_what_writes_the_cache_reads_none(cache: Path) -> None:
    options = [each for each in starter.adapted([JAVA, f"-XX:AOTCacheOutput={cache}", *COMMAND[1:]]) if "AOT" in each]
    assert options == [f"-XX:AOTCacheOutput={cache}"]


def test_it_becomes_java_and_ends_as_that_does(tmp_path: Path) -> None:
    """With a script in place of Java: its process id is the starter's, its status is the service's."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho $$\nexit 7\n")
    java.chmod(0o755)
    config = tmp_path / "config.properties"
    config.write_text(f"model_store={tmp_path}\n")
    command = [sys.executable, "-m", starter.__name__, "--start", "--foreground", "--ncs", "--ts-config", str(config)]
    environment = os.environ | {"JAVA_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.read().split()[-1] == str(process.pid)
    assert process.returncode == 7
    assert (tmp_path / ".model_server.pid").read_text() == str(process.pid)


def test_without_java_it_says_so_and_fails(tmp_path: Path) -> None:
    config = tmp_path / "config.properties"
    config.write_text(f"model_store={tmp_path}\n")
    command = [sys.executable, "-m", starter.__name__, "--start", "--foreground", "--ncs", "--ts-config", str(config)]
    environment = os.environ | {"JAVA_HOME": str(tmp_path / "none"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "java not found" in done.stdout
