"""What the page "Use via API" says of the endpoints: their parameters as the functions' docstrings describe them.

Gradio describes a parameter by its component, and its examples are a PDF on another site and "Hello!!".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gradio.utils import get_function_description

# A file of the caller's own, as all of the documentation has it. Gradio's snippets take what stands in `url`; a real
# address would be refused: the page opens no file that was not uploaded to it.
EXAMPLE_IMAGE = {
    "path": "photo.jpg",
    "url": "photo.jpg",
    "orig_name": "photo.jpg",
    "meta": {"_type": "gradio.FileData"},
}


def describe(endpoint: dict[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    """An endpoint's documentation with descriptions and examples of its parameters.

    Args:
        endpoint: as ``gr.Blocks.get_api_info`` has it.
        function: what the endpoint runs.

    Returns:
        the same; parameters that the docstring leaves out stay as they are.
    """
    _, said, _ = get_function_description(function)
    parameters = [_described(each, said) for each in endpoint["parameters"]]
    return {**endpoint, "parameters": parameters}


def _described(parameter: dict[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    description = said.get(parameter["parameter_name"])
    if not description:
        return parameter
    sentence = description[0].upper() + description[1:]
    described = {**parameter, "python_type": {**parameter["python_type"], "description": sentence}}
    is_file, has_default = parameter["component"] == "File", parameter["parameter_has_default"]
    if has_default:
        described["example_input"] = parameter["parameter_default"]
    elif is_file:
        described["example_input"] = EXAMPLE_IMAGE
    if is_file:  # in Gradio's JavaScript two of one kind have one name, and none of a file kind may be left out
        described["component"] = "Image (optional)" if has_default else "Image"
    return described
