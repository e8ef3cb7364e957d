"""From a client and a call's arguments to an open response whose chunks arrive live.

The module that knows httpxr's faults, with those that it is made of. httpxr's sync transport reads
a body whole; so a sync client is asked only for the request, which then goes over httpxr's async
transport, driven in the calling thread. httpxr's timeouts are one deadline for the whole stream; so
it is told of none, and the waiting is watched here. Cancelling what httpxr's async client does may
leak the connection; so its transport is called directly.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict, cast

import httpxr

from . import _compat
from ._chunks import AsyncChunks, SyncChunks
from ._exchange import exchange, set_cookies
from ._loop import PrivateLoop
from ._transports import TLS_HINT, async_counterpart, explicit_transport, send_live

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from typing_extensions import Unpack

    from ._compat import AnyClient, AsyncTransport

__all__ = ["UNSET", "LiveOptions", "aclose_response", "aopen_live", "close_response", "open_live"]


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final[Any] = _Unset()
"""Default of an argument whose ``None`` has a meaning: the client's own setting holds."""


class LiveOptions(TypedDict):
    """The arguments of `connect_sse` that make the request; documented there."""

    params: object
    headers: object
    cookies: Mapping[str, str] | None
    content: object
    data: object
    files: object
    json: object
    auth: object
    follow_redirects: bool
    timeout: object
    extensions: Mapping[str, Any] | None
    transport: object


def open_live(
    client: httpxr.Client, method: str, url: httpxr.URL | str, **options: Unpack[LiveOptions]
) -> httpxr.Response:
    """Send a request for sync code; return the response as soon as its headers are there."""
    _check_client(client, httpxr.Client, "connect_sse", "aconnect_sse")
    waiting = _Waiting.of(client, options["timeout"])
    arguments = _request_arguments(options, waiting)
    try:
        client.request(method, url, auth=_Capture(), **arguments)
        raise AssertionError("httpxr sent a request that it should not")
    except _Captured as captured:
        request = captured.request
    _complete(request, client, options)
    wire = _SyncWire(client, options["transport"], waiting)
    # The wire blocks where an async one would suspend, so that this runs to its end.
    coroutine = exchange(
        wire,
        client,
        request,
        client.auth if options["auth"] is UNSET else options["auth"],
        follow_redirects=options["follow_redirects"],
        hooks_were_called=True,  # by client.request()
    )
    try:
        coroutine.send(None)
    except StopIteration as result:
        response: httpxr.Response = result.value
        return response
    raise AssertionError("a sync wire suspended")


async def aopen_live(
    client: httpxr.AsyncClient, method: str, url: httpxr.URL | str, **options: Unpack[LiveOptions]
) -> httpxr.Response:
    """Send a request on asyncio; return the response as soon as its headers are there."""
    _check_client(client, httpxr.AsyncClient, "aconnect_sse", "connect_sse")
    if asyncio._get_running_loop() is None:
        raise RuntimeError("aconnect_sse() needs asyncio: httpxr's async client works on no other")
    waiting = _Waiting.of(client, options["timeout"])
    arguments = _request_arguments(options, waiting)
    try:
        await client.request(method, url, auth=_Capture(), stream=True, **arguments)
        raise AssertionError("httpxr sent a request that it should not")
    except _Captured as captured:
        request = captured.request
    _complete(request, client, options)
    return await exchange(
        _AsyncWire(client, options["transport"], waiting),
        client,
        request,
        client.auth if options["auth"] is UNSET else options["auth"],
        follow_redirects=options["follow_redirects"],
        hooks_were_called=False,
    )


def _check_client(client: object, expected: type, function: str, other: str) -> None:
    if not isinstance(client, expected):
        hint = f"; use {other}()" if isinstance(client, (httpxr.Client, httpxr.AsyncClient)) else ""
        kind = type(client).__name__
        raise TypeError(f"{function}() takes an httpxr.{expected.__name__}, not {kind}{hint}")


# The request: whatever the client would send, without sending it.


class _Captured(Exception):
    """Brings a request out of httpxr."""

    def __init__(self, request: httpxr.Request) -> None:
        self.request = request


class _Capture:
    """Authentication that takes the complete request away, before it is sent."""

    def auth_flow(self, request: httpxr.Request) -> Any:
        raise _Captured(request)

    sync_auth_flow = async_auth_flow = auth_flow


def _request_arguments(options: LiveOptions, waiting: _Waiting) -> dict[str, Any]:
    """Return the arguments of ``client.request``."""
    headers = httpxr.Headers(options["headers"] or ())  # type: ignore[arg-type]  # as httpxr has it
    for name, value in (("accept", "text/event-stream"), ("cache-control", "no-store")):
        headers.setdefault(name, value)
    arguments: dict[str, Any] = {
        "headers": headers,
        # No deadline: httpxr would count the whole stream.
        "timeout": httpxr.Timeout(None, pool=waiting.pool),
    }
    for name in ("params", "data", "files", "json", "extensions"):
        if options[name] is not None:  # type: ignore[literal-required]  # they are its keys
            arguments[name] = options[name]  # type: ignore[literal-required]
    if options["content"] is not None:
        arguments["content"] = _whole_content(options["content"])
    return arguments


def _whole_content(content: object) -> bytes | str:
    """Return a request's content as what can be sent again, after a redirect."""
    if isinstance(content, (bytes, str)):
        return content
    if not isinstance(content, Iterable):  # httpxr would send an async one as an empty body
        kind = type(content).__name__
        raise TypeError(f"content must be bytes, str or an iterable of bytes, not {kind}")
    return b"".join(cast("Iterable[bytes]", content))


def _complete(request: httpxr.Request, client: AnyClient, options: LiveOptions) -> None:
    """Do to a captured request what httpxr does wrongly."""
    if request.url.userinfo:
        # It is in the Authorization header by now, and would be added a second time.
        request.url = request.url.copy_with(userinfo=b"")  # type: ignore[call-arg]
    headers = httpxr.Headers(options["headers"] or ())  # type: ignore[arg-type]
    if "cookie" not in headers and "cookie" not in client.headers:
        if "cookie" in request.headers:
            del request.headers["cookie"]
        set_cookies(request, client, options["cookies"] or {})


# Sending it.


class _Waiting(NamedTuple):
    """How long to wait for what, in seconds; ``None``: without end."""

    open: float | None
    """For the connection and the response's headers: httpxr does not show them apart."""
    idle: float | None
    """For the next byte of the body."""
    pool: float | None
    error: Callable[..., httpxr.TimeoutException]
    """The exception when the first of these is over."""

    @classmethod
    def of(cls, client: AnyClient, timeout: Any) -> _Waiting:
        """Return what a ``timeout`` argument means, or else the client's own."""
        if timeout is UNSET:
            timeout = client.timeout
        if not isinstance(timeout, httpxr.Timeout):
            timeout = httpxr.Timeout(timeout)
        connect, read = timeout.connect, timeout.read
        open_ = max((t for t in (connect, read) if t is not None), default=None)
        error = httpxr.ReadTimeout if open_ == read else httpxr.ConnectTimeout
        return cls(open_, read, timeout.pool, error)

    def over(self, request: httpxr.Request) -> httpxr.TimeoutException:
        return self.error(f"no response headers within {self.open} s", request=request)


class _SyncWire:
    """Sends requests from sync code, one after the other, and blocks meanwhile."""

    is_async = False

    def __init__(self, client: httpxr.Client, transport: object, waiting: _Waiting) -> None:
        self._client = client
        self._transport = transport
        self._waiting = waiting
        self._loop = PrivateLoop()

    async def send(self, request: httpxr.Request) -> httpxr.Response:
        transport = _compat.client_transport(self._client, request.url)
        is_default = self._transport is None
        if self._transport is not None:
            transport = explicit_transport(self._transport, request.url)
        elif _compat.is_sync_network_transport(transport):
            transport = async_counterpart(self._client, transport, request.url)
        if _compat.is_network_transport(transport):
            try:
                response = self._send_live(transport, request)
            except httpxr.ConnectError as error:
                if is_default and request.url.scheme == "https":
                    raise httpxr.ConnectError(f"{error}; {TLS_HINT}", request=request) from error
                raise
        elif _compat.is_sync_transport(transport):
            response = transport.handle_request(request)
        else:
            raise TypeError(f"{type(transport).__name__} has no handle_request()")
        if _compat.is_httpxr_source(response.stream):
            stream = SyncChunks(
                _compat.take_source(response),
                request=request,
                loop=self._loop,
                idle_timeout=self._waiting.idle,
            )
            return _with_stream(response, stream, request)
        response.request = request
        return response

    def _send_live(self, transport: AsyncTransport, request: httpxr.Request) -> httpxr.Response:
        task: asyncio.Task[httpxr.Response] | None = None

        def start() -> asyncio.Task[httpxr.Response]:
            nonlocal task
            task = task or self._loop.create_task(send_live(transport, request))
            return task

        try:
            future = self._loop.run(start, self._waiting.open)
            if not future.done():
                raise self._waiting.over(request)
        except BaseException:
            self._loop.run_and_cancel(start)  # closes the connection
            raise
        return future.result()

    async def read(self, response: httpxr.Response) -> None:
        response.read()

    async def close(self, response: httpxr.Response) -> None:
        close_response(response)

    async def call(self, hook: Callable[[Any], Any], argument: object) -> None:
        hook(argument)


class _AsyncWire:
    """Sends requests on asyncio."""

    is_async = True

    def __init__(self, client: httpxr.AsyncClient, transport: object, waiting: _Waiting) -> None:
        self._client = client
        self._transport = transport
        self._waiting = waiting

    async def send(self, request: httpxr.Request) -> httpxr.Response:
        if self._transport is None:
            transport = _compat.client_transport(self._client, request.url)
        else:
            transport = explicit_transport(self._transport, request.url)
        sending: Awaitable[httpxr.Response]
        if _compat.is_network_transport(transport):
            sending = send_live(transport, request)
        elif _compat.is_async_transport(transport):
            sending = transport.handle_async_request(request)
        else:
            raise TypeError(f"{type(transport).__name__} has no handle_async_request()")
        try:
            response = await asyncio.wait_for(sending, self._waiting.open)
        except asyncio.TimeoutError:
            raise self._waiting.over(request) from None
        if _compat.is_httpxr_source(response.stream):
            stream = AsyncChunks(
                _compat.take_source(response), request=request, idle_timeout=self._waiting.idle
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
    response.close()


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
