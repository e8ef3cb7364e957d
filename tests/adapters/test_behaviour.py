"""What every adapter does alike: one table of behaviour, over each adapter, library and event loop.

The drivers are in tests/support/drivers.py, which says how to write such a test.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import gzip
import importlib
import importlib.util
import inspect
import json
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import trustme

from sse_proto import (
    EventTooLarge,
    Open,
    ReadyState,
    ReconnectPolicy,
    ServerSentEvent,
    SSEDecoder,
    Stop,
    Wait,
)
from tests.support.drivers import TIMEOUT, driven
from tests.support.harness import event, sends
from tests.support.servers import RawServer, TlsFiles

if TYPE_CHECKING:
    from pathlib import Path

    from sse_proto import Action
    from tests.support.drivers import Driver, Stream
    from tests.support.servers import Exchange, Handler, RawServer, TlsFiles

# Seconds from the end of a stream until the server has seen it. On an idle machine it is a
# hundredth of that.
PROMPT: Final = 1.0
# Seconds that a server waits before a reset, which would overtake what it has sent just before.
SETTLE: Final = 0.02
NDJSON: Final = "application/x-ndjson"
EVENT_STREAM: Final = "text/event-stream"
FAST: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, max_attempts=5)
ONCE_MORE: Final = ReconnectPolicy(initial_delay=0.001, max_attempts=2)

# -- streams that are read to their end, or to their error ----------------------------------------


class Case(NamedTuple):
    """What a server does, and what comes of it."""

    handler: Handler
    events: list[ServerSentEvent]
    error: str = ""
    """What `Driver.error` calls the exception after the events."""
    message: str = ""
    call: Callable[[Driver], dict[str, Any]] = lambda _: {}
    is_closed: bool = False
    """Whether the server waits for the client to close."""


def of(*data: str) -> list[ServerSentEvent]:
    return [ServerSentEvent(data=item) for item in data]


def dripping(body: bytes, size: int = 1) -> Handler:
    """Return a handler that sends a body in chunks of this size, which stay chunks on the way."""

    def handle(exchange: Exchange) -> None:
        exchange.start()
        for at in range(0, len(body), size):
            exchange.send(body[at : at + size])
            time.sleep(0.001)

    return handle


def answers(
    body: bytes = b"", status: int = 200, content_type: str | None = EVENT_STREAM
) -> Handler:
    def handle(exchange: Exchange) -> None:
        exchange.start(status, content_type=content_type)
        if body:
            exchange.send(body)

    return handle


def coded(coding: str, body: bytes) -> Handler:
    """Return a handler that sends a body in two chunks, with this ``Content-Encoding``."""

    def handle(exchange: Exchange) -> None:
        exchange.start(headers=[("Content-Encoding", coding)])
        for part in filter(None, (body[:20], body[20:])):
            exchange.send(part)

    return handle


def close_ends(exchange: Exchange) -> None:
    exchange.start(framing="close")
    exchange.send(event("1"))
    exchange.send(event("2") + b"data: unfinished\n")


def length_ends(exchange: Exchange) -> None:
    exchange.start(framing=len(event("1") + event("2")))
    exchange.send(event("1"))
    exchange.send(event("2"))


def silent(exchange: Exchange) -> None:
    exchange.wait_closed(TIMEOUT)


def gone(exchange: Exchange) -> None:
    exchange.truncate()


def in_circles(exchange: Exchange) -> None:
    exchange.respond(307, [("Location", "/")])


def reset(exchange: Exchange) -> None:
    exchange.start()
    exchange.send(event("1") + event("2") + b"data: unfinished\n")
    exchange.stalled(SETTLE)
    exchange.reset()


def truncated(exchange: Exchange) -> None:
    exchange.start()
    exchange.send(event("1"))
    exchange.send(event("2") + b"data: unfinished\n")
    exchange.truncate()


def shorter_than_promised(exchange: Exchange) -> None:
    exchange.start(framing=1000)
    exchange.send(event("1") + event("2") + b"data: unfinished\n")
    exchange.truncate()


def malformed(exchange: Exchange) -> None:
    exchange.start()
    exchange.send(event("1") + event("2"))
    exchange.stalled(SETTLE)
    exchange.send_raw(b"not a size\r\n")
    exchange.wait_closed(TIMEOUT)


def too_large(exchange: Exchange) -> None:
    exchange.start()
    for chunk in (event("1") + event("2"), b"data: " + b"x" * 200, b"x"):
        exchange.send(chunk)
        exchange.stalled(SETTLE)
    exchange.wait_closed(TIMEOUT)


def stalling_refusal(exchange: Exchange) -> None:
    exchange.start(500, content_type="text/plain")
    exchange.send(b"over")
    exchange.stalled(0.1)
    exchange.send(b"loaded")
    exchange.wait_closed(TIMEOUT)


def broken_refusal(exchange: Exchange) -> None:
    exchange.start(500, content_type="text/plain")
    exchange.send(b"overloa")
    exchange.truncate()


def endless_refusal(exchange: Exchange) -> None:
    exchange.start(500, content_type="text/plain")
    while True:
        exchange.send(b"x" * 100)


def impatient(driver: Driver) -> dict[str, Any]:
    return driver.reads_within(0.1)


def very_impatient(_: Driver) -> dict[str, Any]:
    return {"timeout": 0.1}


def limited(_: Driver) -> dict[str, Any]:
    return {"decoder": SSEDecoder(max_event_size=100)}


def resuming(_: Driver) -> dict[str, Any]:
    return {"decoder": SSEDecoder(last_event_id="a", dispatch_empty=True)}


FIELDS: Final = (
    "\ufeff: hi\r\nid: 7\r\nevent: größe\r\nretry: 9\r\ndata: ü\r\ndata: €\r\n\r\n"
    "data: 🚀\r\rid\ndata\n\n"
).encode()
FIELDS_EVENTS: Final = [
    ServerSentEvent("größe", "ü\n€", "7", 9),
    ServerSentEvent("message", "🚀", "7"),
    ServerSentEvent("message", "", ""),
]
EXPECTED_TYPE: Final = "expected content type 'text/event-stream', got status 200 with"

CASES: Final[dict[str, Case]] = {
    "an event a chunk": Case(sends("1", "2", "3"), of("1", "2", "3")),
    "many events a chunk": Case(answers(event("1") * 300), of("1") * 300),
    "a byte a chunk": Case(dripping(FIELDS), FIELDS_EVENTS),
    "two bytes a chunk": Case(dripping(FIELDS, 2), FIELDS_EVENTS),
    "all in a chunk": Case(answers(FIELDS), FIELDS_EVENTS),
    "heartbeats": Case(answers(b": hi\n\n" * 3 + event("1") + b":\n\n"), of("1")),
    "invalid UTF-8": Case(answers(b"data: \xff\xe2\x82\n\n"), of("\ufffd\ufffd")),
    "parameters of the type": Case(
        answers(event("1"), content_type="Text/Event-Stream ; charset=latin-1"), of("1")
    ),
    "an empty body": Case(answers(), []),
    "the end of the connection ends the body": Case(close_ends, of("1", "2")),
    "the length ends the body": Case(length_ends, of("1", "2")),
    "an unfinished event is discarded": Case(
        answers(event("1") + b"id: 2\ndata: unfinished\n"), of("1")
    ),
    "a decoder with options": Case(
        answers(b"event: done\n\n"), [ServerSentEvent("done", "", "a")], call=resuming
    ),
    "a large event": Case(answers(event("x" * 1_000_000)), of("x" * 1_000_000)),
    # what goes wrong on the way
    "a reset": Case(reset, of("1", "2"), "ReadError"),
    "a truncated body": Case(truncated, of("1", "2"), "Truncated"),
    "a body shorter than promised": Case(shorter_than_promised, of("1", "2"), "Truncated"),
    "a malformed body": Case(malformed, of("1", "2"), "Truncated", is_closed=True),
    "a stall": Case(
        sends("1", "2", hold=True), of("1", "2"), "ReadTimeout", call=impatient, is_closed=True
    ),
    "no response in time": Case(
        silent,
        [],
        "ReadTimeout",
        call=very_impatient,
        is_closed=True,
    ),
    "no response": Case(gone, [], "TransportError"),
    "an event that is too large": Case(
        too_large,
        of("1", "2"),
        "SSEError",
        "event stream refused: unfinished event holds",
        call=limited,
        is_closed=True,
    ),
    # what is no event stream
    "status 204": Case(
        answers(status=204, content_type=None),
        [],
        "SSEError",
        "expected status 200, got status 204 with no content type",
    ),
    "status 201": Case(
        answers(event("1"), 201),
        [],
        "SSEError",
        "expected status 200, got status 201 with content type 'text/event-stream';"
        r" the body begins 'data: 1\n\n'",
    ),
    "status 500": Case(
        stalling_refusal,
        [],
        "SSEError",
        "expected status 200, got status 500 with content type 'text/plain';"
        " the body begins 'overloaded'",
        is_closed=True,
    ),
    "another type": Case(
        answers(b"<p>", content_type="text/html; charset=utf-8"),
        [],
        "SSEError",
        f"{EXPECTED_TYPE} content type 'text/html; charset=utf-8'; the body begins '<p>'",
    ),
    "no type": Case(
        answers(event("1"), content_type=None), [], "SSEError", f"{EXPECTED_TYPE} no content type;"
    ),
    "a long answer": Case(
        endless_refusal,
        [],
        "SSEError",
        "the body begins '" + "x" * 1024 + "'",
        is_closed=True,
    ),
    "a broken answer": Case(broken_refusal, [], "SSEError", "the body begins 'overloa'"),
    "a redirect to nowhere": Case(answers(b"no", 302), [], "SSEError", "got status 302"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@driven
async def test_case(driver: Driver, server: RawServer, case: Case) -> None:
    await check(driver, server, case)


@pytest.mark.needs("redirects")
@driven
async def test_redirects_without_end(driver: Driver, server: RawServer) -> None:
    await check(driver, server, Case(in_circles, [], "TooManyRedirects"))


async def check(driver: Driver, server: RawServer, case: Case) -> None:
    server.route("/", case.handler)
    received: list[ServerSentEvent] = []
    error: Exception | None = None
    started = time.perf_counter()
    async with driver.client() as client:
        try:
            async with driver.connect(client, "GET", server.url(), **case.call(driver)) as stream:
                try:
                    while True:
                        received.append(await stream.next())
                except StopAsyncIteration:
                    pass
        except Exception as raised:
            error = raised
        if case.is_closed:
            await driver.wait_for_close(server)
    assert received == case.events
    assert time.perf_counter() - started < 3
    if not case.error:
        assert error is None
        return
    assert isinstance(error, driver.error(case.error)), repr(error)
    driver.check_error(error, server.url())
    assert case.message in str(error)


@pytest.mark.needs("request in its errors")
@driven
async def test_a_refusal_has_all_that_is_known(driver: Driver, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(404, body=b"nothing here"))
    async with driver.open("GET", server.url()) as stream:
        assert stream.response.status_code == 404  # judged when iterating starts
        for _ in range(2):
            with pytest.raises(driver.adapter.SSEError) as raised:
                await stream.next()
            error: Any = raised.value
            assert isinstance(error, driver.error("TransportError"))
            assert error.status_code == 404
            assert error.content_type == "text/plain"
            assert error.body == "nothing here"
            assert error.response is stream.response
            assert str(error.request.url) == server.url()
            stream.restart()


def api_error(size: int) -> bytes:
    return json.dumps({"error": "ü" * (size // 6)}).encode()  # ü is six bytes of an escape


@pytest.mark.parametrize("framing", ["chunked", "length"])
@driven
async def test_an_apis_error_is_whole(driver: Driver, server: RawServer, framing: str) -> None:
    body = api_error(60_000)

    @server.route("/")
    def refuse(exchange: Exchange) -> None:
        headers = [("X-Request-ID", "7")]
        if framing == "length":
            exchange.respond(422, headers, body, content_type="application/json")
            return
        exchange.start(422, content_type="application/json", headers=headers)
        for start in range(0, len(body), 1000):
            exchange.send(body[start : start + 1000])

    async with driver.client() as client:
        for manager in (driver.connect, driver.subscribe):
            async with manager(client, "GET", server.url()) as stream:
                with pytest.raises(driver.adapter.SSEError) as raised:
                    await stream.next()
                error: Any = raised.value
                assert error.body.encode() == body
                assert error.json() == json.loads(body)
                assert ("x-request-id", "7") in [(n.lower(), v) for n, v in error.headers]
                if "request in its errors" not in driver.lacks:
                    assert error.response.json() == error.json()
                    assert error.response.text == error.body
                assert repr(error.body[:1024]) in str(error)
                assert len(str(error)) < 2_000


@driven
async def test_an_apis_error_beyond_64_kib_is_cut(driver: Driver, server: RawServer) -> None:
    body = api_error(70_000)
    server.route("/", lambda exchange: exchange.respond(422, body=body))
    async with driver.open("GET", server.url()) as stream:
        with pytest.raises(driver.adapter.SSEError) as raised:
            await stream.next()
        error: Any = raised.value
        assert error.body.encode() == body[: 64 * 1024]
        with pytest.raises(json.JSONDecodeError):
            error.json()
        if "request in its errors" in driver.lacks:
            return
        # No half of a document: it is as a response that nobody has read.
        with pytest.raises(driver.error("ResponseNotRead")):
            error.response.json()


@driven
async def test_an_event_too_large_has_its_reason(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", "x" * 200, hold=True))
    async with driver.open("GET", server.url(), **limited(driver)) as stream:
        assert (await stream.next()).data == "1"
        with pytest.raises(driver.adapter.SSEError, match="limit is 100 bytes") as raised:
            await stream.next()
        assert isinstance(raised.value.__cause__, EventTooLarge)
        error: Any = raised.value
        assert (error.status_code, error.body) == (None, "")
        assert getattr(error, "response", None) is None
        await driver.wait_for_close(server)
        with pytest.raises(driver.adapter.SSEError) as again:
            await stream.next()
        assert again.value is raised.value


# -- live -----------------------------------------------------------------------------------------


class Gate:
    """Lets a server go on when the test has what was sent before."""

    def __init__(self) -> None:
        self._steps = threading.Semaphore(0)
        self.opened = 0

    def open(self) -> None:
        self.opened += 1
        self._steps.release()

    def wait(self) -> None:
        assert self._steps.acquire(timeout=TIMEOUT), "what was sent has not arrived"


async def expect_live(stream: Stream, gate: Gate) -> None:
    for number in range(3):
        assert (await stream.next()).data == str(number)
        assert gate.opened == number
        gate.open()
    assert await stream.rest() == []


@driven
async def test_an_event_is_there_before_the_next_is_sent(driver: Driver, server: RawServer) -> None:
    gate = Gate()

    @server.route("/")
    def stepwise(exchange: Exchange) -> None:
        exchange.start()
        for number in range(3):
            exchange.send(event(str(number)))
            gate.wait()

    async with driver.open("GET", server.url()) as stream:
        await expect_live(stream, gate)


@pytest.mark.needs("gzip")
@driven
async def test_a_compressed_stream_is_live(driver: Driver, server: RawServer) -> None:
    gate = Gate()

    @server.route("/")
    def stepwise(exchange: Exchange) -> None:
        assert "gzip" in (exchange.header("accept-encoding") or "")
        gzip = zlib.compressobj(wbits=31)
        exchange.start(headers=[("Content-Encoding", "gzip")])
        for number in range(3):
            exchange.send(gzip.compress(event(str(number))) + gzip.flush(zlib.Z_SYNC_FLUSH))
            gate.wait()
        exchange.send(gzip.flush())

    async with driver.open("GET", server.url()) as stream:
        await expect_live(stream, gate)


# Where the decompressor fails, httpx leaves the generators below to the garbage collector.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.needs("gzip")
@driven
async def test_a_malformed_compressed_stream_is_closed(driver: Driver, server: RawServer) -> None:

    @server.route("/")
    def malformed(exchange: Exchange) -> None:
        gzip = zlib.compressobj(wbits=31)
        exchange.start(headers=[("Content-Encoding", "gzip")])
        exchange.send(gzip.compress(event("1")) + gzip.flush(zlib.Z_SYNC_FLUSH))
        exchange.stalled(SETTLE)
        exchange.send(b"\xff" * 64)
        exchange.wait_closed(TIMEOUT)

    async with driver.open("GET", server.url()) as stream:
        assert (await stream.next()).data == "1"
        with pytest.raises(driver.error("Undecodable")):
            await stream.next()
        await driver.wait_for_close(server)
        with pytest.raises(driver.error("StreamClosed")):
            await stream.next()


GZIP: Final = gzip.compress(event("1") + event("2"))
CODED: Final[dict[str, Case]] = {
    "x-gzip": Case(coded("x-gzip", GZIP), of("1", "2")),
    "capitals": Case(coded("GZIP", GZIP), of("1", "2")),
    "several": Case(coded("gzip, GZip", gzip.compress(GZIP)), of("1", "2")),
    "none, said so": Case(coded("identity", event("1")), of("1")),
    "an empty body": Case(coded("x-gzip", b""), []),
    "members": Case(coded("x-gzip", GZIP + gzip.compress(b"") + GZIP), of("1", "2", "1", "2")),
    "cut": Case(
        coded("x-gzip", GZIP[:-1]),
        of("1", "2"),
        "Undecodable",
        "the body ends within its content coding, x-gzip",
    ),
    "garbage behind it": Case(coded("GZIP", GZIP + b"garbage"), of("1", "2"), "Undecodable"),
    "unknown": Case(
        coded("rot13", event("1")), [], "SSEError", "content coding 'rot13' cannot be decoded"
    ),
    "a bomb": Case(
        coded("x-gzip", gzip.compress(b"data: " + b"x" * 50_000_000)),
        [],
        "SSEError",
        "event stream refused: unfinished event holds",
        call=limited,
    ),
}


@pytest.mark.parametrize("case", CODED.values(), ids=CODED.keys())
@pytest.mark.adapter("sse_httpx", "sse_httpxr")  # the others have the client undo it
@driven
async def test_a_content_coding(driver: Driver, server: RawServer, case: Case) -> None:
    await check(driver, server, case)


@pytest.mark.adapter("sse_httpx", "sse_httpxr")
@driven
async def test_a_malformed_coding_is_a_lost_connection(driver: Driver, server: RawServer) -> None:
    server.route("/", coded("x-gzip", GZIP[:-1]))
    async with driver.client() as client:
        async with driver.subscribe(client, "GET", server.url(), reconnect=FAST) as stream:
            assert [(await stream.next()).data for _ in range(4)] == ["1", "2", "1", "2"]


@pytest.mark.needs("gzip")
@driven
async def test_after_a_malformed_coding_iterating_says_so(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", coded("x-gzip", GZIP + b"garbage"))
    async with driver.open("GET", server.url()) as stream:
        assert [(await stream.next()).data for _ in range(2)] == ["1", "2"]
        for name in (("DecodingError", "ReadError"), "StreamClosed", "StreamClosed"):
            errors = (name,) if isinstance(name, str) else name
            with pytest.raises(tuple(driver.error(each) for each in errors)):
                await stream.next()


@pytest.mark.needs("gzip")
@driven
async def test_an_encoded_refusal_is_decoded(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def refuse(exchange: Exchange) -> None:
        headers = [("Content-Encoding", "x-gzip")]
        exchange.start(422, content_type="application/json", headers=headers)
        exchange.send(gzip.compress(b'{"error": "x"}'))

    async with driver.open("GET", server.url()) as stream:
        with pytest.raises(driver.adapter.SSEError) as raised:
            await stream.next()
    assert raised.value.json() == {"error": "x"}


@pytest.mark.adapter("sse_httpx", "sse_httpxr")
@driven
async def test_an_unknown_coding_is_final(driver: Driver, server: RawServer) -> None:
    server.route("/", coded("rot13", event("1")))
    async with driver.client() as client:
        async with driver.subscribe(client, "GET", server.url(), reconnect=FAST) as stream:
            with pytest.raises(driver.adapter.SSEError, match="rot13' cannot be decoded") as raised:
                await stream.next()
            assert raised.value.status_code == 200
    assert len(server.requests) == 1


@driven
async def test_tls_is_live(driver: Driver, tls_server: RawServer, tls: TlsFiles) -> None:
    gate = Gate()

    @tls_server.route("/")
    def stepwise(exchange: Exchange) -> None:
        exchange.start()
        for number in range(3):
            exchange.send(event(str(number)))
            gate.wait()

    settings, call = driver.trust(tls.ca_pem)
    async with driver.client(**settings) as client:
        async with driver.connect(client, "GET", tls_server.url(), **call) as stream:
            await expect_live(stream, gate)
    async with driver.client() as client:
        with pytest.raises(driver.error("ConnectError")):
            async with driver.connect(client, "GET", tls_server.url()):
                pass


# -- requests -------------------------------------------------------------------------------------


@pytest.mark.needs("settings")
@driven
async def test_headers_are_added_where_there_are_none(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1"))
    headers = driver.library.Headers({"X-Own": "a"})
    plain = {"Accept": "application/json", "Last-Event-ID": "7"}
    async with driver.client(headers={"X-Client": "b"}) as client:
        for given in (headers, plain, list(plain.items())):
            async with driver.connect(client, "GET", server.url(), headers=given) as stream:
                assert len(await stream.rest()) == 1
    assert dict(headers) == {"x-own": "a"}
    assert plain == {"Accept": "application/json", "Last-Event-ID": "7"}
    first, *others = server.requests
    assert first.header_values("accept") == ["text/event-stream"]
    assert first.header_values("cache-control") == ["no-store"]
    assert (first.header("x-own"), first.header("x-client")) == ("a", "b")
    for other in others:
        assert other.header_values("accept") == ["application/json"]
        assert other.header_values("cache-control") == ["no-store"]
        assert other.header("last-event-id") == "7"


@pytest.mark.needs("settings")
@driven
async def test_the_request_is_as_the_client_makes_it(driver: Driver, server: RawServer) -> None:
    server.route("/base/chat", sends("1"))
    settings = {
        "base_url": server.url("/base/"),
        "params": {"a": "1"},
        "cookies": {"c": "1"},
        "auth": ("user", "secret"),
    }
    async with driver.client(**settings) as client:
        async with driver.connect(
            client, "POST", "chat", json={"stream": True}, params={"b": "2"}
        ) as stream:
            assert len(await stream.rest()) == 1
        async with driver.connect(
            client, "POST", "chat", content=b"raw", auth=None, cookies={"d": "2"}
        ) as stream:
            assert len(await stream.rest()) == 1
        async with driver.connect(client, "POST", "chat", data={"e": "3"}) as stream:
            assert len(await stream.rest()) == 1
    first, second, third = server.requests
    assert first.method == "POST"
    assert first.query == {"a": ["1"], "b": ["2"]}
    assert json.loads(first.body) == {"stream": True}
    assert first.header("content-type") == "application/json"
    assert (first.header("cookie"), first.header("accept")) == ("c=1", "text/event-stream")
    assert (first.header("authorization") or "").startswith("Basic ")
    assert (second.body, second.header("authorization")) == (b"raw", None)
    assert sorted((second.header("cookie") or "").split("; ")) == ["c=1", "d=2"]
    assert third.body == b"e=3"


class Asked(NamedTuple):
    """What is asked for, and the header that is sent for it."""

    client: dict[str, Any]
    call: dict[str, Any]
    header: str
    values: list[str]
    method: str = "GET"
    userinfo: str = ""


BOTH_TYPES: Final = "application/json, text/event-stream"
ASKED: Final[dict[str, Asked]] = {
    "the client's Accept": Asked({"headers": {"Accept": BOTH_TYPES}}, {}, "accept", [BOTH_TYPES]),
    "a client's Accept that says nothing": Asked(
        {"headers": {"ACCEPT": "*/*"}}, {}, "accept", [EVENT_STREAM]
    ),
    "the client's Cache-Control": Asked(
        {"headers": {"cache-control": "no-cache"}}, {}, "cache-control", ["no-cache"]
    ),
    "the call's Accept before the client's": Asked(
        {"headers": {"Accept": "a/b"}}, {"headers": {"accept": "c/d"}}, "accept", ["c/d"]
    ),
    "the call's Cookie": Asked(
        {"cookies": {"of": "client"}}, {"headers": {"Cookie": "a=b"}}, "cookie", ["a=b"]
    ),
    "the client's Cookie": Asked(
        {"cookies": {"of": "client"}, "headers": {"Cookie": "a=b"}}, {}, "cookie", ["a=b"]
    ),
    "an empty body": Asked({}, {"content": b""}, "content-length", ["0"], "POST"),
    "an empty body of text": Asked({}, {"content": ""}, "content-length", ["0"], "PUT"),
    "no body": Asked({}, {}, "content-length", ["0"], "POST"),
    "no body, of GET": Asked({}, {}, "content-length", []),
    "an encoded user": Asked(
        {},
        {},
        "authorization",
        ["Basic " + base64.b64encode("us@er:p:wü".encode()).decode()],
        userinfo="us%40er:p%3Aw%C3%BC@",
    ),
    "a user without a password": Asked(
        {}, {}, "authorization", ["Basic " + base64.b64encode(b"user:").decode()], userinfo="user@"
    ),
    "a user, and the call's own Authorization": Asked(
        {}, {"auth": ("a", "b")}, "authorization", ["Basic YTpi"], userinfo="user:secret@"
    ),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
@pytest.mark.needs("settings")
@driven
async def test_what_is_asked_for_is_sent(driver: Driver, server: RawServer, asked: Asked) -> None:
    server.route("/", sends("1"))
    url = server.url().replace("//", f"//{asked.userinfo}")
    async with driver.client(**asked.client) as client:
        async with driver.connect(client, asked.method, url, **asked.call) as stream:
            assert len(await stream.rest()) == 1
        async with driver.subscribe(client, asked.method, url, **asked.call) as stream:
            assert (await stream.next()).data == "1"
    for request in server.requests:
        assert request.header_values(asked.header) == asked.values


class IPv6Server(HTTPServer):
    address_family = socket.AF_INET6


class HostOnly(BaseHTTPRequestHandler):
    """Sends back the ``Host``, after a redirect."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.send_response(307)
            self.send_header("Location", "/again")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", EVENT_STREAM)
        self.end_headers()
        self.wfile.write(event(self.headers["Host"]))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.mark.needs("redirects")
@driven
async def test_the_host_of_an_ipv6_address_has_brackets(driver: Driver) -> None:
    try:
        server = IPv6Server(("::1", 0), HostOnly)
    except OSError:
        pytest.skip("there is no IPv6 here")
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            host = f"[::1]:{server.server_port}"
            for path in ("/", "/again"):
                async with driver.open("GET", f"http://{host}{path}") as stream:
                    assert (await stream.next()).data == host
            own = {"Host": "example.com"}
            async with driver.open("GET", f"http://{host}/again", headers=own) as stream:
                assert (await stream.next()).data == "example.com"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.needs("redirects")
@driven
async def test_redirects_are_followed_with_headers(driver: Driver, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(307, [("Location", "/next")], b"moved"))
    server.route("/next", sends("1"))
    headers = {"Authorization": "Bearer a", "X-Own": "b"}
    async with driver.open(
        "POST", server.url(), headers=headers, json={"n": 1}, follow_redirects=True
    ) as stream:
        assert [item.data for item in await stream.rest()] == ["1"]
        assert str(stream.response.url) == server.url("/next")
        assert [old.status_code for old in stream.response.history] == [307]
    first, second = server.requests
    for name in ("authorization", "x-own", "accept", "cache-control", "content-type"):
        assert second.header_values(name) == first.header_values(name) != []
    assert (second.method, second.body) == ("POST", first.body)


@pytest.mark.needs("redirects")
@driven
async def test_redirects_are_followed_if_not_otherwise_said(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", lambda exchange: exchange.respond(301, [("Location", "/next")]))
    server.route("/next", sends("1"))
    async with driver.client(follow_redirects=False) as client:
        async with driver.connect(client, "GET", server.url()) as stream:
            assert [item.data for item in await stream.rest()] == ["1"]
        async with driver.connect(client, "GET", server.url(), follow_redirects=False) as stream:
            with pytest.raises(driver.adapter.SSEError, match="got status 301"):
                await stream.next()


class Away(NamedTuple):
    """Where a server redirects to, and the errors that come of it, one of which is raised."""

    location: bytes
    errors: tuple[str, ...]
    is_final: bool | None = False
    """Whether a subscription gives up; ``None``: as the client sees it."""


AWAY: Final[dict[str, Away]] = {
    "dots": Away(b"http://...../", ("ConnectError",)),
    "a label of 70 letters": Away(b"http://" + b"a" * 70 + b".test/", ("ConnectError",)),
    "a malformed A-label": Away(b"http://xn--/", ("ConnectError", "LocalProtocolError"), None),
    "a port beyond all": Away(
        b"http://127.0.0.1:99999/", ("ConnectError", "LocalProtocolError"), None
    ),
    "100 KB": Away(b"/" + b"x" * 100_000, ("RemoteProtocolError", "UnsupportedProtocol"), None),
    "half an IPv6 address": Away(
        b"http://[::1/", ("RemoteProtocolError", "UnsupportedProtocol"), None
    ),
    "another scheme": Away(b"ftp://127.0.0.1/", ("UnsupportedProtocol",), True),
    "no host": Away(b"mailto:a@b.test", ("RemoteProtocolError", "UnsupportedProtocol"), None),
}


@pytest.mark.parametrize("away", AWAY.values(), ids=AWAY.keys())
@pytest.mark.needs("redirects")
@driven
async def test_a_redirect_that_leads_nowhere(driver: Driver, server: RawServer, away: Away) -> None:
    server.route(
        "/", lambda exchange: exchange.respond(307, [("Location", away.location.decode())])
    )
    errors = tuple(driver.error(name) for name in away.errors)
    async with driver.client() as client:
        with pytest.raises(errors) as raised:
            async with driver.connect(client, "GET", server.url()):
                pass
        assert raised.value.request.method == "GET"
        async with driver.subscribe(client, "GET", server.url(), reconnect=ONCE_MORE) as stream:
            with pytest.raises(driver.error("TransportError")) as final:
                await stream.next()
    gave_up = isinstance(final.value, driver.adapter.SSEError)
    if away.is_final is not None:
        assert gave_up is not away.is_final
    if gave_up:
        assert "gave up after 2 attempts" in str(final.value)
        assert isinstance(final.value.__cause__, errors)


@pytest.mark.needs("redirects")
@driven
async def test_a_cookie_beyond_ascii_on_the_way(driver: Driver, server: RawServer) -> None:
    headers = [("Location", "/next"), ("Set-Cookie", "a=\xfc")]
    server.route("/", lambda exchange: exchange.respond(307, headers))
    server.route("/next", sends("1"))
    async with driver.client() as client:
        if driver.package == "sse_httpxr":
            async with driver.connect(client, "GET", server.url()) as stream:
                assert (await stream.next()).data == "1"
            return
        for _ in range(2):  # on the way; from the client's cookies
            with pytest.raises(driver.error("LocalProtocolError"), match="is not ASCII"):
                async with driver.connect(client, "GET", server.url()):
                    pass
        async with driver.subscribe(client, "GET", server.url()) as stream:
            with pytest.raises(driver.error("LocalProtocolError"), match="is not ASCII"):
                await stream.next()


@pytest.mark.parametrize("given", ["header", "auth", "URL", "client"])
@pytest.mark.needs("redirects")
@driven
async def test_credentials_do_not_cross_origins(
    driver: Driver, server: RawServer, other_server: RawServer, given: str
) -> None:
    server.route("/", lambda exchange: exchange.respond(307, [("Location", other_server.url())]))
    other_server.route("/", sends("1"))
    url = server.url()
    settings: dict[str, Any] = {}
    call: dict[str, Any] = {}
    if given == "header":
        call = {"headers": {"Authorization": "Bearer secret"}}
    elif given == "auth":
        call = {"auth": ("user", "secret")}
    elif given == "URL":
        url = url.replace("//", "//user:secret@")
    else:
        settings = {"headers": {"Authorization": "Bearer secret"}}
    async with driver.client(**settings) as client:
        async with driver.connect(client, "GET", url, **call) as stream:
            assert [item.data for item in await stream.rest()] == ["1"]
    assert server.requests[0].header("authorization")
    assert other_server.requests[0].header("authorization") is None


@pytest.mark.needs("check of the client")
@driven
async def test_the_wrong_client_is_refused(driver: Driver) -> None:
    wrong: Any
    other = driver.other_client()
    for wrong in (other, None, "client"):
        with pytest.raises(TypeError):
            async with driver.connect(wrong, "GET", "http://127.0.0.1:1/"):
                pass


# -- the end --------------------------------------------------------------------------------------


async def after_what_had_arrived(stream: Stream) -> None:
    """Iterate over what came with earlier events in one chunk, and once more."""
    while True:
        await stream.next()


@driven
async def test_leaving_unread_closes(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    async with driver.client() as client:
        async with driver.connect(client, "GET", server.url()):
            pass
        left = time.perf_counter()
        assert await driver.wait_for_close(server) - left < PROMPT


@driven
async def test_leaving_early_closes(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", "2", "3", hold=True))
    async with driver.client() as client:
        async with driver.connect(client, "GET", server.url()) as stream:
            assert (await stream.next()).data == "1"
        left = time.perf_counter()
        assert await driver.wait_for_close(server) - left < PROMPT
        with pytest.raises(driver.error("StreamClosed")):
            await after_what_had_arrived(stream)


@driven
async def test_leaving_a_busy_stream_closes(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def busy(exchange: Exchange) -> None:
        exchange.start()
        while True:
            exchange.send(event("1") * 10)

    async with driver.client() as client:
        async with driver.connect(client, "GET", server.url()) as stream:
            assert (await stream.next()).data == "1"
        left = time.perf_counter()
        assert await driver.wait_for_close(server) - left < PROMPT


async def fail_at_first_event(driver: Driver, client: Any, url: str) -> None:
    async with driver.connect(client, "GET", url) as stream:
        assert (await stream.next()).data == "1"
        raise ZeroDivisionError


@driven
async def test_an_exception_in_the_block_closes(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    async with driver.client() as client:
        with pytest.raises(ZeroDivisionError):
            await fail_at_first_event(driver, client, server.url())
        left = time.perf_counter()
        assert await driver.wait_for_close(server) - left < PROMPT


@driven
async def test_closing_by_hand_closes(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    async with driver.open("GET", server.url()) as stream:
        assert (await stream.next()).data == "1"
        left = time.perf_counter()
        await stream.close()
        assert await driver.wait_for_close(server) - left < PROMPT
        await stream.close()
        stream.restart()
        with pytest.raises(driver.error("StreamClosed")):
            await after_what_had_arrived(stream)


@driven
async def test_closing_an_iterator_closes(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    for name in ("iter_sse", "iter_json"):
        async with driver.open("GET", server.url()) as stream:
            items = driver.items(stream.source, name)
            await driver.next(items)
            left = time.perf_counter()
            await driver.close(items)
            assert await driver.wait_for_close(server) - left < PROMPT


@driven
async def test_after_the_end_closing_changes_nothing(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1"))
    async with driver.open("GET", server.url()) as stream:
        assert len(await stream.rest()) == 1
        await stream.close()
        assert await stream.rest() == []
    assert await stream.rest() == []


@driven
async def test_the_connection_of_a_stream_that_ended_is_used_again(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", sends("1"))
    async with driver.client() as client:
        for _ in range(3):
            async with driver.connect(client, "GET", server.url()) as stream:
                assert len(await stream.rest()) == 1
    assert server.connections <= 2  # httpxr is sometimes late


def application(sleep: Callable[[float], Awaitable[None]], is_endless: bool) -> Any:
    """Return an ASGI application that sends an event, and goes on for ever or not."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", EVENT_STREAM.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": event("1"), "more_body": True})
        while is_endless:
            await sleep(0.01)
            await send({"type": "http.response.body", "body": event("2"), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


@driven
async def test_an_endless_application_in_process_is_an_error(async_driver: Driver) -> None:
    driver = async_driver
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    if driver.loop.needs:
        sleep = importlib.import_module(driver.loop.needs).sleep
    for is_endless in (False, True):
        transport = driver.library.ASGITransport(application(sleep, is_endless))
        async with driver.client(transport=transport) as client:
            if not is_endless:
                async with driver.connect(client, "GET", "http://app/") as stream:
                    assert [item.data for item in await stream.rest()] == ["1"]
                continue
            with pytest.raises(driver.error("ReadTimeout"), match="ASGITransport runs an"):
                async with driver.connect(client, "GET", "http://app/", timeout=0.2):
                    pass


@driven
async def test_after_a_fault_iterating_says_so(driver: Driver, server: RawServer) -> None:
    server.route("/", reset)
    async with driver.open("GET", server.url()) as stream:
        assert [(await stream.next()).data for _ in range(2)] == ["1", "2"]
        with pytest.raises(driver.error("ReadError")):
            await stream.next()
        for _ in range(2):
            with pytest.raises(driver.error("StreamClosed")):
                await stream.next()
            stream.restart()


@driven
async def test_after_a_timeout_nothing_is_lost_in_silence(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", sends("1", hold=True))
    async with driver.open("GET", server.url(), **impatient(driver)) as stream:
        assert (await stream.next()).data == "1"
        with pytest.raises(driver.error("ReadTimeout")):
            await stream.next()
        # Over httpxr the stream may go on; httpx has closed it.
        with pytest.raises(driver.error("ReadTimeout" if driver.goes_on else "StreamClosed")):
            await stream.next()


@driven
async def test_cancelling_a_read_closes(async_driver: Driver, server: RawServer) -> None:
    driver = async_driver
    server.route("/", sends("1", hold=True))
    received: list[str] = []

    async def read() -> None:
        async with driver.connect(client, "GET", server.url()) as stream:
            received.append((await stream.next()).data)
            await stream.next()

    async with driver.client() as client:
        assert not await driver.within(0.2, read())
        left = time.perf_counter()
        assert await driver.wait_for_close(server) - left < PROMPT
    assert received == ["1"]


@driven
async def test_cancelling_the_opening_closes(async_driver: Driver, server: RawServer) -> None:
    driver = async_driver
    server.route("/", silent)

    async def read() -> None:
        async with driver.connect(client, "GET", server.url()):
            raise AssertionError("there are no headers")

    async with driver.client() as client:
        assert not await driver.within(0.2, read())
        left = time.perf_counter()
        assert await driver.wait_for_close(server) - left < PROMPT


@driven
async def test_a_cancelled_read_is_no_end(async_driver: Driver, server: RawServer) -> None:
    driver = async_driver
    server.route("/", sends("1", hold=True))
    async with driver.open("GET", server.url()) as stream:
        assert (await stream.next()).data == "1"
        for _ in range(2):  # it goes on
            assert not await driver.within(0.05, stream.next())


# -- loops and what a source tells ----------------------------------------------------------------


@driven
async def test_a_loop_that_was_left_is_followed_by_another(
    driver: Driver, server: RawServer
) -> None:
    @server.route("/")
    def handle(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + event("2") + event("3") + b"data: ")
        exchange.stalled(SETTLE)
        exchange.send(b"4\n\n" + event("5"))

    async with driver.open("GET", server.url()) as stream:
        assert (await stream.next()).data == "1"
        stream.restart()
        assert [(await stream.next()).data for _ in range(2)] == ["2", "3"]
        stream.restart()
        assert (await stream.next()).data == "4"
        stream.restart()
        assert [item.data for item in await stream.rest()] == ["5"]
        stream.restart()
        assert await stream.rest() == []


@driven
async def test_a_source_tells_what_its_stream_has_set(driver: Driver, server: RawServer) -> None:
    gate = Gate()

    @server.route("/")
    def handle(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b"id: 1\nretry: 1500\ndata: 1\n\n")
        gate.wait()
        exchange.send(b"id: 2\n\nretry: 2500\n\n" + event("2"))  # blocks that dispatch nothing
        gate.wait()
        exchange.send(b"id\ndata: 3\n\nid: unfinished\nretry: 9")

    async with driver.open("GET", server.url()) as stream:
        source = stream.source
        assert (source.last_event_id, source.reconnection_time) == (None, None)
        assert await stream.next() == ServerSentEvent("message", "1", "1", 1500)
        assert (source.last_event_id, source.reconnection_time) == ("1", 1500)
        gate.open()
        assert await stream.next() == ServerSentEvent("message", "2", "2")
        assert (source.last_event_id, source.reconnection_time) == ("2", 2500)
        gate.open()
        assert await stream.rest() == [ServerSentEvent("message", "3", "")]
    assert (source.last_event_id, source.reconnection_time) == ("", 2500)


@pytest.mark.needs("response that was read")
@driven
async def test_a_response_that_was_read_gives_its_events(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", "2"))
    async with driver.client() as client:
        if driver.is_async:
            response = await client.get(server.url())
            await response.aread()
        else:
            response = client.get(server.url())
        assert [item.data for item in await driver.source(response).rest()] == ["1", "2"]
        assert [item.data for item in await driver.source(response).rest()] == ["1", "2"]


def take_otherwise(driver: Driver, source: Any) -> None:
    if driver.is_async:
        next(iter(source))
    else:
        aiter(source).__anext__().send(None)


@driven
async def test_the_other_loop_is_refused(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1"))
    async with driver.open("GET", server.url()) as stream:
        kinds = ("asynchronous: use `async for`", "synchronous: use `for`")
        with pytest.raises(TypeError, match=f"is {kinds[not driver.is_async]}"):
            take_otherwise(driver, stream.source)
        assert [item.data for item in await stream.rest()] == ["1"]  # it is as it was


# -- JSON -----------------------------------------------------------------------------------------

JSON: Final[dict[str, tuple[str, bytes, list[Any]]]] = {
    "events": (EVENT_STREAM, b'data: {"a":\ndata: "\xc3\xbc"}\n\ndata: [1]\n\n', [{"a": "ü"}, [1]]),
    "events to [DONE]": (EVENT_STREAM, event("1") + event("[DONE]") + event("2"), [1]),
    "events without data": (EVENT_STREAM, b"event: ping\ndata\n\n: x\n\n" + event("1"), [1]),
    "lines": (NDJSON, '{"a": "ü"}\r\n\n[1]\n2'.encode(), [{"a": "ü"}, [1], 2]),
    "lines to [DONE]": ("application/json; x=y", b"1\n[DONE]\n2\n", [1]),
    "lines of text": ("text/plain", b"1\n2\n", [1, 2]),
    "lines behind a byte order mark": (NDJSON, b"\xef\xbb\xbf1\n2\n", [1, 2]),
    "one document over lines": (
        "application/problem+json",
        b'\xef\xbb\xbf{\n  "error": {\n    "]": "\\"}"\n  }\n}',
        [{"error": {"]": '"}'}}],
    ),
    "an array over lines": ("application/json", b"[\n  1,\n  [2]\n]\n", [[1, [2]]]),
    "documents and lines": ("application/json", b'{"a":\n1}\n2\n[]', [{"a": 1}, 2, []]),
    "a sequence": (
        "application/json-seq",
        b'\x1e{"a": 1}\n\x1e[\n2\n]\n\x1e"b"\n\x1e3\n',
        [{"a": 1}, [2], "b", 3],
    ),
}


@pytest.mark.parametrize(("content_type", "body", "expected"), JSON.values(), ids=JSON.keys())
@pytest.mark.needs("iter_json")
@driven
async def test_json(
    driver: Driver, server: RawServer, content_type: str, body: bytes, expected: list[Any]
) -> None:

    @server.route("/")
    def handle(exchange: Exchange) -> None:
        exchange.start(content_type=content_type)
        for at in range(0, len(body), 5):
            exchange.send(body[at : at + 5])

    async with driver.open("GET", server.url()) as stream:
        items = driver.items_of(stream.response)
        received: list[Any] = []
        try:
            while True:
                received.append(await driver.next(items))
        except StopAsyncIteration:
            pass
        assert received == expected
        await driver.close(items)
    if content_type == EVENT_STREAM:
        async with driver.open("GET", server.url(), items="iter_json") as stream:
            assert await stream.rest() == expected


@pytest.mark.needs("iter_json")
@pytest.mark.needs("iter_json")
@driven
async def test_after_done_the_connection_is_used_again(driver: Driver, server: RawServer) -> None:

    @server.route("/")
    def chat(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1"))
        exchange.send(event("[DONE]"))
        if exchange.query:  # says a bit more
            exchange.send(b": bye\n\n" * 100)

    async with driver.client() as client:
        for path in ("/", "/?more", "/", "/?more", "/"):
            async with driver.connect(
                client, "POST", server.url(path), items="iter_json"
            ) as stream:
                assert await stream.rest() == [1]
                assert await stream.rest() == []
    assert len(server.requests) == 5
    is_late = driver.library.__name__ == "httpxr"  # sometimes
    assert server.connections <= 1 + is_late


@pytest.mark.needs("settings")
@pytest.mark.parametrize("how", ["iter_sse", "subscribe"])
@driven
async def test_after_the_last_event_the_connection_is_used_again(
    driver: Driver, server: RawServer, how: str
) -> None:
    server.route("/", sends("1", "[DONE]"))
    async with driver.client() as client:
        for _ in range(5):
            if how == "subscribe":
                async with driver.subscribe(client, "POST", server.url(), until="[DONE]") as stream:
                    assert [item.data for item in await stream.rest()] == ["1"]
                continue
            async with driver.connect(client, "POST", server.url()) as stream:
                name = "aiter_sse" if driver.is_async else "iter_sse"
                items = getattr(stream.source, name)(until="[DONE]")
                assert (await driver.next(items)).data == "1"
                with pytest.raises(StopAsyncIteration):
                    await driver.next(items)
    assert len(server.requests) == 5
    is_late = driver.library.__name__ == "httpxr"  # sometimes
    assert server.connections <= 1 + is_late


@pytest.mark.needs("iter_json")
@pytest.mark.parametrize("more", [b"", b"data: x\n\n"])
@driven
async def test_after_done_nobody_waits(driver: Driver, server: RawServer, more: bytes) -> None:

    @server.route("/")
    def chat(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + event("[DONE]"))
        while more and exchange.wait_closed(0.001) is None:
            exchange.send(more)
        exchange.wait_closed(TIMEOUT)

    async with driver.open("POST", server.url(), items="iter_json") as stream:
        started = time.perf_counter()
        assert await stream.rest() == [1]
        assert time.perf_counter() - started < 5 * PROMPT
    await driver.wait_for_close(server)


@pytest.mark.needs("iter_json")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (NDJSON, b'{"a": 1,}\n1\n'),
        ("application/json", b'{\n"a": 1,\n}\n1\n'),
        ("application/json-seq", b"\x1e[1,]\n\x1e1\n"),
        ("application/json-seq", b"\x1e[1\x1e1\n"),
        ("application/json-seq", b"\x1e1\x1e1\n"),
    ],
)
@driven
async def test_what_is_no_json_is_an_error_and_no_end(
    driver: Driver, server: RawServer, content_type: str, body: bytes
) -> None:
    server.route("/", answers(body, content_type=content_type))
    async with driver.open("GET", server.url()) as stream:
        items = driver.items_of(stream.response)
        with pytest.raises(json.JSONDecodeError):
            await driver.next(items)
        assert await driver.next(items) == 1
        await driver.close(items)


@pytest.mark.needs("iter_json")
@driven
async def test_json_is_live_and_done_is_the_end(driver: Driver, server: RawServer) -> None:
    gate = Gate()

    @server.route("/")
    def handle(exchange: Exchange) -> None:
        exchange.start(content_type=NDJSON)
        for line in (b'{"n": 0}\n', b"oops\n", b"[DONE]\n"):
            exchange.send(line)
            gate.wait()
        exchange.wait_closed(TIMEOUT)

    async with driver.open("GET", server.url()) as stream:
        items = driver.items_of(stream.response)
        assert await driver.next(items) == {"n": 0}
        gate.open()
        with pytest.raises(json.JSONDecodeError, match="oops"):
            await driver.next(items)
        gate.open()
        with pytest.raises(StopAsyncIteration):
            await driver.next(items)
        gate.open()
        await driver.close(items)
        await driver.wait_for_close(server)


@pytest.mark.needs("iter_json")
@driven
async def test_json_of_a_refused_response(driver: Driver, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(500, body=b"overloaded"))
    server.route("/html", lambda exchange: exchange.respond(body=b"<p>", content_type="text/html"))
    for path in ("/", "/html"):
        async with driver.open("GET", server.url(path)) as stream:
            with pytest.raises(driver.adapter.SSEError, match="the body begins"):
                await driver.next(driver.items_of(stream.response))


# -- connecting again -----------------------------------------------------------------------------


def whole(exchange: Exchange) -> None:
    exchange.start()
    exchange.send("id: ü1\n".encode() + event("1"))


def ended(exchange: Exchange) -> None:
    exchange.start()
    exchange.send("id: ü1\n".encode() + event("1") + b"id: 2\ndata: unfinished\n")


def broken(exchange: Exchange) -> None:
    ended(exchange)
    exchange.stalled(SETTLE)
    exchange.reset()


def stalled(exchange: Exchange) -> None:
    ended(exchange)
    exchange.wait_closed(TIMEOUT)


def torn(exchange: Exchange) -> None:
    ended(exchange)
    exchange.truncate()


LOSSES: Final[dict[str, tuple[Handler, str]]] = {
    "an end": (whole, ""),
    "an end inside an event": (ended, "IncompleteStream"),
    "a reset": (broken, "ReadError"),
    "a truncated body": (torn, "TransportError"),
    "a stall": (stalled, "ReadTimeout"),
}


@pytest.mark.parametrize(("handler", "error"), LOSSES.values(), ids=LOSSES.keys())
@driven
async def test_it_comes_back(
    driver: Driver, server: RawServer, handler: Handler, error: str
) -> None:
    @server.route("/")
    def handle(exchange: Exchange) -> None:
        number = len(server.requests)
        if number == 1:
            handler(exchange)
        elif number == 2:
            exchange.respond(503, [("Retry-After", "0")])
        elif number == 3:
            exchange.start()
            exchange.send(b"id\n" + event("2"))
        else:
            exchange.respond(204)

    actions: list[Action] = []
    policy = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0)
    async with driver.client() as client:
        async with driver.subscribe(
            client,
            "GET",
            server.url(),
            reconnect=policy,
            idle_timeout=0.3,
            on_state=actions.append,
        ) as stream:
            received = [(item.data, item.id) for item in await stream.rest()]
            assert received == [("1", "ü1"), ("2", "")]
            assert stream.source.state is ReadyState.CLOSED
            assert driver.status_of(stream.response) == 204
    sent = [request.header_values("last-event-id") for request in server.requests]
    on_the_wire = "ü1".encode().decode("latin-1")
    assert sent == [[], [on_the_wire], [on_the_wire], []]
    assert [type(action) for action in actions] == [Open, Wait, Wait, Open, Wait, Stop]
    errors = [action.error for action in actions if isinstance(action, Wait)]
    assert isinstance(errors[0], driver.error(error)) if error else errors[0] is None
    assert isinstance(errors[1], driver.adapter.SSEError)
    assert errors[2] is None


def certificate(kind: str, directory: Path) -> TlsFiles:
    """Return a server's context with a certificate that is wrong in a way, and its authority."""
    times: dict[str, Any] = {}
    if kind == "expired":
        day = datetime.timedelta(days=1)
        now = datetime.datetime.now(datetime.timezone.utc)
        times = {"not_before": now - 3 * day, "not_after": now - day}
    authority: Any = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    name = "example.com" if kind == "of another host" else "127.0.0.1"
    authority.issue_cert(name, **times).configure_cert(context)
    ca_pem = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_pem))
    return TlsFiles(context, ca_pem)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("of an unknown authority", "unable to get local issuer certificate|UnknownIssuer"),
        ("of another host", "certificate is not valid for|certificate not valid for name"),
        ("expired", "certificate has expired|certificate expired"),
    ],
)
@driven
async def test_a_refused_certificate_is_final(
    driver: Driver, tmp_path: Path, kind: str, reason: str
) -> None:
    tls = certificate(kind, tmp_path)
    known = kind != "of an unknown authority"
    settings, call = driver.trust(tls.ca_pem) if known else ({}, {})
    with RawServer(ssl_context=tls.server_context) as server:
        server.route("/", sends("1"))
        async with driver.client(**settings) as client:
            async with driver.subscribe(
                client, "GET", server.url(), reconnect=FAST, **call
            ) as stream:
                with pytest.raises(driver.error("ConnectError"), match=reason):
                    await stream.next()
                assert stream.source.state is ReadyState.CLOSED
        assert server.connections == 1


def raises_for_status(response: Any) -> None:
    response.raise_for_status()


async def araises_for_status(response: Any) -> None:
    response.raise_for_status()


def token_of(library: Any, url: str) -> Callable[[Any], Any]:
    """Return an authentication that asks a token endpoint, and judges its answer by itself."""

    def authenticate(request: Any) -> Any:
        answer = library.get(url)
        answer.raise_for_status()
        request.headers["authorization"] = answer.text
        return request

    return authenticate


@pytest.mark.needs("settings")
@driven
async def test_a_hook_that_raises_for_the_status_is_no_end(
    driver: Driver, server: RawServer
) -> None:
    answers_in_turn: list[Handler] = [
        lambda exchange: exchange.respond(503, body=b"busy"),
        sends("1"),
        lambda exchange: exchange.respond(429, [("Retry-After", "0")], b"slow"),
        sends("2"),
        lambda exchange: exchange.respond(403, body=b"no"),
    ]

    @server.route("/")
    def in_turn(exchange: Exchange) -> None:
        answers_in_turn.pop(0)(exchange)

    hook = araises_for_status if driver.is_async else raises_for_status
    async with driver.client(event_hooks={"response": [hook]}) as client:
        async with driver.subscribe(client, "GET", server.url(), reconnect=FAST) as stream:
            assert [(await stream.next()).data for _ in range(2)] == ["1", "2"]
            with pytest.raises(driver.adapter.SSEError, match="got status 403") as raised:
                await stream.next()
    assert raised.value.status_code == 403
    assert not answers_in_turn


@pytest.mark.needs("settings")
@driven
async def test_a_token_endpoint_that_is_busy_once_is_no_end(
    driver: Driver, server: RawServer, other_server: RawServer
) -> None:
    tokens: list[tuple[int, bytes]] = [(503, b"busy"), (200, b"secret"), (400, b'{"error": "x"}')]

    @other_server.route("/")
    def token(exchange: Exchange) -> None:
        status, body = tokens.pop(0)
        exchange.respond(status, body=body)

    server.route("/", sends("1"))
    flow = token_of(driver.library, other_server.url())
    async with driver.client() as client:
        async with driver.subscribe(
            client, "GET", server.url(), auth=flow, reconnect=FAST
        ) as stream:
            assert (await stream.next()).data == "1"
            with pytest.raises(driver.adapter.SSEError, match="got status 400") as raised:
                await stream.next()
    assert raised.value.json() == {"error": "x"}
    assert [request.header("authorization") for request in server.requests] == ["secret"]


@driven
async def test_a_subscription_is_refused(driver: Driver, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(404, body=b"nothing here"))
    async with driver.client() as client:
        async with driver.subscribe(client, "GET", server.url()) as stream:
            for _ in range(2):
                with pytest.raises(driver.adapter.SSEError, match="begins 'nothing here'") as error:
                    await stream.next()
                assert error.value.status_code == 404
    assert len(server.requests) == 1


@driven
async def test_leaving_a_subscription_closes(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    async with driver.client() as client:
        async with driver.subscribe(client, "GET", server.url()) as stream:
            assert (await stream.next()).data == "1"
        left = time.perf_counter()
        assert await driver.wait_for_close(server) - left < PROMPT
        assert await stream.rest() == []


# -- public surfaces ------------------------------------------------------------------------------


def parameters(function: Callable[..., object]) -> list[tuple[str, Any, str]]:
    return [
        (p.name, p.kind, repr(p.default)) for p in inspect.signature(function).parameters.values()
    ]


def members(cls: type) -> Iterator[str]:
    return (name for name in dir(cls) if not name.startswith("_"))


@pytest.fixture
def adapters() -> tuple[Any, Any]:
    if not any(importlib.util.find_spec(name) for name in ("httpx", "httpx2")):
        pytest.skip("there is neither httpx nor httpx2")
    return importlib.import_module("sse_httpxr"), importlib.import_module("sse_httpx")


def test_adapters_have_the_same_names(adapters: tuple[Any, Any]) -> None:
    one, other = adapters
    shapes = {"AsyncClient", "Client", "Response"}  # of two libraries, of which one may be missing
    assert set(one.__all__) == set(other.__all__) - shapes
    assert other.__all__ == sorted(other.__all__)
    for name in other.__all__:
        assert getattr(other, name).__doc__
    assert one.ServerSentEvent is other.ServerSentEvent is ServerSentEvent


FUNCTIONS: Final = (
    *("connect_sse", "aconnect_sse", "iter_json", "aiter_json"),
    *("subscribe", "asubscribe"),
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_the_same(adapters: tuple[Any, Any], name: str) -> None:
    one, other = (parameters(getattr(adapter, name)) for adapter in adapters)
    assert [p for p in one if p[0] != "transport"] == other


def test_sources_and_errors_have_the_same_members(adapters: tuple[Any, Any]) -> None:
    one, other = (adapter.EventSource for adapter in adapters)
    assert set(members(one)) == set(members(other))
    assert parameters(one) == parameters(other)
    for name in members(one):
        if callable(getattr(one, name)):
            assert parameters(getattr(one, name)) == parameters(getattr(other, name))
    one, other = (adapter.SSEError for adapter in adapters)
    assert parameters(one) == parameters(other)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_sync_and_asynchronous_functions_take_the_same(library: str) -> None:
    pytest.importorskip(library)
    module: Any = importlib.import_module("sse_httpx")
    assert parameters(module.connect_sse) == parameters(module.aconnect_sse)
    assert parameters(module.subscribe) == parameters(module.asubscribe)
