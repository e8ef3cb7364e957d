"""The decoder in C beside the one in Python: the same calls, step by step the same results.

A case is bytes: a header that chooses options, buffers and chunks, and the stream. So a fuzzer can
work on all of it, and a finding is one short file.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from sse_proto import (
    EventTooLarge,
    ParsedEvent,
    RawEvent,
    ServerSentEvent,
    SkipEvent,
    by_event,
    failed_event,
)
from tests.support.reference import Outcome, before_oversized, interpret, pieces_of

if TYPE_CHECKING:
    from sse_proto import BytesLike, SSEDecoder

__all__ = ["HEADER", "Case", "check", "check_reference", "check_twins", "implementation"]

HEADER: Final = 4
"""Bytes at the start of a case: flags, two of a limit, and how to cut."""

_WINDOW: Final = 64 * 1024
_LONG: Final = 5 * _WINDOW // 4
# From this last byte of the header on, the stream is repeated until it is long: rarely, since that
# takes time.
_LONG_FROM: Final = 0xFC
_FIRST_ID: Final = "ünï 1"

_METHODS: Final = (("feed",), ("feed_raw",), ("feed", "feed_raw"), ("feed_raw", "feed_raw", "feed"))
_METHODS_PARSED: Final = (
    ("feed_parsed",),
    ("feed_parsed", "feed_parsed", "feed_raw"),
    ("feed", "feed_parsed"),
    ("feed_parsed", "feed_parsed", "feed_parsed", "feed"),
)

# Events as tuples; raw ones with their bytes, and whether they are a view of the chunk itself.
Seen: TypeAlias = "tuple[str, object, str | None, int | None, bool | None]"
Result: TypeAlias = "list[Seen] | tuple[str, str, tuple[object, ...], ParsedEvent[bytes] | None]"


@dataclass(frozen=True)
class Case:
    """What is done with two decoders."""

    stream: bytes
    limit: int | None
    first_id: str | None
    dispatch_empty: bool
    methods: tuple[str, ...]
    """Which methods are called, in turns."""
    in_bytearray: bool
    cuts: int
    """Which chunks: 0 is one, 1 is of one byte each, else random sizes up to 2, 4, 8 ... bytes."""
    seed: int
    observed: bool = False
    """Whether there are callbacks, which raise now and then."""
    cut_at: tuple[int, ...] = ()
    """Offsets, in place of `cuts`."""

    @classmethod
    def from_bytes(cls, case: bytes) -> Case:
        """Read a case; any bytes are one."""
        flags, low, high, how = case[:HEADER].ljust(HEADER, b"\0")
        stream = case[HEADER:]
        if how >= _LONG_FROM and stream:
            stream *= _LONG // len(stream)
        limit = low + 256 * high
        if flags & 4:
            limit *= 16
        return cls(
            stream=stream,
            limit=limit or None,
            first_id=_FIRST_ID if flags & 1 else None,
            dispatch_empty=bool(flags & 2),
            methods=(_METHODS_PARSED if flags & 128 else _METHODS)[flags >> 3 & 3],
            in_bytearray=bool(flags & 32),
            cuts=how & 7 if how < _LONG_FROM else (0, 14, 16, 18)[how & 3],
            seed=how,
            observed=bool(flags & 64),
        )

    def decoder(self, decoder_class: type[SSEDecoder], others: _Others | None = None) -> SSEDecoder:
        """Return a decoder with the options of the case; with callbacks, if it has some."""
        observers = others if self.observed else None
        return decoder_class(
            max_event_size=self.limit,
            last_event_id=self.first_id,
            dispatch_empty=self.dispatch_empty,
            on_comment=observers.on_comment if observers else None,
            on_ignored=observers.on_ignored if observers else None,
        )

    def chunks(self) -> Iterator[bytes]:
        """Cut the stream."""
        if self.cut_at:
            yield from pieces_of(self.stream, self.cut_at)
            return
        rng = random.Random(self.seed)
        start = 0
        while start < len(self.stream):
            end = len(self.stream)
            if self.cuts:
                end = start + rng.randint(0 if self.cuts > 1 else 1, 1 << (self.cuts - 1))
            yield self.stream[start:end]
            start = end


class _Interrupt(BaseException):
    """As KeyboardInterrupt: no error of the parser's."""


class _Others:
    """The code of others that a decoder calls. It raises now and then, but always at the same."""

    def __init__(self) -> None:
        self.called: list[tuple[str, str]] = []
        self.parsed = 0
        self.parse = by_event(
            {"a": self._parse_data, "message": self._parse_data}, self._parse_data
        )

    def on_comment(self, text: str) -> None:
        self._call("comment", text)

    def on_ignored(self, line: str) -> None:
        self._call("ignored", line)

    def _call(self, kind: str, text: str) -> None:
        self.called.append((kind, text))
        if len(self.called) % 5 == 4:
            raise LookupError(text) if len(self.called) % 2 else _Interrupt(text)

    def parse_event(self, event: str, data: bytes) -> object:
        return event, self._parse_data(data)

    def _parse_data(self, data: bytes) -> object:
        self.parsed += 1
        if self.parsed % 7 == 3:
            raise _Interrupt(self.parsed)
        if b"b" in data or b"5" in data:
            raise LookupError(data)
        if b"x" in data:
            raise SkipEvent
        return len(data), data


class _Lent(NamedTuple):
    """A chunk as it is passed to one decoder."""

    chunk: BytesLike

    def take_back(self) -> None:
        """Do to the buffer what its owner may do after the call."""
        if isinstance(self.chunk, bytearray):
            self.chunk[:] = b"\n" * len(self.chunk)
            self.chunk.clear()


def implementation(module: str) -> type[SSEDecoder]:
    """Return the decoder of this private module. To type checkers they are one class."""
    return cast("type[SSEDecoder]", importlib.import_module(f"sse_proto.{module}").SSEDecoder)


def check(case: bytes) -> None:
    """Fail if the twins differ from each other, or from the reference."""
    parsed = Case.from_bytes(case)
    check_twins(parsed)
    if len(parsed.stream) <= 1024:  # it takes each byte by itself
        check_reference(parsed)


def check_twins(case: Case) -> None:
    """Fail if the twins differ after any call."""
    rng = random.Random(case.seed)
    others = _Others(), _Others()
    python = case.decoder(implementation("_feed"), others[0])
    c = case.decoder(implementation("_speedups"), others[1])

    def feed_both(method: str, chunk: bytes) -> Result:
        expected = _feed(python, others[0], method, chunk, case.in_bytearray)
        result = _feed(c, others[1], method, chunk, case.in_bytearray)
        assert result == expected, (method, chunk, result, expected)
        assert others[1].called == others[0].called
        return expected

    failures = 0
    for number, chunk in enumerate(case.chunks()):
        expected = feed_both(case.methods[number % len(case.methods)], chunk)
        # Reading these must change nothing.
        if rng.random() < 0.25:
            assert _attributes(c) == _attributes(python)
        failures += isinstance(expected, tuple) and expected[0] in ("EventTooLarge", "ValueError")
        if failures > 2:  # each further call would fail as well
            break
        for method in ("feed_parsed", "feed"):  # what waits
            while others[0].parsed and rng.random() < 0.5:
                feed_both(method, b"")
    for _ in range(2):
        assert _close(c) == _close(python)
        assert _attributes(c) == _attributes(python)
    for method in (*case.methods * 3, "feed"):
        feed_both(method, b"data")


def check_reference(case: Case) -> None:
    """Fail if the decoder in C differs from the standard, literally interpreted."""
    decoder = case.decoder(implementation("_speedups"))
    accepted = case.stream
    is_too_large = False
    if case.limit is not None:
        before = before_oversized(case.stream, case.limit)
        if before is not None:
            accepted, is_too_large = before, True
    expected = interpret(accepted, last_event_id=case.first_id, dispatch_empty=case.dispatch_empty)
    events: list[tuple[str, str, str | None, int | None]] = []
    try:
        for chunk in case.chunks():
            events += decoder.feed(chunk)
        decoder.close()
    except EventTooLarge as error:
        raised: EventTooLarge | None = error
    else:
        raised = None
    assert (raised is not None) == is_too_large
    outcome: Outcome = events, decoder.last_event_id, decoder.reconnection_time
    if raised is None:
        assert outcome == expected
    else:
        assert raised.size > raised.limit == case.limit
        # The `retry` lines of the event that was too large may have acted.
        assert outcome[:2] == expected[:2]


def _attributes(decoder: SSEDecoder) -> tuple[object, ...]:
    return decoder.last_event_id, decoder.reconnection_time, decoder.unfinished


def _feed(
    decoder: SSEDecoder, others: _Others, method: str, chunk: bytes, in_bytearray: bool
) -> Result:
    lent = _Lent(bytearray(chunk) if in_bytearray else chunk)
    events: list[RawEvent] | list[ServerSentEvent] | list[ParsedEvent[Any]]
    parse: Callable[[str, bytes], object]
    try:
        if method == "feed_parsed":
            parse = others.parse if in_bytearray else others.parse_event
            events = decoder.feed_parsed(lent.chunk, parse)
        else:
            events = (
                decoder.feed_raw(lent.chunk) if method == "feed_raw" else decoder.feed(lent.chunk)
            )
    except (EventTooLarge, ValueError, LookupError, RuntimeError, _Interrupt) as error:
        return _raised(error)
    lent.take_back()
    return [_seen(event, lent.chunk) for event in events]


def _seen(event: RawEvent | ServerSentEvent | ParsedEvent[Any], chunk: BytesLike) -> Seen:
    if isinstance(event, (ServerSentEvent, ParsedEvent)):
        return event.event, event.data, event.id, event.retry, None
    assert type(event) is RawEvent
    data = event.data
    assert (data.format, data.ndim, data.readonly) == ("B", 1, True)
    assert type(data.obj) is bytes
    # Of one byte there are no two bytes objects. Where a block that began in an earlier chunk is
    # cut by the end of a window, the one in Python may copy.
    is_view = data.obj is chunk and 1 < len(chunk) <= _WINDOW
    return event.event, data.tobytes(), event.id, event.retry, is_view


def _close(decoder: SSEDecoder) -> Result:
    try:
        decoder.close()
    except (EventTooLarge, LookupError) as error:
        return _raised(error)
    return []


def _raised(error: BaseException) -> Result:
    if isinstance(error, (EventTooLarge, ValueError)):
        assert error.__suppress_context__
    return type(error).__name__, str(error), error.args, failed_event(error)
