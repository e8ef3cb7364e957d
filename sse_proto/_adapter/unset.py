"""The default of an argument whose ``None`` has a meaning."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["UNSET"]


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final[Any] = _Unset()
"""Not given: the client's own setting holds."""
