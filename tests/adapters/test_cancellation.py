"""Waiting that ends early, and waiting in many places at once: no byte is lost, nobody hangs."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import queue
import random
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import httpxr
import pytest

from sse_httpxr import EventSource, aconnect_sse, connect_sse
from sse_httpxr._live.borrowed import BorrowedFuture as Wait
from sse_httpxr._live.chunks import AsyncChunks
from sse_httpxr._live.loop import PrivateLoop
from tests.support.harness import data_of, event, sends

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
    )

    from sse_httpxr import ServerSentEvent
    from tests.support.servers import Exchange, RawServer

TIMEOUT: Final = 20.0
EVENTS: Final = 400


def numbered(exchange: Exchange) -> None:
    """Send events with a number, about one a millisecond: as many as ``?n=`` says, or 400.

    Some come later, so that also a client on a busy machine has to wait at times.
    """
    n = int(exchange.query.get("n", [str(EVENTS)])[0])
    exchange.start()
    for number in range(n):
        exchange.send(event(str(number)))
        time.sleep(0.02 if number % 40 == 39 else 0.001)


def all_numbers(n: int = EVENTS) -> list[str]:
    return [str(number) for number in range(n)]


@asynccontextmanager
async def stream(
    server: RawServer, path: str = "/", **call: Any
) -> AsyncGenerator[EventSource, None]:
    async with httpxr.AsyncClient() as client:
        async with aconnect_sse(client, "GET", server.url(path), **call) as source:
            yield source


async def read_into(received: list[str], events: AsyncIterable[ServerSentEvent]) -> None:
    """Add the data of each event, so that it is there also if this is cancelled later."""
    async for item in events:
        received.append(item.data)  # noqa: PERF401  # for that reason


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    try:
        await task
    except (asyncio.CancelledError, StopAsyncIteration):
        pass


# -- nothing is lost ------------------------------------------------------------------------------


async def test_cancelled_tasks_lose_nothing_for_the_next_loop(server: RawServer) -> None:
    server.route("/", numbered)
    received: list[str] = []
    pause = random.Random(1)

    cancellations = 0
    async with stream(server) as source:
        while True:
            task = asyncio.create_task(read_into(received, source))
            await asyncio.sleep(pause.uniform(0.0, 0.004))
            if task.done():
                break
            await cancelled(task)
            cancellations += 1
    assert received == all_numbers()
    assert cancellations >= 3


async def test_cancelled_tasks_lose_nothing_for_the_same_iterator(server: RawServer) -> None:
    server.route("/", numbered)
    received: list[str] = []
    pause = random.Random(2)
    is_over = False

    async def read_one(events: AsyncIterator[ServerSentEvent]) -> None:
        nonlocal is_over
        try:
            received.append((await anext(events)).data)
        except StopAsyncIteration:
            is_over = True

    cancellations = 0
    async with stream(server) as source:
        events = source.aiter_sse()
        while not is_over:
            task = asyncio.create_task(read_one(events))
            for _ in range(pause.randrange(4)):
                await asyncio.sleep(0)
            if not task.done():
                await cancelled(task)
                cancellations += 1
            await asyncio.sleep(pause.uniform(0.0, 0.0005))
    assert received == all_numbers()
    assert cancellations >= 3


async def test_timeouts_of_wait_for_lose_nothing(server: RawServer) -> None:
    server.route("/", numbered)
    received: list[str] = []
    timeouts = 0
    async with stream(server) as source:
        events = source.aiter_sse()
        while True:
            try:
                received.append((await asyncio.wait_for(anext(events), 0.0005)).data)
            except asyncio.TimeoutError:
                timeouts += 1
            except StopAsyncIteration:
                break
    assert received == all_numbers()
    assert timeouts >= 3


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is new in Python 3.11")
async def test_timeouts_of_asyncio_lose_nothing(server: RawServer) -> None:
    server.route("/", numbered)
    timeout: Any = getattr(asyncio, "timeout")  # noqa: B009  # unknown to type checkers for 3.10
    received: list[str] = []
    timeouts = 0
    async with stream(server) as source:
        while True:
            try:
                async with timeout(0.0007):
                    await read_into(received, source)
                break
            except TimeoutError:
                timeouts += 1
    assert received == all_numbers()
    assert timeouts >= 3


async def test_read_timeouts_lose_nothing(server: RawServer) -> None:
    server.route("/", numbered)
    received: list[str] = []
    timeouts = 0
    async with stream(server, timeout=httpxr.Timeout(5.0, read=0.0005)) as source:
        while True:
            try:
                await read_into(received, source)
                break
            except httpxr.ReadTimeout:
                timeouts += 1
    assert received == all_numbers()
    assert timeouts >= 3


def test_read_timeouts_lose_nothing_in_sync_code(server: RawServer) -> None:
    server.route("/", numbered)
    received: list[str] = []
    timeouts = 0
    timeout = httpxr.Timeout(5.0, read=0.0005)
    with connect_sse(httpxr.Client(), "GET", server.url(), timeout=timeout) as source:
        while True:
            try:
                received.extend(item.data for item in source)
                break
            except httpxr.ReadTimeout:
                timeouts += 1
    assert received == all_numbers()
    assert timeouts >= 3


async def test_a_cancelled_read_of_a_foreign_iterator_loses_nothing() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(50):
            await asyncio.sleep(0.002)
            yield event(str(number))

    response = httpxr.Response(200, headers={"Content-Type": "text/event-stream"}, content=chunks())
    received: list[str] = []
    events = EventSource(response).aiter_sse()
    timeouts = 0
    while True:
        try:
            received.append((await asyncio.wait_for(anext(events), 0.001)).data)
        except asyncio.TimeoutError:
            timeouts += 1
        except StopAsyncIteration:
            break
    assert received == all_numbers(50)
    assert timeouts >= 3


# -- several at once ------------------------------------------------------------------------------


async def test_a_close_by_another_task_ends_a_read(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    async with stream(server) as source:
        events = source.aiter_sse()
        assert (await anext(events)).data == "1"
        reading = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.02)
        assert not reading.done()
        await source.aclose()
        with pytest.raises(httpxr.StreamClosed, match="closed before its end"):
            await asyncio.wait_for(reading, 1)
        assert await asyncio.to_thread(server.wait_for_close, TIMEOUT)


async def test_a_close_as_a_chunk_comes_loses_to_it_or_raises(server: RawServer) -> None:
    server.route("/", numbered)
    for turns in range(8):
        async with stream(server, "/?n=20") as source:
            events = source.aiter_sse()
            reading = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.002)
            for _ in range(turns):
                await asyncio.sleep(0)
            await source.aclose()
            try:
                assert (await asyncio.wait_for(reading, 1)).data == "0"
            except httpxr.StreamClosed:
                pass


async def test_a_task_cancelled_as_its_event_comes(server: RawServer) -> None:
    """A cancellation in the very turn of the event loop in which a read completes."""
    server.route("/", sends("1", "2", hold=True))
    async with stream(server) as source:
        events = source.aiter_sse()
        assert (await anext(events)).data in "12"
        for _ in range(3):
            reading = asyncio.ensure_future(anext(events))
            other: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            other.add_done_callback(lambda _, task=reading: task.cancel())  # type: ignore[misc]  # no type for `task`
            await asyncio.sleep(0)
            other.set_result(None)
            await asyncio.wait({reading})
            if not reading.cancelled():
                assert reading.result().data == "2"


async def test_gathered_with_a_future_that_fails(server: RawServer) -> None:
    server.route("/", numbered)

    async def fail() -> None:
        await asyncio.sleep(0.005)
        raise ZeroDivisionError

    async with stream(server, "/?n=50") as source:
        events = source.aiter_sse()
        received: list[str] = []
        reading = asyncio.ensure_future(read_into(received, events))
        with pytest.raises(ZeroDivisionError):
            await asyncio.gather(reading, fail())
        await cancelled(reading)
        received += [item.data async for item in events]
    assert received == all_numbers(50)


async def test_two_tasks_do_not_wait_at_once(server: RawServer) -> None:
    server.route("/", sends(hold=True))
    async with stream(server) as source:
        reading = asyncio.ensure_future(anext(source.aiter_sse()))
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="another task is reading this event stream"):
            await anext(source.aiter_sse())
        assert not reading.done()  # it is not disturbed
        await cancelled(reading)


async def test_tasks_may_read_in_turn(server: RawServer) -> None:
    server.route("/", numbered)
    received: list[str] = []
    turn = asyncio.Lock()

    async def read(source: EventSource) -> None:
        events = source.aiter_sse()
        while True:
            async with turn:
                try:
                    received.append((await anext(events)).data)
                except StopAsyncIteration:
                    return

    async with stream(server, "/?n=100") as source:
        await asyncio.wait_for(asyncio.gather(read(source), read(source)), TIMEOUT)
    assert received == all_numbers(100)


async def test_many_streams_of_one_client(server: RawServer) -> None:
    server.route("/", numbered)
    async with httpxr.AsyncClient() as client:

        async def read() -> list[str]:
            async with aconnect_sse(client, "GET", server.url("/?n=20")) as source:
                return [item.data async for item in source]

        results = await asyncio.gather(*[read() for _ in range(50)])
    assert results == [all_numbers(20)] * 50


def in_threads(n: int, function: Callable[[], Any]) -> list[Any]:
    """Return what a function gives in each of ``n`` threads, all of them running at once."""
    ready = threading.Barrier(n)

    def run() -> Any:
        ready.wait(TIMEOUT)
        return function()

    with ThreadPoolExecutor(n) as pool:
        return [future.result(TIMEOUT) for future in [pool.submit(run) for _ in range(n)]]


def test_fifty_threads(server: RawServer) -> None:
    server.route("/", numbered)

    def read() -> list[str]:
        with httpxr.Client() as client:
            with connect_sse(client, "GET", server.url("/?n=20")) as source:
                return data_of(source)

    assert in_threads(50, read) == [all_numbers(20)] * 50


def test_a_client_shared_by_threads(server: RawServer) -> None:
    server.route("/", numbered)
    client = httpxr.Client()

    def read() -> list[str]:
        with connect_sse(client, "GET", server.url("/?n=20")) as source:
            return data_of(source)

    assert in_threads(20, read) == [all_numbers(20)] * 20


def test_an_event_loop_in_each_thread(server: RawServer) -> None:
    server.route("/", numbered)
    client = httpxr.AsyncClient()

    async def read() -> list[str]:
        async with aconnect_sse(client, "GET", server.url("/?n=20")) as source:
            return [item.data async for item in source]

    assert in_threads(8, lambda: asyncio.run(read())) == [all_numbers(20)] * 8


def test_a_stream_goes_from_thread_to_thread(server: RawServer) -> None:
    server.route("/", numbered)
    with connect_sse(httpxr.Client(), "GET", server.url("/?n=20")) as source:
        events = iter(source)
        received = [in_threads(1, lambda: next(events).data)[0] for _ in range(20)]
    assert received == all_numbers(20)


def test_a_sync_stream_may_be_closed_by_another_thread(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    with connect_sse(httpxr.Client(), "GET", server.url()) as source:
        events = iter(source)
        assert next(events).data == "1"
        closer = threading.Timer(0.05, source.close)
        closer.start()
        with pytest.raises(httpxr.StreamClosed, match="closed before its end"):
            next(events)
        closer.join()
        server.wait_for_close(1)


# -- event loops ----------------------------------------------------------------------------------


async def test_sync_streams_work_within_a_running_loop(server: RawServer) -> None:
    server.route("/", numbered)
    with connect_sse(httpxr.Client(), "GET", server.url("/?n=5")) as source:
        received: list[str] = []
        for item in source:
            received.append(item.data)
            await asyncio.sleep(0)  # it is still this loop that runs
    assert received == all_numbers(5)
    assert asyncio.get_running_loop().is_running()


async def test_after_a_fault_a_running_loop_is_as_before(server: RawServer) -> None:
    server.route("/", sends(hold=True))
    loop = asyncio.get_running_loop()
    with pytest.raises(httpxr.ReadTimeout):
        with connect_sse(
            httpxr.Client(), "GET", server.url(), timeout=httpxr.Timeout(5.0, read=0.02)
        ) as source:
            list(source)
    assert asyncio.get_running_loop() is loop
    with pytest.raises(httpxr.ConnectError):
        with connect_sse(httpxr.Client(), "GET", "http://127.0.0.1:1/"):
            pass
    assert asyncio.get_running_loop() is loop


def test_uvloop(server: RawServer) -> None:
    uvloop = pytest.importorskip("uvloop")
    server.route("/", numbered)
    server.route("/hold", sends("1", hold=True))
    received: list[str] = []
    timeouts = 0

    async def main() -> float:
        nonlocal timeouts
        async with stream(server) as source:
            events = source.aiter_sse()
            while True:
                try:
                    received.append((await asyncio.wait_for(anext(events), 0.001)).data)
                except asyncio.TimeoutError:
                    timeouts += 1
                except StopAsyncIteration:
                    break
        async with stream(server, "/hold", timeout=httpxr.Timeout(5, read=0.05)) as source:
            events = source.aiter_sse()
            assert (await anext(events)).data == "1"
            with pytest.raises(httpxr.ReadTimeout):
                await anext(events)
            left = time.perf_counter()
        return await asyncio.to_thread(server.wait_for_close, TIMEOUT) - left

    loop = uvloop.new_event_loop()
    try:
        assert loop.run_until_complete(asyncio.wait_for(main(), TIMEOUT)) < 0.1
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    assert received == all_numbers()
    assert timeouts >= 3


def test_trio(server: RawServer) -> None:
    trio = pytest.importorskip("trio")
    server.route("/", sends("1"))

    async def main() -> None:
        async with aconnect_sse(httpxr.AsyncClient(), "GET", server.url()):
            pass

    with pytest.raises(RuntimeError, match="asyncio"):
        trio.run(main)
    assert server.connections == 0


def test_a_stream_may_be_read_on_another_loop_than_it_was_opened_on(server: RawServer) -> None:
    server.route("/", numbered)

    async def open_() -> tuple[Any, EventSource]:
        manager = aconnect_sse(httpxr.AsyncClient(), "GET", server.url("/?n=20"))
        return manager, await manager.__aenter__()

    async def read(source: EventSource) -> list[str]:
        return [item.data async for item in source]

    loop = asyncio.new_event_loop()
    _manager, source = loop.run_until_complete(open_())
    assert asyncio.run(read(source)) == all_numbers(20)
    loop.run_until_complete(_manager.__aexit__(None, None, None))
    loop.close()


# -- Wait -----------------------------------------------------------------------------------------


def wait_of(future: asyncio.Future[Any]) -> Wait:
    wait = Wait()
    wait.future = future
    return wait


async def wait_for(future: asyncio.Future[Any]) -> None:
    await wait_of(future)


async def test_a_wait_ends_with_its_future() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(wait_for(future))
    await asyncio.sleep(0)
    future.set_result(1)
    await asyncio.wait_for(task, 1)
    await asyncio.wait_for(wait_for(future), 1)  # which is done already


async def test_a_wait_raises_what_its_future_does() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(wait_for(future))
    await asyncio.sleep(0)
    future.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(task, 1)


async def test_a_wait_may_be_used_again() -> None:
    wait = Wait()

    async def await_it() -> None:
        await wait

    for _ in range(3):
        wait.future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(await_it())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        task = asyncio.create_task(await_it())
        await asyncio.sleep(0)
        wait.future.set_result(None)
        await task


@pytest.mark.parametrize("message", [None, "enough"])
async def test_a_cancelled_wait_leaves_its_future(message: str | None) -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(wait_for(future))
    await asyncio.sleep(0)
    if message is None:
        task.cancel()
    else:
        task.cancel(message)
    with pytest.raises(asyncio.CancelledError) as raised:
        await task
    if message is not None and sys.version_info >= (3, 11):
        assert raised.value.args == (message,)
    assert task.cancelled()
    assert not future.done()
    future.set_result(1)
    assert await future == 1


async def test_a_failed_wait_raises() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    wait = wait_of(future)
    assert not wait.fail(TimeoutError())  # nobody waits yet

    async def await_it() -> None:
        await wait

    task = asyncio.create_task(await_it())
    await asyncio.sleep(0)
    assert wait.fail(TimeoutError("late"))
    assert not wait.fail(TimeoutError("later"))
    with pytest.raises(TimeoutError, match=r"^late$"):
        await task
    assert not future.done()


async def test_a_wait_that_is_over_cannot_be_cancelled() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(wait_for(future))
    await asyncio.sleep(0)
    future.set_result(1)
    assert task.cancel()  # too late for the wait, so the task gets it at its next step
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_wait_keeps_the_context_of_its_task() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outer")
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def inner() -> None:
        variable.set("inner")
        await wait_of(future)
        seen.append(variable.get())

    task = asyncio.create_task(inner())
    await asyncio.sleep(0)
    future.set_result(1)
    await task
    assert (seen, variable.get()) == (["inner"], "outer")


def test_a_wait_is_what_asyncio_takes_for_a_future() -> None:
    loop = asyncio.new_event_loop()
    wait: Any = wait_of(loop.create_future())
    assert asyncio.isfuture(wait)
    assert wait.get_loop() is loop
    loop.close()


# -- PrivateLoop ----------------------------------------------------------------------------------


def test_a_private_loop_runs_until_a_future_is_done() -> None:
    loop = PrivateLoop()
    calls: list[str] = []

    def start() -> asyncio.Future[str]:
        running: object = asyncio.get_running_loop()
        assert running is loop
        future = loop.create_future()
        loop.call_soon(calls.append, "first")
        loop.call_soon_threadsafe(future.set_result, "done")
        loop.call_soon(calls.append, "never run")
        return future

    assert loop.run(start, None).result() == "done"
    assert calls == ["first"]
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_a_private_loop_stops_in_time() -> None:
    loop = PrivateLoop()
    started = time.perf_counter()
    future = loop.run(loop.create_future, 0.05)
    assert 0.04 < time.perf_counter() - started < 1
    assert not future.done()
    assert loop.run(lambda: future, 0.0) is future
    threading.Timer(0.02, loop.call_soon_threadsafe, (future.set_result, 1)).start()
    assert loop.run(lambda: future, TIMEOUT).result() == 1


def test_a_private_loop_looks_for_ctrl_c_now_and_then() -> None:
    """A wait for a lock does not notice one that came right before it."""
    loop: Any = PrivateLoop()
    future = loop.create_future()
    waits: list[float] = []

    def get(_: bool, seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            future.set_result(None)
        raise queue.Empty

    loop._handles = SimpleNamespace(get=get)
    loop.run(lambda: future, None)
    loop.run(loop.create_future, 0.01)
    assert all(0 < seconds <= 0.5 for seconds in waits)
    assert len(waits) > 3


def test_a_private_loop_runs_a_task() -> None:
    loop = PrivateLoop()
    future = loop.create_future()

    async def main() -> int:
        loop.call_soon(future.set_result, 1)
        return int(await future) + 1

    task: asyncio.Task[int] | None = None

    def start() -> asyncio.Task[int]:
        nonlocal task
        task = task or loop.create_task(main())
        return task

    assert loop.run(start, TIMEOUT).result() == 2


def test_a_private_loop_cancels() -> None:
    loop = PrivateLoop()
    calls: list[str] = []
    future = loop.create_future()
    future.add_done_callback(lambda _: calls.append("told"))
    loop.run_and_cancel(lambda: future)
    assert future.cancelled()
    assert calls == ["told"]


def test_a_private_loop_is_what_futures_need() -> None:
    loop = PrivateLoop()
    assert loop.is_running()
    assert not loop.is_closed()
    assert not loop.get_debug()
    failed = loop.create_future()
    failed.set_exception(ZeroDivisionError())
    del failed  # never retrieved, which is told to the loop, and to nobody else
    gc.collect()


def test_a_private_loop_puts_back_the_running_loop_after_an_error() -> None:
    loop = PrivateLoop()

    def start() -> asyncio.Future[int]:
        raise ZeroDivisionError

    async def main() -> None:
        outer = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            loop.run(start, None)
        assert asyncio.get_running_loop() is outer

    asyncio.run(main())


# -- AsyncChunks ----------------------------------------------------------------------------------


class Chunks:
    """An asynchronous iterator that gives what a test puts in."""

    def __init__(self) -> None:
        self.futures: list[asyncio.Future[bytes]] = []

    def __aiter__(self) -> Chunks:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]


def chunks_of(source: Any, idle_timeout: float | None = None) -> AsyncChunks:
    return AsyncChunks(source, request=None, idle_timeout=idle_timeout)


async def test_one_read_is_in_flight() -> None:
    source = Chunks()
    chunks = chunks_of(source)
    assert aiter(chunks) is chunks
    for _ in range(3):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(chunks), 0.005)
    (future,) = source.futures
    assert not future.done()
    future.set_result(b"1")
    assert await anext(chunks) == b"1"
    assert len(source.futures) == 1


async def test_one_timer_serves_many_reads() -> None:
    source = Chunks()
    chunks = chunks_of(source, idle_timeout=0.4)
    loop = asyncio.get_running_loop()
    started = loop.time()
    while loop.time() - started < 0.9:  # busy for longer than the timeout
        reading = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0.005)
        source.futures[-1].set_result(b"1")
        assert await reading == b"1"
    started = loop.time()
    with pytest.raises(httpxr.ReadTimeout, match=r"no byte from the server for 0\.4 s"):
        await anext(chunks)
    assert loop.time() - started >= 0.39


async def test_a_timer_that_nobody_waits_for_goes_off_in_silence() -> None:
    source = Chunks()
    chunks = chunks_of(source, idle_timeout=0.02)
    reading = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    source.futures[-1].set_result(b"1")
    assert await reading == b"1"
    await asyncio.sleep(0.05)  # the user does something else meanwhile
    reading = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    source.futures[-1].set_result(b"2")
    assert await reading == b"2"


async def test_a_timer_does_not_keep_a_stream_alive() -> None:
    source = Chunks()
    chunks = chunks_of(source, idle_timeout=0.03)
    reading = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    source.futures[-1].set_result(b"1")
    assert await reading == b"1"
    alive = weakref.ref(source)
    del chunks, source, reading
    gc.collect()
    assert alive() is None
    await asyncio.sleep(0.05)  # it goes off


async def test_closing_again_does_nothing() -> None:
    chunks = chunks_of(Chunks())
    await chunks.aclose()
    await chunks.aclose()
    with pytest.raises(httpxr.StreamClosed):
        await anext(chunks)


async def test_closing_cancels_the_read_in_flight() -> None:
    source = Chunks()
    chunks = chunks_of(source)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(anext(chunks), 0.005)
    await chunks.aclose()
    assert source.futures[-1].cancelled()


def test_a_stream_left_by_its_loop_is_closed_without_it() -> None:
    source = Chunks()

    async def main() -> AsyncChunks:
        chunks = chunks_of(source)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(chunks), 0.005)
        return chunks

    chunks = asyncio.run(main())
    future = source.futures[-1]
    del chunks  # its loop is closed: there is nobody to tell
    gc.collect()
    assert not future.done()
