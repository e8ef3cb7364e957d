"""The decoder, as the standard defines it: bytes of an event stream in, events out.

This module is the definition; `sse_core.h` is the same in C. It follows "Interpreting an event
stream" (HTML Standard, 9.2.6), quoted beside the steps, and does no I/O. (9.2.5 is its grammar.) A
chunk is cut into lines, each line is a field, a comment or blank, and a blank line dispatches an
event. Two modules build on it: `_shortcuts` does the same for many lines at a time, where that is
faster in Python, and `_feed` is what callers see.

**Bytes, not text.** The standard decodes the stream to text first, and then looks for lines. Here
lines are found in the bytes, and only values become text. The result is the same: every character
that the parser looks for is ASCII (but for the byte order mark), and no ASCII byte is ever part of
a longer character, nor swallowed by a malformed one. (For a malformed one, "replace" yields as many
U+FFFD as the standard's decoder.) So no value is cut within a character, and data can be handed out
as bytes.

**What the edge of a chunk can cut.** A line: its beginning waits in `_line`. A CR LF: the CR ends
its line at once, and `_skip_lf` says to skip an LF that opens the next chunk. The byte order mark:
`_bom`. A block (the lines up to a blank one): the standard's buffers (`_data`, `_event_type`,
`_last_event_id_buffer`) outlast the chunk, with what is noted beside them.

**What is ours, not the standard's.** Four things make a difference: the last event ID of an earlier
connection, `max_event_size`, `dispatch_empty`, and a `retry` of more than 640 digits, which is
ignored. Others make none: observers of ignored lines, what an event says of `retry`, and positions
in the chunk (`offset`, `_line_end`, `_value_end`), of which feed_raw() makes views. "Ours" marks
where these come in; skip them on a first reading.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from ._errors import EventTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._call import Call

__all__ = ["MAX_RETRY_DIGITS", "Decoder", "base_ten"]

MAX_RETRY_DIGITS: Final = 640
"""Longest `retry` value that counts, in significant digits. The lowest limit that a process can set
for `int()`, so a stream's digits never make it raise, nor cost quadratic time."""

_BOM: Final = b"\xef\xbb\xbf"

# The fields that the standard knows, and how their lines begin.
_FIELD_NAMES: Final = frozenset({b"data", b"event", b"id", b"retry"})
_FIELD_PREFIXES: Final = (b"data:", b"event:", b"id:", b"retry:")
_LONGEST_PREFIX: Final = max(map(len, _FIELD_PREFIXES))


class Decoder:
    """Decodes one event stream: `SSEDecoder` without shortcuts, and without checks for callers."""

    __slots__ = (
        "_bom",
        "_data",
        "_dispatch_empty",
        "_event_type",
        "_has_field",
        "_last_event_id",
        "_last_event_id_buffer",
        "_line",
        "_line_end",
        "_max_event_size",
        "_notes",
        "_on_comment",
        "_on_ignored",
        "_reconnection_time",
        "_retry",
        "_size",
        "_skip_lf",
        "_value_end",
    )

    def __init__(
        self,
        max_event_size: int | None,
        last_event_id: str | None,
        dispatch_empty: bool,
        on_comment: Callable[[str], object] | None,
        on_ignored: Callable[[str], object] | None,
    ) -> None:
        # The standard's buffers. "They must be initialized to the empty string." (Ours: the last
        # one to the ID of an earlier connection; None: there was none.) A blank line resets all but
        # the last.
        self._data = bytearray()
        self._event_type = ""
        self._last_event_id_buffer = last_event_id
        # What outlives its event.
        self._last_event_id = last_event_id
        self._reconnection_time: int | None = None

        # The part of a byte order mark that the stream began with; None once that is decided.
        self._bom: bytes | None = b""
        # True after a chunk that ends in CR: an LF opening the next one belongs to that CR, and is
        # not a line of its own. The line that the CR ends is not held back for it.
        self._skip_lf = False
        # The unfinished line; only its beginning if the rest cannot matter: see _keep_line().
        self._line: bytearray = bytearray()

        # Ours: options, as `SSEDecoder` describes them.
        self._max_event_size = max_event_size
        self._dispatch_empty = dispatch_empty
        self._on_comment = on_comment
        self._on_ignored = on_ignored
        # Ours: callbacks to be called when the chunk has been taken, each with its text.
        self._notes: deque[tuple[Callable[[str], object], str]] = deque()
        # Ours: where the line that is being processed ends in this chunk.
        self._line_end = 0
        # Ours: where the data ends in this chunk, if it is one line, for a view; else -1. (Data
        # longer than that began in an earlier chunk: then there is no view.) `_feed` resets it
        # after each chunk.
        self._value_end = -1
        # Ours: the bytes of the block's field lines, each plus one for its end.
        self._size = 0
        # Ours: whether the block has a valid field other than data.
        self._has_field = False
        # Ours: what its `retry` has set. A blank line resets these four.
        self._retry: int | None = None

    # From bytes to lines.

    def _take_window(self, window: bytes, offset: int, call: Call) -> None:
        """Take a chunk; or some whole lines of it, which begin at this offset."""
        end = offset + len(window)
        # "Streams must be decoded using the UTF-8 decode algorithm", which "strips one leading
        # UTF-8 Byte Order Mark (BOM), if any".
        if self._bom is not None:
            window = self._strip_bom(window)
        if not window:  # nothing, or what may become a byte order mark: `_skip_lf` stays
            return
        if self._skip_lf:
            self._skip_lf = False
            window = window.removeprefix(b"\n")
        # (Negative if bytes were held back that turned out not to be a byte order mark.)
        self._take_lines(window, end - len(window), call)

    def _strip_bom(self, window: bytes) -> bytes:
        """Return the beginning of the stream, less its byte order mark; b"" while undecided."""
        beginning = (self._bom or b"") + window
        if len(beginning) < len(_BOM) and _BOM.startswith(beginning):
            self._bom = beginning
            return b""
        self._bom = None
        return beginning.removeprefix(_BOM)

    def _take_lines(self, window: bytes, offset: int, call: Call) -> None:
        # "The stream must then be parsed by reading everything line by line, with a U+000D CARRIAGE
        # RETURN U+000A LINE FEED (CRLF) character pair, a single U+000A LINE FEED (LF) character
        # not preceded by a U+000D CARRIAGE RETURN (CR) character, and a single U+000D CARRIAGE
        # RETURN (CR) character not followed by a U+000A LINE FEED (LF) character being the ways in
        # which a line can end." On bytes, splitlines() splits at these, and at no others.
        for part in window.splitlines(keepends=True):
            line = part.rstrip(b"\r\n")  # that is one end-of-line at most
            if len(line) == len(part):  # the last part, in which the line does not end
                self._keep_line(part)
                break
            self._line_end = offset + len(line)  # ours
            if self._line:  # (if it is an ignored one, its middle may be missing)
                line = bytes(self._line) + line
                self._line.clear()
            self._process_line(line, call)
            offset += len(part)
        self._skip_lf = window.endswith(b"\r")

    def _keep_line(self, part: bytes) -> None:
        """Append to the unfinished line, as far as it may matter."""
        line = self._line
        # Six bytes decide what a line is: no name is longer, with its colon. At least these are
        # kept, so the whole line is judged alike.
        beginning = line or part
        if len(beginning) < _LONGEST_PREFIX:
            beginning = line + part[:_LONGEST_PREFIX]
        limit = self._max_event_size
        if beginning.startswith(_FIELD_PREFIXES):
            size = self._size + len(line) + len(part)
            if limit is not None and size > limit:  # ours; its end, which counts, is still to come
                raise EventTooLarge(size, limit)
            line += part
            return
        # It is ignored, or too short to tell.
        most = _LONGEST_PREFIX
        if (self._on_comment if beginning.startswith(b":") else self._on_ignored) is not None:
            # Ours: for an observer, who gets `limit` bytes: see _note().
            most = len(line) + len(part) if limit is None else max(limit, most)
        line += part[:most]
        del line[most:]

    # "Lines must be processed, in the order they are received, as follows:"

    def _process_line(self, line: bytes, call: Call) -> None:
        # "If the line is empty (a blank line): Dispatch the event, as defined below."
        if not line:
            self._dispatch(call)
            return
        # "If the line starts with a U+003A COLON character (:): Ignore the line."
        if line.startswith(b":"):
            if self._on_comment is not None:
                self._note(self._on_comment, line)
            return
        # "If the line contains a U+003A COLON character (:): Collect the characters on the line
        # before the first U+003A COLON character (:), and let field be that string. Collect the
        # characters on the line after the first U+003A COLON character (:), and let value be that
        # string. If value starts with a U+0020 SPACE character, remove it from value. [...]
        # Otherwise: Process the field using [...] the whole line as the field name, and the empty
        # string as the field value."
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name in _FIELD_NAMES:  # ours: these count, even if they are ignored below
            size = self._size + len(line) + 1
            if self._max_event_size is not None and size > self._max_event_size:
                raise EventTooLarge(size, self._max_event_size)
            self._size = size
        if not self._process_field(name, value) and self._on_ignored is not None:
            self._note(self._on_ignored, line)

    def _process_field(self, name: bytes, value: bytes) -> bool:
        """Process a field; return False if it is ignored."""
        # "If the field name is "event": Set the event type buffer to the field value."
        if name == b"event":
            self._event_type = value.decode("utf-8", "replace")
        # "If the field name is "data": Append the field value to the data buffer, then append a
        # single U+000A LINE FEED (LF) character to the data buffer."
        elif name == b"data":
            self._value_end = -1 if self._data else self._line_end  # ours
            self._data += value
            self._data += b"\n"
            return True  # (it leaves `_has_field` alone)
        # "If the field name is "id": If the field value does not contain U+0000 NULL, then set the
        # last event ID buffer to the field value. Otherwise, ignore the field."
        elif name == b"id":
            if b"\0" in value:
                return False
            self._last_event_id_buffer = value.decode("utf-8", "replace")
        # "If the field name is "retry": If the field value consists of only ASCII digits, then
        # interpret the field value as an integer in base ten, and set the event stream's
        # reconnection time to that integer. Otherwise, ignore the field." (Ours: how many digits.)
        elif name == b"retry":
            number = base_ten(value.decode("utf-8", "replace"))
            if number is None:
                return False
            self._reconnection_time = self._retry = number
        # "Otherwise: The field is ignored."
        else:
            return False
        self._has_field = True  # ours
        return True

    def _dispatch(self, call: Call) -> None:
        # "Set the last event ID string of the event source to the value of the last event ID
        # buffer. The buffer does not get reset, so the last event ID string of the event source
        # remains set to this value until the next time it is set by the server."
        self._last_event_id = self._last_event_id_buffer
        # "If the data buffer is an empty string, set the data buffer and the event type buffer to
        # the empty string and return."
        if not self._data and not (self._dispatch_empty and self._has_field):  # ours: the latter
            self._reset_block()
            return
        # "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove the
        # last character from the data buffer."
        del self._data[-1:]
        # "Initialize event's type attribute to "message", its data attribute to data [...] If the
        # event type buffer has a value other than the empty string, change the type of the newly
        # created event to equal the value of the event type buffer."
        event_type = self._event_type or "message"
        # This copies the data, as text or as bytes.
        call.add(event_type, self._data, self._value_end, self._last_event_id, self._retry)
        # "Set the data buffer and the event type buffer to the empty string."
        self._reset_block()

    def _reset_block(self) -> None:
        self._data.clear()
        self._event_type = ""
        self._size = 0
        self._retry = None
        self._has_field = False
        self._value_end = -1

    # "Once the end of the file is reached, any pending data must be discarded." It simply is
    # never dispatched.

    # Ours: limits and observers.

    def _note(self, callback: Callable[[str], object], line: bytes) -> None:
        """Note that a callback is to be called with this line, up to `max_event_size` bytes of it.

        Of a comment, that is what follows the colon, less one space.
        """
        text = line[: self._max_event_size]
        if text.startswith(b":"):
            text = text[1:].removeprefix(b" ")
        self._notes.append((callback, text.decode("utf-8", "replace")))

    def _count_unfinished(self) -> int:
        """Return `SSEDecoder.unfinished`: the bytes of the block, and of what may be a field."""
        line = self._line
        may_be_field = line.startswith(_FIELD_PREFIXES) or any(
            prefix.startswith(line) for prefix in _FIELD_PREFIXES
        )
        return self._size + len(line) if may_be_field else self._size


def base_ten(value: str) -> int | None:
    """Return the integer, if the value is ASCII digits: one at least, and not too many."""
    # isdigit() is also true of superscripts, and of the digits of any script.
    if not (value.isascii() and value.isdigit()):
        return None
    if len(value) > MAX_RETRY_DIGITS:
        value = value.lstrip("0") or "0"
        if len(value) > MAX_RETRY_DIGITS:
            return None
    return int(value)
