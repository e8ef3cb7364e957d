"""How to read an httpxr response in chunks, and how to close it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpxr

from sse_adapter import Body, Interrupted

from ._errors import SSEError
from ._live.bodies import async_chunks_of, content_encoding_of, idle_timeout_of, sync_chunks_of
from ._live.chunks import AsyncChunks, SyncChunks
from ._live.closing import aclose_response, close_response
from ._live.compat import request_of, set_content
from ._live.errors import stream_closed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AsyncBody", "SyncBody"]


class _HttpxrBody(Body[httpxr.Response]):
    """What sync and asynchronous bodies have in common."""

    def __init__(self, response: httpxr.Response) -> None:
        super().__init__(response, idle_timeout=idle_timeout_of(response))

    @property
    def status_code(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> list[tuple[str, str]]:
        return self.response.headers.multi_items()

    @property
    def content_encoding(self) -> str:
        return content_encoding_of(self.response)

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

    def check(self) -> None:
        self._chunks = sync_chunks_of(self.response)

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

    def check(self) -> None:
        self._chunks = async_chunks_of(self.response)

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
