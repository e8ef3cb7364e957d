"""Glue between any source of chunks and the decoder: the whole embedding API for most people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._implementation import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable

    from ._decoder import BytesLike
    from ._events import ServerSentEvent

__all__ = ["aiter_events", "iter_events"]


def iter_events(
    chunks: Iterable[BytesLike], *, decoder: SSEDecoder | None = None
) -> Generator[ServerSentEvent, None, None]:
    """Decode an iterable of chunks; yield each event as soon as its chunk has arrived.

    Args:
        chunks: The body of the response, undecoded, cut anywhere.
        decoder: A new decoder, for limits and options, or to read its ``last_event_id``
            later. Closed when the chunks end.

    Raises:
        EventTooLarge: After every event that was complete before it.
        TypeError, BufferError, ValueError: As `SSEDecoder.feed`; also what ``chunks`` raises.
    """
    decoder = SSEDecoder() if decoder is None else decoder
    for chunk in chunks:
        yield from decoder.feed(chunk)
    decoder.close()


async def aiter_events(
    chunks: AsyncIterable[BytesLike], *, decoder: SSEDecoder | None = None
) -> AsyncGenerator[ServerSentEvent, None]:
    """Decode an asynchronous iterable of chunks; otherwise as `iter_events`.

    An async generator: who leaves it early, and needs ``chunks`` closed at once, closes both.
    """
    decoder = SSEDecoder() if decoder is None else decoder
    async for chunk in chunks:
        for event in decoder.feed(chunk):
            yield event
    decoder.close()
