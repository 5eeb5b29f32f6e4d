"""The library's environment variables: one table, written out in docs/settings.md."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    Attributes:
        name: as it is set.
        default: what holds where it is unset or empty; empty for none.
        help: one sentence of Markdown.
    """

    name: str
    default: str
    help: str

    def read(self, environment: Mapping[str, str] = os.environ) -> str:
        """Its value without white space around it, or the default.

        >>> HOME.read({"POINTREND_HOME": " /models "}), HOME.read({"POINTREND_HOME": ""})
        ('/models', '')
        """
        return environment.get(self.name, "").strip() or self.default

    def is_on(self, environment: Mapping[str, str] = os.environ) -> bool:
        """Whether it is set to 1, true, yes or on, in any case."""
        return self.read(environment).lower() in _TRUE


HOME = Variable("POINTREND_HOME", "", "The folder of models, engines' files and logs; by default the platform's cache.")
OFFLINE = Variable("POINTREND_OFFLINE", "", "`1`: never use the network for models.")
MIRROR = Variable("POINTREND_MIRROR", "", "A URL that has the zoo's files under the same paths.")
KEY_FILE = Variable("POINTREND_KEY_FILE", "", "For clients: the key file of a TorchServe that asks for tokens.")
LABEL_STUDIO_KEY = Variable(
    "LABEL_STUDIO_API_KEY", "", "For `pointrend label-studio`: the access token that it fetches photos with."
)
LABEL_STUDIO_PASSWORD = Variable(
    "POINTREND_LABEL_STUDIO_PASSWORD", "", "For `pointrend label-studio`: the password that Label Studio sends it."
)
SIZES = Variable(
    "POINTREND_SIZES",
    "",
    "Sizes of the images that come most, such as `640x480 480x640`, for which OpenVINO compiles a model's trunk ahead; "
    "see [engines](engines.md#sizes-compiled-ahead).",
)

VARIABLES = (HOME, OFFLINE, MIRROR, KEY_FILE, SIZES, LABEL_STUDIO_KEY, LABEL_STUDIO_PASSWORD)
