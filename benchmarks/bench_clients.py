"""Whole clients side by side, from the socket to the event, in one run.

A server in a process of its own, on another core, streams what a chat API does (the shape
``openai``). Each client reads it to its end and does nothing with the events: httpx-sse on httpx,
httpx2's own ``client.sse``, our adapters, and aiohttp with our decoder, which is what embedding
looks like. What is not installed is left out.

What reaches a decoder as a chunk is up to the HTTP client: httpx, httpx2 and httpxr give one HTTP
chunk at a time, aiohttp joins those that have arrived by then.

Before it is timed, each client's events are compared with those that the server has sent; each
round counts them, and looks at the last one. Rounds are interleaved. A time is the least CPU time
of the client's process, which bounds what one core can read, and depends least on what else the
machine does. Ratios are httpx-sse / other, sync with sync and asynchronous with asynchronous.

    python -m benchmarks.bench_clients [--quick] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from importlib import import_module, metadata
from itertools import cycle, islice
from typing import Any, Final, NamedTuple, TypeAlias, cast

import sse_proto

from .shapes import openai

__all__ = ["main"]

CHUNK_SIZE: Final = 16 * 1024  # bytes
BLOCKS: Final = openai(1000).blocks
DATA: Final = tuple(event.data for event in openai(1000).events)

# -- the server -----------------------------------------------------------------------------------


def chunks(kind: str, events: int) -> Iterator[bytes]:
    """Yield the body in HTTP chunks: an event each, or as large as a client reads at a time."""
    blocks = islice(cycle(BLOCKS), events)
    if kind == "small":
        yield from blocks
        return
    pending = b""
    for block in blocks:
        pending += block
        if len(pending) >= CHUNK_SIZE:
            yield pending[:CHUNK_SIZE]  # cuts events anywhere
            pending = pending[CHUNK_SIZE:]
    if pending:
        yield pending


def handle(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _, kind, events = connection.recv(65536).split()[1].decode().split("/")
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        for chunk in chunks(kind, int(events)):
            connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        connection.sendall(b"0\r\n\r\n")


def serve() -> None:
    pin(0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=handle, args=(connection,), daemon=True).start()


def pin(core: int) -> None:
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


# -- the clients: from a URL to what is measured, or to the data of all events --------------------


class Round(NamedTuple):
    """One stream, read to its end."""

    events: int
    last: str
    cpu: float
    wall: float


Result: TypeAlias = Round | list[str]
Client: TypeAlias = Callable[[str, bool], Result]
"""Takes a URL, and whether to measure."""


def read(events: Iterable[Any], is_measured: bool) -> Result:
    if not is_measured:
        return [event.data for event in events]
    cpu, wall = time.process_time(), time.perf_counter()
    count, event = 0, None
    for event in events:  # noqa: B007  # the last one is looked at
        count += 1
    return Round(
        count, cast("Any", event).data, time.process_time() - cpu, time.perf_counter() - wall
    )


async def aread(events: AsyncIterator[Any], is_measured: bool) -> Result:
    if not is_measured:
        return [event.data async for event in events]
    cpu, wall = time.process_time(), time.perf_counter()
    count, event = 0, None
    async for event in events:  # noqa: B007  # as above
        count += 1
    return Round(
        count, cast("Any", event).data, time.process_time() - cpu, time.perf_counter() - wall
    )


def connecting(adapter: str, library: str) -> tuple[Client, Client]:
    """Return what reads with ``connect_sse`` and ``aconnect_sse`` of an adapter."""
    module, http = import_module(adapter), import_module(library)

    def sync(url: str, is_measured: bool) -> Result:
        with http.Client() as client, module.connect_sse(client, "GET", url) as source:
            return read(source.iter_sse(), is_measured)

    async def main(url: str, is_measured: bool) -> Result:
        async with http.AsyncClient() as client:
            async with module.aconnect_sse(client, "GET", url) as source:
                return await aread(source.aiter_sse(), is_measured)

    return sync, lambda url, is_measured: asyncio.run(main(url, is_measured))


def httpx2_itself() -> tuple[Client, Client]:
    http = import_module("httpx2")

    def sync(url: str, is_measured: bool) -> Result:
        with http.Client() as client, client.sse(url) as source:
            return read(source, is_measured)

    async def main(url: str, is_measured: bool) -> Result:
        async with http.AsyncClient() as client, client.sse(url) as source:
            return await aread(aiter(source), is_measured)

    return sync, lambda url, is_measured: asyncio.run(main(url, is_measured))


def aiohttp() -> tuple[None, Client]:
    http = import_module("aiohttp")

    async def main(url: str, is_measured: bool) -> Result:
        async with http.ClientSession() as session, session.get(url) as response:
            events = sse_proto.aiter_events(response.content.iter_any())
            return await aread(aiter(events), is_measured)

    return None, lambda url, is_measured: asyncio.run(main(url, is_measured))


BASE: Final = "httpx-sse"
CLIENTS: Final[dict[str, Callable[[], tuple[Client | None, Client]]]] = {
    BASE: lambda: connecting("httpx_sse", "httpx"),
    "sse_httpx on httpx": lambda: connecting("sse_httpx", "httpx"),
    "httpx2's client.sse": httpx2_itself,
    "sse_httpx on httpx2": lambda: connecting("sse_httpx", "httpx2"),
    "sse_httpxr": lambda: connecting("sse_httpxr", "httpxr"),
    "aiohttp and sse_proto": aiohttp,
}


def find_clients() -> dict[tuple[str, str], Client]:
    """Return what is installed, by name and kind; the first of a kind is what others are to."""
    found: dict[tuple[str, str], Client] = {}
    for name, load in CLIENTS.items():
        try:
            sync, asynchronous = load()
        except ImportError as error:
            if name == BASE:
                raise SystemExit(f"nothing to compare with: {error}") from None
            print(f"{name} is left out: {error}")
            continue
        if sync is not None:
            found[name, "sync"] = sync
        found[name, "async"] = asynchronous
    return dict(sorted(found.items(), key=lambda item: item[0][1], reverse=True))


# -- the measurements -----------------------------------------------------------------------------


def check(clients: dict[tuple[str, str], Client], url: str) -> None:
    """Stop where a client does not give what the server sends."""
    expected = [*DATA, *DATA[:100]]
    for kind in ("small", "large"):
        for name, client in clients.items():
            if client(f"{url}/{kind}/{len(expected)}", False) != expected:
                raise SystemExit(f"{', '.join(name)}: other events than were sent")


def measure(
    clients: dict[tuple[str, str], Client], url: str, events: int, rounds: int
) -> dict[tuple[str, str], list[Round]]:
    results: dict[tuple[str, str], list[Round]] = {name: [] for name in clients}
    for _ in range(rounds):
        for name, client in clients.items():
            result = cast("Round", client(f"{url}/{events}", True))
            if (result.events, result.last) != (events, DATA[(events - 1) % len(DATA)]):
                raise SystemExit(f"{', '.join(name)}: {result.events} of {events} events")
            results[name].append(result)
    return results


def print_table(title: str, results: dict[tuple[str, str], list[Round]]) -> None:
    print(f"\n{title}")
    print(f"{'':30} {'events/s':>9} {'CPU us/event':>13} {'ratio CPU':>10} {'ratio wall':>11}")
    base = dict[str, tuple[float, float]]()
    for (name, kind), rounds in results.items():
        cpu, wall = min(r.cpu for r in rounds), min(r.wall for r in rounds)
        base_cpu, base_wall = base.setdefault(kind, (cpu, wall))
        events = rounds[0].events
        print(
            f"{f'{name}, {kind}':30} {events / wall:9,.0f} {cpu / events * 1e6:13.2f}"
            f" {base_cpu / cpu:10.2f} {base_wall / wall:11.2f}"
        )


def versions() -> str:
    names = ("httpx", "httpx-sse", "httpx2", "httpxr", "aiohttp")
    installed = {name for distribution in metadata.distributions() if (name := distribution.name)}
    return ", ".join(f"{name} {metadata.version(name)}" for name in names if name in installed)


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_clients")
    parser.add_argument("--quick", action="store_true", help="a tenth of the events")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    pin(1)
    command = [sys.executable, "-m", "benchmarks.bench_clients", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        url = f"http://127.0.0.1:{cast('Any', server.stdout).readline().strip()}"
        try:
            print(f"{platform.platform()}, Python {platform.python_version()}, {versions()}")
            print(f"decoder in {sse_proto.IMPLEMENTATION}, best of {options.rounds} rounds")
            clients = find_clients()
            check(clients, url)
            scale = 1 if options.quick else 10
            small = measure(clients, f"{url}/small", 500 * scale, options.rounds)
            print_table("one event a chunk", small)
            large = measure(clients, f"{url}/large", 5_000 * scale, options.rounds)
            print_table("16 KiB chunks", large)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
