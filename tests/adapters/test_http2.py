"""Many streams over one HTTP/2 connection: leaving one reaches the server, and harms no other."""

from __future__ import annotations

import importlib
import ssl
import threading
import time
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest
from h2.settings import SettingCodes

import sse_adapter
from sse_proto import ReconnectPolicy
from tests.support.drivers import Driver, driven
from tests.support.http2 import ErrorCodes, Http2Server, data_frame
from tests.support.http2_streams import (
    PROMPT,
    TIMEOUT,
    assert_reset,
    by_path,
    client_of,
    counting,
    numbers,
    opened,
    pause,
    read_all,
    together,
)
from tests.support.servers import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.drivers import Stream as EventStream
    from tests.support.http2 import Stream

pytest.importorskip("h2")
pytestmark = pytest.mark.adapter("sse_httpx")

Handler = "Callable[[Stream], None]"
AT_ONCE: Final = ReconnectPolicy(initial_delay=0.001)


# -- leaving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["endless", "silent"])
@pytest.mark.parametrize("way", ["block", "exception", "close", "subscription"])
@driven
async def test_leaving_a_stream_resets_it(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles, way: str, kind: str
) -> None:
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            url = server.url(f"/{kind}")
            async with driver.connect(client, "GET", server.url("/silent/other")) as other:
                assert (await other.next()).data == "0"
                open_ = driver.subscribe if way == "subscription" else driver.connect
                since = 0.0
                try:
                    async with open_(client, "GET", url) as stream:
                        assert (await stream.next()).data == "0"
                        since = time.monotonic()
                        if way == "close":
                            await stream.close()
                            assert_reset(server.stream(f"/{kind}"), since)
                        elif way == "exception":
                            raise LookupError
                except LookupError:
                    pass
                assert_reset(server.stream(f"/{kind}"), since)
                assert len(server.connections) == 1
                # The connection goes on, for others too.
                async with driver.connect(client, "GET", server.url("/count/3/0")) as stream:
                    assert await read_all(stream) == numbers(3)
                assert len(server.connections) == 1
            assert_reset(server.stream("/silent/other"), time.monotonic())


@driven
async def test_a_stream_that_has_ended_is_not_reset(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            for _ in range(3):
                async with driver.connect(client, "GET", server.url("/count/3/0")) as stream:
                    assert await read_all(stream) == numbers(3)
        assert [stream.reset_code for stream in server.streams] == [None] * 3
        assert len(server.connections) == 1


@driven
async def test_an_answer_that_is_refused_resets_its_stream(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    def refuse(stream: Stream) -> None:
        stream.respond(503, [("content-type", "text/plain")])
        stream.send(b"not now")
        stream.wait_over(TIMEOUT)

    with serve(refuse) as server:
        async with client_of(driver, http2_tls, timeout=0.2) as client:
            async with driver.connect(client, "GET", server.url()) as stream:
                with pytest.raises(driver.error("SSEError"), match="not now"):
                    await stream.next()
                assert_reset(server.streams[0], time.monotonic())


@driven
async def test_closed_by_another_one_a_read_ends_at_once(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    with serve(by_path) as server:
        async with client_of(driver, http2_tls, timeout=None) as client:
            async with (
                driver.subscribe(client, "GET", server.url("/silent/1")) as one,
                driver.subscribe(client, "GET", server.url("/silent/2")) as two,
                driver.connect(client, "GET", server.url("/silent/3")) as three,
            ):
                ended: dict[str, float] = {}

                async def read(name: str, stream: EventStream) -> None:
                    try:
                        await read_all(stream)
                    except driver.error("StreamClosed"):
                        assert name == "three"
                    ended[name] = time.monotonic()

                async def close() -> None:
                    for stream in (one, two, three):
                        await pause(driver, 0.2)
                        closed.append(time.monotonic())
                        await stream.close()

                closed: list[float] = []
                await together(
                    driver,
                    lambda: read("one", one),
                    lambda: read("two", two),
                    lambda: read("three", three),
                    close,
                )
                for name, since in zip(("one", "two", "three"), closed, strict=True):
                    assert 0 <= ended[name] - since < PROMPT
                for number, since in enumerate(closed, 1):
                    assert_reset(server.stream(f"/silent/{number}"), since)
        assert len(server.connections) == 1


# -- cancelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["connect", "subscribe"])
@driven
async def test_a_cancelled_read_loses_nothing(
    async_driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles, api: str
) -> None:
    driver = async_driver
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            async with getattr(driver, api)(client, "GET", server.url("/count/30/0.03")) as stream:
                got: list[str] = []
                cancelled = 0

                async def read() -> None:
                    got.append((await stream.next()).data)

                while len(got) < 30:
                    cancelled += not await driver.within(0.01, read())
                assert got == numbers(30)
                assert cancelled > 10
        assert len(server.streams) == len(server.connections) == 1


@driven
async def test_streams_whose_reads_were_cancelled_are_reset_when_they_are_left(
    async_driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    driver = async_driver
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:

            async def read() -> None:
                async with driver.connect(client, "GET", server.url("/silent")) as stream:
                    await read_all(stream)

            async with driver.connect(client, "GET", server.url("/count/150/0.02")) as long:
                got = [(await long.next()).data]
                for _ in range(150):
                    assert not await driver.within(0.01, read())
                got += await read_all(long)
                assert got == numbers(150)
        assert len(server.connections) == 1
        for stream in server.streams[1:]:
            assert stream.wait_reset(TIMEOUT)


@driven
async def test_cancelled_openings_harm_no_other_stream(
    async_driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    driver = async_driver
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            is_over = False

            async def cancel() -> None:
                nonlocal is_over
                for number in range(150):
                    # From before the first byte was sent, until it waits for the answer.
                    opening = opened(driver, client, server.url("/late"))
                    assert not await driver.within(number % 10 * 0.001, opening)
                is_over = True

            async def read() -> None:
                async with driver.connect(client, "GET", server.url("/count/60/0.02")) as long:
                    assert await read_all(long) == numbers(60)

            await together(driver, *[read] * 10, cancel)
            assert is_over
            await pause(driver, 0.1)
            async with driver.connect(client, "GET", server.url("/count/3/0")) as stream:
                assert await read_all(stream) == numbers(3)
        assert len(server.connections) == 1
        assert all(
            stream.wait_reset(TIMEOUT) for stream in server.streams if stream.path == "/late"
        )


@driven
async def test_cancelled_openings_do_not_close_an_idle_connection(
    async_driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    driver = async_driver
    anyio: Any = importlib.import_module("anyio")
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            for steps in range(30):  # of the event loop, which count from an idle connection
                async with driver.connect(client, "GET", server.url("/count/1/0")) as stream:
                    assert await read_all(stream) == numbers(1)
                async with anyio.create_task_group() as group:
                    group.start_soon(opened, driver, client, server.url("/late"))
                    for _ in range(steps):
                        await anyio.lowlevel.checkpoint()
                    group.cancel_scope.cancel()
        assert len(server.connections) == 1


# -- what the server ends -------------------------------------------------------------------------


def ending_of_all(how: str, count: int) -> Callable[[Stream], None]:
    """Return what ends the connection as soon as so many streams have called it."""
    lock = threading.Lock()
    called: list[Stream] = []

    def end(stream: Stream) -> None:
        with lock:
            called.append(stream)
            if len(called) != count:
                return
        connection = stream.connection
        ids = sorted(stream.id for stream in called)
        if how == "graceful":
            connection.goaway()
        elif how == "in flight":
            connection.goaway(last_stream_id=ids[0])
        elif how == "data behind":
            frames = b"".join(data_frame(id_, b"data: lost\n\n") for id_ in ids)
            connection.goaway(last_stream_id=ids[-1], behind=frames)
        elif how == "error":
            connection.goaway(last_stream_id=ids[-1], code=ErrorCodes.ENHANCE_YOUR_CALM)
        elif how == "abrupt":
            connection.abort()
        elif how == "nonsense":
            connection.send_raw(b"\0\0\1\0\0\0\0\0\0x")

    return end


ENDS: Final = ["graceful", "in flight", "data behind", "error", "abrupt", "nonsense"]


@pytest.mark.parametrize("how", ENDS)
@driven
async def test_the_end_of_a_connection_is_a_lost_connection(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles, how: str
) -> None:
    end = ending_of_all(how, 3)

    def handle(stream: Stream) -> None:
        stream.respond()
        stream.event("0")
        stream.event("1")
        if stream.path == "/after":
            stream.end()
        else:
            end(stream)

    with serve(handle) as server:
        async with client_of(driver, http2_tls) as client:
            lost: list[Any] = []

            async def read() -> None:
                async with driver.connect(client, "GET", server.url("/")) as stream:
                    assert (await stream.next()).data == "0"
                    assert (await stream.next()).data == "1"
                    try:
                        await stream.next()
                    except (
                        driver.library.RemoteProtocolError,
                        driver.library.ReadError,
                    ) as error:
                        lost.append(error)

            await together(driver, read, read, read)
            assert len(lost) == 3
            assert all(error.request.url == server.url("/") for error in lost)
            async with driver.connect(client, "GET", server.url("/after")) as stream:
                assert await read_all(stream) == ["0", "1"]
        assert len(server.connections) == 2


@pytest.mark.parametrize("how", ENDS)
@driven
async def test_subscriptions_survive_the_end_of_their_connection(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles, how: str
) -> None:
    counts: dict[str, int] = {}

    def handle(stream: Stream) -> None:
        begin = int(stream.headers.get("last-event-id", "-1")) + 1
        stream.respond()
        counts[stream.path] = counts.get(stream.path, 0) + 1
        for number in range(begin, 20):
            stream.send(b"id: %d\ndata: %d\n\n" % (number, number))
            if number == 10 and counts[stream.path] == 1:
                first(stream)
                stream.wait_over(TIMEOUT)
                return
        stream.wait_over(TIMEOUT)

    first = ending_of_all(how, 10)
    with serve(handle) as server:
        async with client_of(driver, http2_tls) as client:

            async def read(number: int) -> None:
                url = server.url(f"/{number}")
                async with driver.subscribe(client, "GET", url, reconnect=AT_ONCE) as stream:
                    got = [(await stream.next()).data for _ in range(20)]
                assert got == numbers(20)

            await together(driver, *(partial(read, number) for number in range(10)))
        assert len(server.connections) == 2


@driven
async def test_a_stream_that_the_server_resets_is_lost_alone(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    def handle(stream: Stream) -> None:
        if stream.path == "/reset":
            stream.respond()
            stream.event("0")
            stream.reset(ErrorCodes.INTERNAL_ERROR)
        else:
            by_path(stream)

    with serve(handle) as server:
        async with client_of(driver, http2_tls) as client:
            async with driver.connect(client, "GET", server.url("/count/20/0.01")) as other:
                async with driver.connect(client, "GET", server.url("/reset")) as stream:
                    assert (await stream.next()).data == "0"
                    with pytest.raises(driver.error("RemoteProtocolError"), match="INTERNAL_ERROR"):
                        await stream.next()
                assert await read_all(other) == numbers(20)
        assert len(server.connections) == 1


# -- timeouts -------------------------------------------------------------------------------------


@driven
async def test_a_timeout_is_the_streams_own(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    """A busy stream beside it does not keep it from striking; and it ends no other stream."""
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:

            async def busy() -> None:
                url = server.url("/count/200/0.01")
                async with driver.connect(client, "GET", url, timeout=None) as stream:
                    assert await read_all(stream) == numbers(200)

            async def patient() -> None:
                url = server.url("/count/2/1.75")
                async with driver.connect(client, "GET", url, timeout=None) as stream:
                    assert await read_all(stream) == numbers(2)

            async def impatient(seconds: float) -> None:
                url = server.url("/silent")
                async with driver.connect(client, "GET", url, timeout=seconds) as stream:
                    assert (await stream.next()).data == "0"
                    since = time.monotonic()
                    with pytest.raises(driver.error("ReadTimeout")):
                        await stream.next()
                    assert seconds <= time.monotonic() - since < seconds + PROMPT

            await together(
                driver, busy, patient, partial(impatient, 0.6), partial(impatient, 1.0), patient
            )
        assert len(server.connections) == 1
        for stream in server.streams:
            assert (stream.reset_code is not None) == (stream.path == "/silent")


@driven
async def test_interim_answers_do_not_put_the_timeout_off(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    def inform(stream: Stream) -> None:
        while not stream.wait_over(0.02):
            stream.inform()

    with serve(inform) as server:
        async with client_of(driver, http2_tls) as client:
            since = time.monotonic()
            with pytest.raises(driver.error("ReadTimeout")):
                async with driver.connect(client, "GET", server.url(), timeout=0.3):
                    pass
            assert 0.3 <= time.monotonic() - since < 0.3 + PROMPT
            assert_reset(server.streams[0], since + 0.3)


# -- versions of httpcore that are not known ------------------------------------------------------


# On trio the generators of httpx are left to the garbage collector then.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@driven
async def test_on_a_connection_that_cannot_be_mended_the_server_is_told_as_well(
    driver: Driver,
    serve: Callable[..., Http2Server],
    http2_tls: TlsFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sse_httpx._http2._NEEDED", ("_of_another_version",))
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            async with driver.connect(client, "GET", server.url("/count/50/0.01")) as other:
                assert (await other.next()).data == "0"
                async with driver.connect(client, "GET", server.url("/silent")) as stream:
                    assert (await stream.next()).data == "0"
                    since = time.monotonic()
                assert_reset(server.stream("/silent"), since)
                assert (await read_all(other))[-1] == "49"
        assert [stream.reset_code for stream in server.streams] == [None, ErrorCodes.CANCEL]
        assert len(server.connections) == 1


@driven
async def test_where_it_cannot_be_told_the_connection_is_closed(
    driver: Driver,
    serve: Callable[..., Http2Server],
    http2_tls: TlsFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sse_httpx._http2._NEEDED", ("_of_another_version",))
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            async with driver.connect(client, "GET", server.url("/silent")) as stream:
                assert (await stream.next()).data == "0"
                network_stream = stream.response.extensions["network_stream"]
                monkeypatch.setattr(network_stream, "write", None)
            assert server.streams[0].wait_over(TIMEOUT)


def test_only_connections_of_httpcore_are_mended() -> None:
    mend: Any = importlib.import_module("sse_httpx._http2").mend
    httpcore: Any = pytest.importorskip("httpcore")

    class Own(httpcore.AsyncHTTP2Connection):  # type: ignore[misc]  # of Any
        pass

    origin = httpcore.Origin(b"https", b"example.org", 443)
    assert mend(None) is None
    assert mend(object()) is None
    assert mend(Own(origin, None)) is None
    assert mend(httpcore.AsyncHTTP11Connection(origin, None)) is None
    known = httpcore.AsyncHTTP2Connection(origin, None)
    assert mend(known) is mend(known) is known
    assert isinstance(known, httpcore.AsyncHTTP2Connection)
    assert repr(known).startswith("<AsyncHTTP2Connection [")
    assert type(httpcore.AsyncHTTP2Connection(origin, None)) is httpcore.AsyncHTTP2Connection
    unknown = httpcore.AsyncHTTP2Connection(origin, None)
    unknown._h2_state = object()
    assert mend(unknown) is None


@driven
async def test_requests_of_the_client_itself_go_over_the_same_connection(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    """Before it is mended and after, at once with streams; and with a body that has to wait."""

    def handle(stream: Stream) -> None:
        if stream.path == "/echo":
            assert stream.wait_request(TIMEOUT)
            stream.respond(200, [("content-type", "text/plain")])
            stream.send(b"x" * 300_000, end=True)
        else:
            by_path(stream)

    with serve(handle, max_streams=50) as server:
        async with client_of(driver, http2_tls) as client:

            async def ask() -> None:
                asking = client.post(server.url("/echo"), content=b"y" * 300_000)
                response = await asking if driver.is_async else asking
                assert response.content == b"x" * 300_000

            await ask()
            async with driver.connect(client, "GET", server.url("/count/50/0.01")) as stream:
                assert (await stream.next()).data == "0"
                await together(driver, ask, ask)
                assert (await read_all(stream))[-1] == "49"
            await ask()
        assert len(server.connections) == 1
        assert not any(stream.reset_code for stream in server.streams)


@driven
async def test_streams_that_are_opened_at_the_same_time_have_numbers_of_their_own(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    with serve(by_path, max_streams=10) as server:
        async with client_of(driver, http2_tls) as client:

            async def read() -> None:
                for _ in range(3):
                    async with driver.connect(client, "GET", server.url("/count/3/0")) as stream:
                        assert await read_all(stream) == numbers(3)

            await together(driver, *[read] * 20)  # more than the server lets be at once
        assert len(server.streams) == 60
        assert len(server.connections) == 1


@driven
async def test_it_needs_no_tls(driver: Driver) -> None:
    with Http2Server(None, by_path) as server:
        async with driver.client(http1=False, http2=True) as client:
            async with driver.connect(client, "GET", server.url("/silent")) as stream:
                assert (await stream.next()).data == "0"
                async with driver.connect(client, "GET", server.url("/count/5/0.01")) as other:
                    assert await read_all(other) == numbers(5)
                since = time.monotonic()
            assert_reset(server.streams[0], since)
        assert len(server.connections) == 1


@driven
async def test_what_was_left_before_the_connection_was_mended_is_reset(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    """By the client itself, which says nothing."""
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            request = client.build_request("GET", server.url("/endless"))
            sending = client.send(request, stream=True)
            if driver.is_async:
                await (await sending).aclose()
            else:
                sending.close()
            assert not server.streams[0].wait_reset(0.2)
            async with driver.connect(client, "GET", server.url("/count/5/0.01")) as stream:
                assert await read_all(stream) == numbers(5)
            assert_reset(server.streams[0], time.monotonic())
        assert len(server.connections) == 1


@driven
async def test_a_stream_that_is_reset_before_its_head_is_an_error_of_the_client(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    def refuse(stream: Stream) -> None:
        stream.reset(ErrorCodes.REFUSED_STREAM)

    with serve(refuse) as server:
        async with client_of(driver, http2_tls) as client:
            with pytest.raises(driver.error("RemoteProtocolError")):
                await opened(driver, client, server.url())


@driven
async def test_a_server_may_change_how_many_streams_there_may_be(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    def handle(stream: Stream) -> None:
        if stream.path == "/fewer":
            with stream.connection.state() as state:
                state.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 3})
        elif stream.path == "/other":
            with stream.connection.state() as state:
                state.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 70_000})
        by_path_or_short(stream)

    def by_path_or_short(stream: Stream) -> None:
        if stream.path.startswith("/count"):
            counting(stream)
        else:
            stream.respond()
            stream.event("0")
            stream.end()

    with serve(handle, max_streams=20) as server:
        async with client_of(driver, http2_tls) as client:
            async with (
                driver.connect(client, "GET", server.url("/count/20/0.01")) as one,
                driver.connect(client, "GET", server.url("/count/20/0.01")) as two,
            ):
                for path in ("/other", "/fewer"):
                    async with driver.connect(client, "GET", server.url(path)) as stream:
                        assert await read_all(stream) == ["0"]
                assert await read_all(one) == await read_all(two) == numbers(20)
            async with driver.connect(client, "GET", server.url("/count/5/0")) as stream:
                assert await read_all(stream) == numbers(5)
        assert len(server.connections) == 1


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_errors_of_lower_layers_are_those_of_the_library(library: str) -> None:
    module: Any = pytest.importorskip(library)
    core: Any = importlib.import_module(library.replace("httpx", "httpcore"))
    h2: Any = importlib.import_module("h2.exceptions")
    translated: Any = importlib.import_module("sse_httpx._library").translated
    for error, kind in (
        (core.ReadError("x"), module.ReadError),
        (core.WriteTimeout("x"), module.WriteTimeout),
        (core.ConnectionNotAvailable(), module.RemoteProtocolError),
        (h2.ProtocolError("x"), module.RemoteProtocolError),
        (ssl.SSLError("x"), module.ReadError),
        (ConnectionResetError("x"), module.ReadError),
    ):
        found = translated(module, error, module.Request("GET", "http://x"))
        assert type(found) is kind
        assert found.__cause__ is error
        assert found.request.url == "http://x"
    for error in (ValueError(), TimeoutError(), module.ReadError("x")):
        assert translated(module, error, None) is error


@pytest.fixture
def connection() -> Any:
    """A sync connection that is mended, and goes nowhere."""
    mend: Any = importlib.import_module("sse_httpx._http2").mend
    httpcore: Any = pytest.importorskip("httpcore")
    return mend(httpcore.HTTP2Connection(httpcore.Origin(b"https", b"x", 443), None))


def test_a_stream_that_another_thread_closes_right_before_it_is_read(connection: Any) -> None:
    async def is_there(*_: object) -> None:
        pass

    connection._until = is_there
    with pytest.raises(Exception, match="the stream was closed") as caught:
        sse_adapter.run(connection.read(1, None))
    assert type(caught.value).__name__ == "ReadError"


def test_what_a_call_from_before_has_read_is_not_waited_for(connection: Any) -> None:
    assert sse_adapter.run(connection._read_network(lambda: True, None)) is None


def test_a_connection_that_takes_no_bytes_is_lost(connection: Any) -> None:
    def write(_: object) -> None:
        raise connection._library.WriteTimeout("timed out")

    connection._write_outgoing_data = write
    connection._h2_state.initiate_connection()
    connection._events[1] = []
    with pytest.raises(connection._library.WriteTimeout, match="timed out"):
        sse_adapter.run(connection.read(1, None))
    assert not connection.is_available()


def test_a_read_of_a_connection_that_is_over_needs_no_waking(connection: Any) -> None:
    connection._h2_state.close_connection()
    connection._mending.reading = 1
    sse_adapter.run(connection.interrupt(1))


def test_events_of_streams_that_nobody_has_are_passed_over(connection: Any) -> None:
    kind: Any = importlib.import_module("h2.events").StreamEnded
    ended = kind.__new__(kind)  # its arguments are not the same in all versions
    ended.stream_id = 7

    def frames(_: bytes) -> Iterator[Any]:
        yield ended

    connection._frame_by_frame = frames
    sse_adapter.run(connection._receive(b""))
    assert connection._events == {}


def test_a_part_of_a_record_is_waited_for_again(connection: Any) -> None:
    class Record(ssl.SSLSocket):
        def pending(self) -> int:
            return 1

    parts: list[bytes] = []

    def record(_: str) -> ssl.SSLSocket:
        return Record.__new__(Record)

    def read(_: int, __: float) -> bytes:
        parts.append(b"part")
        if len(parts) < 3:
            raise connection._library.ReadTimeout
        return b"".join(parts)

    connection._network_stream = SimpleNamespace(get_extra_info=record, read=read)
    assert connection._read_sync(None) == b"part" * 3


def test_what_nobody_has_read_of_a_stream_is_given_back_when_it_is_left(connection: Any) -> None:
    kind: Any = importlib.import_module("h2.events").DataReceived
    given_back: list[tuple[int, int]] = []

    def acknowledge(flow: int, stream_id: int) -> None:
        given_back.append((flow, stream_id))

    unread = [kind.__new__(kind), kind.__new__(kind)]
    for event in unread:
        event.flow_controlled_length = 5
    connection._events[1] = unread
    connection._h2_state = SimpleNamespace(
        acknowledge_received_data=acknowledge, streams={1: SimpleNamespace(closed=True)}
    )
    connection._leave(1)
    assert given_back == [(10, 1)]


@driven
async def test_it_works_without_poll(
    sync_driver: Driver,
    serve: Callable[..., Http2Server],
    http2_tls: TlsFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = sync_driver
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            async with driver.connect(client, "GET", server.url("/count/5/0.01")) as stream:
                monkeypatch.delattr("select.poll")
                assert await read_all(stream) == numbers(5)
            async with driver.connect(client, "GET", server.url("/silent"), timeout=0.5) as stream:
                assert (await stream.next()).data == "0"
                with pytest.raises(driver.error("ReadTimeout")):
                    await stream.next()


def test_what_h2_has_of_a_frame_is_known_in_older_versions() -> None:
    unfinished: Any = importlib.import_module("sse_httpx._http2")._unfinished_frame
    older = SimpleNamespace(incoming_buffer=SimpleNamespace(data=b"older"))
    newer = SimpleNamespace(incoming_buffer=SimpleNamespace(_data=b"newer"))
    assert unfinished(older) == b"older"
    assert unfinished(newer) == b"newer"


@driven
async def test_frames_may_be_cut_anywhere(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    def handle(stream: Stream) -> None:
        stream.respond()
        for number in range(3):
            for byte in data_frame(stream.id, b"data: %d\n\n" % number):
                stream.connection.send_raw(bytes([byte]))
                time.sleep(0.001)
        stream.end()

    with serve(handle) as server:
        async with client_of(driver, http2_tls) as client:
            async with driver.connect(client, "GET", server.url()) as stream:
                assert await read_all(stream) == numbers(3)
