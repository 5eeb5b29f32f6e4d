"""What server and model say of themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.forms import JSON
from gateway.model_server import ModelServer
from gateway.open_inference.tensors import BYTES, IMAGE, INT32, PREDICTION, STATUS
from pointrend.errors import ServerError
from pointrend.serving.server_config import INFERENCE
from pointrend.version import __version__

SERVER_NAME = "pointrend-serve"
EXTENSIONS = ("binary_tensor_data", "parameters")


def server() -> dict[str, Any]:
    """The server's name, version and extensions."""
    return {"name": SERVER_NAME, "version": __version__, "extensions": list(EXTENSIONS)}


async def model(upstream: ModelServer, name: str, path: str) -> dict[str, Any]:
    """A model's inputs, outputs and parameters.

    Args:
        upstream: TorchServe.
        name: of the model.
        path: of the model.

    Raises:
        RequestError: there is no such model, or it does not answer.
    """
    asked = upstream.ask(INFERENCE, "POST", path, headers={"content-type": JSON}, pieces=[b'{"describe": true}'])
    async with asked as answer:
        body = await answer.aread()
    try:
        return of(name, json.loads(body))
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(f"The model {name!r} does not describe itself as PointRend's do.") from error


def of(name: str, description: Mapping[str, Any]) -> dict[str, Any]:
    """The same of the model's own description, see :func:`pointrend.service.description.describe`."""
    return {
        "name": name,
        "versions": [description["version"]],
        "platform": f"pointrend_{description['engine']}",
        "inputs": [{"name": IMAGE, "datatype": BYTES, "shape": [-1]}],
        "outputs": [
            {"name": PREDICTION, "datatype": BYTES, "shape": [-1]},
            {"name": STATUS, "datatype": INT32, "shape": [-1]},
        ],
        "parameters": description["options"],
        "limits": description["limits"],
    }
