"""`subscribe`, over each adapter, library and event loop: the end of it, whatever it is doing.

It may be waiting to connect again, opening a connection, reading one, or reading a refusal: it ends
at once, the server sees it, and nothing is left.
"""

from __future__ import annotations

import io
import random
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from sse_proto import Open, ReadyState, ReconnectPolicy, Stop, Wait
from tests.support.drivers import driven
from tests.support.handlers import in_turn, silent, slow_refusal, status, stream
from tests.support.harness import data_of, event, sends
from tests.support.subscribing import DOINGS, SLOW, is_doing, subscribed

if TYPE_CHECKING:
    from collections.abc import Generator

    from sse_proto import Action
    from tests.support.drivers import Driver, Stream
    from tests.support.servers import Exchange, RawServer, TlsFiles

pytestmark = [
    pytest.mark.needs("redirects", "settings"),
    pytest.mark.usefixtures("no_thread_left_over"),
]

# Seconds until an end is known to the reader, and to the server. On an idle machine it is a
# hundredth of that.
PROMPT: Final = 1.5


def patience_with_openings(driver: Driver) -> dict[str, Any]:
    """Return a client's settings: an opening that cannot be closed ends with its timeout."""
    is_closed = driver.is_async or driver.closes_sync_openings
    return {} if is_closed else {"timeout": 0.3}


async def closes(driver: Driver, server: RawServer, since: float) -> None:
    """Wait until the server has seen the close: soon."""
    assert await driver.wait_for_close(server) - since < PROMPT


# -- close ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", DOINGS)
@driven
async def test_closing_ends_what_it_does(driver: Driver, server: RawServer, what: str) -> None:
    server.route("/", DOINGS[what])
    begun = 0.0

    async def close() -> None:
        nonlocal begun
        await is_doing(driver, server)
        begun = time.perf_counter()
        await events.close()
        assert events.source.state is ReadyState.CLOSED

    actions: list[Action] = []
    async with driver.client(**patience_with_openings(driver)) as client:
        call: dict[str, Any] = {"client": client, "reconnect": SLOW, "on_state": actions.append}
        async with subscribed(driver, server, **call) as events:
            async with driver.meanwhile(close):
                assert data_of(await events.rest()) == (["1"] if what == "reading on" else [])
                assert time.perf_counter() - begun < PROMPT
            await closes(driver, server, begun)
            assert await events.rest() == []
    # A refusal had been judged by then.
    assert actions[-1:] == [Stop("closed")] or what == "reading a refusal"
    assert len(server.requests) == 1


@driven
async def test_closing_ends_a_read_over_tls(
    driver: Driver, tls_server: RawServer, tls: TlsFiles
) -> None:
    tls_server.route("/", sends("1", hold=True))
    begun = 0.0

    async def close() -> None:
        nonlocal begun
        await is_doing(driver, tls_server)
        begun = time.perf_counter()
        await events.close()

    settings, call = driver.trust(tls.ca_pem)
    async with driver.client(**settings) as client:
        async with subscribed(driver, tls_server, client=client, **call) as events:
            async with driver.meanwhile(close):
                assert data_of(await events.rest()) == ["1"]
                assert time.perf_counter() - begun < PROMPT
            await closes(driver, tls_server, begun)


@driven
async def test_closing_between_events(driver: Driver, server: RawServer) -> None:
    server.route("/", stream(event("1") + event("2"), hold=True))
    async with driver.client() as client:
        async with subscribed(driver, server, client=client) as events:
            assert (await events.next()).data == "1"
            begun = time.perf_counter()
            await events.close()
            await closes(driver, server, begun)
            assert await events.rest() == []  # the second one was there already
            await events.close()
            assert events.source.state is ReadyState.CLOSED


@driven
async def test_closing_what_the_server_has_closed(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def reset(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + event("2"))
        exchange.stalled(0.02)
        exchange.reset()

    async with subscribed(driver, server) as events:
        assert (await events.next()).data == "1"
        await driver.blocking(time.sleep, 0.1)
        await events.close()
        assert await events.rest() == []


@driven
async def test_closing_before_the_first_event(driver: Driver, server: RawServer) -> None:
    async with subscribed(driver, server) as events:
        await events.close()
        assert await events.rest() == []
    assert not server.connections


@driven
async def test_closing_after_the_end_changes_nothing(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1")))
    actions: list[Action] = []
    async with subscribed(driver, server, on_state=actions.append) as events:
        assert data_of(await events.rest()) == ["1"]
        told = len(actions)
        await events.close()
    assert len(actions) == told


@pytest.mark.parametrize("kind", [Open, Wait])
@driven
async def test_on_state_may_close_it(
    sync_driver: Driver, server: RawServer, kind: type[Action]
) -> None:
    server.route("/", in_turn(sends("1"), sends("2"), sends("3")))
    actions: list[Action] = []

    def close(action: Action) -> None:
        actions.append(action)
        if isinstance(action, kind):
            events.source.close()

    async with subscribed(sync_driver, server, on_state=close) as events:
        assert data_of(await events.rest()) == ([] if kind is Open else ["1"])
    assert isinstance(actions[-2], kind)
    assert actions[-1] == Stop("closed")
    assert len(server.requests) == 1


# The hook that may close it while it does. (No response comes while it is opening.)
@pytest.mark.parametrize(
    ("kind", "what"),
    [("request", "opening"), *(("response", what) for what in DOINGS if what != "opening")],
)
@driven
async def test_a_hook_may_close_it(driver: Driver, server: RawServer, kind: str, what: str) -> None:
    server.route("/", DOINGS[what])

    def close(_: object) -> None:
        events.source.close()

    async def aclose(_: object) -> None:
        await events.source.aclose()

    hooks = {kind: [aclose if driver.is_async else close]}
    settings = patience_with_openings(driver)
    async with driver.client(event_hooks=hooks, **settings) as client:
        begun = time.perf_counter()
        async with subscribed(driver, server, client=client, reconnect=SLOW) as events:
            assert await events.rest() == []
        assert time.perf_counter() - begun < PROMPT
        if server.connections:
            await closes(driver, server, begun)


@driven
async def test_it_is_closed_and_not_lost_if_both_at_once(
    sync_driver: Driver, server: RawServer
) -> None:
    library = sync_driver.library

    def handle(request: Any) -> Any:
        events.source.close()
        raise library.ConnectError("no", request=request)

    actions: list[Action] = []
    async with sync_driver.client(transport=library.MockTransport(handle)) as client:
        call: dict[str, Any] = {"client": client, "on_state": actions.append}
        async with subscribed(sync_driver, server, **call) as events:
            assert await events.rest() == []
    assert actions == [Stop("closed")]


@driven
async def test_closing_at_any_moment(driver: Driver, server: RawServer) -> None:
    """While it connects, reads and waits as fast as it can."""
    pause = random.Random(1)

    @server.route("/")
    def busy(exchange: Exchange) -> None:
        exchange.start()
        for _ in range(exchange.connection % 7):
            exchange.send(event("1") + event("2"))

    async def close() -> None:
        await driver.blocking(time.sleep, pause.uniform(0.0, 0.01))
        await events.close()

    policy = ReconnectPolicy(initial_delay=0.0005, max_backoff=0.0)
    async with driver.client() as client:
        for _ in range(100):
            async with subscribed(driver, server, client=client, reconnect=policy) as events:
                async with driver.meanwhile(close):
                    await events.rest()


# -- leaving the block ----------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["event", "nothing", "fault"])
@driven
async def test_leaving_the_block_closes(driver: Driver, server: RawServer, what: str) -> None:
    server.route("/", stream(event("1") + event("2"), hold=True))

    left: list[Stream] = []

    async def read() -> None:
        async with subscribed(driver, server, client=client) as events:
            left.append(events)
            if what != "nothing":
                assert (await events.next()).data == "1"
            if what == "fault":
                raise ZeroDivisionError

    async with driver.client() as client:
        begun = time.perf_counter()
        if what == "fault":
            # The exception is kept, with its traceback and the frames that had the subscription.
            with pytest.raises(ZeroDivisionError) as kept:
                await read()
            assert kept.value.__traceback__ is not None
        else:
            await read()
        if what != "nothing":
            await closes(driver, server, begun)
        assert await left[0].rest() == []


@driven
async def test_a_failure_closes(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    call: dict[str, Any] = {"reconnect": None, "idle_timeout": 0.1}
    async with driver.client() as client:
        async with subscribed(driver, server, client=client, **call) as events:
            assert (await events.next()).data == "1"
            with pytest.raises(driver.error("ReadTimeout")) as kept:
                await events.next()
            await driver.wait_for_close(server)  # in the block, as it is the end
    assert kept.value.__traceback__ is not None


@driven
async def test_a_lost_connection_is_closed_before_the_next(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", sends("1", hold=True))
    async with subscribed(driver, server, idle_timeout=0.05) as events:
        assert data_of(await events.take(4)) == ["1"] * 4
        assert server.open_connections <= 2


@driven
async def test_closing_the_generator_around_it_closes(
    sync_driver: Driver, server: RawServer
) -> None:
    driver = sync_driver
    server.route("/", sends("1", "2", hold=True))

    def data(client: Any) -> Generator[str]:
        with driver.adapter.subscribe(client, "GET", server.url()) as events:
            for item in events:
                yield item.data

    async with driver.client() as client:
        generator = data(client)
        assert next(generator) == "1"
        begun = time.perf_counter()
        generator.close()
        await closes(driver, server, begun)


# -- cancellation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", DOINGS)
@driven
async def test_a_cancelled_task_closes(async_driver: Driver, server: RawServer, what: str) -> None:
    driver = async_driver
    server.route("/", DOINGS[what])

    async def read() -> None:
        async with subscribed(driver, server, client=client, reconnect=SLOW) as events:
            await events.rest()

    async with driver.client() as client:
        assert not await driver.within(0.3, read())
        await closes(driver, server, time.perf_counter())
        assert len(server.requests) == 1


@driven
async def test_a_cancelled_opening_goes_on(async_driver: Driver, server: RawServer) -> None:
    driver = async_driver

    @server.route("/")
    def sends_late(exchange: Exchange) -> None:
        exchange.stalled(0.6)
        sends("1", hold=True)(exchange)

    call: dict[str, Any] = {"reconnect": SLOW, "method": "POST", "files": {"f": io.BytesIO(b"x")}}
    async with subscribed(driver, server, **call) as events:
        for seconds in (0.2, 0.02, 0.02):
            assert not await driver.within(seconds, events.next())
        assert (await events.next()).data == "1"
        assert events.source.attempts == 0
    assert len(server.requests) == 1


@driven
async def test_a_wait_goes_on_after_it_was_cancelled(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver
    # One more than needed: the second may be cancelled, and not have been seen yet.
    server.route("/", in_turn(status(503), sends("1"), sends("1")))
    policy = ReconnectPolicy(initial_delay=0.5, max_backoff=0.0)
    cancelled = 0
    async with subscribed(driver, server, reconnect=policy) as events:
        begun = time.perf_counter()
        while len(server.requests) < 2:
            cancelled += not await driver.within(0.05, events.next())
        assert 0.5 <= time.perf_counter() - begun < 5
    assert cancelled >= 3


@driven
async def test_reading_a_refusal_is_cancelled_but_not_the_refusal(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver
    server.route("/", slow_refusal)
    async with driver.client() as client:
        async with subscribed(driver, server, client=client) as events:
            assert not await driver.within(0.3, events.next())
            for _ in range(2):
                with pytest.raises(driver.adapter.SSEError, match="status 200, got status 404"):
                    await events.next()
            await driver.wait_for_close(server)
    assert len(server.requests) == 1


@driven
async def test_a_cancellation_and_a_close_at_once(async_driver: Driver, server: RawServer) -> None:
    import anyio

    driver = async_driver
    for path, handler in (("/", silent), ("/read", sends("1", hold=True))):
        server.route(path, handler)
        async with driver.client() as client:
            async with subscribed(driver, server, path, client=client) as events:
                async with anyio.create_task_group() as group:
                    group.start_soon(events.rest)
                    await is_doing(driver, server, len(server.requests) + 1)
                    group.cancel_scope.cancel()
                    await events.close()
                await closes(driver, server, time.perf_counter())
