"""`feed_parsed`: bytes to a parser, values to the caller, and what becomes of what it raises."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import sys
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_type_hints

import pytest

from sse_proto import (
    EventTooLarge,
    ParsedEvent,
    ServerSentEvent,
    SkipEvent,
    SSEError,
    UnknownEvent,
    by_event,
    failed_event,
)

if TYPE_CHECKING:
    from sse_proto import SSEDecoder

STREAM: Final = (
    b"data: [1]\n\nevent: e\nid: 7\nretry: 5\ndata: {\ndata:  }\n\n: c\n\ndata:\xff\r\n\r\ndata\n\n"
)
PARSED: Final = [
    ("message", ("message", b"[1]"), None, None),
    ("e", ("e", b"{\n }"), "7", 5),
    ("message", ("message", b"\xff"), "7", None),
    ("message", ("message", b""), "7", None),
]


def pair(event: str, data: bytes) -> tuple[str, bytes]:
    assert type(data) is bytes
    return event, data


def number(_: str, data: bytes) -> int:
    return int(data)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_the_parser_has_the_bytes_of_each_event(
    decoder: SSEDecoder, size: int, make: Callable[[bytes], bytes | bytearray | memoryview]
) -> None:
    events: list[ParsedEvent[tuple[str, bytes]]] = []
    for start in range(0, len(STREAM), size):
        chunk = make(STREAM[start : start + size])
        events += decoder.feed_parsed(chunk, pair)
        if isinstance(chunk, bytearray):
            chunk.clear()  # BufferError if a view were still held
    assert events == PARSED
    assert {type(event) for event in events} == {ParsedEvent}
    assert (decoder.last_event_id, decoder.reconnection_time) == ("7", 5)


def test_events_are_values(decoder: SSEDecoder) -> None:
    (event,) = decoder.feed_parsed(b"event: e\nid: 1\nretry: 2\ndata: 3\n\n", number)
    same = ParsedEvent("e", 3, "1", 2)
    assert (event, repr(event), hash(event)) == (same, repr(same), hash(same))
    assert repr(same) == "ParsedEvent(event='e', data=3, id='1', retry=2)"
    assert pickle.loads(pickle.dumps(event)) == copy.deepcopy(event) == same
    assert event._replace(data=4) == ParsedEvent("e", 4, "1", 2)
    assert isinstance(event._replace(data=4), ParsedEvent)
    assert isinstance(get_type_hints(ParsedEvent)["data"], TypeVar)  # as pydantic sees it
    match event:
        case ParsedEvent("e", data, id="1"):
            assert data == 3
        case _:
            pytest.fail("no match")


def test_an_event_in_many_windows(decoder: SSEDecoder) -> None:
    values = [str(value) * 10_000 for value in range(1, 40)]
    chunk = "".join(f"data: {value}\r\n\r\n" for value in values).encode()
    events = decoder.feed_parsed(chunk, lambda _, data: len(data))
    assert [event.data for event in events] == [len(value) for value in values]


def test_methods_alternate_within_an_event(decoder: SSEDecoder) -> None:
    assert decoder.feed(b"event: a\ndata: 1") == []
    assert decoder.feed_parsed(b"\ndata: 2\nda", pair) == []
    assert decoder.feed_raw(b"ta: 3\n") == []
    assert decoder.feed_parsed(b"\n", pair) == [("a", ("a", b"1\n2\n3"), None, None)]
    assert decoder.feed_parsed(b"data: 4\n", pair) == []
    assert decoder.feed(b"\n") == [ServerSentEvent(data="4")]


def test_events_that_are_skipped(decoder: SSEDecoder) -> None:
    def odd(_: str, data: bytes) -> int:
        if int(data) % 2 == 0:
            raise SkipEvent
        return int(data)

    chunk = b"".join(b"data: %d\n\n" % value for value in (0, 1, 2, 4, 3, 5, 6))
    assert [event.data for event in decoder.feed_parsed(chunk, odd)] == [1, 3, 5]
    assert decoder.feed_parsed(b"data: 8\n\n", odd) == []


# What a parser raises.

FAILING: Final = (
    b"data: 1\n\nevent: e\nid: 7\nretry: 9\ndata: x\n\ndata: 2\n\ndata: y\n\ndata: z\n\n"
)


def test_an_exception_comes_after_the_events_before_it(decoder: SSEDecoder) -> None:
    assert [event.data for event in decoder.feed_parsed(FAILING, number)] == [1]
    with pytest.raises(ValueError, match="invalid literal") as caught:
        decoder.feed_parsed(b"data: 3\n\n", number)
    assert failed_event(caught.value) == ("e", b"x", "7", 9)
    assert [event.data for event in decoder.feed_parsed(b"", number)] == [2]
    for data in (b"y", b"z"):
        with pytest.raises(ValueError, match="invalid literal") as caught:
            decoder.feed_parsed(b"", number)
        assert failed_event(caught.value) == ("message", data, "7", None)
    assert [event.data for event in decoder.feed_parsed(b"data: 4\n\n", number)] == [3, 4]
    assert decoder.feed_parsed(b"", number) == []


def test_an_exception_of_the_first_event_comes_at_once(decoder: SSEDecoder) -> None:
    error = LookupError()

    def parse(_: str, data: bytes) -> bytes:
        if data == b"x":
            raise error
        return data

    with pytest.raises(LookupError) as caught:
        decoder.feed_parsed(b"data: x\n\ndata: 1\n\n", parse)
    assert caught.value is error
    assert [event.data for event in decoder.feed_parsed(b"data: 2\n\n", parse)] == [b"1", b"2"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes are new in Python 3.11")
def test_an_exception_has_a_note(decoder: SSEDecoder) -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        decoder.feed_parsed(b"id: 1\ndata: x\n\n", number)
    note = "while parsing an event of type 'message', ID '1', data b'x'"
    assert getattr(caught.value, "__notes__", None) == [note]
    with pytest.raises(ValueError, match="invalid literal") as caught:
        decoder.feed_parsed(b"data: " + b"y" * 1000 + b"\n\n", number)
    assert len(getattr(caught.value, "__notes__", [""])[0]) < 300


def test_other_exceptions_know_no_event() -> None:
    assert failed_event(ValueError()) is None


class Stubborn(Exception):
    """Takes no attributes."""

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(name)


def test_an_exception_that_takes_no_attributes_is_raised_all_the_same(decoder: SSEDecoder) -> None:
    def parse(_: str, data: bytes) -> bytes:
        if data == b"x":
            raise Stubborn
        return data

    for _ in range(2):
        with pytest.raises(Stubborn) as caught:
            decoder.feed_parsed(b"data: x\n\n", parse)
        assert failed_event(caught.value) is None


def _frames(traceback: TracebackType | None) -> list[str]:
    names: list[str] = []
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    return names


def test_an_exception_that_waits_keeps_its_traceback_and_no_chunk(decoder: SSEDecoder) -> None:
    class Chunk(bytearray):
        pass

    chunk = Chunk(b"data: 1\n\ndata: x\n\n")
    watch = weakref.ref(chunk)
    assert len(decoder.feed_parsed(chunk, number)) == 1
    del chunk
    gc.collect()
    assert watch() is None
    with pytest.raises(ValueError, match="invalid literal") as caught:
        decoder.feed_parsed(b"", number)
    assert _frames(caught.value.__traceback__)[-1] == "number"


def test_stop_iteration_is_an_exception_like_others(decoder: SSEDecoder) -> None:
    def parse(_: str, data: bytes) -> int:
        if data == b"x":
            raise StopIteration
        return int(data)

    chunk = b"data: 1\n\ndata: x\n\ndata: 2\n\n"
    assert [event.data for event in decoder.feed_parsed(chunk, parse)] == [1]
    with pytest.raises(StopIteration):
        decoder.feed_parsed(b"", parse)
    assert [event.data for event in decoder.feed_parsed(b"", parse)] == [2]


@pytest.mark.timeout(15)
def test_time_of_many_events_that_are_skipped(decoder: SSEDecoder) -> None:
    chunk = b"data\n\n" * 100_000
    assert decoder.feed_parsed(chunk, by_event({"other": len}, default="skip")) == []


class Interrupt(BaseException):
    """As KeyboardInterrupt."""


def test_an_interrupt_comes_at_once_and_costs_nothing(decoder: SSEDecoder) -> None:
    interrupts = [Interrupt(), Interrupt()]

    def parse(_: str, data: bytes) -> int:
        if data == b"2" and interrupts:
            raise interrupts.pop()
        return int(data)

    for chunk in (b"data: 1\n\ndata: 2\n\ndata: 3\n\n", b"data: 4\n\n"):
        with pytest.raises(Interrupt) as caught:
            decoder.feed_parsed(chunk, parse)
        assert failed_event(caught.value) is None
    events = decoder.feed_parsed(b"data: 5\n\n", parse)
    assert [event.data for event in events] == [1, 2, 3, 4, 5]


def test_what_waits_outlives_the_end(decoder: SSEDecoder) -> None:
    assert [event.data for event in decoder.feed_parsed(FAILING, number)] == [1]
    with pytest.raises(ValueError, match="invalid literal") as caught:
        decoder.close()
    assert failed_event(caught.value) == ("e", b"x", "7", 9)
    decoder.close()
    assert [event.data for event in decoder.feed_parsed(b"never taken", number)] == [2]
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            decoder.feed_parsed(b"", number)
    with pytest.raises(ValueError, match="after close"):
        decoder.feed_parsed(b"", number)


def test_event_too_large_comes_last(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=10)
    chunk = b"data: 1\n\ndata: x\n\ndata: 2\n\ndata: too large\n\n"
    assert [event.data for event in decoder.feed_parsed(chunk, number)] == [1]
    with pytest.raises(ValueError, match="invalid literal"):
        decoder.feed_parsed(b"", number)
    assert [event.data for event in decoder.feed_parsed(b"", number)] == [2]
    for _ in range(2):
        with pytest.raises(EventTooLarge):
            decoder.feed_parsed(b"", number)
    decoder.close()


def test_close_raises_one_error_after_the_other(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=10)
    chunk = b"data: 1\n\ndata: x\n\ndata: too large"
    assert [event.data for event in decoder.feed_parsed(chunk, number)] == [1]
    with pytest.raises(ValueError, match="invalid literal"):
        decoder.close()
    with pytest.raises(EventTooLarge) as caught:
        decoder.close()
    assert caught.value.size == decoder.unfinished == 15
    decoder.close()
    with pytest.raises(ValueError, match="after close"):
        decoder.feed_parsed(b"", number)


def test_events_may_not_wait_without_limit(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=100)
    chunk = b"data: x\n\n" * 5
    failures = 0
    with pytest.raises(RuntimeError, match="too many events wait"):  # noqa: PT012  # the loop
        while True:
            try:
                decoder.feed_parsed(chunk, number)
            except ValueError:
                failures += 1
    assert failures == 1 + 100 // len(chunk)
    left = 0
    while True:
        try:
            assert decoder.feed_parsed(b"", number) == []
            break
        except ValueError:
            left += 1
    assert failures + left == 5 * failures
    assert [event.data for event in decoder.feed_parsed(b"data: 1\n\n", number)] == [1]


def test_a_parser_cannot_use_its_decoder(decoder: SSEDecoder) -> None:
    def use(_: str, data: bytes) -> bytes:
        uses: list[Callable[[], object]] = [
            lambda: decoder.feed(b"x"),
            lambda: decoder.feed_parsed(b"x", pair),
            decoder.close,
        ]
        for misuse in uses:
            with pytest.raises(RuntimeError, match="the decoder is in use"):
                misuse()
        assert decoder.last_event_id == "1"
        return data

    assert len(decoder.feed_parsed(b"id: 1\ndata: a\n\ndata: b\n\n", use)) == 2
    assert decoder.feed_parsed(b"data: c\n\n", use)[0].data == b"c"


def test_another_parser_for_what_waits(decoder: SSEDecoder) -> None:
    assert len(decoder.feed_parsed(FAILING, number)) == 1
    with pytest.raises(ValueError, match="invalid literal"):
        decoder.feed_parsed(b"", pair)
    assert [event.data[1] for event in decoder.feed_parsed(b"", pair)] == [b"2", b"y", b"z"]


def test_misuse(decoder: SSEDecoder) -> None:
    feed_parsed = cast("Callable[..., object]", decoder.feed_parsed)
    for arguments in ((), (b"",), (b"", pair, pair)):
        with pytest.raises(TypeError):
            feed_parsed(*arguments)
    with pytest.raises(TypeError, match="pass the stream's bytes, undecoded"):
        feed_parsed("data: x\n\n", pair)
    with pytest.raises(TypeError, match="not callable") as caught:
        feed_parsed(b"data: x\n\n", 5)
    assert failed_event(caught.value) == ("message", b"x", None, None)
    assert decoder.feed_parsed(b"data: y\n\n", pair) == [("message", ("message", b"y"), None, None)]


class Cycle:
    """A value that knows its event."""

    event: ParsedEvent[Any]


def test_values_in_cycles_are_collected(decoder: SSEDecoder) -> None:
    gc.collect()
    (event,) = decoder.feed_parsed(b"data: x\n\n", lambda _, __: Cycle())
    event.data.event = event
    watch = weakref.ref(event.data)
    del event
    gc.collect()
    assert watch() is None


def test_no_reference_is_lost(decoder: SSEDecoder) -> None:
    value = object()

    def parse(_: str, data: bytes) -> object:
        if data == b"x":
            raise LookupError
        if data == b"i":
            raise Interrupt
        if data == b"s":
            raise SkipEvent
        return value

    chunk = b"data: 1\n\ndata: s\n\ndata: x\n\ndata: 2\n\ndata: i\n\n"
    counts: list[int] = []
    gc.collect()
    gc.freeze()  # nothing but what is made here need be looked through thirty times
    for _ in range(30):
        gc.collect()
        counts.append(sys.getrefcount(value) + sys.getrefcount(SkipEvent))
        decoder.feed_parsed(chunk, parse)
        for _ in range(2):
            with pytest.raises((LookupError, Interrupt)):
                decoder.feed_parsed(b"", parse)
        decoder.feed_parsed(b"", lambda _, __: None)
    gc.unfreeze()
    assert max(counts[10:]) - min(counts[10:]) < 10


# By type.


@pytest.mark.parametrize("number_of_chunk", range(2))
def test_by_event(decoder: SSEDecoder, number_of_chunk: int) -> None:
    parse = by_event[Any]({"n": int, "j": json.loads, "message": bytes.decode})
    events = b'event: n\ndata: 1\n\nevent: j\ndata: {"a": 2}\n\ndata: text\n\n'
    values = decoder.feed_parsed((events, bytearray(events))[number_of_chunk], parse)
    assert [event.data for event in values] == [1, {"a": 2}, "text"]
    assert [parse(event.event, b"[3]") for event in values[1:]] == [[3], "[3]"]


def test_an_unknown_type_is_an_error(decoder: SSEDecoder) -> None:
    parse = by_event({"n": int})
    assert len(decoder.feed_parsed(b"event: n\ndata: 1\n\nevent: other\ndata: 2\n\n", parse)) == 1
    with pytest.raises(UnknownEvent) as caught:
        decoder.feed_parsed(b"", parse)
    assert str(caught.value) == "there is no parser for events of type 'other'"
    assert caught.value.event == "other"
    assert isinstance(caught.value, SSEError)
    assert failed_event(caught.value) == ("other", b"2", None, None)
    assert pickle.loads(pickle.dumps(caught.value)).event == "other"
    assert str(UnknownEvent("x" * 1000)).count("x") == 100
    with pytest.raises(UnknownEvent):
        parse("message", b"1")


def test_an_unknown_type_is_skipped(decoder: SSEDecoder) -> None:
    parse = by_event({"n": int}, default="skip")
    events = decoder.feed_parsed(b"data: ping\n\nevent: n\ndata: 1\n\ndata: ping\n\n", parse)
    assert [event.data for event in events] == [1]
    with pytest.raises(SkipEvent):
        parse("message", b"1")
    assert parse("n", b"1") == 1


def test_an_unknown_type_has_a_default(decoder: SSEDecoder) -> None:
    parse = by_event[Any]({"n": int}, bytes.decode)
    events = decoder.feed_parsed(b"data: text\n\nevent: n\ndata: 1\n\n", parse)
    assert [event.data for event in events] == ["text", 1]
    assert parse("message", b"1") == "1"


def test_all_types_may_have_one_parser(decoder: SSEDecoder) -> None:
    parse = by_event({}, int)
    chunk = b"data: 1\n\nevent: e\ndata: 2\n\nid: 7\ndata: x\n\ndata: 3\n\n"
    assert decoder.feed_parsed(chunk, parse) == [("message", 1, None, None), ("e", 2, None, None)]
    with pytest.raises(ValueError, match="invalid literal") as caught:
        decoder.feed_parsed(b"", parse)
    assert failed_event(caught.value) == ("message", b"x", "7", None)
    assert decoder.feed_parsed(b"", parse) == [("message", 3, "7", None)]


def test_by_event_keeps_a_copy_of_its_parsers(decoder: SSEDecoder) -> None:
    parsers: dict[str, Callable[[bytes], int]] = {"message": int}
    parse = by_event(parsers)
    parsers.clear()
    assert decoder.feed_parsed(b"data: 1\n\n", parse)[0].data == 1


def test_parsers_that_change_while_they_parse(decoder: SSEDecoder) -> None:
    def first(data: bytes) -> int:
        parse.parsers["message"] = len
        return int(data)

    parse = by_event({"message": first})
    events = decoder.feed_parsed(b"data: 10\n\ndata: 10\n\n", parse)
    assert [event.data for event in events] == [10, 2]
