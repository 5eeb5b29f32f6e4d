"""``python -m front.health``: the container's health check; asks the model and the page through the door."""

from __future__ import annotations

import os
import sys
import urllib.request

from front.settings import Settings

PATIENCE_SECONDS = 20.0


def check(settings: Settings) -> None:
    """Return where everything answers.

    Raises:
        OSError: something does not.
    """
    address = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(settings.host, settings.host)
    with urllib.request.urlopen(f"http://{address}:{settings.port}/readyz", timeout=PATIENCE_SECONDS):
        pass


if __name__ == "__main__":
    try:
        check(Settings.read(os.environ))
    except OSError as error:
        sys.exit(f"unhealthy: {error}")
