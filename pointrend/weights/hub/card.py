"""A model's card as the Hub wants it: Markdown behind a header of YAML that its pages and its search read."""

from __future__ import annotations

import re
from typing import Any

from pointrend.config.schema import SemanticConfig
from pointrend.errors import ConfigError
from pointrend.weights.folder import CARD, ModelFolder

LIBRARY = "pointrend-serve"
TASK = "image-segmentation"
# Of the Hub's identifiers of licences, those that weights of this kind come under; any other is `other`.
LICENCES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "openrail", "unlicense"),
    *(
        f"cc-{terms}-{number}"
        for terms in ("by", "by-sa", "by-nc", "by-nc-sa", "by-nc-nd")
        for number in ("3.0", "4.0")
    ),
)


def readme(folder: ModelFolder) -> str:
    """The README.md of a model's repository: its card, with the header completed; what the card's has, it keeps.

    Raises:
        ConfigError: the card is not UTF-8, or its own header is not YAML.
    """
    from huggingface_hub import ModelCard

    path = folder.path / CARD
    try:
        card = ModelCard(path.read_text(encoding="utf-8") if path.is_file() else _plain(folder))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error}.") from error
    except Exception as error:  # yaml's, and ValueError where the header is no mapping
        raise ConfigError(f"{path}: its YAML header cannot be read: {' '.join(str(error).split()):.300}") from error
    for key, value in _header(folder).items():
        if card.data.get(key) is None:
            card.data[key] = value
    return str(card)


def _header(folder: ModelFolder) -> dict[str, Any]:
    kind = "semantic-segmentation" if isinstance(folder.network, SemanticConfig) else "instance-segmentation"
    return {
        "license": _licence(folder.info.licence),
        "library_name": LIBRARY,
        "pipeline_tag": TASK,
        "tags": ["pointrend", kind],
    }


def _licence(text: str) -> str | None:
    """The Hub's identifier of a licence; ``other`` where model.json and the card tell the terms, None for none."""
    identifier = re.sub(r"[\s_]+", "-", text.strip().rstrip(".").lower())
    if not identifier:
        return None
    return identifier if identifier in LICENCES else "other"


def _plain(folder: ModelFolder) -> str:
    """A card for a model that has none: what its model.json says."""
    info = folder.info
    lines = [f"# {info.name} {info.version}", info.description, f"Licence: {info.licence}" if info.licence else ""]
    categories = ", ".join(f"{category.name} ({category.id})" for category in info.categories)
    return "\n\n".join([*filter(None, lines), f"Categories: {categories}."]) + "\n"
