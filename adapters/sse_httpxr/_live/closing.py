"""Closing a response, and with it the connection. httpxr's own ``close`` leaves that open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpxr

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["aclose_response", "close_response"]


def close_response(response: httpxr.Response) -> None:
    """Close a response of `open_live`, and with it the connection."""
    close: Callable[[], object] | None = getattr(_stream_of(response), "close", None)
    if close is not None:
        close()
    try:
        response.close()
    except RuntimeError:  # it is asynchronous, and was refused for that
        pass


async def aclose_response(response: httpxr.Response) -> None:
    """Close a response of `aopen_live`, and with it the connection."""
    close: Callable[[], Awaitable[object]] | None = getattr(_stream_of(response), "aclose", None)
    if close is not None:
        await close()
    await response.aclose()


def _stream_of(response: httpxr.Response) -> object:
    try:
        stream: object = response.stream
    except httpxr.StreamError:  # it was read to its end
        return None
    return stream
