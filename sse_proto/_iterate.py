"""Glue between any source of chunks and the decoder: for most people, all the API they need.

Each function comes twice, sync and async.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast, final

from ._ending import Ending
from ._errors import IncompleteStream
from ._implementation import SSEDecoder
from ._parsing import SkipEvent

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Callable,
        Collection,
        Generator,
        Iterable,
    )

    from ._events import ParsedEvent, ServerSentEvent
    from ._feed import BytesLike

__all__ = ["Until", "aiter_events", "aiter_parsed", "iter_events", "iter_parsed"]

T = TypeVar("T")

Until: TypeAlias = "str | Collection[str] | None"
"""Data that ends a stream: exactly this, or one of several."""


def iter_events(
    chunks: Iterable[BytesLike],
    *,
    decoder: SSEDecoder | None = None,
    until: Until = None,
    is_last: Callable[[ServerSentEvent], bool] | None = None,
) -> Generator[ServerSentEvent, None, None]:
    """Decode an iterable of chunks; yield each event as soon as its chunk has arrived.

    Args:
        chunks: The body of the response, undecoded, cut anywhere.
        decoder: A new decoder, if you want limits or options, or to read its ``last_event_id``
            later. Closed when the stream is over.
        until: The exact data that ends the stream, such as ``"[DONE]"``, or a collection of
            several. The event that has it is not yielded, and whatever follows is dropped.
        is_last: Called with each event to be yielded; the first for which it is true is the last
            one.

    Raises:
        IncompleteStream: The chunks ended before the event that ``until`` or ``is_last`` waits for,
            inside an event or not. Raised after every complete event. If neither is given, the
            chunks may end anywhere.
        EventTooLarge: As `SSEDecoder.feed`, after every event that was complete before it.
        TypeError, BufferError, ValueError: As `SSEDecoder.feed`.

    Also whatever ``chunks``, ``is_last`` and the decoder's callbacks raise.
    """
    decoder = SSEDecoder() if decoder is None else decoder
    if until is None and is_last is None:
        for chunk in chunks:
            yield from decoder.feed(chunk)
        decoder.close()
        return
    ending = Ending(until, is_last)
    for chunk in chunks:
        for event in decoder.feed(chunk):
            yield from ending.cut([event])
            if ending.last is not None:
                _close_at_end(decoder)
                return
    _close_before_end(decoder, ending.is_expected)


async def aiter_events(
    chunks: AsyncIterable[BytesLike],
    *,
    decoder: SSEDecoder | None = None,
    until: Until = None,
    is_last: Callable[[ServerSentEvent], bool] | None = None,
) -> AsyncGenerator[ServerSentEvent, None]:
    """Decode an asynchronous iterable of chunks; otherwise as `iter_events`.

    An async generator: if you leave it early and need ``chunks`` closed at once, close both. The
    same goes for an end by ``until`` or ``is_last``, which comes before the end of ``chunks``.
    """
    decoder = SSEDecoder() if decoder is None else decoder
    if until is None and is_last is None:
        async for chunk in chunks:
            for event in decoder.feed(chunk):
                yield event
        decoder.close()
        return
    ending = Ending(until, is_last)
    async for chunk in chunks:
        for event in decoder.feed(chunk):
            for shown in ending.cut([event]):
                yield shown
            if ending.last is not None:
                _close_at_end(decoder)
                return
    _close_before_end(decoder, ending.is_expected)


def iter_parsed(
    chunks: Iterable[BytesLike],
    parse: Callable[[str, bytes], T],
    *,
    decoder: SSEDecoder | None = None,
    until: Until = None,
    is_last: Callable[[ParsedEvent[T]], bool] | None = None,
) -> Generator[ParsedEvent[T], None, None]:
    """Decode an iterable of chunks, and parse the data of each event from its bytes.

    Args:
        chunks: As for `iter_events`.
        parse: As for `SSEDecoder.feed_parsed`; see `by_event`. It is not called with the data that
            ``until`` names.
        decoder: As for `iter_events`.
        until: As for `iter_events`.
        is_last: As for `iter_events`, with the parsed event.

    Raises:
        IncompleteStream, EventTooLarge, TypeError, BufferError, ValueError: As `iter_events`.

    Also whatever ``parse`` raises, after the events before it; `failed_event` says for which event.
    That ends the iteration. To go on with the next event, call `SSEDecoder.feed_parsed` yourself.
    """
    decoder = SSEDecoder() if decoder is None else decoder
    parse = _parse_until(until, parse)
    for chunk in chunks:
        events = decoder.feed_parsed(chunk, parse)
        while events:
            for event in events:
                is_end = event.data is _END
                if not is_end:
                    is_end = is_last is not None and is_last(event)
                    yield event
                if is_end:
                    _close_at_end(decoder)
                    return
            events = decoder.feed_parsed(b"", parse)  # what comes after one that failed
    _close_before_end(decoder, until is not None or is_last is not None)


async def aiter_parsed(
    chunks: AsyncIterable[BytesLike],
    parse: Callable[[str, bytes], T],
    *,
    decoder: SSEDecoder | None = None,
    until: Until = None,
    is_last: Callable[[ParsedEvent[T]], bool] | None = None,
) -> AsyncGenerator[ParsedEvent[T], None]:
    """Decode and parse an asynchronous iterable of chunks; otherwise as `iter_parsed`."""
    decoder = SSEDecoder() if decoder is None else decoder
    parse = _parse_until(until, parse)
    async for chunk in chunks:
        events = decoder.feed_parsed(chunk, parse)
        while events:
            for event in events:
                is_end = event.data is _END
                if not is_end:
                    is_end = is_last is not None and is_last(event)
                    yield event
                if is_end:
                    _close_at_end(decoder)
                    return
            events = decoder.feed_parsed(b"", parse)  # what comes after one that failed
    _close_before_end(decoder, until is not None or is_last is not None)


@final
class _End:
    """What stands for the data that ends a parsed stream, which is not parsed."""


_END: Final = _End()


def _parse_until(until: Until, parse: Callable[[str, bytes], T]) -> Callable[[str, bytes], T]:
    """Return a parser that turns what ends the stream into `_END`, and leaves out what follows."""
    ends = frozenset([until] if isinstance(until, str) else until or ())
    if not ends:
        return parse
    ends_as_bytes = frozenset(end.encode("utf-8", "surrogatepass") for end in ends)
    is_over = False

    def parse_up_to_end(event: str, data: bytes) -> T:
        nonlocal is_over
        if is_over:
            raise SkipEvent
        if data in ends_as_bytes:
            is_over = True
            return cast("T", _END)
        return parse(event, data)

    return parse_up_to_end


def _close_at_end(decoder: SSEDecoder) -> None:
    """Close a decoder that has returned the last event."""
    try:
        decoder.close()
    except Exception:
        pass  # what followed: an event too large, or one that a parser refused


def _close_before_end(decoder: SSEDecoder, is_expected: bool) -> None:
    """Close a decoder whose chunks have ended; raise if its last event has not come."""
    decoder.close()
    if is_expected:
        raise IncompleteStream(decoder.unfinished, decoder.last_event_id)
