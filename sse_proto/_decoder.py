"""The decoder: bytes of an event stream in, events out.

This module is the definition; `sse_core.h` does the same in C. It follows "Parsing an event stream"
and "Interpreting an event stream" (HTML Standard, 9.2.5 and 9.2.6), quoted beside the steps, and
does no I/O.

**How to read it.** The first part is the plain way: a chunk is cut into lines (9.2.5), each line is
a field, a comment or blank (9.2.6), and a blank line dispatches an event. That is the whole
standard, and all that a decoder needs. The second part, "Shortcuts: may be deleted", does the same
for many lines at a time, where that is faster in Python. Tests run with and without it.

**Bytes, not text.** The standard decodes the stream to text first, and then looks for lines. Here
lines are found in the bytes, and only values become text. The result is the same: everything the
grammar knows is ASCII, and no ASCII byte is ever part of a longer character, valid or not. So no
character is ever cut, and data can be handed out as bytes.

**What the edge of a chunk can cut.** A line: its beginning waits in `_line`. A CR LF: the CR ends
its line at once, and `_skip_lf` says to skip an LF that opens the next chunk. The byte order mark:
`_bom`. A block (the lines up to a blank one): the standard's buffers (`_data`, `_event_type`,
`_last_event_id_buffer`) outlast the chunk. Nothing else does.

**Limits.** `_size` counts the field lines of the unfinished block. It is checked when a line ends,
and at the end of a chunk together with the unfinished line. Of a line that cannot be a field, only
a bounded part is kept.

**Callers' code** (callbacks, a parser) runs once the chunk has been decoded and the decoder is
consistent. If it raises, nothing is lost: the events wait in `_waiting` for the next call.
"""

from __future__ import annotations

import re
from array import array
from collections import deque
from itertools import repeat
from mmap import mmap
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, TypeVar, cast, final

from ._errors import EventTooLarge
from ._events import ParsedEvent, RawEvent, ServerSentEvent
from ._parsing import SkipEvent, attach_event, by_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DEFAULT_MAX_EVENT_SIZE", "MAX_RETRY_DIGITS", "BytesLike", "SSEDecoder"]

T = TypeVar("T")

BytesLike: TypeAlias = "bytes | bytearray | memoryview[Any] | array[Any] | mmap"
"""What `SSEDecoder.feed` takes: contiguous, with items of one byte. Other objects with such a
buffer work too; `collections.abc.Buffer`, which would say so, is new in Python 3.12."""

DEFAULT_MAX_EVENT_SIZE: Final = 16 * 1024 * 1024
"""Bytes. Far above any event that a program sends on purpose, far below what hurts a process."""

MAX_RETRY_DIGITS: Final = 640
"""Longest `retry` value that counts, in significant digits. The lowest limit that a process can set
for `int()`, so a stream's digits never raise there, nor cost quadratic time."""

# Bytes decoded at a time. A larger chunk is taken in windows of this size (cut at line ends), so
# that the lists made from it stay small beside it, and within the processor's cache.
_WINDOW: Final = 64 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"[\r\n]")

# The fields that the standard knows, and how their lines begin.
_FIELD_NAMES: Final = frozenset({b"data", b"event", b"id", b"retry"})
_FIELD_PREFIXES: Final = (b"data:", b"event:", b"id:", b"retry:")
_LONGEST_PREFIX: Final = 6

_IN_USE: Final = "the decoder is in use: called from within, or beside, its own feed()"
_UNIQUE: Final = "an SSEDecoder is in the middle of its stream: it cannot be copied or pickled"

# Takes half the time of calling the class, whose own __new__ would only call this.
_new_event: Final = cast("Callable[..., Any]", tuple.__new__)


@final
class SSEDecoder:
    """Incremental decoder of one event stream (one connection).

    Chunks may be cut anywhere: within a character, between CR and LF, within the BOM. Every byte is
    looked at a bounded number of times, whatever the chunks. Use an instance from one thread at a
    time; it cannot be copied.

    Callbacks run in the order of the stream, within the call that is given the end of their line,
    before it returns its events. What one raises reaches the caller at once, and costs no event and
    no other line: the chunk has been taken, and the next call (``feed(b"")`` is one) goes on with
    the lines and events that are left.

    Args:
        max_event_size: Most bytes that an unfinished event may hold: its field lines as they were
            sent, each with one end-of-line. Comments and unknown fields neither count nor are kept.
            ``None``: no limit.
        last_event_id: The last event ID to start with, from an earlier connection.
        dispatch_empty: Also dispatch blocks that have a valid field but no data, unlike the
            standard; for servers that send ``event: done`` alone.
        on_comment: Called with each comment: the text after its colon, less one space. A line
            longer than ``max_event_size`` is cut to that many bytes.
        on_ignored: Called with the text of each other line that the standard ignores: an unknown
            field, a `retry` that is not a number (of up to 640 digits), an `id` with NUL. Cut
            likewise.

    Raises:
        ValueError: ``max_event_size`` is less than 1.

    See "Server-sent events", HTML Standard 9.2.
    """

    __slots__ = (
        "_bom",
        "_data",
        "_deferred",
        "_discarded",
        "_dispatch_empty",
        "_event_type",
        "_has_field",
        "_last_event_id",
        "_last_event_id_buffer",
        "_line",
        "_max_event_size",
        "_notes",
        "_on_comment",
        "_on_ignored",
        "_reconnection_time",
        "_refusal",
        "_retry",
        "_room",
        "_running",
        "_shortcuts",
        "_size",
        "_skip_lf",
        "_value_end",
        "_waiting",
    )

    def __init__(
        self,
        *,
        max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE,
        last_event_id: str | None = None,
        dispatch_empty: bool = False,
        on_comment: Callable[[str], object] | None = None,
        on_ignored: Callable[[str], object] | None = None,
    ) -> None:
        if max_event_size is not None and max_event_size < 1:
            raise ValueError(f"max_event_size must be at least 1 byte, not {max_event_size}")
        self._max_event_size = max_event_size
        self._dispatch_empty = dispatch_empty
        self._on_comment = on_comment
        self._on_ignored = on_ignored

        # What outlives its event.
        self._last_event_id = last_event_id
        self._reconnection_time: int | None = None

        # The part of a byte order mark that the stream has begun with; None once that is decided.
        self._bom: bytes | None = b""
        # True after a chunk that ends in CR: an LF opening the next one belongs to it, and is not a
        # line of its own. The line that the CR ends does not wait for it.
        self._skip_lf = False
        # The unfinished line; only part of it if it cannot be a field and nobody observes it.
        self._line = bytearray()

        # The standard's buffers. A blank line resets all but the last.
        self._data = bytearray()
        self._event_type = ""
        self._last_event_id_buffer = last_event_id
        # More about the unfinished block, reset with them: the bytes of its field lines, each with
        # one end-of-line; what its `retry` has set; whether it has a valid field other than data;
        # where in the chunk its only line of data ends, or -1: it has no such line in this chunk.
        self._size = 0
        self._retry: int | None = None
        self._has_field = False
        self._value_end = -1

        # Why nothing more is taken, which further calls raise; the same while it is still to be
        # raised for the first time, after the events before it; and how many bytes were discarded.
        self._refusal: EventTooLarge | ValueError | None = None
        self._deferred: EventTooLarge | None = None
        self._discarded = 0

        # Callbacks still to be called; the events that a call has not returned, or could not; and
        # whether the caller's code is running, within a call.
        self._notes: deque[tuple[Callable[[str], object], str]] = deque()
        self._waiting: _Call | None = None
        self._running = False

        self._shortcuts = _SHORTCUTS and on_comment is None and on_ignored is None
        # The longest chunk without an end-of-line that is simply appended to `_line`. 0 without
        # shortcuts; -1, not even an empty one, where a call has more to do than decode.
        self._room = 0

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("type 'SSEDecoder' is not an acceptable base type")

    def __reduce__(self) -> NoReturn:
        raise TypeError(_UNIQUE)

    @property
    def max_event_size(self) -> int | None:
        """Most bytes that an unfinished event may hold; ``None``: no limit."""
        return self._max_event_size

    @property
    def dispatch_empty(self) -> bool:
        """Whether blocks that have fields but no data are dispatched."""
        return self._dispatch_empty

    @property
    def last_event_id(self) -> str | None:
        """The last event ID, as of the last blank line; ``None``: none was ever set."""
        return self._last_event_id

    @property
    def reconnection_time(self) -> int | None:
        """What the last valid `retry` field set, in milliseconds; ``None``: there was none."""
        return self._reconnection_time

    @property
    def unfinished(self) -> int:
        """Bytes of the event that has begun but not finished, as `max_event_size` counts them.

        An unfinished line counts as long as it may be a field. 0: the stream is between two events,
        and could end here. After `close` or `EventTooLarge`: the bytes that were discarded.
        """
        if self._refusal is not None:
            return self._discarded
        line = bytes(self._line)
        may_be_field = line.startswith(_FIELD_PREFIXES) or any(
            prefix.startswith(line) for prefix in _FIELD_PREFIXES
        )
        return self._size + len(line) if may_be_field else self._size

    def feed(self, chunk: BytesLike, /) -> list[ServerSentEvent]:
        """Decode one chunk of the event stream.

        Args:
            chunk: Contiguous bytes, any length, cut anywhere. Borrowed: the caller may overwrite,
                resize or release the buffer as soon as this method returns.

        Returns:
            Events that this chunk completed, oldest first; empty if none.

        Raises:
            TypeError: ``chunk`` is not bytes-like, or its items are larger than one byte.
            BufferError: ``chunk`` is not contiguous.
            EventTooLarge: An event needs more than ``max_event_size`` bytes. If the chunk completed
                other events before it, these are returned, and the next call raises. The decoder is
                useless afterwards: each further call raises the same error.
            ValueError: The decoder is closed; or ``chunk`` is, such as a released `memoryview`.
            RuntimeError: The decoder is in use, by its own callback or parser or by another thread;
                or events still wait because a callback or a parser raised, and belong to another
                method, or are too many (see `feed_parsed`).

        Also whatever a callback raises. See "Interpreting an event stream", HTML Standard 9.2.6.
        """
        events: list[ServerSentEvent] = []
        # Shortcut, for the two usual chunks: a piece of a line, and whole blocks. 5x on chunks of
        # one byte, 1.6x on one event a chunk.
        if type(chunk) is bytes and len(chunk) <= self._room:
            if _LF not in chunk:
                if _CR not in chunk:
                    self._line += chunk
                    self._room -= len(chunk)
                    return events
            elif not self._size and not self._line:
                blocks = chunk
                if _CR in blocks and blocks[-1] != _CR:
                    blocks = blocks.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                if blocks.endswith(b"\n\n"):
                    self._process_text(blocks[:-2].decode("utf-8", "replace"), events)
                    return events
        return self._finish(self._take(chunk, ServerSentEvent))

    def feed_raw(self, chunk: BytesLike, /) -> list[RawEvent]:
        """Decode one chunk as `feed` does, but leave the data as bytes.

        For data that is passed on to a socket or a file. (For a parser there is `feed_parsed`.) You
        may alternate between the methods.

        Args:
            chunk: As for `feed`.

        Returns:
            Events that this chunk completed. If ``chunk`` is `bytes` (not a subclass) and has all
            of an event's data in one line, its ``data`` is a view of ``chunk`` itself, which it
            keeps alive; otherwise it is a view of a private copy. Either way it is read-only, never
            changes, and has the bytes as they were sent, even where they are not UTF-8.

        Raises:
            TypeError, BufferError, EventTooLarge, ValueError, RuntimeError: As `feed`.
        """
        if self._extends_line(chunk):
            return []
        return self._finish(self._take(chunk, RawEvent))

    def feed_parsed(
        self, chunk: BytesLike, parse: Callable[[str, bytes], T], /
    ) -> list[ParsedEvent[T]]:
        """Decode one chunk as `feed` does, and parse the data of each event from its bytes.

        Args:
            chunk: As for `feed`.
            parse: Called with the event type and the data of each event, in order; the data as it
                was sent, even where it is not UTF-8. `by_event` combines several parsers that take
                the data alone into one. An event for which it raises `SkipEvent` is left out.

        Returns:
            Events that this chunk completed; their ``data`` is what ``parse`` returned.

        Raises:
            TypeError, BufferError, EventTooLarge, ValueError: As `feed`.
            RuntimeError: As `feed`; or events wait already (see below), and the chunks fed since
                have more than ``max_event_size`` bytes. This one has not been taken.

        What ``parse`` raises reaches the caller unchanged; `failed_event` says for which event. An
        `Exception` costs that event alone. It comes after the events before it: if this chunk has
        any, they are returned, and the next call raises. The call after that goes on with the next
        event. Anything else, such as `KeyboardInterrupt`, comes at once and costs nothing: the next
        call returns the events before it, and parses that event again. The chunk has been taken in
        any case. To get everything that is there before the next chunk comes, call with ``b""``
        until that returns an empty list; this works after `close` too.
        """
        if self._extends_line(chunk):
            return []
        call = self._take(chunk, ParsedEvent)
        del chunk  # an exception that waits may hold this frame
        return self._parse(call, parse)

    def close(self) -> None:
        """Tell the decoder that the stream has ended. May be called again.

        An unfinished event is discarded, as the standard asks; `unfinished` says how much that was.
        `last_event_id` and `reconnection_time` stay readable.

        Raises:
            EventTooLarge: The last `feed` returned events, and left this for the next call. Also
                whatever the last `feed_parsed` left.
            RuntimeError: The decoder is in use.
        """
        if self._running:
            raise RuntimeError(_IN_USE)
        # "Once the end of the file is reached, any pending data must be discarded. (If the file
        # ends in the middle of an event, before the final empty line, the incomplete event is not
        # dispatched.)"
        self._refuse_from_now_on(
            ValueError("feed() after close(): a decoder is for one stream"), self.unfinished
        )
        waiting = self._waiting
        if waiting is not None and waiting.error is not None:
            error, waiting.error = waiting.error, None
            raise error
        if self._deferred is not None:
            self._refuse(self._deferred)

    # Parsing (9.2.5): from bytes to lines.

    def _take_buffer(self, chunk: BytesLike, call: _Call) -> None:
        """Take any bytes-like object, in windows that end where a line ends."""
        try:
            view = memoryview(chunk)
        except TypeError:
            raise _not_bytes_like(chunk) from None
        with view:
            if view.itemsize != 1:
                raise TypeError(
                    f"feed() takes items of 1 byte, not of {view.itemsize} bytes"
                    f" (format {view.format!r}); pass memoryview(...).cast('B')"
                )
            if not view.c_contiguous:
                raise BufferError("feed() takes a contiguous buffer; pass a copy of this one")
            if self._waiting is not None and view.nbytes:
                call.held += view.nbytes
                if self._max_event_size is not None and call.held > self._max_event_size:
                    call.held -= view.nbytes
                    raise RuntimeError("too many events wait: call again with b'' first")
            if view.nbytes <= _WINDOW or view.ndim != 1:
                self._take_window(view.tobytes(), 0, call)
            else:
                start = 0
                while start < len(view):
                    line_end = _LINE_END.search(view, start + _WINDOW)
                    end = line_end.end() if line_end else len(view)
                    self._take_window(view[start:end].tobytes(), start, call)
                    start = end

    def _take_window(self, window: bytes, position: int, call: _Call) -> None:
        """Take the part of the chunk from this position to the end of a line, or of the chunk."""
        end = position + len(window)
        # "Streams must be decoded using the UTF-8 decode algorithm", which "strips one leading
        # UTF-8 Byte Order Mark (BOM), if any".
        if self._bom is not None:
            window = self._strip_bom(window)
        if self._skip_lf and window:
            self._skip_lf = False
            window = window.removeprefix(b"\n")
        # (Shortcuts move what follows a CR LF, so no view of it could be taken.)
        if self._shortcuts and (call.kind is not RawEvent or _CR not in window):
            self._take_blocks(window, end - len(window), call)
            return

        # "Lines must be separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF)
        # character pair, a single U+000A LINE FEED (LF) character, or a single U+000D CARRIAGE
        # RETURN (CR) character." Of bytes, splitlines() knows these, and no others.
        position = end - len(window)
        for line in window.splitlines(keepends=True):
            content = line.rstrip(b"\r\n")
            if len(content) == len(line):
                self._keep_line(line)
            else:
                whole = content
                if self._line:
                    whole = bytes(self._line) + content
                    self._line.clear()
                self._process_line(whole, position + len(content), call)
            position += len(line)
        if window:
            self._skip_lf = window.endswith(b"\r")

    def _strip_bom(self, window: bytes) -> bytes:
        """Return the beginning of the stream, less its byte order mark; b"" while undecided."""
        beginning = (self._bom or b"") + window
        if len(beginning) < len(_BOM) and _BOM.startswith(beginning):
            self._bom = beginning
            return b""
        self._bom = None
        return beginning.removeprefix(_BOM)

    def _keep_line(self, part: bytes) -> None:
        """Append to the unfinished line as much as may matter; check its size."""
        line = self._line
        line += part
        limit = self._max_event_size
        if line.startswith(_FIELD_PREFIXES):
            if limit is not None and self._size + len(line) > limit:
                raise EventTooLarge(self._size + len(line), limit)
            return
        observer = self._on_comment if line.startswith(b":") else self._on_ignored
        if observer is None:
            del line[_LONGEST_PREFIX:]  # enough to see that it cannot be a field
        elif limit is not None:
            del line[max(limit, _LONGEST_PREFIX) :]

    # Interpreting (9.2.6): from lines to events.

    def _process_line(self, line: bytes, end: int, call: _Call) -> None:
        """Process a line that ends at this position of the chunk."""
        # "If the line is empty (a blank line): Dispatch the event, as defined below."
        if not line:
            self._dispatch(call)
            return
        # "If the line starts with a U+003A COLON character (:): Ignore the line."
        if line.startswith(b":"):
            if self._on_comment is not None:
                text = line[: self._max_event_size].removeprefix(b":").removeprefix(b" ")
                self._notes.append((self._on_comment, text.decode("utf-8", "replace")))
            return
        # "If the line contains a U+003A COLON character (:): Collect the characters on the line
        # before the first U+003A COLON character (:), and let field be that string. Collect the
        # characters on the line after the first U+003A COLON character (:), and let value be that
        # string. If value starts with a U+0020 SPACE character, remove it from value. [...]
        # Otherwise: Process the field using [...] the whole line as the field name, and the empty
        # string as the field value."
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name in _FIELD_NAMES:
            size = self._size + len(line) + 1
            if self._max_event_size is not None and size > self._max_event_size:
                raise EventTooLarge(size, self._max_event_size)
            self._size = size
            if self._process_field(name, value, end):
                return
        # "Otherwise: The field is ignored."
        if self._on_ignored is not None:
            text = line[: self._max_event_size]
            self._notes.append((self._on_ignored, text.decode("utf-8", "replace")))

    def _process_field(self, name: bytes, value: bytes, end: int) -> bool:
        """Process a field; return whether its value was valid."""
        # "If the field name is "event": Set the event type buffer to the field value."
        if name == b"event":
            self._event_type = value.decode("utf-8", "replace")
        # "If the field name is "data": Append the field value to the data buffer, then append a
        # single U+000A LINE FEED (LF) character to the data buffer."
        elif name == b"data":
            self._value_end = end if not self._data else -1
            self._data += value
            self._data += b"\n"
            return True
        # "If the field name is "id": If the field value does not contain U+0000 NULL, then set the
        # last event ID buffer to the field value. Otherwise, ignore the field."
        elif name == b"id":
            if b"\0" in value:
                return False
            self._last_event_id_buffer = value.decode("utf-8", "replace")
        # "If the field name is "retry": If the field value consists of only ASCII digits, then
        # interpret the field value as an integer in base ten, and set the event stream's
        # reconnection time to that integer. Otherwise, ignore the field."
        else:
            number = _base_ten(value.decode("utf-8", "replace"))
            if number is None:
                return False
            self._reconnection_time = self._retry = number
        self._has_field = True
        return True

    def _dispatch(self, call: _Call) -> None:
        # "Set the last event ID string of the event source to the value of the last event ID
        # buffer."
        self._last_event_id = self._last_event_id_buffer
        # "If the data buffer is an empty string, set the data buffer and the event type buffer to
        # the empty string and return."
        if self._data or (self._has_field and self._dispatch_empty):
            # "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove
            # the last character from the data buffer."
            del self._data[-1:]
            # "Initialize event's type attribute to "message", its data attribute to data [...] If
            # the event type buffer has a value other than the empty string, change the type of the
            # newly created event to equal the value of the event type buffer."
            event_type = self._event_type or "message"
            fields = (event_type, self._data_for(call), self._last_event_id, self._retry)
            if call.kind is ParsedEvent:
                call.append_unparsed(fields)
            else:
                call.events.append(_new_event(call.kind, fields))
        # "Set the data buffer and the event type buffer to the empty string."
        self._reset_block()

    def _data_for(self, call: _Call) -> str | bytes | memoryview:
        """Return the data buffer in the form that this call's events take."""
        if call.kind is ServerSentEvent:
            return self._data.decode("utf-8", "replace")
        start = self._value_end - len(self._data)  # negative: in an earlier chunk
        if call.kind is RawEvent:
            if call.owner is not None and self._data and start >= 0:
                return memoryview(call.owner)[start : self._value_end]
            return memoryview(bytes(self._data))
        return bytes(self._data)

    def _reset_block(self) -> None:
        self._data.clear()
        self._event_type = ""
        self._size = 0
        self._retry = None
        self._has_field = False
        self._value_end = -1

    # Calls: what happens before a chunk is decoded, and after.

    def _take(self, chunk: BytesLike, kind: type[Any]) -> _Call:
        """Decode a chunk, and call the callbacks. Returns its events, after those that wait."""
        if self._running:
            raise RuntimeError(_IN_USE)
        call = self._waiting
        if call is None or not (call.events or call.unparsed[0] or call.error or self._notes):
            self._waiting = None
            if self._refusal is not None:
                self._refuse(self._refusal)
            call = _Call(kind)
        elif call.kind is not kind:
            raise RuntimeError(f"events wait as {call.kind.__name__}: call that method with b''")
        if self._refusal is None:
            try:
                if type(chunk) is bytes:
                    call.owner = chunk  # nothing else is sure to stay as it is
                # What comes while events wait is counted in _take_buffer().
                if type(chunk) is bytes and len(chunk) <= _WINDOW and self._waiting is None:
                    self._take_window(chunk, 0, call)
                else:
                    self._take_buffer(chunk, call)
            except EventTooLarge as error:
                # A copy: this one holds the frames that it passed through, and with them the chunk.
                self._deferred = EventTooLarge(error.size, error.limit)
                self._refuse_from_now_on(self._deferred, error.size)
            finally:
                call.owner = None
                self._value_end = -1  # a later chunk has no data of it to view
        self._waiting = call
        if self._notes:
            self._room = -1
            self._running = True
            try:
                while self._notes:
                    callback, text = self._notes.popleft()
                    callback(text)
            finally:
                self._running = False
        return call

    def _finish(self, call: _Call) -> list[Any]:
        """Return the events of a call."""
        self._waiting = None
        self._make_room()
        if not call.events and self._deferred is not None:
            self._refuse(self._deferred)
        return call.events

    def _refuse_from_now_on(self, refusal: EventTooLarge | ValueError, discarded: int) -> None:
        self._discarded = discarded
        self._refusal = refusal
        self._line.clear()
        self._reset_block()
        self._room = -1

    def _refuse(self, refusal: EventTooLarge | ValueError) -> NoReturn:
        self._deferred = None
        # A copy: an exception that was raised holds the frames that it passed through.
        raise type(refusal)(*refusal.args) from None

    def _make_room(self) -> None:
        if self._refusal is not None:
            self._room = -1
        elif self._skip_lf or not self._shortcuts or self._bom is not None:
            self._room = 0
        else:
            room = _WINDOW
            if self._max_event_size is not None:
                room = self._max_event_size - self._size - len(self._line)
            self._room = _WINDOW if room > _WINDOW else room if room > 0 else 0  # min() is slower

    def _parse(self, call: _Call, parse: Callable[[str, bytes], T]) -> list[ParsedEvent[T]]:
        """Parse the events of a call, and return them."""
        if call.error is not None:
            error, call.error = call.error, None
            raise error
        events = call.events
        types, data, ids, retries = call.unparsed
        first = len(events)  # an interrupted call parsed those before
        skipped = 0
        self._room = -1
        self._running = True
        try:
            if self._shortcuts:
                try:
                    _parse_at_once(call, parse)
                except SkipEvent:
                    skipped = 1
            for number in range(len(events) - first + skipped, len(types)):
                try:
                    value = parse(types[number], data[number])
                except SkipEvent:
                    skipped += 1
                else:
                    fields = (types[number], value, ids[number], retries[number])
                    events.append(_new_event(ParsedEvent, fields))
        except Exception as error:
            number = len(events) - first + skipped
            fields = (types[number], data[number], ids[number], retries[number])
            attach_event(error, _new_event(ParsedEvent, fields))
            call.drop(number + 1)
            if not events:
                raise
            call.events = []
            call.error = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
            return events
        except BaseException:
            call.drop(len(events) - first + skipped)
            raise
        finally:
            self._running = False
        return self._finish(call)

    # Shortcuts: may be deleted, with what calls them above. They read whole blocks by themselves
    # where none is unfinished (`_size` is 0): `_last_event_id` equals its buffer then. Gains were
    # measured by leaving each of them out.

    def _extends_line(self, chunk: BytesLike) -> bool:
        """Take the chunk if it is just a piece of a line. 4x on chunks of one byte."""
        simple = type(chunk) is bytes and len(chunk) <= self._room and not _has_line_end(chunk)
        if simple:
            self._line += chunk
            self._room -= len(chunk)
        return simple

    def _take_blocks(self, window: bytes, position: int, call: _Call) -> None:
        """Do what the plain way does, with as many lines at a time as possible.

        In reads of 16 KiB that is 4x on one-line JSON events, 2x on others.
        """
        if _CR in window:
            self._skip_lf = window.endswith(b"\r")
            window = window.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        start = 0
        if self._line:  # finish it
            start = window.find(b"\n") + 1
            if not start:
                self._keep_line(window)
                return
            self._finish_line(window[: start - 1], position + start - 1, call)
        if self._size:  # finish the block
            if window.startswith(b"\n", start):
                blank = start
            else:
                blank = window.find(b"\n\n", start) + 1 or -1
            if blank >= 0:
                if blank > start:
                    self._process_lines(window[start:blank], position + start, call)
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
                    self._process_raw(window[start:blocks_end], position + start, call)
                else:
                    self._process_bytes(window[start:blocks_end], call)
                start = blocks_end + 2
        lines_end = window.rfind(b"\n", start) + 1
        if lines_end:
            self._process_lines(window[start:lines_end], position + start, call)
            start = lines_end
        if start < len(window):
            self._keep_line(window[start:])

    def _finish_line(self, rest: bytes, end: int, call: _Call) -> None:
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
            self._process_line(bytes(line) + rest, end, call)

    def _process_lines(self, lines: bytes, position: int, call: _Call) -> None:
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
            position += len(line)
            self._process_line(line, position, call)
            position += 1

    def _process_bytes(self, blocks: bytes, call: _Call) -> None:
        """Process complete blocks, for events whose data are to be parsed."""
        # As in _process_text: 2.2x on one-line JSON events.
        if blocks.startswith(b"data: "):
            lines = blocks[6:].split(b"\n\ndata: ")
            if _LF not in b"".join(lines):
                call.extend_unparsed(lines, self._last_event_id)
                return
        for block in blocks.split(b"\n\n"):
            # Nothing but data, as in _process_text: 1.4x on 50 short lines.
            if block.startswith(b"data: ") and (
                _LF not in block or block.count(b"\n") == block.count(b"\ndata: ")
            ):
                data = block[6:].replace(b"\ndata: ", b"\n")
                call.append_unparsed(("message", data, self._last_event_id, None))
                continue
            event = _read_bytes(self, block)
            if event is not None:
                call.append_unparsed(event)

    def _process_raw(self, blocks: bytes, position: int, call: _Call) -> None:
        """Process complete blocks, from this position on, for events with views of their data."""
        for block in blocks.split(b"\n\n"):
            # Nothing but data, as in _process_text: 2x on one-line events.
            payload: memoryview | None = None
            if block.startswith(b"data: "):
                if _LF not in block:
                    if call.owner is not None and len(block) > 6:
                        payload = memoryview(call.owner)[position + 6 : position + len(block)]
                    else:
                        payload = memoryview(block[6:])
                elif block.count(b"\n") == block.count(b"\ndata: "):
                    payload = memoryview(block[6:].replace(b"\ndata: ", b"\n"))
            if payload is not None:
                fields = ("message", payload, self._last_event_id, None)
                call.events.append(_new_event(RawEvent, fields))
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
                events.extend(map(_new_event, repeat(ServerSentEvent), fields))
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
                    events.append(_new_event(ServerSentEvent, event))
            else:
                event = ("message", payload, self._last_event_id, None)
                events.append(_new_event(ServerSentEvent, event))


def _has_line_end(chunk: bytes) -> bool:
    return _LF in chunk or _CR in chunk


def _block_reader(
    word: Callable[[str], Any], decode: Callable[[Any], str] | None
) -> Callable[[SSEDecoder, Any], _Fields | None]:
    """Return a function that reads one complete block, of text or of bytes.

    The function processes the block's lines, and the blank one that ends it, and returns the fields
    of the event, if there is one. Blank lines that open the block have nothing to dispatch: they
    are ignored. 2x on typed events, compared with the plain way.
    """
    newline, colon, colon_space, nul = map(word, ("\n", ":", ": ", "\0"))
    data_name, event_name, id_name, retry_name = map(word, ("data", "event", "id", "retry"))
    names = frozenset({data_name, event_name, id_name, retry_name})

    def read(decoder: Any, block: Any) -> _Fields | None:
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
                number = _base_ten(value if decode is None else decode(value))
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


def _parse_at_once(call: _Call, parse: Callable[[str, bytes], object]) -> None:
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
    call.events.extend(map(_new_event, repeat(ParsedEvent), fields))


# Whether decoders made from now on take shortcuts: for tests, which compare both ways.
_SHORTCUTS = True

# As integers: `int in bytes` is one memchr, `bytes in bytes` four times that.
_LF: Final = 0x0A
_CR: Final = 0x0D


# End of the shortcuts.

_Fields: TypeAlias = "tuple[str, Any, str | None, int | None]"
_Columns: TypeAlias = "tuple[list[Any], list[Any], list[Any], list[Any]]"
_NO_COLUMNS: Final[_Columns] = ([], [], [], [])


@final
class _Call:
    """The events of one call, all of one class; or of several calls, if they had to wait."""

    __slots__ = ("error", "events", "held", "kind", "owner", "unparsed")

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        self.events: list[Any] = []
        # The chunk while it is decoded, if data may be a view of it.
        self.owner: bytes | None = None
        # How many bytes of chunks have come while events waited.
        self.held = 0
        # For feed_parsed() alone: the fields of events not parsed yet, each field in a list of its
        # own (half the time of a tuple for each event); and what a parser raised, to be raised
        # before any of them is returned.
        self.unparsed: _Columns = ([], [], [], []) if kind is ParsedEvent else _NO_COLUMNS
        self.error: Exception | None = None

    def append_unparsed(self, fields: _Fields) -> None:
        types, data, ids, retries = self.unparsed
        event_type, payload, event_id, retry = fields
        types.append(event_type)
        data.append(payload)
        ids.append(event_id)
        retries.append(retry)

    def extend_unparsed(self, all_data: list[bytes], event_id: str | None) -> None:
        """Append several events that have nothing but data."""
        types, data, ids, retries = self.unparsed
        count = len(all_data)
        types += ["message"] * count
        data += all_data
        ids += [event_id] * count
        retries += [None] * count

    def drop(self, count: int) -> None:
        """Drop the first of the unparsed events."""
        for column in self.unparsed:
            del column[:count]


def _base_ten(value: str) -> int | None:
    """Return the integer, if the value is one or more ASCII digits, not too many of them."""
    # isdigit() is also true of superscripts, and of the digits of any script.
    if not (value.isascii() and value.isdigit()):
        return None
    if len(value) > MAX_RETRY_DIGITS:
        value = value.lstrip("0") or "0"
        if len(value) > MAX_RETRY_DIGITS:
            return None
    return int(value)


def _not_bytes_like(chunk: object) -> TypeError:
    hint = "; pass the stream's bytes, undecoded" if isinstance(chunk, str) else ""
    return TypeError(f"feed() takes bytes or a bytes-like object, not {type(chunk).__name__}{hint}")
