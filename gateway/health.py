"""``python -m gateway.health``: the container's health check; asks the model and the page through nginx."""

from __future__ import annotations

import os
import sys
import urllib.request

from gateway.config import ContainerConfig

PATIENCE_SECONDS = 20.0


def check(config: ContainerConfig) -> None:
    """Return where everything answers.

    Raises:
        OSError: something does not.
    """
    address = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(config.host, config.host)
    with urllib.request.urlopen(f"http://{address}:{config.port}/readyz", timeout=PATIENCE_SECONDS):
        pass


if __name__ == "__main__":
    try:
        check(ContainerConfig.read(os.environ))
    except OSError as error:
        sys.exit(f"unhealthy: {error}")
