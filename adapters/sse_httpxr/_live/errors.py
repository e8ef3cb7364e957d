"""What reading a live body raises, in httpxr's terms."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import httpxr

from . import process

__all__ = ["raise_read_error", "read_timeout", "stream_closed"]


def stream_closed() -> Exception:
    """Return the error for a read after the stream was closed before its end."""
    process.check_fork()
    return httpxr.StreamClosed("the event stream was closed before its end")


def read_timeout(seconds: float | None, request: httpxr.Request | None) -> httpxr.ReadTimeout:
    return httpxr.ReadTimeout(f"no byte from the server for {seconds} s", request=request)


def raise_read_error(error: BaseException, request: httpxr.Request | None) -> NoReturn:
    """Raise the error of a failed read in httpxr's terms."""
    if isinstance(error, asyncio.CancelledError):
        raise stream_closed() from None
    if isinstance(error, OSError):  # httpxr's for whatever happens within a body
        message = f"event stream broke off: {error}"
        raise httpxr.ReadError(message, request=request) from error
    raise error
