"""Turning an event's data into a value: the companions of `SSEDecoder.feed_parsed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, final

from ._errors import UnknownEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._events import ParsedEvent

__all__ = ["SkipEvent", "attach_event", "by_event", "failed_event"]

T_co = TypeVar("T_co", covariant=True)

# Bytes of data in a note: what fits on a line or two.
_SHOWN: Final = 200


class SkipEvent(Exception):
    """Raised by a parser to leave an event out. No caller ever sees it."""


@final
class by_event(Generic[T_co]):
    """A parser of events, built from one parser of data for each event type.

    Called with an event type and data, as `SSEDecoder.feed_parsed` and `iter_parsed` do, it calls
    the parser for that type with the data, and returns what that returns.

    Args:
        parsers: By event type, which is ``"message"`` where the stream names none. Each takes the
            data as bytes, like ``msgspec.json.Decoder(X).decode``, ``TypeAdapter(X).validate_json``
            and ``json.loads``.
        default: What to do with all other types: a parser; ``"skip"``, to leave these events out;
            or ``"error"``, to raise `UnknownEvent`.

    If the parsers return different types, tell mypy: ``by_event[A | B]({...})``. Pyright infers it.
    """

    __slots__ = ("default", "parsers")

    def __init__(
        self,
        parsers: Mapping[str, Callable[[bytes], T_co]],
        default: Callable[[bytes], T_co] | Literal["skip", "error"] = "error",
    ) -> None:
        self.parsers: Final = dict(parsers)
        self.default: Final = default

    def __call__(self, event: str, data: bytes, /) -> T_co:
        """Parse the data of an event of this type.

        Raises:
            UnknownEvent, SkipEvent: There is no parser for this type; ``default`` says which.

        Also whatever the parser raises.
        """
        parser = self.parsers.get(event, self.default)
        if isinstance(parser, str):
            raise SkipEvent if parser == "skip" else UnknownEvent(event)
        return parser(data)


def failed_event(error: BaseException) -> ParsedEvent[bytes] | None:
    """Return the event that a parser was given when it raised this exception, its data as sent.

    From Python 3.11 on, a note on the exception says the same to people.

    Returns:
        The event. ``None`` if no parser raised this exception in `SSEDecoder.feed_parsed`, or if
        its class takes no attributes.
    """
    event: ParsedEvent[bytes] | None = getattr(error, "_sse_event", None)
    return event


def attach_event(error: BaseException, event: ParsedEvent[bytes]) -> None:
    """Make `failed_event` return this event; add a note too, where exceptions have them."""
    data = repr(event.data[:_SHOWN]) + ("..." if len(event.data) > _SHOWN else "")
    note = f"while parsing an event of type {event.event!r}, ID {event.id!r}, data {data}"
    failed: Any = error  # any attribute is allowed
    try:
        failed._sse_event = event
        failed.add_note(note)
    except Exception:
        # Python 3.10 has no notes. Or the class is odd: what it raises must not hide the exception.
        pass
