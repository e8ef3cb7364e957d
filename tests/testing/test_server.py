"""`EventServer`: each step as clients see it, by http.client, httpx and our own adapter."""

from __future__ import annotations

import gzip
import http.client
import math
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
import pytest

from sse_httpx import ReconnectPolicy, asubscribe, connect_sse, subscribe
from sse_proto import ServerSentEvent
from sse_testing import (
    Cassette,
    EventServer,
    comment,
    compress,
    cut,
    events,
    hold,
    opening,
    pause,
    raw,
    redirect,
    reset,
    status,
)
from sse_testing._server import Attempt
from sse_testing.cassette import Chunk, Recording

TIMEOUT: Final = 10.0
Scripts: TypeAlias = "dict[str, list[Attempt]]"

AT_ONCE: Final = ReconnectPolicy(initial_delay=0.0, max_backoff=0.0)


@pytest.fixture(autouse=True)
def no_thread_left_over() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before
    close_all()


OPENED: Final[list[tuple[http.client.HTTPResponse, http.client.HTTPConnection]]] = []


def close_all() -> None:
    while OPENED:
        response, connection = OPENED.pop()
        response.close()
        connection.close()


def get(server: EventServer, path: str = "/") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    connection.request("GET", path, headers={"X-Test": "1"})
    try:
        response = connection.getresponse()
    except BaseException:
        connection.close()
        raise
    OPENED.append((response, connection))
    return response


def test_events_are_sent_and_requests_kept(sse_server: EventServer) -> None:
    sse_server.script("/", events("a\nb", ServerSentEvent(event="e", data="c", id="7")))
    with get(sse_server, "/?q=1") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.read() == b"data: a\ndata: b\n\nevent: e\nid: 7\ndata: c\n\n"
    (request,) = sse_server.requests
    assert (request.method, request.target) == ("GET", "/?q=1")
    assert request.header("x-test") == "1"


def test_scripts_by_path_and_attempt() -> None:
    with EventServer(
        {"/a": [events("1"), events("2")], "/b": [[comment(), raw(b"x", b"y")]]}
    ) as server:
        assert [get(server, "/a").read() for _ in range(3)] == [
            b"data: 1\n\n",
            b"data: 2\n\n",
            b"data: 2\n\n",
        ]
        assert get(server, "/b").read() == b": \nxy"
        assert get(server, "/c").status == 404
        server.script("/a", events("3"), events("4"))
        assert get(server, "/a").read() == b"data: 3\n\n"


def test_a_script_has_an_attempt(sse_server: EventServer) -> None:
    with pytest.raises(ValueError, match="no attempt for /"):
        sse_server.script("/")


def test_pauses_are_on_the_wire(sse_server: EventServer) -> None:
    sse_server.script("/", [pause(0.1), events("a", "b", every=0.1), pause(0.1)])
    began = time.monotonic()
    response = get(sse_server)  # the head is there before the first pause
    times = [time.monotonic() - began]
    while response.readline():
        times.append(time.monotonic() - began)
    assert times[0] < 0.1 < times[1]
    assert times[3] >= 0.2
    assert time.monotonic() - began >= 0.3


def test_hold_lasts_until_the_client_leaves(sse_server: EventServer) -> None:
    sse_server.script("/", [events("a"), hold(), events("never")])
    assert get(sse_server).readline() == b"data: a\n"
    assert sse_server.open_connections == 1
    close_all()
    sse_server.wait_for_close(TIMEOUT)


@pytest.mark.parametrize("at", [0, 1, 10, 11, 17])
def test_cut_at_a_byte(sse_server: EventServer, at: int) -> None:
    sse_server.script("/", [events("a", "b"), cut(at=at)])
    response = get(sse_server)
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert caught.value.partial == b"data: a\n\ndata: b\n\n"[:at]


def test_what_lies_behind_the_end_is_not_cut(sse_server: EventServer) -> None:
    sse_server.script("/", [cut(at=100), events("a")])
    assert get(sse_server).read() == b"data: a\n\n"


def test_cut_here(sse_server: EventServer) -> None:
    sse_server.script("/", [events("a"), cut(), events("b")])
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(sse_server).read()
    assert caught.value.partial == b"data: a\n\n"


def test_cut_before_the_response(sse_server: EventServer) -> None:
    sse_server.script("/", cut())
    with pytest.raises(http.client.RemoteDisconnected):
        get(sse_server)


def test_cut_without_chunks_is_a_quiet_end(sse_server: EventServer) -> None:
    sse_server.script("/", [opening(framing="close"), events("a", "b"), cut(at=12)])
    assert get(sse_server).read() == b"data: a\n\ndat"


@pytest.mark.parametrize("step", [reset(), reset(at=3)])
def test_reset(sse_server: EventServer, step: Any) -> None:
    sse_server.script("/", [opening(), pause(0.05), step, events("a")])
    response = get(sse_server)
    with pytest.raises(ConnectionResetError):
        response.read()


def test_status_and_redirect() -> None:
    scripts: Scripts = {
        "/busy": [status(503, "later", [("Retry-After", "1")])],
        "/old": [[redirect("/new", 301), events("never")]],
        "/new": [events("a")],
        "/gone": [status(204)],
    }
    with EventServer(scripts) as server:
        busy = get(server, "/busy")
        assert (busy.status, busy.headers["Retry-After"], busy.read()) == (503, "1", b"later")
        assert get(server, "/gone").status == 204
        with httpx.Client(follow_redirects=True) as client:
            assert client.get(server.url("/old")).text == "data: a\n\n"
        assert [request.path for request in server.requests][-2:] == ["/old", "/new"]


def test_the_opening(sse_server: EventServer) -> None:
    sse_server.script(
        "/",
        opening(code=203, headers={"X-A": "1"}, content_type=None),
        opening(headers=[("X-A", "1"), ("X-A", "2")], content_type="text/plain"),
    )
    first, second = get(sse_server), get(sse_server)
    assert (first.status, first.headers["X-A"], first.headers["Content-Type"]) == (203, "1", None)
    assert second.headers.get_all("X-A") == ["1", "2"]
    assert second.headers["Content-Type"] == "text/plain"
    assert second.read() == b""


@pytest.mark.parametrize(
    ("coding", "decode"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)]
)
def test_compressed_streams_are_live_and_whole(
    sse_server: EventServer, coding: Any, decode: Any
) -> None:
    seen = threading.Event()
    sse_server.script("/live", [compress(coding), events("a"), lambda _: seen.wait(TIMEOUT)])
    sse_server.script("/", [compress(coding), events("a", "b")])
    with httpx.Client() as client, connect_sse(client, "GET", sse_server.url("/live")) as source:
        assert next(source.iter_sse()).data == "a"  # while the server waits
        assert not seen.is_set()
        seen.set()
    response = get(sse_server)
    assert response.headers["Content-Encoding"] == coding
    assert decode(response.read()) == b"data: a\n\ndata: b\n\n"


def test_a_compressed_stream_can_be_cut(sse_server: EventServer) -> None:
    sse_server.script("/", [compress(), events("a"), cut(at=20), events("b" * 1000)])
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(sse_server).read()
    assert len(caught.value.partial) == 20


def test_a_step_of_your_own_and_what_it_raises() -> None:
    def fails(_: object) -> None:
        raise RuntimeError("no")

    with (
        pytest.raises(RuntimeError, match="no"),
        EventServer({"/": [[events("a"), fails]]}) as server,
    ):
        with pytest.raises(ConnectionResetError):
            get(server).read()


def test_a_subscription_survives_what_a_script_does(sse_server: EventServer) -> None:
    sse_server.script(
        "/",
        [events(ServerSentEvent(data="a", id="1"), "b"), reset()],
        status(503),
        [events(ServerSentEvent(data="c", id="2")), cut(at=25)],
        status(204),
    )
    with httpx.Client() as client:
        with subscribe(client, "GET", sse_server.url(), reconnect=AT_ONCE) as stream:
            data = [event.data for event in stream]
    assert data in (["a", "b", "c"], ["a", "c"], ["c"])  # a reset may lose what is on its way
    asked = [request.header("last-event-id") for request in sse_server.requests]
    assert asked[0] is None
    assert asked[-1] == "2"


async def test_on_asyncio() -> None:
    scripts: Scripts = {"/": [[events(ServerSentEvent(data="a", id="1")), cut()], status(204)]}
    async with EventServer(scripts) as server:
        async with httpx.AsyncClient() as client:
            async with asubscribe(client, "GET", server.url(), reconnect=AT_ONCE) as stream:
                assert [event.data async for event in stream] == ["a"]
    assert server.requests[1].header("last-event-id") == "1"


def test_it_stops_while_clients_wait() -> None:
    with EventServer({"/": [[hold()]]}) as server:
        response = get(server)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


# -- cassettes -------------------------------------------------------------------------------------


def recording(*chunks: Chunk, error: str | None = None, code: int = 200) -> Recording:
    headers = (("content-type", "text/event-stream"), ("content-encoding", "gzip"), ("x-a", "1"))
    return Recording(0.0, "GET", "http://x/", (), code, headers, chunks, error)


CASSETTE: Final = Cassette(
    (
        recording(Chunk(0.1, b"id: 1\ndata: a\n"), Chunk(0.3, b"\ndata: b\n\n"), error="ReadError"),
        recording(code=503),
        recording(Chunk(9.0, b"data: c\n\n")),
    )
)


def test_a_cassette_is_replayed(sse_server: EventServer) -> None:
    sse_server.replay(CASSETTE)
    with httpx.Client() as client:
        with subscribe(client, "GET", sse_server.url(), reconnect=AT_ONCE) as stream:
            assert [event.data for event in stream] == ["a", "b", "c"]
    assert len(sse_server.requests) == 4
    response = get(sse_server)
    assert response.status == 204


def test_headers_of_the_wire_are_not_replayed(sse_server: EventServer) -> None:
    sse_server.replay(CASSETTE, path="/x")
    response = get(sse_server, "/x")
    assert response.headers["X-A"] == "1"
    assert response.headers["Content-Encoding"] is None


@pytest.mark.parametrize(("speed", "least"), [(1.0, 0.3), (2.0, 0.15)])
def test_a_cassette_has_its_times(sse_server: EventServer, speed: float, least: float) -> None:
    sse_server.replay(CASSETTE, speed=speed)
    response = get(sse_server)
    began = time.monotonic()
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    assert time.monotonic() - began > least - 0.1


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_speeds_that_are_none(sse_server: EventServer, speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be above 0"):
        sse_server.replay(CASSETTE, speed=speed)


def test_a_cassette_is_read_from_its_file(sse_server: EventServer, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(
        '{"format": "sse-recording", "version": 1}\n'
        '{"connection": 1, "time": 0, "text": "data: x\\n\\n"}\n'
    )
    sse_server.replay(path)
    assert get(sse_server).read() == b"data: x\n\n"
