"""Code that asks for what the page shows, ready to be copied: for curl, Python, JavaScript and gradio_client."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from gradio_app.result import ViewSelection
from pointrend.structures.categories import ALL_CATEGORIES

_PYTHON = """\
# pip install "pointrend-serve[client]"
from pointrend.client import Client

with Client({url!r}, {model!r}) as client:
    prediction = client.segment({file!r}, task={task!r}, score_threshold={threshold}, categories={categories!r})
print(prediction.to_dict())
"""

# A browser sends it from a page of the server's own origin: the server allows no others.
_JAVASCRIPT = """\
// Node.js 18 or later, as a file *.mjs; in a browser, with an <input type="file">.
const image = typeof document === "undefined"
  ? new Blob([await (await import("node:fs/promises")).readFile({file})])
  : document.querySelector("input[type=file]").files[0];
const form = new FormData();
form.append("image", image);
form.append("task", {task});
form.append("score_threshold", {threshold});
form.append("categories", {categories});
form.append("format", "json");
const response = await fetch({url}, {{ method: "POST", body: form }});
if (!response.ok) throw new Error(await response.text());
console.log(JSON.stringify(await response.json()));
"""

_GRADIO = """\
# pip install gradio_client
from gradio_client import Client, handle_file

client = Client({url!r})
answer = client.predict(
    photo=handle_file({file!r}),
    score_threshold={threshold},
    categories={categories!r},{model}
    api_name="/segment",
)
print(answer)
"""


def snippets(
    server_url: str,
    model: str,
    page_url: str,
    file_name: str,
    selection: ViewSelection,
    *,
    task: str = "instances",
    label: str | None = None,
    ids: Mapping[str, int] | None = None,
) -> dict[str, str]:
    """Write the code that gives what a selection shows of a photo, as JSON in COCO's terms.

    Whatever the names hold, they are data in the code and never code. Objects that the viewer hid one by one are in
    the answer: a request chooses by score and category alone.

    >>> code = snippets("http://127.0.0.1:8080", "pointrend", "http://127.0.0.1:7860", "a.jpg", ViewSelection())
    >>> print(code["curl"])
    curl --fail-with-body -sS http://127.0.0.1:8080/predictions/pointrend -g -T a.jpg -X POST \\
        -H 'X-PointRend-Options: task=instances&score_threshold=0.5&categories=all&format=json'
    <BLANKLINE>

    Args:
        server_url: http, https, grpc or grpcs.
        model: the name under which the server serves it.
        page_url: where the page is seen.
        file_name: of the photo, as its owner has it.
        selection: its threshold and categories count.
        task: what the page asks for, ``instances`` or ``semantic``.
        label: what the page calls the model; None for the one that it starts with.
        ids: of the model's categories by name; needed for names with a comma, which separates them in a request.

    Returns:
        code by ``curl``, ``python``, ``javascript`` and ``gradio_client``. Without the first and the third where the
        server's address is gRPC's; none at all where no category is selected, and nothing is shown.

    Raises:
        ValueError: a selected name has a comma, and its id is not given.
    """
    if selection.categories == ():
        return {}
    names = [ALL_CATEGORIES] if selection.categories is None else list(selection.categories)
    listed = ",".join(_without_comma(name, ids or {}) for name in names)
    threshold = f"{selection.threshold:g}"
    code = {
        "python": _PYTHON.format(
            url=server_url, model=model, file=file_name, task=task, threshold=threshold, categories=names
        ),
        "gradio_client": _GRADIO.format(
            url=page_url,
            file=file_name,
            threshold=threshold,
            categories=listed,
            model="" if label is None else f"\n    model={label!r},",
        ),
    }
    if server_url.startswith("grpc"):
        return code
    address = f"{server_url.rstrip('/')}/predictions/{quote(model, safe='')}"
    options = {"task": task, "score_threshold": threshold, "categories": listed, "format": "json"}
    # -g: curl takes brackets and braces in a file's name for a pattern otherwise; - and . stand for the input.
    file = f"./{file_name}" if file_name.startswith(("-", ".")) else file_name
    header = shlex.quote(f"X-PointRend-Options: {urlencode(options, safe=',')}")
    curl = f"curl --fail-with-body -sS {shlex.quote(address)} -g -T {shlex.quote(file)} -X POST \\\n    -H {header}\n"
    javascript = _JAVASCRIPT.format(
        url=_javascript(address),
        file=_javascript(file_name),
        task=_javascript(task),
        threshold=_javascript(threshold),
        categories=_javascript(listed),
    )
    return {
        "curl": curl,
        "python": code["python"],
        "javascript": javascript,
        "gradio_client": code["gradio_client"],
    }


def _without_comma(name: str, ids: Mapping[str, int]) -> str:
    if "," not in name:
        return name
    if name not in ids:
        raise ValueError(f"The category {name!r} has a comma in its name, which a request cannot hold; give its id.")
    return str(ids[name])


def _javascript(text: str) -> str:
    """A string in JavaScript's quotes, in ASCII; harmless inside a script element too."""
    return json.dumps(text).replace("<", "\\u003c")
