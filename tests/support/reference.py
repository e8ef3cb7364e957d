"""The event stream format, a second time: naive, whole, and literally as the standards say it.

What the decoder is compared with. It shares no code and no idea with `sse_proto`: characters are
decoded one byte at a time (Encoding Standard, "UTF-8 decoder"), lines are split one character at a
time (HTML Standard 9.2.6), and each step of the processing model is one statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from sse_proto import BytesLike, SSEDecoder

__all__ = ["BOM", "Event", "Outcome", "before_oversized", "decode", "interpret", "pieces_of"]

Event: TypeAlias = "tuple[str, str, str | None, int | None]"
"""Event type, data, last event ID, reconnection time that the event's own block set."""

Outcome: TypeAlias = "tuple[list[Event], str | None, int | None]"
"""Events, last event ID, reconnection time."""

MAX_RETRY_DIGITS: Final = 640

BOM: Final = b"\xef\xbb\xbf"
ASCII_DIGITS: Final = frozenset("0123456789")


def interpret(
    stream: bytes, *, last_event_id: str | None = None, dispatch_empty: bool = False
) -> Outcome:
    """Interpret a whole event stream, from its first byte to its end.

    Beside the standard's steps it keeps what `ServerSentEvent` tells more: whether an ID was ever
    set, and the reconnection time that an event's own block set.
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
                events.append((event_type, data_buffer, last_event_id, block_retry))
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

    return events, last_event_id, reconnection_time


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


def before_oversized(stream: bytes, limit: int) -> bytes | None:
    """Return the part of the stream before the first event of more than ``limit`` bytes.

    ``None`` if there is no such event. The size of an event: its lines with a known field, as they
    were sent, each with one byte for its end; a last line without end counts once it has its colon.
    """
    position = len(BOM) if stream.startswith(BOM) else 0
    block_begin = position
    size = 0
    while position < len(stream):
        ends = [
            end for end in (stream.find(b"\r", position), stream.find(b"\n", position)) if end >= 0
        ]
        if not ends:
            line = stream[position:]
            if line.partition(b":")[0] in KNOWN_FIELDS and b":" in line:
                size += len(line)
            return stream[:block_begin] if size > limit else None
        line = stream[position : min(ends)]
        position = min(ends) + (2 if stream[min(ends) : min(ends) + 2] == b"\r\n" else 1)
        if line.partition(b":")[0] in KNOWN_FIELDS:
            size += len(line) + 1
        if size > limit:
            return stream[:block_begin]
        if line == b"":
            block_begin = position
            size = 0
    return None


KNOWN_FIELDS: Final = frozenset({b"data", b"event", b"id", b"retry"})


# What the tests do with a decoder, brought into the shape of an `Outcome`.


def decode(decoder: SSEDecoder, chunks: Iterable[BytesLike]) -> Outcome:
    """Feed all chunks, and close."""
    events: list[Event] = []
    for chunk in chunks:
        events += decoder.feed(chunk)
    decoder.close()
    return events, decoder.last_event_id, decoder.reconnection_time


def pieces_of(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut the stream at these offsets; offsets past its end make empty chunks."""
    pieces: list[bytes] = []
    start = 0
    for cut in sorted(cuts):
        pieces.append(stream[start:cut])
        start = max(start, min(cut, len(stream)))
    pieces.append(stream[start:])
    return pieces
