"""What goes wrong on the way: broken connections and bodies, and responses that are no stream."""

from __future__ import annotations

import copy
import pickle
import threading
import time
import zlib
from typing import TYPE_CHECKING, Final

import httpxr
import pytest

import sse_proto
from sse_httpxr import SSEError
from tests.support.harness import Mode, data_of, event, sends

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.harness import Stream
    from tests.support.servers import Exchange, RawServer

TIMEOUT: Final = 10.0
# Seconds that a server waits before a reset, which would overtake what it has sent just before.
SETTLE: Final = 0.02


def read_until_error(stream: Stream[sse_proto.ServerSentEvent]) -> tuple[list[str], Exception]:
    """Return the data of all events before an error, and the error."""
    received: list[str] = []
    try:
        for item in stream:
            received.append(item.data)  # noqa: PERF401  # for those before the error
    except Exception as error:
        return received, error
    raise AssertionError(f"no error after {received}")


# -- broken bodies --------------------------------------------------------------------------------


def reset(exchange: Exchange) -> None:
    exchange.start()
    exchange.send(event("1") + event("2") + b"data: unfinished\n")
    exchange.stalled(SETTLE)
    exchange.reset()


def truncated_chunked(exchange: Exchange) -> None:
    exchange.start()
    exchange.send(event("1"))
    exchange.send(event("2") + b"data: unfinished\n")
    exchange.truncate()


def truncated_chunk(exchange: Exchange) -> None:
    exchange.start()
    exchange.send(event("1") + event("2"))
    exchange.send_raw(b"ff\r\ndata: unfinished\n")
    exchange.truncate()


def malformed_chunk(exchange: Exchange) -> None:
    exchange.start()
    exchange.send(event("1") + event("2"))
    exchange.send_raw(b"not a size\r\n")
    exchange.wait_closed(TIMEOUT)


def shorter_than_promised(exchange: Exchange) -> None:
    exchange.start(framing=1000)
    exchange.send(event("1") + event("2") + b"data: unfinished\n")
    exchange.truncate()


def bad_gzip(exchange: Exchange) -> None:
    gzip = zlib.compressobj(wbits=31)
    exchange.start(headers=[("Content-Encoding", "gzip")])
    exchange.send(gzip.compress(event("1") + event("2")) + gzip.flush(zlib.Z_SYNC_FLUSH))
    exchange.stalled(SETTLE)
    exchange.send(b"\xff" * 64)
    exchange.wait_closed(TIMEOUT)


@pytest.mark.parametrize(
    "fault",
    [reset, truncated_chunked, truncated_chunk, malformed_chunk, shorter_than_promised, bad_gzip],
    ids=lambda fault: fault.__name__,
)
def test_a_body_that_breaks_off_raises_after_its_events(
    mode: Mode, server: RawServer, fault: Callable[[Exchange], None]
) -> None:
    server.route("/", fault)
    with mode.open(mode.client(), "GET", server.url()) as stream:
        received, error = read_until_error(stream)
        assert received == ["1", "2"]
        assert type(error) is httpxr.ReadError
        assert str(error).startswith("event stream broke off: ")
        assert str(error.request.url) == server.url()
        assert isinstance(error.__cause__, OSError)


def test_after_a_fault_the_streamis_closed(mode: Mode, server: RawServer) -> None:
    server.route("/", reset)
    with mode.open(mode.client(), "GET", server.url()) as stream:
        read_until_error(stream)
        stream.restart()
        with pytest.raises(httpxr.StreamClosed, match="closed before its end"):
            next(stream)


def test_a_malformed_body_closes_its_connection(mode: Mode, server: RawServer) -> None:
    server.route("/", malformed_chunk)
    with mode.open(mode.client(), "GET", server.url()) as stream:
        read_until_error(stream)
        server.wait_for_close(TIMEOUT)


def test_a_body_that_the_close_delimits_ends_well(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start(framing="close")
        exchange.send(event("1"))
        exchange.send(event("2") + b"data: unfinished\n")

    assert data_of(mode.collect(mode.client(), "GET", server.url())) == ["1", "2"]


def test_a_body_of_the_length_promised_ends_well(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start(framing=len(event("1")) + len(event("2")))
        exchange.send(event("1"))
        exchange.send(event("2"))

    client = mode.client()
    for _ in range(2):
        assert data_of(mode.collect(client, "GET", server.url())) == ["1", "2"]
    assert server.connections == 1  # both, as the first one ended well


def test_an_empty_body_has_no_events(mode: Mode, server: RawServer) -> None:
    server.route("/", sends())
    server.route("/length", lambda exchange: exchange.start(framing=0))
    for path in ("/", "/length"):
        assert mode.collect(mode.client(), "GET", server.url(path)) == []


def test_a_streamthat_stalls_goes_on(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + b"data: 2")
        exchange.stalled(0.3)
        exchange.send(b"\n\n")

    client = mode.client(timeout=httpxr.Timeout(5.0, connect=0.2))
    assert data_of(mode.collect(client, "GET", server.url())) == ["1", "2"]


def test_a_slow_drip_is_no_silence(mode: Mode, server: RawServer) -> None:
    body = ("id: 7\nevent: größe\n" + "data: ü\n" * 3 + "\r\n").encode()

    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        for number in range(len(body)):
            exchange.send(body[number : number + 1])
            time.sleep(0.01)

    timeout = httpxr.Timeout(5.0, read=0.25)  # less than it takes, more than a byte takes
    started = time.perf_counter()
    events = mode.collect(mode.client(), "GET", server.url(), timeout=timeout)
    assert time.perf_counter() - started > 0.3
    assert events == [("größe", "ü\nü\nü", "7", None)]


def test_silence_raises_and_reading_may_go_on(mode: Mode, server: RawServer) -> None:
    goes_on = threading.Event()

    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1"))
        goes_on.wait(TIMEOUT)
        exchange.send(event("2"))
        exchange.wait_closed(TIMEOUT)

    timeout = httpxr.Timeout(5.0, read=0.05)
    with mode.open(mode.client(), "GET", server.url(), timeout=timeout) as stream:
        assert next(stream).data == "1"
        for _ in range(3):
            with pytest.raises(httpxr.ReadTimeout) as raised:
                next(stream)
            assert str(raised.value) == "no byte from the server for 0.05 s"
            assert str(raised.value.request.url) == server.url()
        stream.restart()
        goes_on.set()
        assert next(stream).data == "2"


# -- no response ----------------------------------------------------------------------------------


def test_a_refused_connection(mode: Mode) -> None:
    url = "http://127.0.0.1:1/"  # tcpmux, which nobody runs
    with pytest.raises(httpxr.ConnectError) as raised:
        with mode.open(mode.client(), "GET", url):
            pass
    assert str(raised.value.request.url) == url


def closed_before_headers(exchange: Exchange) -> None:
    exchange.truncate()


def reset_before_headers(exchange: Exchange) -> None:
    exchange.reset()


def cut_headers(exchange: Exchange) -> None:
    exchange.send_raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/ev")
    exchange.truncate()


def no_http(exchange: Exchange) -> None:
    exchange.send_raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    exchange.truncate()


@pytest.mark.parametrize(
    "fault",
    [closed_before_headers, reset_before_headers, cut_headers, no_http],
    ids=lambda fault: fault.__name__,
)
def test_no_headers(mode: Mode, server: RawServer, fault: Callable[[Exchange], None]) -> None:
    server.route("/", fault)
    with pytest.raises(httpxr.TransportError) as raised:
        with mode.open(mode.client(), "GET", server.url()):
            pass
    assert str(raised.value.request.url) == server.url()


# -- responses that are no event stream -----------------------------------------------------------


def refusal(mode: Mode, server: RawServer, *, closes: bool = True) -> tuple[SSEError, float]:
    """Open a stream that is refused; return the error, and the seconds until it was raised.

    ``closes`` asserts that the connection is closed then. One whose response was read to its end
    may as well go back to the client's pool.
    """
    with mode.open(mode.client(), "GET", server.url()) as stream:
        started = time.perf_counter()
        with pytest.raises(SSEError) as raised:
            next(stream)
        seconds = time.perf_counter() - started
        if closes:
            server.wait_for_close(1)  # in the block, as the error is the end
        assert raised.value.response is stream.response
        assert str(raised.value.request.url) == server.url()
    return raised.value, seconds


@pytest.mark.parametrize("status", [201, 204, 206, 302, 400, 401, 404, 429, 500, 503])
def test_other_statuses_are_refused(mode: Mode, server: RawServer, status: int) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start(status)  # an event stream by its content type; and without a Location
        if status != 204:
            exchange.send(b'{"error": "no"}')

    error, _ = refusal(mode, server, closes=False)
    assert error.status_code == status
    assert error.content_type == "text/event-stream"
    text = f"expected status 200, got status {status} with content type 'text/event-stream'"
    if status == 204:
        assert error.body == ""
        assert str(error) == text
    else:
        assert error.body == '{"error": "no"}'
        assert str(error) == f'{text}; the body begins \'{{"error": "no"}}\''


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "text/html; charset=utf-8",
        "text/event-stream-x",
        "x-text/event-stream",
        "text/event-streams",
        "text/event",
        "application/json",
        "text/plain; a=text/event-stream",
        "text / event-stream",
        ";text/event-stream",
        "",
    ],
)
def test_other_content_types_are_refused(mode: Mode, server: RawServer, content_type: str) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start(content_type=content_type)
        exchange.send(b"<p>data: 1\n\n")

    error, _ = refusal(mode, server, closes=False)
    assert error.status_code == 200
    assert error.content_type == content_type
    assert error.body == "<p>data: 1\n\n"
    found = f"content type {content_type!r}" if content_type else "no content type"
    assert str(error) == (
        f"expected content type 'text/event-stream', got status 200 with {found};"
        " the body begins '<p>data: 1\\n\\n'"
    )


def test_no_content_type_is_refused(mode: Mode, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.start(content_type=None))
    error, _ = refusal(mode, server, closes=False)
    assert error.content_type == ""
    assert error.body == ""
    assert str(error) == (
        "expected content type 'text/event-stream', got status 200 with no content type"
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "text/event-stream",
        "Text/Event-Stream",
        "TEXT/EVENT-STREAM",
        "text/event-stream;",
        "text/event-stream; charset=utf-8",
        "text/event-stream;charset=UTF-8;x=y",
        " \ttext/event-stream \t; charset=utf-8",
        "text/event-stream ;charset=latin-1",
        'text/event-stream; charset="utf-16"',
    ],
)
def test_the_media_type_counts_and_the_text_is_utf_8(
    mode: Mode, server: RawServer, content_type: str
) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start(content_type=content_type)
        exchange.send("data: Grüße\n\n".encode())

    assert data_of(mode.collect(mode.client(), "GET", server.url())) == ["Grüße"]


def large(exchange: Exchange) -> None:
    exchange.start(500, content_type="text/plain", framing=3_000_000)
    exchange.send(b"x" * 3_000_000)


def endless(exchange: Exchange) -> None:
    exchange.start(500, content_type="text/plain")
    while True:
        exchange.send(b"x" * 1000)


@pytest.mark.parametrize("handler", [large, endless], ids=["large", "endless"])
def test_of_a_long_body_the_first_bytes_are_read(
    mode: Mode, server: RawServer, handler: Callable[[Exchange], None]
) -> None:
    server.route("/", handler)
    error, seconds = refusal(mode, server)
    assert error.body == "x" * 64 * 1024
    assert str(error).endswith("the body begins '" + "x" * 1024 + "'")
    assert seconds < 0.9


def test_of_a_stalled_body_what_comes_in_a_second_is_read(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def stalled(exchange: Exchange) -> None:
        exchange.start(500, content_type="text/plain")
        exchange.send(b"over")
        exchange.stalled(0.2)
        exchange.send(b"loaded")
        exchange.wait_closed(TIMEOUT)

    error, seconds = refusal(mode, server)
    assert error.body == "overloaded"
    assert 0.9 < seconds < 2


def test_of_a_broken_body_what_came_is_read(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def broken(exchange: Exchange) -> None:
        exchange.start(500, content_type="text/plain")
        exchange.send(b"overloa")
        exchange.truncate()

    error, seconds = refusal(mode, server)
    assert error.body == "overloa"
    assert seconds < 0.9


def test_a_character_cut_by_the_limit_does_no_harm(mode: Mode, server: RawServer) -> None:
    body = ("x" + "ü" * 40_000).encode()
    server.route("/", lambda exchange: exchange.respond(500, body=body))
    error, _ = refusal(mode, server, closes=False)
    assert error.body == "x" + "ü" * 32_767 + "\ufffd"


def test_a_refusal_is_raised_again(mode: Mode, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(404, body=b"nothing here"))
    with mode.open(mode.client(), "GET", server.url()) as stream:
        with pytest.raises(SSEError) as first:
            next(stream)
        stream.restart()
        for _ in range(2):
            with pytest.raises(SSEError) as again:
                next(stream)
            assert again.value is first.value
            assert again.value.body == "nothing here"


def test_a_response_is_judged_when_iterating_starts(mode: Mode, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(404, [("X-Why", "gone")], b"nothing here"))
    with mode.open(mode.client(), "GET", server.url()) as stream:
        assert stream.response.status_code == 404
        assert stream.response.headers["x-why"] == "gone"
        with pytest.raises(httpxr.HTTPStatusError) as raised:
            stream.response.raise_for_status()
        assert raised.value.response is stream.response
        assert str(raised.value.request.url) == server.url()
        with pytest.raises(SSEError, match="nothing here"):
            next(stream)


def test_the_body_of_a_response_may_be_read_in_place_of_its_events(
    mode: Mode, server: RawServer
) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start(422, content_type="application/json")
        exchange.send(b'{"detail":')
        exchange.send(b' "no"}')

    async def aread(response: httpxr.Response) -> None:
        await response.aread()

    with mode.open(mode.client(), "GET", server.url()) as stream:
        if mode.is_async:
            mode.run(aread(stream.response))
        else:
            stream.response.read()
        assert stream.response.json() == {"detail": "no"}
        with pytest.raises(SSEError) as raised:  # knows the body all the same
            next(stream)
        assert raised.value.body == '{"detail": "no"}'


def test_an_error_is_one_of_httpxr() -> None:
    error = SSEError("text")
    assert isinstance(error, httpxr.TransportError)
    assert (error.response, error.status_code, error.content_type, error.body) == (
        None,
        None,
        "",
        "",
    )
    with pytest.raises(RuntimeError):
        _ = error.request
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert isinstance(same, SSEError)
        assert str(same) == "text"
        assert same.body == ""


# -- the decoder ----------------------------------------------------------------------------------


def test_an_event_that_is_too_large_raises_after_its_predecessors(
    mode: Mode, server: RawServer
) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + event("2") + b"data: " + b"x" * 200)
        exchange.stalled(SETTLE)
        exchange.send(b"x")
        exchange.wait_closed(TIMEOUT)

    decoder = sse_proto.SSEDecoder(max_event_size=100)
    with mode.open(mode.client(), "GET", server.url(), decoder=decoder) as stream:
        assert data_of(stream.take(2)) == ["1", "2"]
        with pytest.raises(
            SSEError, match=r"^event stream refused: .*limit is 100 bytes"
        ) as raised:
            next(stream)
        server.wait_for_close(1)
        error = raised.value
        assert isinstance(error.__cause__, sse_proto.EventTooLarge)
        assert error.__cause__.limit == 100
        assert str(error.request.url) == server.url()
        stream.restart()
        with pytest.raises(SSEError) as again:
            next(stream)
        assert again.value is error


def test_an_event_that_is_too_large_is_refused_at_once(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b"data: " + b"x" * 200)
        exchange.wait_closed(TIMEOUT)

    decoder = sse_proto.SSEDecoder(max_event_size=100)
    with mode.open(mode.client(), "GET", server.url(), decoder=decoder) as stream:
        with pytest.raises(SSEError, match="limit is 100 bytes"):
            next(stream)
        server.wait_for_close(1)


def test_an_event_that_is_too_large_at_the_end_is_refused(mode: Mode, server: RawServer) -> None:
    server.route(
        "/",
        lambda exchange: exchange.respond(
            body=event("1") + b"data: " + b"x" * 200, content_type="text/event-stream"
        ),
    )
    decoder = sse_proto.SSEDecoder(max_event_size=100)
    with mode.open(mode.client(), "GET", server.url(), decoder=decoder) as stream:
        received, error = read_until_error(stream)
    assert received == ["1"]
    assert isinstance(error, SSEError)


def test_without_a_limit_an_event_may_be_large(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("x" * 1_000_000, "2"))
    decoder = sse_proto.SSEDecoder(max_event_size=None)
    events = mode.collect(mode.client(), "GET", server.url(), decoder=decoder)
    assert data_of(events) == ["x" * 1_000_000, "2"]


def test_the_decoder_may_dispatch_events_without_data(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b"event: done\n\n")

    assert mode.collect(mode.client(), "GET", server.url()) == []
    decoder = sse_proto.SSEDecoder(dispatch_empty=True)
    events = mode.collect(mode.client(), "GET", server.url(), decoder=decoder)
    assert events == [("done", "", None, None)]


def test_the_decoder_may_begin_with_a_last_event_id(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + b"id: b\n\n" + event("2"))

    decoder = sse_proto.SSEDecoder(last_event_id="a")
    with mode.open(mode.client(), "GET", server.url(), decoder=decoder) as stream:
        assert stream.source.last_event_id == "a"
        assert [item.id for item in stream] == ["a", "b"]
        assert stream.source.last_event_id == decoder.last_event_id == "b"


def test_each_source_has_a_decoder_of_its_own(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b"id: 1\ndata: 1\n\ndata: unfinished")

    client = mode.client()
    for _ in range(2):
        with mode.open(client, "GET", server.url()) as stream:
            assert stream.source.last_event_id is None
            assert [item.id for item in stream] == ["1"]
