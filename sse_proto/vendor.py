"""Server-sent events in one file, to copy: ``python -m sse_proto.vendor > sse.py``.

A decoder of event streams as the HTML Standard defines them (9.2.5 and 9.2.6, quoted below),
whatever the chunks; in linear time and limited memory. No I/O, no dependency, Python 3.10 or later.

    decoder = Decoder()
    for chunk in response:  # bytes, cut anywhere
        for event in decoder.feed(chunk):
            print(event.event, event.data)

It is the plain definition of sse-proto (MIT licence), which also has a decoder many times as fast,
payloads as bytes, adapters for HTTP clients, and reconnection.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Decoder", "Event", "EventTooLarge"]


class Event(NamedTuple):
    """One event."""

    event: str  # "message" where the stream names none
    data: str
    id: str | None  # the last event ID, of this event or an earlier one; None: none was ever set
    retry: int | None  # milliseconds, if this event has set the reconnection time


class EventTooLarge(Exception):
    """An unfinished event holds more than the decoder's ``max_event_size`` bytes."""


class Decoder:
    """Decodes one event stream (one connection).

    Args:
        last_event_id: The last event ID of an earlier connection.
        max_event_size: Most bytes that an unfinished event may hold: its field lines as they were
            sent, each with one end-of-line.
    """

    def __init__(
        self, last_event_id: str | None = None, max_event_size: int = 16 * 1024 * 1024
    ) -> None:
        self.last_event_id = last_event_id
        self.reconnection_time: int | None = None  # milliseconds
        self._max_event_size = max_event_size
        self._failed = False
        self._bom: bytes | None = b""  # the part of a BOM seen so far; None: decided
        self._skip_lf = False  # after a chunk that ends in CR: an LF belongs to it
        self._line = bytearray()  # the unfinished line; only the beginning if it is not a field
        self._last_event_id_buffer = last_event_id
        self._data = bytearray()
        self._event_type = ""
        self._retry: int | None = None
        self._size = 0  # of the unfinished event

    def feed(self, chunk: bytes) -> list[Event]:
        """Decode a chunk; return the events that it completes.

        Raises:
            EventTooLarge: An event is. If the chunk completed others before it, the next call
                raises instead; and so does each call after that.
        """
        events: list[Event] = []
        try:
            self._take(chunk, events)
        except EventTooLarge:
            self._failed = True
            self._line.clear()
            self._data.clear()
            if not events:
                raise
        return events

    def _take(self, chunk: bytes, events: list[Event]) -> None:
        if self._failed:
            raise EventTooLarge
        # "Streams must be decoded using the UTF-8 decode algorithm", which "strips one leading
        # UTF-8 Byte Order Mark (BOM), if any".
        if self._bom is not None:
            chunk = self._bom + chunk
            self._bom = chunk if len(chunk) < 3 and b"\xef\xbb\xbf".startswith(chunk) else None
            chunk = chunk.removeprefix(b"\xef\xbb\xbf") if self._bom is None else b""
        if self._skip_lf and chunk:
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        # "Lines must be separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF)
        # character pair, a single U+000A LINE FEED (LF) character, or a single U+000D CARRIAGE
        # RETURN (CR) character." Of bytes, splitlines() knows these, and no others.
        for part in chunk.splitlines(keepends=True):
            content = part.rstrip(b"\r\n")
            self._keep(content)
            if len(content) < len(part):
                line = bytes(self._line)
                self._line.clear()
                self._process_line(line, events)
        if chunk:
            self._skip_lf = chunk.endswith(b"\r")

    def _keep(self, part: bytes) -> None:
        self._line += part
        if not self._line.startswith((b"data:", b"event:", b"id:", b"retry:")):
            del self._line[6:]  # enough to see that it is not a field
        elif self._size + len(self._line) > self._max_event_size:
            raise EventTooLarge

    def _process_line(self, line: bytes, events: list[Event]) -> None:
        # "If the line is empty (a blank line): Dispatch the event, as defined below."
        if not line:
            self._dispatch(events)
            return
        # "If the line starts with a U+003A COLON character (:): Ignore the line."
        # "If the line contains a U+003A COLON character (:): Collect the characters on the line
        # before the first U+003A COLON character (:), and let field be that string. Collect the
        # characters on the line after the first U+003A COLON character (:), and let value be that
        # string. If value starts with a U+0020 SPACE character, remove it from value."
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        # "Otherwise: The field is ignored."
        if field not in (b"event", b"data", b"id", b"retry"):
            return
        self._size += len(line) + 1
        if self._size > self._max_event_size:
            raise EventTooLarge
        # "If the field name is "event": Set the event type buffer to the field value."
        if field == b"event":
            self._event_type = value.decode("utf-8", "replace")
        # "If the field name is "data": Append the field value to the data buffer, then append a
        # single U+000A LINE FEED (LF) character to the data buffer."
        elif field == b"data":
            self._data += value + b"\n"
        # "If the field name is "id": If the field value does not contain U+0000 NULL, then set the
        # last event ID buffer to the field value. Otherwise, ignore the field."
        elif field == b"id":
            if b"\0" not in value:
                self._last_event_id_buffer = value.decode("utf-8", "replace")
        # "If the field name is "retry": If the field value consists of only ASCII digits, then
        # interpret the field value as an integer in base ten, and set the event stream's
        # reconnection time to that integer. Otherwise, ignore the field." (More, int() may refuse.)
        elif value.isdigit() and len(value.lstrip(b"0")) <= 640:
            self.reconnection_time = self._retry = int(value.lstrip(b"0") or b"0")

    def _dispatch(self, events: list[Event]) -> None:
        # "Set the last event ID string of the event source to the value of the last event ID
        # buffer."
        self.last_event_id = self._last_event_id_buffer
        # "If the data buffer is an empty string, set the data buffer and the event type buffer to
        # the empty string and return. If the data buffer's last character is a U+000A LINE FEED
        # (LF) character, then remove the last character from the data buffer. [...] Initialize
        # event's type attribute to "message" [...] If the event type buffer has a value other than
        # the empty string, change the type [...] to equal the value of the event type buffer."
        if self._data:
            data = self._data[:-1].decode("utf-8", "replace")
            event_type = self._event_type or "message"
            events.append(Event(event_type, data, self.last_event_id, self._retry))
        # "Set the data buffer and the event type buffer to the empty string."
        self._data.clear()
        self._event_type = ""
        self._retry = None
        self._size = 0


# "Once the end of the file is reached, any pending data must be discarded." Just stop feeding.

if __name__ == "__main__":  # not part of the file
    from pathlib import Path

    print(Path(__file__).read_text("utf-8").partition("\n\nif __name__")[0])
