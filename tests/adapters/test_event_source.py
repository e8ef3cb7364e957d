"""`EventSource` by itself: over responses of any making, and what it tells about its stream."""

from __future__ import annotations

import asyncio
import gc
import mmap
import time
from array import array
from typing import TYPE_CHECKING, Any, Final

import httpxr
import pytest

import sse_proto
from sse_httpxr import EventSource, ServerSentEvent, SSEError, aconnect_sse, connect_sse
from tests.support.harness import AsyncMode, Mode, SyncMode, data_of, event, sends

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from tests.support.servers import Exchange, RawServer

HEADERS: Final = {"Content-Type": "text/event-stream"}
# Cut so that no chunk is one event.
CHUNKS: Final = (b"da", b"", b"ta: 1\n\nda", b"ta: 2\n", b"\ndata: unfinished")
BODY: Final = b"".join(CHUNKS)
TIMEOUT: Final = 10.0


async def agenerate(chunks: Iterable[Any] = CHUNKS) -> AsyncIterator[Any]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


class SyncStream(httpxr.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        return iter(CHUNKS)


class AsyncStream(httpxr.AsyncByteStream):
    def __aiter__(self) -> AsyncIterator[bytes]:
        return agenerate()


class DualStream(httpxr.SyncByteStream, httpxr.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        return iter(CHUNKS)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return agenerate()


class SyncObject:
    def __iter__(self) -> Iterator[bytes]:
        return iter(CHUNKS)


class AsyncObject:
    def __aiter__(self) -> AsyncIterator[bytes]:
        return agenerate()


class DualObject(SyncObject, AsyncObject):
    pass


def response(**body: Any) -> httpxr.Response:
    return httpxr.Response(200, headers=HEADERS, **body)


def read_before() -> httpxr.Response:
    built = response(content=iter(CHUNKS))
    assert built.read() == BODY
    return built


def mocked() -> httpxr.Response:
    def answer(_: httpxr.Request) -> httpxr.Response:
        return response(content=BODY)

    transport = httpxr.MockTransport(answer)
    with httpxr.Client(transport=transport) as client:
        return client.get("http://test/")


# What can be read in which way, by how the response was made.
WHOLE: Final = {
    "bytes": lambda: response(content=BODY),
    "text": lambda: response(text=BODY.decode()),
    "ByteStream": lambda: response(stream=httpxr.ByteStream(BODY)),
    "read before": read_before,
    "of a mock transport": mocked,
    "DualStream": lambda: response(stream=DualStream()),
    "dual object": lambda: response(stream=DualObject()),
}
SYNC: Final = {
    "list": lambda: response(content=list(CHUNKS)),
    "iterator": lambda: response(content=iter(CHUNKS)),
    "generator": lambda: response(content=(chunk for chunk in CHUNKS)),
    "SyncByteStream": lambda: response(stream=SyncStream()),
    "object": lambda: response(stream=SyncObject()),
}
ASYNC: Final = {
    "asynchronous generator": lambda: response(content=agenerate()),
    "AsyncByteStream": lambda: response(stream=AsyncStream()),
    "asynchronous object": lambda: response(stream=AsyncObject()),
}


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE.keys())
def test_a_response_with_all_its_bytes_is_read_either_way(
    mode: Mode, make: Callable[[], httpxr.Response]
) -> None:
    assert data_of(mode.source(make())) == ["1", "2"]


@pytest.mark.parametrize("make", SYNC.values(), ids=SYNC.keys())
def test_a_sync_response_is_read(make: Callable[[], httpxr.Response]) -> None:
    assert data_of(EventSource(make())) == ["1", "2"]


@pytest.mark.parametrize("make", ASYNC.values(), ids=ASYNC.keys())
async def test_an_asynchronous_response_is_read(make: Callable[[], httpxr.Response]) -> None:
    assert [item.data async for item in EventSource(make())] == ["1", "2"]


@pytest.mark.parametrize("make", ASYNC.values(), ids=ASYNC.keys())
def test_an_asynchronous_response_is_not_read_by_for(
    make: Callable[[], httpxr.Response],
) -> None:
    built = make()
    events = iter(EventSource(built))
    with pytest.raises(TypeError, match=r"is asynchronous: use `async for`") as raised:
        next(events)
    assert type(built.stream).__name__ in str(raised.value)
    # It is as it was.
    assert asyncio.run(_collect(built)) == ["1", "2"]


async def _collect(built: httpxr.Response) -> list[str]:
    return [item.data async for item in EventSource(built)]


@pytest.mark.parametrize("make", SYNC.values(), ids=SYNC.keys())
async def test_a_sync_response_is_not_read_by_async_for(
    make: Callable[[], httpxr.Response],
) -> None:
    built = make()
    events = aiter(EventSource(built))
    with pytest.raises(TypeError, match=r"is synchronous: use `for`") as raised:
        await anext(events)
    assert type(built.stream).__name__ in str(raised.value)
    assert data_of(EventSource(built)) == ["1", "2"]


def test_a_sync_stream_is_not_read_by_async_for(server: RawServer) -> None:
    server.route("/", sends("1"))

    async def aread(source: EventSource) -> None:
        async for _ in source:
            pass

    with connect_sse(httpxr.Client(), "GET", server.url()) as source:
        with pytest.raises(TypeError, match=r"is synchronous: use `for`"):
            asyncio.run(aread(source))
        assert data_of(source) == ["1"]


async def test_an_asynchronous_stream_is_not_read_by_for(server: RawServer) -> None:
    server.route("/", sends("1"))
    async with aconnect_sse(httpxr.AsyncClient(), "GET", server.url()) as source:
        with pytest.raises(TypeError, match=r"is asynchronous: use `async for`"):
            list(source)
        assert [item.data async for item in source] == ["1"]


async def test_a_foreign_live_response_is_not_read_by_for(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    client = httpxr.AsyncClient()
    source = EventSource(await client.request("GET", server.url(), stream=True))
    with pytest.raises(TypeError, match=r"is asynchronous: use `async for`"):
        next(iter(source))
    assert (await anext(aiter(source))).data == "1"
    await source.aclose()


@pytest.mark.parametrize("body", [{}, {"content": b""}, {"content": b"\n"}, {"text": ": hi\n\n"}])
def test_a_response_without_events_has_none(mode: Mode, body: dict[str, Any]) -> None:
    assert list(mode.source(response(**body))) == []


def as_bytearray(chunk: bytes) -> object:
    return bytearray(chunk)


def as_memoryview(chunk: bytes) -> object:
    return memoryview(chunk)


def as_array(chunk: bytes) -> object:
    return array("B", chunk)


@pytest.mark.parametrize("as_buffer", [as_bytearray, as_memoryview, as_array])
def test_chunks_may_be_any_buffer(as_buffer: Callable[[bytes], object]) -> None:
    chunks = [as_buffer(chunk) for chunk in CHUNKS]
    assert data_of(EventSource(response(stream=chunks))) == ["1", "2"]
    asynchronous = response(stream=agenerate(chunks))
    assert asyncio.run(_collect(asynchronous)) == ["1", "2"]


def test_a_mapped_file_may_be_a_chunk() -> None:
    with mmap.mmap(-1, len(BODY)) as mapped:
        mapped[:] = BODY
        assert data_of(EventSource(response(stream=[mapped]))) == ["1", "2"]


def test_each_chunk_of_an_iterator_is_live() -> None:
    sent: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            sent.append(number)
            yield event(str(number))

    for item in EventSource(response(content=chunks())):
        assert sent[-1] == int(item.data)


def test_what_an_iterator_raises_is_raised(mode: Mode) -> None:
    def chunks() -> Iterator[bytes]:
        yield event("1")
        raise ZeroDivisionError

    async def achunks() -> AsyncIterator[bytes]:
        yield event("1")
        raise ZeroDivisionError

    stream = mode.source(response(content=achunks() if mode.is_async else chunks()))
    assert next(stream).data == "1"
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_an_os_error_of_an_iterator_is_a_read_error(async_mode: AsyncMode) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield event("1")
        raise ConnectionResetError("gone")

    request = httpxr.Request("GET", "http://test/")
    built = httpxr.Response(200, headers=HEADERS, content=chunks(), request=request)
    stream = async_mode.source(built)
    assert next(stream).data == "1"
    with pytest.raises(httpxr.ReadError, match="event stream broke off: gone") as raised:
        next(stream)
    assert str(raised.value.request.url) == "http://test/"


def test_a_response_without_a_request_may_fail(mode: Mode) -> None:
    stream = mode.source(httpxr.Response(500, content=b"overloaded"))
    with pytest.raises(SSEError, match="overloaded") as raised:
        next(stream)
    assert raised.value.status_code == 500
    with pytest.raises(RuntimeError):
        _ = raised.value.request


def test_of_a_refused_iterator_the_first_bytes_are_read(mode: Mode) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 300

    content: Any = agenerate(chunks()) if mode.is_async else chunks()
    with pytest.raises(SSEError) as raised:
        next(mode.source(httpxr.Response(500, content=content)))
    assert raised.value.body == "x" * 64 * 1024
    assert sent <= 64 * 1024 // 300 + 2


def test_a_response_whose_body_was_taken_says_so(mode: Mode) -> None:
    stream = mode.source(response(content=agenerate() if mode.is_async else iter(CHUNKS)))
    assert data_of(stream) == ["1", "2"]
    again = mode.source(stream.response)  # another source of the same response
    with pytest.raises(httpxr.StreamConsumed):
        next(again)


# -- live responses that somebody else opened -----------------------------------------------------


def sent(client: httpxr.AsyncClient, url: str) -> Any:
    return client.send(client.build_request("GET", url), stream=True)


def requested(client: httpxr.AsyncClient, url: str) -> Any:
    return client.request("GET", url, stream=True)


@pytest.mark.parametrize("open_", [sent, requested], ids=["send", "request"])
async def test_a_live_response_of_an_asynchronous_client_is_live(
    server: RawServer, open_: Callable[[httpxr.AsyncClient, str], Any]
) -> None:
    @server.route("/")
    def stream(exchange: Exchange) -> None:
        exchange.start()
        for number in range(3):
            exchange.send(event(str(number)))
            exchange.stalled(0.1)
        exchange.wait_closed(TIMEOUT)

    async with httpxr.AsyncClient() as client:
        source = EventSource(await open_(client, server.url()))
        received: list[float] = []
        async for item in source:
            received.append(time.perf_counter())
            if item.data == "2":
                break
        assert received[1] - received[0] > 0.05
        assert received[2] - received[1] > 0.05
        assert server.open_connections == 1
        await source.aclose()
        assert await asyncio.to_thread(server.wait_for_close, 1)


async def test_a_live_response_that_is_refused_is_closed(server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start(500, content_type="text/plain")
        exchange.send(b"overloaded" * 200)
        exchange.wait_closed(TIMEOUT)

    async with httpxr.AsyncClient() as client:
        source = EventSource(await client.request("GET", server.url(), stream=True))
        with pytest.raises(SSEError) as raised:
            await anext(aiter(source))
        assert raised.value.body.startswith("overloaded")
        assert await asyncio.to_thread(server.wait_for_close, 1)


async def test_a_live_response_that_breaks_off_raises_a_read_error(server: RawServer) -> None:
    @server.route("/")
    def broken(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1"))
        exchange.truncate()

    async with httpxr.AsyncClient() as client:
        events = aiter(EventSource(await client.request("GET", server.url(), stream=True)))
        assert (await anext(events)).data == "1"
        with pytest.raises(httpxr.ReadError) as raised:
            await anext(events)
        assert str(raised.value.request.url) == server.url()


def test_a_response_of_a_sync_client_was_read_whole(server: RawServer) -> None:
    server.route("/", sends("1", "2"))
    with httpxr.Client() as client:
        with client.stream("GET", server.url()) as opened:
            assert data_of(EventSource(opened)) == ["1", "2"]
        assert data_of(EventSource(client.get(server.url()))) == ["1", "2"]


def test_a_closed_foreign_response_says_so(server: RawServer) -> None:
    server.route("/", sends("1", hold=True))

    async def main() -> None:
        async with httpxr.AsyncClient() as client:
            source = EventSource(await client.request("GET", server.url(), stream=True))
            await source.aclose()
            with pytest.raises(httpxr.StreamClosed):
                await anext(aiter(source))

    asyncio.run(main())


def test_the_chunks_of_a_stream_may_be_read_as_they_are(sync_mode: SyncMode, app_url: str) -> None:
    with sync_mode.open(sync_mode.client(), "GET", f"{app_url}/ndjson?n=3") as stream:
        chunks: Any = stream.response.stream
        assert b"".join(chunks) == b'{"n": 0}\n{"n": 1}\n{"n": 2}\n'
        assert list(chunks) == []


async def test_the_chunks_of_an_asynchronous_stream_may_be_read_as_they_are(app_url: str) -> None:
    async with httpxr.AsyncClient() as client:
        async with aconnect_sse(client, "GET", f"{app_url}/ndjson?n=3") as source:
            chunks: Any = source.response.stream
            received = [chunk async for chunk in chunks]
            assert b"".join(received) == b'{"n": 0}\n{"n": 1}\n{"n": 2}\n'
            assert [chunk async for chunk in chunks] == []


# -- iterators ------------------------------------------------------------------------------------


def test_every_way_to_iterate() -> None:
    assert data_of(EventSource(response(content=BODY))) == ["1", "2"]
    assert data_of(EventSource(response(content=BODY)).iter_sse()) == ["1", "2"]
    events = EventSource(response(content=BODY)).iter_sse()
    assert iter(events) is events
    objects = EventSource(response(content=BODY)).iter_json()
    assert iter(objects) is objects
    assert list(objects) == [1, 2]


async def test_every_way_to_iterate_asynchronously() -> None:
    assert [item.data async for item in EventSource(response(content=agenerate()))] == ["1", "2"]
    events = EventSource(response(content=agenerate())).aiter_sse()
    assert aiter(events) is events
    assert [item.data async for item in events] == ["1", "2"]
    objects = EventSource(response(content=agenerate())).aiter_json()
    assert aiter(objects) is objects
    assert [item async for item in objects] == [1, 2]


def test_a_loop_that_was_left_is_followed_by_another(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def stream(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + event("2") + event("3") + b"data: ")
        exchange.send(b"4\n\n" + event("5"))

    with mode.open(mode.client(), "GET", server.url()) as stream_:
        assert data_of(stream_.take(1)) == ["1"]
        for item in stream_:
            assert item.data == "2"
            break
        stream_.restart()
        assert data_of(stream_.take(2)) == ["3", "4"]
        stream_.restart()
        assert data_of(stream_) == ["5"]
        assert list(stream_) == []
        stream_.restart()
        assert list(stream_) == []


def test_two_iterators_share_the_position() -> None:
    source = EventSource(response(content=b"".join(event(str(n)) for n in range(4))))
    first, second = source.iter_sse(), iter(source)
    assert [next(first).data, next(second).data, next(first).data] == ["0", "1", "2"]
    assert data_of(second) == ["3"]
    assert list(first) == []


def test_events_may_be_read_before_json(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("hello", '{"n": 1}', '{"n": 2}'))
    with mode.open_json(mode.client(), "GET", server.url()) as objects:
        source = objects.source
        if mode.is_async:
            assert mode.run(_first(source)).data == "hello"
        else:
            assert next(iter(source)).data == "hello"
        assert list(objects) == [{"n": 1}, {"n": 2}]


async def _first(source: EventSource) -> ServerSentEvent:
    return await anext(source.aiter_sse())


# -- what a source tells --------------------------------------------------------------------------


def test_a_source_tells_what_its_stream_has_set(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def stream(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b"id: 1\nretry: 1500\ndata: 1\n\n")
        exchange.send(b"id: 2\n\nretry: 2500\n\n" + event("2"))  # blocks that dispatch nothing
        exchange.send(b"id\ndata: 3\n\nid: unfinished\nretry: 9")

    with mode.open(mode.client(), "GET", server.url()) as stream_:
        source = stream_.source
        assert (source.last_event_id, source.reconnection_time) == (None, None)
        assert next(stream_) == ("message", "1", "1", 1500)
        assert (source.last_event_id, source.reconnection_time) == ("1", 1500)
        assert next(stream_) == ("message", "2", "2", None)
        assert (source.last_event_id, source.reconnection_time) == ("2", 2500)
        assert next(stream_) == ("message", "3", "", None)
        assert list(stream_) == []
        assert source.last_event_id == ""
    assert source.last_event_id == ""


def test_a_source_shows_its_response(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", headers=[("X-Request-Id", "r1")]))
    with mode.open(mode.client(), "GET", server.url()) as stream:
        assert stream.source.response is stream.response
        assert stream.response.status_code == 200
        assert stream.response.headers["x-request-id"] == "r1"
        assert str(stream.response.url) == server.url()
        assert str(stream.response.request.url) == server.url()
        assert repr(stream.source) == "<EventSource <Response [200 OK]>>"


def test_the_response_of_a_source_cannot_be_set() -> None:
    source: Any = EventSource(response(content=BODY))
    with pytest.raises(AttributeError):
        source.response = response()


def test_the_decoder_is_the_callers_own() -> None:
    decoder = sse_proto.SSEDecoder(last_event_id="a")
    source = EventSource(response(content=b"id: b\ndata\n\n"), decoder=decoder)
    assert source.last_event_id == "a"
    assert list(source) == [("message", "", "b", None)]
    assert decoder.last_event_id == source.last_event_id == "b"


def test_events_are_those_of_sse_proto() -> None:
    assert ServerSentEvent is sse_proto.ServerSentEvent
    (only,) = EventSource(response(content=b'event: a\ndata: {"b": 1}\n\n'))
    assert type(only) is ServerSentEvent
    assert only.json() == {"b": 1}


# -- closing what somebody else made --------------------------------------------------------------


def test_closing_closes_the_stream_of_a_response() -> None:
    closed: list[str] = []

    class Stream(httpxr.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            try:
                yield event("1")
                yield event("2")
            finally:
                closed.append("iterator")

        def close(self) -> None:
            closed.append("stream")

    source = EventSource(response(stream=Stream()))
    events = iter(source)
    assert next(events).data == "1"
    source.close()
    assert "stream" in closed
    with pytest.raises(httpxr.StreamClosed):
        next(events)
    del source, events
    gc.collect()
    assert "iterator" in closed


async def test_closing_closes_the_asynchronous_stream_of_a_response() -> None:
    closed: list[str] = []

    class Stream(httpxr.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                yield event("1")
                yield event("2")
            finally:
                closed.append("iterator")

        async def aclose(self) -> None:
            closed.append("stream")

    source = EventSource(response(stream=Stream()))
    events = aiter(source)
    assert (await anext(events)).data == "1"
    await source.aclose()
    assert set(closed) == {"iterator", "stream"}
    with pytest.raises(httpxr.StreamClosed):
        await anext(events)


async def test_closing_ends_the_read_of_a_foreign_iterator() -> None:
    ended: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield event("1")
            await asyncio.sleep(TIMEOUT)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        finally:
            ended.append("finally")

    source = EventSource(response(content=chunks()))
    events = aiter(source)
    assert (await anext(events)).data == "1"
    reading = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.01)
    await source.aclose()
    with pytest.raises(httpxr.StreamClosed):
        await reading
    assert ended == ["cancelled", "finally"]


def test_closing_a_source_without_a_stream_is_no_error(mode: Mode) -> None:
    stream = mode.source(response(content=BODY))
    assert len(list(stream)) == 2
    stream.close()
    stream.close()
    assert list(stream) == []
