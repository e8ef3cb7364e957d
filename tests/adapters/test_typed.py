"""Data from their bytes to a value of the caller's type: `iter_json(loads)` and `iter_parsed`."""

from __future__ import annotations

import inspect
import itertools
import json
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, Final, TypeAlias

import httpx
import msgspec
import orjson
import pytest

from sse_httpx import EventSource, aiter_json, iter_json
from sse_proto import (
    IncompleteStream,
    ParsedEvent,
    ServerSentEvent,
    SkipEvent,
    SSEDecoder,
    by_event,
    failed_event,
)
from tests.support.stepping import Loops, new_loop, rest

Source: TypeAlias = EventSource[Any]

EVENTS: Final = [f"event: e{n}\nid: {n}\nretry: {n}\ndata: {n}\n\n".encode() for n in range(9)]


def response(chunks: list[bytes], is_async: bool, kind: str = "text/event-stream") -> Any:
    async def later() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    content: Any = later() if is_async else iter(chunks)
    return httpx.Response(200, headers={"Content-Type": kind}, content=content)


class Way(Loops):
    """Loops over a response, sync or asynchronous."""

    def source(self, *chunks: bytes, **options: Any) -> Source:
        return EventSource(response([*chunks], self.loop is not None), **options)

    def lines(self, loads: Any, *chunks: bytes, kind: str) -> Callable[[], Any]:
        is_async = self.loop is not None
        function: Any = aiter_json if is_async else iter_json
        return self.stepper(function(response([*chunks], is_async, kind), loads))


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> Generator[Way, None, None]:
    with new_loop(request.param) as loop:
        yield Way(loop)


def both(event: str, data: bytes) -> tuple[str, bytes]:
    return event, data


def numbered(event: str, data: bytes) -> tuple[str, int]:
    return event, int(data)


def number(_: str, data: bytes) -> int:
    return int(data)


def as_sent(_: str, data: bytes) -> bytes:
    return data


class Delta(msgspec.Struct):
    text: str


def test_loads_gets_bytes_and_its_value_comes(way: Way) -> None:
    source = way.source('data: {"text": "ü"}\n\ndata:\n\ndata: {"text"\ndata: :"b"}\n\n'.encode())
    step = way.begin(source, "iter_json", msgspec.json.Decoder(Delta).decode)
    assert rest(step) == [Delta("ü"), Delta("b")]


def test_values_may_be_anything(way: Way) -> None:
    source = way.source(b"data: null\n\ndata: false\n\ndata: 0\n\n")
    assert rest(way.begin(source, "iter_json", orjson.loads)) == [None, False, 0]


def test_parsed_events_have_all_fields(way: Way) -> None:
    step = way.begin(way.source(*EVENTS[:2]), "iter_parsed", both)
    assert rest(step) == [
        ParsedEvent("e0", ("e0", b"0"), "0", 0),
        ParsedEvent("e1", ("e1", b"1"), "1", 1),
    ]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("kinds", [*itertools.permutations(["text", "json", "parsed"])])
def test_the_position_is_the_response_s(way: Way, size: int, kinds: tuple[str, ...]) -> None:
    body = b"".join(EVENTS)
    source = way.source(*(body[at : at + size] for at in range(0, len(body), size)))
    steps = {
        "text": way.begin(source, "iter_sse"),
        "json": way.begin(source, "iter_json", int),
        "parsed": way.begin(source, "iter_parsed", numbered),
    }
    for number, kind in enumerate(kinds * 3):
        expected = {
            "text": ServerSentEvent(f"e{number}", str(number), str(number), number),
            "json": number,
            "parsed": ParsedEvent(f"e{number}", (f"e{number}", number), str(number), number),
        }
        assert steps[kind]() == expected[kind]
    assert [rest(step) for step in steps.values()] == [[], [], []]


def test_bytes_that_are_not_utf_8_reach_the_parser(way: Way) -> None:
    chunk = b"data: \xff\n\n" * 4
    source = way.source(chunk, b"data: \xfe\n\n")
    parsed = way.begin(source, "iter_parsed", as_sent)
    assert parsed().data == b"\xff"
    text = way.begin(source, "iter_sse")
    assert text().data == "\ufffd"
    # The text of this chunk was there; the next chunk has none.
    assert [event.data for event in rest(parsed)] == ["\ufffd".encode()] * 2 + [b"\xfe"]


@pytest.mark.parametrize("name", ["iter_json", "iter_parsed"])
def test_a_parser_that_raises_costs_its_event_alone(way: Way, name: str) -> None:
    error = ValueError("no")

    def parse(*arguments: Any) -> int:
        if arguments[-1] == b"1":
            raise error
        return int(arguments[-1])

    source = way.source(b"".join(EVENTS[:4]))
    step = way.begin(source, name, parse)
    step()
    with pytest.raises(ValueError, match="no") as caught:
        step()
    assert caught.value is error
    assert failed_event(error) == ParsedEvent("e1", b"1", "1", 1)
    assert way.begin(source, "iter_sse")().data == "2"
    assert len(rest(step)) == 1


@pytest.mark.parametrize("name", ["iter_json", "iter_parsed"])
def test_an_interrupted_parser_loses_nothing(way: Way, name: str) -> None:
    interrupts = [KeyboardInterrupt()]

    def parse(*arguments: Any) -> int:
        if arguments[-1] == b"1" and interrupts:
            raise interrupts.pop()
        return int(arguments[-1])

    step = way.begin(way.source(b"".join(EVENTS[:3])), name, parse)
    first = step()
    with pytest.raises(KeyboardInterrupt):
        step()
    items = [first, *rest(step)]
    assert [getattr(item, "data", item) for item in items] == [0, 1, 2]


@pytest.mark.parametrize("name", ["iter_json", "iter_parsed"])
def test_skipped_events_are_left_out(way: Way, name: str) -> None:
    def parse(*arguments: Any) -> int:
        if int(arguments[-1]) % 2:
            raise SkipEvent
        return int(arguments[-1])

    items = rest(way.begin(way.source(b"".join(EVENTS)), name, parse))
    assert [getattr(item, "data", item) for item in items] == [0, 2, 4, 6, 8]


def test_by_event(way: Way) -> None:
    parse: Any = by_event({"e1": int}, default="skip")
    items = rest(way.begin(way.source(*EVENTS), "iter_parsed", parse))
    assert items == [ParsedEvent("e1", 1, "1", 1)]


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iter_json", "iter_parsed"])
@pytest.mark.parametrize("until", ["END", ["x", "END"]])
def test_until_is_exact_and_expected(way: Way, name: str, until: Any) -> None:
    parse: Any = int if name == "iter_json" else number
    body = b"data: 1\n\ndata: END\n\ndata: 2\n\n"
    items = rest(way.begin(way.source(body), name, parse, until=until))
    assert [getattr(item, "data", item) for item in items] == [1]
    step = way.begin(way.source(b"id: 7\ndata: 1\n\ndata: EN"), name, parse, until=until)
    step()
    with pytest.raises(IncompleteStream) as caught:
        step()
    assert (caught.value.unfinished, caught.value.last_event_id) == (8, "7")


@pytest.mark.parametrize("name", ["iter_json", "iter_parsed"])
def test_is_last_is_handed_out(way: Way, name: str) -> None:
    parse: Any = int if name == "iter_json" else number

    def is_last(item: Any) -> bool:
        return bool(getattr(item, "data", item) == 2)

    body = b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
    assert len(rest(way.begin(way.source(body), name, parse, is_last=is_last))) == 2
    step = way.begin(way.source(body[:9]), name, parse, is_last=is_last)
    step()
    with pytest.raises(IncompleteStream):
        step()


def test_done_ends_by_default_and_is_not_needed(way: Way) -> None:
    assert rest(way.begin(way.source(b"data: 1\n\ndata:  [DONE] \n\n2"), "iter_json", int)) == [1]
    assert rest(way.begin(way.source(b"data: 1\n\n"), "iter_json", int)) == [1]


def test_done_that_is_given_is_exact(way: Way) -> None:
    step = way.begin(way.source(b"data: 1\n\n"), "iter_json", int, until="[DONE]")
    assert step() == 1
    with pytest.raises(IncompleteStream):
        step()
    step = way.begin(way.source(b"data:  [DONE]\n\n"), "iter_json", bytes, until="[DONE]")
    assert step() == b" [DONE]"


def test_until_none_is_the_end_of_the_body(way: Way) -> None:
    body = b"data: [DONE]\n\ndata: 1\n\n"
    assert rest(way.begin(way.source(body), "iter_json", bytes, until=None)) == [b"[DONE]", b"1"]


def test_an_end_without_data(way: Way) -> None:
    source = way.source(b"event: end\ndata\n\n", decoder=SSEDecoder(dispatch_empty=True))
    assert rest(way.begin(source, "iter_json", int, until="")) == []


def test_signatures_show_the_default() -> None:
    for method in (EventSource.iter_json, EventSource.aiter_json):
        assert repr(inspect.signature(method).parameters["until"].default) == "'[DONE]'"


# -- lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json", "text/plain"])
def test_lines_go_through_the_same_loads(way: Way, kind: str) -> None:
    step = way.lines(
        msgspec.json.Decoder(Delta).decode, b'{"text": "a"}\n{}\n\n[DO', b"NE]\n", kind=kind
    )
    assert step() == Delta("a")
    with pytest.raises(msgspec.ValidationError) as caught:
        step()
    failed = failed_event(caught.value)
    assert failed is not None
    assert failed.data.strip() == b"{}"
    assert rest(step) == []


def test_json_loads_is_the_default_and_may_be_given(way: Way) -> None:
    body = b'data: {"a": 1}\n\n'
    assert rest(way.begin(way.source(body), "iter_json")) == [{"a": 1}]
    assert rest(way.begin(way.source(body), "iter_json", json.loads)) == [{"a": 1}]


def test_items_are_iterators() -> None:
    items = EventSource(response([*EVENTS], False)).iter_json(int)
    assert isinstance(items, Iterator)
    assert iter(items) is items
