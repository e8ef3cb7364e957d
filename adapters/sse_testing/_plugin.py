"""The pytest plugin: loaded wherever this package is installed, so it imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._server import EventServer

__all__ = ["sse_server"]


@pytest.fixture
def sse_server() -> Iterator[EventServer]:
    """A running `sse_testing.EventServer`, without scripts; it ends with the test."""
    from ._server import EventServer

    with EventServer() as server:
        yield server
