"""Text from somebody else, made fit to be printed on a terminal or into a log."""

from __future__ import annotations

import re

# C0 and C1 controls, separators of lines, marks that reverse the direction of what follows, halves of surrogates.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str, most: int = 1000) -> str:
    """Text on one line, without control characters, of at most ``most`` characters."""
    shown = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text[: 4 * most].split()))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def escaped(text: str) -> str:
    r"""Text on one line with all that is unprintable spelled out, as a file name is shown: ``a\nb.jpg``.

    Bytes that are no UTF-8, which Python keeps as halves of surrogates, become ``\xe9``.
    """
    return UNPRINTABLE.sub(lambda found: _spelled(found[0]), text)


def _spelled(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
