"""The error for users of httpx, which is one of httpx's."""

from __future__ import annotations

import httpx

from ._errors import SSEError as BaseSSEError

__all__ = ["SSEError"]


# What ``request`` is, the base can only say for both libraries.
class SSEError(BaseSSEError, httpx.TransportError):  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]
    """The ``SSEError`` of this package, as a httpx.TransportError."""
