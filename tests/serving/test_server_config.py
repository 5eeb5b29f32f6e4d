"""``config.properties``: what is read of it, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointrend.errors import ConfigError
from pointrend.serving.server_config import ServerConfig


def test_the_packaged_settings() -> None:
    config = ServerConfig.read()
    assert config.addresses["management"] == "http://127.0.0.1:8081"
    assert config.models == ("pointrend",)
    assert config.max_response_bytes == 40 * 2**20
    assert "-Xmx1g" in config.java_options
    assert not config.asks_token


def test_what_is_missing_has_torchserves_own_default(tmp_path: Path) -> None:
    path = tmp_path / "config.properties"
    path.write_text("load_models=a.mar, b.mar\nmetrics_address=unix:/tmp/metrics.sock\n")
    config = ServerConfig.read(path)
    assert config.models == ("a", "b")
    assert config.addresses["inference"] == "http://127.0.0.1:8080"
    assert config.addresses["metrics"] == "unix:/tmp/metrics.sock"
    assert (config.max_request_bytes, config.max_response_bytes) == (6_553_500, 6_553_500)
    assert config.asks_token


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.properties"
    with pytest.raises(ConfigError, match=r"config\.properties cannot be read: No such file"):
        ServerConfig.read(path)
    path.write_text("max_response_size=40 MiB\n")
    with pytest.raises(ConfigError, match=r"max_response_size is '40 MiB'; it must be a whole number of bytes"):
        ServerConfig.read(path)
