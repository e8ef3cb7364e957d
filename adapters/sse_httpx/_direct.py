"""Where a response's bytes come from, below the client's generators: its connection.

httpx passes a body through six nested generators. A read that is cancelled or takes too long ends
them, and they take the connection with them. The connection itself can go on: it keeps what it has
read. So bodies are read from there, with a time limit for each read, if the client is one that this
module knows; otherwise from the generators (`_body`).

Like `_http2`, this knows the internals of httpx 0.28, httpx2, httpcore and httpcore2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import h11

from sse_adapter import run

from ._http2 import Http2Connection, mend

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["Http1Source", "Http2Source", "Source", "http2_stream_of", "source_of"]

_LIBRARIES: Final = frozenset(("httpx", "httpx2", "httpcore", "httpcore2"))


class Http1Source:
    """A body over HTTP/1.1."""

    def __init__(self, connection: Any) -> None:
        self._connection: Final = connection

    def read(self, seconds: float | None) -> bytes | None:
        """Return the next bytes of a sync connection; ``None`` at the end."""
        event = self._connection._receive_event(timeout=seconds)
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def aread(self, seconds: float | None) -> bytes | None:
        """Return the next bytes of an asynchronous one. Cancelled, it has taken nothing."""
        event = await self._connection._receive_event(timeout=seconds)
        return bytes(event.data) if isinstance(event, h11.Data) else None


class Http2Source:
    """A body over HTTP/2: a stream of a connection that has others too."""

    def __init__(self, connection: Http2Connection, stream_id: int) -> None:
        self._connection: Final = connection
        self._stream_id: Final = stream_id

    def read(self, seconds: float | None) -> bytes | None:
        """Return the next bytes of a sync connection; ``None`` at the end."""
        return run(self._connection.read(self._stream_id, seconds))

    async def aread(self, seconds: float | None) -> bytes | None:
        """Return the next bytes of an asynchronous one. Cancelled, it has taken nothing."""
        return await self._connection.read(self._stream_id, seconds)

    async def interrupt(self) -> None:
        """End another thread's or task's read with an error."""
        await self._connection.interrupt(self._stream_id)


Source: TypeAlias = "Http1Source | Http2Source"


def source_of(response: Any, is_async: bool) -> Source | None:
    """Return where a response's bytes come from; ``None`` if that is not known.

    Args:
        response: From httpx or httpx2, open, and not read so far.
        is_async: Whether it is asynchronous.
    """
    if (http2 := http2_stream_of(response)) is not None and _is_plain(response.stream):
        return http2
    connection = _connection_of(response.stream)
    if (
        connection is None
        or type(connection).__name__
        != ("AsyncHTTP11Connection" if is_async else "HTTP11Connection")
        or not hasattr(connection, "_receive_event")
        or not _is_plain(response.stream)
    ):
        return None
    return Http1Source(connection)


def http2_stream_of(response: Any) -> Http2Source | None:
    """Return the stream of a response over HTTP/2, its connection mended; ``None``: unknown."""
    stream_id: Any = response.extensions.get("stream_id")
    if stream_id is None:
        return None
    connection = mend(_connection_of(response.stream))
    return None if connection is None else Http2Source(connection, stream_id)


def _inner(stream: Any) -> Any:
    """Return what a stream wraps."""
    return getattr(stream, "_stream", None) or getattr(stream, "_httpcore_stream", None)


def _connection_of(stream: Any) -> Any:
    """Return the connection of httpcore's behind a response's stream; ``None``: unknown."""
    for _ in range(10):  # there are four, and a transport may have wrapped them in its own
        if stream is None:
            return None
        if (connection := getattr(stream, "_connection", None)) is not None:
            return connection
        stream = _inner(stream)
    return None


def _is_plain(stream: Any) -> bool:
    """Whether each wrapper is the client's own: others may change what comes through them."""
    while stream is not None:
        if type(stream).__module__.partition(".")[0] not in _LIBRARIES:
            return False
        stream = None if hasattr(stream, "_connection") else _inner(stream)
    return True
