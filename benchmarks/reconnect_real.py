"""Many real connections through one client, and a restart of their server.

``python -m benchmarks.reconnect_real [--clients 500]``. The server is a process of its own on this
machine. It sends each client an event every half second, is killed, and comes back a second later
on the same port; each client gets what it has missed, by its ``Last-Event-ID``. Every event of
every client is accounted for. The delay of an event is from just before the server's writes of a
round to the client's hands, so it has the time to write to all the others.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import httpxr

import sse_proto
from sse_httpxr import ReconnectPolicy, asubscribe

INTERVAL = 0.5  # seconds between two events
DOWN = 1.0  # seconds that the server is away
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nretry: 500\n\n"
)


# -- the server ------------------------------------------------------------------------------------


async def serve(port: int) -> None:
    """Send ticks to all who are connected; the number of a tick is the time it belongs to."""
    writers: set[asyncio.StreamWriter] = set()
    last = tick_now()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
        except asyncio.IncompleteReadError:  # who has only looked whether this is there
            writer.close()
            return
        name = b"last-event-id: "
        seen = int(head.partition(name)[2].split(b"\r\n")[0]) if name in head else last
        writer.write(HEAD + b"".join(map(tick, range(seen + 1, last + 1))))
        writers.add(writer)
        await reader.read()  # until the client leaves
        writers.discard(writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=2048)
    async with server:
        while True:
            await asyncio.sleep((last + 1) * INTERVAL - time.monotonic())
            last = tick_now()
            event = tick(last)
            for writer in writers:
                writer.write(event)


def tick_now() -> int:
    return int(time.monotonic() / INTERVAL)


def tick(number: int) -> bytes:
    return b"id: %d\ndata: %.9f\n\n" % (number, time.monotonic())


# -- the clients -----------------------------------------------------------------------------------


@dataclass
class Seen:
    """What the clients have got."""

    delays: list[float] = field(default_factory=list[float])
    events: int = 0
    lost: int = 0
    twice: int = 0


async def follow(
    client: httpxr.AsyncClient, url: str, seen: Seen, counts: list[int], me: int
) -> None:
    last = None
    policy = ReconnectPolicy(max_backoff=1.0)
    async with asubscribe(client, "GET", url, reconnect=policy) as events:
        async for event in events:
            now = time.monotonic()
            number = int(event.id or 0)
            if last is not None:
                seen.lost += max(0, number - last - 1)
                seen.twice += number <= last
            last = number
            counts[me] += 1
            seen.events += 1
            seen.delays.append(now - float(event.data))


async def run(clients: int, seconds: float) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = start_server(port)
    url = f"http://127.0.0.1:{port}/"
    seen = Seen()
    counts = [0] * clients
    async with httpxr.AsyncClient() as client:
        async with asubscribe(client, "GET", url) as events:
            await anext(events)  # what is made once is there
        before = memory()
        began = time.monotonic()
        tasks = [
            asyncio.create_task(follow(client, url, seen, counts, me)) for me in range(clients)
        ]
        await until(lambda: all(counts), tasks)
        print(f"{clients} streams open, each with an event, after {time.monotonic() - began:.1f} s")
        opened = memory()
        print(f"memory: {(opened - before) / clients / 1024:.0f} KiB for each of them")

        seen.delays.clear()
        cpu, events_before = cpu_time(), seen.events
        await asyncio.sleep(seconds)
        cpu, events_after = cpu_time() - cpu, seen.events - events_before
        delays = sorted(seen.delays)
        print(
            f"{events_after} events in {seconds:.0f} s: CPU {cpu / events_after * 1e6:.0f} us each,"
            f" {cpu / seconds:.0%} of a core"
        )
        print(
            f"delay: median {percentile(delays, 50):.1f} ms, p99 {percentile(delays, 99):.1f} ms,"
            f" longest {delays[-1] * 1000:.1f} ms"
        )

        server.send_signal(signal.SIGKILL)
        server.wait()
        await asyncio.sleep(DOWN)
        server = start_server(port)
        back = time.monotonic()
        counts[:] = [0] * clients
        await until(lambda: all(counts), tasks)
        took = time.monotonic() - back
        await asyncio.sleep(2 * INTERVAL)
        print(
            f"after the restart all are back within {took:.1f} s: {seen.lost} events lost,"
            f" {seen.twice} seen twice; memory {(memory() - before) / clients / 1024:.0f} KiB each"
        )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    server.kill()
    server.wait()
    if seen.lost or seen.twice:
        raise SystemExit(1)


def start_server(port: int) -> subprocess.Popen[bytes]:
    server = subprocess.Popen([sys.executable, "-m", __spec__.name, "--serve", str(port)])
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return server
    raise SystemExit("the server does not start")


async def until(condition: Callable[[], bool], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait until a condition holds, a minute at most, or a task has failed."""
    for _ in range(6000):
        if condition():
            return
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)
    raise SystemExit("the clients do not get what they should")


def memory() -> int:
    """Return what this process has in memory, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def cpu_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return a percentile of delays in order, in milliseconds."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="Many connections, and a restart.")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0, help="of steady streams")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    print(
        f"httpxr {version('httpxr')}, decoder in {sse_proto.IMPLEMENTATION},"
        f" Python {platform.python_version()}"
    )
    logging.getLogger("sse_httpxr").addHandler(logging.NullHandler())  # it warns of each loss
    asyncio.run(run(options.clients, options.seconds))


if __name__ == "__main__":
    main()
