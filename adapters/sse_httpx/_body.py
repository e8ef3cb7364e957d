"""How to read a response of httpx or httpx2 in chunks, and how to close it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final, cast

from sse_adapter import Body, run

from ._direct import Http2Source, http2_stream_of, source_of
from ._http2 import finish, leave_unmended
from ._library import error_class, library_of, translated
from ._options import R

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ._direct import Source
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
        self._source: Source | None = None  # of its bytes, if it is known
        self._counting: Any = response  # for its ``num_bytes_downloaded``
        self._has_begun = False
        self._is_over = False
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

    @property
    def content_encoding(self) -> str:
        # What the library has read is decoded.
        if self._content() is not None:
            return ""
        value: str = self.response.headers.get("content-encoding", "")
        return value

    @property
    def can_drain(self) -> bool:
        return self._source is not None

    def check(self) -> None:
        if self._content() is None:
            stream = self.response.stream
            if not isinstance(stream, getattr(self._library, self._stream_class)):
                name = type(stream).__name__
                raise TypeError(f"this response's body ({name}) is {self._instead}") from None
            if self.response.is_stream_consumed:
                raise self._library.StreamConsumed from None

    def _content(self) -> bytes | None:
        """Return the body, if it was read before."""
        try:
            content: bytes = self.response.content
        except self._library.ResponseNotRead:
            return None
        return content

    def _begin(self) -> bool:
        """Find out where the bytes come from; return whether that is known."""
        self._has_begun = True
        if self._content() is not None or self.response.is_closed:
            return False
        self._source = source_of(self.response, self.is_async)
        if self._source is None:
            return False
        self.response.is_stream_consumed = True
        return True

    def _set_timeout(self, timeout: float | None) -> None:
        """Set the longest silence, instead of the one for the headers, for httpx's generators.

        httpcore looks it up in the request when it begins to read the body.
        """
        extensions = _extensions_of_request(self.response)
        timeouts: dict[str, Any] = extensions.get("timeout", {})
        self._timeouts = timeouts
        extensions["timeout"] = {**timeouts, "read": timeout}

    def _end(self) -> None:
        """Put the request's timeouts back, in case it is sent again."""
        if self._timeouts is not None:
            _extensions_of_request(self.response)["timeout"] = self._timeouts

    def _failed(self, error: BaseException, timeout: float | None) -> BaseException:
        """Return what a failed read raises."""
        if not self.goes_on_after(error):
            self._is_broken = True
        error = translated(self._library, error, _request_of(self.response))
        if isinstance(error, self._library.ReadTimeout) and timeout is not None:
            return TimeoutError()
        return error

    def _broken(self) -> Exception:
        error: Exception = self._library.ReadError(
            "the last read was cancelled", request=_request_of(self.response)
        )
        return error

    async def keep(self, content: bytes) -> None:
        response: Any = self.response
        response._content = content  # where `read` puts it

    def _is_unmended_http2(self) -> bool:
        """Whether this stream is left before its end, and the client will not tell the server."""
        extensions: dict[str, Any] = self.response.extensions
        return (
            not (self._is_over or self.response.is_closed)
            and extensions.keys() >= {"stream_id", "network_stream"}
            and http2_stream_of(self.response) is None
        )

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

    def decoding_error(self, message: str) -> Exception:
        error: Exception = self._library.DecodingError(message, request=_request_of(self.response))
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
        if not self._has_begun and not self._begin():
            self._chunks = self._generate(seconds)
        if self._is_over:
            return None
        if self._is_broken:
            raise self._broken()
        try:
            if self._source is not None:
                chunk = self._source.read(seconds)
                self._counting._num_bytes_downloaded += len(chunk or b"")
            else:
                assert self._chunks is not None  # one of the two is there
                chunk = next(self._chunks, None)
        except BaseException as error:
            raise self._failed(error, seconds) from None
        if chunk is None:
            self._is_over = True
            await self.close()
        return chunk

    def _generate(self, seconds: float | None) -> Iterator[bytes]:
        if (content := self._content()) is not None:
            return iter((content,))
        self._set_timeout(seconds)
        return self.response.iter_raw()

    async def close(self) -> None:
        self._end()
        if self._is_unmended_http2():
            await leave_unmended(self.response, False)
        if not self.response.is_closed:
            self.response.close()

    def interrupt(self) -> None:
        """End a read in another thread."""
        if isinstance(self._source, Http2Source):
            run(self._source.interrupt())
            return
        extensions: Any = self.response.extensions
        if not extensions.get("http_version", b"").startswith(b"HTTP/1."):
            return  # the connection has other streams too
        connection = _connection_of(self.response)
        if connection is not None:
            try:
                # The base class's: a TLS socket's own would take the TLS from under the read.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:  # it is closed already
                pass


class AsyncBody(_HttpxBody[R]):
    is_async = True
    _stream_class = "AsyncByteStream"
    _instead = "synchronous: use `for`, or aconnect_sse() with an AsyncClient"
    _chunks: AsyncIterator[bytes] | None = None

    async def read(self, seconds: float | None) -> bytes | None:
        if not self._has_begun and not self._begin():
            self._chunks = self._generate(seconds)
        if self._is_over:
            return None
        if self._is_broken:
            raise self._broken()
        try:
            if self._source is not None:
                chunk = await self._source.aread(seconds)
                self._counting._num_bytes_downloaded += len(chunk or b"")
            else:
                assert self._chunks is not None  # one of the two is there
                chunk = await self._chunks.__anext__()
        except StopAsyncIteration:
            chunk = None
        except BaseException as error:
            raise self._failed(error, seconds) from None
        if chunk is None:
            self._is_over = True
            await self.close()
        return chunk

    def _generate(self, seconds: float | None) -> AsyncIterator[bytes]:
        if (content := self._content()) is not None:
            return _AlreadyRead(content)
        self._set_timeout(seconds)
        return self.response.aiter_raw()

    def goes_on_after(self, error: BaseException) -> bool:
        # Cancelled: the connection keeps what it has read.
        return self._source is not None and not isinstance(error, Exception)

    async def close(self) -> None:
        self._end()
        await finish(self._close())

    async def _close(self) -> None:
        if self._is_unmended_http2():
            await leave_unmended(self.response, True)
        if not self.response.is_closed:
            await self.response.aclose()
        if self._chunks is not None:
            await self._unwind(self._chunks)

    async def _unwind(self, chunks: Any) -> None:
        """End the generators that a response's chunks have come from.

        There are several, nested, and closing the outer one leaves the inner ones to the garbage
        collector, which trio warns about. Once the connection is closed, the next read fails at
        once, and that ends them all.
        """
        connection = _connection_of(self.response)
        try:
            if connection is not None and connection.fileno() == -1:
                async for _ in chunks:  # what had been received
                    pass
            await chunks.aclose()
        except Exception:  # that read's; or another task is reading, and its read fails
            pass


class _AlreadyRead:
    """The chunks of a body that is there. Not a generator, which trio wants closed."""

    def __init__(self, content: bytes) -> None:
        self._chunks = iter((content,))

    def __aiter__(self) -> _AlreadyRead:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Nothing: there is no connection."""


def _request_of(response: Response) -> Any:
    """Return the request of a response; ``None`` if it has none."""
    try:
        return response.request
    except RuntimeError:  # built without one
        return None


def _extensions_of_request(response: Response) -> dict[str, Any]:
    extensions: dict[str, Any] = getattr(_request_of(response), "extensions", {})
    return extensions


def _connection_of(response: Response) -> socket.socket | None:
    """Return the socket that a response comes from, if it can be known."""
    stream = response.extensions.get("network_stream")
    return None if stream is None else cast("socket.socket | None", stream.get_extra_info("socket"))
