"""What the decoder costs: time that grows with the stream alone, memory that is given back."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from itertools import repeat
from typing import TYPE_CHECKING, Final

import pytest

from sse_proto import EventTooLarge
from tests.support.reference import decode, drip

if TYPE_CHECKING:
    from sse_proto import BytesLike, SSEDecoder

KIB: Final = 1024
MIB: Final = 1024 * KIB
WINDOW: Final = 64 * KIB


# Time: linear, so that all of these take a second or less. Quadratic would be minutes.


def in_chunks(begin: bytes, filler: bytes, count: int, end: bytes) -> Iterable[bytes]:
    yield begin
    yield from repeat(filler, count)
    yield end


FILLER: Final = b"x" * (16 * KIB)


@pytest.mark.timeout(15)
def test_time_of_a_huge_line(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=None)
    events = decode(decoder, in_chunks(b"data: ", FILLER, 4096, b"\n\n"))[0]
    assert [len(data) for _, data, _, _ in events] == [64 * MIB]


@pytest.mark.timeout(15)
@pytest.mark.parametrize("begin", [b":", b"foo: ", b"", b"database"])
def test_time_of_a_huge_line_that_is_ignored(decoder_class: type[SSEDecoder], begin: bytes) -> None:
    chunks = in_chunks(b"data: a\n" + begin, FILLER, 4096, b"\ndata: b\n\n")
    assert decode(decoder_class(), chunks)[0] == [("message", "a\nb", None, None)]


@pytest.mark.timeout(15)
@pytest.mark.parametrize("size", [1, 16 * KIB, 100 * MIB])
@pytest.mark.parametrize("line", [b"data: x\n", b"data:x\r\n", b":\ndata\n"])
def test_time_of_many_lines_in_one_event(
    decoder_class: type[SSEDecoder], line: bytes, size: int
) -> None:
    count = 100_000 if size > 1 else 20_000
    events = decode(decoder_class(), drip(line * count + line[-1:] * 2, size))[0]
    assert [data.count("\n") for _, data, _, _ in events] == [count - 1]


@pytest.mark.timeout(15)
@pytest.mark.parametrize("line", [b":\n", b"foo\r", b"\n", b"retry: 5\nfoo: bar\r\n"])
def test_time_of_many_lines_without_an_event(decoder_class: type[SSEDecoder], line: bytes) -> None:
    assert decode(decoder_class(), drip(line * 100_000, 16 * KIB))[0] == []
    assert decode(decoder_class(max_event_size=10**6), drip(line * 10_000, 1))[0] == []


@pytest.mark.timeout(15)
@pytest.mark.parametrize("begin", [b"data: ", b":", b"foo", b"id: 1\ndata:" + b"x" * 70_000])
@pytest.mark.parametrize("make", [bytes, bytearray])
def test_time_of_single_bytes(
    decoder_class: type[SSEDecoder], begin: bytes, make: Callable[[bytes], BytesLike]
) -> None:
    decoder = decoder_class()
    decoder.feed(begin)
    chunk = make(b"x")
    for _ in range(300_000 if make is bytes else 100_000):
        decoder.feed(chunk)
    assert len(decoder.feed(b"\n\n")) == (b"data" in begin)


@pytest.mark.timeout(15)
@pytest.mark.parametrize("make", [bytes, bytearray])
def test_time_of_many_small_events_in_one_chunk(
    decoder_class: type[SSEDecoder], make: Callable[[bytes], BytesLike]
) -> None:
    stream = b"data: x\r\n\r\n" * 100_000
    for max_event_size in (8, None):
        decoder = decoder_class(max_event_size=max_event_size)
        assert len(decoder.feed(make(stream))) == 100_000


@pytest.mark.timeout(15)
def test_time_of_polling_attributes(decoder: SSEDecoder) -> None:
    for _ in range(20_000):
        decoder.feed(b"retry: 1\n: comment\ndata: x\n")
        assert decoder.reconnection_time == 1
    assert len(decoder.feed(b"\n")) == 1


@pytest.mark.timeout(15)
def test_time_of_polling_attributes_in_a_huge_line(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=None)
    for chunk in in_chunks(b"retry: 1\ndata: ", b"x" * KIB, 65_536, b"\n"):
        assert decoder.feed(chunk) == []
        assert decoder.reconnection_time == 1
    assert len(decoder.feed(b"\n")) == 1


@pytest.mark.timeout(15)
def test_time_of_long_retry_values(decoder: SSEDecoder) -> None:
    decoder.feed((b"retry: " + b"1" * 5000 + b"\n") * 1000)
    assert decoder.reconnection_time is None
    decoder.feed(b"retry: " + b"0" * MIB + b"7\n")
    assert decoder.reconnection_time == 7


# Memory


@contextmanager
def traced() -> Generator[Callable[[], int], None, None]:
    """Measure: the call tells the most bytes that were allocated at a time since the begin."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("begin", [b"data: ", b"id:", b"event: x\nevent: ", b"retry: "])
@pytest.mark.parametrize("size", [1000, 16 * KIB, 300 * KIB])
def test_memory_of_an_endless_line(
    decoder_class: type[SSEDecoder], begin: bytes, size: int
) -> None:
    limit = 2 * MIB
    decoder = decoder_class(max_event_size=limit)
    chunk = b"1" * size
    with traced() as peak:
        decoder.feed(begin)
        with pytest.raises(EventTooLarge) as caught:  # noqa: PT012  # the loop is the stream
            while True:
                decoder.feed(chunk)
        assert peak() <= 2 * limit + size
    assert limit < caught.value.size <= limit + size


@pytest.mark.parametrize("line", [b"data: %s\n" % (b"x" * 100), b"data\r\n", b"id: 1\n:\n"])
def test_memory_of_an_endless_event(decoder_class: type[SSEDecoder], line: bytes) -> None:
    limit = MIB
    decoder = decoder_class(max_event_size=limit)
    chunk = line * 1000
    with traced() as peak:
        with pytest.raises(EventTooLarge):  # noqa: PT012  # the loop is the stream
            while True:
                decoder.feed(chunk)
        # The lines that are looked at are objects, of 60 bytes and more; but not all at a time.
        assert peak() <= 2.5 * limit + WINDOW * 30


@pytest.mark.parametrize("make", [bytes, bytearray])
@pytest.mark.parametrize(
    ("begin", "filler"),
    [
        pytest.param(b":", b"x" * 16 * KIB, id="comment"),
        pytest.param(b"foo: ", b"x" * 16 * KIB, id="unknown field"),
        pytest.param(b"", b"x" * 16 * KIB, id="line without colon"),
        pytest.param(b"", b": comment\n" * 200, id="comments"),
        pytest.param(b"", b"foo: unknown\r\n" * 200, id="unknown fields"),
        pytest.param(b"", b"\n" * 400, id="blank lines"),
        pytest.param(b"", b"\r" * 400, id="CRs"),
    ],
)
def test_memory_of_what_is_ignored(
    decoder_class: type[SSEDecoder],
    begin: bytes,
    filler: bytes,
    make: Callable[[bytes], BytesLike],
) -> None:
    decoder = decoder_class(max_event_size=None)
    chunk = make(filler)
    with traced() as peak:
        decoder.feed(b"data: a\n" + begin)
        for _ in range(50):
            decoder.feed(chunk)
        settled = peak()
        for _ in range(150):
            decoder.feed(chunk)
        assert settled < MIB
        assert peak() <= settled + 16 * KIB
    decoder.close()


def test_memory_of_a_huge_chunk(decoder_class: type[SSEDecoder]) -> None:
    chunk = bytearray((b": " + b"x" * 97 + b"\n") * 80_000)  # 8 MB of comments
    decoder = decoder_class()
    with traced() as peak:
        decoder.feed(chunk)
        assert peak() < MIB


@pytest.mark.parametrize("begin", [b"data: ", b"foo: ", b": "])
def test_memory_of_a_huge_line_in_one_chunk(decoder_class: type[SSEDecoder], begin: bytes) -> None:
    """What is refused, or ignored, is not copied first."""
    chunk = begin + b"x" * (8 * MIB)
    decoder = decoder_class(max_event_size=MIB)
    with traced() as peak:
        if begin == b"data: ":
            with pytest.raises(EventTooLarge) as caught:
                decoder.feed(chunk)
            assert caught.value.size == len(chunk)
        else:
            assert decoder.feed(chunk) == []
        # The rest of the line, behind its first bytes, is an object in Python.
        copies = 1 if decoder_class.__module__ == "sse_proto._feed" else 0
        assert peak() < copies * len(chunk) + MIB


def test_memory_of_large_values_in_turn(decoder_class: type[SSEDecoder]) -> None:
    """A buffer that a large value has left is not kept for a small one, nor for a middle one."""
    limit = 2 * MIB
    large = b"x" * (limit - 400 * KIB)
    middle = b"x" * (70 * KIB)
    decoder = decoder_class(max_event_size=limit)
    for value in (b"small", middle):
        data, event, event_id = (name + value + b"\n" for name in (b"data: ", b"event: ", b"id: "))
        # A block with one large value, which ends where the next one begins.
        chunks = [
            *(b"data: ", large, b"\n\n" + data + b"event: "),
            *(large, b"\n\n" + data + event + b"id: "),
            *(large, b"\n\n" + data + event + event_id),
        ]
        with traced():
            before = tracemalloc.get_traced_memory()[0]
            for chunk in chunks:
                decoder.feed(chunk)
            kept = tracemalloc.get_traced_memory()[0] - before - len(decoder.last_event_id or "")
            assert kept < 8 * len(value) + 100 * KIB
        decoder.feed(b"\n")


@pytest.mark.timeout(15)
def test_time_of_unfinished(decoder_class: type[SSEDecoder]) -> None:
    """It does not copy the line that it counts."""
    decoder = decoder_class()
    decoder.feed(b"data: " + b"x" * (8 * MIB))
    for count in range(1, 10_001):
        decoder.feed(b"x")
        assert decoder.unfinished == 6 + 8 * MIB + count


def test_memory_is_given_back(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=None)
    with traced():
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(3):
            decoder.feed(b"data: " + b"x" * (4 * MIB))
            decoder.feed(b"\n\n")
        assert tracemalloc.get_traced_memory()[0] - before < 100 * KIB
        decoder.feed(b"data: " + b"x" * (4 * MIB))
        decoder.close()
        assert tracemalloc.get_traced_memory()[0] - before < 100 * KIB


def test_memory_is_given_back_after_a_failure(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=2 * MIB)
    with traced():
        before = tracemalloc.get_traced_memory()[0]
        decoder.feed(b"data: " + b"x" * MIB)
        with pytest.raises(EventTooLarge):
            decoder.feed(b"x" * (2 * MIB))
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 100 * KIB
