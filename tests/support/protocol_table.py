"""Calls that exercise each row of `EventSourceProtocol`'s table, and the table as Markdown.

``python -m tests.support.protocol_table`` prints the table as it stands in
``docs/explanation/reconnection.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Final, TypeAlias

from sse_proto import (
    Action,
    EventSourceProtocol,
    Fail,
    IncompleteStream,
    ReadyState,
    ReconnectPolicy,
    ServerSentEvent,
    SSEDecoder,
)
from sse_proto._transitions import ROWS, Input, Outcome, Row, Verdict

__all__ = ["cases", "outcome", "table"]

Call: TypeAlias = Callable[[EventSourceProtocol], "Action | list[ServerSentEvent]"]
"""A call of one of the protocol's methods."""

NOW: Final = 1_700_000_000.0
LIMIT: Final = 20
"""``max_event_size`` of every protocol here, in bytes."""

CONNECTING: Final = ReadyState.CONNECTING
OPEN: Final = ReadyState.OPEN
CLOSED: Final = ReadyState.CLOSED

EVENT: Final = b"data: x\n\n"
TOO_LARGE: Final = b"data: " + b"x" * LIMIT
RESET: Final = ConnectionResetError("reset by peer")


def response(status_code: int, content_type: str = "text/event-stream") -> Call:
    headers = {"Content-Type": content_type}
    return lambda protocol: protocol.response_received(status_code, headers, now=NOW)


def responses(*status_codes: int) -> list[Call]:
    return [response(status_code) for status_code in status_codes]


def chunk(stream: bytes) -> Call:
    return lambda protocol: protocol.feed(stream)


def lost(error: BaseException | None, *, after: bytes = b"") -> Call:
    """The end of a connection, after a chunk."""

    def call(protocol: EventSourceProtocol) -> Action:
        if after:
            protocol.feed(after)
        return protocol.connection_lost(error, now=NOW)

    return call


def restart(protocol: EventSourceProtocol) -> Action:
    return protocol.restart()


def close(protocol: EventSourceProtocol) -> Action:
    return protocol.close()


def is_done(event: ServerSentEvent) -> bool:
    return event.data == "done"


TRANSIENT: Final = responses(408, 425, 429, 500, 502, 503, 504, 507, 599)
REJECTED: Final = [  # unless the policy adds them
    *responses(101, 201, 206, 300, 304, 400, 401, 403, 404, 409, 410, 426),
    *responses(301, 302, 303, 307, 308),
    response(200, "text/html"),
    response(200, ""),
]
ANY_RESPONSE: Final = [*responses(200, 204, 302, 404), *TRANSIENT]

CALLS: Final[dict[tuple[ReadyState, Input], list[Call]]] = {
    (CONNECTING, Input.STREAM): responses(200),
    (CONNECTING, Input.NO_CONTENT): [response(204), response(204, "")],
    (CONNECTING, Input.RETRIED): TRANSIENT,
    (CONNECTING, Input.REJECTED): [*REJECTED, *responses(600, 999)],
    (CONNECTING, Input.NO_ANSWER): [lost(RESET)],
    (CONNECTING, Input.CHUNK): [chunk(EVENT), chunk(b"")],
    (CONNECTING, Input.RESTART): [restart],
    (CONNECTING, Input.CLOSE): [close],
    (OPEN, Input.EVENTS): [chunk(EVENT), chunk(b"data"), chunk(b"")],
    (OPEN, Input.LAST_EVENT): [
        chunk(EVENT + b"data: [DONE]\n\n" + EVENT),
        chunk(b"data: done\n\ndata"),
        chunk(EVENT + b"data: done\n\n" + TOO_LARGE),
    ],
    (OPEN, Input.TOO_LARGE): [chunk(TOO_LARGE)],
    (OPEN, Input.END): [lost(None), lost(None, after=EVENT)],
    (OPEN, Input.BROKEN): [lost(RESET), lost(RESET, after=EVENT), lost(None, after=b"data: x\n")],
    (OPEN, Input.LEFT_TOO_LARGE): [
        lost(None, after=EVENT + TOO_LARGE),
        lost(RESET, after=EVENT + TOO_LARGE),
    ],
    (OPEN, Input.RESPONSE): ANY_RESPONSE,
    (OPEN, Input.RESTART): [restart],
    (OPEN, Input.CLOSE): [close],
    (CLOSED, Input.RESPONSE): ANY_RESPONSE,
    (CLOSED, Input.LOSS): [lost(None), lost(RESET)],
    (CLOSED, Input.RESTART): [restart],
    (CLOSED, Input.CLOSE): [close],
    (CLOSED, Input.CHUNK): [chunk(EVENT), chunk(TOO_LARGE)],
}
"""Of each state and input, calls that make it."""

DEFAULT: Final = ReconnectPolicy()
FIRST: Final = ReconnectPolicy(retry_first=False)
PERMISSIVE: Final = ReconnectPolicy(
    retry_statuses=[*range(100, 200), *range(201, 204), *range(205, 600)],
    retry_wrong_content_type=True,
)
JUDGES: Final[dict[Verdict | None, list[tuple[ReconnectPolicy | None, str]]]] = {
    None: [(DEFAULT, "GET"), (None, "GET"), (FIRST, "POST")],
    Verdict.AGAIN: [(DEFAULT, "GET"), (ReconnectPolicy(reconnect_on_end=True), "POST")],
    Verdict.OVER: [(DEFAULT, "POST"), (ReconnectPolicy(reconnect_on_end=False), "GET"), (None, "")],
    Verdict.SPENT: [(ReconnectPolicy(max_time=0.0), "GET")],
    Verdict.NEVER: [(None, "GET")],
}
"""Policies, and methods of the request, that judge so."""


def protocol_in(
    state: ReadyState, policy: ReconnectPolicy | None, method: str = "GET", *, ends: bool = False
) -> EventSourceProtocol:
    """Return a protocol that has come to a state.

    Args:
        state, policy, method: As they say.
        ends: Whether an event is told to be the stream's last one.
    """
    protocol = EventSourceProtocol(
        policy,
        random=Random(1),
        method=method,
        until="[DONE]" if ends else None,
        is_last=is_done if ends else None,
        decoder=partial(SSEDecoder, max_event_size=LIMIT),
    )
    if state is OPEN:
        response(200)(protocol)
    elif state is CLOSED:
        protocol.close()
    return protocol


def cases(row: Row) -> Iterator[tuple[EventSourceProtocol, Call]]:
    """Yield protocols in the state of a row, each with a call that makes its input."""
    ends = row.reported is Input.LAST_EVENT
    for policy, method in JUDGES[row.verdict]:
        for call in CALLS[row.state, row.reported]:
            yield protocol_in(row.state, policy, method, ends=ends), call
        if row.reported is Input.BROKEN:  # the body's end without the last event
            yield protocol_in(row.state, policy, method, ends=True), lost(None, after=EVENT)
        if row.reported is Input.NO_ANSWER and policy is not None:
            yield protocol_in(row.state, policy, method), lost(None)
    if row.reported is Input.RETRIED and row.verdict is Verdict.AGAIN:
        for call in REJECTED:
            yield protocol_in(row.state, PERMISSIVE), call
    if row.state is CONNECTING and row.verdict is Verdict.NEVER:
        for call in CALLS[row.state, row.reported]:
            yield protocol_in(row.state, FIRST), call


def outcome(protocol: EventSourceProtocol, call: Call) -> str:
    """Make a call, and describe what comes of it as the table does."""
    before = protocol.state
    try:
        result = call(protocol)
    except Exception as error:
        return f"raises `{type(error).__name__}`"
    if isinstance(result, list):
        if before is CLOSED and not result:
            return Outcome.NO_EVENTS.value
        return Outcome.LAST_EVENTS.value if protocol.state is CLOSED else Outcome.EVENTS.value
    if not isinstance(result, Fail):
        return f"`{type(result).__name__}`"
    if isinstance(result.error, ConnectionResetError | IncompleteStream):
        return Outcome.FAIL.value
    return f"`Fail({type(result.error).__name__})`"


def table() -> str:
    """Return the table as Markdown."""
    lines = [
        "| state | what comes | the policy | state then | what is returned |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        verdict = "" if row.verdict is None else row.verdict.value
        cells = [row.state.name, row.reported.value, verdict, row.after.name, row.outcome.value]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
