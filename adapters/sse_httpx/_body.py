"""What a response of httpx's or httpx2's is as chunks, and how it is closed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from sse_adapter import Body

from ._library import error_class, library_of
from ._options import R

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ._errors import SSEError
    from ._options import Response

__all__ = ["AsyncBody", "SyncBody"]


class _HttpxBody(Body[R]):
    """What sync and asynchronous bodies have in common."""

    _stream_class: str
    _instead: str

    def __init__(self, response: R) -> None:
        self._library: Final = library_of(response, "Response")
        timeout = _extensions_of_request(response).get("timeout", {})
        super().__init__(response, idle_timeout=timeout.get("read"))
        # httpx's generators are over after an error or a cancelled read, which looks like an end.
        self._is_broken = False
        # The request's, while they are changed.
        self._timeouts: dict[str, Any] | None = None

    @property
    def status_code(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = self.response.headers.multi_items()
        return pairs

    def check(self) -> None:
        try:
            _ = self.response.content
        except self._library.ResponseNotRead:
            stream = self.response.stream
            if not isinstance(stream, getattr(self._library, self._stream_class)):
                name = type(stream).__name__
                raise TypeError(f"this response's body ({name}) is {self._instead}") from None
            if self.response.is_stream_consumed:
                raise self._library.StreamConsumed from None

    def _begin(self, timeout: float | None) -> None:
        """Set the longest silence, in place of the one for the headers.

        httpcore looks it up where the request has it, when it begins to read the body.
        """
        extensions = _extensions_of_request(self.response)
        timeouts: dict[str, Any] = extensions.get("timeout", {})
        self._timeouts = timeouts
        extensions["timeout"] = {**timeouts, "read": timeout}

    def _end(self) -> None:
        """Leave the request as it was, for the case that it is sent again."""
        if self._timeouts is not None:
            _extensions_of_request(self.response)["timeout"] = self._timeouts

    def _failed(self, error: BaseException, timeout: float | None) -> BaseException:
        """Return what a failed read raises."""
        self._is_broken = True
        if isinstance(error, self._library.ReadTimeout) and timeout is not None:
            return TimeoutError()
        return error

    def _check_unbroken(self) -> None:
        if self._is_broken:
            raise self._library.ReadError(
                "the last read was cancelled", request=_request_of(self.response)
            )

    async def keep(self, content: bytes) -> None:
        response: Any = self.response
        response._content = content  # where `read` puts it

    def sse_error(self, message: str, start: bytes | None) -> SSEError:
        return error_class(self._library)(
            message,
            request=_request_of(self.response),
            response=None if start is None else self.response,
            body="" if start is None else start.decode("utf-8", "replace"),
        )

    def timeout_error(self, message: str) -> Exception:
        error: Exception = self._library.ReadTimeout(message, request=_request_of(self.response))
        return error

    def closed_error(self) -> Exception:
        error: Exception = self._library.StreamClosed()
        return error


class SyncBody(_HttpxBody[R]):
    is_async = False
    _stream_class = "SyncByteStream"
    _instead = "asynchronous: use `async for`, or connect_sse() with a Client"
    _chunks: Iterator[bytes] | None = None

    async def read(self, seconds: float | None) -> bytes | None:
        chunks = self._chunks
        if chunks is None:
            self._begin(seconds)
            self._chunks = chunks = self.response.iter_bytes()
        self._check_unbroken()
        try:
            return next(chunks, None)
        except BaseException as error:
            raise self._failed(error, seconds) from None

    async def close(self) -> None:
        self._end()
        if not self.response.is_closed:
            self.response.close()

    def interrupt(self) -> None:
        """End a read in another thread. Over HTTP/2 not: the connection has other streams too."""
        extensions: Any = self.response.extensions
        if not extensions.get("http_version", b"").startswith(b"HTTP/1."):
            return
        connection = _connection_of(self.response)
        if connection is not None:
            try:
                # Of the base class: the one of a TLS socket would take the TLS from under the read.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:  # it is closed already
                pass


class AsyncBody(_HttpxBody[R]):
    is_async = True
    _stream_class = "AsyncByteStream"
    _instead = "synchronous: use `for`, or aconnect_sse() with an AsyncClient"
    _chunks: AsyncIterator[bytes] | None = None

    async def read(self, seconds: float | None) -> bytes | None:
        chunks = self._chunks
        if chunks is None:
            self._begin(seconds)
            self._chunks = chunks = self.response.aiter_bytes()
        self._check_unbroken()
        try:
            return await chunks.__anext__()
        except StopAsyncIteration:
            return None
        except BaseException as error:
            raise self._failed(error, seconds) from None

    async def close(self) -> None:
        self._end()
        with anyio.CancelScope(shield=True):
            if not self.response.is_closed:
                await self.response.aclose()
            if self._chunks is not None:
                await self._unwind(self._chunks)

    async def _unwind(self, chunks: Any) -> None:
        """End the generators that a response's chunks have come from.

        They are several, one within the other, and closing the outer one leaves the inner ones to
        the garbage collector, of which trio warns. Where the connection is closed, the next read
        fails at once, and that ends them all.
        """
        connection = _connection_of(self.response)
        try:
            if connection is not None and connection.fileno() == -1:
                async for _ in chunks:  # what had been received
                    pass
            await chunks.aclose()
        except Exception:  # that read's; or another task is reading, whose read fails then
            pass


def _request_of(response: Response) -> Any:
    """Return the request of a response, or ``None`` where it has none."""
    try:
        return response.request
    except RuntimeError:  # built without one
        return None


def _extensions_of_request(response: Response) -> dict[str, Any]:
    extensions: dict[str, Any] = getattr(_request_of(response), "extensions", {})
    return extensions


def _connection_of(response: Response) -> socket.socket | None:
    """Return the socket that a response comes from, as far as it can be known."""
    stream = response.extensions.get("network_stream")
    return None if stream is None else cast("socket.socket | None", stream.get_extra_info("socket"))
