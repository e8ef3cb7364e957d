"""What can go wrong in the core. A malformed stream is no error: the standard tolerates it."""

from __future__ import annotations

__all__ = [
    "EventTooLarge",
    "IncompleteStream",
    "ResponseRejected",
    "RetriesExhausted",
    "SSEError",
    "UnknownEvent",
]


class SSEError(Exception):
    """Base class of what `sse_proto` raises over a stream, as opposed to over a misuse."""


class EventTooLarge(SSEError):
    """An event outgrew ``max_event_size`` before its blank line arrived.

    Attributes:
        size: Bytes that the unfinished event would hold, up to the first line that was too much, as
            far as that line had arrived. What follows it in the chunk does not count.
        limit: The decoder's ``max_event_size``, in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)  # the fields, not the text: keeps pickle and copy working
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"unfinished event holds {self.size} bytes, limit is {self.limit} bytes"


class IncompleteStream(SSEError):
    """A stream ended inside an event, or before the event that was to be its last.

    Attributes:
        unfinished: Bytes of the event that had begun, and was discarded; 0: it ended between two.
        last_event_id: The last event ID at that moment; ``None``: none was ever set.
    """

    def __init__(self, unfinished: int, last_event_id: str | None) -> None:
        super().__init__(unfinished, last_event_id)
        self.unfinished = unfinished
        self.last_event_id = last_event_id

    def __str__(self) -> str:
        if self.unfinished:
            return f"the stream ended inside an event, after {self.unfinished} bytes of it"
        return "the stream ended before its last event"


class UnknownEvent(SSEError):
    """An event is of a type that a `by_event` parser does not know.

    Attributes:
        event: The event type.
    """

    def __init__(self, event: str) -> None:
        super().__init__(event)
        self.event = event

    def __str__(self) -> str:
        shown = repr(self.event[:100]) + ("..." if len(self.event) > 100 else "")
        return f"there is no parser for events of type {shown}"


class ResponseRejected(SSEError):
    """A response is no event stream.

    Attributes:
        reason: What was expected and what was found.
        status_code: The response's status.
        content_type: Its ``Content-Type``; ``""`` where it had none.
    """

    def __init__(self, reason: str, status_code: int, content_type: str) -> None:
        super().__init__(reason, status_code, content_type)
        self.reason = reason
        self.status_code = status_code
        self.content_type = content_type

    def __str__(self) -> str:
        return self.reason


class RetriesExhausted(SSEError):
    """A `ReconnectPolicy` allows no further attempt. ``__cause__`` is how the last one failed.

    Attributes:
        attempts: Attempts that brought no event.
        seconds: How long the stream has been away.
    """

    def __init__(self, attempts: int, seconds: float) -> None:
        super().__init__(attempts, seconds)
        self.attempts = attempts
        self.seconds = seconds

    def __str__(self) -> str:
        attempts = f"{self.attempts} attempt" + ("s" if self.attempts != 1 else "")
        return f"gave up after {attempts} without an event, in {self.seconds:.0f} s"
