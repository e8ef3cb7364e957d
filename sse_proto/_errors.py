"""What can go wrong in the core. A malformed stream is no error: the standard tolerates it."""

from __future__ import annotations

__all__ = ["EventTooLarge", "SSEError"]


class SSEError(Exception):
    """Base class of what `sse_proto` raises over a stream, as opposed to over a misuse."""


class EventTooLarge(SSEError):
    """An event outgrew ``max_event_size`` before its blank line arrived.

    Attributes:
        size: Bytes that the unfinished event would hold, as far as it had arrived.
        limit: The decoder's ``max_event_size``, in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)  # the fields, not the text: keeps pickle and copy working
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"unfinished event holds {self.size} bytes, limit is {self.limit} bytes"
