"""The states of an event stream over its connections, as one table.

`EventSourceProtocol` looks up each call here: the state after it, and its outcome. Its messages
about misuse come from here, as does the table of docs/explanation/reconnection.md (``python -m
tests.support.protocol_table``).

Three things select a row: the state; what a call reports (`Input`); and, where another attempt is
in question, what the policy says to it (`Verdict`). Where the kind of response, chunk or loss makes
no difference, one row covers them all. See "Processing model", HTML Standard 9.2.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ._actions import ReadyState

__all__ = ["ROWS", "Input", "Outcome", "Row", "Verdict", "row_of"]


class Input(Enum):
    """What a call reports; the value is for people to read."""

    # response_received()
    STREAM = "200, an event stream"
    NO_CONTENT = "204"
    RETRIED = "408, 425, 429, 5xx, and what the policy adds"
    REJECTED = "any other status or type"
    RESPONSE = "any response"
    # feed()
    EVENTS = "a chunk"
    LAST_EVENT = "a chunk with the event that `until` or `is_last` waits for"
    TOO_LARGE = "a chunk that makes an event too large"
    CHUNK = "any chunk"
    # connection_lost()
    NO_ANSWER = "no answer"
    END = "the end of the body, between events"
    BROKEN = "the connection breaks, is silent, or ends inside an event or before the last one"
    LEFT_TOO_LARGE = "any of these, after a chunk whose last event was too large"
    LOSS = "any loss"
    # restart(), close()
    RESTART = "`restart`"
    CLOSE = "`close`"


class Verdict(Enum):
    """What the policy says to another attempt; the value is for people to read."""

    AGAIN = "allows it"
    OVER = "none; or `reconnect_on_end` says no"
    SPENT = "out of attempts or time"
    NEVER = "none; or `retry_first=False`, and no connection has been open"


class Outcome(Enum):
    """What comes of a call; the value is for people to read."""

    OPEN = "`Open`"
    WAIT = "`Wait`"
    STOP = "`Stop`"
    REJECTED = "`Fail(ResponseRejected)`"
    FAIL = "`Fail`, with its error"
    TOO_LARGE = "`Fail(EventTooLarge)`"
    EXHAUSTED = "`Fail(RetriesExhausted)`"
    EVENTS = "its events"
    LAST_EVENTS = "its events up to that one"
    NO_EVENTS = "no events"
    RAISE = "raises `EventTooLarge`"
    MISUSE = "raises `RuntimeError`"


@dataclass(frozen=True)
class Row:
    """In this state, this input with this verdict leads to that state and that outcome."""

    state: ReadyState
    reported: Input
    verdict: Verdict | None
    after: ReadyState
    outcome: Outcome
    text: str = ""
    """The reason for a `Stop`; for a misuse, what to call first."""


_CONNECTING: Final = ReadyState.CONNECTING
_OPEN: Final = ReadyState.OPEN
_CLOSED: Final = ReadyState.CLOSED
_AGAIN: Final = Verdict.AGAIN
_OVER: Final = Verdict.OVER
_SPENT: Final = Verdict.SPENT
_NEVER: Final = Verdict.NEVER

_NO_CONTENT: Final = "status 204: the server wants no further connection"
_ENDED: Final = "the server has ended the stream"
_COMPLETE: Final = "the last event has come"

# fmt: off
ROWS: Final = (
    Row(_CONNECTING, Input.STREAM, None, _OPEN, Outcome.OPEN),
    Row(_CONNECTING, Input.NO_CONTENT, None, _CLOSED, Outcome.STOP, _NO_CONTENT),
    Row(_CONNECTING, Input.RETRIED, _AGAIN, _CONNECTING, Outcome.WAIT),
    Row(_CONNECTING, Input.RETRIED, _SPENT, _CLOSED, Outcome.EXHAUSTED),
    Row(_CONNECTING, Input.RETRIED, _NEVER, _CLOSED, Outcome.REJECTED),
    Row(_CONNECTING, Input.REJECTED, None, _CLOSED, Outcome.REJECTED),
    Row(_CONNECTING, Input.NO_ANSWER, _AGAIN, _CONNECTING, Outcome.WAIT),
    Row(_CONNECTING, Input.NO_ANSWER, _SPENT, _CLOSED, Outcome.EXHAUSTED),
    Row(_CONNECTING, Input.NO_ANSWER, _NEVER, _CLOSED, Outcome.FAIL),
    Row(_CONNECTING, Input.CHUNK, None, _CONNECTING, Outcome.MISUSE, "response_received()"),
    Row(_CONNECTING, Input.RESTART, None, _CONNECTING, Outcome.WAIT),
    Row(_CONNECTING, Input.CLOSE, None, _CLOSED, Outcome.STOP),
    Row(_OPEN, Input.EVENTS, None, _OPEN, Outcome.EVENTS),
    Row(_OPEN, Input.LAST_EVENT, None, _CLOSED, Outcome.LAST_EVENTS, _COMPLETE),
    Row(_OPEN, Input.TOO_LARGE, None, _CLOSED, Outcome.RAISE),
    Row(_OPEN, Input.END, _AGAIN, _CONNECTING, Outcome.WAIT),
    Row(_OPEN, Input.END, _OVER, _CLOSED, Outcome.STOP, _ENDED),
    Row(_OPEN, Input.END, _SPENT, _CLOSED, Outcome.EXHAUSTED),
    Row(_OPEN, Input.BROKEN, _AGAIN, _CONNECTING, Outcome.WAIT),
    Row(_OPEN, Input.BROKEN, _SPENT, _CLOSED, Outcome.EXHAUSTED),
    Row(_OPEN, Input.BROKEN, _NEVER, _CLOSED, Outcome.FAIL),
    Row(_OPEN, Input.LEFT_TOO_LARGE, None, _CLOSED, Outcome.TOO_LARGE),
    Row(_OPEN, Input.RESPONSE, None, _OPEN, Outcome.MISUSE, "connection_lost()"),
    Row(_OPEN, Input.RESTART, None, _CONNECTING, Outcome.WAIT),
    Row(_OPEN, Input.CLOSE, None, _CLOSED, Outcome.STOP),
    Row(_CLOSED, Input.RESPONSE, None, _CLOSED, Outcome.STOP),
    Row(_CLOSED, Input.LOSS, None, _CLOSED, Outcome.STOP),
    Row(_CLOSED, Input.RESTART, None, _CLOSED, Outcome.STOP),
    Row(_CLOSED, Input.CLOSE, None, _CLOSED, Outcome.STOP),
    Row(_CLOSED, Input.CHUNK, None, _CLOSED, Outcome.NO_EVENTS),
)
# fmt: on

_TABLE: Final = {(row.state, row.reported, row.verdict): row for row in ROWS}


def row_of(state: ReadyState, reported: Input, verdict: Verdict | None = None) -> Row | None:
    """Return the row for an input; ``None``: in that state its kind makes a difference."""
    return _TABLE.get((state, reported, verdict))
