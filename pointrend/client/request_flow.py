"""The flow of a request: tokens, retries, results and errors, whatever carries them.

Each function of :class:`RequestFlow` is a :data:`~pointrend.client.messages.Flow`: it names the steps, and who runs
it performs them. So the blocking and the asynchronous client, over REST and over gRPC, behave alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.client import answers
from pointrend.client.limits import ResponseLimits
from pointrend.client.messages import Answer, Call, Flow, Send, Wait
from pointrend.client.retries import Retries
from pointrend.client.tokens import Tokens
from pointrend.errors import InvalidOption, InvalidRequest, RequestError
from pointrend.images.inputs import ImageInput, file_bytes
from pointrend.structures.boxes import BoxPrompt, to_text
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction

TOKEN_TRIES = 3  # a token may be renewed by another client between reading and sending it


@dataclass(frozen=True, slots=True)
class RequestFlow:
    """Requests to one server, step by step.

    Attributes:
        tokens: where the token comes from.
        retries: when an overloaded server is asked again.
        limits: how much of an answer is accepted.
    """

    tokens: Tokens
    retries: Retries
    limits: ResponseLimits = field(default_factory=ResponseLimits)

    def segment(self, image: ImageInput, options: Mapping[str, Any]) -> Flow[Prediction]:
        """Find the objects of an image."""
        answer = yield from self._about(image, options, "json")
        return answers.prediction(answer, self.limits, Options.parse(options))

    def segment_or_error(self, image: ImageInput, options: Mapping[str, Any]) -> Flow[Prediction | RequestError]:
        """As :meth:`segment`, with the error returned."""
        try:
            return (yield from self.segment(image, options))
        except RequestError as error:
            return error
        except (OSError, TypeError) as error:
            return InvalidRequest(f"The image cannot be read: {error}.", field="image", code="unreadable_photo")

    def render(self, image: ImageInput, options: Mapping[str, Any]) -> Flow[bytes]:
        """The image with what was found drawn on it, as a PNG file."""
        return answers.png((yield from self._about(image, options, "png")), self.limits)

    def cutouts(self, image: ImageInput, options: Mapping[str, Any]) -> Flow[dict[str, bytes]]:
        """Every object cut out, as PNG files by name."""
        return answers.cutouts((yield from self._about(image, options, "cutouts")), self.limits)

    def label_map(self, image: ImageInput, options: Mapping[str, Any]) -> Flow[NDArray[np.uint16]]:
        """Which object each pixel belongs to, by number."""
        return answers.label_map((yield from self._about(image, options, "label_map")), self.limits)

    def uncertainty(self, image: ImageInput, options: Mapping[str, Any]) -> Flow[bytes]:
        """The image in grey, coloured where the model is unsure, as a PNG file."""
        return answers.png((yield from self._about(image, options, "uncertainty")), self.limits)

    def describe(self) -> Flow[dict[str, Any]]:
        """What the model says of itself."""
        return answers.description((yield from self._ask(Call(None, {}))))

    def ready(self) -> Flow[bool]:
        """Whether a real prediction answers."""
        try:
            # The task that every model answers.
            yield from self.segment(Image.new("RGB", (32, 32)), {"task": "semantic", "masks": "none"})
        except RequestError:
            return False
        return True

    def _about(self, image: ImageInput, options: Mapping[str, Any], answer_format: str) -> Flow[Answer]:
        if "format" in options:
            raise InvalidOption(
                "The client sets format itself: call segment, render, cutouts, label_map or uncertainty.",
                field="format",
                value=options["format"],
                code="unsupported_combination",
            )
        wanted = {**options, "format": answer_format}
        checked = Options.parse(wanted)
        body = file_bytes(image)
        if not body:
            raise InvalidRequest("The image is empty: it has 0 bytes.", field="image", code="missing_image")
        given = {name: _text(value) for name in wanted if (value := getattr(checked, name)) is not None}
        return (yield from self._ask(Call(body, given)))

    def _ask(self, call: Call) -> Flow[Answer]:
        """Send a call until it is answered, refused, or not worth another try."""
        retried = 0
        token_tries = 0
        while True:
            token = yield from self.tokens.current()
            answer: Answer = yield Send(call, token)
            error = answers.failure(answer, len(call.image or b""))
            if error is None:
                return answer
            if error.code == answers.INVALID_TOKEN:
                token_tries += 1
                if token_tries >= TOKEN_TRIES or not (yield from self.tokens.refused(token)):
                    raise error
                continue
            pause = self.retries.wait(retried, answer.retry_after) if answer.status == 503 else None
            if pause is None:
                raise error
            retried += 1
            yield Wait(pause)


def _text(value: Any) -> str:
    """An option's value, as it was read, in the text of a form field."""
    if isinstance(value, tuple) and all(isinstance(each, BoxPrompt) for each in value):
        return to_text(value)  # categories are never empty
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
