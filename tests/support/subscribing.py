"""Subscriptions for the tables of `subscribe`: policies, ways to read one, what was sent for it."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from sse_proto import ReadyState, ReconnectPolicy
from tests.support.drivers import TIMEOUT
from tests.support.handlers import silent, slow_refusal, status, stream
from tests.support.harness import data_of, sends

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.drivers import Driver, Stream
    from tests.support.servers import Handler, RawServer

__all__ = [
    "DOINGS",
    "FAST",
    "PATIENCE",
    "SLOW",
    "failure",
    "is_doing",
    "received",
    "sent_ids",
    "subscribed",
]

# Always the same short wait; as often as it takes, or three times; and a wait that no test waits
# for.
FAST: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, reconnect_on_end=True)
PATIENCE: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, max_attempts=3)
SLOW: Final = ReconnectPolicy(initial_delay=60.0)

# What a subscription may be doing: how the server gets it there.
DOINGS: Final[dict[str, Handler]] = {
    "waiting": status(503, ("Connection", "close")),
    "opening": silent,
    "reading": stream(b": nothing\n\n", hold=True),
    "reading on": sends("1", hold=True),
    "reading a refusal": slow_refusal,
}


async def is_doing(driver: Driver, server: RawServer, requests: int = 1) -> None:
    """Wait until a reader waits for what comes after a request."""
    await driver.blocking(server.wait_for_request, requests, TIMEOUT)
    await driver.blocking(time.sleep, 0.1)


@asynccontextmanager
async def subscribed(
    driver: Driver, server: RawServer, path: str = "/", method: str = "GET", **call: Any
) -> AsyncGenerator[Stream]:
    """Subscribe to a path of the server with ``client``, or a new one, and the policy `FAST`."""
    call = {"reconnect": FAST, **call}
    url = call.pop("url", None) or server.url(path)
    if client := call.pop("client", None):
        async with driver.subscribe(client, method, url, **call) as stream:
            yield stream
    else:
        async with driver.client() as client:
            async with driver.subscribe(client, method, url, **call) as stream:
                yield stream


async def received(driver: Driver, server: RawServer, path: str = "/", **call: Any) -> list[str]:
    """Return the data of all events of a subscription that ends."""
    async with subscribed(driver, server, path, **call) as stream:
        return data_of(await stream.rest())


async def failure(driver: Driver, server: RawServer, path: str = "/", **call: Any) -> Any:
    """Return what a subscription raises; it raises it again, then."""
    async with subscribed(driver, server, path, **call) as stream:
        with pytest.raises(Exception) as raised:  # noqa: PT011  # for the caller to look at
            await stream.rest()
        assert stream.source.state is ReadyState.CLOSED
        with pytest.raises(type(raised.value)) as again:
            await stream.next()
        assert again.value is raised.value
    return raised.value


def sent_ids(server: RawServer) -> list[str | None]:
    """Return the ``Last-Event-ID`` of each request that a server has had."""
    values = [request.header_values("last-event-id") for request in server.requests]
    assert all(len(each) < 2 for each in values)
    return [each[0].encode("latin-1").decode() if each else None for each in values]
