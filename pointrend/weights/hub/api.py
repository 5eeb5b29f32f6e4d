"""The connection to the Hub by its own library, ``huggingface_hub``, and its errors as sentences.

The library finds the endpoint (``HF_ENDPOINT``) and the token (``HF_TOKEN``, or ``hf auth login``) by itself. Its
telemetry is off: with it, it would fetch a list of agents, and tell the installed torch.

The library is optional, so that it is imported where it is used.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from pointrend.errors import ConfigError, DownloadError, PointRendError, Unreachable
from pointrend.version import __version__
from pointrend.weights import cache
from pointrend.weights.download import NETWORK_ADVICE
from pointrend.weights.hub.address import HubAddress

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

SECONDS = 10.0  # for the Hub to answer a question
UPLOAD_SECONDS = 120.0  # without the Hub taking or sending a byte; it answers a commit once it has checked it
MOST_SHOWN = 200  # characters of what the Hub says itself
_TRUE = ("1", "true", "yes", "on")


def connect() -> HfApi:
    """The Hub's API.

    Raises:
        ConfigError: the library is not installed.
    """
    try:
        from huggingface_hub import HfApi, constants
    except ImportError as error:
        raise ConfigError(
            "A model of the Hugging Face Hub needs huggingface_hub: pip install 'pointrend-serve[hub]'"
        ) from error
    constants.HF_HUB_DISABLE_TELEMETRY = True  # its variable is read only once, by whoever imports the library first
    return HfApi(endpoint=_endpoint(), library_name="pointrend-serve", library_version=__version__)


def token() -> str | None:
    """The token that the library finds and may send; None for none."""
    from huggingface_hub import constants, get_token

    return None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Give up a request on which nothing moves for :data:`UPLOAD_SECONDS`: the library waits forever where it uploads.

    What it retries, it retries then too. Its other users in this process have their own client back afterwards.
    """
    import httpx2
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    # There is no public way to ask for what is to be put back.
    before = getattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)

    def client() -> httpx2.Client:
        made: httpx2.Client = before()
        made.timeout = httpx2.Timeout(UPLOAD_SECONDS, connect=SECONDS)
        return made

    set_client_factory(client)
    try:
        yield
    finally:
        set_client_factory(before)


def offline() -> str | None:
    """The variable that forbids the network, None where none does."""
    if cache.offline():
        return "POINTREND_OFFLINE"
    return "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in _TRUE else None


def shown(url: str) -> str:
    """A URL without the user name and password that it may carry."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@contextlib.contextmanager
def explained(address: HubAddress, kind: type[PointRendError] = DownloadError) -> Iterator[None]:
    """Turn what goes wrong in a conversation with the Hub into a sentence.

    Args:
        address: what it is about.
        kind: of the error where the Hub refuses or fails; one of the network is an ``Unreachable`` for a download.

    Raises:
        PointRendError: of that kind; the message tells neither the token nor a signed address.
    """
    import httpx2  # the library's own; it comes with it
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    unreachable = Unreachable if kind is DownloadError else kind
    try:
        yield
    except PointRendError:
        raise
    except OfflineModeIsEnabled as error:
        raise unreachable(f"{address}: HF_HUB_OFFLINE forbids the network.") from error
    except HfHubHTTPError as error:
        raise kind(f"{address}: {_refusal(address, error)}") from error
    except httpx2.TransportError as error:
        raise unreachable(
            f"{address}: {shown(_endpoint())} cannot be reached: {_network_reason(error)}. {NETWORK_ADVICE}"
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise kind(f"{address}: {shown(_endpoint())} cannot be asked: {_short(str(error))}.") from error
    except HFValidationError as error:
        raise ConfigError(f"{address}: {_short(str(error))}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise kind(
            f"{address}: {shown(_endpoint())} sent an unusable response: {_short(str(error))}. "
            "If HF_ENDPOINT is set, check that it speaks the Hub's API."
        ) from error
    except RuntimeError as error:
        # How the library wraps what goes wrong in one of several uploads.
        if error.__cause__ is None:
            raise
        with explained(address, kind):
            raise error.__cause__ from error


def _endpoint() -> str:
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _refusal(address: HubAddress, error: HfHubHTTPError) -> str:
    """Why the Hub refuses, and what to do."""
    from huggingface_hub.errors import (
        DisabledRepoError,
        GatedRepoError,
        RemoteEntryNotFoundError,
        RevisionNotFoundError,
    )

    endpoint, response = shown(_endpoint()), error.response
    status, headers = response.status_code, response.headers
    if isinstance(error, GatedRepoError):
        return (
            f"the repository is gated. Accept its terms at {endpoint}/{address.repository}, "
            f"with the account whose token is used here. {_about_token()}"
        )
    if isinstance(error, DisabledRepoError):
        return "the Hub has disabled the repository."
    if isinstance(error, RevisionNotFoundError):
        return f"the repository has no revision {address.revision or 'main'!r}."
    if isinstance(error, RemoteEntryNotFoundError):
        return f"the repository lacks a file: {_short(error.server_message or str(error))}."
    if status == 401 and headers.get("X-Error-Message", "").startswith("Invalid credentials"):
        return f"{endpoint} does not accept the token that is set here: get a new one, or unset it."
    if status in (401, 404):
        return f"{endpoint} has no such repository, or it is private. {_about_token()}"
    if status == 403:
        return f"{endpoint} forbids it: {_short(error.server_message or response.reason_phrase)}. {_about_token()}"
    if status == 429:
        wait = headers.get("Retry-After")
        return f"{endpoint} limits the rate of requests. Try again {f'in {wait:.20} seconds' if wait else 'later'}."
    said = _short(error.server_message or "")
    return f"{endpoint} answers {status} {response.reason_phrase}{f' ({said})' if said else ''}." + (
        " Try again later." if status >= 500 else ""
    )


def _about_token() -> str:
    if token() is None:
        return "No token is set here: set HF_TOKEN, or run `hf auth login`."
    return "The token that is set here does not have access to it."


def _network_reason(error: BaseException) -> str:
    import httpx2

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"its certificate is not accepted, or it does not speak TLS ({_short(str(cause))})"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.TimeoutException):
        return "it is silent"
    if isinstance(error, httpx2.ConnectError):
        return "there is no connection"
    return f"the connection breaks off ({_short(str(error)) or type(error).__name__})"


def _short(text: str) -> str:
    """One line of bounded length, without the full stop that the sentence around it has."""
    return " ".join(text.split())[:MOST_SHOWN].rstrip(".")
