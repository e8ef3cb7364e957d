"""The events of one call of `SSEDecoder.feed`, `feed_raw` or `feed_parsed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, final

from ._events import ParsedEvent, RawEvent, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Call", "Fields", "new_event"]

# Takes half the time of calling the class, whose own __new__ would only call this.
new_event: Final = cast("Callable[..., Any]", tuple.__new__)

Fields: TypeAlias = "tuple[str, Any, str | None, int | None]"
_Columns: TypeAlias = "tuple[list[Any], list[Any], list[Any], list[Any]]"
_NO_COLUMNS: Final[_Columns] = ([], [], [], [])


@final
class Call:
    """The events of one call, all of one class; or of several calls, if they had to wait."""

    __slots__ = ("error", "events", "held", "kind", "owner", "unparsed")

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        self.events: list[Any] = []
        # The chunk while it is decoded, if data may be a view of it.
        self.owner: bytes | None = None
        # How many bytes of chunks have come while events waited.
        self.held = 0
        # For feed_parsed() alone: the fields of events not parsed yet, each field in a list of its
        # own (half the time of a tuple for each event); and what a parser raised, to be raised
        # before any of them is returned.
        self.unparsed: _Columns = ([], [], [], []) if kind is ParsedEvent else _NO_COLUMNS
        self.error: Exception | None = None

    def add(
        self,
        event_type: str,
        data: bytearray,
        value_end: int,
        event_id: str | None,
        retry: int | None,
    ) -> None:
        """Add an event. Its data ends at this position of the chunk; -1: that has no such part."""
        if self.kind is ServerSentEvent:
            fields = (event_type, data.decode("utf-8", "replace"), event_id, retry)
            self.events.append(new_event(ServerSentEvent, fields))
        elif self.kind is RawEvent:
            start = value_end - len(data)  # negative: in an earlier chunk
            if self.owner is not None and data and start >= 0:
                view = memoryview(self.owner)[start:value_end]
            else:
                view = memoryview(bytes(data))
            self.events.append(new_event(RawEvent, (event_type, view, event_id, retry)))
        else:
            self.add_unparsed((event_type, bytes(data), event_id, retry))

    def add_unparsed(self, fields: Fields) -> None:
        """Add an event that is to be parsed, by its fields in the order of `ParsedEvent`."""
        types, all_data, ids, retries = self.unparsed
        event_type, data, event_id, retry = fields
        types.append(event_type)
        all_data.append(data)
        ids.append(event_id)
        retries.append(retry)

    def add_all_unparsed(self, all_data: list[bytes], event_id: str | None) -> None:
        """Append several events that have nothing but data."""
        types, data, ids, retries = self.unparsed
        count = len(all_data)
        types += ["message"] * count
        data += all_data
        ids += [event_id] * count
        retries += [None] * count

    def drop(self, count: int) -> None:
        """Drop the first of the unparsed events."""
        for column in self.unparsed:
            del column[:count]
