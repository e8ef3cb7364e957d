"""From a client and a call's arguments to an open response whose chunks arrive live."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpxr

from .exchange import exchange
from .request import acapture, capture
from .timeouts import Timeouts
from .wires import Abort, AsyncWire, SyncWire

if TYPE_CHECKING:
    from .._options import RequestOptions

__all__ = ["aopen_live", "check_client", "open_live"]


def open_live(
    client: httpxr.Client,
    method: str,
    url: httpxr.URL | str,
    options: RequestOptions,
    abort: Abort | None = None,
) -> httpxr.Response:
    """Send a request for sync code; return the response as soon as its headers are there."""
    check_client(client, httpxr.Client, "connect_sse", "aconnect_sse")
    timeouts = Timeouts.of(client, options)
    request = capture(client, method, url, options, timeouts.pool)
    wire = SyncWire(client, options.get("transport"), timeouts, abort or Abort())
    # The wire blocks where an async one would suspend, so this runs to its end.
    coroutine = exchange(
        wire,
        client,
        request,
        options.get("auth", client.auth),
        follow_redirects=options.get("follow_redirects", True),
    )
    try:
        coroutine.send(None)
    except StopIteration as result:
        response: httpxr.Response = result.value
        return response
    raise AssertionError("a sync wire suspended")


async def aopen_live(
    client: httpxr.AsyncClient, method: str, url: httpxr.URL | str, options: RequestOptions
) -> httpxr.Response:
    """Send a request on asyncio; return the response as soon as its headers are there."""
    check_client(client, httpxr.AsyncClient, "aconnect_sse", "connect_sse")
    if asyncio._get_running_loop() is None:
        raise RuntimeError("aconnect_sse() needs asyncio: httpxr's async client works nowhere else")
    timeouts = Timeouts.of(client, options)
    request = await acapture(client, method, url, options, timeouts.pool)
    return await exchange(
        AsyncWire(client, options.get("transport"), timeouts),
        client,
        request,
        options.get("auth", client.auth),
        follow_redirects=options.get("follow_redirects", True),
    )


def check_client(client: object, expected: type, function: str, other: str) -> None:
    if not isinstance(client, expected):
        hint = f"; use {other}()" if isinstance(client, (httpxr.Client, httpxr.AsyncClient)) else ""
        kind = type(client).__name__
        raise TypeError(f"{function}() takes an httpxr.{expected.__name__}, not {kind}{hint}")
