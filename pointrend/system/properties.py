"""Java's ``.properties`` files, as far as TorchServe's settings use them: read and filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PAIR = re.compile(r"\s*(?P<key>[^=:\s]+)\s*(?:[=:]\s*)?(?P<value>.*)", re.DOTALL)


def parse(text: str) -> dict[str, str]:
    """The keys and values of a ``.properties`` text; a key that stands twice has its last value.

    Comments begin with ``#`` or ``!``, ``=`` or ``:`` parts a key from its value, and a line that ends with a
    backslash goes on in the next. Escapes are left as they are.

    >>> parse("# ports\\nmanagement_address = http://127.0.0.1:8081\\nvmargs=-Xmx1g \\\\\\n  -XX:+UseG1GC")
    {'management_address': 'http://127.0.0.1:8081', 'vmargs': '-Xmx1g -XX:+UseG1GC'}
    """
    pairs = {}
    lines = iter(text.splitlines())
    for line in lines:
        whole = line.strip()
        if whole.startswith(("#", "!")):
            continue
        while whole.endswith("\\"):
            whole = whole[:-1] + next(lines, "").strip()
        if match := _PAIR.fullmatch(whole):
            pairs[match["key"]] = match["value"].strip()
    return pairs


def fill(template: str, values: Mapping[str, str]) -> str:
    """Set keys of a ``.properties`` text with a pair a line; keys that it lacks are appended, comments stay."""
    left = dict(values)
    lines = []
    for line in template.splitlines():
        key = line.split("=", 1)[0].strip()
        lines.append(f"{key}={left.pop(key)}" if key in left else line)
    return "\n".join([*lines, *(f"{key}={value}" for key, value in left.items())]) + "\n"
