"""The event stream format once more: naive, whole, and literally as the standards put it.

Decoders are compared with it. It shares no code and no idea with `sse_proto`: characters are
decoded one byte at a time (Encoding Standard, "UTF-8 decoder"), lines are split one character at a
time (HTML Standard 9.2.6), and each step of the processing model is one statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["BOM", "Event", "Outcome", "lines_of", "reference", "utf8_decode"]


class Event(NamedTuple):
    """An event, as the standard dispatches it. Equals a tuple of the same values."""

    event: str
    """Its type."""
    data: str
    id: str | None
    """The last event ID when it was dispatched; ``None``: the stream had not set one."""
    retry: int | None
    """The reconnection time that its own block set, in milliseconds; ``None``: none."""


class Outcome(NamedTuple):
    """What a whole stream means. Equals a tuple of the same values."""

    events: list[Event]
    last_event_id: str | None
    """After the end of the stream; ``None``: neither the stream nor the caller set one."""
    reconnection_time: int | None
    """Milliseconds, after the end of the stream; ``None``: the stream set none."""


MAX_RETRY_DIGITS: Final = 640

BOM: Final = b"\xef\xbb\xbf"
ASCII_DIGITS: Final = frozenset("0123456789")


def reference(
    stream: bytes, *, last_event_id: str | None = None, dispatch_empty: bool = False
) -> Outcome:
    """Interpret a whole event stream, from its first byte to its end.

    Naive and slow, and written independently of the decoders that it judges. Besides the standard's
    steps it keeps what else `Event` has: whether an ID was ever set, and the reconnection time that
    an event's own block set. Unlike in the standard, reconnection times of more than 640
    significant digits do not count.

    Args:
        stream: All bytes of the stream.
        last_event_id: What an earlier stream left, ``None`` if nothing.
        dispatch_empty: Whether blocks that have fields but no data also become events, unlike in
            the standard.
    See "Interpreting an event stream", HTML Standard 9.2.6.
    """
    events: list[Event] = []
    reconnection_time: int | None = None
    data_buffer = ""
    event_type_buffer = ""
    last_event_id_buffer = last_event_id
    block_retry: int | None = None
    block_has_field = False

    for line in lines_of(utf8_decode(stream)):
        if line == "":
            last_event_id = last_event_id_buffer
            if data_buffer != "" or (dispatch_empty and block_has_field):
                if data_buffer.endswith("\n"):
                    data_buffer = data_buffer[:-1]
                event_type = "message"
                if event_type_buffer != "":
                    event_type = event_type_buffer
                events.append(Event(event_type, data_buffer, last_event_id, block_retry))
            data_buffer = ""
            event_type_buffer = ""
            block_retry = None
            block_has_field = False
            continue
        if line[0] == ":":
            continue
        if ":" in line:
            colon = line.index(":")
            field = line[:colon]
            value = line[colon + 1 :]
            if value != "" and value[0] == " ":
                value = value[1:]
        else:
            field = line
            value = ""

        if field == "event":
            event_type_buffer = value
            block_has_field = True
        elif field == "data":
            data_buffer += value
            data_buffer += "\n"
            block_has_field = True
        elif field == "id":
            if "\0" not in value:
                last_event_id_buffer = value
                block_has_field = True
        elif field == "retry":
            number = base_ten(value)
            if number is not None:
                reconnection_time = number
                block_retry = number
                block_has_field = True

    return Outcome(events, last_event_id, reconnection_time)


def utf8_decode(stream: bytes) -> str:
    """Encoding Standard, "UTF-8 decode": without the byte order mark; errors become U+FFFD."""
    if stream[:3] == BOM:
        stream = stream[3:]
    text: list[str] = []
    code_point = seen = needed = 0
    lower, upper = 0x80, 0xBF
    position = 0
    while position < len(stream):
        byte = stream[position]
        position += 1
        if needed == 0:
            if byte <= 0x7F:
                text.append(chr(byte))
            elif 0xC2 <= byte <= 0xDF:
                needed = 1
                code_point = byte & 0x1F
            elif 0xE0 <= byte <= 0xEF:
                if byte == 0xE0:
                    lower = 0xA0
                if byte == 0xED:
                    upper = 0x9F
                needed = 2
                code_point = byte & 0xF
            elif 0xF0 <= byte <= 0xF4:
                if byte == 0xF0:
                    lower = 0x90
                if byte == 0xF4:
                    upper = 0x8F
                needed = 3
                code_point = byte & 0x7
            else:
                text.append("\ufffd")
            continue
        if not lower <= byte <= upper:
            code_point = seen = needed = 0
            lower, upper = 0x80, 0xBF
            position -= 1  # "restore byte to ioQueue"
            text.append("\ufffd")
            continue
        lower, upper = 0x80, 0xBF
        code_point = (code_point << 6) | (byte & 0x3F)
        seen += 1
        if seen == needed:
            text.append(chr(code_point))
            code_point = seen = needed = 0
    if needed:
        text.append("\ufffd")
    return "".join(text)


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines that have an end: CR LF, LF or CR. What follows the last one is discarded."""
    line = ""
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\n":
            yield line
            line = ""
        elif character == "\r":
            if text[position : position + 1] == "\n":
                position += 1
            yield line
            line = ""
        else:
            line += character


def base_ten(value: str) -> int | None:
    """Return the integer, if the value is one or more ASCII digits, not too many of them."""
    if value == "" or not ASCII_DIGITS.issuperset(value):
        return None
    significant = value.lstrip("0")
    if len(significant) > MAX_RETRY_DIGITS:
        return None
    return int(significant or "0")
