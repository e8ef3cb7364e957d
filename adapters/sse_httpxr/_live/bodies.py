"""The chunks of any httpxr response: opened by us, by somebody else, or built from bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .chunks import AsyncChunks, SyncChunks
from .compat import (
    is_async_iterable,
    is_httpxr_source,
    is_read_body,
    request_of,
    stream_of,
    take_source,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    import httpxr

    from .compat import LiveSource

__all__ = ["async_chunks_of", "content_encoding_of", "idle_timeout_of", "sync_chunks_of"]


def sync_chunks_of(response: httpxr.Response) -> Iterator[bytes]:
    """Return the chunks of a response; raise TypeError if it is asynchronous."""
    stream: Any = response.stream
    if is_httpxr_source(stream) or not hasattr(stream, "__iter__"):
        raise TypeError(
            f"this response's body ({type(stream).__name__}) is asynchronous: use `async for`,"
            " or connect_sse() with an httpxr.Client"
        )
    chunks: Iterator[bytes] = iter(stream)
    return chunks


def async_chunks_of(response: httpxr.Response) -> AsyncChunks:
    """Return the chunks of a response; raise TypeError if it is sync."""
    stream: Any = response.stream
    if isinstance(stream, AsyncChunks):
        return stream
    source: LiveSource | AsyncIterator[bytes]
    if is_httpxr_source(stream):
        # Opened by somebody else, whose client does the waiting. All references but ours go, so
        # that closing really closes.
        del stream
        source = take_source(response)
    elif is_read_body(stream):
        source = _already_read(stream)
    elif not is_async_iterable(stream):
        # If iterated, the first kind of these would look like an empty body.
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


def content_encoding_of(response: httpxr.Response) -> str:
    """Return the content codings that httpxr has left; ``""``: none.

    Where httpxr has decoded the body it removes the header; where it does not know the coding, or
    its name is not in lower case, it leaves both. What was read before is decoded in any case.
    """
    stream = stream_of(response)
    if stream is None or is_read_body(stream):
        return ""
    return response.headers.get("content-encoding") or ""


def idle_timeout_of(response: httpxr.Response) -> float | None:
    """Return the timeout that we opened a response with; ``None`` if we did not, or with none."""
    stream = stream_of(response)
    return stream.idle_timeout if isinstance(stream, (SyncChunks, AsyncChunks)) else None
