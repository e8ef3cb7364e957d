"""What cancelled tasks, and strange answers, leave in the pools of httpx and httpx2."""

from __future__ import annotations

import asyncio
import importlib
import socket
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from sse_proto import Wait
from tests.support.drivers import AsyncioLoop, Driver, driven
from tests.support.harness import event, sends
from tests.support.subscribing import FAST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sse_proto import Action
    from tests.support.servers import Exchange, Handler, ProxyServer, RawServer

TIMEOUT: Final = 10.0
pytestmark = pytest.mark.adapter("sse_httpx")


def in_pool(client: Any) -> list[str]:
    """Return what the client's pool has, but idle connections."""
    return [repr(item) for item in client._transport._pool.connections if not item.is_idle()]


@driven
async def test_a_read_that_is_cancelled_twice_leaves_no_connection(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver
    if not isinstance(driver.loop, AsyncioLoop):
        pytest.skip("trio cancels a scope, and that once")
    server.route("/", sends("1", hold=True))
    async with driver.client() as client:

        async def read() -> None:
            async with driver.connect(client, "GET", server.url()) as stream:
                await stream.rest()

        for pauses in range(4):
            task = asyncio.ensure_future(read())
            await asyncio.sleep(0.1)
            task.cancel()
            for _ in range(pauses):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert in_pool(client) == []
        await driver.wait_for_close(server)


@driven
async def test_openings_that_are_cancelled_leave_no_connection(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver
    server.route("/", sends("1", hold=True))

    def hold(exchange: Exchange) -> None:
        exchange.wait_closed(TIMEOUT)

    server.route("/silent", hold)
    limits = driver.library.Limits(max_connections=10)
    async with driver.client(limits=limits) as client:

        async def read(path: str) -> None:
            async with driver.connect(client, "GET", server.url(path)) as stream:
                await stream.rest()

        for number in range(120):
            await driver.within(number % 12 * 0.0005, read("/silent"))
            if isinstance(driver.loop, AsyncioLoop):
                task = asyncio.ensure_future(read("/silent"))
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        assert in_pool(client) == []
        for _ in range(10):  # each place is free
            async with driver.connect(client, "GET", server.url()) as stream:
                assert (await stream.next()).data == "1"


@driven
async def test_a_polled_stream_loses_nothing_and_needs_one_connection(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver

    @server.route("/")
    def drip(exchange: Exchange) -> None:
        exchange.start()
        for number in range(20):
            exchange.send(f"data: {number}\n\n".encode())
            time.sleep(0.03)

    got: list[str] = []
    cancelled = 0
    async with driver.open("GET", server.url()) as stream:

        async def read() -> None:
            got.append((await stream.next()).data)

        while len(got) < 20:
            cancelled += not await driver.within(0.01, read())
        assert await stream.rest() == []
    assert got == [str(number) for number in range(20)]
    assert cancelled > 10
    assert len(server.requests) == 1


# One at a time, so that the client waits for it; or more than it gets through, so that it never
# waits.
@pytest.mark.parametrize(("status", "at_once"), [(100, 1), (103, 1), (103, 10_000)])
@driven
async def test_interim_answers_do_not_put_the_timeout_off(
    driver: Driver, server: RawServer, status: int, at_once: int
) -> None:
    @server.route("/")
    def inform(exchange: Exchange) -> None:
        until = time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            exchange.send_raw(b"HTTP/1.1 %d x\r\n\r\n" % status * at_once)
            if at_once == 1:
                time.sleep(0.01)

    since = time.monotonic()
    with pytest.raises(driver.error("ReadTimeout")):
        async with driver.open("GET", server.url(), timeout=0.3):
            pass
    assert 0.3 <= time.monotonic() - since < TIMEOUT / 2


@driven
async def test_interim_answers_may_come_before_the_answer(
    driver: Driver, server: RawServer
) -> None:
    @server.route("/")
    def inform(exchange: Exchange) -> None:
        exchange.send_raw(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3)
        sends("1")(exchange)

    async with driver.open("GET", server.url()) as stream:
        assert [item.data for item in await stream.rest()] == ["1"]


@driven
async def test_a_transport_that_changes_bodies_is_not_passed_by(
    driver: Driver, server: RawServer
) -> None:
    """Bytes are read below the client's own generators, not below those of others."""
    server.route("/", sends("1", "2"))
    server.route("/more", chunked("1", "2", "3", hold=True))
    async with driver.client(transport=changing(driver)) as client:
        async with driver.connect(client, "GET", server.url()) as stream:
            assert [item.data for item in await stream.rest()] == ["changed 1", "changed 2"]
        assert in_pool(client) == []
        # Left while there is more than was read.
        async with driver.connect(client, "GET", server.url("/more")) as stream:
            assert (await stream.next()).data == "changed 1"
        assert in_pool(client) == []
        await driver.wait_for_close(server)


@driven
async def test_a_cancelled_read_of_such_a_body_is_its_end(
    async_driver: Driver, server: RawServer
) -> None:
    """The generators of others cannot go on. That is an error, and no proper end."""
    driver = async_driver
    server.route("/", sends("1", hold=True))
    async with driver.client(transport=changing(driver)) as client:
        async with driver.connect(client, "GET", server.url()) as stream:
            assert (await stream.next()).data == "changed 1"
            assert not await driver.within(0.1, stream.next())
            stream.restart()
            with pytest.raises(driver.error("StreamClosed")):
                await stream.next()
        assert in_pool(client) == []
        actions: list[Action] = []
        call: dict[str, Any] = {"reconnect": FAST, "on_state": actions.append}
        async with driver.subscribe(client, "GET", server.url(), **call) as stream:
            assert (await stream.next()).data == "changed 1"
            assert not await driver.within(0.1, stream.next())
            assert (await stream.next()).data == "changed 1"  # of another connection
        _, wait, *_ = actions
        assert isinstance(wait, Wait)
        assert isinstance(wait.error, driver.error("ReadError"))
        assert str(wait.error) == "the last read was cancelled"
        assert in_pool(client) == []


def changing(driver: Driver) -> Any:
    """Return a transport that changes bodies."""
    library = driver.library

    class Stream(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc, name-defined]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._stream:
                yield chunk.replace(b"data: ", b"data: changed ")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._stream:
                yield chunk.replace(b"data: ", b"data: changed ")

        def close(self) -> None:
            self._stream.close()

        async def aclose(self) -> None:
            await self._stream.aclose()

    transport: Any = (library.AsyncHTTPTransport if driver.is_async else library.HTTPTransport)()

    class Transport(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        _pool = transport._pool

        def handle_request(self, request: Any) -> Any:
            return changed(transport.handle_request(request))

        async def handle_async_request(self, request: Any) -> Any:
            return changed(await transport.handle_async_request(request))

        def close(self) -> None:
            transport.close()

        async def aclose(self) -> None:
            await transport.aclose()

    def changed(response: Any) -> Any:
        response.stream = Stream(response.stream)
        return response

    return Transport()


def chunked(*data: str, hold: bool) -> Handler:
    """Return a handler that sends events at once, each in a chunk of HTTP's own."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in map(event, data))

    def handle(exchange: Exchange) -> None:
        exchange.start()
        exchange.send_raw(body)
        if hold:
            exchange.wait_closed(TIMEOUT)

    return handle


@driven
async def test_a_clients_own_trace_is_called(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1"))
    names: list[str] = []

    def trace(name: str, info: object) -> None:  # noqa: ARG001
        names.append(name)

    async def atrace(name: str, info: object) -> None:  # noqa: ARG001
        names.append(name)

    extensions = {"trace": atrace if driver.is_async else trace}
    async with driver.open("GET", server.url(), extensions=extensions) as stream:
        assert [item.data for item in await stream.rest()] == ["1"]
    assert "http11.send_request_headers.started" in names
    assert "http11.response_closed.complete" in names


@driven
async def test_through_a_forward_proxy_the_idle_timeout_holds(
    driver: Driver, server: RawServer, proxy: ProxyServer
) -> None:
    """Not the client's own, which is for answers that end."""

    @server.route("/")
    def slow(exchange: Exchange) -> None:
        exchange.start()
        for number in range(2):
            exchange.send(f"data: {number}\n\n".encode())
            exchange.stalled(0.8)
        exchange.wait_closed(TIMEOUT)

    async with driver.client(proxy=proxy.url().rstrip("/"), timeout=0.5) as client:
        async with driver.subscribe(client, "GET", server.url(), idle_timeout=None) as stream:
            assert [(await stream.next()).data for _ in range(2)] == ["0", "1"]
        async with driver.subscribe(
            client, "GET", server.url(), idle_timeout=0.6, reconnect=None
        ) as stream:
            assert (await stream.next()).data == "0"
            with pytest.raises(driver.error("ReadTimeout"), match=r"0\.6"):
                await stream.next()
    assert len(proxy.targets) == 2


@driven
async def test_the_response_knows_how_much_has_come(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", "22"))
    async with driver.open("GET", server.url()) as stream:
        assert stream.response.num_bytes_downloaded == 0
        assert len(await stream.rest()) == 2
        assert stream.response.num_bytes_downloaded == len(b"data: 1\n\ndata: 22\n\n")
        assert stream.response.is_stream_consumed
        assert stream.response.is_closed


@driven
async def test_a_cancelled_handshake_closes_its_socket(async_driver: Driver) -> None:
    driver = async_driver
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        async with driver.client() as client:

            async def opening() -> None:
                async with driver.connect(client, "GET", url):
                    pass

            assert not await driver.within(0.2, opening())
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(TIMEOUT)
                while accepted.recv(4096):  # the client's hello, and then the end
                    pass
            assert in_pool(client) == []


@driven
async def test_a_body_that_could_not_be_sent_leaves_no_generator(async_driver: Driver) -> None:
    """Trio warns about each that the garbage collector gets, and here warnings are errors."""
    driver = async_driver
    with socket.create_server(("127.0.0.1", 0)) as listener:  # which takes nothing
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        content = bytes(2**25)  # more than the system takes for it
        async with driver.client() as client:

            async def opening(**call: Any) -> None:
                async with driver.connect(client, "POST", url, content=content, **call):
                    pass

            assert not await driver.within(0.2, opening())
            with pytest.raises(driver.error("WriteTimeout")):
                await opening(timeout=driver.library.Timeout(TIMEOUT, write=0.1))


def test_others_use_the_pool_while_it_is_tidied() -> None:
    """What others do with it while a connection is being closed is none of the tidying's faults."""

    class Connection:
        def is_idle(self) -> bool:
            return False

        is_closed = is_idle

        async def aclose(self) -> None:
            closed.append(self)
            connections.clear()  # another task, tidying

    def assign() -> list[Connection]:
        assigned.append(len(connections))
        return []

    async def close(connections: list[Connection]) -> None:
        assert connections == []

    closed: list[Connection] = []
    assigned: list[int] = []
    connections = [Connection(), Connection()]
    before = connections.copy()
    pool = SimpleNamespace(
        _connections=connections,
        _requests=[],
        _assign_requests_to_connections=assign,
        _close_connections=close,
    )
    opening: Any = importlib.import_module("sse_httpx._opening")
    client = SimpleNamespace(_transport=SimpleNamespace(_pool=pool), _mounts={})
    asyncio.run(opening._tidy(client, []))
    assert closed == before
    assert assigned == [0]  # or those that wait for a place would wait on


def test_pools_and_streams_that_are_not_known_are_left_alone() -> None:
    opening: Any = importlib.import_module("sse_httpx._opening")
    pool = SimpleNamespace(_connections=["a connection"])
    client = SimpleNamespace(_transport=SimpleNamespace(_pool=pool), _mounts={})
    asyncio.run(opening._tidy(client, []))
    assert pool._connections == ["a connection"]
    source_of: Any = importlib.import_module("sse_httpx._direct").source_of
    asyncio.run(opening._Content(None).close())  # it was not iterated over
    endless = SimpleNamespace()
    endless._stream = endless
    assert source_of(SimpleNamespace(stream=endless, extensions={}), False) is None


@pytest.mark.parametrize("library", ["httpcore", "httpcore2"])
def test_only_a_connection_that_can_be_used_comes_to_rest(library: str) -> None:
    """Others are closed."""
    pytest.importorskip("h2")
    core: Any = pytest.importorskip(library)
    connection = core.AsyncHTTP2Connection(
        core.Origin(b"https", b"localhost", 443), core.AsyncMockStream([]), keepalive_expiry=None
    )
    connection._state = connection._state.__class__.ACTIVE  # as when a request is cancelled
    mended: Any = importlib.import_module("sse_httpx._http2").mend(connection)
    connection._connection_error = True
    mended.rest()
    assert not connection.is_idle()
    connection._connection_error = False
    mended.rest()
    assert connection.is_idle()
    assert not connection.has_expired()
