"""Programs that are right: they run, and both type checkers see the types that `assert_type` names.

`make types` is the test of the types, here and in `wrong_programs`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import httpx
import msgspec
import orjson
import pytest
from pydantic import BaseModel, TypeAdapter
from typing_extensions import assert_never, assert_type

from sse_adapter import AsyncItems, AsyncSubscription, Items, Subscription
from sse_httpx import EventSource, asubscribe, iter_json, subscribe
from sse_proto import (
    BytesLike,
    ParsedEvent,
    RawEvent,
    ServerSentEvent,
    SkipEvent,
    SSEDecoder,
    Until,
    aiter_events,
    aiter_parsed,
    by_event,
    failed_event,
    iter_events,
    iter_parsed,
)
from sse_proto.vendor import Decoder, Event


class Delta(msgspec.Struct):
    text: str


class Done(BaseModel):
    reason: str


@dataclass
class Point:
    x: int


Chunk: TypeAlias = "Delta | Done"

STREAM: Final = b'event: delta\ndata: {"text": "a"}\n\nevent: done\ndata: {"reason": "stop"}\n\n'
NUMBERS: Final = b"data: 1\n\ndata: 2\n\n"

delta: Final = msgspec.json.Decoder(Delta).decode
done: Final = TypeAdapter(Done).validate_json


async def chunks() -> AsyncIterator[bytes]:
    yield STREAM


def number(_: str, data: bytes) -> int:
    return int(data)


def test_feed() -> None:
    events = SSEDecoder().feed(NUMBERS)
    assert_type(events, list[ServerSentEvent])
    assert_type(events[0].data, str)
    assert_type(events[0].retry, "int | None")


def test_feed_raw() -> None:
    events = SSEDecoder().feed_raw(bytearray(NUMBERS))
    assert_type(events, list[RawEvent])
    assert_type(events[0].data, memoryview)


def test_options_and_attributes() -> None:
    decoder = SSEDecoder(
        max_event_size=None,
        last_event_id="1",
        dispatch_empty=True,
        on_comment=[""].append,
        on_ignored=print,
    )
    assert_type(decoder.unfinished, int)
    assert_type(decoder.last_event_id, "str | None")
    assert_type(decoder.reconnection_time, "int | None")
    assert_type(decoder.max_event_size, "int | None")


def test_any_buffer() -> None:
    buffers: list[BytesLike] = [b"", bytearray(), memoryview(b"")]
    assert [*iter_events(buffers)] == []


def test_a_function() -> None:
    events = SSEDecoder().feed_parsed(NUMBERS, number)
    assert_type(events, list[ParsedEvent[int]])
    assert_type(events[0].data, int)
    assert_type(events[0].event, str)
    assert_type(events[0].id, "str | None")
    assert sum(event.data for event in events) == 3


def test_a_lambda() -> None:
    events = SSEDecoder().feed_parsed(NUMBERS, lambda event, data: (event, len(data)))
    assert_type(events, list[ParsedEvent[tuple[str, int]]])


def test_a_method() -> None:
    class Sum:
        total = 0

        def add(self, _: str, data: bytes) -> float:
            self.total += int(data)
            return self.total / 2

    events = SSEDecoder().feed_parsed(NUMBERS, Sum().add)
    assert_type(events, list[ParsedEvent[float]])


def test_a_parser_that_skips() -> None:
    def odd(_: str, data: bytes) -> int:
        if int(data) % 2 == 0:
            raise SkipEvent
        return int(data)

    events = SSEDecoder().feed_parsed(NUMBERS, odd)
    assert_type(events, list[ParsedEvent[int]])
    assert len(events) == 1


def test_msgspec() -> None:
    parse = by_event({"delta": delta}, default="skip")
    assert_type(parse, by_event[Delta])
    events = SSEDecoder().feed_parsed(STREAM, parse)
    assert_type(events, list[ParsedEvent[Delta]])
    assert [event.data.text for event in events] == ["a"]


def test_pydantic() -> None:
    events = SSEDecoder().feed_parsed(STREAM, by_event({"done": done}, "skip"))
    assert_type(events, list[ParsedEvent[Done]])
    assert [event.data.reason for event in events] == ["stop"]


def test_pydantic_model() -> None:
    events = SSEDecoder().feed_parsed(STREAM, by_event({"done": Done.model_validate_json}, "skip"))
    assert_type(events, list[ParsedEvent[Done]])


def test_a_dataclass_by_hand() -> None:
    def point(data: bytes) -> Point:
        return Point(**json.loads(data))

    events = SSEDecoder().feed_parsed(b'data: {"x": 5}\n\n', by_event({"message": point}))
    assert_type(events, list[ParsedEvent[Point]])
    assert events[0].data == Point(5)


def test_orjson() -> None:
    events = SSEDecoder().feed_parsed(STREAM, by_event({}, orjson.loads))
    assert_type(events, list[ParsedEvent[Any]])
    assert events[0].data == {"text": "a"}


def test_json() -> None:
    events = SSEDecoder().feed_parsed(STREAM, by_event({}, default=json.loads))
    assert_type(events, list[ParsedEvent[Any]])


def test_one_parser_for_all_types() -> None:
    events = SSEDecoder().feed_parsed(STREAM, by_event({}, default=bytes.decode))
    assert_type(events, list[ParsedEvent[str]])


def test_a_union_and_a_match_over_it() -> None:
    parse = by_event[Chunk]({"delta": delta, "done": done})
    found: list[str] = []
    for event in iter_parsed([STREAM], parse):
        assert_type(event.data, "Delta | Done")
        match event.data:
            case Delta(text=text):
                found.append(text)
            case Done(reason=reason):
                found.append(reason)
            case _:
                assert_never(event.data)
    assert found == ["a", "stop"]


def test_a_union_with_isinstance() -> None:
    for event in SSEDecoder().feed_parsed(STREAM, by_event[Chunk]({"delta": delta, "done": done})):
        if isinstance(event.data, Delta):
            assert_type(event.data, Delta)
        else:
            assert_type(event.data, Done)


def test_a_union_that_the_context_names() -> None:
    parse: Callable[[str, bytes], Delta | Done] = by_event[Chunk]({"delta": delta}, done)
    assert_type(SSEDecoder().feed_parsed(STREAM, parse), list[ParsedEvent[Delta | Done]])


def test_a_parser_called_by_hand() -> None:
    assert_type(by_event({"delta": delta})("delta", b'{"text": "b"}'), Delta)


def test_a_match_over_events() -> None:
    for event in SSEDecoder().feed_parsed(NUMBERS, number):
        match event:
            case ("message", value, None, None):
                assert_type(value, int)
            case _:
                pytest.fail("no match")


def test_iter_events() -> None:
    events = iter_events([STREAM], until="[DONE]", is_last=lambda event: event.event == "done")
    for event in events:
        assert_type(event, ServerSentEvent)
    events.close()


def test_until_may_be_several() -> None:
    several: list[Until] = ["a", ["a", "b"], {"a"}, ("a",), frozenset("a"), None]
    assert [len([*iter_events([b"data: a\n\n"], until=until)]) for until in several] == [0] * 5 + [
        1
    ]


def test_iter_parsed_with_its_end() -> None:
    for event in iter_parsed([NUMBERS], number, is_last=lambda event: event.data == 2):
        assert_type(event, ParsedEvent[int])


async def test_aiter_events() -> None:
    async for event in aiter_events(chunks()):
        assert_type(event, ServerSentEvent)


async def test_aiter_parsed() -> None:
    async for event in aiter_parsed(chunks(), by_event({"delta": delta}, "skip")):
        assert_type(event.data, Delta)


def test_a_generator_of_values() -> None:
    def values(body: Iterator[bytes]) -> Iterator[int]:
        for event in iter_parsed(body, number):
            yield event.data

    assert [*values(iter([NUMBERS]))] == [1, 2]


def test_generic_code() -> None:
    if TYPE_CHECKING:
        from typing import TypeVar

        T = TypeVar("T")

    def first(parse: Callable[[str, bytes], T]) -> T:
        return SSEDecoder().feed_parsed(NUMBERS, parse)[0].data

    assert_type(first(number), int)


def test_failed_event() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        SSEDecoder().feed_parsed(b"data: x\n\n", number)
    failed = failed_event(caught.value)
    assert_type(failed, "ParsedEvent[bytes] | None")


def test_the_file_to_copy() -> None:
    events = Decoder().feed(NUMBERS)
    assert_type(events, list[Event])
    assert_type(events[0].data, str)


def source(data: bytes) -> EventSource[httpx.Response]:
    headers = {"Content-Type": "text/event-stream"}
    return EventSource(httpx.Response(200, headers=headers, content=data))


def test_json_of_a_source() -> None:
    items = source(NUMBERS).iter_json(until=None)
    for item in items:
        assert_type(item, Any)
    items.close()


def test_items_of_a_source() -> None:
    for item in source(b'data: {"text": "a"}\n\n').iter_json(delta):
        assert_type(item, Delta)
    for model in source(b'data: {"reason": "a"}\n\n').iter_json(
        done, until=["[DONE]"], is_last=bool
    ):
        assert_type(model, Done)
    for some in source(NUMBERS).iter_json(orjson.loads):
        assert_type(some, Any)
    for size in source(NUMBERS).iter_json(lambda data: len(data), is_last=lambda size: size > 0):
        assert_type(size, int)
    for some in iter_json(source(NUMBERS).response):
        assert_type(some, Any)
    for length in iter_json(source(NUMBERS).response, len):
        assert_type(length, int)


def test_parsed_events_of_a_source() -> None:
    parse = by_event[Chunk]({"delta": delta, "done": done})
    for event in source(STREAM).iter_parsed(parse, is_last=lambda event: event.event == "done"):
        assert_type(event, ParsedEvent[Delta | Done])


async def test_asynchronous_loops_of_a_source() -> None:
    headers = {"Content-Type": "text/event-stream"}
    built = EventSource(httpx.Response(200, headers=headers, content=chunks()))
    async for event in built.aiter_parsed(lambda _, data: len(data)):
        assert_type(event.data, int)
    async for item in built.aiter_json(delta):
        assert_type(item, Delta)
    async for some in built.aiter_json():
        assert_type(some, Any)


def serving(content: bytes) -> httpx.MockTransport:
    headers = {"Content-Type": "text/event-stream"}
    return httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=content))


@contextmanager
def subscription(content: bytes) -> Generator[Subscription[httpx.Response], None, None]:
    with httpx.Client(transport=serving(content)) as client:
        with subscribe(client, "GET", "http://test/", reconnect=None) as events:
            assert_type(events, Subscription[httpx.Response])
            yield events


@asynccontextmanager
async def async_subscription(
    content: bytes,
) -> AsyncGenerator[AsyncSubscription[httpx.Response], None]:
    async with httpx.AsyncClient(transport=serving(content)) as client:
        async with asubscribe(client, "GET", "http://test/", reconnect=None) as events:
            assert_type(events, AsyncSubscription[httpx.Response])
            yield events


def test_items_of_a_subscription() -> None:
    with subscription(b'data: {"text": "a"}\n\n') as events:
        for item in events.iter_json(delta):
            assert_type(item, Delta)
    with subscription(b'data: {"reason": "a"}\n\n') as events:
        for model in events.iter_json(done):
            assert_type(model, Done)
    with subscription(NUMBERS) as events:
        assert_type(events.iter_json(orjson.loads), Items[Any])
        for size in events.iter_json(lambda data: len(data)):
            assert_type(size, int)
    with subscription(NUMBERS) as events:
        items = events.iter_json()
        assert_type(items, Items[Any])
        assert [*items] == [1, 2]
        items.close()


def test_parsed_events_of_a_subscription() -> None:
    found: list[str] = []
    with subscription(STREAM) as events:
        for event in events.iter_parsed(by_event[Chunk]({"delta": delta, "done": done})):
            assert_type(event, ParsedEvent[Delta | Done])
            match event.data:
                case Delta(text=text):
                    found.append(text)
                case Done(reason=reason):
                    found.append(reason)
                case _:
                    assert_never(event.data)
    assert found == ["a", "stop"]


async def test_asynchronous_loops_of_a_subscription() -> None:
    async with async_subscription(NUMBERS) as events:
        assert_type(events.aiter_json(), AsyncItems[Any])
        assert_type(events.aiter_json(delta), AsyncItems[Delta])
        async for event in events.aiter_parsed(lambda _, data: len(data)):
            assert_type(event, ParsedEvent[int])
            assert event.data == 1
    async with async_subscription(NUMBERS) as events:
        async with aclosing(events.aiter_json(int)) as numbers:
            assert_type(await anext(numbers), int)
