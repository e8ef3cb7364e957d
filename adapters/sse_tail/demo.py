"""Live streams to watch: ``sse-tail --demo``.

A small event server on 127.0.0.1 has an answer that comes token by token, as chat APIs send it, a
ticker with ids, event names and heartbeats, and a ticker whose connection breaks. They are read
with a plain ``Client`` of httpxr, httpx or httpx2, one after the other; then with an
``AsyncClient``, two at once. Each line is printed as soon as its event is there. It ends by itself
after some twelve seconds.

Its plan: the client's code comes first, sync and async; then the program and what it prints; the
server last. ``adapter`` is `sse_httpxr` or `sse_httpx`: what is done with them is the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import sse_proto
from sse_proto import Action, ReconnectPolicy, ServerSentEvent, Stop, Wait

if TYPE_CHECKING:
    from ._clients import HTTPClient

__all__ = ["run", "versions"]

QUESTION: Final = "Why did the chicken cross the road?"
ANSWER: Final = "To get to the other side, where the events are served fresh."
TICKS: Final[Sequence[tuple[str, dict[str, object]]]] = (
    ("price", {"symbol": "SSE", "price": 101.25}),
    ("price", {"symbol": "SSE", "price": 101.50}),
    ("news", {"headline": "Proxy buffers, nobody notices"}),
    ("price", {"symbol": "SSE", "price": 99.75}),
    ("price", {"symbol": "SSE", "price": 102.00}),
)

TOKEN_DELAY: Final = 0.2  # seconds before each token
TICK_DELAY: Final = 0.6  # seconds before each tick; a heartbeat is sent in the middle
FAST: Final = 0.1  # what these are multiplied by with --fast

# -- the client, sync ------------------------------------------------------------------------------


def chat(adapter: Any, client: Any, url: str, screen: Screen) -> None:
    """Print an answer as it is written, token by token."""
    with adapter.connect_sse(
        client,
        "POST",
        f"{url}/v1/chat/completions",
        headers={"Authorization": "Bearer demo"},
        json={
            "model": "demo",
            "stream": True,
            "messages": [{"role": "user", "content": QUESTION}],
        },
    ) as source:
        for chunk in adapter.iter_json(source.response):
            screen.show_token(chunk)


def ticker(adapter: Any, client: Any, url: str, screen: Screen) -> None:
    """Print prices and news until the stream ends."""
    with adapter.connect_sse(client, "GET", f"{url}/ticker") as source:
        for event in source.iter_sse():
            screen.show_tick(event)


def broken_ticker(adapter: Any, client: Any, url: str, screen: Screen) -> None:
    """Print prices and news until the server says that there are no more; lose none of them."""
    policy = ReconnectPolicy(initial_delay=0.1)
    with adapter.subscribe(
        client, "GET", f"{url}/broken", reconnect=policy, on_state=screen.show_state
    ) as events:
        for event in events:
            screen.show_tick(event)


# -- the client, async: the same, with `async` -----------------------------------------------------


async def achat(adapter: Any, client: Any, url: str, screen: Screen) -> None:
    """Print an answer as it is written, token by token."""
    async with adapter.aconnect_sse(
        client,
        "POST",
        f"{url}/v1/chat/completions",
        headers={"Authorization": "Bearer demo"},
        json={
            "model": "demo",
            "stream": True,
            "messages": [{"role": "user", "content": QUESTION}],
        },
    ) as source:
        async for chunk in adapter.aiter_json(source.response):
            screen.show_token(chunk)


async def aticker(adapter: Any, client: Any, url: str, screen: Screen) -> None:
    """Print prices and news until the stream ends."""
    async with adapter.aconnect_sse(client, "GET", f"{url}/ticker") as source:
        async for event in source.aiter_sse():
            screen.show_tick(event)


# -- the program -----------------------------------------------------------------------------------


def run(client: HTTPClient, *, fast: bool) -> None:
    """Start the server, and read its streams.

    Args:
        client: What to read them with.
        fast: End after about a second.
    """
    with serve(FAST if fast else 1.0) as url:
        read_streams(client, url)


def versions(client: HTTPClient) -> str:
    """Return what is at work here."""
    try:
        ours = version("sse-proto")
    except PackageNotFoundError:  # pragma: no cover, in a tree on the path
        ours = "(not installed)"
    name = client.library.__name__
    return f"sse-proto {ours}, {name} {version(name)}, Python {platform.python_version()}"


def read_streams(http: HTTPClient, url: str) -> None:
    """Read all streams, sync and async."""
    library, adapter = http
    name = library.__name__
    screen = Screen()
    print(
        f"{versions(http)}\n"
        f"server at {url}\n\n"
        "at     seconds since the stream was asked for\n"
        "delay  from the server's write until the event is here, in milliseconds"
    )

    with library.Client() as client:
        screen.begin(f"{name}.Client: an answer, token by token")
        chat(adapter, client, url, screen)
        screen.begin(f"{name}.Client: a ticker, with heartbeats between its events")
        ticker(adapter, client, url, screen)
        screen.begin(f"{name}.Client: subscribe() to a ticker whose connection breaks")
        broken_ticker(adapter, client, url, screen)

    async def both() -> None:
        async with library.AsyncClient() as client:
            await asyncio.gather(
                achat(adapter, client, url, screen), aticker(adapter, client, url, screen)
            )
        screen.end()

    screen.begin(f"{name}.AsyncClient: both streams at once")
    asyncio.run(both())


class Screen:
    """Prints each event on a line, with its times; in colour on a terminal."""

    def __init__(self) -> None:
        self._in_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._started = 0.0
        self._delays: list[float] = []
        self._last_id: str | None = None

    def begin(self, title: str) -> None:
        print(f"\n{self._coloured('1', title)}\n\n      at   delay", flush=True)
        self._started = time.perf_counter()
        self._last_id = None

    def show_token(self, chunk: dict[str, Any]) -> None:
        self._event(chunk["sent"], "36", f"token  {chunk['choices'][0]['delta']['content']!r}")

    def show_tick(self, event: ServerSentEvent) -> None:
        tick: dict[str, Any] = event.json()
        sent = tick.pop("sent")
        values = "  ".join(str(value) for value in tick.values())
        self._last_id = event.id
        self._event(sent, "33", f"tick   id={event.id}  event={event.event:5}  {values}")

    def show_state(self, action: Action) -> None:
        if isinstance(action, Wait):
            why = "the server has ended the stream" if action.error is None else "connection lost"
            self._note(f"{why}; connecting again in {action.seconds * 1000:.0f} ms")
        elif isinstance(action, Stop):
            self._note(f"over: {action.reason}")
        elif self._last_id is not None:
            self._note(f"connected, with Last-Event-ID: {self._last_id}")

    def end(self) -> None:
        delays = sorted(self._delays)
        print(
            f"\n{len(delays)} events; delay: median {delays[len(delays) // 2]:.1f} ms,"
            f" longest {delays[-1]:.1f} ms"
        )

    def _event(self, sent: float, colour: str, text: str) -> None:
        # Server and client are one process, so they share a clock.
        now = time.perf_counter()
        delay = (now - sent) * 1000
        self._delays.append(delay)
        times = f"{now - self._started:6.2f} s {delay:4.1f} ms"
        print(f"{times}   {self._coloured(colour, text)}", flush=True)

    def _note(self, text: str) -> None:
        print(f"{'':19}{self._coloured('31', text)}", flush=True)

    def _coloured(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._in_colour else text


# -- the server: any other will do -----------------------------------------------------------------


@contextmanager
def serve(pace: float) -> Generator[str, None, None]:
    """Run the event server in a thread; gives its URL. Delays are multiplied by ``pace``."""
    server = EventServer(("127.0.0.1", 0), partial(EventHandler, pace))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class EventServer(ThreadingHTTPServer):
    daemon_threads = True  # do not wait for streams that nobody reads any more


class EventHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise TCP holds an event back, some 40 ms, until the client has acknowledged the last one.
    disable_nagle_algorithm = True

    def __init__(self, pace: float, *args: Any) -> None:
        self._pace = pace
        super().__init__(*args)  # this answers the request

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that leaves is not an error
            super().handle()

    def do_POST(self) -> None:
        """Send the answer in chunks like those of a chat completion API."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._start()
        for token in re.findall(r" ?\w+|[^\w\s]", ANSWER):
            self._sleep(TOKEN_DELAY)
            choice = {"index": 0, "delta": {"content": token}, "finish_reason": None}
            self._send(event(choices=[choice], sent=time.perf_counter()))
        self._send(b"data: [DONE]\n\n")
        self._end()

    def do_GET(self) -> None:
        """Send the ticks after the client's last one, with heartbeats; break off if asked to."""
        last = int(self.headers.get("Last-Event-ID", 0))
        if last == len(TICKS):
            self.send_response(204)  # there are no more
            self.end_headers()
            return
        self._start()
        for number, (name, tick) in enumerate(TICKS[last:], start=last + 1):
            if self.path == "/broken" and number == last + 3:
                self._send(b"data: the start of an event")
                self.close_connection = True
                return
            self._sleep(TICK_DELAY / 2)
            self._send(sse_proto.encode_comment("heartbeat"))
            self._sleep(TICK_DELAY / 2)
            self._send(event(name, str(number), **tick, sent=time.perf_counter()))
        self._end()

    def _start(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds * self._pace)

    def _send(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the screen is the client's."""


def event(name: str = "message", id: str | None = None, /, **data: object) -> bytes:
    """Return an event with JSON data, as it is sent."""
    return sse_proto.encode(ServerSentEvent(event=name, data=json.dumps(data), id=id))
