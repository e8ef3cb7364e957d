"""What tests over HTTP/2 share: a server's answers by path, a client, and tasks side by side."""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from .drivers import AsyncioLoop, Driver, TrioLoop
from .http2 import ErrorCodes, Stopped
from .servers import TlsFiles

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from .drivers import Stream as EventStream
    from .http2 import Stream

TIMEOUT: Final = 10.0
# Seconds until the server sees that a stream was left: 0.1, and room for a busy machine.
PROMPT: Final = 0.5


@asynccontextmanager
async def client_of(driver: Driver, tls: TlsFiles, **settings: Any) -> AsyncGenerator[Any]:
    trust, _ = driver.trust(tls.ca_pem)
    async with driver.client(http2=True, **trust, **settings) as client:
        yield client


async def together(driver: Driver, *functions: Callable[[], Awaitable[None]]) -> None:
    """Run these at the same time: in tasks, or each in a thread of its own."""
    if isinstance(driver.loop, AsyncioLoop):
        await asyncio.gather(*(function() for function in functions))
    elif isinstance(driver.loop, TrioLoop):
        trio: Any = importlib.import_module("trio")
        async with trio.open_nursery() as nursery:
            for function in functions:
                nursery.start_soon(function)
    else:
        errors: list[BaseException] = []

        def run(function: Any) -> None:
            try:
                driver.run(function())
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(function,)) for function in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]


async def pause(driver: Driver, seconds: float) -> None:
    if driver.is_async:
        sleep = importlib.import_module("anyio").sleep
        await sleep(seconds)
    else:
        time.sleep(seconds)  # noqa: ASYNC251  # in a thread of its own


def endless(stream: Stream) -> None:
    """Send an event, and then one after the other for as long as the client is there."""
    stream.respond()
    number = 0
    while True:
        stream.event(str(number))
        number += 1
        stream.wait_over(0.005)


def silent(stream: Stream) -> None:
    """Send an event, and then nothing until the client has gone."""
    stream.respond()
    stream.event("0")
    stream.wait_over(TIMEOUT)


def counting(stream: Stream) -> None:
    """Send as many events as the path asks for, at this pace: ``/count/SECONDS``."""
    _, _, count, seconds, *_ = stream.path.split("/")
    stream.respond()
    for number in range(int(count)):
        stream.event(str(number))
        if stream.wait_over(float(seconds)):
            raise Stopped
    stream.end()


def by_path(stream: Stream) -> None:
    kinds: dict[str, Callable[[Stream], None]] = {
        "endless": endless,
        "silent": silent,
        "count": counting,
        "late": late,
        "flood": flood,
    }
    kinds[stream.path.split("/")[1]](stream)


def late(stream: Stream) -> None:
    """Answer only after a while."""
    if not stream.wait_over(2.0):
        silent(stream)


def flood(stream: Stream) -> None:
    """Send 24 MiB, more than the window of a connection."""
    stream.respond()
    stream.event("0")
    piece = b": " + b"x" * 65000 + b"\n"
    for _ in range(24 * 16):
        stream.send(piece)
    stream.event("end")
    stream.end()


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


async def read_all(stream: EventStream) -> list[str]:
    return [event.data for event in await stream.rest()]


def assert_reset(stream: Stream, since: float) -> None:
    assert stream.wait_reset(TIMEOUT)
    assert stream.reset_code == ErrorCodes.CANCEL
    assert stream.reset_at is not None
    assert stream.reset_at - since < PROMPT


async def opened(driver: Driver, client: Any, url: str, **call: Any) -> None:
    async with driver.connect(client, "GET", url, **call):
        pass
