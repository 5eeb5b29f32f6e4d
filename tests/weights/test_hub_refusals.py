"""What the Hub refuses, and where a token goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointrend.errors import DownloadError
from pointrend.weights.pull import pull
from tests.hub_server import TOKEN, Fault, Repository, StandInHub
from tests.weights.hub_cases import ADDRESS, OWN, home, nothing_is_kept


def test_no_such_repository_or_a_private_one(
    hub: StandInHub, published: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.private = True
    for address in ("hf://ada/none", ADDRESS):
        with pytest.raises(DownloadError, match=r"has no such repository, or it is private. No token is set here"):
            pull(address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(DownloadError, match=r"has no such repository, or it is private. The token .* not have access"):
        pull("hf://ada/none")
    assert pull(ADDRESS).info.name == "shapes"
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(DownloadError, match="does not accept the token") as caught:
        pull(ADDRESS, force=True)
    assert "hf_another" not in str(caught.value)


def test_the_token_goes_to_the_hub_only_and_is_not_kept(
    hub: StandInHub, published: Repository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    published.private = True
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    pull(ADDRESS)
    assert all(
        seen.headers["authorization"] == f"Bearer {TOKEN}" for seen in hub.hub.requests if "resolve" in seen.path
    )
    assert hub.storage.requests
    assert not any("authorization" in seen.headers for seen in hub.storage.requests)
    assert TOKEN not in caplog.text
    assert not [path for path in home().rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize("where", ["GET /api/models", "HEAD .*model.json", "GET .*model.json"])
def test_a_redirect_to_a_foreign_server_does_not_take_the_token_along(
    hub: StandInHub, published: Repository, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.hub.faults = [Fault(where, location=f"{hub.storage.url}/elsewhere")]
    with pytest.raises(DownloadError):
        pull(ADDRESS)
    assert not any("authorization" in seen.headers for seen in hub.storage.requests)
    assert nothing_is_kept()


def test_a_netrc_does_not_replace_the_token(
    hub: StandInHub, published: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    published.private = True
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert pull(ADDRESS).info.name == "shapes"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("GET /api/", status=429, headers={"Retry-After": "120"}), "limits the rate .* in 120 seconds"),
        (Fault("HEAD", status=429), "limits the rate of requests. Try again later"),
        (Fault("GET .*resolve", status=429, headers={"Retry-After": "999"}), "429 .* asks to wait 999 seconds"),
        (Fault("GET /api/", status=500), "answers 500 .* Try again later"),
        (Fault("HEAD", status=504), "answers 504 .* Try again later"),
        (Fault("GET .*resolve", status=503), "4 attempts: the server answers 503"),
        (Fault("GET .*resolve", status=403), "403 Forbidden. The Hub listed the file a moment ago"),
        (Fault("GET /api/", status=403), "forbids it: .* No token is set here"),
        (Fault("GET /api/", status=418), "answers 418"),
        (Fault("GET /api/", body=b"<html>"), "speaks the Hub's API"),
        (Fault("GET /api/", body=b"[1, 2]"), "speaks the Hub's API"),
        (Fault("HEAD .*model.json", location="/ada/shapes/resolve/main/model.json"), "cannot be asked: .*redirects"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence(hub: StandInHub, published: Repository, fault: Fault, message: str) -> None:
    hub.hub.faults = [fault]
    with pytest.raises(DownloadError, match=message):
        pull(ADDRESS)
    assert nothing_is_kept()


def test_no_such_revision(hub: StandInHub, published: Repository) -> None:
    with pytest.raises(DownloadError, match=rf"{ADDRESS}@v9: the repository has no revision 'v9'"):
        pull(f"{ADDRESS}@v9")


def test_a_gated_repository(hub: StandInHub, published: Repository) -> None:
    published.gated = True
    with pytest.raises(DownloadError, match=f"is gated. Accept its terms at {hub.url}/{OWN}, .* run `hf auth login`"):
        pull(ADDRESS)


def test_a_wait_that_the_server_asks_for_is_kept(hub: StandInHub, published: Repository) -> None:
    hub.hub.faults = [Fault("GET .*resolve", times=1, status=429, headers={"Retry-After": "1"})]
    assert pull(ADDRESS).info.name == "shapes"
