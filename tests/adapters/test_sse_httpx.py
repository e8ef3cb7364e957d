"""What is special about `sse_httpx`: two libraries, of which one may be missing; and httpx-sse.

What it has in common with the other adapter is tested in test_behaviour.py.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import importlib
import io
import os
import pickle
import ssl
import subprocess
import sys
import textwrap
import time
import types
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Final

import h11
import pytest

from tests.support.harness import data_of, event, sends

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    import httpx
    import httpx2
    from typing_extensions import assert_type

    import sse_httpx
    from tests.support.servers import Exchange, RawServer
else:
    if not any(importlib.util.find_spec(name) for name in ("httpx", "httpx2")):
        pytest.skip("there is neither httpx nor httpx2", allow_module_level=True)
    sse_httpx = importlib.import_module("sse_httpx")

HEADERS: Final = {"Content-Type": "text/event-stream"}
# Cut so that no chunk is one event.
CHUNKS: Final = (b"da", b"", b"ta: 1\n\nda", b"ta: 2\n", b"\ndata: unfinished")
BODY: Final = b"".join(CHUNKS)
TIMEOUT: Final = 10.0


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """Each of the libraries."""
    return pytest.importorskip(request.param)


async def agenerate(chunks: Iterable[bytes] = CHUNKS) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


async def acollect(response: Any) -> list[str]:
    return [item.data async for item in sse_httpx.EventSource(response)]


# -- httpx-sse's documentation --------------------------------------------------------------------

QUICKSTART: Final = """
    import httpx
    from httpx_sse import connect_sse

    with httpx.Client() as client:
        with connect_sse(client, "GET", "http://localhost:8000/sse") as event_source:
            for sse in event_source.iter_sse():
                print(sse.event, sse.data, sse.id, sse.retry)
"""
WEB_APP: Final = """
    import asyncio

    import httpx
    from httpx_sse import aconnect_sse
    from sse_starlette.sse import EventSourceResponse
    from starlette.applications import Starlette
    from starlette.routing import Route

    async def auth_events(request):
        async def events():
            yield {
                "event": "login",
                "data": '{"user_id": "4135"}',
            }

        return EventSourceResponse(events())

    app = Starlette(routes=[Route("/sse/auth/", endpoint=auth_events)])

    async def main():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            async with aconnect_sse(
                client, "GET", "http://localhost:8000/sse/auth/"
            ) as event_source:
                events = [sse async for sse in event_source.aiter_sse()]
                (sse,) = events
                assert sse.event == "login"
                assert sse.json() == {"user_id": "4135"}

    asyncio.run(main())
"""
RECONNECTIONS: Final = """
    import time
    from typing import Iterator

    import httpx
    from httpx_sse import connect_sse, ServerSentEvent
    from stamina import retry

    def iter_sse_retrying(client, method, url):
        last_event_id = ""
        reconnection_delay = 0.0

        # `stamina` will apply jitter and exponential backoff on top of
        # the `retry` reconnection delay sent by the server.
        @retry(on=httpx.ReadError)
        def _iter_sse():
            nonlocal last_event_id, reconnection_delay

            time.sleep(reconnection_delay)

            headers = {"Accept": "text/event-stream"}

            if last_event_id:
                headers["Last-Event-ID"] = last_event_id

            with connect_sse(client, method, url, headers=headers) as event_source:
                for sse in event_source.iter_sse():
                    last_event_id = sse.id

                    if sse.retry is not None:
                        reconnection_delay = sse.retry / 1000

                    yield sse

        return _iter_sse()

    with httpx.Client() as client:
        for sse in iter_sse_retrying(client, "GET", "http://localhost:8000/sse"):
            print(sse.event, sse.data)
"""
RESPONSE: Final = """
    import httpx
    from httpx_sse import EventSource, SSEError, connect_sse

    with httpx.Client() as client:
        with connect_sse(client, "GET", "http://localhost:8000/missing") as event_source:
            try:
                event_source.response.raise_for_status()
            except httpx.HTTPStatusError as error:
                print(error.response.status_code)
            try:
                for sse in event_source.iter_sse():
                    ...
            except httpx.TransportError as error:
                print(isinstance(error, SSEError))
        with client.stream("GET", "http://localhost:8000/sse") as response:
            for sse in EventSource(response).iter_sse():
                print(sse.data)
"""


def run(code: str, module: str, library: Any, url: str) -> str:
    """Run a program of the documentation; return what it prints."""
    code = textwrap.dedent(code).replace("from httpx_sse import", f"from {module} import")
    code = code.replace("import httpx\n", f"import {library.__name__} as httpx\n")
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(code.replace("http://localhost:8000", url), {"__name__": "program"})
    return printed.getvalue()


def retry(on: type[Exception]) -> Callable[[Any], Any]:
    """Stand in for stamina's, which can as little see the errors of a generator."""
    assert on.__name__ == "ReadError"
    return lambda function: function


@pytest.fixture
def documented(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the documentation's server."""

    @server.route("/sse")
    def numbers(exchange: Exchange) -> None:
        exchange.start(content_type="text/event-stream; charset=utf-8")
        for number in range(1, 6):
            exchange.send(b"id: %d\r\nretry: 5\r\ndata: %d\r\n\r\n" % (number, number))

    stamina: Any = types.ModuleType("stamina")
    stamina.retry = retry
    monkeypatch.setitem(sys.modules, "stamina", stamina)
    return server.url("")


PROGRAMS: Final = {
    "quickstart": (QUICKSTART, "".join(f"message {n} {n} 5\n" for n in range(1, 6))),
    "web app": (WEB_APP, ""),
    "reconnections": (RECONNECTIONS, "".join(f"message {n}\n" for n in range(1, 6))),
    "response": (RESPONSE, "404\nTrue\n1\n2\n3\n4\n5\n"),
}


@pytest.mark.parametrize(("code", "printed"), PROGRAMS.values(), ids=PROGRAMS.keys())
def test_documented_programs_work_with_another_import(
    library: Any, documented: str, code: str, printed: str
) -> None:
    assert run(code, "sse_httpx", library, documented) == printed


@pytest.mark.parametrize(("code", "printed"), PROGRAMS.values(), ids=PROGRAMS.keys())
def test_documented_programs_are_those_of_httpx_sse(
    documented: str, code: str, printed: str
) -> None:
    pytest.importorskip("httpx_sse")
    assert run(code, "httpx_sse", pytest.importorskip("httpx"), documented) == printed


def test_every_name_of_httpx_sse_is_there() -> None:
    names = set(pytest.importorskip("httpx_sse").__all__) - {"__version__"}
    assert names <= set(sse_httpx.__all__)
    assert sse_httpx.ServerSentEvent() == ("message", "", None, None)


# -- which library --------------------------------------------------------------------------------


def output_of(code: str, *arguments: str) -> str:
    """Run code in a process of its own, with every warning an error; return what it prints."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "NO_PROXY": "*"},
    ).stdout


ONE_LIBRARY: Final = """
    import importlib, sys
    here, missing, url = sys.argv[1:]
    sys.modules[missing] = None
    import sse_httpx
    assert here not in sys.modules
    library = importlib.import_module(here)
    with library.Client() as client:
        with sse_httpx.connect_sse(client, "GET", url) as source:
            print([event.data for event in source])
        with sse_httpx.connect_sse(client, "GET", url + "missing") as source:
            try:
                list(source)
            except sse_httpx.SSEError as error:
                print(isinstance(error, library.TransportError), type(error).__module__)
"""


@pytest.mark.parametrize(("here", "missing"), [("httpx", "httpx2"), ("httpx2", "httpx")])
def test_one_library_is_enough(server: RawServer, here: str, missing: str) -> None:
    pytest.importorskip(here)
    server.route("/", sends("1", "2"))
    printed = output_of(ONE_LIBRARY, here, missing, server.url())
    assert printed == f"['1', '2']\nTrue sse_httpx._{here}\n"


def test_without_a_library_the_error_says_what_to_install() -> None:
    code = """
        import sys
        sys.modules["httpx"] = sys.modules["httpx2"] = None
        try:
            import sse_httpx
        except ModuleNotFoundError as error:
            print(error.name, error)
    """
    assert output_of(code) == (
        "httpx sse_httpx needs httpx or httpx2:"
        " pip install 'sse-proto[httpx]' or 'sse-proto[httpx2]'\n"
    )


def test_an_alias_of_the_library_is_the_library(server: RawServer) -> None:
    pytest.importorskip("httpx2")
    server.route("/", sends("1"))
    code = """
        import sys, httpx2
        httpx2.alias_httpx()
        import httpx, sse_httpx
        with httpx.Client() as client, sse_httpx.connect_sse(client, "GET", sys.argv[1]) as source:
            print([event.data for event in source], sse_httpx._library.error_class(httpx))
    """
    assert output_of(code, server.url()) == "['1'] <class 'sse_httpx._httpx2.SSEError'>\n"


def test_errors_are_those_of_the_library(library: Any) -> None:
    request = library.Request("GET", "http://test/")
    stream = sse_httpx.EventSource(library.Response(500, content=b"oh", request=request))
    with pytest.raises(sse_httpx.SSEError) as raised:
        list(stream)
    error: Any = raised.value
    assert isinstance(error, library.TransportError)
    assert error.request is request
    assert type(error).__doc__
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(same) is type(error)
        assert str(same) == str(error)
        assert (same.status_code, same.content_type, same.body) == (500, "", "oh")
        assert same.response.content == b"oh"


def test_an_error_may_be_raised_by_hand() -> None:
    error = sse_httpx.SSEError("text")
    assert str(error) == "text"
    assert (error.response, error.status_code, error.content_type, error.body) == (
        None,
        None,
        "",
        "",
    )


@pytest.mark.parametrize("thing", [None, b"data: 1\n\n", types.SimpleNamespace(status_code=200)])
def test_what_is_no_response_is_refused(thing: Any) -> None:
    for function in (sse_httpx.EventSource, sse_httpx.iter_json, sse_httpx.aiter_json):
        with pytest.raises((TypeError, AttributeError)):
            function(thing)
    with pytest.raises(TypeError, match=r"^expected an httpx\.Response or httpx2\.Response, not "):
        sse_httpx.EventSource(thing)


def test_the_other_client_is_refused(library: Any) -> None:
    with pytest.raises(TypeError) as raised:
        with sse_httpx.connect_sse(library.AsyncClient(), "GET", "http://test/"):
            pass
    name = library.__name__
    assert str(raised.value) == f"expected an httpx.Client or httpx2.Client, not {name}.AsyncClient"


# -- responses that somebody else made ------------------------------------------------------------


def response(library: Any, status: int = 200, **body: Any) -> Any:
    return library.Response(status, headers=HEADERS, **body)


def test_a_built_response_is_read(library: Any) -> None:
    assert data_of(sse_httpx.EventSource(response(library, text=BODY.decode()))) == ["1", "2"]
    for content in (BODY, iter(CHUNKS)):
        assert data_of(sse_httpx.EventSource(response(library, content=content))) == ["1", "2"]
    for acontent in (BODY, agenerate()):
        assert asyncio.run(acollect(response(library, content=acontent))) == ["1", "2"]


def test_a_mock_transport_is_read(library: Any) -> None:
    def answer(_: Any) -> Any:
        return response(library, content=iter(CHUNKS))

    def answer_asynchronously(_: Any) -> Any:
        return response(library, content=agenerate())

    with library.Client(transport=library.MockTransport(answer)) as client:
        with sse_httpx.connect_sse(client, "GET", "http://test/") as source:
            assert data_of(source) == ["1", "2"]

    async def main() -> None:
        transport = library.MockTransport(answer_asynchronously)
        async with library.AsyncClient(transport=transport) as client:
            async with sse_httpx.aconnect_sse(client, "GET", "http://test/") as source:
                assert (await anext(aiter(source))).data == "1"  # and not to its end
            async with sse_httpx.aconnect_sse(client, "GET", "http://test/") as source:
                assert [item.data async for item in source] == ["1", "2"]

    asyncio.run(main())


def test_the_test_client_of_starlette_is_read() -> None:
    pytest.importorskip("httpx2")
    testclient = pytest.importorskip("starlette.testclient")
    from tests.support.apps import app

    with testclient.TestClient(app) as client:
        with sse_httpx.connect_sse(client, "GET", "/events?n=3") as source:
            assert len(list(source)) == 3


def test_a_stream_of_the_client_is_live(library: Any, server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    with library.Client() as client:
        with client.stream("GET", server.url()) as opened:
            assert next(iter(sse_httpx.EventSource(opened))).data == "1"
        server.wait_for_close(1)

    async def main() -> None:
        async with library.AsyncClient() as client:
            async with client.stream("GET", server.url()) as opened:
                source = sse_httpx.EventSource(opened)
                assert (await anext(aiter(source))).data == "1"
                await source.aclose()
            await asyncio.to_thread(server.wait_for_close, 1)

    asyncio.run(main())


async def test_an_asynchronous_response_that_was_read_is_read_by_for(
    library: Any, server: RawServer
) -> None:
    server.route("/", sends("1", "2"))
    async with library.AsyncClient() as client:
        read = await client.get(server.url())
        assert data_of(sse_httpx.EventSource(read)) == ["1", "2"]
        source = sse_httpx.EventSource(read)
        source.close()
        refused = await client.get(server.url("/missing"))
        with pytest.raises(sse_httpx.SSEError, match="no such route"):
            next(iter(sse_httpx.EventSource(refused)))


async def test_a_sync_response_that_was_read_is_read_by_async_for(library: Any) -> None:
    read = response(library, content=iter(CHUNKS))
    read.read()
    assert await acollect(read) == ["1", "2"]
    source = sse_httpx.EventSource(read)
    await source.aclose()
    with pytest.raises(library.StreamClosed):
        await anext(aiter(source))


def test_a_second_source_of_a_stream_does_no_harm(library: Any, server: RawServer) -> None:
    server.route("/", sends("1", "2"))
    with library.Client() as client:
        with sse_httpx.connect_sse(client, "GET", server.url()) as source:
            events = iter(source)
            assert next(events).data == "1"
            other = sse_httpx.iter_json(source.response)
            for _ in range(2):
                with pytest.raises(library.StreamConsumed):
                    next(other)
            assert data_of(events) == ["2"]


def test_what_an_iterator_raises_is_raised(library: Any) -> None:
    def chunks() -> Iterator[bytes]:
        yield event("1")
        raise ZeroDivisionError

    source = sse_httpx.EventSource(response(library, content=chunks()))
    events = iter(source)
    assert next(events).data == "1"
    with pytest.raises(ZeroDivisionError):
        next(events)
    with pytest.raises(library.StreamClosed):
        next(events)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ConnectionResetError("reset"), "ReadError"),
        (ssl.SSLError("bad record"), "ReadError"),
        (h11.RemoteProtocolError("no HTTP"), "RemoteProtocolError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_what_a_transport_lets_through_is_raised_as_the_librarys(
    library: Any, error: Exception, name: str
) -> None:
    def fail(_: Any) -> Any:
        raise error

    transport = library.MockTransport(fail)
    with library.Client(transport=transport) as client:
        with pytest.raises(getattr(library, name)) as raised:
            with sse_httpx.connect_sse(client, "GET", "http://localhost/"):
                pass
    assert raised.value.__cause__ is error
    assert str(raised.value.request.url) == "http://localhost/"
    async with library.AsyncClient(transport=transport) as client:
        with pytest.raises(getattr(library, name)) as raised:
            async with sse_httpx.aconnect_sse(client, "GET", "http://localhost/"):
                pass
    assert raised.value.__cause__ is error


def test_a_response_without_a_request_may_be_refused(library: Any) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"over"
        raise ZeroDivisionError

    with pytest.raises(sse_httpx.SSEError) as raised:
        list(sse_httpx.EventSource(response(library, 500, content=chunks())))
    assert raised.value.body == "over"
    with pytest.raises(RuntimeError):
        _ = raised.value.request


@pytest.mark.parametrize("timeout", [None, 0.2, 30.0])
def test_a_refusal_does_not_wait_for_long(
    library: Any, server: RawServer, timeout: float | None
) -> None:
    @server.route("/")
    def stalled(exchange: Exchange) -> None:
        exchange.start(500, content_type="text/plain")
        exchange.send(b"overloaded")
        exchange.wait_closed(TIMEOUT)

    with library.Client() as client:
        with sse_httpx.connect_sse(client, "GET", server.url(), timeout=timeout) as source:
            started = time.perf_counter()
            with pytest.raises(sse_httpx.SSEError, match="overloaded"):
                next(iter(source))
            assert min(timeout or 1.0, 1.0) - 0.1 < time.perf_counter() - started < 2.0
            # For the case that the request is sent again.
            assert source.response.request.extensions["timeout"]["read"] == timeout


# -- closing while it is read ---------------------------------------------------------------------


async def test_closing_ends_the_read_of_another_task(library: Any, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    async with library.AsyncClient() as client:
        async with sse_httpx.aconnect_sse(client, "GET", server.url()) as source:
            events = aiter(source)
            assert (await anext(events)).data == "1"
            reading = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.01)
            await source.aclose()
            with pytest.raises(library.StreamClosed) as raised:
                await reading
            assert isinstance(raised.value.__cause__, library.ReadError)
        await asyncio.to_thread(server.wait_for_close, 1)


async def test_cancelling_and_closing_is_cancelling(library: Any, server: RawServer) -> None:
    server.route("/", sends(hold=True))
    async with library.AsyncClient() as client:
        async with sse_httpx.aconnect_sse(client, "GET", server.url()) as source:
            reading = asyncio.ensure_future(anext(aiter(source)))
            await asyncio.sleep(0.01)
            reading.cancel()
            await source.aclose()
            with pytest.raises(asyncio.CancelledError):
                await reading


def test_closing_ends_the_read_of_another_task_on_trio(library: Any, server: RawServer) -> None:
    trio: Any = pytest.importorskip("trio")
    server.route("/", sends("1", hold=True))
    raised: list[str] = []

    async def read(source: Any) -> None:
        try:
            async for _ in source:
                pass
        except library.StreamClosed as error:
            raised.append(type(error).__name__)

    async def main() -> None:
        async with library.AsyncClient() as client, trio.open_nursery() as nursery:
            async with sse_httpx.aconnect_sse(client, "GET", server.url()) as source:
                nursery.start_soon(read, source)
                await trio.sleep(0.1)
            await trio.to_thread.run_sync(server.wait_for_close, 1)

    trio.run(main)
    assert raised == ["StreamClosed"]


def test_an_abandoned_source_closes(library: Any, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    with library.Client() as client:
        manager = sse_httpx.connect_sse(client, "GET", server.url())
        source = manager.__enter__()
        assert next(iter(source)).data == "1"
        del manager, source
        gc.collect()
        server.wait_for_close(1)


# -- types ----------------------------------------------------------------------------------------


def check_types(client: httpx.Client, client2: httpx2.Client) -> None:
    """For type checkers only: the response is that of the client's library."""
    with sse_httpx.connect_sse(client, "GET", httpx.URL("")) as source:
        assert_type(source.response, httpx.Response)
    with sse_httpx.connect_sse(client2, "GET", "", timeout=httpx2.Timeout(5.0)) as source2:
        assert_type(source2.response, httpx2.Response)
    assert_type(sse_httpx.EventSource(httpx.Response(200)).response, httpx.Response)


async def acheck_types(client: httpx.AsyncClient) -> None:
    async with sse_httpx.aconnect_sse(client, "GET", "", auth=httpx.BasicAuth("", "")) as source:
        assert_type(source.response, httpx.Response)
        async for item in source:
            assert_type(item, sse_httpx.ServerSentEvent)
