"""Streams that break in every way, hundreds of times: no event is lost, and none is seen twice."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import httpxr
import pytest

from sse_httpxr import ReconnectPolicy, asubscribe, subscribe
from tests.support.faults import FAULTS, FaultServer

if TYPE_CHECKING:
    from collections.abc import Generator

    from sse_httpxr import ServerSentEvent

# Streams at once. Each has every fault once.
STREAMS: Final = 15
# Of what keeps silent there is more than one kind, and each costs this, in seconds.
TIMEOUT: Final = httpxr.Timeout(5.0, connect=0.3, read=0.3)
# An outage that ends it is one that no fault explains, so that a failed run ends, too.
POLICY: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.01, max_time=30.0)
# Seconds after which a run has failed: some 20 times what it takes.
TOO_LONG: Final = 100.0


@pytest.fixture
def server() -> Generator[FaultServer]:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"to have the same faults again, set FAULTS_SEED={seed}")  # shown if the test fails
    with FaultServer(seed) as server:
        yield server


def check(server: FaultServer, received: dict[str, list[ServerSentEvent]]) -> None:
    assert len(received) == STREAMS
    for name, events in received.items():
        server.check(name, events)
    assert server.injected == Counter(dict.fromkeys(FAULTS, STREAMS))
    assert server.injected.total() >= 500


def test_nothing_is_lost_and_nothing_comes_twice(server: FaultServer) -> None:
    def read(name: str) -> tuple[str, list[ServerSentEvent]]:
        url = server.url(name)
        with subscribe(client, "GET", url, reconnect=POLICY, timeout=TIMEOUT) as events:
            return name, list(events)

    with httpxr.Client() as client, ThreadPoolExecutor(STREAMS) as pool:
        names = [f"sync-{number}" for number in range(STREAMS)]
        check(server, dict(pool.map(read, names, timeout=TOO_LONG)))


async def test_nothing_is_lost_and_nothing_comes_twice_on_asyncio(server: FaultServer) -> None:
    async def read(name: str) -> tuple[str, list[ServerSentEvent]]:
        url = server.url(name)
        async with asubscribe(client, "GET", url, reconnect=POLICY, timeout=TIMEOUT) as events:
            return name, [event async for event in events]

    async with httpxr.AsyncClient() as client:
        reading = asyncio.gather(*(read(f"async-{number}") for number in range(STREAMS)))
        check(server, dict(await asyncio.wait_for(reading, TOO_LONG)))


async def test_nothing_is_lost_to_whoever_asks_for_events_with_a_timeout(
    server: FaultServer,
) -> None:
    """A timeout may come anywhere: in a wait, an opening, a read."""
    timeouts = 0

    async def read(name: str) -> tuple[str, list[ServerSentEvent]]:
        nonlocal timeouts
        pause = random.Random(f"{server.seed} {name}")
        received: list[ServerSentEvent] = []
        url = server.url(name)
        async with asubscribe(client, "GET", url, reconnect=POLICY, timeout=TIMEOUT) as events:
            while True:
                try:
                    seconds = pause.choice([0.0, 0.001, 0.01])
                    received.append(await asyncio.wait_for(anext(events), seconds))
                except asyncio.TimeoutError:
                    timeouts += 1
                except StopAsyncIteration:
                    return name, received

    async with httpxr.AsyncClient() as client:
        reading = asyncio.gather(*(read(f"poll-{number}") for number in range(STREAMS)))
        check(server, dict(await asyncio.wait_for(reading, TOO_LONG)))
    assert timeouts > 500
