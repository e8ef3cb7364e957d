"""What the oracles are asked, and what is expected: the decoder, within the rules of 9.2.3.

A case is what a server answers to one ``EventSource``, connect by connect. Most are a vector that
the standard decides, cut in some way, and after it 204, which ends the matter. The others are about
the connection.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from benchmarks import conformance
from sse_proto import SSEDecoder
from tests.support.reference import BOM

__all__ = [
    "CONNECTION",
    "SITUATIONS",
    "WATCH",
    "Case",
    "Connect",
    "End",
    "Event",
    "Outcome",
    "Response",
    "Situation",
    "all_cases",
    "expected",
    "fits",
    "types_in",
]

Event: TypeAlias = "tuple[str, str, str]"
"""Event type, data, last event ID, as a ``MessageEvent`` has them."""

End: TypeAlias = Literal["closed", "waiting", "silent"]
"""The connection failed for good; it had not come back when the watch ended; nothing happened."""

CONNECTION: Final = "connection"
"""The family of the cases that are not vectors."""

WATCH: Final = 6000
"""Milliseconds that an oracle has to reconnect. Longer reconnection times count as never."""

# Milliseconds. "In the region of a few seconds" is what the standard says where no `retry` does.
_DEFAULT: Final = range(2000, WATCH)
# Milliseconds that a reconnection may come before its time, by rounding, and after it.
_EARLY: Final = 20
_LATE: Final = 900

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

# Bytes. Longer streams are not sent in single bytes, each of which takes milliseconds.
_SHORT: Final = 300


@dataclass(frozen=True)
class Response:
    """What the server answers to one request."""

    chunks: tuple[bytes, ...] = ()
    status: int = 200
    """0: the server hangs up without an answer."""
    content_type: str = "text/event-stream"
    cut: bool = False
    """The server hangs up before the end of the body."""


@dataclass(frozen=True)
class Connect:
    """A request: how the server sees it, or how it should be."""

    path: str = ""
    """Empty, or ``moved``: the target of a redirect."""
    last_event_id: str = ""
    """As in the header, without spaces around it; empty where there is no header."""
    after: float | None = None
    """Milliseconds since the end of the response before. Expected ``None``: a few seconds."""


@dataclass(frozen=True)
class Outcome:
    """What becomes of a case."""

    events: tuple[Event, ...]
    connects: tuple[Connect, ...]
    end: End


@dataclass(frozen=True)
class Case:
    """What to ask; `family`, `name` and `chunking` identify it."""

    family: str
    name: str
    chunking: str
    responses: tuple[Response, ...]

    @property
    def title(self) -> str:
        return f"{self.family}/{self.name}"


# -- what is expected ------------------------------------------------------------------------------


def expected(case: Case) -> Outcome:
    """Return what the standard's ``EventSource`` would do, if our decoder were in it.

    See "The EventSource interface" and "Processing model", HTML Standard 9.2.2 and 9.2.3.
    """
    events: list[Event] = []
    connects = [Connect()]
    last_event_id: str | None = None
    reconnection_time: int | None = None
    path = ""
    for response in case.responses:
        if response.status in _REDIRECTS:
            path = "moved"
            connects.append(Connect(path, header_value(last_event_id), 0))
            continue
        if response.status:
            media_type = response.content_type.partition(";")[0].strip().lower()
            if response.status != 200 or media_type != "text/event-stream":
                return Outcome(tuple(events), tuple(connects), "closed")
            decoder = SSEDecoder(last_event_id=last_event_id)
            for chunk in response.chunks:
                events += [
                    (event.event, event.data, event.id or "") for event in decoder.feed(chunk)
                ]
            decoder.close()
            last_event_id = decoder.last_event_id
            if decoder.reconnection_time is not None:
                reconnection_time = decoder.reconnection_time
        if reconnection_time is not None and reconnection_time > WATCH:
            return Outcome(tuple(events), tuple(connects), "waiting")
        connects.append(Connect(path, header_value(last_event_id), reconnection_time))
    raise ValueError(f"{case.title} has no response that ends it")


def header_value(last_event_id: str | None) -> str:
    """Return what a server sees of an ID: HTTP removes spaces and tabs around a header's value."""
    return (last_event_id or "").strip(" \t")


def fits(wanted: Connect, found: Connect) -> bool:
    """Return whether a reconnection goes where, and comes when, it should."""
    if found.path != wanted.path or found.after is None:
        return False
    if wanted.after is None:
        return _DEFAULT.start <= found.after < _DEFAULT.stop
    return wanted.after - _EARLY <= found.after <= wanted.after + _LATE


# -- what is asked ---------------------------------------------------------------------------------

_GONE: Final = Response(status=204)


def all_cases() -> list[Case]:
    """Return the vectors that the standard decides, in their chunkings, and the situations."""
    cases = [
        Case(vector.family, vector.name, chunking, (Response(chunks), _GONE))
        for vector in conformance.vectors()
        for chunking, chunks in _chunkings(vector.name, vector.stream)
    ]
    return cases + [Case(CONNECTION, each.name, "", each.responses) for each in SITUATIONS]


def _chunkings(name: str, stream: bytes) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    yield "whole", (stream,)
    if len(stream) < 2:
        return
    if len(stream) <= _SHORT:
        yield "1-byte", _cut(stream, range(1, len(stream)))
    yield "middle", _cut(stream, [len(stream) // 2])
    at = random.Random(name)
    for number in (1, 2):
        yield f"random {number}", _cut(stream, {at.randrange(1, len(stream)) for _ in range(4)})


def _cut(stream: bytes, offsets: Iterable[int]) -> tuple[bytes, ...]:
    begins = [0, *sorted(offsets)]
    return tuple(stream[i:j] for i, j in zip(begins, [*begins[1:], len(stream)], strict=True))


def types_in(case: Case) -> list[str]:
    """Return the event types to listen for: a correct decoder's, and those of likely mistakes.

    An ``EventSource`` says nothing about events that nobody listens for.
    """
    types = {"message", "", *(event[0] for event in expected(case).events)}
    for response in case.responses:
        text = b"".join(response.chunks).decode("utf-8", "replace")
        for match in re.finditer(r"event[ \t]*:?([^\r\n]*)", text, re.IGNORECASE):
            value = match[1]
            types |= {value, value.removeprefix(" "), value.strip(), *value.split("\0")}
            types |= set(value.splitlines())
    return sorted(types)


@dataclass(frozen=True)
class Situation:
    """A case about the connection, and the rule that decides it."""

    name: str
    section: str
    """Of the HTML Standard, unless it says another."""
    rule: str
    responses: tuple[Response, ...]


def _stream(*chunks: bytes) -> Response:
    return Response(chunks)


def _typed(content_type: str) -> tuple[Response, ...]:
    stream = Response((b"retry: 100\ndata: \xc3\xa9\n\n",), content_type=content_type)
    return stream, _GONE


def _after(status: int) -> tuple[Response, ...]:
    return _stream(b"retry: 100\ndata: x\n\n"), Response(status=status), _GONE


_SET: Final = _stream(b"retry: 100\nid: 1\ndata: x\n\n")

SITUATIONS: Final = (
    Situation(
        "the stream ends",
        "9.2.3",
        "reconnect, after some seconds",
        (_stream(b"data: x\n\n"), _GONE),
    ),
    Situation(
        "`retry: 1500`",
        "9.2.3",
        "reconnect after 1.5 s",
        (_stream(b"retry: 1500\n\n"), _GONE),
    ),
    Situation("`retry: 0`", "9.2.3", "reconnect at once", (_stream(b"retry: 0\n\n"), _GONE)),
    Situation(
        "`retry` in an unfinished block",
        "9.2.6",
        "it counts, the block does not",
        (_stream(b"data: x\n\nretry: 100\ndata: y\n"), _GONE),
    ),
    Situation(
        "no `retry` in the second stream",
        "9.2.3",
        "the time of the first one stays in force",
        (_stream(b"retry: 100\n\n"), _stream(b"data: x\n\n"), _GONE),
    ),
    Situation("`id: 1`", "9.2.3", "reconnect with `Last-Event-ID: 1`", (_SET, _GONE)),
    Situation(
        "`id: 1` in a block without data",
        "9.2.6",
        "reconnect with `Last-Event-ID: 1`",
        (_stream(b"retry: 100\nid: 1\n\n"), _GONE),
    ),
    Situation(
        "`id: 2` in an unfinished block",
        "9.2.6",
        "reconnect with the earlier ID",
        (_stream(b"retry: 100\nid: 1\ndata: x\n\nid: 2\ndata: y\n"), _GONE),
    ),
    Situation(
        "`id` without a value",
        "9.2.3",
        "reconnect without `Last-Event-ID`",
        (_stream(b"retry: 100\nid: 1\ndata: x\n\nid\ndata: y\n\n"), _GONE),
    ),
    Situation(
        "`id: é`",
        "9.2.3",
        "`Last-Event-ID` is UTF-8",
        (_stream(b"retry: 100\nid: \xc3\xa9\ndata: x\n\n"), _GONE),
    ),
    Situation(
        "`id: €`",
        "9.2.3",
        "`Last-Event-ID` is UTF-8",
        (_stream(b"retry: 100\nid: \xe2\x82\xac\ndata: x\n\n"), _GONE),
    ),
    Situation(
        "no `id` in the second stream",
        "9.2.4¹",
        "the ID of the first one stays in force",
        (_SET, _stream(b"data: y\n\n"), _GONE),
    ),
    Situation(
        "another `id` in the second stream",
        "9.2.6",
        "it replaces the first one's",
        (_SET, _stream(b"id: 2\ndata: y\n\n"), _GONE),
    ),
    Situation(
        "a byte order mark in both streams",
        "9.2.5",
        "each is removed",
        (_stream(BOM + b"retry: 100\n\n"), _stream(BOM + b"data: x\n\n"), _GONE),
    ),
    Situation(
        "a stream ends with CR, the next one begins with LF",
        "9.2.5",
        "two line ends, in two streams",
        (_stream(b"retry: 100\ndata: x\r\r"), _stream(b"\ndata: y\n\n"), _GONE),
    ),
    Situation(
        "a stream ends within a line",
        "9.2.6",
        "the next one does not continue it",
        (_stream(b"retry: 100\n\ndata: x\nda"), _stream(b"ta: y\n\ndata: z\n\n"), _GONE),
    ),
    Situation(
        "a stream ends within a character",
        "9.2.5",
        "the next one does not continue it",
        (_stream(b"retry: 100\n\ndata: \xc3"), _stream(b"\xa9\ndata: \xa9\n\n"), _GONE),
    ),
    Situation(
        "the connection breaks within a block",
        "9.2.3",
        "the block is discarded; reconnect",
        (Response((b"retry: 100\nid: 1\ndata: x\n\nid: 2\ndata: y\n",), cut=True), _GONE),
    ),
    Situation(
        "the connection breaks before a response",
        "9.2.3",
        "reconnect",
        (_stream(b"retry: 100\ndata: x\n\n"), Response(status=0), _GONE),
    ),
    Situation("204", "9.2.3", "no reconnection", (_GONE, _GONE)),
    Situation("204 after a stream", "9.2.3", "no further reconnection", _after(204)),
    Situation("404 after a stream", "9.2.3", "no further reconnection", _after(404)),
    Situation("500", "9.2.3", "no reconnection", (Response(status=500), _GONE)),
    Situation("500 after a stream", "9.2.3", "no further reconnection", _after(500)),
    Situation("503 after a stream", "9.2.3", "no further reconnection", _after(503)),
    *(
        Situation(
            f"{status}, then a stream",
            "9.2.3; Fetch: HTTP-redirect fetch",
            "followed; reconnect to its target",
            (Response(status=status), _SET, _GONE),
        )
        for status in sorted(_REDIRECTS)
    ),
    Situation("no content type", "9.2.3", "no events, no reconnection", _typed("")),
    *(
        Situation(f"`{content_type}`", "9.2.3", rule, _typed(content_type))
        for content_type, rule in (
            ("text/plain", "no events, no reconnection"),
            ("text/event-stream-2", "no events, no reconnection"),
            ("TEXT/Event-Stream", "accepted"),
            ("text/event-stream; x=y", "accepted"),
            ("text/event-stream;charset=utf-8", "accepted"),
        )
    ),
    Situation(
        "`text/event-stream;charset=windows-1252`",
        "9.2.5",
        "accepted, and decoded as UTF-8",
        _typed("text/event-stream;charset=windows-1252"),
    ),
)
