"""Reading a response through a decoder: chunks in, items out, sync and async.

All state is here and not in the iterators that are handed out; so a loop that was left, timed out
or cancelled can be followed by another one, which goes on where it ended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NoReturn, Protocol, TypeVar

from sse_proto import EventTooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator

__all__ = ["AsyncItems", "Decoder", "Items", "Reader"]

_R = TypeVar("_R")
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

BODY_BYTES: Final = 1024
"""Of the body of a response that is refused: enough for a message of the server's."""
BODY_SECONDS: Final = 1.0
"""The longest wait for these, where a wait can be bounded."""


class Decoder(Protocol[_T_co]):
    """What turns chunks into items, as `sse_proto.SSEDecoder`."""

    def feed(self, chunk: bytes, /) -> Iterable[_T_co]: ...

    def close(self) -> Iterable[_T_co] | None: ...


class Reader(ABC, Generic[_R, _T]):
    """The items of one response.

    Args:
        response: Open, and not read so far; or built from bytes or an iterator.
        decoder: Gets the chunks of its body.
        objection: Called once when reading starts, with the response's status and content type:
            why it is not what it should be, or ``None``.
    """

    _ends_with_errors: ClassVar[bool] = False
    """Whether the chunks are over once getting one has raised, or was cancelled."""

    def __init__(
        self,
        response: _R,
        decoder: Decoder[_T],
        objection: Callable[[int, str], str | None],
    ) -> None:
        self.response = response
        self.items: deque[_T] = deque()
        self._decoder = decoder
        self._objection = objection
        self._chunks: Iterator[bytes] | None = None
        self._async_chunks: AsyncIterator[bytes] | None = None
        self._is_over = False
        # Why, unless it came to its end.
        self._error: Exception | None = None
        self._is_closed = False

    # What the adapter knows.

    @abstractmethod
    def _head(self) -> tuple[int, str]:
        """Return the response's status and content type."""

    @abstractmethod
    def _open(self) -> Iterator[bytes]:
        """Return the chunks of a sync response; raise TypeError for an asynchronous one."""

    @abstractmethod
    def _aopen(self) -> AsyncIterator[bytes]:
        """Return the chunks of an asynchronous response; raise TypeError for a sync one."""

    @abstractmethod
    def _start_of(self, chunks: Iterator[bytes]) -> bytes:
        """Return about the first `BODY_BYTES` of a body that is refused."""

    @abstractmethod
    async def _astart_of(self, chunks: AsyncIterator[bytes]) -> bytes:
        """Return about the first `BODY_BYTES` of a body that is refused."""

    @abstractmethod
    def _close_response(self) -> None:
        """Close the connection of a sync response. May be called again."""

    @abstractmethod
    async def _aclose_response(self) -> None:
        """Close the connection of an asynchronous response. May be called again."""

    @abstractmethod
    def _refusal(self, message: str, body: str | None) -> Exception:
        """Return the adapter's ``SSEError``; ``body`` is there if the response was judged."""

    @abstractmethod
    def _closed_error(self) -> Exception:
        """Return what reading on raises after the stream was closed before its end."""

    # Reading.

    def next(self) -> _T:
        """Return the next item.

        Raises:
            StopIteration: There is none any more.
            Exception: As ``EventSource`` of the adapter.
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
            except EventTooLarge as error:
                self.close()
                raise self._refuse_event(error) from error
            except BaseException as error:
                if self._ends_with_errors:
                    self._check_closed(error)
                    self.close()
                raise
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
            except EventTooLarge as error:
                await self.aclose()
                raise self._refuse_event(error) from error
            except BaseException as error:
                if self._ends_with_errors:
                    self._check_closed(error)
                    await self.aclose()
                raise
        return self.items.popleft()

    def start_of_body(self) -> bytes:
        """Return the start of a body that is refused, with nothing read before."""
        return self._start_of(self._open())[:BODY_BYTES]

    async def astart_of_body(self) -> bytes:
        """Return the start of an asynchronous body that is refused."""
        return (await self._astart_of(self._aopen()))[:BODY_BYTES]

    def end(self) -> None:
        """Have no more items, whatever may follow."""
        self._is_over = True
        self.items.clear()

    def _start(self) -> Iterator[bytes]:
        chunks = self._open()
        if (objection := self._objection(*self._head())) is not None:
            body = self._start_of(chunks)[:BODY_BYTES]
            self.close()
            raise self._refuse(objection, body)
        return chunks

    async def _astart(self) -> AsyncIterator[bytes]:
        chunks = self._aopen()
        if (objection := self._objection(*self._head())) is not None:
            body = (await self._astart_of(chunks))[:BODY_BYTES]
            await self.aclose()
            raise self._refuse(objection, body)
        return chunks

    def _end(self) -> None:
        """Take what the decoder still has; nothing can follow it."""
        self._is_over = True
        try:
            self.items.extend(self._decoder.close() or ())
        except EventTooLarge as error:
            raise self._refuse_event(error) from error

    def _refuse(self, objection: str, body: bytes) -> Exception:
        text = body.decode("utf-8", "replace")
        message = f"{objection}; the body begins {text!r}" if text else objection
        return self._fail(self._refusal(message, text))

    def _refuse_event(self, error: EventTooLarge) -> Exception:
        return self._fail(self._refusal(f"event stream refused: {error}", None))

    def _fail(self, error: Exception) -> Exception:
        self._is_over = True
        self._error = error
        return error

    def close(self) -> None:
        """Close the connection. May be called again."""
        self._close()
        self._close_response()

    async def aclose(self) -> None:
        """Close the connection. May be called again, also while another task waits for an item."""
        self._close()
        await self._aclose_response()

    def _close(self) -> None:
        if not self._is_over:
            self._is_over = self._is_closed = True

    def _check_closed(self, error: BaseException) -> None:
        """Raise that the stream was closed, by another task or thread, if this is why it failed."""
        if self._is_closed and isinstance(error, Exception):
            raise self._closed_error() from error

    def _raise_over(self, end: type[Exception]) -> NoReturn:
        if self._error is not None:
            raise self._error
        if self._is_closed:
            raise self._closed_error()
        raise end


class Items(Generic[_T]):
    """Iterator of a reader's items, for sync code. Reading may go on with another one."""

    def __init__(self, reader: Reader[Any, _T]) -> None:
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

    def __init__(self, reader: Reader[Any, _T]) -> None:
        self._reader = reader

    def __aiter__(self) -> AsyncItems[_T]:
        return self

    def __anext__(self) -> Coroutine[Any, Any, _T]:
        return self._reader.anext()

    async def aclose(self) -> None:
        """Close the connection, as closing a generator that reads from it would."""
        await self._reader.aclose()
