"""The client whose calls return when the answer is there."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack

from pointrend.client.limits import ResponseLimits
from pointrend.client.messages import Answer, Call, Flow, Renew, Result, Send
from pointrend.client.request_flow import RequestFlow
from pointrend.client.retries import Retries
from pointrend.client.tokens import tokens_for
from pointrend.client.urls import checked_url, is_rpc
from pointrend.errors import RequestError
from pointrend.images.inputs import ImageInput
from pointrend.structures.options import OptionKeywords
from pointrend.structures.prediction import Prediction
from pointrend.system.concurrency import in_order
from pointrend.system.progress import bar, length

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Transport(Protocol):
    """Carries calls to a model."""

    def send(self, call: Call, token: str | None) -> Answer:
        """Send a call; a failure of the network is a ServerError."""

    def close(self) -> None:
        """Close the connections."""


class Client:
    """Asks a server for predictions; may be used by many threads at once, and as a context manager.

    Args:
        url: where the server listens; ``http(s)://`` for REST, ``grpc(s)://`` for gRPC.
        model: the name under which it serves the model.
        token: for servers that ask for one; where left out it is looked for on this machine.
        key_file: TorchServe's ``key_file.json``, to take the token from.
        management_url: where the key file's token is renewed; known by itself for servers that the launcher started.
        timeout: seconds from sending to the whole answer, each time it is asked for.
        retries: when an overloaded server is asked again.
        limits: how much of an answer is accepted; more is a ServerError with the code ``bad_response``.

    Raises:
        ValueError: the URL is none of those kinds, or the token none that a header can carry.
        ImportError: the libraries of the ``client`` extra are missing.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        model: str = "pointrend",
        *,
        token: str | None = None,
        key_file: str | Path | None = None,
        management_url: str | None = None,
        timeout: float = 60.0,
        retries: Retries | None = None,
        limits: ResponseLimits | None = None,
    ) -> None:
        self.url = checked_url(url)
        self.timeout = timeout
        self._tokens = tokens_for(self.url, token, key_file, management_url)
        limits = limits or ResponseLimits()
        self._flow = RequestFlow(self._tokens, retries or Retries(), limits)
        self._transport = _transport(self.url, model, timeout, limits)

    def segment(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> Prediction:
        """Find the objects of an image.

        Args:
            image: a path or a file's bytes, sent as they are; an HWC uint8 RGB array or a PIL image, sent as PNG.
            options: see :class:`~pointrend.structures.options.Options`; checked here before anything is sent. With
                ``boxes`` each instance is the mask of one, in their order.

        Raises:
            RequestError: one of its kinds; see :mod:`pointrend.errors`.
            OSError: the path cannot be read.
            TypeError: the array is not HWC uint8 RGB.

        Example::

            client.segment("photo.jpg", boxes=[[10, 20, 100, 200]]).instances[0].mask()
        """
        return self._run(self._flow.segment(image, options))

    def segment_many(
        self,
        images: Iterable[ImageInput],
        *,
        concurrency: int = 4,
        progress: bool = True,
        **options: Unpack[OptionKeywords],
    ) -> list[Prediction | RequestError]:
        """Find the objects of many images.

        Args:
            images: images as in :meth:`segment`; taken as they are needed.
            concurrency: requests at a time.
            progress: show a bar, on a terminal or in a notebook.
            options: for all images.

        Returns:
            for each image, in order, its prediction or, where it failed, the error; a file that cannot be read is an
            InvalidRequest with the code ``unreadable_photo``.

        Raises:
            ValueError: ``concurrency`` is below 1.
        """

        def one(image: ImageInput) -> Prediction | RequestError:
            return self._run(self._flow.segment_or_error(image, options))

        with bar(shown=progress) as shown:
            return list(shown.track(in_order(one, images, concurrency), length(images), description="Images"))

    def render(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> bytes:
        """The image with its masks drawn on it, as a PNG file; arguments and errors as in :meth:`segment`."""
        return self._run(self._flow.render(image, options))

    def cutouts(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> dict[str, bytes]:
        """Every object cut out of the image: transparent PNG files by name, such as ``person-2.png``, best first.

        Arguments and errors as in :meth:`segment`.
        """
        return self._run(self._flow.cutouts(image, options))

    def label_map(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> NDArray[np.uint16]:
        """Which object each pixel belongs to: (height, width), 0 is background, 1 the best instance, 2 the next.

        With ``task="semantic"`` the numbers are category ids. Arguments and errors as in :meth:`segment`.
        """
        return self._run(self._flow.label_map(image, options))

    def uncertainty(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> bytes:
        """The image in grey, coloured where the model is unsure whether a pixel belongs to an object, as a PNG file.

        Arguments and errors as in :meth:`segment`.
        """
        return self._run(self._flow.uncertainty(image, options))

    def describe(self) -> dict[str, Any]:
        """What the served model says of itself: name, version, categories, engine, limits.

        Raises:
            RequestError: as in :meth:`segment`.
        """
        return self._run(self._flow.describe())

    def ready(self) -> bool:
        """Whether a real prediction answers: TorchServe's own ``/ping`` says Healthy while it cannot predict."""
        return self._run(RequestFlow(self._tokens, Retries(count=0)).ready())

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, flow: Flow[Result]) -> Result:
        """Perform the steps of a flow, one after the other."""
        try:
            step = next(flow)
            while True:
                try:
                    if isinstance(step, Send):
                        reply: Answer | None = self._transport.send(step.call, step.token)
                    elif isinstance(step, Renew):
                        reply = _renew(step, self.timeout)
                    else:
                        time.sleep(step.seconds)
                        reply = None
                except RequestError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(reply)
        except StopIteration as end:
            result: Result = end.value
            return result


def _transport(url: str, model: str, timeout: float, limits: ResponseLimits) -> Transport:
    """Loads one library only: whoever speaks REST needs no grpc."""
    if is_rpc(url):
        from pointrend.client.rpc import Rpc

        return Rpc(url, model, timeout, limits)
    from pointrend.client.rest import Rest

    return Rest(url, model, timeout, limits)


def _renew(step: Renew, timeout: float) -> Answer:
    from pointrend.client.rest import renew  # httpx, of the extra client

    return renew(step, timeout)
