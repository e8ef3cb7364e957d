"""Shortcuts of the decoder in Python: may be deleted, with the calls to them in `_feed`.

They do what `Decoder` does, for many lines at a time: whole blocks, where none is unfinished
(`_size` is 0; `_last_event_id` equals its buffer then). Gains were measured by leaving each of them
out. Tests run the decoder with and without them, and compare.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from ._call import Call, Fields, new_event
from ._decoder import Decoder, base_ten
from ._events import ParsedEvent, RawEvent, ServerSentEvent
from ._parsing import by_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CR", "LF", "ShortcutDecoder", "parse_at_once"]

# Whether decoders made from now on take shortcuts: for tests, which compare both ways.
_SHORTCUTS = True

# As integers: `int in bytes` is one memchr, `bytes in bytes` four times that.
LF: Final = 0x0A
CR: Final = 0x0D

_MOST_ROOM: Final = 64 * 1024


class ShortcutDecoder(Decoder):
    """A `Decoder` that takes many lines at a time."""

    __slots__ = ("_room", "_shortcuts")

    def __init__(
        self,
        max_event_size: int | None,
        last_event_id: str | None,
        dispatch_empty: bool,
        on_comment: Callable[[str], object] | None,
        on_ignored: Callable[[str], object] | None,
    ) -> None:
        super().__init__(max_event_size, last_event_id, dispatch_empty, on_comment, on_ignored)
        self._shortcuts = _SHORTCUTS and on_comment is None and on_ignored is None
        # How many bytes without an end-of-line a chunk may have to be just appended to `_line`. 0
        # without shortcuts; -1 (not even an empty chunk) where a call has more to do than decode.
        self._room = 0

    def _extends_line(self, chunk: object) -> bool:
        """Take the chunk if it is just a piece of a line. 4x on chunks of one byte."""
        if (
            type(chunk) is bytes
            and len(chunk) <= self._room
            and LF not in chunk
            and CR not in chunk
        ):
            self._line += chunk
            self._room -= len(chunk)
            return True
        return False

    def _make_room(self) -> None:
        if self._skip_lf or not self._shortcuts or self._bom is not None:
            self._room = 0
        else:
            room = _MOST_ROOM
            if self._max_event_size is not None:
                room = self._max_event_size - self._size - len(self._line)
            # min() and max() are slower.
            self._room = _MOST_ROOM if room > _MOST_ROOM else room if room > 0 else 0

    def _take_lines(self, window: bytes, offset: int, call: Call) -> None:
        """Do what the plain way does, with as many lines at a time as possible.

        In reads of 16 KiB that is 4x on one-line JSON events, 2x on others.
        """
        if not self._shortcuts or (call.kind is RawEvent and CR in window):
            # What follows a CR LF would be moved, so no view of it could be taken.
            Decoder._take_lines(self, window, offset, call)
            return
        if CR in window:
            self._skip_lf = window.endswith(b"\r")
            window = window.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        start = 0
        if self._line:  # finish it
            start = window.find(b"\n") + 1
            if not start:
                self._keep_line(window)
                return
            self._finish_line(window[: start - 1], offset + start - 1, call)
        if self._size:  # finish the block
            if window.startswith(b"\n", start):
                blank = start
            else:
                blank = window.find(b"\n\n", start) + 1 or -1
            if blank >= 0:
                if blank > start:
                    self._process_lines(window[start:blank], offset + start, call)
                self._dispatch(call)
                start = blank + 1
        # Blocks that lie within a window of at most max_event_size need no check of their own.
        if len(window) <= (self._max_event_size or len(window)):
            blocks_end = window.rfind(b"\n\n", start)
            if call.kind is RawEvent and not window.startswith(b"data: ", start):
                blocks_end = -1  # as lines, these are faster: 1.2x on typed events
            if blocks_end >= 0:
                if call.kind is ServerSentEvent:
                    text = window[start:blocks_end].decode("utf-8", "replace")
                    self._process_text(text, call.events)
                elif call.kind is RawEvent:
                    self._process_raw(window[start:blocks_end], offset + start, call)
                else:
                    self._process_bytes(window[start:blocks_end], call)
                start = blocks_end + 2
        lines_end = window.rfind(b"\n", start) + 1
        if lines_end:
            self._process_lines(window[start:lines_end], offset + start, call)
            start = lines_end
        if start < len(window):
            self._keep_line(window[start:])

    def _finish_line(self, rest: bytes, end: int, call: Call) -> None:
        """Process the unfinished line, of which this is the rest."""
        line = self._line
        self._line = bytearray()
        # An unfinished line of data becomes the data buffer, without a copy: 2x on 1.5 MB.
        size = self._size + len(line) + len(rest) + 1
        if line.startswith(b"data: ") and not self._data and size <= (self._max_event_size or size):
            line += rest
            line += b"\n"
            del line[:6]
            self._data = line
            self._size = size
            self._value_end = end
        else:
            self._line_end = end
            self._process_line(bytes(line) + rest, call)

    def _process_lines(self, lines: bytes, position: int, call: Call) -> None:
        """Process whole lines, each ended by LF, the first one at this position."""
        # Nothing but data, with one space to strip from each line: 1.8x on events of 50 lines that
        # come in chunks of 1 KiB.
        if lines.startswith(b"data: ") and lines.count(b"\n") == lines.count(b"\ndata: ") + 1:
            size = self._size + len(lines)
            if size <= (self._max_event_size or size):
                self._size = size
                self._value_end = -1
                if not self._data and lines.count(b"\n") == 1:
                    self._value_end = position + len(lines) - 1
                self._data += lines[6:].replace(b"\ndata: ", b"\n")
                return
        for line in lines.split(b"\n")[:-1]:
            self._line_end = position + len(line)
            position = self._line_end + 1
            self._process_line(line, call)

    def _process_bytes(self, blocks: bytes, call: Call) -> None:
        """Process complete blocks, for events whose data are to be parsed."""
        # As in _process_text: 2.2x on one-line JSON events.
        if blocks.startswith(b"data: "):
            lines = blocks[6:].split(b"\n\ndata: ")
            if LF not in b"".join(lines):
                call.add_all_unparsed(lines, self._last_event_id)
                return
        for block in blocks.split(b"\n\n"):
            # Nothing but data, as in _process_text: 1.4x on 50 short lines.
            if block.startswith(b"data: ") and (
                LF not in block or block.count(b"\n") == block.count(b"\ndata: ")
            ):
                data = block[6:].replace(b"\ndata: ", b"\n")
                call.add_unparsed(("message", data, self._last_event_id, None))
                continue
            event = _read_bytes(self, block)
            if event is not None:
                call.add_unparsed(event)

    def _process_raw(self, blocks: bytes, position: int, call: Call) -> None:
        """Process complete blocks, from this position on, for events with views of their data."""
        for block in blocks.split(b"\n\n"):
            # Nothing but data, as in _process_text: 2x on one-line events.
            payload: memoryview | None = None
            if block.startswith(b"data: "):
                if LF not in block:
                    if call.owner is not None and len(block) > 6:
                        payload = memoryview(call.owner)[position + 6 : position + len(block)]
                    else:
                        payload = memoryview(block[6:])
                elif block.count(b"\n") == block.count(b"\ndata: "):
                    payload = memoryview(block[6:].replace(b"\ndata: ", b"\n"))
            if payload is not None:
                fields = ("message", payload, self._last_event_id, None)
                call.events.append(new_event(RawEvent, fields))
            elif block:
                self._process_lines(block + b"\n", position, call)
                self._dispatch(call)
            position += len(block) + 2

    def _process_text(self, text: str, events: list[ServerSentEvent]) -> None:
        """Process complete blocks: their text, less the end of the last line and block."""
        first_end = text.find("\n")
        if text.startswith("data: ") and text.startswith("\n\ndata: ", first_end):
            # Maybe one line of data each: then no Python code runs for each of them. 1.8x on
            # one-line JSON events in 16 KiB chunks.
            data = text[6:].split("\n\ndata: ")
            if "\n" not in "".join(data):  # counting them takes ten times as long
                fields = zip(repeat("message"), data, repeat(self._last_event_id), repeat(None))
                events.extend(map(new_event, repeat(ServerSentEvent), fields))
                return
        for block in text.split("\n\n"):
            payload: str | None = None
            # Nothing but data, with one space to strip from each line: 1.5x on one-line events, up
            # to 1.4x on 50 short lines. Nothing but a comment: 1.8x.
            if block.startswith("data: "):
                if "\n" not in block:
                    payload = block[6:]
                elif block.count("\n") == block.count("\ndata: "):
                    payload = block[6:].replace("\ndata: ", "\n")
            elif block.startswith(":") and "\n" not in block:
                continue
            if payload is None:
                event = _read_text(self, block)
                if event is not None:
                    events.append(new_event(ServerSentEvent, event))
            else:
                event = ("message", payload, self._last_event_id, None)
                events.append(new_event(ServerSentEvent, event))


def _block_reader(
    word: Callable[[str], Any], decode: Callable[[Any], str] | None
) -> Callable[[Decoder, Any], Fields | None]:
    """Return a function that reads one complete block, of text or of bytes.

    The function processes the block's lines, and the blank one that ends it, and returns the fields
    of the event, if there is one. Blank lines that open the block have nothing to dispatch: they
    are ignored. 2x on typed events, compared with the plain way.
    """
    newline, colon, colon_space, nul = map(word, ("\n", ":", ": ", "\0"))
    data_name, event_name, id_name, retry_name = map(word, ("data", "event", "id", "retry"))
    names = frozenset({data_name, event_name, id_name, retry_name})

    def read(decoder: Any, block: Any) -> Fields | None:
        data: list[Any] = []
        event_type = ""
        retry: int | None = None
        has_field = False

        for line in block.split(newline):
            name, _, value = line.partition(colon_space)
            if name == data_name:
                data.append(value)
                continue
            if name not in names:  # there is no space to strip, no value, or no such field
                name, _, value = line.partition(colon)
            if name == event_name:
                event_type = value if decode is None else decode(value)
                has_field = True
            elif name == id_name:
                if nul not in value:
                    # Both: nothing comes between this line and the end of its block.
                    event_id = value if decode is None else decode(value)
                    decoder._last_event_id = decoder._last_event_id_buffer = event_id
                    has_field = True
            elif name == retry_name:
                number = base_ten(value if decode is None else decode(value))
                if number is not None:
                    decoder._reconnection_time = retry = number
                    has_field = True
            elif name == data_name:
                data.append(value)

        if data or (has_field and decoder._dispatch_empty):
            # Joining is the same as appending an LF to each line, and removing the last one.
            return event_type or "message", newline.join(data), decoder._last_event_id, retry
        return None

    return read


_read_text: Final = _block_reader(str, None)
_read_bytes: Final = _block_reader(str.encode, lambda value: value.decode("utf-8", "replace"))


def parse_at_once(call: Call, parse: Callable[[str, bytes], object]) -> None:
    """Parse events up to the first that is skipped or fails. 1.5x on chat chunks.

    That one is left to the caller: `extend` keeps the events that came before an exception. A
    parser that raises StopIteration looks like the end here; the caller finds out by parsing that
    event again.
    """
    types, data, ids, retries = call.unparsed
    values: Iterator[object] = map(parse, types, data)
    known: Any = parse
    if type(known) is by_event and not known.parsers and not isinstance(known.default, str):
        values = map(known.default, data)
    fields = zip(types, values, ids, retries, strict=False)
    call.events.extend(map(new_event, repeat(ParsedEvent), fields))
