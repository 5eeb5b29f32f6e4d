"""W3C Trace Context (Recommendation of 23 November 2021): the headers ``traceparent`` and ``tracestate``."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
MAX_STATE = 512  # characters that have to be passed on; a longer one is dropped whole
_SAMPLED = 1
_PARENT = re.compile(
    "(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?",
    re.ASCII | re.DOTALL,
)
_STATE = re.compile(r"[\t\x20-\x7e]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One span of a trace.

    Attributes:
        trace_id: of the whole trace: 32 hexadecimal digits.
        span_id: of this span: 16 hexadecimal digits.
        sampled: whether the trace is recorded.
        state: vendors' own data, passed on unchanged.
    """

    trace_id: str
    span_id: str
    sampled: bool = False
    state: str = ""

    @classmethod
    def new(cls, *, sampled: bool) -> TraceContext:
        """The first span of a new trace."""
        return cls(_random(16), _random(8), sampled)

    @classmethod
    def parse(cls, parents: Sequence[str], states: Sequence[str] = ()) -> TraceContext | None:
        """Read the headers of a request; None where there is no trace, or one that cannot be understood.

        >>> TraceContext.parse(["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]).sampled
        True
        >>> TraceContext.parse(["00-00000000000000000000000000000000-b7ad6b7169203331-01"]) is None
        True

        Args:
            parents: values of ``traceparent``; more than one are malformed.
            states: values of ``tracestate``, which are joined.
        """
        match = _PARENT.fullmatch(parents[0].strip(" \t")) if len(parents) == 1 else None
        if match is None or match["version"] == "ff" or not (match["trace"].strip("0") and match["span"].strip("0")):
            return None
        if match["version"] == "00" and match["rest"] is not None:
            return None
        state = ",".join(part for each in states if (part := each.strip(" \t")))
        if len(state) > MAX_STATE or not _STATE.fullmatch(state):
            state = ""
        return cls(match["trace"], match["span"], bool(int(match["flags"], 16) & _SAMPLED), state)

    def child(self) -> TraceContext:
        """A new span of the same trace."""
        return replace(self, span_id=_random(8))

    def headers(self) -> dict[str, str]:
        """What the next server is sent, in version 00."""
        headers = {TRACEPARENT: f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"}
        return {**headers, TRACESTATE: self.state} if self.state else headers


def _random(count: int) -> str:
    """Hexadecimal digits that are not all zeros."""
    while not (digits := secrets.token_hex(count)).strip("0"):
        pass
    return digits
