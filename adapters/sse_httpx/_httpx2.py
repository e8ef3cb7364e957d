"""The error for users of httpx2, which is one of httpx2's."""

from __future__ import annotations

import httpx2

from ._errors import SSEError as BaseSSEError

__all__ = ["SSEError"]


class SSEError(BaseSSEError, httpx2.TransportError):  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]: the base has `request` for both libraries
    """The ``SSEError`` of this package, as a httpx2.TransportError."""
