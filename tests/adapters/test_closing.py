"""The end of a stream, however it comes: the connection closes at once, and nothing is left.

That it has closed is what the server says. Programs that end run in processes of their own, with
all warnings as errors, and have to end in silence.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import textwrap
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpxr
import pytest

from sse_httpxr import EventSource, SSEError, aconnect_sse, connect_sse
from tests.support.handlers import silent
from tests.support.harness import Mode, event, sends
from tests.support.programs import HANDLED, NOISE, Program, posix_only

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.servers import Exchange, RawServer

pytestmark = pytest.mark.usefixtures("no_thread_left_over")

# Seconds from the end of a stream until the server has seen it.
PROMPT: Final = 0.5
# Seconds after which a test gives up.
TIMEOUT: Final = 10.0


def busy(exchange: Exchange) -> None:
    """Send events without end, so that there is always something on its way to the client."""
    exchange.start()
    while True:
        exchange.send(event("1"))
        time.sleep(0.001)


@contextmanager
def closes(server: RawServer) -> Generator[None]:
    """Assert that a connection closes in this block, or very soon after its end."""
    yield
    left = time.perf_counter()
    assert server.wait_for_close(TIMEOUT) - left < PROMPT


async def wait_for_close(server: RawServer) -> float:
    """Wait, with the event loop running, until the server has seen the close; return when."""
    return await asyncio.to_thread(server.wait_for_close, TIMEOUT)


# -- leaving the block ----------------------------------------------------------------------------


def test_break_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    with closes(server):
        with mode.open(mode.client(), "GET", server.url()) as stream:
            for _ in stream:
                break


def test_leaving_unread_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    with closes(server):
        with mode.open(mode.client(), "GET", server.url()):
            pass


def test_return_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))

    def first() -> str:
        with mode.open(mode.client(), "GET", server.url()) as stream:
            for item in stream:
                return item.data
        raise AssertionError("no event")

    with closes(server):
        assert first() == "1"


def test_an_exception_in_the_block_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    with closes(server):
        # The exception is kept, with its traceback and the frames that had the stream.
        with pytest.raises(ZeroDivisionError) as kept:
            with mode.open(mode.client(), "GET", server.url()) as stream:
                assert 1 / (len(next(stream).data) - 1)
    assert kept.value.__traceback__ is not None


def test_a_fault_while_iterating_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    with closes(server):
        with pytest.raises(httpxr.ReadTimeout) as kept:
            with mode.open(
                mode.client(), "GET", server.url(), timeout=httpxr.Timeout(5.0, read=0.05)
            ) as stream:
                list(stream)
    assert kept.value.__traceback__ is not None


def test_refusing_a_response_closes(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def not_found(exchange: Exchange) -> None:
        exchange.start(404, content_type="text/plain")
        exchange.send(b"nothing here" * 100)
        exchange.wait_closed(TIMEOUT)

    with mode.open(mode.client(), "GET", server.url()) as stream:
        with closes(server), pytest.raises(SSEError) as kept:  # still in the block
            next(stream)
    assert kept.value.response is stream.response


def test_the_end_of_the_stream_needs_no_close(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    client = mode.client()
    for _ in range(3):
        assert [item.data for item in mode.collect(client, "GET", server.url())] == ["1"]
    assert server.open_connections <= 2  # back in the pool, if sometimes a little late


# -- closing it by hand ---------------------------------------------------------------------------


def test_close_of_the_source_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    with mode.open(mode.client(), "GET", server.url()) as stream:
        assert next(stream).data == "1"
        with closes(server):
            stream.close()
        stream.close()  # once more does nothing


def test_after_a_close_iterating_says_so(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    with mode.open(mode.client(), "GET", server.url()) as stream:
        stream.close()
        for _ in range(2):
            with pytest.raises(httpxr.StreamClosed, match="closed before its end"):
                next(stream)
        stream.restart()
        with pytest.raises(httpxr.StreamClosed, match="closed before its end"):
            next(stream)


def test_after_the_block_iterating_says_so(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    with mode.open(mode.client(), "GET", server.url()) as stream:
        assert next(stream).data == "1"
    with pytest.raises(httpxr.StreamClosed, match="closed before its end"):
        next(stream)


def test_after_the_end_a_close_changes_nothing(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    with mode.open(mode.client(), "GET", server.url()) as stream:
        assert len(list(stream)) == 1
        stream.close()
        assert list(stream) == []
    assert list(stream) == []


def test_close_of_an_iterator_closes(server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    with connect_sse(httpxr.Client(), "GET", server.url()) as source:
        events = source.iter_sse()
        assert next(events).data == "1"
        with closes(server):
            events.close()


def test_close_of_a_json_iterator_closes(server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    with connect_sse(httpxr.Client(), "GET", server.url()) as source:
        objects = source.iter_json()
        assert next(objects) == 1
        with closes(server):
            objects.close()


async def test_aclose_of_an_iterator_closes(server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    async with aconnect_sse(httpxr.AsyncClient(), "GET", server.url()) as source:
        events = source.aiter_sse()
        assert (await anext(events)).data == "1"
        left = time.perf_counter()
        await events.aclose()
        assert await wait_for_close(server) - left < PROMPT


async def test_aclose_of_a_json_iterator_closes(server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    async with aconnect_sse(httpxr.AsyncClient(), "GET", server.url()) as source:
        objects = source.aiter_json()
        assert await anext(objects) == 1
        left = time.perf_counter()
        await objects.aclose()
        assert await wait_for_close(server) - left < PROMPT


def test_closing_the_generator_around_a_stream_closes_it(server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))

    def data() -> Generator[str]:
        with connect_sse(httpxr.Client(), "GET", server.url()) as source:
            for item in source:
                yield item.data

    generator = data()
    assert next(generator) == "1"
    with closes(server):
        generator.close()


# -- garbage --------------------------------------------------------------------------------------


def test_an_abandoned_source_closes(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    manager = connect_sse(httpxr.Client(), "GET", server.url())
    source = manager.__enter__()
    assert next(iter(source)).data == "1"
    with closes(server):
        del manager, source
        gc.collect()


def test_an_abandoned_source_closes_after_a_timeout(server: RawServer) -> None:
    server.route("/", sends(hold=True))
    manager = connect_sse(
        httpxr.Client(), "GET", server.url(), timeout=httpxr.Timeout(5.0, read=0.05)
    )
    source = manager.__enter__()
    with pytest.raises(httpxr.ReadTimeout):
        next(iter(source))
    with closes(server):
        del manager, source
        gc.collect()


@pytest.mark.parametrize("is_read", [True, False])
async def test_an_abandoned_asynchronous_source_closes(server: RawServer, is_read: bool) -> None:
    server.route("/", sends("1", hold=True))
    manager = aconnect_sse(httpxr.AsyncClient(), "GET", server.url())
    source = await manager.__aenter__()
    if is_read:
        assert (await anext(aiter(source))).data == "1"
    del manager, source
    gc.collect()
    left = time.perf_counter()
    assert await wait_for_close(server) - left < PROMPT


async def test_an_abandoned_source_of_a_foreign_response_closes(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    client = httpxr.AsyncClient()
    source = EventSource(await client.request("GET", server.url(), stream=True))
    assert (await anext(aiter(source))).data == "1"
    del source
    gc.collect()
    left = time.perf_counter()
    assert await wait_for_close(server) - left < PROMPT


async def test_a_source_abandoned_with_a_read_under_way_closes(server: RawServer) -> None:
    server.route("/", sends(hold=True))
    client = httpxr.AsyncClient()
    source = EventSource(await client.request("GET", server.url(), stream=True))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(anext(aiter(source)), 0.05)
    del source
    gc.collect()
    left = time.perf_counter()
    assert await wait_for_close(server) - left < PROMPT


def test_a_source_abandoned_after_its_event_loop_closes(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    client = httpxr.AsyncClient()

    async def main() -> EventSource:
        source = EventSource(await client.request("GET", server.url(), stream=True))
        assert (await anext(aiter(source))).data == "1"
        return source

    source = asyncio.run(main())
    with closes(server):
        del source


def test_a_source_abandoned_in_another_thread_closes(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    manager = connect_sse(httpxr.Client(), "GET", server.url())
    box = [manager, manager.__enter__()]
    del manager
    thread = threading.Thread(target=box.clear)
    with closes(server):
        thread.start()
        thread.join()


# -- cancelled tasks ------------------------------------------------------------------------------


async def read(url: str, received: list[str]) -> None:
    async with aconnect_sse(httpxr.AsyncClient(), "GET", url) as source:
        async for item in source:
            received.append(item.data)  # noqa: PERF401  # seen before the end


async def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.perf_counter() + TIMEOUT
    while not condition():
        assert time.perf_counter() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


async def test_a_task_cancelled_while_it_waits_for_an_event_closes(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    received: list[str] = []
    task = asyncio.create_task(read(server.url(), received))
    await wait_until(lambda: received)
    left = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await wait_for_close(server) - left < PROMPT


async def test_a_task_cancelled_while_it_waits_for_the_headers_closes(server: RawServer) -> None:
    server.route("/", silent)
    task = asyncio.create_task(read(server.url(), []))
    await wait_until(lambda: server.requests)
    left = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await wait_for_close(server) - left < PROMPT


async def test_a_task_cancelled_while_it_follows_a_redirect_closes(server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(307, [("Location", "/silent")]))
    server.route("/silent", silent)
    task = asyncio.create_task(read(server.url(), []))
    await wait_until(lambda: len(server.requests) == 2)
    left = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await wait_for_close(server) - left < PROMPT


async def test_a_task_cancelled_as_it_starts_opens_nothing(server: RawServer) -> None:
    server.route("/", sends(hold=True))
    task = asyncio.create_task(read(server.url(), []))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert server.open_connections == 0


def test_no_headers_in_time_closes(mode: Mode, server: RawServer) -> None:
    server.route("/", silent)
    with closes(server):
        with pytest.raises(httpxr.ReadTimeout, match=r"no response headers within 0\.05 s"):
            with mode.open(mode.client(), "GET", server.url(), timeout=0.05):
                pass


def test_a_failed_asyncio_run_closes(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))

    async def main() -> None:
        async with aconnect_sse(httpxr.AsyncClient(), "GET", server.url()) as source:
            async for _ in source:
                raise ZeroDivisionError

    with closes(server), pytest.raises(ZeroDivisionError):
        asyncio.run(main())


@pytest.mark.parametrize("path", ["/", "/silent"])
def test_asyncio_run_that_fails_elsewhere_closes(server: RawServer, path: str) -> None:
    server.route("/", sends("1", hold=True))
    server.route("/silent", silent)

    async def main() -> None:
        task = asyncio.create_task(read(server.url(path), []))
        await wait_until(lambda: server.requests)
        await asyncio.sleep(0.02)
        assert not task.done()
        raise ZeroDivisionError

    with closes(server), pytest.raises(ZeroDivisionError):
        asyncio.run(main())


def test_asyncio_run_closes_what_was_left_open(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    kept: list[object] = []

    async def main() -> None:
        manager = aconnect_sse(httpxr.AsyncClient(), "GET", server.url())
        source = await manager.__aenter__()
        kept.extend((manager, source))
        assert (await anext(aiter(source))).data == "1"

    with closes(server):
        asyncio.run(main())


# -- nothing grows --------------------------------------------------------------------------------

CYCLES: Final = 1000
GROWTH: Final = 24 * 1024 * 1024  # bytes; the server, in this process too, keeps its requests


def resident() -> int:
    """Return the memory of this process, in bytes; 0 where that is not to be seen."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """Return how many files this process has open; 0 where that is not to be seen."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def all_closed(server: RawServer) -> bool:
    return server.open_connections == 0


def test_a_thousand_streams_leave_nothing(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    client = httpxr.Client()

    def cycles(n: int) -> None:
        for _ in range(n):
            with connect_sse(client, "GET", server.url()) as source:
                for item in source:
                    assert item.data == "1"
                    break
        asyncio.run(wait_until(lambda: all_closed(server)))
        gc.collect()

    cycles(50)
    before, open_before = resident(), descriptors()
    threads = threading.active_count()
    cycles(CYCLES)
    assert descriptors() <= open_before + 5
    assert resident() - before < GROWTH
    asyncio.run(wait_until(lambda: threading.active_count() <= threads))


async def test_a_thousand_asynchronous_streams_leave_nothing(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    client = httpxr.AsyncClient()

    async def cycles(n: int) -> None:
        for number in range(n):
            async with aconnect_sse(client, "GET", server.url()) as source:
                events = aiter(source)
                assert (await anext(events)).data == "1"
                if number % 2:  # half of them closed with a read under way
                    task = asyncio.ensure_future(anext(events))
                    await asyncio.sleep(0)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
        await wait_until(lambda: all_closed(server))
        gc.collect()

    await cycles(50)
    before, open_before = resident(), descriptors()
    threads = threading.active_count()
    await cycles(CYCLES)
    assert descriptors() <= open_before + 5
    assert resident() - before < GROWTH
    await wait_until(lambda: threading.active_count() <= threads)
    assert len(asyncio.all_tasks()) == 1


# -- programs that end ----------------------------------------------------------------------------

READ: Final = """
def main():
    with connect_sse(httpxr.Client(), "GET", url) as source:
        for event in source:
            put(event.data)
"""
ASYNC_READ: Final = """
async def read():
    async with aconnect_sse(httpxr.AsyncClient(), "GET", url) as source:
        async for event in source:
            put(event.data)

def main():
    asyncio.run(read())
"""


@contextmanager
def reading_program(server: RawServer, code: str, path: str) -> Generator[Program]:
    """Start a program that reads a stream; go on when it waits for the server."""
    server.route("/", sends("1", hold=True))
    server.route("/silent", silent)
    with Program(code, server.url(path)) as program:
        if path == "/":
            assert program.read_line() == "1"
        server.wait_for_request(1, TIMEOUT)
        time.sleep(0.05)  # for it to get back to its read
        yield program


@posix_only
@pytest.mark.parametrize("path", ["/", "/silent"])
@pytest.mark.parametrize("code", [READ, ASYNC_READ], ids=["sync", "async"])
class TestCtrlC:
    def test_is_raised_at_once_and_closes(self, server: RawServer, code: str, path: str) -> None:
        with reading_program(server, code + HANDLED, path) as program:
            left = program.interrupt()
            assert server.wait_for_close(TIMEOUT) - left < PROMPT
            assert program.end() == (0, "interrupted\n", "")

    def test_ends_a_program_with_nothing_but_its_traceback(
        self, server: RawServer, code: str, path: str
    ) -> None:
        with reading_program(server, code + "\nmain()\n", path) as program:
            left = program.interrupt()
            assert server.wait_for_close(TIMEOUT) - left < PROMPT
            status, stdout, stderr = program.end()
        assert (status, stdout) == (-signal.SIGINT, "")
        assert stderr.startswith("Traceback (most recent call last):\n")
        assert stderr.endswith("\nKeyboardInterrupt\n")
        assert not [noise for noise in NOISE if noise in stderr], stderr


EXITS: Final = {
    "open": """
        manager = connect_sse(httpxr.Client(), "GET", url)
        events = iter(manager.__enter__())
        put(next(events).data)
    """,
    "exit in the block": """
        with connect_sse(httpxr.Client(), "GET", url) as source:
            for event in source:
                put(event.data)
                sys.exit()
    """,
    "abandoned in a cycle": """
        manager = connect_sse(httpxr.Client(), "GET", url)
        cycle = [manager, manager.__enter__()]
        cycle.append(cycle)
        put(next(iter(cycle[1])).data)
        del manager, cycle
    """,
    "async open": """
        async def main():
            manager = aconnect_sse(httpxr.AsyncClient(), "GET", url)
            source = await manager.__aenter__()
            put((await anext(aiter(source))).data)
            return manager, source

        kept = asyncio.run(main())
    """,
    "async response of another": """
        async def main():
            client = httpxr.AsyncClient()
            source = EventSource(await client.request("GET", url, stream=True))
            put((await anext(aiter(source))).data)
            return client, source

        kept = asyncio.run(main())
    """,
    "async unread": """
        async def main():
            manager = aconnect_sse(httpxr.AsyncClient(), "GET", url)
            kept = manager, await manager.__aenter__()
            put(1)
            return kept

        loop = asyncio.new_event_loop()
        kept = loop.run_until_complete(main())
    """,
    "async task": """
        async def read(source):
            async for event in source:
                pass

        async def main():
            manager = aconnect_sse(httpxr.AsyncClient(), "GET", url)
            source = await manager.__aenter__()
            put((await anext(aiter(source))).data)
            task = asyncio.create_task(read(source))
            await asyncio.sleep(0.02)
            return manager, source, task

        kept = asyncio.run(main())
    """,
}


@pytest.mark.parametrize("handler", [sends("1", hold=True), busy], ids=["quiet", "busy"])
@pytest.mark.parametrize("code", EXITS.values(), ids=EXITS.keys())
def test_the_interpreter_exits_in_silence_with_a_stream(
    server: RawServer, code: str, handler: Callable[[Exchange], object]
) -> None:
    server.route("/", handler)
    with Program(code, server.url()) as program:
        assert program.end() == (0, "1\n", "")
    server.wait_for_close(TIMEOUT)


def test_the_interpreter_exits_in_silence_after_a_loop_was_closed_with_a_read_under_way(
    server: RawServer,
) -> None:
    # Not while the server sends: httpxr itself reports a chunk for a loop that is closed.
    server.route("/", sends("1", hold=True))
    code = """
        async def main():
            client = httpxr.AsyncClient()
            source = EventSource(await client.request("GET", url, stream=True))
            events = aiter(source)
            put((await anext(events)).data)
            try:
                await asyncio.wait_for(anext(events), 0.0001)
            except asyncio.TimeoutError:
                pass
            return client, source, events

        loop = asyncio.new_event_loop()
        kept = loop.run_until_complete(main())
        loop.close()
    """
    with Program(code, server.url()) as program:
        assert program.end() == (0, "1\n", "")
    server.wait_for_close(TIMEOUT)


DAEMONS: Final = {
    "sync": """
        def read(is_reading):
            with connect_sse(httpxr.Client(), "GET", url, timeout=None) as source:
                for event in source:
                    is_reading.set()
    """,
    "async": """
        async def main(is_reading):
            async with aconnect_sse(httpxr.AsyncClient(), "GET", url) as source:
                async for event in source:
                    is_reading.set()

        def read(is_reading):
            asyncio.run(main(is_reading))
    """,
}
DAEMON_START: Final = """
is_reading = threading.Event()
threading.Thread(target=read, args=(is_reading,), daemon=True).start()
assert is_reading.wait(10)
time.sleep(0.01)
"""


# With a busy server it is a race, lost in one run of three by a program that takes no care.
@pytest.mark.parametrize(
    ("handler", "runs"), [(sends("1", hold=True), 2), (busy, 6)], ids=["quiet", "busy"]
)
@pytest.mark.parametrize("code", DAEMONS.values(), ids=DAEMONS.keys())
def test_the_interpreter_exits_in_silence_while_a_daemon_thread_reads(
    server: RawServer, code: str, handler: Callable[[Exchange], object], runs: int
) -> None:
    server.route("/", handler)
    program = textwrap.dedent(code) + DAEMON_START
    with ExitStack() as stack:
        for _ in range(runs // 2):
            pair = [stack.enter_context(Program(program, server.url())) for _ in range(2)]
            for running in pair:
                assert running.end() == (0, "", "")


def test_the_interpreter_exits_while_a_daemon_thread_waits_for_headers(server: RawServer) -> None:
    server.route("/", silent)
    code = """
        def read():
            with connect_sse(httpxr.Client(), "GET", url, timeout=None):
                pass

        async def aread():
            async with aconnect_sse(httpxr.AsyncClient(), "GET", url):
                pass

        for target in (read, lambda: asyncio.run(aread())):
            threading.Thread(target=target, daemon=True).start()
        time.sleep(0.2)
    """
    with Program(code, server.url()) as program:
        assert program.end() == (0, "", "")


def test_a_clean_program_is_silent(server: RawServer) -> None:
    server.route("/", sends("1", "2", "3"))
    code = """
        with httpxr.Client() as client:
            with connect_sse(client, "GET", url) as source:
                put([event.data for event in source])
            with connect_sse(client, "GET", url) as source:
                for event in source:
                    break

        async def main():
            async with httpxr.AsyncClient() as client:
                async with aconnect_sse(client, "GET", url) as source:
                    put([event.data async for event in source])
                async with aconnect_sse(client, "GET", url) as source:
                    async for event in source:
                        break

        for _ in range(20):
            asyncio.run(main())
        gc.collect()
    """
    with Program(code, server.url()) as program:
        assert program.end() == (0, "['1', '2', '3']\n" * 21, "")


# -- forked processes -----------------------------------------------------------------------------

FORKED: Final = """
import multiprocessing, warnings

warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
signal.alarm(8)

async def aread():
    async with aconnect_sse(httpxr.AsyncClient(), "GET", url) as source:
        async for event in source:
            return event.data

def read():
    with connect_sse(httpxr.Client(), "GET", url) as source:
        for event in source:
            return event.data

def attempt(function):
    try:
        put(function())
    except RuntimeError as error:
        put(f"RuntimeError: {error}")

def in_child(*functions):
    def target():
        signal.alarm(5)  # for hanging
        for function in functions:
            attempt(function)

    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    process.join()
    assert process.exitcode == 0, process.exitcode
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@needs_fork
def test_after_a_fork_opening_a_stream_is_refused(server: RawServer) -> None:
    server.route("/", sends("1"))
    code = "attempt(read)\nin_child(read, lambda: asyncio.run(aread()))\nattempt(read)\n"
    with Program(FORKED + code, server.url()) as program:
        status, stdout, stderr = program.end()
    assert (status, stderr) == (0, "")
    in_parent, in_child, in_child_too, in_parent_again = stdout.splitlines()
    assert in_parent == in_parent_again == "1"
    assert in_child == in_child_too
    assert in_child.startswith("RuntimeError: ")
    assert "fork()" in in_child


@needs_fork
def test_after_a_fork_reading_an_inherited_stream_is_refused(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    code = """
with connect_sse(httpxr.Client(), "GET", url) as source:
    put(next(iter(source)).data)
    in_child(lambda: next(iter(source)))
"""
    with Program(FORKED + code, server.url()) as program:
        status, stdout, stderr = program.end()
    assert (status, stderr) == (0, "")
    in_parent, in_child = stdout.splitlines()
    assert in_parent == "1"
    assert in_child.startswith("RuntimeError: ")
    assert "fork()" in in_child


@needs_fork
def test_after_a_fork_reading_an_inherited_asynchronous_stream_is_refused(
    server: RawServer,
) -> None:
    server.route("/", sends("1", hold=True))
    code = """
async def again(source):
    return (await anext(aiter(source))).data

async def main():
    async with aconnect_sse(httpxr.AsyncClient(), "GET", url) as source:
        put((await anext(aiter(source))).data)
        in_child(lambda: asyncio.run(again(source)))

asyncio.run(main())
"""
    with Program(FORKED + code, server.url()) as program:
        status, stdout, stderr = program.end()
    assert (status, stderr) == (0, "")
    in_parent, in_child = stdout.splitlines()
    assert in_parent == "1"
    assert in_child.startswith("RuntimeError: ")
    assert "fork()" in in_child


@needs_fork
def test_before_the_first_stream_a_fork_does_no_harm(server: RawServer) -> None:
    server.route("/", sends("1"))
    code = "in_child(read)\nin_child(lambda: asyncio.run(aread()))\nattempt(read)\n"
    with Program(FORKED + code, server.url()) as program:
        assert program.end() == (0, "1\n1\n1\n", "")


@needs_fork
def test_a_forked_child_that_exits_leaves_the_stream_of_its_parent(server: RawServer) -> None:
    is_forked = threading.Event()

    @server.route("/")
    def stream(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1"))
        is_forked.wait(TIMEOUT)
        exchange.send(event("2"))

    code = """
with connect_sse(httpxr.Client(), "GET", url) as source:
    events = iter(source)
    put(next(events).data)
    in_child(source.close)
    put(next(events).data)
"""
    with Program(FORKED + code, server.url()) as program:
        lines = [program.read_line(), program.read_line()]
        is_forked.set()
        assert lines == ["1", "None"]
        assert program.end() == (0, "2\n", "")
