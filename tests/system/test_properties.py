"""Java's properties files, as TorchServe reads them."""

from __future__ import annotations

import pytest

from pointrend.system.properties import fill, parse


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=1\n  b : 2\nc 3\n", {"a": "1", "b": "2", "c": "3"}),
        ("# a=1\n! b=2\n\n", {}),
        ("url=file://.*/store/m[.]mar?a=b\n", {"url": "file://.*/store/m[.]mar?a=b"}),
        ("vmargs=-Xmx1g \\\n    -XX:+UseG1GC\nb=\n", {"vmargs": "-Xmx1g -XX:+UseG1GC", "b": ""}),
        ("a=1\na=2", {"a": "2"}),
        ("a=1\\", {"a": "1"}),
    ],
)
def test_what_a_text_says(text: str, pairs: dict[str, str]) -> None:
    assert parse(text) == pairs


def test_keys_are_set_in_place_and_added() -> None:
    template = "# why\ninference_address=http://127.0.0.1:8080\nload_models=pointrend.mar\n"
    filled = fill(template, {"inference_address": "http://127.0.0.1:9000", "model_store": "/srv"})
    assert filled == "# why\ninference_address=http://127.0.0.1:9000\nload_models=pointrend.mar\nmodel_store=/srv\n"
