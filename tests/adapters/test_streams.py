"""Streams that know their end, their stall and their way back, over every adapter."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from sse_adapter import EventSource
from sse_proto import (
    IncompleteStream,
    Lost,
    NextRequest,
    ReconnectPolicy,
    SSEDecoder,
    Stop,
    Wait,
)
from tests.support.drivers import TIMEOUT, driven
from tests.support.handlers import in_turn, status
from tests.support.harness import event, sends

if TYPE_CHECKING:
    from sse_proto import Action, ServerSentEvent
    from tests.support.drivers import Driver
    from tests.support.servers import Exchange, RawServer

FAST: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, reconnect_on_end=True)


def is_three(event: ServerSentEvent) -> bool:
    return event.data == "3"


def is_done(event: ServerSentEvent) -> bool:
    return event.event == "done"


# -- the end --------------------------------------------------------------------------------------


def body_of(driver: Driver, content: bytes) -> Any:
    return driver.library.Response(
        200, headers={"Content-Type": "text/event-stream"}, content=content
    )


async def all_of(driver: Driver, items: Any) -> list[Any]:
    received: list[Any] = []
    try:
        while True:
            received.append(await driver.next(items))
    except StopAsyncIteration:
        return received


async def read_to_the_end(driver: Driver, content: bytes, **end: Any) -> list[str]:
    """Return the data of a response's events; raise what iterating raises after them."""
    source = driver.adapter.EventSource(body_of(driver, content))
    items = (source.aiter_sse if driver.is_async else source.iter_sse)(**end)
    received: list[str] = []
    try:
        while True:
            received.append((await driver.next(items)).data)
    except StopAsyncIteration:
        return received
    except IncompleteStream as error:
        error.received = received  # type: ignore[attr-defined]  # for the test
        raise


@pytest.mark.parametrize("until", ["[DONE]", ["other", "[DONE]"], {"[DONE]"}])
@pytest.mark.needs("response that was read")
@driven
async def test_until_is_data_that_is_not_handed_out(driver: Driver, until: Any) -> None:
    content = event("1") + event("[DONE]") + event("2")
    assert await read_to_the_end(driver, content, until=until) == ["1"]


@pytest.mark.needs("response that was read")
@driven
async def test_is_last_is_handed_out(driver: Driver) -> None:
    content = event("1") + b"event: done\n" + event("2") + event("3")
    assert await read_to_the_end(driver, content, is_last=is_done) == ["1", "2"]


@pytest.mark.needs("response that was read")
@driven
async def test_a_stream_cut_at_any_byte_is_incomplete(driver: Driver) -> None:
    content = b"id: 7\n" + event("1") + b"id: 8\n" + event("[DONE]")
    for size in range(len(content)):
        with pytest.raises(IncompleteStream) as raised:
            await read_to_the_end(driver, content[:size], until="[DONE]")
        is_first_whole = size >= content.index(b"\n\n") + 2
        assert raised.value.received == (["1"] if is_first_whole else [])  # type: ignore[attr-defined]
        assert raised.value.last_event_id == ("7" if is_first_whole else None)
    assert await read_to_the_end(driver, content, until="[DONE]") == ["1"]


@pytest.mark.needs("response that was read")
@driven
async def test_without_an_end_it_ends_with_the_body(driver: Driver) -> None:
    assert await read_to_the_end(driver, event("1") + b"data: unfinished") == ["1"]


@driven
async def test_after_the_last_event_another_loop_has_none(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", sends("1", "[DONE]", "2", hold=True))
    async with driver.open("GET", server.url()) as stream:
        for expected in (["1"], []):
            source = stream.source
            items = (source.aiter_sse if driver.is_async else source.iter_sse)(until="[DONE]")
            assert [item.data for item in await all_of(driver, items)] == expected


@driven
async def test_a_subscription_ends_with_its_last_event(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", "[DONE]", "2", hold=True))
    actions: list[Action] = []
    async with driver.client() as client:
        async with driver.subscribe(
            client, "GET", server.url(), until="[DONE]", on_state=actions.append
        ) as stream:
            assert [item.data for item in await stream.rest()] == ["1"]
        assert isinstance(actions[-1], Stop)
    assert len(server.requests) == 1


@driven
async def test_a_subscription_goes_on_until_its_last_event(
    driver: Driver, server: RawServer
) -> None:
    """A proper end of the body is a loss, while the last event has not come."""

    @server.route("/")
    def in_parts(exchange: Exchange) -> None:
        number = len(server.requests)
        exchange.start()
        name = b"event: done\n" if number == 3 else b""
        exchange.send(b"id: %d\n%b" % (number, name) + event(str(number)))
        if number == 2:
            exchange.send(b"data: unfinished")

    actions: list[Action] = []
    async with driver.client() as client:
        async with driver.subscribe(
            client,
            "POST",
            server.url(),
            is_last=is_done,
            reconnect=ReconnectPolicy(initial_delay=0.001, max_backoff=0.0),
            on_state=actions.append,
        ) as stream:
            assert [item.data for item in await stream.rest()] == ["1", "2", "3"]
    waits = [action for action in actions if isinstance(action, Wait)]
    assert [type(wait.error) for wait in waits] == [IncompleteStream] * 2
    sent = [request.header_values("last-event-id") for request in server.requests]
    assert sent == [[], ["1"], ["2"]]


# -- the stall ------------------------------------------------------------------------------------


def pinging(exchange: Exchange) -> None:
    """Send an event, then comments for ever."""
    exchange.start()
    exchange.send(event("1"))
    for _ in range(500):
        if exchange.stalled(0.02):
            return
        exchange.send(b": ping\n\n")


@driven
async def test_a_stall_behind_comments(driver: Driver, server: RawServer) -> None:
    server.route("/", pinging)
    async with driver.client() as client:
        async with driver.connect(client, "GET", server.url(), event_timeout=0.3) as stream:
            assert (await stream.next()).data == "1"
            begun = time.perf_counter()
            with pytest.raises(driver.error("ReadTimeout")) as raised:
                await stream.next()
            assert str(raised.value) == "no event from the server for 0.3 s"
            assert 0.25 < time.perf_counter() - begun < TIMEOUT / 2


@driven
async def test_a_subscription_leaves_a_stall_behind(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def handle(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            pinging(exchange)
        else:
            exchange.start()
            exchange.send(event("2"))
            exchange.wait_closed(TIMEOUT)

    actions: list[Action] = []
    async with driver.client() as client:
        async with driver.subscribe(
            client,
            "GET",
            server.url(),
            event_timeout=0.3,
            idle_timeout=20,
            reconnect=FAST,
            on_state=actions.append,
        ) as stream:
            assert [(await stream.next()).data for _ in range(2)] == ["1", "2"]
    (lost,) = (action.error for action in actions if isinstance(action, Wait))
    assert isinstance(lost, driver.error("ReadTimeout"))
    assert str(lost) == "no event from the server for 0.3 s"


@driven
async def test_pings_by_name_are_no_events(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def handle(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + b"event: ping\ndata: x\n\n" + event("[DONE]"))
        exchange.wait_closed(TIMEOUT)

    def is_ping(event: ServerSentEvent) -> bool:
        return event.event == "ping"

    async with driver.client() as client:
        for withhold, expected in ((False, ["1", "x"]), (True, ["1"])):
            async with driver.subscribe(
                client, "GET", server.url(), until="[DONE]", ping=is_ping, withhold_pings=withhold
            ) as stream:
                assert [item.data for item in await stream.rest()] == expected


@driven
async def test_comments_come_in_order(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def handle(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b": a\n" + event("1") + b":b\n")
        exchange.send(b": c\n\n" + event("2"))

    async with driver.client() as client:
        for manager, more in ((driver.connect, {}), (driver.subscribe, {"reconnect": None})):
            heard: list[str] = []
            call: dict[str, Any] = {"on_comment": heard.append, **more}
            async with manager(client, "GET", server.url(), **call) as stream:
                assert [item.data for item in await stream.rest()] == ["1", "2"]
            assert heard == ["a", "b", "c"]


def test_a_given_decoder_has_comments_of_its_own() -> None:
    with pytest.raises(TypeError, match="on_comment does not go with decoder"):
        EventSource(None, decoder=SSEDecoder(), on_comment=print)


# -- the way back ---------------------------------------------------------------------------------


@pytest.mark.needs("next_request")
@driven
async def test_the_rest_is_asked_for_by_another_request(driver: Driver, server: RawServer) -> None:

    @server.route("/runs")
    def create(exchange: Exchange) -> None:
        exchange.start(headers=[("Location", "/runs/7")])
        exchange.send(b"id: 1\n" + event("1"))

    @server.route("/runs/7")
    def go_on(exchange: Exchange) -> None:
        exchange.start()
        number = 1 + int(server.requests[-1].header_values("last-event-id")[0])
        exchange.send(b"id: %d\n" % number + event(str(number)))

    def choose(lost: Lost[Any]) -> NextRequest | None:
        seen.append(lost)
        if len(seen) > 1:
            return None  # the same again
        assert lost.response is not None
        path = lost.response.headers["location"]
        return NextRequest("GET", server.url(path), headers={"Authorization": "Bearer new"})

    async def choose_async(lost: Lost[Any]) -> NextRequest | None:
        return choose(lost)

    for function in [choose, choose_async] if driver.is_async else [choose]:
        seen: list[Lost[Any]] = []
        first = len(server.requests)
        async with driver.client() as client:
            async with driver.subscribe(
                client,
                "POST",
                server.url("/runs"),
                content=json.dumps({"input": "x"}),
                is_last=is_three,
                reconnect=FAST,
                next_request=function,
            ) as stream:
                assert [item.data for item in await stream.rest()] == ["1", "2", "3"]
        requests = server.requests[first:]
        assert [request.method for request in requests] == ["POST", "GET", "GET"]
        assert [request.path for request in requests] == ["/runs", "/runs/7", "/runs/7"]
        assert [len(request.body) > 0 for request in requests] == [True, False, False]
        tokens = [request.header_values("authorization") for request in requests]
        assert tokens == [[], ["Bearer new"], ["Bearer new"]]
        assert [lost.last_event_id for lost in seen] == ["1", "2"]
        assert [lost.last_event.data for lost in seen if lost.last_event] == ["1", "2"]
        assert all(isinstance(lost.error, IncompleteStream) for lost in seen)


@pytest.mark.needs("next_request", "settings")
@driven
async def test_the_body_of_another_request_is_sent_as_long_as_it_is_the_same(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", sends("1"))
    server.route("/other", in_turn(sends("2"), status(503), sends("3", "[DONE]")))
    bodies = [driver.body(b"a", b"b")]

    def choose(_: Lost[Any]) -> NextRequest | None:
        return NextRequest("POST", server.url("/other"), content=bodies.pop()) if bodies else None

    call: dict[str, Any] = {"reconnect": FAST, "until": "[DONE]", "next_request": choose}
    async with driver.client() as client:
        async with driver.subscribe(client, "GET", server.url(), **call) as stream:
            assert [item.data for item in await stream.rest()] == ["1", "2", "3"]
    assert [request.body for request in server.requests] == [b"", b"ab", b"ab", b"ab"]


@pytest.mark.needs("next_request")
@driven
async def test_a_next_request_with_an_unknown_option(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1"))

    def choose(_: Lost[Any]) -> NextRequest:
        return NextRequest("GET", server.url(), heders={})

    async with driver.client() as client:
        async with driver.subscribe(
            client, "GET", server.url(), reconnect=FAST, next_request=choose
        ) as stream:
            assert (await stream.next()).data == "1"
            with pytest.raises(TypeError, match=r"^NextRequest\(\) got an unexpected .* 'heders'$"):
                await stream.next()


@driven
async def test_restart_connects_at_once(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def handle(exchange: Exchange) -> None:
        exchange.start()
        number = len(server.requests)
        exchange.send(b"id: %d\nretry: 60000\n" % number + event(str(number)))
        if number != 2:
            exchange.wait_closed(TIMEOUT)

    async with driver.client() as client:
        async with driver.subscribe(client, "GET", server.url(), on_state=None) as stream:
            begun = time.perf_counter()
            for number in range(1, 4):
                assert (await stream.next()).data == str(number)
                stream.source.restart()
            assert time.perf_counter() - begun < TIMEOUT / 2
    sent = [request.header_values("last-event-id") for request in server.requests]
    assert sent == [[], ["1"], ["2"]]


@pytest.mark.needs("settings")
@driven
async def test_the_head_has_the_time_that_bytes_have(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def with_the_first_event(exchange: Exchange) -> None:
        exchange.stalled(0.6)
        exchange.start()
        exchange.send(event("1"))

    call: dict[str, Any] = {"timeout": driver.library.Timeout(0.2), "idle_timeout": TIMEOUT}
    async with driver.client() as client:
        async with driver.subscribe(client, "GET", server.url(), reconnect=None, **call) as stream:
            assert (await stream.next()).data == "1"
