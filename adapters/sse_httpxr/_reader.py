"""Reading an httpxr response: what it is as chunks, and how it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpxr

from sse_proto._adapter.reading import BODY_BYTES, BODY_SECONDS
from sse_proto._adapter.reading import Reader as BaseReader

from ._chunks import AsyncChunks, SyncChunks, stream_closed
from ._compat import (
    content_type_of,
    is_async_iterable,
    is_httpxr_source,
    is_read_body,
    request_of,
    take_source,
)
from ._errors import SSEError
from ._live import aclose_response, close_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from ._compat import LiveSource

__all__ = ["Reader", "async_chunks", "start_of", "sync_chunks"]

_T = TypeVar("_T")


class Reader(BaseReader[httpxr.Response, _T], Generic[_T]):
    """The items of one response of httpxr's, whoever opened or built it."""

    def _head(self) -> tuple[int, str]:
        return self.response.status_code, content_type_of(self.response)

    def _open(self) -> Iterator[bytes]:
        return sync_chunks(self.response)

    def _aopen(self) -> AsyncChunks:
        return async_chunks(self.response)

    def _start_of(self, chunks: Iterator[bytes]) -> bytes:
        return start_of(chunks)

    async def _astart_of(self, chunks: AsyncIterator[bytes]) -> bytes:
        assert isinstance(chunks, AsyncChunks)  # of _aopen
        body = await chunks.read_start(BODY_BYTES, BODY_SECONDS)
        await chunks.aclose()
        return body

    def _close_response(self) -> None:
        if isinstance(self._chunks, SyncChunks):
            self._chunks.close()
        close_response(self.response)

    async def _aclose_response(self) -> None:
        if isinstance(self._async_chunks, AsyncChunks):
            await self._async_chunks.aclose()
        await aclose_response(self.response)

    def _refusal(self, message: str, body: str | None) -> SSEError:
        return SSEError(
            message,
            request=request_of(self.response),
            response=None if body is None else self.response,
            body=body or "",
        )

    def _closed_error(self) -> Exception:
        return stream_closed()


def sync_chunks(response: httpxr.Response) -> Iterator[bytes]:
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


def async_chunks(response: httpxr.Response) -> AsyncChunks:
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


def start_of(chunks: Iterator[bytes]) -> bytes:
    """Return the first bytes of a body, within a bounded time if it is one that we opened."""
    if isinstance(chunks, SyncChunks):
        return chunks.read_start(BODY_BYTES, BODY_SECONDS)
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) >= BODY_BYTES:
            break
    return body


async def _already_read(stream: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in stream:
        yield chunk
