"""What the tests do with a decoder, and the size of an event, a second time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from sse_testing import reference

if TYPE_CHECKING:
    from sse_proto import BytesLike, SSEDecoder

__all__ = [
    "BOM",
    "Event",
    "Outcome",
    "before_oversized",
    "decode",
    "drip",
    "interpret",
    "pieces_of",
]

Event: TypeAlias = "tuple[str, str, str | None, int | None]"
"""Event type, data, last event ID, reconnection time that the event's own block set."""

Outcome: TypeAlias = "tuple[list[Event], str | None, int | None]"
"""Events, last event ID, reconnection time."""

BOM: Final = b"\xef\xbb\xbf"


def interpret(
    stream: bytes, *, last_event_id: str | None = None, dispatch_empty: bool = False
) -> Outcome:
    """Interpret a whole event stream as the standard says: `reference`, as a plain `Outcome`."""
    events, last_event_id, reconnection_time = reference(
        stream, last_event_id=last_event_id, dispatch_empty=dispatch_empty
    )
    return [*events], last_event_id, reconnection_time


def before_oversized(stream: bytes, limit: int) -> bytes | None:
    """Return the part of the stream before the first event of more than ``limit`` bytes.

    ``None`` if there is no such event. The size of an event: its lines with a known field, as they
    were sent, each with one byte for its end; a last line without end counts once it has its colon.
    """
    position = len(BOM) if stream.startswith(BOM) else 0
    block_begin = position
    size = 0
    while position < len(stream):
        ends = [
            end for end in (stream.find(b"\r", position), stream.find(b"\n", position)) if end >= 0
        ]
        if not ends:
            line = stream[position:]
            if line.partition(b":")[0] in KNOWN_FIELDS and b":" in line:
                size += len(line)
            return stream[:block_begin] if size > limit else None
        line = stream[position : min(ends)]
        position = min(ends) + (2 if stream[min(ends) : min(ends) + 2] == b"\r\n" else 1)
        if line.partition(b":")[0] in KNOWN_FIELDS:
            size += len(line) + 1
        if size > limit:
            return stream[:block_begin]
        if line == b"":
            block_begin = position
            size = 0
    return None


KNOWN_FIELDS: Final = frozenset({b"data", b"event", b"id", b"retry"})


# What the tests do with a decoder, brought into the shape of an `Outcome`.


def decode(decoder: SSEDecoder, chunks: Iterable[BytesLike]) -> Outcome:
    """Feed all chunks, and close."""
    events: list[Event] = []
    for chunk in chunks:
        events += decoder.feed(chunk)
    decoder.close()
    return events, decoder.last_event_id, decoder.reconnection_time


def pieces_of(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut the stream at these offsets; offsets past its end make empty chunks."""
    pieces: list[bytes] = []
    start = 0
    for cut in sorted(cuts):
        pieces.append(stream[start:cut])
        start = max(start, min(cut, len(stream)))
    pieces.append(stream[start:])
    return pieces


def drip(stream: bytes, size: int) -> Iterator[bytes]:
    """Cut the stream into chunks of this many bytes."""
    for start in range(0, len(stream), size):
        yield stream[start : start + size]
