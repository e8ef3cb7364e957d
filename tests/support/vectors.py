"""The vectors with their outcomes, and the chunkings in which to try them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sse_testing import vectors

from .reference import Outcome

__all__ = ["LONG", "NAMED", "SHORT", "Case", "chunkings", "offsets"]

# Bytes. Longer streams are not cut at every pair of offsets, and those of thousands of bytes not
# at every offset, but around each line's end: 5,000 digits have nothing to tell in their middle.
SHORT: Final = 40
LONG: Final = 1000


class Case(NamedTuple):
    stream: bytes
    outcome: Outcome


NAMED: Final = [
    (
        f"{vector.family}-{vector.name}",
        Case(vector.stream, ([*vector.events], vector.last_event_id, vector.reconnection_time)),
    )
    for vector in vectors()
]


def offsets(stream: bytes) -> list[int]:
    """Where a stream is cut in two."""
    if len(stream) <= LONG:
        return list(range(len(stream) + 1))
    near = {0, 1, 2, 3, len(stream)}
    for position, byte in enumerate(stream):
        if byte in b"\r\n":
            near.update(range(position - 2, position + 9))
    return sorted(offset for offset in near if 0 <= offset <= len(stream))


def chunkings(stream: bytes) -> Iterator[list[bytes]]:
    yield [stream]
    for size in (1, 2, 3, 7):
        yield [stream[start : start + size] for start in range(0, len(stream), size)]
    for offset in offsets(stream):
        yield [stream[:offset], stream[offset:]]
