"""The I/O of an exchange: which transport a request goes over, and how its response is awaited.

A sync wire drives httpxr's async transport in the calling thread, since httpxr's sync one reads a
whole body. Both call the transport itself: cancelling a method of httpxr's async client may leak
the connection. What comes over another transport, a mock or the user's own, is taken as it is.
"""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpxr

from . import compat
from .chunks import AsyncChunks, SyncChunks
from .closing import aclose_response, close_response
from .errors import stream_closed
from .loop import PrivateLoop
from .transports import TLS_HINT, async_counterpart, explicit_transport, send_live

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .compat import AsyncTransport
    from .timeouts import Timeouts

__all__ = ["Abort", "AsyncWire", "SyncWire"]

_IN_PROCESS_SECONDS: Final = 30.0
"""The longest wait for an application called in-process, if the client sets no limit."""
_IN_PROCESS_HINT: Final = (
    "ASGITransport runs an application to its end before it answers, and a stream may have none;"
    " use a server on 127.0.0.1"
)


class Abort:
    """Lets another thread end the opening of a stream; the opening raises `httpxr.StreamClosed`."""

    def __init__(self) -> None:
        self.is_set = False
        self.cancel: Callable[[], object] | None = None
        """Cancels what is under way; set by the wire."""

    def set(self) -> None:
        self.is_set = True
        cancel = self.cancel
        if cancel is not None:
            cancel()


class SyncWire:
    """Sends requests from sync code, one after the other, and blocks meanwhile."""

    is_async = False

    def __init__(
        self, client: httpxr.Client, transport: object, timeouts: Timeouts, abort: Abort
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
                raise type(error)(f"{error}; {TLS_HINT}", request=request) from error
            raise

    async def read(self, response: httpxr.Response) -> None:
        response.read()

    async def close(self, response: httpxr.Response) -> None:
        close_response(response)

    async def call(self, hook: Callable[[Any], Any], argument: object) -> None:
        hook(argument)


class AsyncWire:
    """Sends requests on asyncio."""

    is_async = True

    def __init__(self, client: httpxr.AsyncClient, transport: object, timeouts: Timeouts) -> None:
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
        seconds = self._timeouts.open
        if runs_in_process := compat.is_asgi_transport(transport):
            seconds = seconds or _IN_PROCESS_SECONDS
        try:
            response = await asyncio.wait_for(sending, seconds)
        except asyncio.TimeoutError:
            if runs_in_process:
                message = f"no response within {seconds} s: {_IN_PROCESS_HINT}"
                raise httpxr.ReadTimeout(message, request=request) from None
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
