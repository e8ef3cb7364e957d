"""The encoder: events in, bytes of an event stream out; for servers, tests and gateways."""

from __future__ import annotations

import re
from typing import Final

from ._decoder import MAX_RETRY_DIGITS
from ._events import ServerSentEvent

__all__ = ["encode", "encode_comment"]

# The standard's line endings. str.splitlines() knows eight more.
_END_OF_LINE: Final = re.compile("\r\n|\r|\n")


def encode(event: ServerSentEvent, /) -> bytes:
    """Return the block of lines that a decoder turns into this event.

    The exact inverse of `SSEDecoder` for every event whose data has no CR: an end-of-line in the
    data can only be sent as the end of a ``data`` line, and arrives as LF. Fields that have their
    default value are left out.

    Args:
        event: What to send. Its ``id`` is sent unless it is ``None``; ``""`` resets the
            receiver's last event ID. ``retry`` is in milliseconds.

    Returns:
        UTF-8, with the blank line that dispatches the event.

    Raises:
        ValueError: The event cannot be sent: an end-of-line in ``event`` or ``id``, an empty
            ``event``, NUL in ``id``, a ``retry`` that is negative or has more than 640 digits, a
            lone surrogate anywhere (as `UnicodeEncodeError`).
        TypeError: A field is of another type.

    See "Parsing an event stream", HTML Standard 9.2.5.
    """
    lines: list[str] = []
    if event.event != "message":
        event_type = _one_line("event", event.event)
        if not event_type:
            raise ValueError("event must not be empty: it would arrive as 'message'")
        lines.append("event: " + event_type)
    if event.id is not None:
        event_id = _one_line("id", event.id)
        if "\0" in event_id:
            raise ValueError(f"id must not contain NUL, or it would be ignored: {event_id!r:.100}")
        lines.append("id: " + event_id)
    if event.retry is not None:
        lines.append(f"retry: {_milliseconds(event.retry)}")
    lines += ["data: " + line for line in _END_OF_LINE.split(_text("data", event.data))]
    lines += ["", ""]
    return "\n".join(lines).encode()


def encode_comment(text: str = "", /) -> bytes:
    """Return comment lines, one for each line of ``text``. Receivers ignore them.

    Sent between events every 15 seconds or so, they keep proxies from closing a silent connection.

    Raises:
        ValueError: A lone surrogate (as `UnicodeEncodeError`).
        TypeError: ``text`` is not `str`.

    See "Authoring notes", HTML Standard 9.2.7.
    """
    return "".join(f": {line}\n" for line in _END_OF_LINE.split(_text("text", text))).encode()


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    return value


def _one_line(name: str, value: object) -> str:
    text = _text(name, value)
    if "\n" in text or "\r" in text:
        # Worse than wrong: whoever chose the value could inject fields and events.
        raise ValueError(f"{name} must not contain an end-of-line: {text!r:.100}")
    return text


def _milliseconds(retry: object) -> int:
    if not isinstance(retry, int) or isinstance(retry, bool):
        raise TypeError(f"retry must be int, not {type(retry).__name__}")
    if not 0 <= retry < 10**MAX_RETRY_DIGITS:
        size = "negative" if retry < 0 else f"longer than {MAX_RETRY_DIGITS} digits"
        raise ValueError(f"retry must not be {size}")
    return retry
