"""A subscription's events through a parser: `iter_json` and `iter_parsed`, sync and asynchronous.

Over connections that are made up; with real ones in tests/adapters/test_subscribe_typed.py.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_adapter import (
    AsyncioWaiter,
    AsyncSubscription,
    Body,
    Connector,
    SSEError,
    SubscribeOptions,
    Subscription,
    SyncWaiter,
)
from sse_adapter._typed import Turns, TypedItems
from sse_proto import (
    ParsedEvent,
    ReadyState,
    ReconnectPolicy,
    ServerSentEvent,
    SkipEvent,
    SSEDecoder,
    UnknownEvent,
    by_event,
    failed_event,
)
from tests.support.stepping import Ends, Loops, new_loop, rest

AT_ONCE: Final = ReconnectPolicy(initial_delay=0.0, max_backoff=0.0, min_server_delay=0.0)
HELD: Final = b""  # in the place of a chunk: nothing more comes, and the connection stays


@dataclass
class Answer:
    """What one connection brings."""

    chunks: list[bytes]
    status: int = 200
    is_closed: bool = False


class SyncAnswer(Body[Answer]):
    is_async = False

    @property
    def status_code(self) -> int:
        return self.response.status

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [("Content-Type", "text/event-stream")]

    async def read(self, seconds: float | None) -> bytes | None:
        del seconds
        return self.response.chunks.pop(0) if self.response.chunks else None

    async def close(self) -> None:
        self.response.is_closed = True


class AsyncAnswer(SyncAnswer):
    is_async = True

    async def read(self, seconds: float | None) -> bytes | None:
        await asyncio.sleep(0)
        if self.response.chunks[:1] == [HELD]:
            await asyncio.sleep(10)
        return await super().read(seconds)


class Server(Connector[Answer]):
    """Answers each connection with the next of these; then, with status 204."""

    def __init__(self, is_async: bool, answers: list[Answer]) -> None:
        self._body = AsyncAnswer if is_async else SyncAnswer
        self._answers = answers
        self.ids: list[str | None] = []
        """The ``Last-Event-ID`` of each connection."""

    async def open(self, headers: list[tuple[bytes, bytes]]) -> Body[Answer]:
        last_event_id = dict(headers).get(b"last-event-id")
        self.ids.append(None if last_event_id is None else last_event_id.decode())
        return self._body(self._answer(last_event_id))

    def _answer(self, last_event_id: bytes | None) -> Answer:
        del last_event_id
        return self._answers.pop(0) if self._answers else Answer([], 204)


class Way(Loops):
    """Subscriptions and loops, sync or asynchronous."""

    def server(self, *connections: list[bytes]) -> Server:
        return Server(self.loop is not None, [Answer(chunks) for chunks in connections])

    def subscribe(self, server: Server, **options: Any) -> Any:
        given: Any = {"reconnect": AT_ONCE, **options}
        if self.loop is None:
            return Subscription(server, SyncWaiter(), given, url="made up")
        return AsyncSubscription(server, AsyncioWaiter(), given, url="made up")

    def over(self, *connections: list[bytes], **options: Any) -> Any:
        return self.subscribe(self.server(*connections), **options)

    def close(self, closable: Any) -> None:
        if self.loop is None:
            closable.close()
        else:
            self.loop.run_until_complete(closable.aclose())


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> Generator[Way, None, None]:
    with new_loop(request.param) as loop:
        yield Way(loop)


def values(items: list[Any]) -> list[Any]:
    """Return the data of events, and other items as they are."""
    return [getattr(item, "data", item) for item in items]


def number(*arguments: Any) -> int:
    """Parse the data, for both kinds of loops."""
    return int(arguments[-1])


def as_sent(_: str, data: bytes) -> bytes:
    return data


def event(number: int) -> bytes:
    return f"event: e{number}\nid: {number}\ndata: {number}\n\n".encode()


BOTH: Final = pytest.mark.parametrize("name", ["iter_json", "iter_parsed"])


# -- what a parser gets, and what comes of it -----------------------------------------------------


def test_a_parser_gets_the_type_and_utf_8(way: Way) -> None:
    chunks = ["event: größe\nid: 1\nretry: 0\ndata: ü\ndata: 2\n\n".encode(), b"data: \xff\n\n"]
    got: list[tuple[str, bytes]] = []

    def parse(event: str, data: bytes) -> int:
        got.append((event, data))
        return len(got)

    assert rest(way.begin(way.over(chunks), "iter_parsed", parse)) == [
        ParsedEvent("größe", 1, "1", 0),
        ParsedEvent("message", 2, "1", None),
    ]
    # What was not UTF-8 was replaced before.
    assert got == [("größe", "ü\n2".encode()), ("message", "\ufffd".encode())]


def test_loads_is_json_unless_it_is_given(way: Way) -> None:
    stream = [b'data: {"a": 1}\n\ndata: null\n\n']
    assert rest(way.begin(way.over([*stream]), "iter_json")) == [{"a": 1}, None]
    step = way.begin(way.over([*stream]), "iter_json", bytes.upper)
    assert rest(step) == [b'{"A": 1}', b"NULL"]


def test_json_passes_over_empty_data(way: Way) -> None:
    stream = b"data:\n\ndata:  \t\ndata:\n\nevent: end\n\ndata: 1\n\n"
    decoder = partial(SSEDecoder, dispatch_empty=True)
    step = way.begin(way.over([stream], decoder=decoder), "iter_json")
    assert rest(step) == [1]
    step = way.begin(way.over([stream], decoder=decoder), "iter_parsed", as_sent)
    assert values(rest(step)) == [b"", b" \t\n", b"", b"1"]


@BOTH
def test_skipped_events_are_left_out(way: Way, name: str) -> None:
    def odd(*arguments: Any) -> int:
        if number(*arguments) % 2 == 0:
            raise SkipEvent
        return number(*arguments)

    step = way.begin(way.over([event(0), event(1) + event(2)], [event(3)]), name, odd)
    assert values(rest(step)) == [1, 3]


def test_by_event(way: Way) -> None:
    parse = by_event[int | str]({"e1": int, "e2": bytes.decode})
    step = way.begin(way.over([event(1)], [event(2), event(3)]), "iter_parsed", parse)
    assert step() == ParsedEvent("e1", 1, "1", None)
    assert step() == ParsedEvent("e2", "2", "2", None)
    with pytest.raises(UnknownEvent):
        step()
    assert rest(step) == []


# -- what a parser raises -------------------------------------------------------------------------


@BOTH
def test_a_parser_that_fails_costs_its_event_alone(way: Way, name: str) -> None:
    error = ValueError("no")

    def parse(*arguments: Any) -> int:
        if arguments[-1] == b"1":
            raise error
        return number(*arguments)

    subscription = way.over([event(0) + event(1) + event(2)], [event(3)])
    step = way.begin(subscription, name, parse)
    step()
    with pytest.raises(ValueError, match="no") as raised:
        step()
    assert raised.value is error
    assert error.__context__ is None
    assert failed_event(error) == ParsedEvent("e1", b"1", "1", None)
    assert subscription.state is ReadyState.OPEN
    assert values(rest(step)) == [2, 3]


@BOTH
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, asyncio.CancelledError])
def test_an_interrupted_parser_loses_nothing(
    way: Way, name: str, interrupt: type[BaseException]
) -> None:
    interrupts = [interrupt()]

    def parse(*arguments: Any) -> int:
        if arguments[-1] == b"1" and interrupts:
            raise interrupts.pop()
        return number(*arguments)

    step = way.begin(way.over([event(0) + event(1)], [event(2)]), name, parse)
    first = step()
    with pytest.raises(interrupt):
        step()
    assert values([first, *rest(step)]) == [0, 1, 2]


def test_what_is_no_json_is_shown(way: Way) -> None:
    step = way.begin(way.over([b"data: [DONE]\n\n", b"data: 1\n\n"]), "iter_json")
    with pytest.raises(json.JSONDecodeError, match=r"in '\[DONE\]'"):
        step()
    assert rest(step) == [1]


# -- the end --------------------------------------------------------------------------------------


def test_subscribe_says_what_the_end_is(way: Way) -> None:
    stream = [b"data: 1\n\n", b"data: [DONE]\n\ndata: 2\n\n"]
    subscription = way.over([*stream], [*stream], until="[DONE]")
    assert rest(way.begin(subscription, "iter_json")) == [1]
    assert subscription.state is ReadyState.CLOSED

    def is_last(event: ServerSentEvent) -> bool:  # as text
        return event.data == "3"

    def ping(event: ServerSentEvent) -> bool:
        return event.event == "e2"

    chunk = event(1) + event(2) + event(3) + event(4)
    subscription = way.over([chunk], is_last=is_last, ping=ping, withhold_pings=True)
    assert values(rest(way.begin(subscription, "iter_parsed", number))) == [1, 3]


@BOTH
def test_closing_the_items_closes_the_subscription(way: Way, name: str) -> None:
    answer = Answer([event(1) + event(2), event(3)])
    subscription = way.subscribe(Server(way.loop is not None, [answer]))
    items = way.items(subscription, name, number)
    step = way.stepper(items)
    assert values([step()]) == [1]
    for _ in range(2):
        way.close(items)
        assert answer.is_closed
        assert subscription.state is ReadyState.CLOSED
        assert rest(step) == rest(way.stepper(subscription)) == []


@BOTH
def test_another_thread_may_close_the_subscription_of_a_parser(name: str) -> None:
    """Or the parser itself. What it returns is handed out, and nothing after it."""
    way, answer = Way(None), Answer([event(1) + event(2)])
    subscription = way.subscribe(Server(False, [answer]))

    def parse(*arguments: Any) -> int:
        thread = threading.Thread(target=subscription.close)
        thread.start()
        thread.join()
        return number(*arguments)

    step = way.begin(subscription, name, parse)
    assert values([step()]) == [1]
    assert rest(step) == []
    assert answer.is_closed


def test_closed_by_another_thread_between_two_steps() -> None:
    """After it was seen that there is an event, and before that event was looked at."""

    class Closing(deque[ServerSentEvent]):
        def __bool__(self) -> bool:
            is_there = len(self) > 0
            self.clear()
            return is_there

    async def advance() -> None:
        pass

    turns = Turns(Closing([ServerSentEvent()]), number)
    assert list(TypedItems(turns, advance, lambda: None)) == []


@BOTH
def test_no_event_is_lost_to_a_parser_that_reads_on(name: str) -> None:
    way = Way(None)
    subscription = way.over([event(1) + event(2) + event(3)])

    def parse(*arguments: Any) -> tuple[int, str]:
        return number(*arguments), next(subscription).data

    step = way.begin(subscription, name, parse)
    assert values([step()]) == [(1, "1")]
    assert values(rest(step)) == [(2, "2"), (3, "3")]


def test_what_a_subscription_raises(way: Way) -> None:
    subscription = way.subscribe(Server(way.loop is not None, [Answer([event(1)], 404)]))
    step = way.begin(subscription, "iter_json")
    for _ in range(2):
        with pytest.raises(SSEError, match="expected status 200, got status 404"):
            step()


# -- the position is the subscription's -----------------------------------------------------------


def test_all_else_is_as_in_plain_iteration(way: Way) -> None:
    seen: list[list[Any]] = []
    for name, *arguments in (("",), ("iter_json",), ("iter_parsed", number)):
        server = way.server([event(1) + event(2)], [b"retry: 1\n", event(3)])
        subscription = way.subscribe(server)
        step = way.begin(subscription, name, *arguments) if name else way.stepper(subscription)
        seen.append([])
        for data in (1, 2, 3):
            assert int(values([step()])[0]) == data
            seen[-1].append((subscription.last_event_id, subscription.attempts))
            seen[-1].append((subscription.reconnection_time, subscription.state))
        assert rest(step) == []
        seen[-1].append((server.ids, subscription.state, subscription.response))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0] == ("2", 0)  # as of the chunk


async def test_one_reader_at_a_time_and_a_cancelled_one_costs_nothing() -> None:
    server = Server(True, [Answer([event(1), HELD])])
    subscription = AsyncSubscription(
        server, AsyncioWaiter(), SubscribeOptions(reconnect=AT_ONCE), url="made up"
    )
    items = subscription.aiter_json()
    assert await anext(items) == 1
    reading = asyncio.ensure_future(anext(items))
    await asyncio.sleep(0.01)
    with pytest.raises(RuntimeError, match="already being read"):
        await anext(subscription.aiter_parsed(number))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert subscription.state is ReadyState.OPEN
    answer = subscription.response
    assert answer is not None
    answer.chunks[:] = [event(2)]
    assert [item async for item in items] == [2]


class CuttingServer(Server):
    """Sends events from 1 on, after the last event ID; cuts each answer after some bytes."""

    def __init__(self, is_async: bool, n: int, cuts: list[int], size: int) -> None:
        super().__init__(is_async, [])
        self._n = n
        self._cuts = cuts
        self._size = size

    def _answer(self, last_event_id: bytes | None) -> Answer:
        first = int(last_event_id or 0) + 1
        if first > self._n:
            return Answer([], 204)
        body = b"".join(event(number) for number in range(first, self._n + 1))
        if self._cuts:
            body = body[: self._cuts.pop()]
        return Answer([body[at : at + self._size] for at in range(0, len(body), self._size)])


@given(
    cuts=st.lists(st.integers(0, 100), max_size=8),
    size=st.integers(1, 60),
    loops=st.lists(st.sampled_from(["", "iter_json", "iter_parsed"]), min_size=1, max_size=9),
    fates=st.dictionaries(
        st.integers(1, 9), st.sampled_from([ValueError, SkipEvent, KeyboardInterrupt])
    ),
    is_async=st.booleans(),
)
def test_each_event_comes_once_and_in_order(
    cuts: list[int],
    size: int,
    loops: list[str],
    fates: dict[int, type[BaseException]],
    is_async: bool,
) -> None:
    """Whatever the chunks, the connections, the loops that follow one another, and the parsers."""
    loop = asyncio.new_event_loop() if is_async else None
    way = Way(loop)
    subscription = way.subscribe(CuttingServer(is_async, 9, cuts, size))
    left, parsed = dict(fates), list[int]()

    def parse(*arguments: Any) -> int:
        value = number(*arguments)
        parsed.append(value)
        if value in left and (fate := left.pop(value)):
            raise fate
        return value

    steps = {
        "": way.stepper(subscription),
        "iter_json": way.begin(subscription, "iter_json", parse),
        "iter_parsed": way.begin(subscription, "iter_parsed", parse),
    }
    # What each event came to, by way of the loop whose turn it was.
    outcomes: list[tuple[str, int]] = []
    for turn in range(1000):
        name = loops[turn % len(loops)]
        try:
            item = steps[name]()
        except Ends:
            break
        except ValueError as error:
            failed = failed_event(error)
            assert failed is not None
            outcomes.append(("failed", int(failed.data)))
        except KeyboardInterrupt:
            outcomes.append(("interrupted", parsed[-1]))
        else:
            (value,) = values([item])
            assert type(value) is (int if name else str)
            outcomes.append(("came", int(value)))
    if loop is not None:
        loop.close()

    came = [value for what, value in outcomes if what == "came"]
    failed_ones = {value for what, value in outcomes if what == "failed"}
    interrupted = [value for what, value in outcomes if what == "interrupted"]
    skipped = set(range(1, 10)) - set(came) - failed_ones
    assert came == sorted(set(came))
    assert all(fates[value] is ValueError for value in failed_ones)
    assert all(fates[value] is KeyboardInterrupt for value in interrupted)
    assert all(fates[value] is SkipEvent and value in parsed for value in skipped)
    # An interrupted event is the next one to come.
    for at, (what, value) in enumerate(outcomes[:-1]):
        if what == "interrupted":
            assert outcomes[at + 1] == ("came", value)
