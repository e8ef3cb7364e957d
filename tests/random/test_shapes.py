"""The benchmarks' streams: no number comes from a wrong answer."""

from __future__ import annotations

import pytest

from benchmarks.peers import PEERS, Peer, find_peers, pairs
from benchmarks.shapes import ONE_BLOCK, SHAPES, Shape, chunking_name

_OURS = [name for name in PEERS if name.startswith("sse-proto")]
# Those of which a few events can be fed a byte at a time within a moment.
_SMALL_SHAPES = [name for name in SHAPES if name != "huge_line"]


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Shape:
    return SHAPES[request.param]()


def peer_or_skip(name: str) -> Peer:
    peers, notices = find_peers([name])
    if not peers:
        pytest.skip(notices[0])
    return peers[0]


def start_of(name: str, events: int = 20) -> Shape:
    """Return the blocks of a shape up to some event of its first."""
    whole = SHAPES[name]()
    blocks = len(whole.blocks) * events // len(whole.events)
    return Shape(name, whole.stands_for, whole.blocks[:blocks], whole.events[:events])


@pytest.mark.parametrize("name", _OURS)
def test_our_decoders_give_the_expected_events_in_every_chunking(shape: Shape, name: str) -> None:
    decode = peer_or_skip(name).decode
    for chunking in {*shape.chunkings, ONE_BLOCK, 1000, 16 * 1024}:
        events = list(decode(shape.chunks(chunking)))
        assert events == list(shape.events), chunking_name(chunking)


def test_chunks_are_the_stream(shape: Shape) -> None:
    for chunking in {*shape.chunkings, ONE_BLOCK, 1000}:
        chunks = shape.chunks(chunking)
        assert b"".join(chunks) == b"".join(shape.blocks)
        assert sum(map(len, chunks)) == shape.size
        if chunking != ONE_BLOCK:
            assert {len(chunk) for chunk in chunks[:-1]} <= {chunking}


def test_shapes_are_the_same_each_time() -> None:
    for name, make in SHAPES.items():
        assert make() == make()
        assert make().name == name


def test_multibyte_chunks_cut_characters() -> None:
    chunks = SHAPES["multibyte"]().chunks(16 * 1024)
    assert any(chunk[0] & 0xC0 == 0x80 for chunk in chunks)


@pytest.mark.parametrize("name", PEERS)
def test_peers_give_the_expected_types_and_data(name: str) -> None:
    # No shape holds anything that one of them is known to take otherwise than the standard.
    decode = peer_or_skip(name).decode
    for shape in map(start_of, _SMALL_SHAPES):
        for chunking in (ONE_BLOCK, 1, 100):
            events = decode(shape.chunks(chunking))
            assert pairs(events) == pairs(shape.events), (shape.name, chunking_name(chunking))


def test_missing_peer_gives_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("no such module")

    monkeypatch.setitem(PEERS, "nobody", ("nobody", missing))
    assert find_peers(["nobody"]) == ([], ["nobody is left out: no such module"])
