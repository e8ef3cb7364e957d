"""From the data of an event to a value: what goes with `SSEDecoder.feed_parsed`."""

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
    """Raised by a parser for an event that is to be left out. It reaches nobody."""


@final
class by_event(Generic[T_co]):
    """A parser of events, made of one parser of data for each event type.

    Called with an event type and data, as `SSEDecoder.feed_parsed` and `iter_parsed` do, it calls
    the parser of that type with the data, and returns its value.

    Args:
        parsers: By event type, which is ``"message"`` where the stream names none. Each takes the
            data as bytes, as ``msgspec.json.Decoder(X).decode``, ``TypeAdapter(X).validate_json``
            and ``json.loads`` do.
        default: For all other types: a parser; or ``"skip"``, to leave these events out; or
            ``"error"``, to raise `UnknownEvent`.

    Where the values are of several types, mypy has to be told so: ``by_event[A | B]({...})``.
    Pyright finds out by itself.
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
            UnknownEvent, SkipEvent: There is no parser for this type; as ``default`` says.

        Also what the parser raises.
        """
        parser = self.parsers.get(event, self.default)
        if isinstance(parser, str):
            raise SkipEvent if parser == "skip" else UnknownEvent(event)
        return parser(data)


def failed_event(error: BaseException) -> ParsedEvent[bytes] | None:
    """Return the event whose parser raised this exception, with its data as it was sent.

    From Python 3.11 on a note of the exception tells the same to people.

    Returns:
        The event; ``None``: no parser raised this exception for `SSEDecoder.feed_parsed`; or it is
        of a class that takes no attributes.
    """
    event: ParsedEvent[bytes] | None = getattr(error, "_sse_event", None)
    return event


def attach_event(error: BaseException, event: ParsedEvent[bytes]) -> None:
    """Make `failed_event` tell this event, and a note as well where there are notes."""
    data = repr(event.data[:_SHOWN]) + ("..." if len(event.data) > _SHOWN else "")
    note = f"while parsing an event of type {event.event!r}, ID {event.id!r}, data {data}"
    failed: Any = error  # any attribute is allowed
    try:
        failed._sse_event = event
        failed.add_note(note)
    except Exception:
        # Python 3.10 has no notes. Or a class has its own ideas: what it raises here must not hide
        # what was raised.
        pass
