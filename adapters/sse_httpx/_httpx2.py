"""The error for users of httpx2, which is one of httpx2's."""

from __future__ import annotations

import httpx2

from ._errors import SSEError as BaseSSEError

__all__ = ["SSEError"]


# What ``request`` is, the base can only say for both libraries.
class SSEError(BaseSSEError, httpx2.TransportError):  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]
    """The ``SSEError`` of this package, as a httpx2.TransportError."""
