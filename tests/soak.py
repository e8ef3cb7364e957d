"""Hours of `subscribe` and `asubscribe` against streams that break: ``python -m tests.soak``.

Sync and async subscriptions, in a random mix, read the streams of a `FaultServer`; some are closed
by another thread or task, or asked with timeouts, and then go on from the last event received. It
ends with status 1 if an event was lost or came twice, or if memory, descriptors, threads or tasks
grow; and prints a line for each half minute, with what to give to ``--seed`` to have it again.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import httpxr

from sse_httpxr import ReconnectPolicy, asubscribe, subscribe
from tests.support.faults import FAULTS, FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sse_adapter import AsyncSubscription
    from sse_httpxr import ServerSentEvent

POLICY: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.01, max_time=60.0)
TIMEOUT: Final = httpxr.Timeout(5.0, connect=0.3, read=0.3)
# Subscriptions at once; one after the other takes a stream.
SLOTS: Final = 12
# Seconds after which a subscription hangs: some hundred times what it takes.
TOO_LONG: Final = 300.0
# What may come after the first half minute: MiB, of the allocator's; descriptors, as each slot may
# leave a connection in the pool; threads.
MEMORY: Final = 32.0
DESCRIPTORS: Final = 3 * SLOTS
THREADS: Final = 4
REPORT_SECONDS: Final = 30.0


class Usage(NamedTuple):
    """What this process, the server in it, uses."""

    memory: float
    """MiB; 0 where that is not to be seen, as is the next."""
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> Usage:
        gc.collect()
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            descriptors = len(os.listdir("/proc/self/fd"))
        except OSError:
            memory, descriptors = 0.0, 0
        return cls(memory, descriptors, threading.active_count())


class Soak:
    """One run.

    Args:
        server: Of the streams.
        loop: A running event loop, for the async ones.
    """

    def __init__(self, server: FaultServer, loop: asyncio.AbstractEventLoop) -> None:
        self.events = 0
        self.streams = 0
        self.interruptions = 0
        self._server: Final = server
        self._loop: Final = loop
        self._client: Final = httpxr.Client()
        self._async_client: Final = httpxr.AsyncClient()
        self._lock: Final = threading.Lock()

    def run_for(self, seconds: float) -> None:
        """Read streams, `SLOTS` at once, until the time is over; then to their ends."""
        deadline = time.monotonic() + seconds
        with ThreadPoolExecutor(SLOTS) as pool:
            slots = [pool.submit(self._run_slot, deadline) for _ in range(SLOTS)]
            for slot in slots:
                slot.result()

    def _run_slot(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            with self._lock:
                self.streams += 1
                name = f"stream-{self.streams}"
            choices = random.Random(f"{self._server.seed} {name} client")
            if choices.random() < 0.5:
                received = self._read(name, choices)
            else:
                future = asyncio.run_coroutine_threadsafe(self._aread(name, choices), self._loop)
                received = future.result(TOO_LONG)
            self._server.check(name, received)
            self._server.forget(name)
            with self._lock:
                self.events += len(received)

    def _read(self, name: str, choices: random.Random) -> list[ServerSentEvent]:
        received: list[ServerSentEvent] = []
        for seconds in _patience(choices):
            with subscribe(
                self._client,
                "GET",
                self._server.url(name),
                reconnect=POLICY,
                timeout=TIMEOUT,
                event_timeout=0.4,
                last_event_id=received[-1].id if received else None,
            ) as events:
                timer = threading.Timer(seconds or TOO_LONG, events.close)
                timer.start()
                try:
                    received.extend(events)
                finally:
                    timer.cancel()
                    timer.join()
                if _is_over(events.response):
                    break
            with self._lock:
                self.interruptions += 1
        return received

    async def _aread(self, name: str, choices: random.Random) -> list[ServerSentEvent]:
        received: list[ServerSentEvent] = []
        for seconds in _patience(choices):
            async with asubscribe(
                self._async_client,
                "GET",
                self._server.url(name),
                reconnect=POLICY,
                timeout=TIMEOUT,
                event_timeout=0.4,
                last_event_id=received[-1].id if received else None,
            ) as events:
                closing = self._loop.call_later(
                    seconds or TOO_LONG, lambda: asyncio.ensure_future(events.aclose())
                )
                try:
                    if choices.random() < 0.5:
                        received += [event async for event in events]
                    else:
                        await _poll_into(received, events)
                finally:
                    closing.cancel()
                if _is_over(events.response):
                    break
            with self._lock:
                self.interruptions += 1
        return received


def _patience(choices: random.Random) -> Iterator[float | None]:
    """Yield after how many seconds to close a subscription, and the next one; at last, ``None``."""
    for _ in range(choices.choice([0, 0, 1, 5])):
        yield choices.uniform(0.0, 0.5)
    yield None


async def _poll_into(
    received: list[ServerSentEvent], events: AsyncSubscription[httpxr.Response]
) -> None:
    """Read all events, with a timeout for each, which may be over anywhere."""
    while True:
        try:
            received.append(await asyncio.wait_for(anext(events), 0.01))
        except asyncio.TimeoutError:
            pass
        except StopAsyncIteration:
            return


def _is_over(response: httpxr.Response | None) -> bool:
    return response is not None and response.status_code == 204


def _growth(before: Usage, now: Usage) -> list[str]:
    """Say what has grown too much."""
    limits = Usage(MEMORY, DESCRIPTORS, THREADS)
    return [
        f"{name} grew from {old:.0f} to {new:.0f}"
        for name, old, new, limit in zip(Usage._fields, before, now, limits, strict=True)
        if new - old > limit
    ]


def soak(minutes: float, seed: int) -> int:
    """Run for a time; return the exit status."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    begun = time.monotonic()
    problems: list[str] = []
    before: Usage | None = None
    print(f"seed {seed}")
    try:
        with FaultServer(seed) as server:
            run = Soak(server, loop)
            while not problems and time.monotonic() - begun < 60 * minutes:
                run.run_for(min(REPORT_SECONDS, 60 * minutes / 4))
                now = Usage.now()
                print(
                    f"{(time.monotonic() - begun) / 60:5.1f} min:"
                    f" {server.injected.total():7} faults, {run.events:7} events,"
                    f" {run.streams:6} streams, {run.interruptions:6} interruptions,"
                    f" {now.memory:6.1f} MiB, {now.descriptors} descriptors, {now.threads} threads",
                    flush=True,
                )
                if before is None:
                    before = now  # what is allocated once has been
                problems += _growth(before, now)
                if tasks := asyncio.all_tasks(loop):
                    problems.append(f"tasks left behind: {tasks}")
            for name in FAULTS:
                print(f"{server.injected[name]:9} {name}")
            problems += [f"never injected: {name}" for name in FAULTS if not server.injected[name]]
    except AssertionError as error:
        problems.append(str(error))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    for problem in problems:
        print(f"FAILED (seed {seed}): {problem}", file=sys.stderr)
    return 1 if problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    logging.getLogger("sse_httpxr").setLevel(logging.ERROR)
    return soak(arguments.minutes, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
