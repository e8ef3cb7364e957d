"""Sending a request so that neither a slow answer nor a cancellation harms the client's pool.

Like `_http2` and `_direct`, this knows the internals of httpcore and httpcore2; where they are not
as expected, requests are sent as the client sends them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from ._http2 import finish, mend
from ._trio import runs_on_trio

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["asend", "send"]

_R = TypeVar("_R")

_CONNECTED = ("connect_tcp.complete", "connect_unix_socket.complete")
# When a connection has been chosen, and nothing has been sent on it: before the first request on an
# HTTP/2 connection, and before any other.
_BEFORE_SENDING = frozenset(
    (
        "http11.send_request_headers.started",
        "http2.send_connection_init.started",
        "http2.send_request_headers.started",
    )
)


def send(client: Any, request: Any, options: dict[str, Any]) -> Any:
    """Return what ``client.send`` returns, over a mended connection."""
    given = request.extensions.get("trace")

    def trace(name: str, info: dict[str, Any]) -> Any:
        if name in _BEFORE_SENDING:
            _mend_all(client)
        return None if given is None else given(name, info)

    if _pools_of(client):
        request.extensions = {**request.extensions, "trace": trace}
    return client.send(request, stream=True, **options)


async def asend(client: Any, request: Any, options: dict[str, Any]) -> Any:
    """Return what an asynchronous ``client.send`` returns; if cancelled, leave nothing behind.

    httpcore's pool loses places to tasks that are cancelled again while they clean up, or before
    they have begun to connect; and one cancelled in a TLS handshake leaves its socket to the
    garbage collector. So on asyncio the request is sent by a task of its own, which is cancelled
    only once; and whatever then belongs to nobody is closed.
    """
    given = request.extensions.get("trace")
    handshake: list[Any] = []  # the stream that a handshake goes over
    content = _Content(None)

    async def trace(name: str, info: dict[str, Any]) -> None:
        nonlocal content
        step = name.partition(".")[2]
        if step in _CONNECTED:
            handshake[:] = [info["return_value"]]
        elif step == "start_tls.complete":
            handshake.clear()
        elif name in _BEFORE_SENDING:
            handshake.clear()
            _mend_all(client)
        elif step == "send_request_body.started":
            info["request"].stream = content = _Content(info["request"].stream)
        elif step == "send_request_body.failed":
            await content.close()
        if given is not None:
            await given(name, info)

    if _pools_of(client):
        request.extensions = {**request.extensions, "trace": trace}
    sending = _send(client, request, options, handshake)
    return await (sending if runs_on_trio() else _in_a_task(sending))


class _Content:
    """A request's content, which can be closed when sending it has failed halfway.

    httpcore leaves its generator to the garbage collector, which trio warns about.
    """

    _iterator: Any = None

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> Any:
        self._iterator = self._stream.__aiter__()
        return self._iterator

    async def close(self) -> None:
        if hasattr(self._iterator, "aclose"):  # a generator, as those of the libraries are
            await self._iterator.aclose()


async def _send(client: Any, request: Any, options: dict[str, Any], handshake: list[Any]) -> Any:
    try:
        return await client.send(request, stream=True, **options)
    except Exception:
        raise
    except BaseException:  # cancelled
        # At once, before another request looks for a place.
        tidying = _tidy(client, handshake)
        await (finish(tidying) if runs_on_trio() else tidying)
        raise


async def _in_a_task(sending: Coroutine[Any, Any, Any]) -> Any:
    task = asyncio.ensure_future(sending)
    try:
        await asyncio.wait([task])
        return task.result()
    except asyncio.CancelledError:
        await finish(_cancel(task))
        raise
    finally:
        del task  # or an error's traceback would keep it, and it the error


async def _cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and task.exception() is None:
        await task.result().aclose()  # it was faster


def _pools_of(client: Any) -> list[Any]:
    """Return the client's pools of connections."""
    transports = [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]
    pools = [getattr(transport, "_pool", None) for transport in transports]
    return [pool for pool in pools if hasattr(pool, "_connections")]


def _mend_all(client: Any) -> None:
    for pool in _pools_of(client):
        for connection in map(_innermost, list(pool._connections)):
            if not isinstance(connection, _Http1Connection) and mend(connection) is None:
                _mend_http1(connection)


def _innermost(connection: Any) -> Any:
    """Return what a pool's connection wraps, if it is connected; those of proxies wrap it twice."""
    while (inner := getattr(connection, "_connection", None)) is not None:
        connection = inner
    return connection


async def _tidy(client: Any, handshake: list[Any]) -> None:
    """Take from the pools what belongs to no request, is not idle, and so would stay for ever.

    An HTTP/2 connection without a stream becomes idle instead, if it can be used again. And put
    back what others use: if a task that was to make an HTTP/2 connection for several is cancelled,
    the pool drops that connection, though another task will make it.
    """
    for pool in _pools_of(client):
        try:
            used = [request.connection for request in pool._requests]
            for connection in used:
                if connection is not None and connection not in pool._connections:
                    connection._connect_failed = False
                    pool._connections.append(connection)
            in_use = set(map(id, used))
            unused = [each for each in pool._connections if id(each) not in in_use]
            for connection in unused:
                if (http2 := mend(_innermost(connection))) is not None:
                    http2.rest()
            lost = [each for each in unused if not (each.is_idle() or each.is_closed())]
            # All of them before any is closed: meanwhile other tasks use the pool.
            for connection in lost:
                pool._connections.remove(connection)
            for connection in lost:
                await connection.aclose()
            # For requests that wait for a place.
            await pool._close_connections(pool._assign_requests_to_connections())
        except AttributeError:  # another version
            pass
    for stream in handshake:
        await stream.aclose()


# -- HTTP/1.1 -------------------------------------------------------------------------------------


class _Http1Connection:
    """Mixed in before httpcore's class: interim responses (1xx) do not put off its read timeout."""

    _library: Any
    _deadline: float | None = None  # for the head of a response

    def _begin(self, request: Any) -> None:
        seconds = request.extensions.get("timeout", {}).get("read")
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def _left(self, timeout: float | None) -> float | None:
        if self._deadline is None:
            return timeout
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._library.ReadTimeout("no response, but interim ones")
        return left


class _SyncHttp1Connection(_Http1Connection):
    def _receive_response_headers(self, request: Any) -> Any:
        self._begin(request)
        try:
            original: Any = super()
            return original._receive_response_headers(request)
        finally:
            self._deadline = None

    def _receive_event(self, timeout: float | None = None) -> Any:
        original: Any = super()
        return original._receive_event(timeout=self._left(timeout))


class _AsyncHttp1Connection(_Http1Connection):
    async def _receive_response_headers(self, request: Any) -> Any:
        self._begin(request)
        try:
            original: Any = super()
            return await original._receive_response_headers(request)
        finally:
            self._deadline = None

    def _receive_event(self, timeout: float | None = None) -> Any:
        original: Any = super()
        return original._receive_event(timeout=self._left(timeout))


def _mend_http1(connection: Any) -> None:
    original: Any = connection.__class__
    library = sys.modules.get(original.__module__.partition(".")[0])
    is_sync = original is getattr(library, "HTTP11Connection", None)
    if (is_sync or original is getattr(library, "AsyncHTTP11Connection", None)) and all(
        hasattr(connection, name) for name in ("_receive_event", "_receive_response_headers")
    ):
        connection.__class__ = _mended_http1(original, is_sync)


@cache
def _mended_http1(original: type[Any], is_sync: bool) -> type[Any]:
    mixin = _SyncHttp1Connection if is_sync else _AsyncHttp1Connection
    library = sys.modules[original.__module__.partition(".")[0]]
    return type(original.__name__, (mixin, original), {"_library": library})
