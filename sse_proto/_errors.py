"""What can go wrong in the core. A malformed stream cannot: the standard tolerates it."""

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
    """Base class of the errors that a stream causes, as opposed to misuse of `sse_proto`."""


class EventTooLarge(SSEError):
    """An event outgrew ``max_event_size`` before its blank line arrived.

    Attributes:
        size: Bytes that the unfinished event would hold, up to and including what had arrived of
            the first line that was too much. What follows it in the chunk does not count.
        limit: The decoder's ``max_event_size``, in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)  # the fields, not the text: keeps pickle and copy working
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"unfinished event holds {self.size} bytes, limit is {self.limit} bytes"


class IncompleteStream(SSEError):
    """A stream ended inside an event, or before the event that should have been its last.

    Attributes:
        unfinished: Bytes of the discarded event that had begun; 0: the stream ended between events.
        last_event_id: The last event ID at that point; ``None``: none was ever set.
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
    """An event has a type that a `by_event` parser does not know.

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
    """A response is not an event stream.

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
    """A `ReconnectPolicy` allows no further attempt. ``__cause__`` says how the last one failed.

    Attributes:
        attempts: Attempts since the last event.
        seconds: How long the stream has been away.
    """

    def __init__(self, attempts: int, seconds: float) -> None:
        super().__init__(attempts, seconds)
        self.attempts = attempts
        self.seconds = seconds

    def __str__(self) -> str:
        attempts = f"{self.attempts} attempt" + ("s" if self.attempts != 1 else "")
        return f"gave up after {attempts} without an event, in {self.seconds:.0f} s"
