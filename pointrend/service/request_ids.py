"""Which of a request's headers name it, for those who look for it in a log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pointrend.system.trace_context import TRACEPARENT, TraceContext

_CLIENT_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def client_id(headers: Mapping[str, Any]) -> str | None:
    """The request id that the sender chose, where it is safe to repeat in a header and a log."""
    given = next((value for name, value in headers.items() if name.lower() == "x-request-id"), None)
    return given if isinstance(given, str) and _CLIENT_ID.fullmatch(given) else None


def trace_context(headers: Mapping[str, Any]) -> TraceContext | None:
    """The trace that the request belongs to; the gateway always names one."""
    given = [value for name, value in headers.items() if name.lower() == TRACEPARENT and isinstance(value, str)]
    return TraceContext.parse(given)
