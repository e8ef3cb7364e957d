"""Chunks that are decoded on their way: what becomes of an error when its reader is cancelled."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Generator

import pytest

from sse_adapter import Body, SSEError
from sse_adapter._chunks import Chunks
from sse_adapter._coding import CodingError


class Suspension:
    def __await__(self) -> Generator[None]:
        yield


class Broken(Body[None]):
    """A gzip-encoded body that ends too soon, and takes a while to close."""

    is_async = True
    closed = 0

    def __init__(self) -> None:
        super().__init__(None)
        self._chunks = [gzip.compress(b"data: 1\n\n")[:-1]]

    @property
    def status_code(self) -> int:
        return 200

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [("Content-Encoding", self.content_encoding)]

    @property
    def content_encoding(self) -> str:
        return "gzip"

    async def read(self, seconds: float | None) -> bytes | None:
        del seconds
        return self._chunks.pop() if self._chunks else None

    async def close(self) -> None:
        await Suspension()
        self.closed += 1


def times_closed(body: Broken) -> int:
    """What a type checker must not take for constant."""
    return body.closed


def test_an_error_is_told_by_the_next_read_if_closing_was_cancelled() -> None:
    body = Broken()
    chunks = Chunks(body)
    with pytest.raises(StopIteration) as first:
        chunks.read(None, float).send(None)
    assert first.value.value == b"data: 1\n\n"

    reading = chunks.read(None, float)
    reading.send(None)  # closes
    with pytest.raises(asyncio.CancelledError):
        reading.throw(asyncio.CancelledError())
    assert times_closed(body) == 0

    reading = chunks.read(None, float)
    reading.send(None)
    with pytest.raises(CodingError, match="ends within its content coding"):
        reading.send(None)
    assert times_closed(body) == 1
    with pytest.raises(SSEError, match="closed before its end"):
        chunks.read(None, float).send(None)
