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
    """Return a parser for `Turns` that makes an object of the data; skips events without any."""

    def parse(_: ServerSentEvent, data: bytes) -> _T:
        if not data or data.isspace():
            raise SkipEvent
        return loads(data)

    return parse


def event_parser(
    parse_data: Callable[[str, bytes], _T],
) -> Callable[[ServerSentEvent, bytes], ParsedEvent[_T]]:
    """Return a parser for `Turns` that makes an event of an event."""

    def parse(event: ServerSentEvent, data: bytes) -> ParsedEvent[_T]:
        type_, _, last_event_id, retry = event
        value = parse_data(type_, data)
        parsed: ParsedEvent[_T] = new_event(ParsedEvent, (type_, value, last_event_id, retry))
        return parsed

    return parse


class Turns(Generic[_T]):
    """Makes items of a subscription's events, one at a time.

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
        """Take the first event, and return what it makes.

        It is only removed after it was parsed, so whatever interrupts a parser, such as
        `KeyboardInterrupt`, costs no event.

        Raises:
            SkipEvent: It is left out, or gone.

        Also what the parser raises.
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
    """Iterator over what a subscription's events make, sync.

    Args:
        turns: Makes it.
        advance: Waits until there are events, or no more to come.
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
    """Iterator over what a subscription's events make, asynchronous; as `TypedItems`."""

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
