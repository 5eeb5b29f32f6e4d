"""What an integration asks for predictions: a model of this process, or one on a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack

from pointrend.client import Client
from pointrend.images.inputs import ImageInput, pixels
from pointrend.structures.model_info import Category
from pointrend.structures.options import OptionKeywords, Options
from pointrend.structures.prediction import Prediction

if TYPE_CHECKING:
    from pointrend.inference.base import Segmenter  # with it comes PyTorch, which a client does without

TOKEN_VARIABLE = "POINTREND_TOKEN"  # the secret of a server in a container, as docs/deploy/index.md has it


class Source(Protocol):
    """Predicts, and says what it can find.

    Attributes:
        categories: in the model's order.
        tasks: what it can be asked for, its default first.
    """

    categories: tuple[Category, ...]
    tasks: tuple[str, ...]

    def __call__(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> Prediction:
        """Segment an image.

        Raises:
            InvalidOption: as the model itself.
            RequestError: as :meth:`pointrend.client.Client.segment`; without a server only of an image that cannot be
                read.
        """


class LocalSource:
    """A model in this process."""

    def __init__(self, segmenter: Segmenter[Any]) -> None:
        self._segmenter = segmenter
        self.categories = segmenter.info.categories
        self.tasks = segmenter.tasks

    def __call__(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> Prediction:
        """See :class:`Source`."""
        asked: dict[str, Any] = {"task": self.tasks[0], **options}
        return self._segmenter(pixels(image), Options.parse(asked))


class ServedSource:
    """A model on a server.

    Raises:
        RequestError: the server does not describe its model.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        described = client.describe()
        self.categories = tuple(Category(each["id"], each["name"]) for each in described["categories"])
        self.tasks = tuple(described["tasks"])

    def __call__(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> Prediction:
        """See :class:`Source`."""
        asked: OptionKeywords = {"task": self.tasks[0], **options}
        return self._client.segment(image, **asked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


def open_source(model: Segmenter[Any] | Client | str | Path = "demo", *, token: str | None = None) -> Source:
    """A model in any of the forms that people name one in.

    Args:
        model: what :func:`pointrend.load` returns or takes, a :class:`~pointrend.client.Client`, or the URL of a server
            (``http(s)://`` for REST, ``grpc(s)://`` for gRPC).
        token: of a server by URL; by default that of ``POINTREND_TOKEN``, or the one found on this machine.

    Raises:
        ConfigError, CheckpointError: as :func:`pointrend.load`.
        RequestError: the server does not describe its model.
    """
    if isinstance(model, Client):
        return ServedSource(model)
    if isinstance(model, str) and model.startswith(("http://", "https://", "grpc://", "grpcs://")):
        return ServedSource(Client(model, token=token or os.environ.get(TOKEN_VARIABLE) or None))
    if isinstance(model, str | Path):
        import pointrend  # and PyTorch with the model

        return LocalSource(pointrend.load(model))
    return LocalSource(model)


def require_objects(source: Source, library: str) -> None:
    """See to it that a model finds single objects.

    Raises:
        ValueError: it predicts a category for each pixel.
    """
    if "instances" not in source.tasks:
        raise ValueError(f"{library} needs a model that finds objects; this one predicts a category for each pixel.")


def category_names(categories: Sequence[Category]) -> list[str]:
    """In the model's order."""
    return [each.name for each in categories]
