"""From a client and a call's arguments to an open response whose chunks arrive live.

The module that knows httpxr's faults, with those that it is made of. httpxr's sync transport reads
a body whole; so a sync client is asked only for the request, which then goes over httpxr's async
transport, driven in the calling thread. httpxr's timeouts are one deadline for the whole stream; so
it is told of none, and the timeouts is watched here. Cancelling what httpxr's async client does may
leak the connection; so its transport is called directly.
"""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httpxr

from . import compat
from .chunks import AsyncChunks, SyncChunks, stream_closed
from .exchange import exchange
from .loop import PrivateLoop
from .request import acapture, capture
from .transports import TLS_HINT, async_counterpart, explicit_transport, send_live

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._options import RequestOptions
    from .compat import AnyClient, AsyncTransport

__all__ = [
    "Abort",
    "aclose_response",
    "aopen_live",
    "check_client",
    "close_response",
    "open_live",
]


class Abort:
    """Lets another thread end the opening of a stream; the opening raises `httpxr.StreamClosed`."""

    def __init__(self) -> None:
        self.is_set = False
        self.cancel: Callable[[], object] | None = None
        """Cancels what is under way; the wire's to set."""

    def set(self) -> None:
        self.is_set = True
        cancel = self.cancel
        if cancel is not None:
            cancel()


def open_live(
    client: httpxr.Client,
    method: str,
    url: httpxr.URL | str,
    options: RequestOptions,
    abort: Abort | None = None,
) -> httpxr.Response:
    """Send a request for sync code; return the response as soon as its headers are there."""
    check_client(client, httpxr.Client, "connect_sse", "aconnect_sse")
    timeouts = _Timeouts.of(client, options)
    request = capture(client, method, url, options, timeouts.pool)
    wire = _SyncWire(client, options.get("transport"), timeouts, abort or Abort())
    # The wire blocks where an async one would suspend, so that this runs to its end.
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
        raise RuntimeError("aconnect_sse() needs asyncio: httpxr's async client works on no other")
    timeouts = _Timeouts.of(client, options)
    request = await acapture(client, method, url, options, timeouts.pool)
    return await exchange(
        _AsyncWire(client, options.get("transport"), timeouts),
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


class _Timeouts(NamedTuple):
    """How long to wait for what, in seconds; ``None``: without end."""

    open: float | None
    """For the connection and the response's headers: httpxr does not show them apart."""
    idle: float | None
    """For the next byte of the body."""
    pool: float | None
    error: Callable[..., httpxr.TimeoutException]
    """The exception when the first of these is over."""

    @classmethod
    def of(cls, client: AnyClient, options: RequestOptions) -> _Timeouts:
        """Return what the option ``timeout`` means, or else the client's own."""
        timeout: Any = options.get("timeout", client.timeout)
        if timeout is not None and not isinstance(timeout, (httpxr.Timeout, int, float, tuple)):
            # httpxr would take it for no timeout.
            expected = "seconds, an httpxr.Timeout, a tuple or None"
            raise TypeError(f"timeout must be {expected}, not {type(timeout).__name__}")
        if not isinstance(timeout, httpxr.Timeout):
            timeout = httpxr.Timeout(cast("Any", timeout))
        connect, read = timeout.connect, timeout.read
        open_ = max((t for t in (connect, read) if t is not None), default=None)
        error = httpxr.ReadTimeout if open_ == read else httpxr.ConnectTimeout
        return cls(open_, read, timeout.pool, error)

    def over(self, request: httpxr.Request) -> httpxr.TimeoutException:
        return self.error(f"no response headers within {self.open} s", request=request)


class _SyncWire:
    """Sends requests from sync code, one after the other, and blocks meanwhile."""

    is_async = False

    def __init__(
        self, client: httpxr.Client, transport: object, timeouts: _Timeouts, abort: Abort
    ) -> None:
        self._client = client
        self._transport = transport
        self._timeouts = timeouts
        self._abort = abort
        self._loop = PrivateLoop()

    async def send(self, request: httpxr.Request) -> httpxr.Response:
        transport = compat.client_transport(self._client, request.url)
        if self._transport is not None:
            transport = explicit_transport(self._transport, request.url)
        elif compat.is_sync_network_transport(transport):
            transport = async_counterpart(self._client, transport, request.url)
        if compat.is_network_transport(transport):
            response = self._send_live(transport, request)
        elif compat.is_sync_transport(transport):
            response = transport.handle_request(request)
        else:
            raise TypeError(f"{type(transport).__name__} has no handle_request()")
        if compat.is_httpxr_source(response.stream):
            stream = SyncChunks(
                compat.take_source(response),
                request=request,
                loop=self._loop,
                idle_timeout=self._timeouts.idle,
            )
            return _with_stream(response, stream, request)
        response.request = request
        return response

    def _send_live(self, transport: AsyncTransport, request: httpxr.Request) -> httpxr.Response:
        task: asyncio.Task[httpxr.Response] | None = None

        def start() -> asyncio.Task[httpxr.Response]:
            nonlocal task
            task = task or self._loop.create_task(send_live(transport, request))
            self._abort.cancel = partial(self._loop.call_soon_threadsafe, task.cancel)
            if self._abort.is_set:  # before there was anything to cancel
                task.cancel()
            return task

        try:
            future = self._loop.run(start, self._timeouts.open)
            if not future.done():
                raise self._timeouts.over(request)
        except BaseException:
            self._loop.run_and_cancel(start)  # closes the connection
            raise
        finally:
            self._abort.cancel = None
        try:
            return future.result()
        except asyncio.CancelledError:
            raise stream_closed() from None
        except httpxr.ConnectError as error:
            if self._transport is None and request.url.scheme == "https":
                raise httpxr.ConnectError(f"{error}; {TLS_HINT}", request=request) from error
            raise

    async def read(self, response: httpxr.Response) -> None:
        response.read()

    async def close(self, response: httpxr.Response) -> None:
        close_response(response)

    async def call(self, hook: Callable[[Any], Any], argument: object) -> None:
        hook(argument)


class _AsyncWire:
    """Sends requests on asyncio."""

    is_async = True

    def __init__(self, client: httpxr.AsyncClient, transport: object, timeouts: _Timeouts) -> None:
        self._client = client
        self._transport = transport
        self._timeouts = timeouts

    async def send(self, request: httpxr.Request) -> httpxr.Response:
        if self._transport is None:
            transport = compat.client_transport(self._client, request.url)
        else:
            transport = explicit_transport(self._transport, request.url)
        sending: Awaitable[httpxr.Response]
        if compat.is_network_transport(transport):
            sending = send_live(transport, request)
        elif compat.is_async_transport(transport):
            sending = transport.handle_async_request(request)
        else:
            raise TypeError(f"{type(transport).__name__} has no handle_async_request()")
        try:
            response = await asyncio.wait_for(sending, self._timeouts.open)
        except asyncio.TimeoutError:
            raise self._timeouts.over(request) from None
        if compat.is_httpxr_source(response.stream):
            stream = AsyncChunks(
                compat.take_source(response), request=request, idle_timeout=self._timeouts.idle
            )
            return _with_stream(response, stream, request)
        response.request = request
        return response

    async def read(self, response: httpxr.Response) -> None:
        await response.aread()

    async def close(self, response: httpxr.Response) -> None:
        await aclose_response(response)

    async def call(self, hook: Callable[[Any], Any], argument: object) -> None:
        result = hook(argument)
        if inspect.isawaitable(result):
            await result


# The response.


def _with_stream(
    response: httpxr.Response, stream: SyncChunks | AsyncChunks, request: httpxr.Request
) -> httpxr.Response:
    """Return a response like the given one, with another body."""
    return httpxr.Response(
        response.status_code,
        headers=response.headers,
        stream=stream,
        request=request,
        extensions=response.extensions,
    )


def close_response(response: httpxr.Response) -> None:
    """Close a response of `open_live`, and with it the connection."""
    close = getattr(_stream_of(response), "close", None)
    if close is not None:
        close()
    try:
        response.close()
    except RuntimeError:  # it is asynchronous, and was refused for that
        pass


async def aclose_response(response: httpxr.Response) -> None:
    """Close a response of `aopen_live`, and with it the connection."""
    close = getattr(_stream_of(response), "aclose", None)
    if close is not None:
        await close()
    await response.aclose()


def _stream_of(response: httpxr.Response) -> object:
    try:
        stream: object = response.stream
    except httpxr.StreamError:  # it was read to its end
        return None
    return stream
