"""Reading a response through a decoder: chunks in, items out, sync and async.

All state is here and not in the iterators that are handed out; so a loop that was left, timed out
or cancelled can be followed by another one, which goes on where it ended.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, Protocol, TypeVar

import httpxr

import sse_proto

from ._chunks import AsyncChunks, SyncChunks, stream_closed
from ._compat import is_async_iterable, is_httpxr_source, is_read_body, request_of, take_source
from ._errors import SSEError
from ._live import aclose_response, close_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator

    from ._compat import LiveSource

__all__ = ["AsyncItems", "Decoder", "Items", "Reader"]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

# Of the body of a response that is refused: enough for a message of the server's, soon.
_BODY_BYTES: Final = 1024
_BODY_SECONDS: Final = 1.0


class Decoder(Protocol[_T_co]):
    """What turns chunks into items, as `sse_proto.SSEDecoder`."""

    def feed(self, chunk: bytes, /) -> Iterable[_T_co]: ...

    def close(self) -> Iterable[_T_co] | None: ...


class Reader(Generic[_T]):
    """The items of one response.

    Args:
        response: Open, and not read so far; or built from bytes or an iterator.
        decoder: Gets the chunks of its body.
        objection: Called once when reading starts: why the response is not what it should be, or
            ``None``.
    """

    def __init__(
        self,
        response: httpxr.Response,
        decoder: Decoder[_T],
        objection: Callable[[httpxr.Response], str | None],
    ) -> None:
        self.response = response
        self.items: deque[_T] = deque()
        self._decoder = decoder
        self._objection = objection
        self._chunks: Iterator[bytes] | None = None
        self._async_chunks: AsyncChunks | None = None
        self._is_over = False
        # Why, unless it came to its end.
        self._error: SSEError | None = None
        self._is_closed = False

    def next(self) -> _T:
        """Return the next item.

        Raises:
            StopIteration: There is none any more.
            SSEError, httpxr.RequestError, httpxr.StreamClosed: As `EventSource`.
        """
        while not self.items:
            if self._is_over:
                self._raise_over(StopIteration)
            if self._chunks is None:
                self._chunks = self._start()
            try:
                self.items.extend(self._decoder.feed(next(self._chunks)))
            except StopIteration:
                self._end()
            except sse_proto.EventTooLarge as error:
                self.close()
                raise self._refuse_event(error) from error
        return self.items.popleft()

    async def anext(self) -> _T:
        """Return the next item; raises as `next`, and StopAsyncIteration at the end."""
        while not self.items:
            if self._is_over:
                self._raise_over(StopAsyncIteration)
            if self._async_chunks is None:
                self._async_chunks = await self._astart()
            try:
                self.items.extend(self._decoder.feed(await self._async_chunks.__anext__()))
            except StopAsyncIteration:
                self._end()
            except sse_proto.EventTooLarge as error:
                await self.aclose()
                raise self._refuse_event(error) from error
        return self.items.popleft()

    def end(self) -> None:
        """Have no more items, whatever may follow."""
        self._is_over = True
        self.items.clear()

    def _start(self) -> Iterator[bytes]:
        chunks = _sync_chunks(self.response)
        if (objection := self._objection(self.response)) is not None:
            body = _start_of(chunks)
            self.close()
            raise self._refuse(objection, body)
        return chunks

    async def _astart(self) -> AsyncChunks:
        chunks = _async_chunks(self.response)
        if (objection := self._objection(self.response)) is not None:
            body = await chunks.read_start(_BODY_BYTES, _BODY_SECONDS)
            await chunks.aclose()
            await self.aclose()
            raise self._refuse(objection, body)
        return chunks

    def _end(self) -> None:
        """Take what the decoder still has; nothing can follow it."""
        self._is_over = True
        try:
            self.items.extend(self._decoder.close() or ())
        except sse_proto.EventTooLarge as error:
            raise self._refuse_event(error) from error

    def _refuse(self, objection: str, body: bytes) -> SSEError:
        text = body[:_BODY_BYTES].decode("utf-8", "replace")
        return self._fail(
            SSEError(
                f"{objection}; the body begins {text!r}" if text else objection,
                request=request_of(self.response),
                response=self.response,
                body=text,
            )
        )

    def _refuse_event(self, error: sse_proto.EventTooLarge) -> SSEError:
        return self._fail(
            SSEError(f"event stream refused: {error}", request=request_of(self.response))
        )

    def _fail(self, error: SSEError) -> SSEError:
        self._is_over = True
        self._error = error
        return error

    def close(self) -> None:
        """Close the connection. May be called again."""
        self._close()
        if isinstance(self._chunks, SyncChunks):
            self._chunks.close()
        close_response(self.response)

    async def aclose(self) -> None:
        """Close the connection. May be called again, also while another task waits for an item."""
        self._close()
        if self._async_chunks is not None:
            await self._async_chunks.aclose()
        await aclose_response(self.response)

    def _close(self) -> None:
        if not self._is_over:
            self._is_over = self._is_closed = True

    def _raise_over(self, end: type[Exception]) -> NoReturn:
        if self._error is not None:
            raise self._error
        if self._is_closed:
            raise stream_closed()
        raise end


class Items(Generic[_T]):
    """Iterator of a reader's items, for sync code. Reading may go on with another one."""

    def __init__(self, reader: Reader[_T]) -> None:
        self._reader = reader

    def __iter__(self) -> Items[_T]:
        return self

    def __next__(self) -> _T:
        return self._reader.next()

    def close(self) -> None:
        """Close the connection, as closing a generator that reads from it would."""
        self._reader.close()


class AsyncItems(Generic[_T]):
    """Asynchronous iterator of a reader's items. Reading may go on with another one."""

    def __init__(self, reader: Reader[_T]) -> None:
        self._reader = reader

    def __aiter__(self) -> AsyncItems[_T]:
        return self

    def __anext__(self) -> Coroutine[Any, Any, _T]:
        return self._reader.anext()

    async def aclose(self) -> None:
        """Close the connection, as closing a generator that reads from it would."""
        await self._reader.aclose()


def _sync_chunks(response: httpxr.Response) -> Iterator[bytes]:
    """Return an iterator of a response's body.

    Raises:
        TypeError: It can be read asynchronously only.
    """
    stream: Any = response.stream
    if is_httpxr_source(stream) or not hasattr(stream, "__iter__"):
        raise TypeError(
            f"this response's body ({type(stream).__name__}) is asynchronous: use `async for`, or"
            " connect_sse() with an httpxr.Client"
        )
    return iter(stream)


def _async_chunks(response: httpxr.Response) -> AsyncChunks:
    """Return an asynchronous iterator of a response's body.

    Raises:
        TypeError: It can be read synchronously only.
    """
    stream: Any = response.stream
    if isinstance(stream, AsyncChunks):
        return stream
    source: LiveSource | AsyncIterator[bytes]
    if is_httpxr_source(stream):
        # Opened by somebody else, whose client does the waiting. All references but ours go, so
        # that closing closes.
        del stream
        source = take_source(response)
    elif is_read_body(stream):
        source = _already_read(stream)
    elif not is_async_iterable(stream):
        # The first of these would look like an empty body.
        raise TypeError(
            f"this response's body ({type(stream).__name__}) is synchronous: use `for`, or"
            " aconnect_sse() with an httpxr.AsyncClient"
        )
    else:
        source = aiter(stream)
    return AsyncChunks(source, request=request_of(response), idle_timeout=None)


async def _already_read(stream: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in stream:
        yield chunk


def _start_of(chunks: Iterator[bytes]) -> bytes:
    """Return the first bytes of a body, within a bounded time if it is one that we opened."""
    if isinstance(chunks, SyncChunks):
        return chunks.read_start(_BODY_BYTES, _BODY_SECONDS)
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) >= _BODY_BYTES:
            break
    return body
