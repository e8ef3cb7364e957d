"""A subscription's events through a parser: what its ``iter_json`` and ``iter_parsed`` return.

All state is the subscription's. An event stays with it until it has been parsed, and is parsed when
its turn comes: so another loop, or the subscription itself, goes on where this one stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from sse_proto import ParsedEvent, SkipEvent, attach_event

from ._body import run
from ._reading import AsyncItems, Items, new_event

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable, Coroutine

    from sse_proto import ServerSentEvent

__all__ = ["AsyncTypedItems", "Turns", "TypedItems", "event_parser", "json_parser"]

_T = TypeVar("_T")


def json_parser(loads: Callable[[bytes], _T]) -> Callable[[ServerSentEvent, bytes], _T]:
    """Return a parser for `Turns` that turns data into an object, and skips events without data."""

    def parse(_: ServerSentEvent, data: bytes) -> _T:
        if not data or data.isspace():
            raise SkipEvent
        return loads(data)

    return parse


def event_parser(
    parse_data: Callable[[str, bytes], _T],
) -> Callable[[ServerSentEvent, bytes], ParsedEvent[_T]]:
    """Return a parser for `Turns` that turns an event into the same with its data parsed."""

    def parse(event: ServerSentEvent, data: bytes) -> ParsedEvent[_T]:
        type_, _, last_event_id, retry = event
        value = parse_data(type_, data)
        parsed: ParsedEvent[_T] = new_event(ParsedEvent, (type_, value, last_event_id, retry))
        return parsed

    return parse


class Turns(Generic[_T]):
    """Turns a subscription's events into items, one at a time.

    Args:
        events: The subscription's, not yet handed out. They may vanish at any time: another thread,
            or a parser, may close the subscription.
        parse: Called with an event, and with its data in UTF-8.
    """

    def __init__(
        self, events: deque[ServerSentEvent], parse: Callable[[ServerSentEvent, bytes], _T]
    ) -> None:
        self.events = events
        self._parse = parse

    def take(self) -> _T:
        """Take the first event, and return what it is turned into.

        It is removed only after it has been parsed, so whatever interrupts a parser, such as
        `KeyboardInterrupt`, loses no event.

        Raises:
            SkipEvent: It is left out, or gone.

        Also whatever the parser raises.
        """
        try:
            event = self.events[0]
        except IndexError:
            raise SkipEvent from None
        data = event.data.encode("utf-8")
        try:
            item = self._parse(event, data)
        except Exception as error:
            self._drop(event)
            if not isinstance(error, SkipEvent):
                attach_event(error, ParsedEvent(event.event, data, event.id, event.retry))
            raise
        self._drop(event)
        return item

    def _drop(self, event: ServerSentEvent) -> None:
        """Remove this event, and no other, if it is still there."""
        try:
            if self.events[0] is event:
                self.events.popleft()
        except IndexError:
            pass


class TypedItems(Items[_T]):
    """Iterator over the items made from a subscription's events, sync.

    Args:
        turns: Makes them.
        advance: Waits until there are events, or nothing left.
        close: Closes the subscription.
    """

    def __init__(
        self,
        turns: Turns[_T],
        advance: Callable[[], Coroutine[object, object, None]],
        close: Callable[[], None],
    ) -> None:
        self._turns = turns
        self._advance = advance
        self._close = close

    def __next__(self) -> _T:
        turns = self._turns
        while True:
            if not turns.events:
                run(self._advance())
                if not turns.events:
                    raise StopIteration
            try:
                return turns.take()
            except SkipEvent:
                pass

    def close(self) -> None:
        """Close the subscription."""
        self._close()


class AsyncTypedItems(AsyncItems[_T]):
    """Iterator over the items made from a subscription's events, asynchronous; as `TypedItems`."""

    def __init__(
        self,
        turns: Turns[_T],
        advance: Callable[[], Awaitable[None]],
        aclose: Callable[[], Awaitable[None]],
    ) -> None:
        self._turns = turns
        self._advance = advance
        self._aclose = aclose

    async def __anext__(self) -> _T:
        turns = self._turns
        while True:
            if not turns.events:
                await self._advance()
                if not turns.events:
                    raise StopAsyncIteration
            try:
                return turns.take()
            except SkipEvent:
                pass

    async def aclose(self) -> None:
        """Close the subscription."""
        await self._aclose()
