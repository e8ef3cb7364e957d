"""What the adapter costs over httpxr alone: throughput and delivery latency, in one run.

A server in a process of its own, on another core, streams events; the client reads them

- raw: the same httpxr stream, read on asyncio and thrown away;
- with `sse_httpxr`, asynchronous and sync;
- with the decoders of httpx-sse on the raw stream, as far as they are installed.

Rounds are interleaved. Ratios are raw / other, of the least CPU time of the client's process, which
bounds the throughput of a client on one core and depends least on what else the machine does; the
wall clock's are beside them. Latency is from just before the server's write to the event in the
caller's hands, with a write every 2 ms. Every round counts its events, and looks at the last one.

    python -m benchmarks.bench_adapter [--quick] [--rounds N] [--timeout SECONDS]
"""

from __future__ import annotations

import argparse
import asyncio
import codecs
import os
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httpxr

import sse_proto
from sse_httpxr import aconnect_sse, connect_sse

if TYPE_CHECKING:
    from collections.abc import Callable

EVENT_SIZE = 230  # bytes, as a chunk of a chat completion
CHUNK_SIZE = 16 * 1024
INTERVAL = 0.002  # seconds between two writes, for the latency


class Round(NamedTuple):
    """One stream, read to its end."""

    events: int
    last: str
    cpu: float
    wall: float
    latencies: list[float]


# The server.


def event(number: int) -> bytes:
    data = f"data: {number} {time.perf_counter():.9f} "
    return (data + "x" * (EVENT_SIZE - len(data) - 2) + "\n\n").encode()


def handle(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = connection.recv(65536).split()[1].decode()
        _, kind, count = target.split("/")
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        per_chunk = CHUNK_SIZE // EVENT_SIZE if kind == "large" else 1
        number = 0
        while number < int(count):
            size = min(per_chunk, int(count) - number)
            body = b"".join(event(number + i) for i in range(size))
            connection.sendall(b"%x\r\n%b\r\n" % (len(body), body))
            number += size
            if kind == "slow":
                time.sleep(INTERVAL)
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


# The clients. Each takes a URL, and reads it to the end.


class Meter:
    """Counts events, and notes when they came, if that is wanted."""

    def __init__(self, *, timed: bool) -> None:
        self.timed = timed
        self.count = 0
        self.last = ""
        self.latencies: list[float] = []
        self.cpu = time.process_time()
        self.wall = time.perf_counter()

    def note(self, data: str) -> None:
        self.latencies.append(time.perf_counter() - float(data.split(" ", 2)[1]))

    def result(self) -> Round:
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.wall
        return Round(self.count, self.last, cpu, wall, self.latencies)


async def raw_stream(client: httpxr.AsyncClient, url: str) -> Any:
    response = await client.request("GET", url, stream=True, timeout=httpxr.Timeout(None))
    return response.stream


def raw(url: str, *, timed: bool, timeout: float | None) -> Round:
    async def read() -> Round:
        stream = await raw_stream(httpxr.AsyncClient(), url)
        meter = Meter(timed=timed)
        before = chunk = b""
        line_ends = 0
        async for received in stream:
            before, chunk = chunk, received
            if timed and chunk.startswith(b"data: "):
                meter.note(chunk[len("data: ") :].decode())
            line_ends += chunk.count(b"\n")
        # Two an event. They may come apart, and the second one alone at last.
        meter.count = line_ends // 2
        end = before + chunk
        meter.last = end[end.rindex(b"data: ") + len("data: ") :].decode()
        return meter.result()

    del timeout
    return asyncio.run(read())


def ours_async(url: str, *, timed: bool, timeout: float | None) -> Round:
    async def read() -> Round:
        async with httpxr.AsyncClient() as client:
            async with aconnect_sse(client, "GET", url, timeout=timeout) as source:
                meter = Meter(timed=timed)
                count = 0
                async for received in source:
                    if timed:
                        meter.note(received.data)
                    count += 1
                    meter.last = received.data
                meter.count = count
                return meter.result()

    return asyncio.run(read())


def ours_sync(url: str, *, timed: bool, timeout: float | None) -> Round:
    with httpxr.Client() as client, connect_sse(client, "GET", url, timeout=timeout) as source:
        meter = Meter(timed=timed)
        count = 0
        for received in source:
            if timed:
                meter.note(received.data)
            count += 1
            meter.last = received.data
        meter.count = count
        return meter.result()


def httpx_sse_decoders(url: str, *, timed: bool, timeout: float | None) -> Round:
    from httpx_sse._decoders import SSEDecoder, SSELineDecoder

    async def read() -> Round:
        stream = await raw_stream(httpxr.AsyncClient(), url)
        meter = Meter(timed=timed)
        to_text = codecs.getincrementaldecoder("utf-8")("replace")
        lines, decoder = SSELineDecoder(), SSEDecoder()
        async for chunk in stream:
            for line in lines.decode(to_text.decode(chunk)):
                received = decoder.decode(line.rstrip("\n"))
                if received is not None:
                    if timed:
                        meter.note(received.data)
                    meter.count += 1
                    meter.last = received.data
        return meter.result()

    del timeout
    return asyncio.run(read())


def clients() -> dict[str, Callable[..., Round]]:
    found: dict[str, Callable[..., Round]] = {
        "httpxr alone (async)": raw,
        "sse_httpxr, async": ours_async,
        "sse_httpxr, sync": ours_sync,
    }
    try:
        import_module("httpx_sse")
    except ImportError as error:
        print(f"httpx-sse is left out: {error}")
    else:
        found["httpx-sse's decoders (async)"] = httpx_sse_decoders
    return found


# The measurements.


def measure(url: str, count: int, rounds: int, timeout: float | None) -> dict[str, list[Round]]:
    results: dict[str, list[Round]] = {name: [] for name in clients()}
    timed = url.endswith("slow")
    for _ in range(rounds):
        for name, client in clients().items():
            result = client(f"{url}/{count}", timed=timed, timeout=timeout)
            if result.events != count or not result.last.startswith(f"{count - 1} "):
                raise SystemExit(f"{name}: {result.events} of {count} events, {result.last[:40]!r}")
            results[name].append(result)
    return results


def print_throughput(title: str, results: dict[str, list[Round]]) -> None:
    base = next(iter(results.values()))
    base_cpu, base_wall = min(r.cpu for r in base), min(r.wall for r in base)
    print(f"\n{title}\n{'':30} {'us/event':>9} {'ratio CPU':>10} {'ratio wall':>11}")
    for name, rounds in results.items():
        cpu, wall = min(r.cpu for r in rounds), min(r.wall for r in rounds)
        per_event = cpu / rounds[0].events * 1e6
        print(f"{name:30} {per_event:9.2f} {base_cpu / cpu:10.3f} {base_wall / wall:11.3f}")


def print_latency(results: dict[str, list[Round]]) -> None:
    print(f"\nlatency, one event every {INTERVAL * 1e3:g} ms")
    print(f"{'':30} {'p50 us':>9} {'p99 us':>9} ratio")
    base = 0.0
    for name, rounds in results.items():
        p50 = min(statistics.median(r.latencies) for r in rounds)
        p99 = min(statistics.quantiles(r.latencies, n=100)[98] for r in rounds)
        base = base or p50
        print(f"{name:30} {p50 * 1e6:9.1f} {p99 * 1e6:9.1f} {p50 / base:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="cost of sse_httpxr over httpxr alone")
    parser.add_argument("--quick", action="store_true", help="a tenth of the events")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--timeout", type=float, default=None, help="seconds of silence allowed")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    pin(1)
    command = [sys.executable, "-m", "benchmarks.bench_adapter", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        url = f"http://127.0.0.1:{cast('Any', server.stdout).readline().strip()}"
        try:
            implementation = getattr(sse_proto, "IMPLEMENTATION", "python")
            print(f"{platform.platform()}, Python {platform.python_version()}, {implementation}")
            print(
                f"httpxr {httpxr.__version__}, {options.rounds} rounds, timeout {options.timeout}"
            )
            scale = 1 if options.quick else 10
            small = measure(f"{url}/small", 1_000 * scale, options.rounds, options.timeout)
            print_throughput("one event a chunk", small)
            large = measure(f"{url}/large", 20_000 * scale, options.rounds, options.timeout)
            print_throughput("16 KiB chunks", large)
            print_latency(measure(f"{url}/slow", 100 * scale, options.rounds, options.timeout))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
