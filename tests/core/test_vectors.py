"""Every vector in every chunking and in every type of buffer: the result is always the same."""

from __future__ import annotations

import mmap
from array import array
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from sse_testing import vectors
from tests.fuzz.twins import implementation
from tests.support.reference import BOM, decode, interpret, pieces_of
from tests.support.vectors import FAMILIES, LONG, SHORT, Case, chunkings, every_family, offsets

if TYPE_CHECKING:
    from sse_proto import SSEDecoder


def in_mmap(chunk: bytes) -> mmap.mmap:
    view = mmap.mmap(-1, len(chunk))
    view[:] = chunk
    return view


def test_names_are_unique_and_vectors_are_many() -> None:
    assert sum(map(len, FAMILIES.values())) == len(vectors()) >= 450


@pytest.fixture
def without_shortcuts(monkeypatch: pytest.MonkeyPatch) -> type[SSEDecoder]:
    """The decoder in Python, its plain way alone."""
    monkeypatch.setattr("sse_proto._shortcuts._SHORTCUTS", False)
    return implementation("_feed")


@every_family
def test_plain_way(without_shortcuts: type[SSEDecoder], family: dict[str, Case]) -> None:
    for name, vector in family.items():
        for chunks in chunkings(vector.stream):
            assert decode(without_shortcuts(), chunks) == vector.outcome, (name, chunks)


@every_family
def test_reference(family: dict[str, Case]) -> None:
    for name, vector in family.items():
        assert interpret(vector.stream) == vector.outcome, name


@every_family
def test_every_chunking(decoder_class: type[SSEDecoder], family: dict[str, Case]) -> None:
    for name, vector in family.items():
        for chunks in chunkings(vector.stream):
            where = name, chunks
            assert decode(decoder_class(), chunks) == vector.outcome, where
            assert decode(decoder_class(), map(bytearray, chunks)) == vector.outcome, where
            assert decode(decoder_class(), map(memoryview, chunks)) == vector.outcome, where


@every_family
def test_every_method(decoder_class: type[SSEDecoder], family: dict[str, Case]) -> None:
    for name, vector in family.items():
        for chunks in chunkings(vector.stream):
            where = name, chunks
            raw, parsed = decoder_class(), decoder_class()
            events = [
                (event.event, bytes(event.data).decode("utf-8", "replace"), event.id, event.retry)
                for chunk in chunks
                for event in raw.feed_raw(chunk)
            ]
            assert (events, raw.last_event_id, raw.reconnection_time) == vector.outcome, where
            values = [
                tuple(event) for chunk in chunks for event in parsed.feed_parsed(chunk, as_text)
            ]
            assert (values, parsed.last_event_id, parsed.reconnection_time) == vector.outcome, where


def as_text(_: str, data: bytes) -> str:
    return data.decode("utf-8", "replace")


@every_family
def test_every_pair_of_cuts(decoder_class: type[SSEDecoder], family: dict[str, Case]) -> None:
    for name, vector in family.items():
        # After a blank line, so that it is decided whether there is a BOM: there are ways that are
        # faster then. No stream but one that begins like a BOM means something else after it.
        begin = [] if vector.stream.startswith(BOM[:1]) else [b"\n"]
        if len(vector.stream) > SHORT:
            cuts = combinations(offsets(vector.stream)[::17], 2)
        else:
            cuts = combinations(range(len(vector.stream) + 1), 2)
        for pair in cuts:
            chunks = begin + pieces_of(vector.stream, pair)
            assert decode(decoder_class(), chunks) == vector.outcome, (name, chunks)


@every_family
def test_rarer_chunks(decoder_class: type[SSEDecoder], family: dict[str, Case]) -> None:
    for name, vector in family.items():
        chunks = [vector.stream[start : start + 5] for start in range(0, len(vector.stream), 5)]
        assert decode(decoder_class(), [array("B", chunk) for chunk in chunks]) == vector.outcome, (
            name
        )
        assert decode(decoder_class(), [array("b", chunk) for chunk in chunks]) == vector.outcome, (
            name
        )
        assert decode(decoder_class(), [in_mmap(chunk) for chunk in chunks]) == vector.outcome, name
        chunks = [b"", b""]
        for byte in vector.stream:
            chunks += [bytes([byte]), b"", b""]
        assert decode(decoder_class(), chunks) == vector.outcome, name


@every_family
def test_attributes_can_be_read_at_any_time(
    decoder_class: type[SSEDecoder], family: dict[str, Case]
) -> None:
    for name, vector in family.items():
        decoder = decoder_class()
        events: list[tuple[str, str, str | None, int | None]] = []
        for end, byte in enumerate(vector.stream, start=1):
            events += decoder.feed(bytes([byte]))
            if len(vector.stream) <= LONG:
                _, last_event_id, reconnection_time = interpret(vector.stream[:end])
                assert decoder.last_event_id == last_event_id, name
                assert decoder.reconnection_time == reconnection_time, name
        decoder.close()
        assert (events, decoder.last_event_id, decoder.reconnection_time) == vector.outcome, name
