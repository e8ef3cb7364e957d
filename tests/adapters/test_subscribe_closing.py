"""The end of a subscription, whatever it is doing: at once, and the server sees it.

It may be waiting to connect again, opening a connection, reading one, or reading a refusal.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import textwrap
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpxr
import pytest

from sse_httpxr import ReconnectPolicy, SSEError, asubscribe, subscribe
from sse_proto import Open, ReadyState, Stop, Wait
from tests.adapters.test_closing import HANDLED, NOISE, Program, posix_only
from tests.adapters.test_subscribe import FAST, in_turn, status, stream, subscribed
from tests.support.harness import data_of, event, sends

if TYPE_CHECKING:
    from collections.abc import Generator

    from sse_adapter import AsyncSubscription, Subscription
    from sse_httpxr import ServerSentEvent
    from sse_proto import Action
    from tests.support.harness import Mode
    from tests.support.servers import Exchange, Handler, RawServer

# Seconds from the end of a subscription until its reader knows, and the server. On an idle machine
# it is a hundredth of that.
PROMPT: Final = 0.5
# Seconds after which a test gives up.
TIMEOUT: Final = 10.0
# Waits that no test waits for.
SLOW: Final = ReconnectPolicy(initial_delay=60.0)


@pytest.fixture(autouse=True)
def no_thread_left_over(server: RawServer) -> Generator[None]:
    before = set(threading.enumerate())
    yield
    server.stop()
    left = set(threading.enumerate()) - before
    # The default executor of an event loop, which pytest-asyncio ends later.
    assert not {thread for thread in left if not thread.name.startswith("asyncio_")}


def silent(exchange: Exchange) -> None:
    """Send nothing, no header either."""
    exchange.wait_closed(TIMEOUT)


def slow_refusal(exchange: Exchange) -> None:
    """Refuse, with a body that does not go on."""
    exchange.start(404, content_type="text/plain")
    exchange.send(b"not here")
    exchange.wait_closed(TIMEOUT)


# What a subscription may be doing: how the server gets it there.
DOINGS: Final[dict[str, Handler]] = {
    "waiting": status(503, ("Connection", "close")),
    "opening": silent,
    "reading": stream(b": nothing\n\n", hold=True),
    "reading on": sends("1", hold=True),
    "reading a refusal": slow_refusal,
}
# And the hook that may close it while it does. (No response comes while it is opening.)
HOOKED: Final = [
    ("request", "opening"),
    *(("response", what) for what in DOINGS if what != "opening"),
]
doing = pytest.mark.parametrize("handler", DOINGS.values(), ids=DOINGS.keys())
hooked = pytest.mark.parametrize(("kind", "what"), HOOKED)


def wait_until_doing(server: RawServer) -> None:
    server.wait_for_request(1, TIMEOUT)
    time.sleep(0.05)  # for what is done about its answer


@contextmanager
def ends_promptly(server: RawServer) -> Generator[None]:
    """Assert that this block is over soon, and the connection is closed."""
    begun = time.perf_counter()
    yield
    assert time.perf_counter() - begun < PROMPT
    assert server.wait_for_close(TIMEOUT) - begun < PROMPT


class Reader:
    """A thread that reads a subscription to its end."""

    def __init__(self, events: Subscription[httpxr.Response]) -> None:
        self.received: Final[list[str]] = []
        self._error: BaseException | None = None
        self._events: Final = events
        self._thread: Final = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            self.received.extend(item.data for item in self._events)
        except BaseException as error:
            self._error = error

    def join(self) -> None:
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error


async def read_all(events: AsyncSubscription[httpxr.Response]) -> list[str]:
    return [item.data async for item in events]


async def until_doing(server: RawServer) -> None:
    await asyncio.to_thread(wait_until_doing, server)


async def wait_for_close(server: RawServer, since: float) -> None:
    """Wait, with the event loop running, for the server to see the close: soon."""
    assert await asyncio.to_thread(server.wait_for_close, TIMEOUT) - since < PROMPT


# -- close ----------------------------------------------------------------------------------------


@doing
def test_close_from_another_thread(server: RawServer, handler: Handler) -> None:
    server.route("/", handler)
    actions: list[Action] = []
    client = httpxr.Client()
    with subscribe(client, "GET", server.url(), reconnect=SLOW, on_state=actions.append) as events:
        reader = Reader(events)
        wait_until_doing(server)
        with ends_promptly(server):
            events.close()
            assert events.state is ReadyState.CLOSED
            reader.join()
        assert reader.received in ([], ["1"])
        assert list(events) == []
    # A refusal had been judged by then.
    assert actions[-1:] == [Stop("closed")] or handler is slow_refusal
    assert len(server.requests) == 1


@doing
async def test_aclose_from_another_task(server: RawServer, handler: Handler) -> None:
    server.route("/", handler)
    actions: list[Action] = []
    client = httpxr.AsyncClient()
    async with asubscribe(
        client, "GET", server.url(), reconnect=SLOW, on_state=actions.append
    ) as events:
        reader = asyncio.create_task(read_all(events))
        await until_doing(server)
        begun = time.perf_counter()
        await events.aclose()
        assert events.state is ReadyState.CLOSED
        assert await reader in ([], ["1"])
        assert time.perf_counter() - begun < PROMPT
        await wait_for_close(server, begun)
        assert await read_all(events) == []
    assert actions[-1:] == [Stop("closed")] or handler is slow_refusal
    assert len(server.requests) == 1
    assert len(asyncio.all_tasks()) == 1


def test_close_between_events(mode: Mode, server: RawServer) -> None:
    server.route("/", stream(event("1") + event("2"), hold=True))
    with subscribed(mode, server) as events:
        assert next(events).data == "1"
        with ends_promptly(server):
            events.close()
        assert data_of(events) == []  # the second one was there already
        events.close()
        assert events.subscription.state is ReadyState.CLOSED


def test_close_before_the_first_event(mode: Mode, server: RawServer) -> None:
    with subscribed(mode, server) as events:
        events.close()
        assert data_of(events) == []
    assert server.connections == 0


def test_after_the_block_there_are_no_events(mode: Mode, server: RawServer) -> None:
    server.route("/", stream(event("1") + event("2"), hold=True))
    with subscribed(mode, server) as events:
        assert next(events).data == "1"
    assert data_of(events) == []
    server.wait_for_close(TIMEOUT)


def test_closing_after_the_end_changes_nothing(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(sends("1")))
    actions: list[Action] = []
    with subscribed(mode, server, on_state=actions.append) as events:
        assert data_of(events) == ["1"]
        told = len(actions)
        events.close()
    assert len(actions) == told


@pytest.mark.parametrize("kind", [Open, Wait])
def test_on_state_may_close_it(server: RawServer, kind: type[Action]) -> None:
    server.route("/", in_turn(sends("1"), sends("2"), sends("3")))
    actions: list[Action] = []

    def close(action: Action) -> None:
        actions.append(action)
        if isinstance(action, kind):
            events.close()

    client = httpxr.Client()
    with subscribe(client, "GET", server.url(), reconnect=FAST, on_state=close) as events:
        received = data_of(events)
    assert received == ([] if kind is Open else ["1"])
    assert isinstance(actions[-2], kind)
    assert actions[-1] == Stop("closed")
    assert len(server.requests) == 1


@hooked
def test_a_hook_may_close_it(server: RawServer, kind: str, what: str) -> None:
    server.route("/", DOINGS[what])

    def close(_: object) -> None:
        events.close()

    client = httpxr.Client(event_hooks={kind: [close]})
    with subscribe(client, "GET", server.url(), reconnect=SLOW) as events:
        begun = time.perf_counter()
        assert list(events) == []
        assert time.perf_counter() - begun < PROMPT
    if server.connections:
        server.wait_for_close(TIMEOUT)


@hooked
async def test_an_asynchronous_hook_may_close_it(server: RawServer, kind: str, what: str) -> None:
    server.route("/", DOINGS[what])

    async def close(_: object) -> None:
        await events.aclose()

    client = httpxr.AsyncClient(event_hooks={kind: [close]})
    async with asubscribe(client, "GET", server.url(), reconnect=SLOW) as events:
        begun = time.perf_counter()
        assert await asyncio.wait_for(read_all(events), TIMEOUT) == []
        assert time.perf_counter() - begun < PROMPT
    if server.connections:
        await asyncio.to_thread(server.wait_for_close, TIMEOUT)
    assert len(asyncio.all_tasks()) == 1


def test_it_is_closed_and_not_lost_if_both_at_once(server: RawServer) -> None:
    def handle(request: httpxr.Request) -> httpxr.Response:
        events.close()
        raise httpxr.ConnectError("no", request=request)

    actions: list[Action] = []
    client = httpxr.Client(transport=httpxr.MockTransport(handle))
    with subscribe(client, "GET", server.url(), on_state=actions.append) as events:
        assert list(events) == []
    assert actions == [Stop("closed")]


def test_close_at_any_moment(server: RawServer) -> None:
    """From another thread, while it connects, reads and waits as fast as it can."""
    pause = random.Random(1)

    def busy(exchange: Exchange) -> None:
        exchange.start()
        for _ in range(exchange.connection % 7):
            exchange.send(event("1") + event("2"))

    server.route("/", busy)
    policy = ReconnectPolicy(initial_delay=0.0005, max_backoff=0.0)
    client = httpxr.Client()
    for _ in range(100):
        with subscribe(client, "GET", server.url(), reconnect=policy) as events:
            reader = Reader(events)
            time.sleep(pause.uniform(0.0, 0.01))
            events.close()
            reader.join()


async def test_aclose_at_any_moment(server: RawServer) -> None:
    pause = random.Random(1)

    def busy(exchange: Exchange) -> None:
        exchange.start()
        for _ in range(exchange.connection % 7):
            exchange.send(event("1") + event("2"))

    server.route("/", busy)
    policy = ReconnectPolicy(initial_delay=0.0005, max_backoff=0.0)
    client = httpxr.AsyncClient()
    for _ in range(100):
        async with asubscribe(client, "GET", server.url(), reconnect=policy) as events:
            reader = asyncio.create_task(read_all(events))
            await asyncio.sleep(pause.uniform(0.0, 0.01))
            await events.aclose()
            await asyncio.wait_for(reader, TIMEOUT)
    assert len(asyncio.all_tasks()) == 1


# -- leaving the block ----------------------------------------------------------------------------


def test_break_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    with subscribed(mode, server) as events:
        for _ in events:
            break
        begun = time.perf_counter()
    assert server.wait_for_close(TIMEOUT) - begun < PROMPT


def test_an_exception_in_the_block_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    # The exception is kept, with its traceback and the frames that had the subscription.
    with pytest.raises(ZeroDivisionError) as kept, subscribed(mode, server) as events:
        assert 1 / (len(next(events).data) - 1)
    server.wait_for_close(TIMEOUT)
    assert kept.value.__traceback__ is not None


def test_a_failure_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    with subscribed(mode, server, reconnect=None, idle_timeout=0.1) as events:
        assert next(events).data == "1"
        with pytest.raises(httpxr.ReadTimeout) as kept:
            next(events)
        server.wait_for_close(TIMEOUT)  # in the block, as it is the end
    assert kept.value.__traceback__ is not None


def test_a_lost_connection_is_closed_before_the_next(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    call: dict[str, Any] = {"idle_timeout": 0.05}
    with subscribed(mode, server, **call) as events:
        for _ in range(4):
            assert next(events).data == "1"
        assert server.open_connections <= 2


def test_closing_the_generator_around_it_closes(server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))

    def data() -> Generator[str]:
        with subscribe(httpxr.Client(), "GET", server.url()) as events:
            for item in events:
                yield item.data

    generator = data()
    assert next(generator) == "1"
    with ends_promptly(server):
        generator.close()


def test_an_abandoned_subscription_closes(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    manager = subscribe(httpxr.Client(), "GET", server.url())
    events = manager.__enter__()
    assert next(events).data == "1"
    with ends_promptly(server):
        del manager, events
        gc.collect()


async def test_an_abandoned_asynchronous_subscription_closes(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    manager = asubscribe(httpxr.AsyncClient(), "GET", server.url())
    events = await manager.__aenter__()
    assert (await anext(events)).data == "1"
    begun = time.perf_counter()
    del manager, events
    gc.collect()
    await wait_for_close(server, begun)


async def test_one_abandoned_while_it_opens_closes(server: RawServer) -> None:
    server.route("/", silent)
    manager = asubscribe(httpxr.AsyncClient(), "GET", server.url())
    events = await manager.__aenter__()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(anext(events), 0.2)
    begun = time.perf_counter()
    del manager, events
    gc.collect()
    await wait_for_close(server, begun)
    assert len(asyncio.all_tasks()) == 1


# -- cancelled tasks ------------------------------------------------------------------------------


@doing
async def test_a_cancelled_task_closes(server: RawServer, handler: Handler) -> None:
    server.route("/", handler)

    async def read() -> None:
        client = httpxr.AsyncClient()
        async with asubscribe(client, "GET", server.url(), reconnect=SLOW) as events:
            await read_all(events)

    task = asyncio.create_task(read())
    await until_doing(server)
    begun = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.perf_counter() - begun < PROMPT
    await wait_for_close(server, begun)
    assert len(asyncio.all_tasks()) == 1


@doing
def test_a_failed_asyncio_run_closes(server: RawServer, handler: Handler) -> None:
    server.route("/", handler)

    async def read() -> None:
        client = httpxr.AsyncClient()
        async with asubscribe(client, "GET", server.url(), reconnect=SLOW) as events:
            await read_all(events)

    async def main() -> None:
        task = asyncio.create_task(read())
        await until_doing(server)
        assert not task.done()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())
    server.wait_for_close(TIMEOUT)


async def poll(
    events: AsyncSubscription[httpxr.Response], seconds: float
) -> tuple[ServerSentEvent, int]:
    """Ask for an event again and again; return it, and how often it was in vain."""
    timeouts = 0
    while True:
        try:
            return await asyncio.wait_for(anext(events), seconds), timeouts
        except asyncio.TimeoutError:
            timeouts += 1


async def test_a_wait_goes_on_after_it_was_cancelled(server: RawServer) -> None:
    server.route("/", in_turn(status(503), sends("1")))
    policy = ReconnectPolicy(initial_delay=0.3, max_backoff=0.0)
    async with asubscribe(httpxr.AsyncClient(), "GET", server.url(), reconnect=policy) as events:
        item, timeouts = await asyncio.wait_for(poll(events, 0.02), TIMEOUT)
    assert item.data == "1"
    assert timeouts >= 3
    assert len(server.requests) == 2


async def test_an_opening_goes_on_after_it_was_cancelled(server: RawServer) -> None:
    @server.route("/")
    def slow(exchange: Exchange) -> None:
        exchange.stalled(0.3)
        sends("1")(exchange)

    async with asubscribe(httpxr.AsyncClient(), "GET", server.url(), reconnect=SLOW) as events:
        item, timeouts = await asyncio.wait_for(poll(events, 0.02), TIMEOUT)
    assert item.data == "1"
    assert timeouts >= 3
    assert len(server.requests) == 1


async def test_silence_goes_on_after_a_read_was_cancelled(server: RawServer) -> None:
    server.route("/", in_turn(stream(b":\n", hold=True), sends("1")))
    actions: list[Action] = []
    async with asubscribe(
        httpxr.AsyncClient(),
        "GET",
        server.url(),
        reconnect=FAST,
        idle_timeout=0.3,
        on_state=actions.append,
    ) as events:
        item, timeouts = await asyncio.wait_for(poll(events, 0.02), TIMEOUT)
    assert item.data == "1"
    assert timeouts >= 3
    assert isinstance(actions[1], Wait)
    assert str(actions[1].error) == "no byte from the server for 0.3 s"
    assert len(server.requests) == 2


async def test_reading_a_refusal_is_cancelled_but_not_the_refusal(server: RawServer) -> None:
    server.route("/", slow_refusal)
    async with asubscribe(httpxr.AsyncClient(), "GET", server.url(), reconnect=FAST) as events:
        task = asyncio.ensure_future(anext(events))
        await until_doing(server)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(2):
            with pytest.raises(SSEError, match="expected status 200, got status 404"):
                await anext(events)
        await asyncio.to_thread(server.wait_for_close, TIMEOUT)
    assert len(server.requests) == 1


async def test_a_cancellation_and_a_close_at_once(server: RawServer) -> None:
    server.route("/", silent)
    async with asubscribe(httpxr.AsyncClient(), "GET", server.url()) as events:
        task = asyncio.ensure_future(anext(events))
        await until_doing(server)
        task.cancel()
        await events.aclose()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_for_close, TIMEOUT)
    assert len(asyncio.all_tasks()) == 1


async def test_a_task_of_ours_that_is_cancelled_alone_says_so(server: RawServer) -> None:
    def hook(_: object) -> None:
        raise asyncio.CancelledError

    client = httpxr.AsyncClient(event_hooks={"request": [hook]})
    async with asubscribe(client, "GET", server.url()) as events:
        with pytest.raises(asyncio.CancelledError):
            await anext(events)


# -- programs that end ----------------------------------------------------------------------------

PRELUDE: Final = """
from sse_httpxr import ReconnectPolicy, asubscribe, subscribe

logging.getLogger("sse_httpxr").setLevel(logging.ERROR)
policy = ReconnectPolicy(initial_delay=60)
"""
READ: Final = """
def main():
    with subscribe(httpxr.Client(), "GET", url, reconnect=policy) as events:
        for event in events:
            put(event.data)
"""
ASYNC_READ: Final = """
async def read():
    async with asubscribe(httpxr.AsyncClient(), "GET", url, reconnect=policy) as events:
        async for event in events:
            put(event.data)

def main():
    asyncio.run(read())
"""


@contextmanager
def interrupted(server: RawServer, code: str, what: str) -> Generator[Program]:
    """Start a program, and interrupt it when it does something; its server sees the end soon."""
    server.route("/", DOINGS[what])
    with Program(PRELUDE + code, server.url()) as program:
        if what == "reading on":
            assert program.read_line() == "1"
        server.wait_for_request(1, 2 * TIMEOUT)
        time.sleep(0.2)  # for it to get back to what it waits for
        begun = program.interrupt()
        yield program
        assert server.wait_for_close(TIMEOUT) - begun < PROMPT


@posix_only
@pytest.mark.parametrize("code", [READ, ASYNC_READ], ids=["sync", "async"])
class TestCtrlC:
    @pytest.mark.parametrize("what", ["waiting", "opening", "reading on"])
    def test_is_raised_at_once(self, server: RawServer, code: str, what: str) -> None:
        with interrupted(server, code + HANDLED, what) as program:
            assert program.end() == (0, "interrupted\n", "")

    def test_ends_a_program_with_nothing_but_its_traceback(
        self, server: RawServer, code: str
    ) -> None:
        with interrupted(server, code + "\nmain()\n", "reading on") as program:
            status, stdout, stderr = program.end()
        assert (status, stdout) == (-signal.SIGINT, "")
        assert stderr.endswith("\nKeyboardInterrupt\n")
        assert not [noise for noise in NOISE if noise in stderr], stderr


EXITS: Final = {
    "open": """
        manager = subscribe(httpxr.Client(), "GET", url)
        put(next(manager.__enter__()).data)
    """,
    "async open": """
        async def main():
            manager = asubscribe(httpxr.AsyncClient(), "GET", url)
            events = await manager.__aenter__()
            put((await anext(events)).data)
            return manager, events

        kept = asyncio.run(main())
    """,
    "async task": """
        async def read(events):
            async for event in events:
                put(event.data)

        async def main():
            manager = asubscribe(httpxr.AsyncClient(), "GET", url)
            events = await manager.__aenter__()
            task = asyncio.create_task(read(events))
            await asyncio.sleep(0.3)
            return manager, events, task

        kept = asyncio.run(main())
    """,
    "daemon thread": """
        def read():
            with subscribe(httpxr.Client(), "GET", url) as events:
                for event in events:
                    put(event.data)
                    is_reading.set()

        is_reading = threading.Event()
        threading.Thread(target=read, daemon=True).start()
        assert is_reading.wait(10)
        time.sleep(0.05)
    """,
}


@pytest.mark.parametrize("code", EXITS.values(), ids=EXITS.keys())
def test_the_interpreter_exits_in_silence(server: RawServer, code: str) -> None:
    server.route("/", sends("1", hold=True))
    with Program(PRELUDE + textwrap.dedent(code), server.url()) as program:
        assert program.end() == (0, "1\n", "")
    server.wait_for_close(TIMEOUT)
