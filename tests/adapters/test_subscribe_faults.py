"""Streams that break in every way, hundreds of times: no event is lost, and none is seen twice."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from sse_proto import Lost, NextRequest, ReconnectPolicy
from tests.support.drivers import driven
from tests.support.faults import FAULTS, FaultServer

if TYPE_CHECKING:
    from collections.abc import Generator

    from sse_proto import ServerSentEvent
    from tests.support.drivers import Driver

pytestmark = pytest.mark.needs("settings")

# Streams at once. Each has every fault once. More of them over httpxr, whose streams are our own
# work, and go on after a cancellation.
STREAMS: Final = {"sse_httpxr": 15, "sse_httpx": 3}
# An outage that ends it is one that no fault explains, so that a failed run ends, too.
POLICY: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.01, max_time=30.0)


@pytest.fixture
def faults() -> Generator[FaultServer]:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"to have the same faults again, set FAULTS_SEED={seed}")  # shown if the test fails
    with FaultServer(seed) as server:
        yield server


def names_of(driver: Driver, kind: str) -> list[str]:
    # Of different lengths, which the boundaries of chunks depend on.
    return [f"{'x' * number}-{kind}" for number in range(STREAMS[driver.package])]


def call_for_faults(driver: Driver) -> dict[str, Any]:
    # Of what keeps silent there is more than one kind, and each costs this, in seconds.
    timeout = driver.library.Timeout(5.0, connect=0.5, read=0.3)
    return {"reconnect": POLICY, "timeout": timeout, "event_timeout": 0.4}


def check(driver: Driver, server: FaultServer, received: dict[str, list[ServerSentEvent]]) -> None:
    streams = STREAMS[driver.package]
    assert len(received) == streams
    for name, events in received.items():
        server.check(name, events)
    assert server.injected == Counter(dict.fromkeys(FAULTS, streams))
    assert server.injected.total() >= 34 * streams


@driven
async def test_nothing_is_lost_and_nothing_comes_twice(driver: Driver, faults: FaultServer) -> None:
    events: dict[str, list[ServerSentEvent]] = {}

    async def read(name: str) -> None:
        url, call = faults.url(name), call_for_faults(driver)
        async with driver.subscribe(client, "GET", url, **call) as stream:
            events[name] = await stream.rest()

    async with driver.client() as client:
        reading = [partial(read, name) for name in names_of(driver, "stream")]
        async with driver.meanwhile(*reading):
            pass
    check(driver, faults, events)


@driven
async def test_nothing_is_lost_by_post_and_then_get(driver: Driver, faults: FaultServer) -> None:
    """The first request of a stream is a POST, and each further one is another, a GET."""
    events: dict[str, list[ServerSentEvent]] = {}

    async def read(name: str) -> None:
        url, call = faults.url(name), call_for_faults(driver)
        call["reconnect"] = replace(POLICY, reconnect_on_end=True)

        def go_on(_: Lost[Any]) -> NextRequest:
            return NextRequest("GET", url, timeout=call["timeout"])

        async with driver.subscribe(
            client, "POST", url, content=b"start", next_request=go_on, **call
        ) as stream:
            events[name] = await stream.rest()

    async with driver.client() as client:
        reading = [partial(read, name) for name in names_of(driver, "post")]
        async with driver.meanwhile(*reading):
            pass
    check(driver, faults, events)


@driven
async def test_nothing_is_lost_to_whoever_cancels(
    async_driver: Driver, faults: FaultServer
) -> None:
    """A cancellation may come anywhere: in a wait, an opening, a read."""
    driver = async_driver
    # Where a cancelled read ends a connection, one of them is long enough to get on.
    pauses = [0.0, 0.001, 0.01] if driver.goes_on else [0.001, 0.01, 1.0]
    events: dict[str, list[ServerSentEvent]] = {}
    cancelled = 0

    async def read(name: str) -> None:
        nonlocal cancelled
        pause = random.Random(f"{faults.seed} {name}")
        taken = events[name] = []
        is_over = False

        async def take() -> None:
            nonlocal is_over
            try:
                taken.append(await stream.next())
            except StopAsyncIteration:
                is_over = True

        url, call = faults.url(name), call_for_faults(driver)
        async with driver.subscribe(client, "GET", url, **call) as stream:
            while not is_over:
                if not await driver.within(pause.choice(pauses), take()):
                    cancelled += 1

    async with driver.client() as client:
        reading = [partial(read, name) for name in names_of(driver, "poll")]
        async with driver.meanwhile(*reading):
            pass
    check(driver, faults, events)
    assert cancelled > (500 if driver.goes_on else 30)
