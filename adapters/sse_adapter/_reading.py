"""Reading a response through a decoder: chunks in, items out, sync and async.

All state is here, none in the iterators that are handed out. So when a loop is left, times out or
is cancelled, another one, even of another kind, can go on where it stopped.

A byte's way: `Body.read`, `Chunks.read`, the decoder, and from there

- as text: `EventReader.events`, `EventItems` or `EventsToTheEnd`, the user's loop;
- to a parser: `Reader.undecoded`, a `Parsing`, `ParsedItems`, the user's loop. An event is parsed
  when its turn comes, and not before: until then it may become anything, and a parser that fails
  or is interrupted takes no other event with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from enum import Enum
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, cast

from sse_proto import (
    EventTooLarge,
    IncompleteStream,
    ParsedEvent,
    ServerSentEvent,
    Silence,
    SkipEvent,
    attach_event,
    by_event,
)

from ._body import run
from ._chunks import Chunks
from ._coding import UnknownCoding
from ._errors import content_type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from sse_proto import Ending, SSEDecoder, Until

    from ._body import Body

__all__ = [
    "NOTHING",
    "AsyncEventItems",
    "AsyncEventsToTheEnd",
    "AsyncItems",
    "AsyncParsedItems",
    "EventItems",
    "EventParsing",
    "EventReader",
    "EventsToTheEnd",
    "Items",
    "Nothing",
    "ParsedItems",
    "Parsing",
    "Reader",
    "Texts",
    "explained",
    "new_event",
]

_SHOWN_SIZE: Final = 1024
"""How many bytes of a refused body the error's message shows; its ``body`` has more."""

_T = TypeVar("_T")

# Takes a third of the time of calling the class.
new_event: Final = cast("Callable[..., Any]", tuple.__new__)

# Hands on the data as it is. With the decoder in C that runs no Python code, so nothing can
# interrupt it.
_BYTES: Final = by_event[bytes]({}, default=itemgetter(slice(None)))


class Texts(Protocol):
    """Turns chunks into texts, each as the data of an event."""

    def feed(self, chunk: bytes, /) -> list[ParsedEvent[bytes]]: ...

    def close(self) -> Iterable[ParsedEvent[bytes]] | None: ...


class Reader:
    """The data of one response, for parsers.

    Args:
        new_body: Returns the response's body, asynchronous if the argument is true.
        decoder: Gets the body's chunks.
        objection: Called once when reading starts, with the response's status and content type;
            returns why it is not what it should be, or ``None``.
        event_timeout: The longest silence between items, in seconds; ``None``: any.
    """

    def __init__(
        self,
        new_body: Callable[[bool], Body[Any]],
        decoder: Texts,
        objection: Callable[[int, str], str | None],
        *,
        event_timeout: float | None = None,
    ) -> None:
        self.undecoded: deque[ParsedEvent[bytes]] = deque()
        """Not yet parsed, nor handed out."""
        self._new_body = new_body
        self._decoder = decoder
        self._objection = objection
        self._event_timeout = event_timeout
        self._body: Body[Any] | None = None
        self._chunks: Chunks | None = None  # of this body; None until the response has been judged
        self._silence = Silence(None, event_timeout)  # of this body
        self._is_over = False
        self._error: Exception | None = None  # why it is over, unless the body came to its end
        self._is_closed = False  # whether it is over because it was closed
        self.has_ended = False
        """Whether `end` was called."""
        self._must_drain = False

    async def fill(self, is_async: bool) -> None:
        """Read until there is something to parse, or nothing left. Raises as ``EventSource``."""
        await self._fill(is_async, self.undecoded, self._decoder.feed)

    def end(self) -> None:
        """Stop handing out items, whatever may follow. The next call reads on to the body's end."""
        self._is_over = self.has_ended = self._must_drain = True
        self.undecoded.clear()

    def close(self) -> None:
        """Close the connection. May be called again."""
        self._stop()
        run(self._body_of(False).close())

    async def aclose(self) -> None:
        """Close the connection. May be called again, even while another task waits for an item."""
        self._stop()
        await self._body_of(True).close()

    def _body_of(self, is_async: bool) -> Body[Any]:
        """Return the body for this kind of loop."""
        if self._body is None or self._body.is_async is not is_async:
            self._body = self._new_body(is_async)
            self._chunks = None
        return self._body

    async def _fill(
        self, is_async: bool, items: deque[_T], feed: Callable[[bytes], Iterable[_T]]
    ) -> None:
        """Read until there are items, or nothing left."""
        body = self._body_of(is_async)
        if self._must_drain and self._chunks is not None:
            self._must_drain = False
            await self._chunks.drain()
        while not (items or self._is_over):
            chunks = self._chunks or await self._judge(body)
            silence = self._silence
            try:
                chunk = await chunks.read(silence.limit, silence.waited)
                if chunk is None:
                    self._is_over = True
                    self.undecoded.extend(self._decoder.close() or ())
                else:
                    items.extend(feed(chunk))
                    silence.heard(chunk, event=bool(items))
            except (EventTooLarge, UnknownCoding) as error:
                if not self._is_over:
                    await self._close(body)
                raise self._fail(body.sse_error(f"event stream refused: {error}", None)) from error
            except BaseException as error:
                if not body.goes_on_after(error):
                    if self._is_closed and isinstance(error, Exception):  # by another task
                        raise body.closed_error() from error
                    await self._close(body)
                elif isinstance(error, Exception):  # if cancelled, the silence goes on
                    self._begin_silence(body)
                raise
        if not items:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                raise body.closed_error()

    async def _judge(self, body: Body[Any]) -> Chunks:
        """Judge the response; return its chunks if it is what it should be."""
        body.check()
        chunks = Chunks(body)
        objection = self._objection(body.status_code, content_type_of(body.headers))
        objection = objection or chunks.objection
        if objection is not None:
            start = await chunks.start()
            await self._close(body)
            raise self._fail(body.sse_error(explained(objection, start), start))
        self._chunks = chunks
        self._begin_silence(body)
        return chunks

    def _begin_silence(self, body: Body[Any]) -> None:
        idle_timeout = body.idle_timeout
        if idle_timeout is not None:  # to a client, 0 may mean "what is there already"
            idle_timeout = max(idle_timeout, 0.001)
        self._silence = Silence(idle_timeout, self._event_timeout)

    async def _close(self, body: Body[Any]) -> None:
        self._stop()
        await body.close()

    def _stop(self) -> None:
        if not self._is_over:
            self._is_over = self._is_closed = True

    def _fail(self, error: Exception) -> Exception:
        self._is_over = True
        self._error = error
        return error


class EventReader(Reader):
    """The events of one response, as text or for parsers; otherwise as `Reader`."""

    def __init__(
        self,
        new_body: Callable[[bool], Body[Any]],
        decoder: SSEDecoder,
        objection: Callable[[int, str], str | None],
        *,
        event_timeout: float | None = None,
    ) -> None:
        super().__init__(new_body, _Undecoded(decoder), objection, event_timeout=event_timeout)
        self.decoder: Final = decoder
        self.events: deque[ServerSentEvent] = deque()
        """Decoded, but not yet handed out. Empty while there are `undecoded` ones."""

    def next(self) -> ServerSentEvent:
        """Return the next event; raise StopIteration after the last, and as ``EventSource``."""
        if not self.events:
            if self.undecoded:
                self._decode()
            else:
                run(self._fill(False, self.events, self.decoder.feed))
        if self.events:
            return self.events.popleft()
        raise StopIteration

    async def anext(self) -> ServerSentEvent:
        """Return the next event; raise StopAsyncIteration after the last; else as `next`."""
        if not self.events:
            if self.undecoded:
                self._decode()
            else:
                await self._fill(True, self.events, self.decoder.feed)
        if self.events:
            return self.events.popleft()
        raise StopAsyncIteration

    async def fill(self, is_async: bool) -> None:
        if self.events:
            self._encode()
        else:
            await super().fill(is_async)

    def end(self) -> None:
        super().end()
        self.events.clear()

    def _decode(self) -> None:
        """Turn what another loop left over into text."""
        self.events.extend(
            ServerSentEvent(
                event.event, event.data.decode("utf-8", "replace"), event.id, event.retry
            )
            for event in self.undecoded
        )
        self.undecoded.clear()

    def _encode(self) -> None:
        """Turn what another loop left over back into bytes.

        These are the bytes that were sent, if those were UTF-8. Anything else is now U+FFFD, since
        the chunk itself is gone.
        """
        self.undecoded.extend(
            ParsedEvent(event.event, event.data.encode("utf-8"), event.id, event.retry)
            for event in self.events
        )
        self.events.clear()


class _Undecoded:
    """Chunks in, unparsed events out."""

    def __init__(self, decoder: SSEDecoder) -> None:
        self._decoder = decoder
        self.close: Final = decoder.close

    def feed(self, chunk: bytes, /) -> list[ParsedEvent[bytes]]:
        return self._decoder.feed_parsed(chunk, _BYTES)


def explained(objection: str, start: bytes) -> str:
    """Return why a response was refused, with up to 1,024 bytes of what it says."""
    shown = start[:_SHOWN_SIZE].decode("utf-8", "replace")
    return f"{objection}; the body begins {shown!r}" if shown else objection


# What is handed out.


class Items(ABC, Generic[_T]):
    """Iterator over the items of a stream. Another one goes on where this one stopped."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __iter__(self) -> Items[_T]:
        return self

    @abstractmethod
    def __next__(self) -> _T: ...

    def close(self) -> None:
        """Close the connection, as closing a generator that reads from it would."""
        self._reader.close()


class AsyncItems(ABC, Generic[_T]):
    """Asynchronous iterator over the items of a stream, as `Items`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __aiter__(self) -> AsyncItems[_T]:
        return self

    @abstractmethod
    def __anext__(self) -> Coroutine[None, None, _T]: ...

    async def aclose(self) -> None:
        """Close the connection, as closing a generator that reads from it would."""
        await self._reader.aclose()


class EventItems(Items[ServerSentEvent]):
    """Iterator over the events of a response, as text, sync."""

    _reader: EventReader

    def __next__(self) -> ServerSentEvent:
        events = self._reader.events
        return events.popleft() if events else self._reader.next()


class AsyncEventItems(AsyncItems[ServerSentEvent]):
    """Iterator over the events of a response, as text, asynchronous."""

    _reader: EventReader

    def __anext__(self) -> Coroutine[None, None, ServerSentEvent]:
        return self._reader.anext()


class EventsToTheEnd(EventItems):
    """Iterator over a response's events up to the one that ends the stream, sync.

    Iterating raises:
        IncompleteStream: The body has ended before that event, or inside one.
    """

    def __init__(self, reader: EventReader, ending: Ending) -> None:
        super().__init__(reader)
        self._ending = ending

    def __next__(self) -> ServerSentEvent:
        try:
            event = self._reader.next()
        except StopIteration:
            _check_end(self._reader, self._reader.decoder)
            raise
        is_withheld = _is_withheld(event, self._ending, self._reader)
        return self._reader.next() if is_withheld else event


class AsyncEventsToTheEnd(AsyncEventItems):
    """Iterator over a response's events up to the one that ends the stream, asynchronous."""

    def __init__(self, reader: EventReader, ending: Ending) -> None:
        super().__init__(reader)
        self._ending = ending

    async def __anext__(self) -> ServerSentEvent:
        try:
            event = await self._reader.anext()
        except StopAsyncIteration:
            _check_end(self._reader, self._reader.decoder)
            raise
        is_withheld = _is_withheld(event, self._ending, self._reader)
        return await self._reader.anext() if is_withheld else event


def _is_withheld(event: ServerSentEvent, ending: Ending, reader: Reader) -> bool:
    """Return whether to withhold this event; after the last one, end the reader."""
    kept = ending.cut([event])
    if ending.last is not None:
        reader.end()
    return not kept


def _check_end(reader: Reader, decoder: SSEDecoder) -> None:
    """Raise IncompleteStream, unless the last event has come."""
    if not reader.has_ended:
        raise IncompleteStream(decoder.unfinished, decoder.last_event_id)


class Nothing(Enum):
    """Stands for a missing item, since an item may be any object."""

    NOTHING = 0


NOTHING: Final = Nothing.NOTHING  # looking it up in the class costs 60 ns per item


class Parsing(ABC, Generic[_T]):
    """Turns what a reader has into items, up to the end of the stream.

    Args:
        reader: Has the events.
        until: As for ``EventSource.iter_sse``.
        is_last: Whether an item is the last one, which is handed out.
        decoder: Says how a stream that should have had an end was incomplete; ``None``: the end of
            the body will do.
    """

    def __init__(
        self,
        reader: Reader,
        until: Until,
        is_last: Callable[[_T], bool] | None,
        decoder: SSEDecoder | None,
    ) -> None:
        ends = [until] if isinstance(until, str) else until or ()
        self.events: Final = reader.undecoded
        self._ends = frozenset(end.encode("utf-8", "surrogatepass") for end in ends)
        self._is_last = is_last
        self._reader = reader
        self._decoder = decoder

    @abstractmethod
    def take(self) -> _T | Nothing:
        """Take the first event, and return what it is turned into; `NOTHING`: it is skipped.

        It is removed only after it has been parsed, so whatever interrupts a parser, such as
        `KeyboardInterrupt`, loses no event.
        """

    def check(self) -> None:
        """Raise IncompleteStream if the stream needs an end, and that has not come."""
        if self._decoder is not None:
            _check_end(self._reader, self._decoder)

    def _is_end(self, data: bytes) -> bool:
        """Return whether this data ends the stream; if so, end the reader."""
        if data not in self._ends:
            return False
        self._reader.end()
        return True

    def _not_taken(self, error: Exception) -> Nothing:
        """Remove the first event, whose parser raised this; raise it again unless it is a skip."""
        event = self.events.popleft()
        if isinstance(error, SkipEvent):
            return NOTHING
        attach_event(error, event)
        raise error


class EventParsing(Parsing[ParsedEvent[_T]]):
    """Turns events into the same with data parsed by ``parse``; otherwise as `Parsing`."""

    def __init__(
        self,
        reader: EventReader,
        parse: Callable[[str, bytes], _T],
        until: Until,
        is_last: Callable[[ParsedEvent[_T]], bool] | None,
    ) -> None:
        has_end = until is not None or is_last is not None
        super().__init__(reader, until, is_last, reader.decoder if has_end else None)
        self._parse = parse

    def take(self) -> ParsedEvent[_T] | Nothing:
        type_, data, last_event_id, retry = self.events[0]
        if self._ends and self._is_end(data):
            return NOTHING
        try:
            value = self._parse(type_, data)
        except Exception as error:
            return self._not_taken(error)
        self.events.popleft()
        event: ParsedEvent[_T] = new_event(ParsedEvent, (type_, value, last_event_id, retry))
        if self._is_last is not None and self._is_last(event):
            self._reader.end()
        return event


class ParsedItems(Items[_T]):
    """Iterator over what a `Parsing` makes, sync."""

    def __init__(self, reader: Reader, parsing: Parsing[_T]) -> None:
        super().__init__(reader)
        self._parsing = parsing

    def __next__(self) -> _T:
        parsing = self._parsing
        while True:
            if not parsing.events:
                run(self._reader.fill(False))
                if not parsing.events:
                    parsing.check()
                    raise StopIteration
            item = parsing.take()
            if item is not NOTHING:
                return item


class AsyncParsedItems(AsyncItems[_T]):
    """Iterator over what a `Parsing` makes, asynchronous."""

    def __init__(self, reader: Reader, parsing: Parsing[_T]) -> None:
        super().__init__(reader)
        self._parsing = parsing

    async def __anext__(self) -> _T:
        parsing = self._parsing
        while True:
            if not parsing.events:
                await self._reader.fill(True)
                if not parsing.events:
                    parsing.check()
                    raise StopAsyncIteration
            item = parsing.take()
            if item is not NOTHING:
                return item
