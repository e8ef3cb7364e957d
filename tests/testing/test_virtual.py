"""Virtual time: an hour of reconnecting in no time, on every loop."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import httpx
import pytest
import trio

from sse_adapter import SyncWaiter, Waiter
from sse_httpx import ReconnectPolicy, SSEError, asubscribe, subscribe
from sse_testing import EventServer, events, hold, status, virtual_time
from sse_testing._virtual import VirtualClock

HOUR: Final = ReconnectPolicy(max_time=3600)


def give_up(server: EventServer) -> None:
    with httpx.Client() as client:
        with pytest.raises(SSEError, match="gave up after"):
            with subscribe(client, "GET", server.url(), reconnect=HOUR) as stream:
                next(stream)


async def give_up_async(server: EventServer) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(SSEError, match="gave up after"):
            async with asubscribe(client, "GET", server.url(), reconnect=HOUR) as stream:
                await anext(stream)


def check(clock: VirtualClock, server: EventServer) -> None:
    assert 1000 < clock.now <= 3600
    assert sum(clock.waits) == pytest.approx(clock.now)
    assert len(clock.waits) == len(server.requests) - 1 > 20


def test_an_hour_of_outage(sse_server: EventServer) -> None:
    sse_server.script("/", status(503))
    before = dict(vars(Waiter)), dict(vars(SyncWaiter))
    began = time.monotonic()
    with virtual_time() as clock:
        give_up(sse_server)
    assert time.monotonic() - began < 60
    check(clock, sse_server)
    assert (dict(vars(Waiter)), dict(vars(SyncWaiter))) == before


async def test_on_asyncio(sse_server: EventServer) -> None:
    sse_server.script("/", status(503))
    with virtual_time() as clock:
        await give_up_async(sse_server)
    check(clock, sse_server)


def test_on_trio(sse_server: EventServer) -> None:
    sse_server.script("/", status(503))
    with virtual_time() as clock:
        trio.run(give_up_async, sse_server)
    check(clock, sse_server)


def test_a_kind_of_waiter_that_is_defined_meanwhile() -> None:
    with virtual_time() as clock:

        class Mine(SyncWaiter):
            async def sleep(self, seconds: float) -> None:
                assert seconds == 0

        class Yours(Mine):
            pass

        for waiter in (Mine(), Yours()):
            with pytest.raises(StopIteration):
                waiter.sleep(5.0).send(None)
    assert clock.waits == [5.0, 5.0]
    with pytest.raises(AssertionError):
        Mine().sleep(5.0).send(None)


def test_a_date_of_retry_after_goes_by_the_clock(sse_server: EventServer) -> None:
    later = [("Retry-After", "Thu, 01 Jan 2026 00:01:00 GMT")]
    sse_server.script("/", status(503, headers=later), [events("a"), hold()])
    with virtual_time() as clock, httpx.Client() as client:
        with subscribe(client, "GET", sse_server.url()) as stream:
            assert next(stream).data == "a"
    (wait,) = clock.waits
    assert wait >= 60
    assert clock.wall_time == 1_767_225_600 + wait


def test_time_can_pass_by_hand(sse_server: EventServer) -> None:
    sse_server.script("/", [events("a")], status(503))
    policy: Any = ReconnectPolicy(max_time=100)
    with virtual_time() as clock, httpx.Client() as client:
        with subscribe(client, "GET", sse_server.url(), reconnect=policy) as stream:
            assert next(stream).data == "a"
            clock.advance(50.0)
            with pytest.raises(SSEError, match="gave up after"):
                next(stream)
    assert 50 < clock.now < 250


def test_an_interrupt_still_ends_a_wait(sse_server: EventServer) -> None:
    sse_server.script("/", status(503))
    with virtual_time(), httpx.Client() as client:
        with subscribe(client, "GET", sse_server.url(), reconnect=ReconnectPolicy()) as stream:
            closing = threading.Timer(0.2, stream.close)
            closing.start()
            assert list(stream) == []
            closing.join()
