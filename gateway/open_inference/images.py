"""Each image of a request, answered by the model on its own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from gateway.forms import BINARY, JSON, Field, write
from gateway.image_download import ImageDownloads
from gateway.image_urls import refused
from gateway.model_server import ModelServer
from gateway.open_inference.tensors import IMAGE_URL
from gateway.refusals import body_of
from pointrend.errors import InvalidRequest, RequestError, ResponseTooLarge
from pointrend.serving.server_config import INFERENCE

IN_FLIGHT = 4  # of one request, so that it leaves room in TorchServe's queue
_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
ANSWER_BYTES = 64 * 2**20  # of all images of a request together


@dataclass(frozen=True, slots=True)
class ImageUrl:
    """Where an image is; not checked."""

    text: str


Image = bytes | ImageUrl | RequestError
"""An image file, where it is, or why it cannot be read."""


def read_element(name: str, element: bytes) -> Image:
    """What an element of a binary tensor stands for; what is wrong with it concerns this image alone.

    Args:
        name: of the input.
        element: its bytes.
    """
    if name != IMAGE_URL:
        return element
    try:
        return ImageUrl(element.decode())
    except UnicodeDecodeError:
        return refused(f"An element of {IMAGE_URL!r} is not text in UTF-8.")


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What became of one image.

    Attributes:
        body: the prediction, or the error as JSON.
        error: the same error.
    """

    body: bytes
    error: RequestError | None = None

    @property
    def status(self) -> int:
        """As HTTP has it."""
        return self.error.status if self.error else 200


async def segment_all(
    upstream: ModelServer,
    downloads: ImageDownloads,
    path: str,
    images: Sequence[Image],
    options: Mapping[str, Any],
    headers: Mapping[str, str],
) -> list[ImageResult]:
    """Ask the model for each image, a few at a time.

    Args:
        upstream: TorchServe.
        downloads: fetches those that are given by URL, as many at a time.
        path: of the model.
        images: errors among them stay.
        options: for all of them, checked.
        headers: for all of them, checked.

    Returns:
        As many results, in the same order.

    Raises:
        RequestError: no image could be segmented; the first one's error.
    """
    turns = asyncio.Semaphore(IN_FLIGHT)
    fields = {name: Field(json.dumps(value).encode(), JSON) for name, value in options.items()}
    left = ANSWER_BYTES

    async def ask(image: Image) -> ImageResult:
        nonlocal left
        try:
            if isinstance(image, RequestError):
                raise image
            async with turns, AsyncExitStack() as stack:
                if isinstance(image, ImageUrl):
                    image = await stack.enter_async_context(downloads.image(image.text))
                if not image:
                    raise InvalidRequest("The image is empty.", field="image", code="missing_image")
                pieces, kind = write({"image": Field(image, BINARY), **fields})
                body = bytearray()
                sent = {**headers, "content-type": kind}
                answer = await stack.enter_async_context(
                    upstream.ask(INFERENCE, "POST", path, headers=sent, pieces=pieces)
                )
                async for piece in answer.aiter_raw():
                    left -= len(piece)
                    if left < 0:
                        raise _too_large()
                    body += piece
            return ImageResult(bytes(body))
        except RequestError as error:
            return ImageResult(body_of(error).strip(), error)

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(ask(image)) for image in images]
    results = [task.result() for task in asked]
    if all(result.error for result in results):
        raise results[0].error or AssertionError
    return results


def passed_id(given: str | None) -> dict[str, str]:
    """The header that carries the caller's id of a request to the model's log, where a log may have it."""
    return {"x-request-id": given} if given and _REQUEST_ID.fullmatch(given) else {}


def _too_large() -> ResponseTooLarge:
    return ResponseTooLarge(
        f"The predictions of all images together have more than {ANSWER_BYTES} bytes; send fewer images per request.",
        field="image",
        limit=ANSWER_BYTES,
    )
