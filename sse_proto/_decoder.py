"""The decoder: bytes of an event stream in, events out.

This module is the definition; an accelerated twin must do the same. It follows "Parsing an event
stream" and "Interpreting an event stream" (HTML Standard, 9.2.5 and 9.2.6), and does no I/O.

The standard goes line by line. Here the unit is the *block*: the lines up to and including a blank
line. Fields act only when their block is complete (`retry` alone acts at the end of its line), so a
whole block can be decoded to text, split and interpreted in a few calls that run at C speed. Bytes
are kept only of a block that a chunk left unfinished.
"""

from __future__ import annotations

import re
from array import array
from itertools import repeat
from mmap import mmap
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias, final

from ._errors import EventTooLarge
from ._events import RawEvent, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["DEFAULT_MAX_EVENT_SIZE", "MAX_RETRY_DIGITS", "BytesLike", "SSEDecoder"]

BytesLike: TypeAlias = "bytes | bytearray | memoryview[Any] | array[Any] | mmap"
"""What `SSEDecoder.feed` takes: contiguous, with items of one byte. Other objects with such a
buffer work as well; `collections.abc.Buffer`, which would say so, is new in Python 3.12."""

DEFAULT_MAX_EVENT_SIZE: Final = 16 * 1024 * 1024
"""Bytes. Far above any event that a program sends on purpose, far below what hurts a process."""

MAX_RETRY_DIGITS: Final = 640
"""Longest `retry` value that counts, in significant digits. The least that a process can set as
its limit for `int()`, so that a stream's digits neither raise there nor cost quadratic time."""

# Bytes that are decoded at a time. A larger chunk is taken in such windows (cut at line ends), so
# that the text and lists made from it stay small beside it, and within the processor's cache.
_WINDOW: Final = 64 * 1024

_BOM: Final = b"\xef\xbb\xbf"
# As integers: `int in bytes` is one memchr, `bytes in bytes` four times that.
_LF: Final = 0x0A
_CR: Final = 0x0D
_LINE_END: Final = re.compile(rb"[\r\n]")

# The fields that the standard knows, as a line begins with them, or consists of them.
_FIELD_PREFIXES: Final = (b"data:", b"event:", b"id:", b"retry:")
_FIELD_NAMES: Final = frozenset({b"data", b"event", b"id", b"retry"})
_LONGEST_PREFIX: Final = 6
_NAMES: Final = frozenset({"data", "event", "id", "retry"})

# Half the time of calling the class, whose own __new__ would only call this.
_Fields: TypeAlias = "tuple[str, str, str | None, int | None]"
_new_event: Final[Callable[[type[ServerSentEvent], _Fields], ServerSentEvent]] = tuple.__new__  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]: of any item


@final
class SSEDecoder:
    """Incremental decoder of one event stream (one connection).

    Chunks may be cut anywhere: within a character, between CR and LF, within the BOM. Every byte is
    looked at a bounded number of times, whatever the chunks. An instance is for one thread at a
    time.

    Args:
        max_event_size: Most bytes that an unfinished event may hold: its field lines as they
            were sent, each with one end-of-line. Comments and unknown fields do not count, and are
            not kept. ``None``: no limit.
        last_event_id: The last event ID to start with, from an earlier connection.
        dispatch_empty: Also dispatch blocks that have a valid field but no data, which the
            standard does not; for servers that send ``event: done`` alone.

    Raises:
        ValueError: ``max_event_size`` is less than 1.

    See "Server-sent events", HTML Standard 9.2.
    """

    __slots__ = (
        "_bom",
        "_deferred",
        "_discarded",
        "_dispatch_empty",
        "_last_event_id",
        "_max_event_size",
        "_pending",
        "_reconnection_time",
        "_refusal",
        "_room",
        "_searched",
        "_settle_at",
        "_settled",
        "_skip_lf",
    )

    def __init__(
        self,
        *,
        max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE,
        last_event_id: str | None = None,
        dispatch_empty: bool = False,
    ) -> None:
        if max_event_size is not None and max_event_size < 1:
            raise ValueError(f"max_event_size must be at least 1 byte, not {max_event_size}")
        self._max_event_size = max_event_size
        self._dispatch_empty = dispatch_empty

        # What outlives its event.
        self._last_event_id = last_event_id
        self._reconnection_time: int | None = None

        # The part of a byte order mark that the stream began with; None once that is decided.
        self._bom: bytes | None = b""
        # True after a chunk that ends in CR: an LF opening the next one belongs to it, and is no
        # line of its own. The line that the CR ends is not held back for it.
        self._skip_lf = False
        # The unfinished block, every line ended by LF; empty between blocks.
        self._pending = bytearray()
        # Where in it the lines begin that _settle has not seen. Those before are field lines.
        self._settled = 0
        # How far in it the end of a line has been looked for.
        self._searched = 0
        # The length of it at which _settle must look: never above max_event_size.
        self._settle_at = 0
        self._forget_block()

        # How many bytes without CR may come before anything else than they must be looked at:
        # room below _settle_at; 0 where one of the states above is in the way; -1 where one of
        # those below is, which not even an empty chunk may pass by.
        self._room = 0
        # Why each further call of feed() raises; and whether no call has raised it so far.
        self._refusal: EventTooLarge | ValueError | None = None
        self._deferred = False
        # What close() has discarded, in bytes.
        self._discarded: int | None = None

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
    def unfinished(self) -> int:
        """Bytes of the event that is begun and not finished; after close(): what was discarded."""
        if self._discarded is not None:
            return self._discarded
        if isinstance(self._refusal, EventTooLarge):
            return self._refusal.size
        self._settle()
        line = bytes(self._pending[self._settled : self._settled + _LONGEST_PREFIX])
        may_be_field = line != b"" and any(
            line.startswith(prefix) or prefix.startswith(line) for prefix in _FIELD_PREFIXES
        )
        return len(self._pending) if may_be_field else self._settled

    @property
    def reconnection_time(self) -> int | None:
        """What the last valid `retry` field set, in milliseconds; ``None``: there was none."""
        self._settle()  # unlike the other fields, it counts before its block is complete
        return self._reconnection_time

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
            EventTooLarge: An event needs more than ``max_event_size`` bytes. If the chunk
                completed other events before it, these are returned, and the next call raises. The
                decoder is of no use afterwards: each further call raises the same error.
            ValueError: The decoder was closed; or ``chunk`` was, as a released `memoryview`.

        See "Interpreting an event stream", HTML Standard 9.2.6.
        """
        events: list[ServerSentEvent] = []
        # The two usual chunks: a piece of a line, and whole blocks. 3x on 1-byte chunks, 1.5x on
        # one event a chunk, against the general way below, which does the same.
        if type(chunk) is bytes and len(chunk) <= self._room:
            if _LF not in chunk:
                if _CR not in chunk:
                    self._pending += chunk
                    self._room -= len(chunk)
                    return events
            elif not self._pending:
                if _CR in chunk and chunk[-1] != _CR:
                    chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                if chunk.endswith(b"\n\n"):
                    self._process_text(chunk[:-2].decode("utf-8", "replace"), events)
                    return events

        if self._refusal is not None:
            self._refuse(self._refusal)
        try:
            if type(chunk) is bytes and len(chunk) <= _WINDOW:
                self._feed_window(chunk, events)
            else:
                self._feed_buffer(chunk, events)
        except EventTooLarge as error:
            self._fail(error, raise_now=not events)
        return events

    def feed_raw(self, chunk: BytesLike, /) -> list[RawEvent]:
        """Decode one chunk as `feed` does, but make no text of the data.

        For data that is handed on, to a JSON parser or a socket. The two methods may alternate.

        Args:
            chunk: As for `feed`.

        Returns:
            Events that this chunk completed. Their ``data`` is a view of ``chunk`` itself, and
            keeps it alive, where ``chunk`` is `bytes` (no subclass) and has all of the data in one
            line; otherwise it is a view of a private copy. Either is read-only, and never changes.
            It has the bytes that were sent, also where they are not UTF-8.

        Raises:
            TypeError, BufferError, EventTooLarge, ValueError: As `feed`.
        """
        raw = _RawEvents(chunk, len(self._pending))
        if self._refusal is not None:
            self._refuse(self._refusal)
        try:
            if type(chunk) is bytes and len(chunk) <= _WINDOW:
                self._feed_window(chunk, [], raw)
            else:
                self._feed_buffer(chunk, [], raw)
        except EventTooLarge as error:
            self._fail(error, raise_now=not raw.events)
        return raw.events

    def close(self) -> None:
        """Tell the decoder that the stream has ended. May be called again.

        The unfinished event, if there is one, is discarded, as the standard asks.
        `last_event_id` and `reconnection_time` stay readable.

        Raises:
            EventTooLarge: The last `feed` returned events, and left this to the next call.
        """
        self._settle()
        self._discarded = self.unfinished
        self._forget_block()
        self._room = -1
        refusal = self._refusal
        self._refusal = ValueError("feed() after close(): a decoder is for one stream")
        if self._deferred and refusal is not None:
            self._refuse(refusal)

    def _fail(self, error: EventTooLarge, *, raise_now: bool) -> None:
        """Take nothing more, because of this error."""
        self._room = -1
        self._forget_block()
        # A copy: this one holds the frames that it passes through, and with them the chunk.
        self._refusal = EventTooLarge(error.size, error.limit)
        self._deferred = True
        if raise_now:
            self._refuse(error)

    def _refuse(self, refusal: EventTooLarge | ValueError) -> NoReturn:
        self._deferred = False
        # A copy: an exception that was raised holds the frames that it passed through.
        raise type(refusal)(*refusal.args) from None

    # Parsing (9.2.5): from bytes to blocks of lines.

    def _feed_buffer(
        self, chunk: BytesLike, events: list[ServerSentEvent], raw: _RawEvents | None = None
    ) -> None:
        """Feed any bytes-like object, in windows that end at the end of a line."""
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
            if view.nbytes <= _WINDOW or view.ndim != 1:
                self._feed_window(view.tobytes(), events, raw)
                return
            start = 0
            while start < len(view):
                line_end = _LINE_END.search(view, start + _WINDOW)
                end = line_end.end() if line_end else len(view)
                self._feed_window(view[start:end].tobytes(), events, raw)
                start = end

    def _feed_window(
        self, chunk: bytes, events: list[ServerSentEvent], raw: _RawEvents | None = None
    ) -> None:
        if self._bom is not None:
            chunk = self._strip_bom(chunk)
        if self._skip_lf and chunk:
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        if _CR in chunk:
            self._skip_lf = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

        pending = self._pending
        # Blocks that lie within a chunk of at most max_event_size need no check of their own.
        one_by_one = raw is not None or len(chunk) > (self._max_event_size or len(chunk))
        start = 0
        while pending or one_by_one:
            if pending.endswith(b"\n") and chunk.startswith(b"\n", start):
                start += 1
            else:
                lines_end = chunk.find(b"\n\n", start) + 1
                if not lines_end:
                    break
                pending += chunk[start:lines_end]
                start = lines_end + 1
            lines = b"" if raw is None else bytes(pending)
            if len(pending) > self._settle_at:
                self._check_size()
            if raw is None:
                del pending[-1:]  # the end of the last line
                block = pending.decode("utf-8", "replace")
                self._forget_block()
                self._process_blocks([block], events)
            else:
                self._forget_block()
                self._process_raw_block(lines, raw)

        if not one_by_one and (blocks_end := chunk.rfind(b"\n\n", start)) >= 0:
            self._process_text(chunk[start:blocks_end].decode("utf-8", "replace"), events)
            start = blocks_end + 2

        pending += chunk[start:]
        if len(pending) > self._settle_at:
            self._check_size()
        self._room = 0 if self._skip_lf or self._bom is not None else self._settle_at - len(pending)

    def _strip_bom(self, chunk: bytes) -> bytes:
        """Return the stream's begin without its byte order mark; nothing while that is open."""
        begin = (self._bom or b"") + chunk
        if len(begin) < len(_BOM) and _BOM.startswith(begin):
            self._bom = begin
            return b""
        self._bom = None
        return begin.removeprefix(_BOM)

    def _forget_block(self) -> None:
        """Reset what is kept of the unfinished block."""
        self._pending.clear()
        self._settled = 0
        self._searched = 0
        self._settle_at = min(_WINDOW, self._max_event_size or _WINDOW)

    def _check_size(self) -> None:
        """Raise EventTooLarge if the unfinished event is; else let it grow to twice its size."""
        self._settle()
        size = len(self._pending)
        if not self._pending.startswith(_FIELD_PREFIXES, self._settled):
            size = self._settled  # the unfinished line does not count (yet)
        limit = self._max_event_size
        if limit is not None and size > limit:
            # The lines up to the one that is too much.
            raise EventTooLarge(self._pending.find(b"\n", limit) + 1 or size, limit)
        self._settle_at = 2 * size + _WINDOW
        if limit is not None:
            self._settle_at = min(self._settle_at, limit)

    def _settle(self) -> None:
        """Drop comments and unknown fields from the unfinished block; let `retry` act."""
        pending = self._pending
        lines_end = pending.rfind(b"\n", max(self._settled, self._searched)) + 1
        if lines_end:
            limit = self._max_event_size or len(pending)
            kept = bytearray()
            start = self._settled
            while start < lines_end:
                # In windows: a list of all short lines takes ten times the bytes of these.
                end = pending.find(b"\n", start + _WINDOW, lines_end) + 1 or lines_end
                for line in pending[start : end - 1].split(b"\n"):
                    if line.startswith(_FIELD_PREFIXES) or bytes(line) in _FIELD_NAMES:
                        kept += line + b"\n"
                    if line.startswith(b"retry:") and self._settled + len(kept) <= limit:
                        value = line[len(b"retry:") :].decode("utf-8", "replace")
                        self._set_reconnection_time(value.removeprefix(" "))
                start = end
            pending[self._settled : lines_end] = kept
            self._settled += len(kept)
        if not pending.startswith(_FIELD_PREFIXES, self._settled):
            # The unfinished line is nothing that counts, or its field is still open. This much of
            # it is enough to see that.
            del pending[self._settled + _LONGEST_PREFIX :]
        self._searched = len(pending)

    # Interpreting (9.2.6): from lines to events.

    def _process_text(self, text: str, events: list[ServerSentEvent]) -> None:
        """Interpret complete blocks, as text without the end of the last line and block."""
        first_end = text.find("\n")
        if text.startswith("data: ") and text.startswith("\n\ndata: ", first_end):
            # Maybe one line of data each: then no Python code is run for each of them. 1.6x on
            # one-line JSON events in 16 KiB chunks.
            data = text[6:].split("\n\ndata: ")
            if text.count("\n") == 2 * (len(data) - 1):
                fields = zip(repeat("message"), data, repeat(self._last_event_id), repeat(None))
                events.extend(map(_new_event, repeat(ServerSentEvent), fields))
                return
        self._process_blocks(text.split("\n\n"), events)

    def _process_blocks(self, blocks: list[str], events: list[ServerSentEvent]) -> None:
        """Interpret complete blocks, without the end of the last line and the blank line."""
        for block in blocks:
            data: str | None = None
            # Nothing but data, with one space to strip from each line: 2x on one-line events, 5x on
            # events of 50 lines, against _process_block.
            if block.startswith("data: "):
                if "\n" not in block:
                    data = block[6:]
                elif block.count("\n") == block.count("\ndata: "):
                    data = block[6:].replace("\ndata: ", "\n")
            elif block.startswith(":") and "\n" not in block:
                continue
            if data is None:
                self._process_block(block, events)
            else:
                fields = ("message", data, self._last_event_id, None)
                events.append(_new_event(ServerSentEvent, fields))

    def _process_block(self, block: str, events: list[ServerSentEvent]) -> None:
        """Interpret the lines of one complete block, then the blank line that ends it.

        Blank lines that open the block have nothing to dispatch, and are passed over.
        """
        data: list[str] = []
        event_type = ""
        retry: int | None = None
        has_field = False

        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if name not in _NAMES:  # there is no space to strip, no value, or no such field
                name, _, value = line.partition(":")
            if name == "data":
                data.append(value)
            elif name == "event":
                event_type = value
                has_field = True
            elif name == "id":
                if "\0" not in value:
                    # The last event ID buffer is not kept apart: nothing can come between this
                    # line and the blank line that ends its block.
                    self._last_event_id = value
                    has_field = True
            elif name == "retry" and self._set_reconnection_time(value):
                retry = self._reconnection_time
                has_field = True

        if data or (has_field and self._dispatch_empty):
            # Joining is the same as appending an LF to each line, and removing the last one.
            fields = (event_type or "message", "\n".join(data), self._last_event_id, retry)
            events.append(_new_event(ServerSentEvent, fields))

    def _process_raw_block(self, block: bytes, raw: _RawEvents) -> None:
        """As _process_block, but keep the values of the data lines from being decoded."""
        values: list[bytes] = []
        lines: list[bytes] = []
        value_at = -1
        start = 0
        for line in block.split(b"\n"):
            if line.startswith(b"data:") or line == b"data":
                value = line[len(b"data:") :].removeprefix(b" ")
                values.append(value)
                value_at = start + len(line) - len(value)
                lines.append(b"data")
            else:
                lines.append(line)
            start += len(line) + 1

        events: list[ServerSentEvent] = []
        self._process_block(b"\n".join(lines).decode("utf-8", "replace"), events)
        for event in events:  # none, or one
            if len(values) == 1 and value_at >= raw.earlier:
                data = raw.view_of_chunk(values[0])
            else:
                data = memoryview(b"\n".join(values))
            raw.events.append(RawEvent(event.event, data, event.id, event.retry))
        raw.earlier = 0

    def _set_reconnection_time(self, value: str) -> bool:
        """Take over the value of a `retry` field, in milliseconds, if it is valid."""
        # isdigit() is also true of superscripts, and of the digits of any script.
        if not (value.isascii() and value.isdigit()):
            return False
        if len(value) > MAX_RETRY_DIGITS:
            value = value.lstrip("0") or "0"
            if len(value) > MAX_RETRY_DIGITS:
                return False
        self._reconnection_time = int(value)
        return True


@final
class _RawEvents:
    """The events of one call of feed_raw(), and the chunk that their data may be views of."""

    __slots__ = ("_chunk", "_position", "earlier", "events")

    def __init__(self, chunk: BytesLike, earlier: int) -> None:
        self.events: list[RawEvent] = []
        # How many bytes of the unfinished block are from earlier chunks.
        self.earlier = earlier
        # Nothing else is sure to stay as it is.
        self._chunk = chunk if type(chunk) is bytes else None
        # No value that is still to come begins before this.
        self._position = 0

    def view_of_chunk(self, value: bytes) -> memoryview:
        """Return a view of bytes in the chunk that are equal to this value, which lies in it."""
        if self._chunk is None or not value:
            return memoryview(value)
        # Where the value lies is not known any more, once ends of line were made equal. The same
        # bytes may come earlier; that does no harm.
        start = self._chunk.index(value, self._position)
        self._position = start + len(value)
        return memoryview(self._chunk)[start : self._position]


def _not_bytes_like(chunk: object) -> TypeError:
    hint = "; pass the stream's bytes, undecoded" if isinstance(chunk, str) else ""
    return TypeError(f"feed() takes bytes or a bytes-like object, not {type(chunk).__name__}{hint}")
