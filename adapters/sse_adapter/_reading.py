"""Reading a response through a decoder: chunks in, items out, sync and async.

All state is here, none in the iterators that are handed out. So when a loop was left, timed out or
cancelled, another one can go on where it ended.

A byte's way: `Body.read`, `Chunks.read`, the decoder's ``feed``, ``items``, the user's loop.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from sse_proto import EventTooLarge, IncompleteStream, Silence

from ._body import run
from ._chunks import Chunks
from ._coding import UnknownCoding
from ._errors import content_type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from sse_proto import Ending, ServerSentEvent, SSEDecoder

    from ._body import Body

__all__ = [
    "AsyncItems",
    "AsyncItemsToTheEnd",
    "Decoder",
    "Items",
    "ItemsToTheEnd",
    "Reader",
    "explained",
]

_SHOWN_SIZE: Final = 1024
"""Bytes of a refused body that the error's message has; its ``body`` has more."""

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class Decoder(Protocol[_T_co]):
    """Turns chunks into items, as `sse_proto.SSEDecoder` does."""

    def feed(self, chunk: bytes, /) -> Iterable[_T_co]: ...

    def close(self) -> Iterable[_T_co] | None: ...


class Reader(Generic[_T]):
    """The items of one response.

    Args:
        new_body: Returns the response's body, asynchronous if the argument is true.
        decoder: Gets the body's chunks.
        objection: Called once when reading starts, with the response's status and content type:
            why it is not what it should be, or ``None``.
        event_timeout: The longest silence between items, in seconds; ``None``: any.
    """

    def __init__(
        self,
        new_body: Callable[[bool], Body[Any]],
        decoder: Decoder[_T],
        objection: Callable[[int, str], str | None],
        *,
        event_timeout: float | None = None,
    ) -> None:
        self.items: deque[_T] = deque()
        """Decoded, and not yet handed out."""
        self._new_body = new_body
        self._decoder = decoder
        self._objection = objection
        self._event_timeout = event_timeout
        self._body: Body[Any] | None = None
        self._chunks: Chunks | None = None  # of this body; None until the response was judged
        self._silence = Silence(None, event_timeout)  # of this body
        self._is_over = False
        self._error: Exception | None = None  # why it is over, unless the body came to its end
        self._is_closed = False  # whether it is over because it was closed
        self.has_ended = False
        """Whether `end` was called."""
        self._must_drain = False

    def next(self) -> _T:
        """Return the next item; raise StopIteration after the last, and as ``EventSource``."""
        if not self.items:
            run(self._fill(False))
        if self.items:
            return self.items.popleft()
        raise StopIteration

    async def anext(self) -> _T:
        """Return the next item; raise StopAsyncIteration after the last, and as ``EventSource``."""
        if not self.items:
            await self._fill(True)
        if self.items:
            return self.items.popleft()
        raise StopAsyncIteration

    def end(self) -> None:
        """Stop handing out items, whatever may follow. The next call reads on to the body's end."""
        self._is_over = self.has_ended = self._must_drain = True
        self.items.clear()

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

    async def _fill(self, is_async: bool) -> None:
        """Read until there are items, or no more to come."""
        body = self._body_of(is_async)
        if self._must_drain and self._chunks is not None:
            self._must_drain = False
            await self._chunks.drain()
        while not (self.items or self._is_over):
            chunks = self._chunks or await self._judge(body)
            silence = self._silence
            try:
                chunk = await chunks.read(silence.limit, silence.waited)
                if chunk is None:
                    self._is_over = True
                    self.items.extend(self._decoder.close() or ())
                else:
                    self.items.extend(self._decoder.feed(chunk))
                    silence.heard(chunk, event=bool(self.items))
            except (EventTooLarge, UnknownCoding) as error:
                if not self._is_over:
                    await self._close(body)
                raise self._fail(body.sse_error(f"event stream refused: {error}", None)) from error
            except BaseException as error:
                if not body.goes_on_after(error):
                    if self._is_closed and isinstance(error, Exception):  # by another task
                        raise body.closed_error() from error
                    await self._close(body)
                elif isinstance(error, Exception):  # else it was cancelled, and the silence goes on
                    self._begin_silence(body)
                raise
        if not self.items:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                raise body.closed_error()

    async def _judge(self, body: Body[Any]) -> Chunks:
        """Return the chunks of a response that is what it should be."""
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
        if idle_timeout is not None:  # a client may take 0, for "what is there already"
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


def explained(objection: str, start: bytes) -> str:
    """Return why a response was refused, with what it says itself, up to its first 1,024 bytes."""
    shown = start[:_SHOWN_SIZE].decode("utf-8", "replace")
    return f"{objection}; the body begins {shown!r}" if shown else objection


class Items(Generic[_T]):
    """Iterator over the items of a response. Another one goes on where this one stopped."""

    def __init__(self, reader: Reader[_T]) -> None:
        self._reader = reader

    def __iter__(self) -> Items[_T]:
        return self

    def __next__(self) -> _T:
        return self._reader.next()

    def close(self) -> None:
        """Close the connection, as closing a generator that reads from it would."""
        self._reader.close()


class AsyncItems(Generic[_T]):
    """Asynchronous iterator over the items of a response, as `Items`."""

    def __init__(self, reader: Reader[_T]) -> None:
        self._reader = reader

    def __aiter__(self) -> AsyncItems[_T]:
        return self

    def __anext__(self) -> Coroutine[Any, Any, _T]:
        return self._reader.anext()

    async def aclose(self) -> None:
        """Close the connection, as closing a generator that reads from it would."""
        await self._reader.aclose()


class ItemsToTheEnd(Items["ServerSentEvent"]):
    """Iterator over a reader's events up to the one that ends the stream, sync.

    Iterating raises:
        IncompleteStream: The body has ended before that event, or inside one.
    """

    def __init__(
        self, reader: Reader[ServerSentEvent], decoder: SSEDecoder, ending: Ending
    ) -> None:
        super().__init__(reader)
        self._end = _End(reader, decoder, ending)

    def __next__(self) -> ServerSentEvent:
        try:
            event = self._reader.next()
        except StopIteration:
            self._end.check()
            raise
        return self._reader.next() if self._end.comes_before(event) else event


class AsyncItemsToTheEnd(AsyncItems["ServerSentEvent"]):
    """Iterator over a reader's events up to the one that ends the stream, asynchronous."""

    def __init__(
        self, reader: Reader[ServerSentEvent], decoder: SSEDecoder, ending: Ending
    ) -> None:
        super().__init__(reader)
        self._end = _End(reader, decoder, ending)

    async def __anext__(self) -> ServerSentEvent:
        try:
            event = await self._reader.anext()
        except StopAsyncIteration:
            self._end.check()
            raise
        return await self._reader.anext() if self._end.comes_before(event) else event


class _End:
    """The end of a stream that has one."""

    def __init__(
        self, reader: Reader[ServerSentEvent], decoder: SSEDecoder, ending: Ending
    ) -> None:
        self._reader = reader
        self._decoder = decoder
        self._ending = ending

    def comes_before(self, event: ServerSentEvent) -> bool:
        """Return whether this event is not handed out; after the last one end the reader."""
        kept = self._ending.cut([event])
        if self._ending.last is not None:
            self._reader.end()
        return not kept

    def check(self) -> None:
        """Raise IncompleteStream, unless the last event has come."""
        if not self._reader.has_ended:
            raise IncompleteStream(self._decoder.unfinished, self._decoder.last_event_id)
