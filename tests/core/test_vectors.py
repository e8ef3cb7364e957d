"""Every vector in every chunking and in every type of buffer: the result is always the same."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from sse_testing import vectors
from tests.support.reference import BOM, Outcome, decode, interpret, pieces_of

if TYPE_CHECKING:
    from sse_proto import SSEDecoder

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
every_vector: Final = pytest.mark.parametrize(
    "vector", [pytest.param(vector, id=name) for name, vector in NAMED]
)


def in_mmap(chunk: bytes) -> mmap.mmap:
    view = mmap.mmap(-1, len(chunk))
    view[:] = chunk
    return view


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


def test_names_are_unique_and_vectors_are_many() -> None:
    names = [name for name, _ in NAMED]
    assert len(set(names)) == len(names) >= 450


@every_vector
def test_reference(vector: Case) -> None:
    assert interpret(vector.stream) == vector.outcome


# One test for all buffers: the tests are many, and each costs more than its own work.
@every_vector
def test_every_chunking(decoder_class: type[SSEDecoder], vector: Case) -> None:
    for chunks in chunkings(vector.stream):
        assert decode(decoder_class(), chunks) == vector.outcome, chunks
        assert decode(decoder_class(), map(bytearray, chunks)) == vector.outcome, chunks
        assert decode(decoder_class(), map(memoryview, chunks)) == vector.outcome, chunks


@every_vector
def test_every_pair_of_cuts(decoder_class: type[SSEDecoder], vector: Case) -> None:
    # After a blank line, so that it is decided whether there is a BOM: there are ways that are
    # faster then. No stream but one that begins like a BOM means something else after it.
    begin = [] if vector.stream.startswith(BOM[:1]) else [b"\n"]
    if len(vector.stream) > SHORT:
        cuts = combinations(offsets(vector.stream)[::17], 2)
    else:
        cuts = combinations(range(len(vector.stream) + 1), 2)
    for pair in cuts:
        chunks = begin + pieces_of(vector.stream, pair)
        assert decode(decoder_class(), chunks) == vector.outcome, chunks


@every_vector
def test_rarer_chunks(decoder_class: type[SSEDecoder], vector: Case) -> None:
    chunks = [vector.stream[start : start + 5] for start in range(0, len(vector.stream), 5)]
    assert decode(decoder_class(), [array("B", chunk) for chunk in chunks]) == vector.outcome
    assert decode(decoder_class(), [array("b", chunk) for chunk in chunks]) == vector.outcome
    assert decode(decoder_class(), [in_mmap(chunk) for chunk in chunks]) == vector.outcome
    chunks = [b"", b""]
    for byte in vector.stream:
        chunks += [bytes([byte]), b"", b""]
    assert decode(decoder_class(), chunks) == vector.outcome


@every_vector
def test_attributes_can_be_read_at_any_time(decoder_class: type[SSEDecoder], vector: Case) -> None:
    decoder = decoder_class()
    events: list[tuple[str, str, str | None, int | None]] = []
    for end, byte in enumerate(vector.stream, start=1):
        events += decoder.feed(bytes([byte]))
        if len(vector.stream) <= LONG:
            _, last_event_id, reconnection_time = interpret(vector.stream[:end])
            assert decoder.last_event_id == last_event_id
            assert decoder.reconnection_time == reconnection_time
    decoder.close()
    assert (events, decoder.last_event_id, decoder.reconnection_time) == vector.outcome
