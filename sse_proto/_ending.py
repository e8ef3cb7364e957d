"""The event that ends a stream, such as a chat API's ``[DONE]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ._events import ServerSentEvent

__all__ = ["Ending"]


@final
class Ending:
    """Recognizes the event that ends a stream.

    Args:
        until: The data of the event that ends it, or several alternatives, compared exactly. That
            event is not handed out.
        is_last: Whether an event is the last one, which is handed out. Not asked about one that
            ``until`` names.
    """

    __slots__ = ("_is_last", "_until", "is_expected", "last")

    def __init__(
        self,
        until: str | Collection[str] | None = None,
        is_last: Callable[[ServerSentEvent], bool] | None = None,
    ) -> None:
        self._until = frozenset([until] if isinstance(until, str) else until or ())
        self._is_last = is_last
        self.is_expected = until is not None or is_last is not None
        """Whether the stream must end with such an event: without it, it is incomplete."""
        self.last: ServerSentEvent | None = None
        """The event that ended the stream; ``None``: it goes on."""

    def cut(self, events: list[ServerSentEvent]) -> list[ServerSentEvent]:
        """Return the events to hand out, up to the end; set `last` if it is among them.

        Raises:
            Exception: Whatever ``is_last`` raises.
        """
        if not self.is_expected:
            return events
        for number, event in enumerate(events):
            if event.data in self._until:
                self.last = event
                return events[:number]
            if self._is_last is not None and self._is_last(event):
                self.last = event
                return events[: number + 1]
        return events
