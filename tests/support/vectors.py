"""The vectors with their outcomes, and the chunkings in which to try them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from sse_testing import vectors

from .reference import Outcome

__all__ = ["FAMILIES", "LONG", "SHORT", "Case", "chunkings", "every_family", "offsets"]

# Bytes. Longer streams are not cut at every pair of offsets, and those of thousands of bytes not
# at every offset, but around each line's end: 5,000 digits have nothing to tell in their middle.
SHORT: Final = 40
LONG: Final = 1000


class Case(NamedTuple):
    stream: bytes
    outcome: Outcome


FAMILIES: Final[dict[str, dict[str, Case]]] = {}
for _vector in vectors():
    FAMILIES.setdefault(_vector.family, {})[_vector.name] = Case(
        _vector.stream, ([*_vector.events], _vector.last_event_id, _vector.reconnection_time)
    )

# A test takes a family, not a vector: of seven thousand tests most of the time was pytest's own.
# What fails says the name of its vector.
every_family: Final = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


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
