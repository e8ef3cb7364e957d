"""The connections of a subscription on httpxr, one at a time, each with the same request."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import httpxr

from sse_proto._adapter.reading import BODY_BYTES, BODY_SECONDS
from sse_proto._adapter.subscription import Interrupted

from ._chunks import AsyncChunks, SyncChunks
from ._compat import request_of
from ._errors import SSEError
from ._live import Interrupt, aclose_response, aopen_live, close_response, open_live
from ._reader import async_chunks, start_of, sync_chunks
from ._request import acapture, capture

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from ._request import LiveOptions

__all__ = ["AsyncConnector", "SyncConnector"]

_T = TypeVar("_T")
_R = TypeVar("_R")

# After these no attempt will succeed: it is the request, or the server's plan.
_FUTILE: Final = (
    httpxr.LocalProtocolError,
    httpxr.TooManyRedirects,
    httpxr.UnsupportedProtocol,
)


class _BaseConnector:
    """What sync and async have in common."""

    lost_errors: tuple[type[Exception], ...] = (httpxr.RequestError,)
    futile_errors: tuple[type[Exception], ...] = _FUTILE

    def __init__(self, method: str, url: httpxr.URL | str, options: LiveOptions) -> None:
        self._method = method
        self._url = url
        self._options = options
        self._response: httpxr.Response | None = None
        self._is_interrupted = False

    def head(self, response: httpxr.Response) -> tuple[int, list[tuple[str, str]]]:
        return response.status_code, response.headers.multi_items()

    def refusal(self, message: str, response: httpxr.Response | None, body: bytes) -> SSEError:
        shown = response or self._response
        request = None if shown is None else request_of(shown)
        text = body.decode("utf-8", "replace")
        return SSEError(message, request=request, response=response, body=text)

    def time(self) -> float:
        return time.time()

    def _options_with(self, headers: list[tuple[bytes, bytes]]) -> LiveOptions:
        """Return the options of the next request."""
        options = self._options.copy()
        options["headers"] = merged = httpxr.Headers(cast("httpxr.Headers", options["headers"]))
        for name, value in headers:
            merged.setdefault(name.decode(), value.decode())
        return options

    def _freeze(self, request: httpxr.Request) -> None:
        """Keep the body of the first request for all: files are read, and gone, by then."""
        headers = httpxr.Headers(cast("httpxr.Headers", self._options["headers"]))
        headers["content-type"] = request.headers["content-type"]
        self._options["headers"] = headers
        self._options["content"] = request.read()
        self._options["data"] = self._options["files"] = None


class SyncConnector(_BaseConnector):
    """Blocks where `AsyncConnector` suspends."""

    def __init__(
        self,
        client: httpxr.Client,
        method: str,
        url: httpxr.URL | str,
        options: LiveOptions,
    ) -> None:
        super().__init__(method, url, options)
        self._client = client
        self._chunks: Iterator[bytes] | None = None
        self._interrupt = Interrupt()
        self._awake = threading.Event()

    async def open(self, headers: list[tuple[bytes, bytes]]) -> httpxr.Response:
        options = self._options_with(headers)
        if options["files"] is not None:
            self._freeze(capture(self._client, self._method, self._url, options, None))
            options = self._options_with(headers)
        self._response = response = open_live(
            self._client, self._method, self._url, interrupt=self._interrupt, **options
        )
        return response

    async def read(self, idle_timeout: float | None) -> bytes | None:
        return next(self._body(idle_timeout), None)

    async def start_of_body(self) -> bytes:
        return start_of(self._body(None))[:BODY_BYTES]

    def _body(self, idle_timeout: float | None) -> Iterator[bytes]:
        if self._chunks is None:
            assert self._response is not None  # it is open
            self._chunks = chunks = sync_chunks(self._response)
            if isinstance(chunks, SyncChunks):
                chunks.idle_timeout = idle_timeout
        if self._is_interrupted:
            raise Interrupted
        return self._chunks

    async def close(self) -> None:
        response, self._response, self._chunks = self._response, None, None
        if response is not None:
            close_response(response)

    async def sleep(self, seconds: float) -> None:
        if self._awake.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise Interrupted

    def interrupt(self) -> None:
        self._is_interrupted = True
        self._awake.set()
        self._interrupt.set()
        response = self._response
        if response is not None:
            close_response(response)


class AsyncConnector(_BaseConnector):
    """The connections on asyncio."""

    def __init__(
        self,
        client: httpxr.AsyncClient,
        method: str,
        url: httpxr.URL | str,
        options: LiveOptions,
    ) -> None:
        super().__init__(method, url, options)
        self._client = client
        self._chunks: AsyncChunks | None = None
        # What `open` or `sleep` waits for. It goes on when who has called them is cancelled.
        self._task: asyncio.Future[Any] | None = None
        # Since when a read waits, in seconds of the monotonic clock.
        self._silent_since: float | None = None

    async def open(self, headers: list[tuple[bytes, bytes]]) -> httpxr.Response:
        return await self._go_on_with(self._open, headers)

    async def _open(self, headers: list[tuple[bytes, bytes]]) -> httpxr.Response:
        options = self._options_with(headers)
        if options["files"] is not None:
            self._freeze(await acapture(self._client, self._method, self._url, options, None))
            options = self._options_with(headers)
        response = await aopen_live(self._client, self._method, self._url, **options)
        self._response = response
        return response

    async def read(self, idle_timeout: float | None) -> bytes | None:
        chunks, now = self._body(), time.monotonic()
        if idle_timeout is not None:
            # A read that was cancelled goes on with this one, and so does the silence.
            self._silent_since = self._silent_since or now
            chunks.idle_timeout = max(0.0, idle_timeout - (now - self._silent_since))
        try:
            chunk = await anext(chunks, None)
        except httpxr.ReadTimeout as error:
            if chunks.idle_timeout == idle_timeout:
                raise
            message = f"no byte from the server for {idle_timeout} s"
            raise httpxr.ReadTimeout(message, request=error.request) from None
        self._silent_since = None
        return chunk

    async def start_of_body(self) -> bytes:
        return (await self._body().read_start(BODY_BYTES, BODY_SECONDS))[:BODY_BYTES]

    def _body(self) -> AsyncChunks:
        if self._chunks is None:
            assert self._response is not None  # it is open
            self._chunks = async_chunks(self._response)
            self._chunks.idle_timeout = None
        return self._chunks

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():  # as in a client's hook
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        response, self._response = self._response, None
        chunks, self._chunks = self._chunks, None
        self._silent_since = None
        if chunks is not None:
            await chunks.aclose()
        if response is not None:
            await aclose_response(response)

    async def sleep(self, seconds: float) -> None:
        await self._go_on_with(asyncio.sleep, seconds)

    async def _go_on_with(
        self, function: Callable[[_T], Coroutine[Any, Any, _R]], argument: _T
    ) -> _R:
        task: asyncio.Future[_R]
        task = self._task = self._task or asyncio.ensure_future(function(argument))
        try:
            await asyncio.wait([task])
            self._task = None
            if task.cancelled() and self._is_interrupted:
                raise Interrupted
            return task.result()
        finally:
            del task  # or an error's traceback would keep it, and that again the error

    def interrupt(self) -> None:
        self._is_interrupted = True
        if self._task is not None:
            self._task.cancel()
