"""What a stream is made of: events, as values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

__all__ = ["ParsedEvent", "RawEvent", "ServerSentEvent"]

T = TypeVar("T")


class ServerSentEvent(NamedTuple):
    """One dispatched event. Immutable, hashable, compared by value.

    A named tuple, not a dataclass: one is built for every event, and it costs a third as much.
    """

    event: str = "message"
    """The event type; ``"message"`` if the block named none."""

    data: str = ""
    """The payload: the values of the block's ``data`` lines, joined by LF."""

    id: str | None = None
    """The last event ID when the event was dispatched, set by this block or an earlier one.
    ``None``: the stream has not set one; ``""``: an empty ``id`` field reset it."""

    retry: int | None = None
    """The reconnection time in milliseconds if this event's own block set it; otherwise
    ``None``."""

    def json(self) -> Any:
        """Return ``data`` parsed as JSON.

        Raises:
            json.JSONDecodeError: ``data`` is not JSON.
        """
        return json.loads(self.data)


class RawEvent(NamedTuple):
    """One dispatched event, with its data as bytes. See `SSEDecoder.feed_raw`."""

    event: str
    """The event type; ``"message"`` if the block named none."""

    data: memoryview
    """The payload: the values of the block's ``data`` lines, joined by LF. Read-only bytes, as they
    were sent: UTF-8 in a valid stream, but not checked."""

    id: str | None
    """As `ServerSentEvent.id`."""

    retry: int | None
    """As `ServerSentEvent.retry`."""


if not TYPE_CHECKING:  # in Python 3.10 no named tuple can be generic

    class _ParsedFields(NamedTuple):
        event: str
        data: T
        id: str | None
        retry: int | None

    class ParsedEvent(_ParsedFields, Generic[T]):
        """One dispatched event, its data parsed. See `SSEDecoder.feed_parsed`."""

        __slots__ = ()


if TYPE_CHECKING:

    class ParsedEvent(NamedTuple, Generic[T]):
        """One dispatched event, its data parsed. See `SSEDecoder.feed_parsed`."""

        event: str
        """The event type; ``"message"`` where the stream named none."""

        data: T
        """What the parser made of the payload."""

        id: str | None
        """As `ServerSentEvent.id`."""

        retry: int | None
        """As `ServerSentEvent.retry`."""
