"""The connections of a subscription on httpx or httpx2: one at a time, with the same request."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio

from sse_proto._adapter.subscription import Interrupted

from ._library import error_class, library_of
from ._open import aopen_response, build_request, open_response
from ._reader import Reader, request_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ._types import AsyncClient, Client, Options, Response, URLTypes

__all__ = ["AsyncConnector", "SyncConnector"]

_T = TypeVar("_T")


class _BaseConnector:
    """What sync and async have in common."""

    def __init__(
        self, client: object, kind: str, method: str, url: URLTypes, options: Options
    ) -> None:
        self._library = library = library_of(client, kind)
        self._method = method
        self._url = url
        self._options = options
        # The chunks of the open response.
        self._reader: Reader[Any, bytes] | None = None
        self._is_interrupted = False
        self.lost_errors: tuple[type[Exception], ...] = (library.RequestError,)
        # After these no attempt will succeed: it is the request, or the server's plan.
        self.futile_errors: tuple[type[Exception], ...] = (
            library.LocalProtocolError,
            library.TooManyRedirects,
            library.UnsupportedProtocol,
        )

    def head(self, response: Any) -> tuple[int, list[tuple[str, str]]]:
        return response.status_code, response.headers.multi_items()

    def refusal(self, message: str, response: Any, body: bytes) -> Exception:
        shown = response or (None if self._reader is None else self._reader.response)
        return error_class(self._library)(
            message,
            request=None if shown is None else request_of(shown),
            response=response,
            body=body.decode("utf-8", "replace"),
        )

    def time(self) -> float:
        return time.time()

    def _options_with(self, headers: list[tuple[bytes, bytes]]) -> Options:
        """Return the options of the next request."""
        options = self._options.copy()
        own = self._library.Headers(options["headers"])
        # As bytes: the library may have made up its mind that they are ASCII.
        missing = [(name, value) for name, value in headers if name.decode() not in own]
        options["headers"] = [*own.raw, *missing]
        return options

    def _needs_freezing(self) -> bool:
        """Whether the first request's body could not be made a second time."""
        content = self._options["content"]
        return self._options["files"] is not None or not isinstance(
            content, (str, bytes, type(None))
        )

    def _freeze(self, request: Any, content: bytes) -> None:
        """Keep the body of the first request for all."""
        headers = self._library.Headers(self._options["headers"])
        if "content-type" in request.headers:
            headers["content-type"] = request.headers["content-type"]
        self._options["headers"] = headers
        self._options["content"] = content
        self._options["data"] = self._options["files"] = None

    def _opened(self, response: Any) -> None:
        self._reader = Reader(response, _Chunks(), _no_objection)

    def _lost(
        self, reader: Reader[Any, bytes], error: Exception, idle_timeout: float | None
    ) -> Any:
        """Return an error of a read as one of `lost_errors` that says what has happened."""
        request = request_of(reader.response)
        if isinstance(error, self._library.StreamClosed):
            # A read that is cancelled closes the connection: to go on takes another one.
            return self._library.ReadError("the last read was cancelled", request=request)
        if idle_timeout is None:
            return error  # of a transport that has timeouts of its own
        message = f"no byte from the server for {idle_timeout} s"
        return self._library.ReadTimeout(message, request=request)

    def _open_reader(self) -> Reader[Any, bytes]:
        assert self._reader is not None  # a response is open
        return self._reader


class SyncConnector(_BaseConnector):
    """Blocks where `AsyncConnector` suspends."""

    def __init__(self, client: Client[Any], method: str, url: URLTypes, options: Options) -> None:
        super().__init__(client, "Client", method, url, options)
        self._client = client
        self._awake = threading.Event()

    async def open(self, headers: list[tuple[bytes, bytes]]) -> Any:
        if self._needs_freezing():
            request, _ = build_request(
                self._library, self._client, self._method, self._url, self._options
            )
            if isinstance(request.stream, self._library.SyncByteStream):  # else it is refused
                self._freeze(request, request.read())
        options = self._options_with(headers)
        response = open_response(self._client, self._method, self._url, **options)
        self._opened(response)
        return response

    async def read(self, idle_timeout: float | None) -> bytes | None:
        reader = self._open_reader()
        _set_read_timeout(reader.response, idle_timeout)
        if self._is_interrupted:
            raise Interrupted
        try:
            return reader.next()
        except StopIteration:
            return None
        except (self._library.ReadTimeout, self._library.StreamClosed) as error:
            raise self._lost(reader, error, idle_timeout) from None

    async def start_of_body(self) -> bytes:
        return self._open_reader().start_of_body()

    async def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    async def sleep(self, seconds: float) -> None:
        if self._awake.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise Interrupted

    def interrupt(self) -> None:
        self._is_interrupted = True
        self._awake.set()
        reader = self._reader
        if reader is not None:
            _shut_down(reader.response)


class AsyncConnector(_BaseConnector):
    """The connections on asyncio and trio."""

    def __init__(
        self, client: AsyncClient[Any], method: str, url: URLTypes, options: Options
    ) -> None:
        super().__init__(client, "AsyncClient", method, url, options)
        self._client = client
        # What is being waited for.
        self._scope: anyio.CancelScope | None = None
        # When a wait is over, in seconds of the monotonic clock.
        self._sleeps_until: float | None = None

    async def open(self, headers: list[tuple[bytes, bytes]]) -> Any:
        return await self._until_interrupted(self._open(headers))

    async def _open(self, headers: list[tuple[bytes, bytes]]) -> Any:
        if self._needs_freezing():
            request, _ = build_request(
                self._library, self._client, self._method, self._url, self._options
            )
            if isinstance(request.stream, self._library.AsyncByteStream):  # else it is refused
                self._freeze(request, await request.aread())
        options = self._options_with(headers)
        response = await aopen_response(self._client, self._method, self._url, **options)
        self._opened(response)
        return response

    async def read(self, idle_timeout: float | None) -> bytes | None:
        reader = self._open_reader()
        _set_read_timeout(reader.response, idle_timeout)
        try:
            return await self._until_interrupted(reader.anext())
        except StopAsyncIteration:
            return None
        except (self._library.ReadTimeout, self._library.StreamClosed) as error:
            raise self._lost(reader, error, idle_timeout) from None

    async def start_of_body(self) -> bytes:
        return await self._open_reader().astart_of_body()

    async def close(self) -> None:
        self._sleeps_until = None
        reader, self._reader = self._reader, None
        if reader is not None:
            with anyio.CancelScope(shield=True):
                await reader.aclose()

    async def sleep(self, seconds: float) -> None:
        if self._sleeps_until is None:
            self._sleeps_until = time.monotonic() + seconds
        rest = max(0.0, self._sleeps_until - time.monotonic())
        await self._until_interrupted(anyio.sleep(rest))
        self._sleeps_until = None

    async def _until_interrupted(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        with anyio.CancelScope() as self._scope:
            try:
                return await coroutine
            finally:
                self._scope = None
        raise Interrupted

    def interrupt(self) -> None:
        self._is_interrupted = True
        if self._scope is not None:
            self._scope.cancel()


def _no_objection(_status_code: int, _content_type: str) -> None:
    """Judge nothing: the protocol has."""


class _Chunks:
    """The decoder that leaves chunks as they are."""

    def feed(self, chunk: bytes, /) -> tuple[bytes]:
        return (chunk,)

    def close(self) -> None:
        pass


def _set_read_timeout(response: Response, seconds: float | None) -> None:
    """Set the longest silence, in place of the one for the headers. In effect from the first read.

    The library looks it up where the request has it, when it begins to read the body.
    """
    extensions: dict[str, Any] = getattr(request_of(response), "extensions", {})
    extensions["timeout"] = {**extensions.get("timeout", {}), "read": seconds}


def _shut_down(response: Response) -> None:
    """End a read in another thread. Over HTTP/2 not: the connection has other streams as well."""
    extensions: Any = response.extensions
    stream = extensions.get("network_stream")
    if stream is None or not extensions.get("http_version", b"").startswith(b"HTTP/1."):
        return
    connection = cast("socket.socket | None", stream.get_extra_info("socket"))
    if connection is not None:
        try:
            # Of the base class: the one of a TLS socket would take the TLS from under the read.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
        except OSError:  # it is closed already
            pass
