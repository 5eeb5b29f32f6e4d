"""Who predicts: a model in this process, or a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from pointrend.client import Client
from pointrend.client.answers import unreadable
from pointrend.errors import InvalidOption, InvalidRequest, RequestError
from pointrend.images.inputs import pixels
from pointrend.inference.tiles import OnTile
from pointrend.predict.images import ImageFile
from pointrend.predict.parts import predict_in_parts
from pointrend.structures.options import OptionKeywords, Options
from pointrend.structures.prediction import Prediction
from pointrend.system.concurrency import in_order
from pointrend.system.memory import MemoryLimit

if TYPE_CHECKING:
    from pointrend.inference.base import Segmenter

MODEL_KEYS = ("name", "version", "engine")


class Source(Protocol):
    """Predicts images, one result each, in order; an image that fails gives its error.

    Attributes:
        model: name, version and engine.
        categories: all that the model knows, ``{"id": ..., "name": ...}``.
        on_tile: to be told of the tiles of an image, with ``options.tiles``; a server tells of none.
    """

    model: dict[str, str]
    categories: list[dict[str, Any]]
    on_tile: OnTile | None

    def predict(self, images: Iterable[ImageFile], options: Options) -> Iterator[Prediction | RequestError]:
        """Predict, as results are asked for."""


class LocalSource:
    """A model in this process.

    Args:
        segmenter: the model.
    """

    def __init__(self, segmenter: Segmenter[Any]) -> None:
        self._segmenter = segmenter
        self._memory = MemoryLimit()
        self.on_tile: OnTile | None = None
        info = segmenter.info
        self.model = {"name": info.name, "version": info.version, "engine": segmenter.engine}
        self.categories = [{"id": each.id, "name": each.name} for each in segmenter.info.categories]

    def segment(self, image: NDArray[np.uint8], options: Options) -> Prediction:
        """Predict one image that is in memory: (H, W, 3) uint8 RGB, upright."""
        prediction = self._segmenter(image, options, on_tile=self.on_tile)
        self._memory.settle()
        return prediction

    def predict(self, images: Iterable[ImageFile], options: Options) -> Iterator[Prediction | RequestError]:
        """Predict one image after the other."""
        for image in images:
            try:
                segment = partial(self._segmenter, pixels(image.path), on_tile=self.on_tile)
                yield predict_in_parts(segment, image.requests(options))
            except RequestError as error:
                yield error
            except OSError as error:
                yield unreadable_image(error)
            except Exception as error:  # one image must not end the run; it is told by name
                yield failed_within(error)
            self._memory.settle()


class ServerSource:
    """A served model.

    Args:
        client: how it is reached.
        concurrency: requests at a time.

    Raises:
        RequestError: it does not answer.
    """

    def __init__(self, client: Client, concurrency: int) -> None:
        self._client = client
        self.on_tile: OnTile | None = None
        self._concurrency = concurrency
        described = client.describe()
        missing = [key for key in (*MODEL_KEYS, "categories") if key not in described]
        if missing:
            raise unreadable("a description", f"it has no {' and no '.join(missing)}")
        self.model = {key: described[key] for key in MODEL_KEYS}
        self.categories = described["categories"]

    def segment(self, image: NDArray[np.uint8], options: Options) -> Prediction:
        """Predict one image that is in memory: (H, W, 3) uint8 RGB, upright."""
        return self._client.segment(image, **asked_for(options))

    def predict(self, images: Iterable[ImageFile], options: Options) -> Iterator[Prediction | RequestError]:
        """Predict several images at a time."""

        def one(image: ImageFile) -> Prediction | RequestError:
            def ask(own: Options) -> Prediction:
                return self._client.segment(image.path, **asked_for(own))

            try:
                return predict_in_parts(ask, image.requests(options))
            except RequestError as error:
                return error
            except OSError as error:
                return unreadable_image(error)
            except Exception as error:  # one image must not end the run; it is told by name
                return failed_within(error)

        return in_order(one, images, self._concurrency)


def local_source(model: str, threads: int | None, engine: str) -> LocalSource:
    """Load a model, by its name or folder, for an engine; only then torch is imported.

    Raises:
        ConfigError, CheckpointError: as :func:`pointrend.load`.
    """
    from pointrend.inference.loading import load  # with it comes PyTorch, which asking a server does without

    return LocalSource(load(model, threads=threads, engine=engine))


def server_source(url: str, token: str | None, concurrency: int) -> ServerSource:
    """Reach a server.

    Raises:
        InvalidOption: the URL is none, or the token cannot be one.
        RequestError: it does not answer.
    """
    try:
        client = Client(url, token=token)
    except ValueError as error:
        raise InvalidOption(str(error), field="server", value=url) from error
    return ServerSource(client, concurrency)


def asked_for(options: Options) -> OptionKeywords:
    """Options by name, without those that are left to the model and those of pictures, which are made here."""
    values = asdict(options)
    del values["format"], values["alpha"]
    return cast(OptionKeywords, {name: value for name, value in values.items() if value is not None})


def failed_within(error: Exception) -> RequestError:
    """The error of an image at which the model or the client failed in a way that nobody foresaw."""
    return RequestError(f"An internal error: {error!r}.")


def unreadable_image(error: OSError) -> InvalidRequest:
    """The error of an image file that the system cannot read."""
    return InvalidRequest(f"The image cannot be read: {error}.", field="image", code="unreadable_photo")
