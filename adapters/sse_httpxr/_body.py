"""What a response of httpxr's is as chunks, and how it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpxr

from sse_adapter import Body, Interrupted

from ._errors import SSEError
from ._live.chunks import AsyncChunks, SyncChunks
from ._live.closing import aclose_response, close_response
from ._live.compat import (
    is_async_iterable,
    is_httpxr_source,
    is_read_body,
    request_of,
    set_content,
    take_source,
)
from ._live.errors import stream_closed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from ._live.compat import LiveSource

__all__ = ["AsyncBody", "SyncBody"]


class _HttpxrBody(Body[httpxr.Response]):
    """What sync and asynchronous bodies have in common."""

    @property
    def status_code(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> list[tuple[str, str]]:
        return self.response.headers.multi_items()

    @property
    def content_encoding(self) -> str:
        # httpxr takes the header out where it has undone the coding, and leaves that to us where it
        # is unknown, or not written in lower case.
        if _is_read(self.response):
            return ""
        return self.response.headers.get("content-encoding") or ""

    async def keep(self, content: bytes) -> None:
        if not self.content_encoding:  # or httpxr would decode it again
            set_content(self.response, content)

    def goes_on_after(self, error: BaseException) -> bool:  # noqa: ARG002  # see `_live.chunks`
        return True

    def sse_error(self, message: str, start: bytes | None) -> SSEError:
        return SSEError(
            message,
            request=request_of(self.response),
            response=None if start is None else self.response,
            body="" if start is None else start.decode("utf-8", "replace"),
        )

    def timeout_error(self, message: str) -> Exception:
        return httpxr.ReadTimeout(message, request=request_of(self.response))

    def decoding_error(self, message: str) -> Exception:
        return httpxr.ReadError(message, request=request_of(self.response))

    def closed_error(self) -> Exception:
        return stream_closed()


class SyncBody(_HttpxrBody):
    is_async = False
    _chunks: Iterator[bytes] | None = None

    @property
    def can_drain(self) -> bool:
        return isinstance(self._chunks, SyncChunks)

    def __init__(self, response: httpxr.Response) -> None:
        super().__init__(response, idle_timeout=_idle_timeout_of(response))

    def check(self) -> None:
        stream: Any = self.response.stream
        if is_httpxr_source(stream) or not hasattr(stream, "__iter__"):
            raise TypeError(
                f"this response's body ({type(stream).__name__}) is asynchronous: use `async for`,"
                " or connect_sse() with an httpxr.Client"
            )
        self._chunks = iter(stream)

    async def read(self, seconds: float | None) -> bytes | None:
        if self._chunks is None:
            self.check()
        chunks = self._chunks
        assert chunks is not None  # set by `check`
        if isinstance(chunks, SyncChunks):
            chunks.idle_timeout = seconds
        try:
            return next(chunks, None)
        except httpxr.ReadTimeout:
            if seconds is None:
                raise
            raise TimeoutError from None

    async def close(self) -> None:
        if isinstance(self._chunks, SyncChunks):
            self._chunks.close()
        close_response(self.response)

    def interrupt(self) -> None:
        close_response(self.response)


class AsyncBody(_HttpxrBody):
    is_async = True
    _chunks: AsyncChunks | None = None

    @property
    def can_drain(self) -> bool:
        return self._chunks is not None

    def __init__(self, response: httpxr.Response) -> None:
        super().__init__(response, idle_timeout=_idle_timeout_of(response))

    def check(self) -> None:
        stream: Any = self.response.stream
        if isinstance(stream, AsyncChunks):
            self._chunks = stream
            return
        source: LiveSource | AsyncIterator[bytes]
        if is_httpxr_source(stream):
            # Opened by somebody else, whose client does the waiting. All references but ours go,
            # so that closing closes.
            del stream
            source = take_source(self.response)
        elif is_read_body(stream):
            source = _already_read(stream)
        elif not is_async_iterable(stream):
            # Iterated, the first kind of these would look like an empty body.
            raise TypeError(
                f"this response's body ({type(stream).__name__}) is synchronous: use `for`, or"
                " aconnect_sse() with an httpxr.AsyncClient"
            )
        else:
            source = aiter(stream)
        self._chunks = AsyncChunks(source, request=request_of(self.response), idle_timeout=None)

    async def read(self, seconds: float | None) -> bytes | None:
        if self._chunks is None:
            self.check()
        chunks = self._chunks
        assert chunks is not None  # set by `check`
        chunks.idle_timeout = seconds
        try:
            return await chunks.__anext__()
        except StopAsyncIteration:
            return None
        except httpxr.ReadTimeout:
            if seconds is None:
                raise
            raise TimeoutError from None

    def interrupt(self) -> None:
        if self._chunks is not None:
            self._chunks.reads.wait.fail(Interrupted())

    async def close(self) -> None:
        if self._chunks is not None:
            await self._chunks.aclose()
        await aclose_response(self.response)


def _is_read(response: httpxr.Response) -> bool:
    """Whether the body was read before, or built of bytes, and so is decoded."""
    try:
        return is_read_body(response.stream)
    except httpxr.StreamError:  # it was read to its end
        return True


def _idle_timeout_of(response: httpxr.Response) -> float | None:
    """Return the timeout that a response was opened with; ``None`` if not by us, or with none."""
    try:
        stream: object = response.stream
    except httpxr.StreamError:  # it was read to its end
        return None
    return stream.idle_timeout if isinstance(stream, (SyncChunks, AsyncChunks)) else None


async def _already_read(stream: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in stream:
        yield chunk
