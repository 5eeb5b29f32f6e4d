"""The client whose calls are awaited."""

from __future__ import annotations

import asyncio
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
from pointrend.system.concurrency import check_concurrency
from pointrend.system.progress import bar, length

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class AsyncTransport(Protocol):
    """Carries calls to a model."""

    async def send(self, call: Call, token: str | None) -> Answer:
        """Send a call; a failure of the network is a ServerError."""

    async def close(self) -> None:
        """Close the connections."""


class AsyncClient:
    """Asks a server for predictions; used within one event loop, best as ``async with AsyncClient(...) as client``.

    Arguments, options, results and errors are those of :class:`~pointrend.client.Client`, method by method. Files are
    read and pixels compressed between awaits: for many large arrays, prefer paths or bytes.
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
        self._model = model
        self._tokens = tokens_for(self.url, token, key_file, management_url)
        self._limits = limits or ResponseLimits()
        self._flow = RequestFlow(self._tokens, retries or Retries(), self._limits)
        self._opened: AsyncTransport | None = None  # made by the first call, in the loop that it will live in

    async def segment(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> Prediction:
        """Find the objects of an image; see :meth:`Client.segment`."""
        return await self._run(self._flow.segment(image, options))

    async def segment_many(
        self,
        images: Iterable[ImageInput],
        *,
        concurrency: int = 4,
        progress: bool = True,
        **options: Unpack[OptionKeywords],
    ) -> list[Prediction | RequestError]:
        """Find the objects of many images, in order, an error in the place of a failure; see Client.segment_many."""
        check_concurrency(concurrency)
        results: dict[int, Prediction | RequestError] = {}
        left = enumerate(images)

        with bar(shown=progress) as shown:
            task = shown.add_task("Images", total=length(images))

            async def work() -> None:
                for index, image in left:  # shared: each worker takes the next image
                    results[index] = await self._run(self._flow.segment_or_error(image, options))
                    shown.advance(task)

            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(work())
        return [results[index] for index in range(len(results))]

    async def render(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> bytes:
        """The image with its masks drawn on it, as a PNG file; see :meth:`Client.render`."""
        return await self._run(self._flow.render(image, options))

    async def cutouts(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> dict[str, bytes]:
        """Every object cut out of the image; see :meth:`Client.cutouts`."""
        return await self._run(self._flow.cutouts(image, options))

    async def label_map(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> NDArray[np.uint16]:
        """Which object each pixel belongs to; see :meth:`Client.label_map`."""
        return await self._run(self._flow.label_map(image, options))

    async def uncertainty(self, image: ImageInput, **options: Unpack[OptionKeywords]) -> bytes:
        """Where the model is unsure, drawn on the image; see :meth:`Client.uncertainty`."""
        return await self._run(self._flow.uncertainty(image, options))

    async def describe(self) -> dict[str, Any]:
        """What the served model says of itself; see :meth:`Client.describe`."""
        return await self._run(self._flow.describe())

    async def ready(self) -> bool:
        """Whether a real prediction answers; see :meth:`Client.ready`."""
        return await self._run(RequestFlow(self._tokens, Retries(count=0)).ready())

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, flow: Flow[Result]) -> Result:
        """Perform the steps of a flow, one after the other."""
        try:
            step = next(flow)
            while True:
                try:
                    if isinstance(step, Send):
                        reply: Answer | None = await self._transport().send(step.call, step.token)
                    elif isinstance(step, Renew):
                        reply = await _renew(step, self.timeout)
                    else:
                        await asyncio.sleep(step.seconds)
                        reply = None
                except RequestError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(reply)
        except StopIteration as end:
            result: Result = end.value
            return result

    def _transport(self) -> AsyncTransport:
        """Loads one library only: whoever speaks REST needs no grpc."""
        if self._opened is None:
            if is_rpc(self.url):
                from pointrend.client.rpc import AsyncRpc

                self._opened = AsyncRpc(self.url, self._model, self.timeout, self._limits)
            else:
                from pointrend.client.rest import AsyncRest

                self._opened = AsyncRest(self.url, self._model, self.timeout, self._limits)
        return self._opened


async def _renew(step: Renew, timeout: float) -> Answer:
    from pointrend.client.rest import renew_async  # httpx, of the extra client

    return await renew_async(step, timeout)
