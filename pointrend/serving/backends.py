"""Which servers run a model: names that the command line and the container take."""

from __future__ import annotations

TORCHSERVE = "torchserve"
ASGI = "asgi"
"""The gateway with workers of its own: without Java and without TorchServe's gRPC."""
NAMES = (TORCHSERVE, ASGI)
