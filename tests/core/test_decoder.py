"""What vectors cannot show of the decoder: buffers, options, limits, its end."""

from __future__ import annotations

import copy
import ctypes
import gc
import mmap
import pickle
import random
import re
import sys
import weakref
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

import pytest

from sse_proto import EventTooLarge, ServerSentEvent, SSEError
from tests.support.reference import before_oversized, decode, drip, interpret

if TYPE_CHECKING:
    from sse_proto import BytesLike, SSEDecoder

KIB: Final = 1024
MIB: Final = 1024 * KIB
# Larger chunks are decoded in parts. Nothing but time and memory may tell.
WINDOW: Final = 64 * KIB

# The state that a chunk may leave behind.
STREAMS: Final = [
    pytest.param(b"data: unfinished", id="unfinished line"),
    pytest.param(b"data: unfinished\n", id="unfinished block"),
    pytest.param(b"data: a\n\n", id="event"),
    pytest.param(b"data: a\r\n\r", id="CR at the end"),
    pytest.param(b"\xef\xbb", id="part of a BOM"),
    pytest.param(b"data: \xf0\x9f", id="part of a character"),
    pytest.param(b": comment", id="comment"),
    pytest.param(b"data: " + b"x" * (3 * WINDOW), id="long line"),
    pytest.param(b"data: a\n\n" * 10_000, id="many events"),
]


def feed(decoder: SSEDecoder, chunk: object) -> list[ServerSentEvent]:
    """Feed what the type checker would refuse."""
    return decoder.feed(cast("bytes", chunk))


def one(data: str) -> list[ServerSentEvent]:
    return [ServerSentEvent("message", data, None, None)]


# Buffers


@pytest.mark.parametrize("stream", STREAMS)
def test_feed_releases_the_callers_buffer(decoder: SSEDecoder, stream: bytes) -> None:
    chunk = bytearray(stream)
    decoder.feed(chunk)
    chunk.clear()  # BufferError if a view were still held


@pytest.mark.parametrize("stream", STREAMS)
def test_feed_releases_a_memoryview_and_its_owner(decoder: SSEDecoder, stream: bytes) -> None:
    chunk = bytearray(stream)
    view = memoryview(chunk)
    decoder.feed(view)
    view.release()
    chunk.clear()


@pytest.mark.parametrize("stream", STREAMS)
def test_the_caller_may_overwrite_the_buffer(
    decoder_class: type[SSEDecoder], stream: bytes
) -> None:
    decoder = decoder_class()
    chunk = bytearray(stream)
    events = decoder.feed(chunk)
    chunk[:] = b"\n" * len(chunk)
    events += decoder.feed(b"!\n\n")
    assert events == interpret(stream + b"!\n\n")[0]


def test_one_buffer_for_all_chunks(decoder: SSEDecoder) -> None:
    stream = b"id: 1\r\ndata: \xe2\x82\xac\r\n\r\ndata: b\r\n\r\n"
    buffer = bytearray(5)
    view = memoryview(buffer)
    events: list[ServerSentEvent] = []
    for chunk in drip(stream, 5):
        buffer[: len(chunk)] = chunk
        events += decoder.feed(view[: len(chunk)])
    assert events == [("message", "\u20ac", "1", None), ("message", "b", "1", None)]


@pytest.mark.parametrize("size", [100, 3 * WINDOW])
def test_feed_releases_the_buffer_when_it_raises(
    decoder_class: type[SSEDecoder], size: int
) -> None:
    decoder = decoder_class(max_event_size=10)
    chunk = bytearray(b"data: " + b"x" * size)
    with pytest.raises(EventTooLarge) as first:
        decoder.feed(chunk)
    chunk.clear()  # while the exception, with all of its frames, is alive
    chunk += b"data: a\n\n"
    with pytest.raises(EventTooLarge) as second:
        decoder.feed(chunk)
    chunk.clear()
    assert first.value is not second.value


def test_feed_releases_the_buffer_that_it_refuses(decoder: SSEDecoder) -> None:
    numbers = array("I", [1, 2, 3])
    with pytest.raises(TypeError):
        decoder.feed(numbers)
    numbers.append(4)
    chunk = bytearray(b"d.a.t.a.")
    with pytest.raises(BufferError):
        decoder.feed(memoryview(chunk)[::2])
    chunk.clear()
    assert decoder.feed(b"data: x\n\n") == one("x")  # nothing has happened to the decoder


class Subclass(bytes):
    """Bytes that lie about themselves to whoever asks them instead of their buffer."""

    def __contains__(self, key: object) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def endswith(self, *_: object) -> bool:
        return True


def in_mmap(chunk: bytes) -> mmap.mmap:
    view = mmap.mmap(-1, len(chunk))
    view[:] = chunk
    return view


def in_ctypes(chunk: bytes) -> BytesLike:
    return cast("memoryview", (ctypes.c_ubyte * len(chunk)).from_buffer_copy(chunk))


def in_ctypes_rows(chunk: bytes) -> BytesLike:
    """Two dimensions; padded with comments, since all rows have the same length."""
    chunk += b":" * (-len(chunk) % 8)
    return cast("memoryview", (ctypes.c_char * 8 * (len(chunk) // 8)).from_buffer_copy(chunk))


BUFFERS: Final[list[Callable[[bytes], BytesLike]]] = [
    bytes,
    bytearray,
    memoryview,
    lambda chunk: memoryview(bytearray(chunk)),
    lambda chunk: memoryview(b"x" + chunk + b"x")[1:-1],
    lambda chunk: memoryview(chunk).cast("b"),
    lambda chunk: cast("memoryview", memoryview(chunk).cast("c")),
    lambda chunk: cast("memoryview", memoryview(chunk).cast("?")),
    lambda chunk: array("B", chunk),
    lambda chunk: array("b", chunk),
    in_mmap,
    in_ctypes,
    in_ctypes_rows,
    Subclass,
]


@pytest.mark.parametrize("make", BUFFERS)
@pytest.mark.parametrize("events", [1, 20_000])
def test_types_of_buffers(
    decoder_class: type[SSEDecoder], make: Callable[[bytes], BytesLike], events: int
) -> None:
    stream = "data: \u20ac\r\n\r\n".encode() * events
    assert decode(decoder_class(), [make(stream)]) == (one("\u20ac") * events, None, None)


def test_two_dimensions(decoder: SSEDecoder) -> None:
    assert decoder.feed(memoryview(b"data: x\n\n:..").cast("B", (3, 4))) == one("x")
    assert feed(decoder, memoryview(b"\ndata: y\n\n::").cast("c", (2, 2, 3))) == one("y")


def test_no_dimension(decoder: SSEDecoder) -> None:
    events: list[ServerSentEvent] = []
    for byte in b"data: x\n\n":
        events += feed(decoder, ctypes.c_ubyte(byte))
    assert events == one("x")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python classes with a buffer: PEP 688")
def test_python_class_with_a_buffer(decoder: SSEDecoder) -> None:
    class Buffer:
        released = False

        def __buffer__(self, flags: int, /) -> memoryview:
            return memoryview(b"data: x\n\n")

        def __release_buffer__(self, view: memoryview, /) -> None:
            self.released = True

    buffer = Buffer()
    assert feed(decoder, buffer) == one("x")
    assert buffer.released


@pytest.mark.parametrize("length", [8, 4 * WINDOW])
@pytest.mark.parametrize("step", [2, -1])
def test_a_buffer_with_gaps_is_a_buffer_error(decoder: SSEDecoder, length: int, step: int) -> None:
    with pytest.raises(BufferError, match=r"^feed\(\) takes a contiguous buffer; pass a copy"):
        decoder.feed(memoryview(bytes(length))[::step])


@pytest.mark.parametrize(
    ("chunk", "size", "format"),
    [
        pytest.param(array("H", [1]), 2, "'H'", id="H"),
        pytest.param(array("i", [1, 2]), 4, "'i'", id="i"),
        pytest.param(array("d", [1.0]), 8, "'d'", id="d"),
        pytest.param(memoryview(bytes(8)).cast("I"), 4, "'I'", id="memoryview"),
        pytest.param(array("i"), 4, "'i'", id="empty"),
        pytest.param(memoryview(bytes(16)).cast("I")[::2], 4, "'I'", id="with gaps"),
    ],
)
def test_larger_items_are_a_type_error(
    decoder: SSEDecoder, chunk: BytesLike, size: int, format: str
) -> None:
    with pytest.raises(TypeError) as caught:
        decoder.feed(chunk)
    assert str(caught.value) == (
        f"feed() takes items of 1 byte, not of {size} bytes (format {format});"
        " pass memoryview(...).cast('B')"
    )


def test_str_is_a_type_error_that_says_what_to_pass(decoder: SSEDecoder) -> None:
    with pytest.raises(TypeError) as caught:
        feed(decoder, "data: x\n\n")
    assert str(caught.value) == (
        "feed() takes bytes or a bytes-like object, not str; pass the stream's bytes, undecoded"
    )
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("chunk", [None, 5, [1, 2], (b"data",), {}, 1.5, object(), bytes])
def test_other_types_are_a_type_error(decoder: SSEDecoder, chunk: object) -> None:
    with pytest.raises(TypeError) as caught:
        feed(decoder, chunk)
    assert str(caught.value) == (
        f"feed() takes bytes or a bytes-like object, not {type(chunk).__name__}"
    )
    assert decoder.feed(b"data: x\n\n") == one("x")


def test_the_chunk_is_positional_only(decoder: SSEDecoder) -> None:
    with pytest.raises(TypeError):
        cast("Callable[..., object]", decoder.feed)(chunk=b"")
    with pytest.raises(TypeError):
        cast("Callable[..., object]", decoder.feed)()


@pytest.mark.parametrize("empty", [b"", bytearray(), memoryview(b""), array("B")])
def test_empty_chunks_change_nothing(decoder_class: type[SSEDecoder], empty: BytesLike) -> None:
    stream = b"\xef\xbb\xbfid: \xc3\xa9\r\ndata: a\r\ndata: b\r\rdata: c\n\n: c\n\r\n"
    chunks: list[BytesLike] = [empty]
    for byte in stream:
        chunks += [bytes([byte]), empty]
    assert decode(decoder_class(), chunks) == interpret(stream)


# Options


@pytest.mark.parametrize("field", [b"data", b"event", b"id"])
@pytest.mark.parametrize("before", [b"", b"x\n", b"data: 1\n", b"\n"])
@pytest.mark.parametrize("length", [1, 70_000])
def test_empty_chunks_amid_a_long_line(
    decoder: SSEDecoder, field: bytes, before: bytes, length: int
) -> None:
    """A line so long that its buffer is given back once it is not needed."""
    half, rest = field + b": " + b"x" * length, b"y\ndata: 2\n\n"
    expected = type(decoder)().feed(before + half + rest)
    events: list[ServerSentEvent] = []
    for chunk in (before + half, rest[:1], rest[1:3], rest[3:-1], rest[-1:]):
        for part in (b"", chunk, b"", b""):
            events += decoder.feed(part)
    assert events == expected
    assert len(expected) == 1


def test_defaults(decoder: SSEDecoder) -> None:
    assert decoder.max_event_size == 16 * MIB
    assert decoder.dispatch_empty is False
    assert decoder.last_event_id is None
    assert decoder.reconnection_time is None


def test_options_are_readable(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=7, last_event_id="a", dispatch_empty=True)
    assert decoder.max_event_size == 7
    assert decoder.last_event_id == "a"
    assert decoder.dispatch_empty is True
    assert decoder_class(max_event_size=None).max_event_size is None


def test_options_are_keywords(decoder_class: type[SSEDecoder]) -> None:
    with pytest.raises(TypeError):
        cast("Callable[..., object]", decoder_class)(10)


@pytest.mark.parametrize(
    "name",
    ["max_event_size", "dispatch_empty", "last_event_id", "reconnection_time", "no_such_attribute"],
)
def test_attributes_cannot_be_set(decoder: SSEDecoder, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(decoder, name, None)


@pytest.mark.parametrize("size", [0, -1, -(10**30)])
def test_max_event_size_must_be_positive(decoder_class: type[SSEDecoder], size: int) -> None:
    with pytest.raises(ValueError, match=f"^max_event_size must be at least 1 byte, not {size}$"):
        decoder_class(max_event_size=size)


def test_decoders_share_nothing(decoder_class: type[SSEDecoder]) -> None:
    first, second = decoder_class(), decoder_class()
    first.feed(b"retry: 5\nid: 1\n\ndata: a")
    assert second.feed(b"\n\n") == []
    assert second.feed(b"data: b\n\n") == one("b")
    assert (second.last_event_id, second.reconnection_time) == (None, None)


@pytest.mark.parametrize("last_event_id", ["", "7", "\u20ac"])
def test_last_event_id_of_an_earlier_connection(
    decoder_class: type[SSEDecoder], last_event_id: str
) -> None:
    decoder = decoder_class(last_event_id=last_event_id)
    assert decoder.feed(b"data: a\n\n") == [("message", "a", last_event_id, None)]
    assert decoder.feed(b"id: \0\ndata: b\n\n") == [("message", "b", last_event_id, None)]
    assert decoder.feed(b"id: 8\ndata: c\n\n") == [("message", "c", "8", None)]
    assert decoder.last_event_id == "8"


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"event: done\n\n", [("done", "", None, None)]),
        (b"event\n\n", [("message", "", None, None)]),
        (b"id: 1\n\n", [("message", "", "1", None)]),
        (b"id\n\n", [("message", "", "", None)]),
        (b"retry: 5\n\n", [("message", "", None, 5)]),
        (b"data\n\n", [("message", "", None, None)]),
        (b"event: a\nid: 1\nretry: 5\n\n", [("a", "", "1", 5)]),
        (b"event: a\n:\n\n\nevent: b\n\n", [("a", "", None, None), ("b", "", None, None)]),
        # No valid field: nothing to dispatch.
        (b"\n\n\n", []),
        (b": comment\n\n", []),
        (b"foo: a\n\n", []),
        (b"id: \0\n\n", []),
        (b"retry: no\n\n", []),
        (b"retry\n\n", []),
        # No blank line: nothing dispatched.
        (b"event: done\n", []),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_dispatch_empty(
    decoder_class: type[SSEDecoder],
    stream: bytes,
    events: list[tuple[str, str, str | None, int | None]],
    size: int,
) -> None:
    decoder = decoder_class(dispatch_empty=True)
    assert decode(decoder, drip(stream, size))[0] == events
    assert interpret(stream, dispatch_empty=True)[0] == events


# Live attributes


def state(decoder: SSEDecoder) -> tuple[str | None, int | None]:
    return decoder.last_event_id, decoder.reconnection_time


def test_last_event_id_changes_at_the_blank_line(decoder: SSEDecoder) -> None:
    decoder.feed(b"id: 1\n")
    assert state(decoder) == (None, None)
    decoder.feed(b"\n")
    assert state(decoder) == ("1", None)
    decoder.feed(b"id: 2\r")
    assert state(decoder) == ("1", None)
    decoder.feed(b"\r")
    assert state(decoder) == ("2", None)


def test_reconnection_time_changes_at_the_end_of_its_line(decoder: SSEDecoder) -> None:
    decoder.feed(b"data: a\nretry: 15")
    assert state(decoder) == (None, None)
    decoder.feed(b"0\n")
    assert state(decoder) == (None, 150)
    decoder.feed(b"retry: 7\r")
    assert state(decoder) == (None, 7)
    decoder.feed(b"retry: x\n")
    assert state(decoder) == (None, 7)
    assert decoder.feed(b"\n") == [("message", "a", None, 7)]
    assert decoder.feed(b"data: b\n\n") == one("b")
    assert state(decoder) == (None, 7)


def test_more_digits_than_an_integer_may_have_are_no_reconnection_time(decoder: SSEDecoder) -> None:
    decoder.feed(b"retry: " + b"1" * 5000 + b"\n")
    assert state(decoder) == (None, None)
    decoder.feed(b"retry: " + b"0" * 5000 + b"7\n")
    assert state(decoder) == (None, 7)


def test_reading_attributes_does_not_disturb_an_unfinished_block(decoder: SSEDecoder) -> None:
    stream = (
        b": c\n\nfoo: a\nretry: 5\nretrying: 6\nevent: e\n: c\nid: 1\nda\xffta\ndata: x\n: long" * 2
    )
    events: list[ServerSentEvent] = []
    for byte in stream + b"\n\n":
        events += decoder.feed(bytes([byte]))
        assert decoder.reconnection_time in (None, 5)
        assert decoder.last_event_id in (None, "1")
    assert events == [("e", "x", "1", 5)] * 2


def test_events_are_shared_with_nobody(decoder: SSEDecoder) -> None:
    events = decoder.feed(b"data: a\n\n")
    events.clear()
    assert decoder.feed(b"data: b\n\n") == one("b")


# The limit

LIMITED: Final = [
    # An event of 20 bytes, as fields with one byte for each end-of-line.
    pytest.param(b"data: 1234567890123\n\n", id="one line"),
    pytest.param(b"data: 1234567890123\r\r", id="CR"),
    pytest.param(b"data: 1234567890123\r\n\r\n", id="CR LF counts as one byte"),
    pytest.param(b"data\r\ndata\r\ndata\r\ndata\r\n\r\n", id="several lines"),
    pytest.param(b"id: 3\r\nid:\r\nevent: xy\r\n\r\n", id="other fields"),
    pytest.param(b"retry: 5\nretry: abc\n\n", id="a bad value counts"),
    pytest.param(
        b"data: \xe2\x82\xac\xe2\x82\xac\xf0\x9f\x98\x80 \xff\xff\n\n", id="bytes as sent"
    ),
    pytest.param(b"\xef\xbb\xbfdata: 1234567890123\n\n", id="BOM does not count"),
    pytest.param(b"\n\n\r\n\rdata: 1234567890123\n\n", id="blank lines do not count"),
    pytest.param(b": comment\ndata: 1234567890123\n:\n: more\n\n", id="comments do not count"),
    pytest.param(
        b"foo: bar\nbar\ndata: 1234567890123\ndatabase: big\nda\nid \n\n", id="unknown do not count"
    ),
    pytest.param(
        b"event: x\n\n" * 5 + b"data: 1234567890123\n\n", id="earlier blocks do not count"
    ),
]


@pytest.mark.parametrize("stream", LIMITED)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_exactly_the_limit_is_fine(
    decoder_class: type[SSEDecoder], stream: bytes, size: int
) -> None:
    decoder = decoder_class(max_event_size=20)
    assert decode(decoder, drip(stream * 3, size)) == interpret(stream * 3)


@pytest.mark.parametrize("stream", LIMITED)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_one_byte_over_the_limit(decoder_class: type[SSEDecoder], stream: bytes, size: int) -> None:
    decoder = decoder_class(max_event_size=19)
    with pytest.raises(EventTooLarge) as caught:
        decode(decoder, drip(stream, size))
    assert (caught.value.size, caught.value.limit) == (20, 19)
    assert str(caught.value) == "unfinished event holds 20 bytes, limit is 19 bytes"


def test_the_limit_of_an_unfinished_line(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=20)
    assert decoder.feed(b"data: 12345678901234") == []
    with pytest.raises(EventTooLarge) as caught:
        decoder.feed(b"\n")
    assert caught.value.size == 21
    decoder = decoder_class(max_event_size=20)
    assert decoder.feed(b"data: 12345678901234") == []
    with pytest.raises(EventTooLarge) as caught:
        decoder.feed(b"5")
    assert caught.value.size == 21


def test_size_is_what_had_arrived(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=20)
    with pytest.raises(EventTooLarge) as caught:
        decoder.feed(b": comment\ndata: a\nfoo: b\ndata: " + b"x" * 100)
    assert (caught.value.size, caught.value.limit) == (114, 20)


@pytest.mark.parametrize(
    "line", [b": " + b"x" * 99, b"foo: " + b"x" * 99, b"x" * 99, b"data x:" * 9]
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_that_never_count(decoder_class: type[SSEDecoder], line: bytes, size: int) -> None:
    decoder = decoder_class(max_event_size=8)
    stream = (line + b"\n") * 5 + b"data: x\n" + (line + b"\r\n") * 5 + b"\n" + line
    assert decode(decoder, drip(stream, size))[0] == one("x")


def test_the_smallest_limit(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=1)
    assert decoder.feed(b"\n: comment\n\nd\nid ") == []
    assert decoder.feed(b"\n\n") == []
    assert decoder.feed(b"id") == []
    with pytest.raises(EventTooLarge) as caught:
        decoder.feed(b"\n")
    assert caught.value.size == 3


def test_no_limit(decoder_class: type[SSEDecoder]) -> None:
    data = "x" * (17 * MIB)
    stream = f"data: {data}\n\n".encode()
    assert decode(decoder_class(max_event_size=None), [stream])[0] == one(data)
    with pytest.raises(EventTooLarge, match=r"limit is 16777216 bytes$"):
        decoder_class().feed(stream)


def test_a_limit_without_an_end(decoder_class: type[SSEDecoder]) -> None:
    assert decode(decoder_class(max_event_size=10**30), [b"data: x\n\n"])[0] == one("x")


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("count", [1, 3, 50_000])
def test_events_before_the_error_are_returned_first(
    decoder_class: type[SSEDecoder], make: Callable[[bytes], BytesLike], count: int
) -> None:
    decoder = decoder_class(max_event_size=10)
    chunk = b"data: x\n\n" * count + b"data: too large\n\n" + b"data: y\n\n"
    assert decoder.feed(make(chunk)) == one("x") * count
    for again in (b"data: z\n\n", b"\n", b"data"):
        with pytest.raises(EventTooLarge) as caught:
            decoder.feed(make(again))
        assert caught.value.limit == 10


@pytest.mark.parametrize("limit", [30, WINDOW, 2 * WINDOW])
def test_an_event_in_two_chunks_below_the_limit(
    decoder_class: type[SSEDecoder], limit: int
) -> None:
    decoder = decoder_class(max_event_size=limit)
    begin = b"data: abc\n"
    rest = b"data: " + b"x" * (limit - len(begin) - 7) + b"\n"
    assert len(begin + rest) == limit
    for _ in range(2):
        assert decoder.feed(begin) == []
        assert len(decoder.feed(rest + b"\n")) == 1
    assert decoder.feed(begin) == []
    with pytest.raises(EventTooLarge) as caught:
        decoder.feed(rest[:-1] + b"x\n\n")
    assert caught.value.size == limit + 1


def test_it_stays_failed(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=10)
    with pytest.raises(EventTooLarge) as first:
        decoder.feed(b"id: 1\n\ndata: too large")
    for chunk in (b"\n\n", b"data: y\n\n", b"\r", bytearray(b"data"), memoryview(b"\n")):
        with pytest.raises(EventTooLarge) as again:
            decoder.feed(chunk)
        assert again.value is not first.value
        assert again.value.args == first.value.args
    assert decoder.last_event_id == "1"
    assert decoder.reconnection_time is None
    decoder.close()
    assert decoder.last_event_id == "1"
    with pytest.raises(ValueError, match="after close"):
        decoder.feed(b"data: y\n\n")


@pytest.mark.parametrize("empty", [b"", bytearray(), memoryview(b"")])
def test_an_empty_chunk_raises_too(decoder_class: type[SSEDecoder], empty: BytesLike) -> None:
    decoder = decoder_class(max_event_size=10)
    assert decoder.feed(b"data: x\n\ndata: too large") == one("x")
    for _ in range(2):
        with pytest.raises(EventTooLarge):
            decoder.feed(empty)
    decoder.close()
    with pytest.raises(ValueError, match="after close"):
        decoder.feed(empty)


def test_close_raises_what_no_feed_has_raised(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=10)
    assert decoder.feed(b"data: x\n\ndata: too large") == one("x")
    with pytest.raises(EventTooLarge, match="holds 15 bytes, limit is 10 bytes"):
        decoder.close()
    decoder.close()
    with pytest.raises(ValueError, match="after close"):
        decoder.feed(b"data: y\n\n")


def test_close_does_not_raise_it_twice(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=10)
    assert decoder.feed(b"data: x\n\ndata: too large") == one("x")
    with pytest.raises(EventTooLarge):
        decoder.feed(b"data: y\n\n")
    decoder.close()


def test_the_error_is_an_sse_error_that_travels(decoder_class: type[SSEDecoder]) -> None:
    with pytest.raises(SSEError) as caught:
        decoder_class(max_event_size=5).feed(b"data: x")
    for other in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert type(other) is EventTooLarge
        assert (other.size, other.limit) == (7, 5)
        assert str(other) == str(caught.value)


def test_the_error_has_no_context(decoder_class: type[SSEDecoder]) -> None:
    with pytest.raises(EventTooLarge) as caught:
        decoder_class(max_event_size=5).feed(b"data: x")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


class Chunk(bytearray):
    """A chunk that can be watched."""


def test_a_failed_decoder_keeps_no_chunk_alive(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=10)
    chunk = Chunk(b"data: x\n\ndata: too large")
    watch = weakref.ref(chunk)
    assert decoder.feed(chunk) == one("x")
    del chunk
    gc.collect()
    assert watch() is None
    with pytest.raises(EventTooLarge):
        decoder.feed(b"x")


# The end of the stream


def test_close_discards_the_unfinished_event(decoder: SSEDecoder) -> None:
    assert decoder.feed(b"id: 1\ndata: a\n\nid: 2\nretry: 5\ndata: b\n") == [
        ("message", "a", "1", None)
    ]
    decoder.close()
    assert decoder.last_event_id == "1"
    assert decoder.reconnection_time == 5


@pytest.mark.parametrize(
    "stream", [b"", b"data: a", b"data: a\r", b"\xef\xbb", b"\xef\xbb\xbf", b"retry: 5"]
)
def test_close_may_be_called_again(decoder: SSEDecoder, stream: bytes) -> None:
    decoder.feed(stream)
    for _ in range(3):
        decoder.close()
    assert (decoder.last_event_id, decoder.reconnection_time) == (None, None)


@pytest.mark.parametrize("chunk", [b"data: x\n\n", b"\n", bytearray(b"data"), memoryview(b"\r")])
def test_feed_after_close(decoder: SSEDecoder, chunk: BytesLike) -> None:
    decoder.feed(b"data: x\n\nid: 2\ndata: y\n")
    decoder.close()
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"^feed\(\) after close\(\): a decoder is for one stream$"
        ):
            decoder.feed(chunk)
    decoder.close()
    assert decoder.last_event_id is None


def test_an_empty_chunk_after_close(decoder: SSEDecoder) -> None:
    decoder.close()
    with pytest.raises(ValueError, match="after close"):
        decoder.feed(b"")


# Windows


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("shift", [-4, -3, -2, -1, 0, 1, 2, 3])
def test_a_line_ends_around_a_window(
    decoder_class: type[SSEDecoder],
    make: Callable[[bytes], BytesLike],
    end: bytes,
    shift: int,
) -> None:
    def event(size: int) -> bytes:
        return b"data: " + b"x" * (size - 6 - 2 * len(end)) + 2 * end

    sizes = [WINDOW + shift, WINDOW, 2 * WINDOW - shift, 20, 30, 3 * WINDOW, 20]
    stream = b"".join(map(event, sizes))
    events = [event for size in sizes for event in one("x" * (size - 6 - 2 * len(end)))]
    assert decode(decoder_class(), [make(stream)]) == (events, None, None)


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("shift", range(-8, 9))
def test_events_around_a_window(
    decoder_class: type[SSEDecoder], make: Callable[[bytes], BytesLike], shift: int
) -> None:
    stream = (
        b"\xef\xbb\xbf:" + b" " * (WINDOW + shift - 40) + b"\r\n"
        b"\xef\xbb\xbfid\rid: 1\r\nretry: 5\r\rdata: \xf0\x9f\x98\x80\r\n\r\n\n\rdata: x\n\n"
    )
    expected = [("message", "\U0001f600", "1", None), ("message", "x", "1", None)], "1", 5
    assert decode(decoder_class(), [make(stream)]) == expected


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [WINDOW - 1, WINDOW, WINDOW + 1, 5 * WINDOW])
def test_lines_longer_than_a_window(
    decoder_class: type[SSEDecoder], make: Callable[[bytes], BytesLike], size: int
) -> None:
    text = "\u20ac" * (size // 3)
    stream = f"data: {text}\nfoo: {text}\n: {text}\ndata:{text}\nid: {text}\nevent: {text}\r\n\r\n"
    expected = [(text, f"{text}\n{text}", text, None)], text, None
    assert decode(decoder_class(), [make(stream.encode())]) == expected
    assert decode(decoder_class(), map(make, drip(stream.encode(), 10_000))) == expected


def test_a_window_without_a_line_end(decoder: SSEDecoder) -> None:
    assert decoder.feed(bytearray(b"data: " + b"x" * (2 * WINDOW))) == []
    assert decoder.feed(bytearray(b"y" * (2 * WINDOW))) == []
    assert decoder.feed(b"\n\n") == one("x" * (2 * WINDOW) + "y" * (2 * WINDOW))


# Whatever comes


# Uniformly chosen, unlike what hypothesis makes: long streams, most of them with many events.
TOKENS: Final = (
    [b"\n"] * 8
    + [b"\n\n", b"\r\n", b"\r\n\r\n", b"\r", b"data: x\n\n", b"data: x", b"data: x\n", b"data:"]
    + [b"data", b"event: e", b"id: 1", b"id", b"retry: 10", b"retry: x", b": c", b":", b" ", b"xx"]
    + [b"\0", b"\xef\xbb\xbf", b"\xe2\x82", b"\x80", b"\xf0\x9f\x98\x80", b"\xc0", b"\xff"]
)


CRLF: Final = re.compile(b"\r\n")


def random_stream(source: random.Random) -> tuple[bytes, list[bytes]]:
    """Return a stream, and its pieces."""
    stream = b"".join(source.choices(TOKENS, k=source.randrange(60)))
    cuts = [end for end in range(len(stream)) if source.random() < 0.04]
    # As often as not between CR and LF, where it matters most.
    cuts = [*cuts, *(end.start() + 1 for end in CRLF.finditer(stream) if source.random() < 0.5)]
    cuts.sort()
    return stream, [stream[a:b] for a, b in zip([0, *cuts], [*cuts, None])]  # noqa: B905  # same length


def test_random_streams(decoder_class: type[SSEDecoder]) -> None:
    source = random.Random(7)
    count = 0
    for _ in range(1500):
        stream, pieces = random_stream(source)
        outcome = decode(decoder_class(), pieces)
        assert outcome == interpret(stream), pieces
        assert decode(decoder_class(), [stream]) == outcome, stream
        assert decode(decoder_class(), drip(stream, 1)) == outcome, stream
        count += len(outcome[0])
    assert count > 1500


def test_random_streams_with_a_limit(decoder_class: type[SSEDecoder]) -> None:
    source = random.Random(8)
    failures = 0
    for _ in range(1500):
        stream, pieces = random_stream(source)
        limit = source.randrange(1, 40)
        before = before_oversized(stream, limit)
        expected = interpret(stream if before is None else before)[:2]
        for chunks in (pieces, [stream], [bytearray(stream)], drip(stream, 1)):
            decoder = decoder_class(max_event_size=limit)
            events: list[tuple[str, str, str | None, int | None]] = []
            failed = False
            try:
                for chunk in chunks:
                    events += decoder.feed(chunk)
                decoder.close()
            except EventTooLarge as error:
                failed = error.size > error.limit == limit
            assert (events, decoder.last_event_id, failed) == (*expected, before is not None), (
                stream
            )
        failures += before is not None
    assert 200 < failures < 1300


def test_random_bytes(decoder_class: type[SSEDecoder]) -> None:
    source = random.Random(9)
    for _ in range(200):
        stream = source.randbytes(source.randrange(1000))
        pieces = [stream[start : start + 13] for start in range(0, len(stream), 13)]
        assert decode(decoder_class(), pieces) == interpret(stream), stream


# Events


def test_decoded_events_are_events(decoder: SSEDecoder) -> None:
    first, second, third = decoder.feed(
        b'data: {"a": [1]}\n\nevent: e\nid: 1\nretry: 5\ndata: 2\ndata: \n\n'
        + b"data: x\ndata: y\n\n"
    )
    for event in (first, second, third):
        assert type(event) is ServerSentEvent
    assert first.json() == {"a": [1]}
    assert (second.event, second.data, second.id, second.retry) == ("e", "2\n", "1", 5)
    assert second.json() == 2
    assert third == ServerSentEvent(data="x\ny", id="1")
    assert pickle.loads(pickle.dumps(second)) == second
    assert hash(third) == hash(ServerSentEvent(data="x\ny", id="1"))


def test_each_way_to_build_an_event_gives_the_same(decoder: SSEDecoder) -> None:
    # One line; one line with another field; in pieces; over the general buffer path.
    chunks: list[BytesLike] = [
        b"data: x\n\n",
        b"data:x\n\n",
        b"da",
        b"ta: x\n",
        b"\n",
        bytearray(b"data: x\r\r"),
    ]
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    assert events == one("x") * 4
    assert {type(event) for event in events} == {ServerSentEvent}


# What is begun and not finished.


@pytest.mark.parametrize(
    ("stream", "unfinished"),
    [
        (b"", 0),
        (b"data: x\n\n", 0),
        (b"data: x\r\n\r", 0),
        (b": comment", 0),
        (b": comment\nunknown: x\nunknown", 0),
        (b"data: x\n\n\n\n", 0),
        (b"d", 1),
        (b"data: x\n\ndata", 4),
        (b"data: x\n", 8),
        (b"data: x\r\n", 8),
        (b"id: 1\n: comment\nunknown: x\ndata: xyz", 15),
        (b"id: 1\n: comment", 6),
        (b"\xef\xbb\xbfdata: x", 7),
    ],
)
def test_unfinished_is_what_an_event_has_so_far(
    decoder_class: type[SSEDecoder], stream: bytes, unfinished: int
) -> None:
    for pieces in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        decoder = decoder_class()
        for piece in pieces:
            decoder.feed(piece)
        assert decoder.unfinished == unfinished
        for _ in range(2):
            decoder.close()
            assert decoder.unfinished == unfinished
    decoder = decoder_class(max_event_size=10)
    with pytest.raises(EventTooLarge):
        decoder.feed(b"data: " + b"x" * 10)
    assert decoder.unfinished == 16
    with pytest.raises(EventTooLarge):
        decoder.feed(b"")
    decoder.close()
    assert decoder.unfinished == 16
