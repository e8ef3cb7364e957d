"""The error for users of httpx, which is one of httpx's."""

from __future__ import annotations

import httpx

from ._errors import SSEError as BaseSSEError

__all__ = ["SSEError"]


class SSEError(BaseSSEError, httpx.TransportError):  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]: the base has `request` for both libraries
    """The ``SSEError`` of this package, as a httpx.TransportError."""
