"""The examples of docs/howto/embed.md, run against real servers with the real clients."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

import pytest

from sse_proto import ServerSentEvent, SSEDecoder
from tests.support.apps import app, serve
from tests.support.servers import Exchange, RawServer

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "examples" / "embed"
PAGE: Final = ROOT / "docs" / "howto" / "embed.md"

# Seconds that something which should come at once may take: for busy machines.
SOON: Final = 3.0

pytestmark = pytest.mark.timeout(30)


class Client(NamedTuple):
    """An example that has ``events(url)``, and what is known of its client."""

    file: str
    package: str  # what must be importable, if it is not in the standard library
    on_status: str  # exceptions: for a status that is not 200
    on_silence: str
    silence: Callable[[float], object]  # makes the example's TIMEOUT of seconds
    is_async: bool = False
    framings: tuple[str, ...] = ("chunked", "close", "length")
    decodes_gzip: bool = True

    def module(self) -> ModuleType:
        pytest.importorskip(self.package)
        return importlib.import_module(f"examples.embed.{self.file}")


def _pair(seconds: float) -> tuple[float, float]:
    return (10.0, seconds)


def _urllib3_timeout(seconds: float) -> object:
    return importlib.import_module("urllib3").Timeout(connect=10.0, read=seconds)


def _aiohttp_timeout(seconds: float) -> object:
    return importlib.import_module("aiohttp").ClientTimeout(total=None, sock_read=seconds)


CLIENTS: Final = [
    Client(
        "with_requests",
        "requests",
        "requests.HTTPError",
        "urllib3.exceptions.ReadTimeoutError",
        _pair,
    ),
    Client(
        "with_urllib3",
        "urllib3",
        "urllib3.exceptions.HTTPError",
        "urllib3.exceptions.ReadTimeoutError",
        _urllib3_timeout,
    ),
    Client("with_niquests", "niquests", "niquests.HTTPError", "niquests.ConnectionError", _pair),
    Client(
        "with_http_client",
        "http.client",
        "http.client.HTTPException",
        "builtins.TimeoutError",
        float,
        decodes_gzip=False,
    ),
    Client(
        "with_socket",
        "socket",
        "builtins.ConnectionError",
        "builtins.TimeoutError",
        float,
        framings=("close", "length"),
        decodes_gzip=False,
    ),
    Client(
        "with_aiohttp",
        "aiohttp",
        "aiohttp.ClientResponseError",
        "aiohttp.SocketTimeoutError",
        _aiohttp_timeout,
        is_async=True,
    ),
    Client(
        "with_asyncio_streams",
        "asyncio",
        "builtins.ConnectionError",
        "asyncio.TimeoutError",
        float,
        is_async=True,
        decodes_gzip=False,
    ),
]

EACH_CLIENT: Final = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.file)
EACH_BODY: Final = pytest.mark.parametrize(
    ("client", "framing", "gzip"),
    [
        pytest.param(client, framing, gzip, id=f"{client.file}-{framing}{'-gzip' * gzip}")
        for client in CLIENTS
        for framing in client.framings
        for gzip in ((False, True) if client.decodes_gzip else (False,))
    ],
)


def exception(name: str) -> type[Exception]:
    module, _, attribute = name.rpartition(".")
    return cast("type[Exception]", getattr(importlib.import_module(module), attribute))


@contextmanager
def reading(client: Client, url: str) -> Generator[Iterator[ServerSentEvent], None, None]:
    """Read the events of a URL one by one, also those of an asynchronous client."""
    module = client.module()
    if not client.is_async:
        with closing(cast("Generator[ServerSentEvent, None, None]", module.events(url))) as events:
            yield events
        return

    loop = asyncio.new_event_loop()
    stream = cast("AsyncGenerator[ServerSentEvent, None]", module.events(url))

    async def following() -> ServerSentEvent | None:
        return await anext(stream, None)

    async def leave() -> None:
        await stream.aclose()
        await asyncio.sleep(0.01)  # transports close in a later turn of the loop

    def events_of_stream() -> Iterator[ServerSentEvent]:
        while (event := loop.run_until_complete(following())) is not None:
            yield event

    with closing(loop):
        try:
            yield events_of_stream()
        finally:
            loop.run_until_complete(leave())
            loop.run_until_complete(loop.shutdown_asyncgens())


# -- servers ---------------------------------------------------------------------------------------


def start(exchange: Exchange, framing: str, gzip: bool, pieces: list[bytes]) -> list[bytes]:
    """Start a response, and return the pieces of its body."""
    if gzip:
        coder = zlib.compressobj(wbits=31)
        pieces = [coder.compress(piece) + coder.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
        pieces.append(coder.flush())
    headers = [("Content-Encoding", "gzip")] if gzip else []
    if framing == "length":
        exchange.start(headers=headers, framing=sum(map(len, pieces)))
    elif framing == "close":
        exchange.start(headers=headers, framing="close")
    else:
        exchange.start(headers=headers)
    return pieces


def lock_step(framing: str, gzip: bool, received: threading.Semaphore, late: list[bytes]) -> Any:
    """Return a handler that sends an event when the one before was received."""

    def handler(exchange: Exchange) -> None:
        events = [f"data: {number} €\n\n".encode() for number in range(4)]
        for piece in start(exchange, framing, gzip, events):
            exchange.send(piece)
            if not received.acquire(timeout=SOON) and not late:
                late.append(piece)
        exchange.end()

    return handler


def endless(exchange: Exchange) -> None:
    exchange.start(framing="close" if exchange.path == "/close" else "chunked")
    while not exchange.stalled(0.01):
        exchange.send(b"data: more\n\n")


# Cut into bytes: in the byte order mark, in each character that has several, between CR and LF.
CUT: Final = (
    "\ufeffid: 1\r\ndata: 20 €\r\n\r\nevent: größe\rdata: 事件\r\r: comment\r\n\r\n"
    "retry: 500\ndata: a\ndata: \U0001f642\u2028\x85\x0b\x1c\n\ndata: \xff\xfe"
).encode() + b"\xff\n\n"
PIECES: Final = [CUT[n : n + 1] for n in range(len(CUT))]
LARGE: Final = b"data: " + b"0123456789" * 30_000 + b"\r\n\r\n" + b"data: unfinished\n"
EXPECTED: Final = SSEDecoder().feed(CUT + LARGE)


# -- each client -----------------------------------------------------------------------------------


@EACH_BODY
def test_events_are_live(client: Client, framing: str, gzip: bool) -> None:
    received, late = threading.Semaphore(0), list[bytes]()
    with RawServer({"/": lock_step(framing, gzip, received, late)}) as server:
        with reading(client, server.url()) as events:
            for number in range(4):
                assert next(events).data == f"{number} €"
                received.release()
            received.release()  # for the end of gzip
            assert next(events, None) is None
    assert not late


@EACH_BODY
def test_cuts_do_not_matter(client: Client, framing: str, gzip: bool) -> None:
    def handler(exchange: Exchange) -> None:
        for piece in start(exchange, framing, gzip, [*PIECES, LARGE]):
            exchange.send(piece)
            time.sleep(0.001)  # for a packet of its own
        exchange.end()

    with RawServer({"/": handler}) as server:
        with reading(client, server.url()) as events:
            assert list(events) == EXPECTED


@EACH_CLIENT
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_leaving_closes_the_connection(client: Client, framing: str) -> None:
    if framing not in client.framings:
        pytest.skip("HTTP/1.0 has none")
    with RawServer({"/chunked": endless, "/close": endless}) as server:
        with reading(client, server.url(f"/{framing}")) as events:
            assert next(events).data == "more"
            assert server.open_connections == 1
        server.wait_for_close(SOON)

        if not client.is_async:  # by `break` alone: nothing holds the generator then
            for _ in client.module().events(server.url(f"/{framing}")):
                break
            server.wait_for_close(SOON)
            assert server.connections == 2


@EACH_CLIENT
def test_status_is_an_error(client: Client) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.respond(404, body=b"data: no event\n\n", content_type="text/event-stream")

    client.module()
    with RawServer({"/": handler}) as server:
        with reading(client, server.url()) as events:
            with pytest.raises(exception(client.on_status)):
                next(events)
        server.wait_for_close(SOON)


@EACH_CLIENT
def test_only_silence_times_out(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.start(framing="close")
        for _ in range(5):
            exchange.send(b"data: x\n\n")
            exchange.stalled(0.1)
        exchange.wait_closed(SOON)

    module = client.module()
    monkeypatch.setattr(module, "TIMEOUT", client.silence(0.35))
    with RawServer({"/": handler}) as server:
        with reading(client, server.url()) as events:
            assert [next(events).data for _ in range(5)] == ["x"] * 5  # longer than that, in all
            with pytest.raises(exception(client.on_silence)):
                next(events)
        server.wait_for_close(SOON)


@EACH_CLIENT
def test_file_is_a_program(client: Client) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.respond(body=b"id: 1\ndata: x\n\n", content_type="text/event-stream")

    client.module()
    with RawServer({"/path": handler}) as server:
        command = [
            sys.executable,
            str(FOLDER / f"{client.file}.py"),
            server.url("/path?query#part"),
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=False, env=environment
        )
        assert server.requests[0].target == "/path?query"
        assert server.requests[0].header("accept") == "text/event-stream"
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == f"{ServerSentEvent(data='x', id='1')}\n"


@EACH_CLIENT
def test_uvicorn_is_understood(client: Client) -> None:
    with serve(app) as url, reading(client, f"{url}/events?n=3&delay=0.01") as events:
        assert [(event.id, event.data) for event in events] == [(n, n) for n in "012"]


async def test_asyncio_streams_tell_a_stream_that_broke_off() -> None:
    module = importlib.import_module("examples.embed.with_asyncio_streams")
    for sent, expected in [
        (b"3;name=value\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n", [b"abc", b"0123456789"]),
        (b"3\r\nabc\r\n", None),
        (b"3\r\nab", None),
    ]:
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        async with aclosing(module.chunked_body(reader)) as chunks:
            if expected is not None:
                assert [chunk async for chunk in chunks] == expected
            else:
                with pytest.raises(EOFError):
                    async for _ in chunks:
                        pass


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",  # not in an answer to HTTP/1.0
        b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\n",
    ],
    ids=["chunked", "long", "cut"],
)
def test_socket_refuses_what_it_cannot_read(head: bytes) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send_raw(head)
        exchange.truncate()

    client = next(client for client in CLIENTS if client.file == "with_socket")
    with RawServer({"/": handler}) as server:
        with reading(client, server.url()) as events, pytest.raises(ConnectionError):
            next(events)


# -- the server ------------------------------------------------------------------------------------


@contextmanager
def get(url: str, method: str = "GET", body: bytes | None = None) -> Generator[HTTPResponse]:
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=SOON)) as connection:
        connection.request(method, f"{parts.path or '/'}?{parts.query}".rstrip("?"), body=body)
        with connection.getresponse() as response:
            yield response


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_server_publishes_to_every_client(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.embed import starlette_server

    with serve(starlette_server.app) as url:
        with get(url) as first, get(url) as second:
            assert first.headers["content-type"].startswith("text/event-stream")
            wait_until(lambda: len(starlette_server.subscribers) == 2)
            with get(url, "POST", "zwölf\nnine".encode()) as answer:
                assert answer.status == 204
            assert first.read1() == second.read1() == "data: zwölf\ndata: nine\n\n".encode()
        wait_until(lambda: not starlette_server.subscribers)

        monkeypatch.setattr(starlette_server, "HEARTBEAT", 0.05)
        with get(url) as silent:
            assert [silent.read1() for _ in range(3)] == [b": \n"] * 3
        wait_until(lambda: not starlette_server.subscribers)


async def test_server_drops_a_client_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.embed import starlette_server

    monkeypatch.setattr(starlette_server, "BACKLOG", 3)
    async with aclosing(starlette_server.body()) as stream:
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        for number in range(5):
            starlette_server.publish(ServerSentEvent(data=str(number)))
        assert not starlette_server.subscribers
        assert await first == b"data: 0\n\n"
        assert [block async for block in stream] == [b"data: 1\n\n", b"data: 2\n\n"]


# -- the gateway -----------------------------------------------------------------------------------


class Report(NamedTuple):
    events: int
    tokens: int | None


@contextmanager
def gateway_to(url: str) -> Generator[tuple[str, queue.SimpleQueue[Report]], None, None]:
    pytest.importorskip("httpx")
    from examples.embed.gateway import UsageCounter, gateway

    reports = queue.SimpleQueue[Report]()

    def report(counter: UsageCounter) -> None:
        reports.put(Report(counter.events, counter.tokens))

    with serve(gateway(url, report)) as own_url:
        yield own_url, reports


def chat_event(content: str, usage: object = None) -> bytes:
    chunk = {"choices": [{"delta": {"content": content}}], "usage": usage}
    return b"data: %b\n\n" % json.dumps(chunk, ensure_ascii=False).encode()


ANSWER: Final = [
    chat_event("Für 事件 "),
    b": a comment\r\n\r\n",
    chat_event('"usage": {"total_tokens": 9999}'),  # only what the model says
    chat_event("", {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}),
    b"data: [DONE]\n\n",
]


def test_gateway_forwards_live_and_counts() -> None:
    received, late = threading.Semaphore(0), list[bytes]()

    def handler(exchange: Exchange) -> None:
        exchange.start(201, [("X-Secret", "1"), ("Retry-After", "7")])
        for piece in ANSWER:
            exchange.send(piece)
            if not received.acquire(timeout=SOON):
                late.append(piece)

    with RawServer({"/v1/chat/completions": handler}) as upstream:
        with gateway_to(upstream.url("/v1").rstrip("/")) as (url, reports):
            body = b'{"stream": true}'
            with get(f"{url}/chat/completions?a=%C3%A4", "POST", body) as response:
                assert response.status == 201
                assert response.headers["content-type"] == "text/event-stream"
                assert response.headers["retry-after"] == "7"
                assert "x-secret" not in response.headers
                for piece in ANSWER:
                    assert response.read(len(piece)) == piece
                    received.release()
                assert response.read() == b""
            assert reports.get(timeout=SOON) == Report(events=4, tokens=12)
        request = upstream.requests[0]
        assert (request.method, request.body) == ("POST", body)
        assert request.target == "/v1/chat/completions?a=%C3%A4"
        assert request.header_values("accept-encoding") == ["identity"]
    assert not late


def test_gateway_forwards_every_byte() -> None:
    sent = CUT + b"".join(ANSWER) + LARGE + b"\0\r"

    def handler(exchange: Exchange) -> None:
        exchange.start(framing="close")
        for at in range(0, len(sent), 997):
            exchange.send(sent[at : at + 997])

    with RawServer({"/": handler}) as upstream, gateway_to(upstream.url()) as (url, reports):
        with get(url) as response:
            assert response.read() == sent
        # The last event is too large for it, those before were counted.
        assert reports.get(timeout=SOON) == Report(events=len(EXPECTED) - 1 + 4, tokens=12)


def test_gateway_forwards_on_when_an_event_is_too_large() -> None:
    head, tail = b"data: " + b"x" * 600_000, b"\n\n" + b"".join(ANSWER)
    received = threading.Event()

    def handler(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(head)
        assert received.wait(SOON)
        exchange.send(tail)

    with RawServer({"/": handler}) as upstream, gateway_to(upstream.url()) as (url, reports):
        with get(url) as response:
            assert response.read(len(head)) == head  # the decoder has failed by now
            received.set()
            assert response.read() == tail
        assert reports.get(timeout=SOON) == Report(events=0, tokens=None)


@pytest.mark.parametrize("begun", [True, False], ids=["in the body", "before the head"])
def test_gateway_closes_the_upstream_when_its_client_leaves(begun: bool) -> None:
    arrived = threading.Event()

    def handler(exchange: Exchange) -> None:
        arrived.set()
        if begun:
            exchange.start()
            exchange.send(ANSWER[0])
        exchange.wait_closed(SOON)  # silent: no failing write could tell the gateway

    with RawServer({"/": handler}) as upstream, gateway_to(upstream.url()) as (url, reports):
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=SOON)) as connection:
            connection.request("GET", "/")
            assert arrived.wait(SOON)
            if begun:
                with connection.getresponse() as response:
                    assert response.read(len(ANSWER[0])) == ANSWER[0]
            assert upstream.open_connections == 1
        left = time.perf_counter()
        assert upstream.wait_for_close(SOON) - left < 1
        assert reports.get(timeout=SOON) == Report(events=int(begun), tokens=None)


def test_gateway_breaks_off_with_its_upstream() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(ANSWER[0])
        exchange.truncate()

    with RawServer({"/": handler}) as upstream, gateway_to(upstream.url()) as (url, reports):
        with get(url) as response, pytest.raises(IncompleteRead) as caught:
            response.read()
        assert caught.value.partial == ANSWER[0]
        assert reports.get(timeout=SOON) == Report(events=1, tokens=None)


def test_gateway_without_upstream() -> None:
    with RawServer() as upstream:
        unused = upstream.url()
    with gateway_to(unused) as (url, _), get(url) as response:
        assert response.status == 502
        assert response.read().startswith(b"upstream: ")


@pytest.mark.parametrize(
    "data",
    [
        b'{"usage": {',
        b'{"usage": {}}',
        b'{"usage": {"total_tokens": "7"}}',
        b'{"usage": {"total_tokens": 1e999}}',
        b'{"usage": {"total_tokens": ' + b"9" * 10_000 + b"}}",
        b'["usage": {}]',
        b'[{"usage": {"total_tokens": 7}}]',
        b'{"a": "\xff", "usage": {"total_tokens": 7}}',
        b'{"usage": {"a": ' + b"[" * 100_000,
    ],
    ids=lambda data: repr(data[:40]),
)
def test_counter_survives_what_is_no_usage(data: bytes) -> None:
    pytest.importorskip("httpx")
    from examples.embed.gateway import UsageCounter

    counter = UsageCounter()
    counter.feed(b"data: " + data + b"\n\n")
    assert (counter.events, counter.tokens) == (1, None)
    counter.feed(ANSWER[3])
    assert (counter.events, counter.tokens) == (2, 12)


# -- the page --------------------------------------------------------------------------------------


def test_page_has_every_file() -> None:
    # That they are the same there is a test of the documentation (test_docs.py).
    page = PAGE.read_text("utf-8")
    for path in FOLDER.glob("*.py"):
        assert f"<!-- file: {path.relative_to(ROOT).as_posix()} -->" in page
    path = FOLDER / "events.c"
    assert (
        f"<!-- file: {path.relative_to(ROOT).as_posix()} -->\n\n```c\n{path.read_text()}```\n"
        in page
    )


# -- the program in C ------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_program_in_c(tmp_path: Path, pause: float) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    program = tmp_path / "events"
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-O2"]
    source = str(FOLDER / "events.c")
    command = [compiler, *strict, "-I", str(ROOT / "sse_proto"), "-o", str(program), source]
    subprocess.run(command, check=True, timeout=60)
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"\xef\xbb\xbf: hello\r\ndata: a\r\n\r\nevent: x\nda")
        running.stdin.flush()
        assert running.stdout.readline() == b"message: a\n"  # while the stream goes on
        time.sleep(pause)
        output, errors = running.communicate(b"ta: b\ndata\n\ndata: c", timeout=10)
    assert (output, errors) == (b"x: b\n\n", b"7 bytes of an event are unfinished\n")
    assert running.returncode == 0
    large = b"data: a\n\ndata: " + bytes(1024 * 1024)
    done = subprocess.run([program], input=large, capture_output=True, check=False, timeout=10)
    assert (done.returncode, done.stdout) == (1, b"message: a\n")
