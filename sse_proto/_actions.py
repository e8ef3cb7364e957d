"""What the protocol says to do next, and what the next request is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._events import ServerSentEvent

__all__ = ["Action", "Fail", "Lost", "NextRequest", "Open", "ReadyState", "Stop", "Wait"]

_R = TypeVar("_R")


class ReadyState(IntEnum):
    """The standard's ``readyState``."""

    CONNECTING = 0
    """Connecting, or waiting to connect again."""
    OPEN = 1
    """An event stream is being read."""
    CLOSED = 2
    """Closed for good."""


@dataclass(frozen=True)
class Open:
    """Read the response's body, and feed it."""

    idle_timeout: float | None
    """Seconds without any byte (comments count) after which the connection is lost; ``None``:
    never."""
    event_timeout: float | None = None
    """Seconds without an event (neither comments nor pings count) after which it is lost; ``None``:
    never. `EventSourceProtocol.time_limit` says what both mean for the next chunk."""


@dataclass(frozen=True)
class Wait:
    """Wait; then connect, with new `EventSourceProtocol.request_headers`."""

    seconds: float
    error: BaseException | None = field(default=None, compare=False)
    """Why; ``None``: nothing went wrong. The server ended the stream properly, or
    `EventSourceProtocol.restart` was called."""


@dataclass(frozen=True)
class Stop:
    """Nothing more will come, and nothing went wrong."""

    reason: str


@dataclass(frozen=True)
class Fail:
    """Nothing more will come, and this is why."""

    error: BaseException


Action: TypeAlias = Open | Wait | Stop | Fail
"""What to do next."""


@dataclass(frozen=True)
class Lost(Generic[_R]):
    """A stream as it was when its connection was lost: enough to ask for the rest of it."""

    last_event_id: str | None
    """The last event ID; ``None``: none was ever set."""
    last_event: ServerSentEvent | None
    """The last event that was not a ping; ``None``: there has been none."""
    response: _R | None
    """The last response, of the client's type; ``None``: there has been none."""
    error: BaseException | None
    """Why, as `Wait.error`."""


@final
class NextRequest:
    """The request that asks for the rest of a stream.

    Args:
        method: Such as ``"GET"``.
        url: Whatever the client takes as a URL.
        options: What the adapter's ``connect_sse`` takes, such as ``headers``. They replace those
            of the previous request.
    """

    __slots__ = ("method", "options", "url")

    def __init__(self, method: str, url: object, /, **options: object) -> None:
        self.method = method
        self.url = url
        self.options: Mapping[str, object] = options

    def __repr__(self) -> str:
        # Without the options and the query, which may be secret.
        return f"<NextRequest {self.method} {str(self.url).partition('?')[0]}>"
