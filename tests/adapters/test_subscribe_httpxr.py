"""`subscribe` over httpxr: what is of this adapter alone, and programs that end."""

from __future__ import annotations

import asyncio
import gc
import signal
import textwrap
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpxr
import pytest

from sse_httpxr import SSEError, asubscribe, subscribe
from sse_proto import Wait
from tests.support.drivers import TIMEOUT, driven
from tests.support.handlers import in_turn, lost, redirect, silent, status, stream
from tests.support.harness import sends
from tests.support.programs import HANDLED, NOISE, Program, posix_only
from tests.support.subscribing import DOINGS, FAST, SLOW, failure, received, subscribed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from sse_adapter import AsyncSubscription
    from sse_httpxr import ServerSentEvent
    from sse_proto import Action
    from tests.support.drivers import Driver
    from tests.support.servers import Exchange, Handler, RawServer

pytestmark = [
    pytest.mark.adapter("sse_httpxr"),
    pytest.mark.usefixtures("no_thread_left_over"),
]

# Seconds from the end of a subscription until its reader knows, and the server. On an idle machine
# it is a hundredth of that.
PROMPT: Final = 1.5


# -- requests -------------------------------------------------------------------------------------


@driven
async def test_bytearrays_are_sent_each_time(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), redirect(307, "/other"), lost, status(500)))
    server.route("/other", sends("2"))
    call: dict[str, Any] = {"method": "POST", "content": bytearray(b"q")}
    assert await received(driver, server, **call) == ["1", "2"]
    assert [request.body for request in server.requests] == [b"q"] * 6


@driven
async def test_an_asynchronous_body_is_refused(driver: Driver, server: RawServer) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"x"

    with pytest.raises(TypeError, match="content must be bytes, str or an iterable of bytes"):
        async with subscribed(driver, server, method="POST", content=content()):
            pass


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"X-Own": "a\x01b"}, "the header x-own has a control character"),
        ({"X Own": "a"}, "httpxr cannot send this request: builder error"),
    ],
)
@driven
async def test_what_cannot_be_sent_is_named(
    driver: Driver, server: RawServer, headers: dict[str, str], text: str
) -> None:
    error = await failure(driver, server, headers=headers)
    assert type(error) is httpxr.LocalProtocolError
    assert str(error) == text


@driven
async def test_a_wrong_timeout_is_refused(driver: Driver, server: RawServer) -> None:
    with pytest.raises(TypeError):
        async with subscribed(driver, server, timeout="soon") as events:
            await events.next()


# -- clients and transports -----------------------------------------------------------------------


def test_a_wrong_client_is_refused() -> None:
    wrong: Any = httpxr.AsyncClient()
    with pytest.raises(TypeError, match=r"subscribe\(\) takes an httpxr.Client, not AsyncClient;"):
        with subscribe(wrong, "GET", "http://127.0.0.1:1/"):
            pass
    wrong = None
    with pytest.raises(TypeError, match=r"^subscribe\(\) takes an httpxr.Client, not NoneType$"):
        with subscribe(wrong, "GET", "http://127.0.0.1:1/"):
            pass


async def test_a_wrong_asynchronous_client_is_refused() -> None:
    wrong: Any = httpxr.Client()
    text = r"^asubscribe\(\) takes an httpxr.AsyncClient, not Client; use subscribe\(\)$"
    with pytest.raises(TypeError, match=text):
        async with asubscribe(wrong, "GET", "http://127.0.0.1:1/"):
            pass


@driven
async def test_another_transport_may_carry_it(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2")))
    assert await received(driver, server, transport=httpxr.AsyncClient()) == ["1", "2"]


@driven
async def test_mock_transports_that_stream(driver: Driver, server: RawServer) -> None:
    class Body(httpxr.SyncByteStream, httpxr.AsyncByteStream):
        chunk = b"id: 1\ndata: 1\n\ndata: unf"

        def __iter__(self) -> Iterator[bytes]:
            yield self.chunk
            raise httpxr.ReadTimeout("its own")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self:
                yield chunk

    class Broken(Body):
        chunk = b"nothing"

    def handle(request: httpxr.Request) -> httpxr.Response:
        if request.headers.get("last-event-id"):
            return httpxr.Response(404, stream=Broken())
        headers = {"Content-Type": "text/event-stream"}
        return httpxr.Response(200, headers=headers, stream=Body())

    actions: list[Action] = []
    async with driver.client(transport=httpxr.MockTransport(handle)) as client:
        call: dict[str, Any] = {"client": client, "on_state": actions.append}
        async with subscribed(driver, server, **call) as events:
            assert (await events.next()).data == "1"
            text = "status 404 with no content type; the body begins 'not"
            with pytest.raises(SSEError, match=text):
                await events.next()
    assert isinstance(actions[1], Wait)
    assert str(actions[1].error) == "its own"


# -- garbage --------------------------------------------------------------------------------------


async def wait_for_close(server: RawServer, since: float) -> None:
    """Wait, with the event loop running, for the server to see the close: soon."""
    assert await asyncio.to_thread(server.wait_for_close, TIMEOUT) - since < PROMPT


def test_an_abandoned_subscription_closes(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    manager = subscribe(httpxr.Client(), "GET", server.url())
    events = manager.__enter__()
    assert next(events).data == "1"
    begun = time.perf_counter()
    del manager, events
    gc.collect()
    assert server.wait_for_close(TIMEOUT) - begun < PROMPT


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


@pytest.mark.parametrize("handler", DOINGS.values(), ids=DOINGS.keys())
def test_a_failed_asyncio_run_closes(server: RawServer, handler: Handler) -> None:
    server.route("/", handler)

    async def read() -> None:
        client = httpxr.AsyncClient()
        async with asubscribe(client, "GET", server.url(), reconnect=SLOW) as events:
            async for _ in events:
                pass

    async def main() -> None:
        task = asyncio.create_task(read())
        await asyncio.to_thread(server.wait_for_request, 1, TIMEOUT)
        await asyncio.sleep(0.05)  # for what is done about its answer
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
