"""`Subscription.restart`, over each adapter, library and event loop, whatever it is doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from sse_proto import Open, Stop, Wait
from tests.support.drivers import driven
from tests.support.handlers import in_turn, slow_refusal, status, stream
from tests.support.harness import data_of, event, sends
from tests.support.subscribing import DOINGS, SLOW, is_doing, subscribed

if TYPE_CHECKING:
    from sse_proto import Action
    from tests.support.drivers import Driver
    from tests.support.servers import Exchange, RawServer

pytestmark = [
    pytest.mark.needs("redirects", "settings"),
    pytest.mark.usefixtures("no_thread_left_over"),
]

# Seconds; on an idle machine it takes a hundredth of that.
PROMPT: Final = 3.0


def late(exchange: Exchange) -> None:
    """Answer so late that an opening can be cancelled, or a restart asked for, before."""
    exchange.stalled(0.6)
    sends("1", hold=True)(exchange)


@pytest.mark.parametrize("what", ["waiting", "reading", "reading on"])
@driven
async def test_restarting_ends_what_it_does(driver: Driver, server: RawServer, what: str) -> None:
    server.route("/", in_turn(DOINGS[what], sends("2", hold=True)))
    begun = 0.0

    async def restart() -> None:
        nonlocal begun
        await is_doing(driver, server)
        begun = time.perf_counter()
        events.source.restart()

    actions: list[Action] = []
    call: dict[str, Any] = {"reconnect": SLOW, "on_state": actions.append}
    async with driver.client() as client:
        async with subscribed(driver, server, client=client, **call) as events:
            async with driver.meanwhile(restart):
                if what == "reading on":
                    assert (await events.next()).data == "1"
                assert (await events.next()).data == "2"
                assert time.perf_counter() - begun < PROMPT
    assert actions[1:-2] == [Wait(0.0)]
    assert isinstance(actions[-2], Open)
    assert len(server.requests) == 2


@driven
async def test_an_opening_goes_on(driver: Driver, server: RawServer) -> None:
    server.route("/", late)

    async def restart() -> None:
        await is_doing(driver, server)
        events.source.restart()

    async with subscribed(driver, server, reconnect=SLOW) as events:
        async with driver.meanwhile(restart):
            assert (await events.next()).data == "1"
    assert len(server.requests) == 1


@driven
async def test_a_refusal_that_is_being_read_stands(driver: Driver, server: RawServer) -> None:
    server.route("/", slow_refusal)

    async def restart() -> None:
        await is_doing(driver, server)
        events.source.restart()

    async with driver.client() as client:
        async with subscribed(driver, server, client=client) as events:
            async with driver.meanwhile(restart):
                with pytest.raises(driver.adapter.SSEError, match="got status 404"):
                    await events.next()
            with pytest.raises(driver.adapter.SSEError, match="got status 404"):
                await events.next()
            await driver.wait_for_close(server)
    assert len(server.requests) == 1


@driven
async def test_after_the_end_it_does_nothing(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1")))
    actions: list[Action] = []
    async with subscribed(driver, server, on_state=actions.append) as events:
        assert data_of(await events.rest()) == ["1"]
        told = list(actions)
        for _ in range(2):
            events.source.restart()
            assert await events.rest() == []
        assert actions == told
    assert isinstance(told[-1], Stop)
    assert actions == told
    assert len(server.requests) == 2


@driven
async def test_after_a_failure_it_does_nothing(driver: Driver, server: RawServer) -> None:
    server.route("/", status(404))
    async with subscribed(driver, server) as events:
        with pytest.raises(driver.adapter.SSEError) as first:
            await events.next()
        for _ in range(2):
            events.source.restart()
            with pytest.raises(driver.adapter.SSEError) as again:
                await events.next()
            assert again.value is first.value
    assert len(server.requests) == 1


@driven
async def test_after_the_last_event_it_does_nothing(driver: Driver, server: RawServer) -> None:
    server.route("/", stream(event("1") + event("[DONE]"), hold=True))
    async with subscribed(driver, server, until="[DONE]") as events:
        assert (await events.next()).data == "1"
        events.source.restart()
        assert await events.rest() == []
    assert len(server.requests) == 1


@driven
async def test_a_wait_that_was_cancelled_is_over(async_driver: Driver, server: RawServer) -> None:
    driver = async_driver
    server.route("/", in_turn(DOINGS["waiting"], sends("2", hold=True)))
    async with subscribed(driver, server, reconnect=SLOW) as events:
        assert not await driver.within(0.3, events.next())
        await is_doing(driver, server)
        begun = time.perf_counter()
        events.source.restart()
        assert (await events.next()).data == "2"
        assert time.perf_counter() - begun < PROMPT
    assert len(server.requests) == 2


@driven
async def test_an_opening_that_was_cancelled_goes_on(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver
    server.route("/", late)
    async with subscribed(driver, server, reconnect=SLOW) as events:
        assert not await driver.within(0.2, events.next())
        await is_doing(driver, server)
        events.source.restart()
        assert (await events.next()).data == "1"
    assert len(server.requests) == 1


@driven
async def test_an_opening_that_was_cancelled_and_has_come_to_its_end_is_dropped(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver
    server.route("/", in_turn(late, sends("2", hold=True)))
    async with driver.client() as client:
        async with subscribed(driver, server, client=client, reconnect=SLOW) as events:
            assert not await driver.within(0.2, events.next())
            while events.response is None:
                await driver.blocking(time.sleep, 0.01)
            events.source.restart()
            assert (await events.next()).data == "2"
            while server.open_connections > 1:
                await driver.blocking(time.sleep, 0.01)
    assert len(server.requests) == 2
