"""The container's variables: what is refused, and what each role needs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.config import VARIABLES, ContainerConfig, VariableError

SECRET = "correct-horse-battery"


def test_on_loopback_nothing_needs_to_be_set() -> None:
    config = ContainerConfig.read({})
    assert (config.role, config.host, config.port, config.grpc_port) == ("all", "127.0.0.1", 7860, 7070)
    assert config.serves_api
    assert config.serves_page


def test_a_server_beyond_loopback_does_not_start_without_a_secret() -> None:
    with pytest.raises(VariableError, match=r"0\.0\.0\.0 for everyone: set POINTREND_TOKEN"):
        ContainerConfig.read({"POINTREND_ROLE": "server", "POINTREND_HOST": "0.0.0.0"})
    config = ContainerConfig.read({"POINTREND_ROLE": "server", "POINTREND_HOST": "0.0.0.0", "POINTREND_TOKEN": SECRET})
    assert config.serves_api
    assert config.port == 8080


def test_page_and_server_in_one_keep_the_api_closed_without_a_secret() -> None:
    config = ContainerConfig.read({"POINTREND_HOST": "::"})
    assert config.host == "[::]"
    assert config.serves_page
    assert not config.serves_api


def test_the_slim_image_has_no_torchserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ts", None)
    given = {"POINTREND_TOKEN": SECRET}
    with pytest.raises(VariableError, match=r"'torchserve', and TorchServe is not installed here.*Set it to 'asgi'"):
        ContainerConfig.read(given)
    assert ContainerConfig.read(given | {"POINTREND_BACKEND": "asgi"}).grpc_port == 7070
    page = {"POINTREND_ROLE": "page", "POINTREND_SERVER": "http://server:8080"}
    assert ContainerConfig.read(page).role == "page"


def test_a_file_may_hold_several_secrets(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n\n  another-long-secret= \n")
    assert ContainerConfig.read({"POINTREND_TOKEN_FILE": str(file)}).tokens == (SECRET, "another-long-secret=")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"POINTREND_ROLE": "both"}, "POINTREND_ROLE is 'both'"),
        ({"POINTREND_HOST": "localhost"}, "POINTREND_HOST is 'localhost'"),
        ({"PORT": "0"}, "PORT is '0'; it may be 1 to 65535"),
        ({"PORT": "eighty"}, "PORT is 'eighty'"),
        ({"PORT": "7070"}, "PORT and POINTREND_GRPC_PORT are both 7070"),
        ({"POINTREND_TOKEN": "short"}, "a secret of 5 characters; 16 are needed"),
        ({"POINTREND_TOKEN": 'sixteen"; letters'}, "other characters"),
        ({"POINTREND_TOKEN": SECRET, "POINTREND_TOKEN_FILE": "/x"}, "both set"),
        ({"POINTREND_TOKEN_FILE": "/nowhere/token"}, "cannot be read: No such file"),
        ({"POINTREND_TOKEN_FILE": "/dev/null"}, "is empty"),
        ({"POINTREND_ROLE": "page"}, "The page needs POINTREND_SERVER"),
        ({"POINTREND_ENGINE": "int8"}, "POINTREND_ENGINE is 'int8'; it may be auto, eager, openvino, openvino-int8"),
        ({"POINTREND_BACKEND": "triton"}, "POINTREND_BACKEND is 'triton'; it may be torchserve, asgi"),
        ({"POINTREND_WORKERS": "0"}, "POINTREND_WORKERS: workers is 0; it may be 1"),
        ({"POINTREND_WORKERS": "10000"}, "POINTREND_WORKERS: workers is 10000; it may be 1"),
        ({"POINTREND_WORKERS": "two"}, "POINTREND_WORKERS is 'two'; it must be a whole number, or empty"),
        ({"POINTREND_RATE": "-1"}, "POINTREND_RATE is '-1'"),
        ({"POINTREND_TRUSTED_PROXIES": "10.0.0.0/8,all"}, "names 'all'"),
        ({"POINTREND_ALLOW_ORIGINS": "https://a.example,*"}, r"POINTREND_ALLOW_ORIGINS: '\*' is not an origin"),
    ],
)
def test_what_is_refused(variables: dict[str, str], message: str) -> None:
    with pytest.raises(VariableError, match=message) as caught:
        ContainerConfig.read(variables)
    assert SECRET not in str(caught.value)
    assert 'sixteen"' not in str(caught.value)


def test_every_variable_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "deploy" / "index.md").read_text()
    for variable in VARIABLES:
        assert f"| `{variable.name}` | {variable.default or '-'} | {variable.help} |" in page
