"""What ``auto`` does about a model that the faster engine would spoil."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pointrend.engines import EAGER
from pointrend.errors import InaccurateExport

Made = TypeVar("Made")


def make_or_fall_back(
    engine: str, make: Callable[[str], Made], *, automatic: bool, model: str, tell: Callable[[str], None]
) -> tuple[str, Made]:
    """Make what an engine needs, or what eager needs where the model would lose too much with it.

    Args:
        engine: its name.
        make: is called with the engine's name, and with ``eager`` if that is fallen back to.
        automatic: whether ``auto`` chose the engine; one that the user named is never replaced.
        model: its name, for the message.
        tell: receives the message about a fallback.

    Returns:
        the engine that was made for, and what ``make`` returned.

    Raises:
        InaccurateExport: the engine was named, and the model would lose too much.

    Example::

        engine, files = make_or_fall_back("openvino-int8", export, automatic=True, model="demo", tell=print)
    """
    try:
        return engine, make(engine)
    except InaccurateExport as error:
        if not automatic:
            raise
        tell(f"{error} {model} is served with {EAGER}.")
        return EAGER, make(EAGER)
