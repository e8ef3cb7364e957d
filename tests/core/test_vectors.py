"""Every vector in every chunking and in every type of buffer: the result is always the same."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Final

import pytest

from tests.fuzz.twins import implementation
from tests.support.reference import BOM, decode, interpret, pieces_of
from tests.support.vectors import LONG, NAMED, SHORT, Case, chunkings, offsets

if TYPE_CHECKING:
    from sse_proto import SSEDecoder

every_vector: Final = pytest.mark.parametrize(
    "vector", [pytest.param(vector, id=name) for name, vector in NAMED]
)


def in_mmap(chunk: bytes) -> mmap.mmap:
    view = mmap.mmap(-1, len(chunk))
    view[:] = chunk
    return view


def test_names_are_unique_and_vectors_are_many() -> None:
    names = [name for name, _ in NAMED]
    assert len(set(names)) == len(names) >= 450


@pytest.fixture(scope="module")
def without_shortcuts() -> Iterator[type[SSEDecoder]]:
    """The decoder in Python, its plain way alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sse_proto._shortcuts._SHORTCUTS", False)
        yield implementation("_feed")


@every_vector
def test_plain_way(without_shortcuts: type[SSEDecoder], vector: Case) -> None:
    for chunks in chunkings(vector.stream):
        assert decode(without_shortcuts(), chunks) == vector.outcome, chunks


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
def test_every_method(decoder_class: type[SSEDecoder], vector: Case) -> None:
    for chunks in chunkings(vector.stream):
        raw, parsed = decoder_class(), decoder_class()
        events = [
            (event.event, bytes(event.data).decode("utf-8", "replace"), event.id, event.retry)
            for chunk in chunks
            for event in raw.feed_raw(chunk)
        ]
        assert (events, raw.last_event_id, raw.reconnection_time) == vector.outcome, chunks
        values = [tuple(event) for chunk in chunks for event in parsed.feed_parsed(chunk, as_text)]
        assert (values, parsed.last_event_id, parsed.reconnection_time) == vector.outcome, chunks


def as_text(_: str, data: bytes) -> str:
    return data.decode("utf-8", "replace")


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
