"""`SSEDecoder` in Python: what its calls take, return and raise.

What is decoded, and how, is said in `_decoder`. A call has two halves. First the chunk is decoded;
then the caller's code (callbacks, a parser) runs, when the decoder is consistent. If it raises,
nothing is lost: the events wait in `_waiting` for the next call.
"""

from __future__ import annotations

import re
from array import array
from mmap import mmap
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, TypeVar, final

from ._call import Call, new_event
from ._errors import EventTooLarge
from ._events import ParsedEvent, RawEvent, ServerSentEvent
from ._parsing import SkipEvent, attach_event
from ._shortcuts import CR, LF, ShortcutDecoder, parse_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_MAX_EVENT_SIZE", "BytesLike", "SSEDecoder"]

T = TypeVar("T")

BytesLike: TypeAlias = "bytes | bytearray | memoryview[Any] | array[Any] | mmap"
"""What `SSEDecoder.feed` takes: contiguous, with items of one byte. Other objects with such a
buffer work too; `collections.abc.Buffer`, which would say so, is new in Python 3.12."""

DEFAULT_MAX_EVENT_SIZE: Final = 16 * 1024 * 1024
"""Bytes. Far above any event that a program sends on purpose, far below what hurts a process."""

# Bytes decoded at a time. A larger chunk is taken in windows of this size (cut at line ends), so
# that the lists made from it stay small beside it, and within the processor's cache.
_WINDOW: Final = 64 * 1024

_LINE_END: Final = re.compile(rb"[\r\n]")

_IN_USE: Final = "the decoder is in use: called from within, or beside, its own feed()"
_UNIQUE: Final = "an SSEDecoder is in the middle of its stream: it cannot be copied or pickled"


@final
class SSEDecoder(ShortcutDecoder):
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
            sent, each with one end-of-line. Comments and unknown fields do not count; of one that
            a callback observes, as many bytes again are kept. ``None``: no limit.
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

    __slots__ = ("_deferred", "_discarded", "_refusal", "_running", "_waiting")

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
        super().__init__(max_event_size, last_event_id, dispatch_empty, on_comment, on_ignored)

        # Why nothing more is taken, which further calls raise; the same while it is still to be
        # raised for the first time, after the events before it; and how many bytes were discarded.
        self._refusal: EventTooLarge | ValueError | None = None
        self._deferred: EventTooLarge | None = None
        self._discarded = 0

        # The events that a call has not returned, or could not; and whether the caller's code is
        # running, within a call.
        self._waiting: Call | None = None
        self._running = False

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
        return self._count_unfinished()

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
            if LF not in chunk:
                if CR not in chunk:
                    self._line += chunk
                    self._room -= len(chunk)
                    return events
            elif not self._size and not self._line:
                blocks = chunk
                if CR in blocks and blocks[-1] != CR:
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

    # What comes before a chunk is decoded, and what comes after.

    def _take(self, chunk: BytesLike, kind: type[Any]) -> Call:
        """Decode a chunk, and call the callbacks. Returns its events, after those that wait."""
        if self._running:
            raise RuntimeError(_IN_USE)
        call = self._waiting
        if call is None or not (call.events or call.unparsed[0] or call.error or self._notes):
            self._waiting = None
            if self._refusal is not None:
                self._refuse(self._refusal)
            call = Call(kind)
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

    def _take_buffer(self, chunk: BytesLike, call: Call) -> None:
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
                    if type(chunk) is bytes and end - start == len(view):
                        window = chunk
                    else:
                        window = view[start:end].tobytes()
                    self._take_window(window, start, call)
                    start = end

    def _finish(self, call: Call) -> list[Any]:
        """Return the events of a call."""
        self._waiting = None
        if self._refusal is None:
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

    def _parse(self, call: Call, parse: Callable[[str, bytes], T]) -> list[ParsedEvent[T]]:
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
                    parse_at_once(call, parse)
                except SkipEvent:
                    skipped = 1
            for number in range(len(events) - first + skipped, len(types)):
                try:
                    value = parse(types[number], data[number])
                except SkipEvent:
                    skipped += 1
                else:
                    fields = (types[number], value, ids[number], retries[number])
                    events.append(new_event(ParsedEvent, fields))
        except Exception as error:
            number = len(events) - first + skipped
            fields = (types[number], data[number], ids[number], retries[number])
            attach_event(error, new_event(ParsedEvent, fields))
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


def _not_bytes_like(chunk: object) -> TypeError:
    hint = "; pass the stream's bytes, undecoded" if isinstance(chunk, str) else ""
    return TypeError(f"feed() takes bytes or a bytes-like object, not {type(chunk).__name__}{hint}")
