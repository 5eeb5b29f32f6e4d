"""A Griffe extension that reads this project's docstrings as Markdown: roles become links, literal blocks code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`(?P<short>~?)(?P<target>[\w.]+)`")
_CODE_BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)


def to_markdown(text: str) -> str:
    """A docstring's text with Sphinx' roles as optional cross-references, and its code blocks fenced.

    >>> to_markdown("see :class:`~pointrend.errors.ConfigError`")
    'see <autoref identifier="pointrend.errors.ConfigError" optional>`ConfigError`</autoref>'
    """
    text = _CODE_BLOCK.sub(_fenced, text)
    return _ROLE.sub(_reference, text)


def _reference(role: re.Match[str]) -> str:
    target = role["target"]
    shown = target.rpartition(".")[2] if role["short"] else target
    if "." not in target:
        return f"`{shown}`"
    return f'<autoref identifier="{target}" optional>`{shown}`</autoref>'


def _fenced(block: re.Match[str]) -> str:
    language, code = block.groups()
    lines = "\n".join(line.removeprefix("    ") for line in code.rstrip().splitlines())
    return f"```{language}\n{lines}\n```\n\n"


class SphinxRoles(griffe.Extension):
    """Rewrites each docstring as it is collected."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """See :class:`griffe.Extension`."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
