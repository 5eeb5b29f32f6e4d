"""Header values with parameters, such as ``text/plain; charset=utf-8``, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.refusals import invalid_form

CHARSETS = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), "utf-8"),
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1"), "iso-8859-1"),
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "windows-1252",
    "utf-16": "utf-16",
}
"""The charsets that text is read in, by the names that a request may give them."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = re.compile(
    rf'\s*;\s*(?P<name>{_TOKEN})=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s;"]+))', re.ASCII | re.DOTALL
)
_TYPE = re.compile(rf"\s*(?P<type>{_TOKEN}(?:/{_TOKEN})?)(?P<rest>.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Header:
    """A header such as ``form-data; name="image"``, parted.

    Attributes:
        value: what stands first, in lower case.
        parameters: values by name in lower case.
    """

    value: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, name: str, text: str) -> Header:
        """Part a header strictly.

        Raises:
            InvalidRequest: it does not follow RFC 9110, or names a parameter twice.
        """
        match = _TYPE.fullmatch(text)
        if match is None:
            raise invalid_form(f"The header {name} cannot be read: {text[:100]!r}.", name)
        parameters: dict[str, str] = {}
        rest = match["rest"]
        while rest.strip(" \t;"):
            found = _VALUE.match(rest)
            if found is None:
                raise invalid_form(f"The header {name} cannot be read from {rest.strip()[:100]!r} on.", name)
            key = found["name"].lower()
            if key in parameters:
                raise invalid_form(f"The header {name} gives {key} twice.", name)
            plain = found["plain"]
            parameters[key] = re.sub(r"\\(.)", r"\1", found["quoted"]) if plain is None else plain
            rest = rest[found.end() :]
        return cls(match["type"].lower(), parameters)

    def codec(self, name: str) -> str:
        """Python's name of the charset that the header ``name`` declares; UTF-8 where it declares none.

        Raises:
            InvalidRequest: it is none of :data:`CHARSETS`.
        """
        charset = self.parameters.get("charset", "utf-8")
        if charset.lower() not in CHARSETS:
            raise invalid_form(
                f"{name} declares the charset {charset[:100]!r}, which is not supported; send UTF-8.",
                name,
                limit=sorted(CHARSETS),
                value=charset[:100],
                code="unknown_charset",
            )
        return CHARSETS[charset.lower()]
