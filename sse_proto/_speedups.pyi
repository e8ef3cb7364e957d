from collections.abc import Callable
from typing import TypeVar, final

from typing_extensions import Self

from ._events import ParsedEvent, RawEvent, ServerSentEvent
from ._feed import BytesLike

_T = TypeVar("_T")

@final
class SSEDecoder:
    """The same as `sse_proto._feed.SSEDecoder`, in C."""

    def __new__(
        cls,
        *,
        max_event_size: int | None = 16777216,
        last_event_id: str | None = None,
        dispatch_empty: bool = False,
        on_comment: Callable[[str], object] | None = None,
        on_ignored: Callable[[str], object] | None = None,
    ) -> Self: ...
    @property
    def max_event_size(self) -> int | None: ...
    @property
    def dispatch_empty(self) -> bool: ...
    @property
    def last_event_id(self) -> str | None: ...
    @property
    def reconnection_time(self) -> int | None: ...
    @property
    def unfinished(self) -> int: ...
    def feed(self, chunk: BytesLike, /) -> list[ServerSentEvent]: ...
    def feed_raw(self, chunk: BytesLike, /) -> list[RawEvent]: ...
    def feed_parsed(
        self, chunk: BytesLike, parse: Callable[[str, bytes], _T], /
    ) -> list[ParsedEvent[_T]]: ...
    def close(self) -> None: ...
