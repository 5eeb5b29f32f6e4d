"""A project's labelling configuration: which tools draw which labels on its photos.

https://labelstud.io/guide/setup: an XML tree in which an ``<Image name="image" value="$photo"/>`` is what is labelled,
and tools such as ``<PolygonLabels name="tool" toName="image">`` hold a ``<Label value="Person"/>`` for each label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from pointrend.errors import InvalidRequest

POLYGON, BRUSH, RECTANGLE = "polygonlabels", "brushlabels", "rectanglelabels"
TOOLS = {"PolygonLabels": POLYGON, "BrushLabels": BRUSH, "RectangleLabels": RECTANGLE}
"""The tools that are drawn with, by their tags, the first that a configuration has before the others."""
LONGEST = 200_000  # characters
_KEY = re.compile(r"\$([\w.-]+)")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that draws.

    Attributes:
        name: of the tool, Label Studio's ``from_name``.
        kind: :data:`POLYGON`, :data:`BRUSH` or :data:`RECTANGLE`.
        image: name of the image that it draws on, Label Studio's ``to_name``.
        labels: by the model's category, in the configuration's order; several categories may share a label.
        others: labels that are none of the model's categories.
    """

    name: str
    kind: str
    image: str
    labels: Mapping[str, str]
    others: tuple[str, ...] = ()

    def category(self, label: str) -> str | None:
        """The first of the model's categories that a label stands for."""
        return next((name for name, given in self.labels.items() if given == label), None)


@dataclass(frozen=True, slots=True)
class Labelling:
    """What is drawn in a project.

    Attributes:
        key: of a task's data that holds the photo.
        tools: those that draw, the preferred first.
    """

    key: str
    tools: tuple[Tool, ...]

    def tool(self, kind: str | None = None) -> Tool:
        """The tool of a kind, or the preferred one.

        Raises:
            InvalidRequest: there is none of that kind.
        """
        for tool in self.tools:
            if kind is None or tool.kind == kind:
                return tool
        there = ", ".join(tag for tag, each in TOOLS.items() if any(tool.kind == each for tool in self.tools))
        raise InvalidRequest(
            f"The labelling configuration has no {_tag(kind)} for shape={kind!r}; it has {there}.",
            field="shape",
            value=kind,
            limit=there,
        )


def read_labelling(text: str, categories: Sequence[str]) -> Labelling:
    """Read a labelling configuration.

    A label stands for the category of its name, whatever the case, or for those that its ``predicted_values`` lists,
    as with Label Studio's own backends: ``<Label value="Vehicle" predicted_values="car, truck"/>``.

    Args:
        text: the XML.
        categories: names of the model's categories.

    Raises:
        InvalidRequest: it is no configuration, labels no image, or has no label for any of the categories.
    """
    try:
        if len(text) > LONGEST:
            raise ValueError(f"it has {len(text)} characters, more than {LONGEST}")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("it declares a document type")
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise InvalidRequest(f"The labelling configuration cannot be read: {error}.", field="label_config") from error
    images = {each.get("name", ""): each.get("value", "") for each in root.iter("Image")}
    known = {_folded(name): name for name in categories}
    tools = []
    for tag, kind in TOOLS.items():
        for element in root.iter(tag):
            image = element.get("toName", "").split(",")[0]
            if image in images:
                labels = [(each.get("value", ""), each.get("predicted_values", "")) for each in element.iter("Label")]
                tools.append(_tool(element.get("name", ""), kind, image, labels, known))
    if not tools:
        raise InvalidRequest(
            f"The labelling configuration has none of {', '.join(TOOLS)} for an Image; add one.", field="label_config"
        )
    if not any(tool.labels for tool in tools):
        others = ", ".join(label for tool in tools for label in tool.others) or "none"
        raise InvalidRequest(
            f"No label ({others}) is one of the model's categories ({', '.join(categories)}). Name labels like them, "
            'or say which they stand for: <Label value="Vehicle" predicted_values="car, truck"/>.',
            field="label_config",
        )
    drawing = tuple(tool for tool in tools if tool.labels)
    value = _KEY.fullmatch(images[drawing[0].image])
    if value is None:
        raise InvalidRequest(
            f"The Image {drawing[0].image!r} has the value {images[drawing[0].image]!r}, not a field of the tasks "
            'such as "$image".',
            field="label_config",
        )
    return Labelling(value[1], tuple(tool for tool in drawing if tool.image == drawing[0].image))


def _tool(name: str, kind: str, image: str, labels: Iterable[tuple[str, str]], known: Mapping[str, str]) -> Tool:
    drawn: dict[str, str] = {}
    others = []
    for label, predicted in labels:
        names = [part for part in predicted.split(",") if part.strip()] or [label]
        found = [known[_folded(each)] for each in names if _folded(each) in known]
        drawn.update((category, label) for category in found if category not in drawn)
        if not found:
            others.append(label)
    return Tool(name, kind, image, drawn, tuple(others))


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().casefold())


def _tag(kind: str | None) -> str:
    return next((tag for tag, each in TOOLS.items() if each == kind), f"{kind}")
