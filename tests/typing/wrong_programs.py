"""Programs that are wrong, each in one line. They are not run: both type checkers refuse that line.

A checker that accepts one says that a comment here is unused: `make types` fails.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

import httpx
import msgspec
from pydantic import TypeAdapter
from typing_extensions import assert_never

from sse_adapter import AsyncSubscription, Subscription
from sse_httpx import EventSource
from sse_proto import (
    ParsedEvent,
    ServerSentEvent,
    SSEDecoder,
    aiter_parsed,
    by_event,
    iter_events,
    iter_parsed,
)


class Delta(msgspec.Struct):
    text: str


class Done(msgspec.Struct):
    reason: str


delta = msgspec.json.Decoder(Delta).decode
done = TypeAdapter(Done).validate_json
decoder = SSEDecoder()


def text_is_no_chunk() -> None:
    decoder.feed("data: x\n\n")  # type: ignore[arg-type]


def numbers_are_no_chunk() -> None:
    decoder.feed([1, 2])  # type: ignore[arg-type]


def a_chunk_has_no_name() -> None:
    decoder.feed(chunk=b"")  # type: ignore[call-arg]


def options_have_names() -> None:
    SSEDecoder(5)  # type: ignore[call-arg]


def an_unknown_option() -> None:
    SSEDecoder(maximum=5)  # type: ignore[call-arg]


def a_limit_is_a_number() -> None:
    SSEDecoder(max_event_size="1 MB")  # type: ignore[arg-type]


def a_callback_takes_text() -> None:
    SSEDecoder(on_comment=bytes.decode)  # type: ignore[arg-type]


def attributes_are_not_set() -> None:
    decoder.last_event_id = "1"  # type: ignore[misc]


def events_are_not_changed(event: ServerSentEvent) -> None:
    event.data = ""  # type: ignore[misc]


def parsed_events_are_not_changed(event: ParsedEvent[int]) -> None:
    event.data = 1  # type: ignore[misc]


def raw_data_are_no_text() -> None:
    decoder.feed_raw(b"")[0].data.split()  # type: ignore[attr-defined]


def a_parser_takes_the_type_too() -> None:
    decoder.feed_parsed(b"", delta)  # type: ignore[arg-type]


def a_parser_takes_bytes() -> None:
    def parse(event: str, data: str) -> str:
        return event + data

    decoder.feed_parsed(b"", parse)  # type: ignore[arg-type]


def a_parser_is_needed() -> None:
    decoder.feed_parsed(b"")  # type: ignore[call-arg]


def what_a_parser_returns_is_known() -> None:
    events: list[ParsedEvent[str]] = decoder.feed_parsed(b"", lambda _, data: len(data))  # type: ignore[arg-type, return-value]
    assert events


def a_value_has_its_own_attributes() -> None:
    for event in iter_parsed([b""], by_event({"delta": delta})):
        print(event.data.reason)  # type: ignore[attr-defined]


def of_a_union_only_what_all_have() -> None:
    for event in iter_parsed([b""], by_event[Delta | Done]({"a": delta, "b": done})):
        print(event.data.text)  # type: ignore[union-attr]


def a_match_that_forgets_one() -> None:
    for event in iter_parsed([b""], by_event[Delta | Done]({"a": delta, "b": done})):
        match event.data:
            case Delta():
                pass
            case _:
                assert_never(event.data)  # type: ignore[arg-type]


def a_union_that_is_too_small() -> None:
    by_event[Delta]({"a": delta, "b": done})  # type: ignore[dict-item]


def a_default_of_another_type() -> None:
    by_event[Delta]({"a": delta}, default=done)  # type: ignore[arg-type]


def no_such_policy() -> None:
    by_event({"a": delta}, default="ignore")  # type: ignore[arg-type]


def parsers_by_event_take_data_alone() -> None:
    def parse(event: str, data: bytes) -> str:
        return event + data.decode()

    by_event[str]({"a": parse})  # type: ignore[dict-item]


def until_is_data() -> None:
    iter_events([b""], until=b"[DONE]")  # type: ignore[arg-type]


def is_last_takes_an_event() -> None:
    def is_last(data: str) -> bool:
        return data == "x"

    iter_events([b""], is_last=is_last)  # type: ignore[arg-type]


def a_string_is_no_iterable_of_chunks() -> None:
    iter_events("data: x\n\n")  # type: ignore[arg-type]


def sync_code_takes_no_async_chunks(chunks: AsyncIterable[bytes]) -> None:
    iter_events(chunks)  # type: ignore[arg-type]


def async_code_takes_no_sync_chunks(parse: Callable[[str, bytes], int]) -> None:
    aiter_parsed([b""], parse)  # type: ignore[arg-type]


def a_decoder_is_final() -> None:
    class Sub(SSEDecoder):  # type: ignore[misc]
        pass


def loads_take_bytes(source: EventSource[httpx.Response]) -> None:
    source.iter_json(str.upper)  # type: ignore[arg-type]


def parsers_of_events_take_two(source: EventSource[httpx.Response]) -> None:
    source.iter_parsed(delta)  # type: ignore[arg-type]


def items_are_what_loads_returns(source: EventSource[httpx.Response]) -> None:
    for item in source.iter_json(delta):
        print(item.reason)  # type: ignore[attr-defined]


def an_end_is_text(source: EventSource[httpx.Response]) -> None:
    source.iter_json(delta, until=5)  # type: ignore[call-overload]


def no_loads_is_not_none(source: EventSource[httpx.Response]) -> None:
    source.iter_json(None)  # type: ignore[call-overload]


def loads_of_a_subscription_take_bytes(events: Subscription[httpx.Response]) -> None:
    events.iter_json(str.upper)  # type: ignore[arg-type]


def no_loads_of_a_subscription_is_not_none(events: Subscription[httpx.Response]) -> None:
    events.iter_json(None)  # type: ignore[call-overload]


def items_of_a_subscription_are_what_loads_returns(events: Subscription[httpx.Response]) -> None:
    for item in events.iter_json(delta):
        print(item.reason)  # type: ignore[attr-defined]


def the_end_of_a_subscription_is_told_to_subscribe(events: Subscription[httpx.Response]) -> None:
    events.iter_json(delta, until="[DONE]")  # type: ignore[call-overload]


def parsers_of_a_subscription_take_two(events: Subscription[httpx.Response]) -> None:
    events.iter_parsed(delta)  # type: ignore[arg-type]


def a_parser_of_a_subscription_is_needed(events: Subscription[httpx.Response]) -> None:
    events.iter_parsed()  # type: ignore[call-arg]


def parsed_events_are_no_text(events: Subscription[httpx.Response]) -> None:
    first: ServerSentEvent = next(events.iter_parsed(lambda _, data: data))  # type: ignore[assignment]
    assert first


async def async_loops_need_their_own(events: AsyncSubscription[httpx.Response]) -> None:
    for _ in events.aiter_json(delta):  # type: ignore[attr-defined]
        pass


async def async_items_are_what_loads_returns(events: AsyncSubscription[httpx.Response]) -> None:
    async for item in events.aiter_json(delta):
        print(item.reason)  # type: ignore[attr-defined]
