"""Closing a response, and the connection with it. httpxr's own ``close`` leaves that open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .compat import stream_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpxr

__all__ = ["aclose_response", "close_response"]


def close_response(response: httpxr.Response) -> None:
    """Close a response from `open_live`, and the connection with it."""
    close: Callable[[], object] | None = getattr(stream_of(response), "close", None)
    if close is not None:
        close()
    try:
        response.close()
    except RuntimeError:  # it is asynchronous, and was refused for that
        pass


async def aclose_response(response: httpxr.Response) -> None:
    """Close a response from `aopen_live`, and the connection with it."""
    close: Callable[[], Awaitable[object]] | None = getattr(stream_of(response), "aclose", None)
    if close is not None:
        await close()
    await response.aclose()
