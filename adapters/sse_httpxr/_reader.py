"""Reading a response through a decoder: chunks in, items out, sync and async.

All state is here and not in the iterators that are handed out; so a loop that was left, timed out
or cancelled can be followed by another one, which goes on where it ended.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import httpxr

import sse_proto

from ._chunks import AsyncChunks, SyncChunks, stream_closed
from ._compat import is_httpxr_source, request_of, take_source
from ._errors import SSEError
from ._live import aclose_response, close_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

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
        self._ended = False
        self._closed = False
        self._error: SSEError | None = None

    def next(self) -> _T:
        """Return the next item; raises as `receive`."""
        return self.items.popleft() if self.items else self.receive()

    async def anext(self) -> _T:
        """Return the next item; raises as `areceive`."""
        return self.items.popleft() if self.items else await self.areceive()

    def receive(self) -> _T:
        """Return the first item of the next chunk that completes one, when `items` is empty.

        Raises:
            StopIteration: There is none any more.
            SSEError, httpxr.RequestError, httpxr.StreamClosed: As `EventSource`.
        """
        self._raise_if_over(StopIteration)
        if self._chunks is None:
            self._chunks = _sync_chunks(self.response)
            if (objection := self._objection(self.response)) is not None:
                body = _start_of(self._chunks)
                self.close()
                raise self._refuse(objection, body)
        while not self.items:
            try:
                self.items.extend(self._decoder.feed(next(self._chunks)))
            except StopIteration:
                self._end(StopIteration)
            except sse_proto.EventTooLarge as error:
                self.close()
                raise self._refuse_event(error) from error
        return self.items.popleft()

    async def areceive(self) -> _T:
        """Return the next item, as `receive`; raises StopAsyncIteration at the end."""
        self._raise_if_over(StopAsyncIteration)
        if self._async_chunks is None:
            self._async_chunks = _async_chunks(self.response)
            if (objection := self._objection(self.response)) is not None:
                body = await self._async_chunks.read_start(_BODY_BYTES, _BODY_SECONDS)
                await self.aclose()
                raise self._refuse(objection, body)
        while not self.items:
            try:
                self.items.extend(self._decoder.feed(await self._async_chunks.__anext__()))
            except StopAsyncIteration:
                self._end(StopAsyncIteration)
            except sse_proto.EventTooLarge as error:
                await self.aclose()
                raise self._refuse_event(error) from error
        return self.items.popleft()

    def end(self) -> None:
        """Have no more items, whatever may follow."""
        self._ended = True
        self.items.clear()

    def _raise_if_over(self, end: type[Exception]) -> None:
        if self._error is not None:
            raise self._error
        if self._ended:
            raise end
        if self._closed:
            raise stream_closed()

    def _end(self, end: type[Exception]) -> None:
        """Take what the decoder still has; raise ``end`` if that is nothing."""
        self._ended = True
        try:
            self.items.extend(self._decoder.close() or ())
        except sse_proto.EventTooLarge as error:
            raise self._refuse_event(error) from error
        if not self.items:
            raise end from None

    def _refuse(self, objection: str, body: bytes) -> SSEError:
        text = body[:_BODY_BYTES].decode("utf-8", "replace")
        self._error = SSEError(
            f"{objection}; the body begins {text!r}" if text else objection,
            request=request_of(self.response),
            response=self.response,
            body=text,
        )
        return self._error

    def _refuse_event(self, error: sse_proto.EventTooLarge) -> SSEError:
        self._error = SSEError(f"event stream refused: {error}", request=request_of(self.response))
        return self._error

    def close(self) -> None:
        """Close the connection. May be called again."""
        self._closed = True
        if isinstance(self._chunks, SyncChunks):
            self._chunks.close()
        close_response(self.response)

    async def aclose(self) -> None:
        """Close the connection. May be called again, also while another task waits for an item."""
        self._closed = True
        if self._async_chunks is not None:
            await self._async_chunks.aclose()
        await aclose_response(self.response)


class Items(Generic[_T]):
    """Iterator of a reader's items, for sync code. Reading may go on with another one."""

    def __init__(self, reader: Reader[_T]) -> None:
        self._reader = reader
        self._items = reader.items

    def __iter__(self) -> Items[_T]:
        return self

    def __next__(self) -> _T:
        if self._items:
            return self._items.popleft()
        return self._reader.receive()

    def close(self) -> None:
        """Close the connection, as closing a generator that reads from it would."""
        self._reader.close()


class AsyncItems(Generic[_T]):
    """Asynchronous iterator of a reader's items. Reading may go on with another one."""

    def __init__(self, reader: Reader[_T]) -> None:
        self._reader = reader
        self._items = reader.items

    def __aiter__(self) -> AsyncItems[_T]:
        return self

    async def __anext__(self) -> _T:
        if self._items:
            return self._items.popleft()
        return await self._reader.areceive()

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
    elif isinstance(stream, httpxr.ByteStream):
        source = _already_read(stream)
    elif isinstance(stream, httpxr.SyncByteStream) or not hasattr(stream, "__aiter__"):
        # The first of these would look like an empty body.
        raise TypeError(
            f"this response's body ({type(stream).__name__}) is synchronous: use `for`, or"
            " aconnect_sse() with an httpxr.AsyncClient"
        )
    else:
        source = aiter(stream)
    return AsyncChunks(source, request=request_of(response), idle_timeout=None)


async def _already_read(stream: httpxr.ByteStream) -> AsyncIterator[bytes]:
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
