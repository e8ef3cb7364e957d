"""The pytest plugin: loaded wherever this package is installed, so it imports nothing."""

from __future__ import annotations

__all__: list[str] = []
