"""What is printed of a stream: the events asked for, up to its end; comments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sse_proto import IncompleteStream

from ._output import Form
from ._progress import Progress

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from sse_proto import ServerSentEvent

    from ._terminal import Console

__all__ = ["Printer"]

_LAST_DATA: Final = ["[DONE]"]  # of chat APIs


class Printer:
    """Prints a stream as the options ask for it.

    Args:
        options: As the parser has them.
        console: Where it is printed.
    """

    def __init__(self, options: Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._form = Form(options, console.encoding)
        self.progress = Progress()
        """What has come so far."""

    def print_comment(self, text: str) -> None:
        """Print a comment."""
        self._console.write(self._form.comment(text))

    def print_events(self, events: Iterable[ServerSentEvent]) -> None:
        """Print the events asked for, until there are no more.

        Raises:
            IncompleteStream: The event that should have been the last has not come.
        """
        try:
            self._print_events(events)
        finally:
            self._console.write(self._form.rest())
            self._console.end_line()

    def _print_events(self, events: Iterable[ServerSentEvent]) -> None:
        options = self._options
        last_event_id = None
        printed = 0
        for event in events:
            self.progress.count_event()
            last_event_id = event.id
            if event.data in (options.until or _LAST_DATA):
                return
            if options.event and event.event not in options.event:
                continue
            if (text := self._form.text_of(event)) is not None:
                self._console.write(text)
                printed += 1
            if printed == options.max_events:
                return
        if options.until:
            raise IncompleteStream(0, last_event_id)
