"""Random streams and the search for the smallest that fails."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_testing import pieces_of, reference, strategies
from sse_testing._random import chunkings, random_chunks, shrink


def test_streams_are_the_same_for_the_same_seed() -> None:
    one = [random_chunks(Random(7)) for _ in range(3)]
    assert one[0] == one[1] == one[2]


def test_streams_are_of_all_kinds() -> None:
    random = Random(0)
    seen = [random_chunks(random) for _ in range(2000)]
    assert all(chunk for chunks in seen for chunk in chunks)
    outcomes = [reference(b"".join(chunks)) for chunks in seen]
    assert sum(bool(outcome.events) for outcome in outcomes) > 1000
    assert sum(not outcome.events for outcome in outcomes) > 300
    assert sum(outcome.reconnection_time is not None for outcome in outcomes) > 200
    assert any(len(chunks) == 1 for chunks in seen)
    assert any(len(chunks) > 20 for chunks in seen)


@pytest.mark.parametrize(
    ("stream", "count"), [(b"", 1), (b"x", 1), (b"ab", 2), (b"data: x\r\n\r\n", 6)]
)
def test_chunkings(stream: bytes, count: int) -> None:
    found = chunkings(stream, "name")
    assert found == chunkings(stream, "name")
    assert len(found) == count
    assert all(b"".join(chunks) == stream for chunks in found)
    assert found[0] == ([stream] if stream else [])


def test_long_streams_are_not_cut_into_bytes() -> None:
    assert max(map(len, chunkings(b"x" * 20_000, ""))) < 10


@given(stream=st.binary(max_size=30), cuts=st.sets(st.integers(0, 40)))
def test_pieces_are_the_stream(stream: bytes, cuts: set[int]) -> None:
    pieces = pieces_of(stream, cuts)
    assert b"".join(pieces) == stream
    assert len(pieces) == len(cuts) + 1


@given(chunks=strategies.chunkings)
def test_the_chunkings_of_hypothesis_have_no_empty_chunk(chunks: list[bytes]) -> None:
    assert all(chunks)


def test_shrinking_finds_the_smallest() -> None:
    chunks = [b"event: foo\r\n", b"id: 17\r", b"\ndata: hello\n\n"]
    asked = 0

    def fails(smaller: list[bytes]) -> bool:
        nonlocal asked
        asked += 1
        return any(one.endswith(b"\r") and other.startswith(b"\n") for one, other in pairs(smaller))

    assert shrink(chunks, fails) == [b"\r", b"\n"]
    assert asked < 200


def test_shrinking_makes_bytes_plain() -> None:
    assert shrink([b"7\r~"], lambda chunks: sum(map(len, chunks)) == 3) == [b"x\nx"]


def test_shrinking_stops_in_time() -> None:
    asked = 0

    def fails(_: list[bytes]) -> bool:
        nonlocal asked
        asked += 1
        return True

    shrink([b"x" * 1000], fails, tries=5)
    assert asked <= 5


def pairs(chunks: list[bytes]) -> list[tuple[bytes, bytes]]:
    return [(chunks[i - 1], chunks[i]) for i in range(1, len(chunks))]
