"""The states of `EventSourceProtocol` as data: what comes in, what becomes of it.

``python -m tests.support.protocol_table`` prints the table as it stands in
``docs/explanation/reconnection.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, TypeAlias

from sse_proto import (
    Action,
    EventSourceProtocol,
    Fail,
    ReadyState,
    ReconnectPolicy,
    ServerSentEvent,
    SSEDecoder,
)

__all__ = ["ROWS", "Input", "Row", "in_state", "outcome", "table"]

NOW: Final = 1_700_000_000.0
LIMIT: Final = 20
"""``max_event_size`` of every protocol here, in bytes."""
DEFAULT: Final = ReconnectPolicy()

Input: TypeAlias = Callable[[EventSourceProtocol], "Action | list[ServerSentEvent]"]
"""A call of one of the protocol's methods."""


@dataclass(frozen=True)
class Row:
    """In this state, each of these inputs leads to that state, and to that outcome."""

    state: ReadyState
    what: str
    """The inputs, for people."""
    inputs: tuple[Input, ...]
    after: ReadyState
    outcome: str
    policy: ReconnectPolicy | None = DEFAULT


def response(status_code: int, content_type: str = "text/event-stream") -> Input:
    headers = {"Content-Type": content_type}
    return lambda protocol: protocol.response_received(status_code, headers, now=NOW)


def responses(*status_codes: int) -> tuple[Input, ...]:
    return tuple(map(response, status_codes))


def chunk(stream: bytes) -> Input:
    return lambda protocol: protocol.feed(stream)


def lost(error: BaseException | None) -> Input:
    return lambda protocol: protocol.connection_lost(error, now=NOW)


def close(protocol: EventSourceProtocol) -> Action:
    return protocol.close()


def left_too_large(protocol: EventSourceProtocol) -> Action:
    """The end after a chunk whose second event is too large: its first one was returned."""
    assert len(protocol.feed(b"data: x\n\n" + TOO_LARGE)) == 1
    return protocol.connection_lost(now=NOW)


CONNECTING: Final = ReadyState.CONNECTING
OPEN: Final = ReadyState.OPEN
CLOSED: Final = ReadyState.CLOSED

EVENT: Final = b"data: x\n\n"
TOO_LARGE: Final = b"data: " + b"x" * LIMIT
TRANSIENT: Final = responses(408, 425, 429, 500, 502, 503, 504, 507, 599)
BROKEN: Final = lost(ConnectionResetError("reset by peer"))
SPENT: Final = ReconnectPolicy(max_time=0.0)
ONCE: Final = ReconnectPolicy(reconnect_on_end=False)

ROWS: Final = (
    Row(CONNECTING, "200, an event stream", responses(200), OPEN, "`Open`"),
    Row(
        CONNECTING,
        "200, another type",
        (response(200, "text/html"), response(200, "")),
        CLOSED,
        "`Fail(ResponseRejected)`",
    ),
    Row(CONNECTING, "204", (response(204), response(204, "")), CLOSED, "`Stop`"),
    Row(CONNECTING, "408, 425, 429, 5xx", TRANSIENT, CONNECTING, "`Wait`"),
    Row(
        CONNECTING,
        "the same, nothing left to spend",
        TRANSIENT,
        CLOSED,
        "`Fail(RetriesExhausted)`",
        SPENT,
    ),
    Row(
        CONNECTING,
        "the same, no policy",
        TRANSIENT,
        CLOSED,
        "`Fail(ResponseRejected)`",
        None,
    ),
    Row(
        CONNECTING,
        "301 to 308, which the HTTP client should have followed",
        responses(301, 302, 303, 307, 308),
        CLOSED,
        "`Fail(ResponseRejected)`",
    ),
    Row(
        CONNECTING,
        "any other status",
        responses(101, 201, 206, 300, 304, 400, 401, 403, 404, 409, 410, 426, 600, 999),
        CLOSED,
        "`Fail(ResponseRejected)`",
    ),
    Row(CONNECTING, "no answer", (BROKEN, lost(None)), CONNECTING, "`Wait`"),
    Row(
        CONNECTING,
        "the same, nothing left to spend",
        (BROKEN, lost(None)),
        CLOSED,
        "`Fail(RetriesExhausted)`",
        SPENT,
    ),
    Row(CONNECTING, "the same, no policy", (BROKEN,), CLOSED, "`Fail`, with its error", None),
    Row(CONNECTING, "a chunk", (chunk(EVENT), chunk(b"")), CONNECTING, "raises `RuntimeError`"),
    Row(CONNECTING, "`close`", (close,), CLOSED, "`Stop`"),
    Row(OPEN, "a chunk", (chunk(EVENT), chunk(b"data"), chunk(b"")), OPEN, "its events"),
    Row(
        OPEN,
        "a chunk that makes an event too large",
        (chunk(TOO_LARGE),),
        CLOSED,
        "raises `EventTooLarge`",
    ),
    Row(OPEN, "the stream's end", (lost(None),), CONNECTING, "`Wait`"),
    Row(
        OPEN,
        "the same, `reconnect_on_end=False`",
        (lost(None),),
        CLOSED,
        "`Stop`",
        ONCE,
    ),
    Row(OPEN, "the same, no policy", (lost(None),), CLOSED, "`Stop`", None),
    Row(OPEN, "the connection breaks, or is idle", (BROKEN,), CONNECTING, "`Wait`"),
    Row(OPEN, "the same, `reconnect_on_end=False`", (BROKEN,), CONNECTING, "`Wait`", ONCE),
    Row(
        OPEN,
        "the stream's end, or it breaks; nothing left to spend",
        (lost(None), BROKEN),
        CLOSED,
        "`Fail(RetriesExhausted)`",
        SPENT,
    ),
    Row(OPEN, "it breaks, no policy", (BROKEN,), CLOSED, "`Fail`, with its error", None),
    Row(
        OPEN,
        "either, after a chunk whose last event was too large",
        (left_too_large,),
        CLOSED,
        "`Fail(EventTooLarge)`",
    ),
    Row(OPEN, "a response", (*responses(200, 204, 404), *TRANSIENT), OPEN, "raises `RuntimeError`"),
    Row(OPEN, "`close`", (close,), CLOSED, "`Stop`"),
    Row(
        CLOSED,
        "a response, an end, `close`",
        (*responses(200, 204, 302, 404), *TRANSIENT, BROKEN, lost(None), close),
        CLOSED,
        "`Stop`",
    ),
    Row(CLOSED, "a chunk", (chunk(EVENT), chunk(TOO_LARGE)), CLOSED, "no events"),
)


def in_state(state: ReadyState, policy: ReconnectPolicy | None) -> EventSourceProtocol:
    """Return a protocol that has come to a state."""
    protocol = EventSourceProtocol(
        policy, random=Random(1), decoder=partial(SSEDecoder, max_event_size=LIMIT)
    )
    if state is OPEN:
        response(200)(protocol)
    elif state is CLOSED:
        protocol.close()
    return protocol


def outcome(protocol: EventSourceProtocol, call: Input) -> str:
    """Give a protocol an input, and describe what becomes of it as the table does."""
    was_closed = protocol.state is CLOSED
    try:
        result = call(protocol)
    except Exception as error:
        return f"raises `{type(error).__name__}`"
    if isinstance(result, list):
        return "no events" if was_closed and not result else "its events"
    if isinstance(result, Fail):
        if isinstance(result.error, ConnectionResetError):
            return "`Fail`, with its error"
        return f"`Fail({type(result.error).__name__})`"
    return f"`{type(result).__name__}`"


def table() -> str:
    """Return the table as Markdown."""
    lines = ["| state | what comes | state then | what is returned |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row.state.name} | {row.what} | {row.after.name} | {row.outcome} |" for row in ROWS
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
