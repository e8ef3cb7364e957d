"""What holds for the protocol whatever comes, in whatever order, against a simple model of it.

The model keeps the bytes of the open connection, and interprets them with `reference`.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sse_proto import (
    Action,
    EventSourceProtocol,
    EventTooLarge,
    Fail,
    Open,
    ReadyState,
    ReconnectPolicy,
    ResponseRejected,
    RetriesExhausted,
    SSEDecoder,
    Stop,
    Wait,
)
from tests.support.reference import Event, before_oversized, interpret
from tests.support.strategies import lines, streams

if TYPE_CHECKING:
    Options: TypeAlias = tuple[ReconnectPolicy | None, int, int | None, str | None]

TRANSIENT: Final = (408, 425, 429, 500, 502, 503, 599)
FINAL: Final = (101, 201, 206, 301, 302, 304, 307, 308, 400, 401, 404, 410, 451, 600)

absurd_retries = st.sampled_from([b"retry: " + b"9" * n + b"\n\n" for n in (1, 6, 20, 400, 640)])
chunks = st.one_of(
    st.sampled_from([b"data: x\n\n", b"id: 1\n\n", b"id: 2\ndata: y\n\n", b"id\n\n", b"id: 3\n"]),
    st.sampled_from([b"\n", b"\r", b"", b": comment\n", b"data: " + b"x" * 60, b"x" * 60]),
    st.sampled_from([b"id: \xc3\xa9 \n\n", b"data: a\n\nid: 9\ndata: b\n\n", b"id: \n\n"]),
    absurd_retries,
    lines,
    streams,
)
retry_afters = st.one_of(
    st.sampled_from([None, "", "soon", "-1", "0", "1", "45", "9" * 400]),
    st.sampled_from(["Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 9999 23:59:60 GMT"]),
    st.sampled_from(["Tuesday, 14-Nov-23 22:13:50 GMT", "Tue Nov 14 22:13:50 2023"]),
)
policies = st.builds(
    ReconnectPolicy,
    initial_delay=st.floats(0, 100),
    max_server_delay=st.floats(0, 400),
    factor=st.floats(1, 1e9),
    max_backoff=st.floats(0, 100),
    jitter=st.booleans(),
    max_attempts=st.one_of(st.none(), st.none(), st.integers(2, 9)),
    max_time=st.one_of(st.none(), st.none(), st.floats(0, 10_000)),
    reconnect_on_end=st.booleans(),
)
protocols = st.tuples(
    st.one_of(policies, policies, policies, policies, st.none()),
    st.integers(0, 99),
    st.none() | st.integers(10, 40),
    st.sampled_from([None, "", "0", "\xe9"]),
)


@precondition
def late(machine: ProtocolMachine) -> bool:
    """Whether it may be closed for good: else few runs would get far."""
    return machine.steps > 8


@precondition
def is_closed(machine: ProtocolMachine) -> bool:
    return machine.state is ReadyState.CLOSED


@precondition
def is_open(machine: ProtocolMachine) -> bool:
    return machine.state is ReadyState.OPEN


class ProtocolMachine(RuleBasedStateMachine):
    """Responses, chunks, losses and a clock that jumps, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_700_000_000.0
        self.begin(None, 0, None, None)

    def begin(
        self,
        policy: ReconnectPolicy | None,
        seed: int,
        limit: int | None,
        last_event_id: str | None,
    ) -> None:
        self.protocol = EventSourceProtocol(
            policy,
            random=Random(seed),
            last_event_id=last_event_id,
            idle_timeout=45.0,
            decoder=partial(SSEDecoder, max_event_size=limit),
        )
        self.steps = 0
        self.policy = policy
        self.limit = limit
        self.state = ReadyState.CONNECTING
        # What is to outlive the connections.
        self.last_event_id = last_event_id
        self.reconnection_time: int | None = None
        # Of the open connection: what it began with, and what came.
        self.first_id: str | None = None
        self.first_time: int | None = None
        self.stream = b""
        self.delivered: list[Event] = []
        # Of the outage.
        self.attempts = 0
        self.lost_at: float | None = None
        self.opened_at = 0.0

    @initialize(protocol=protocols)
    def a_user_begins(self, protocol: Options) -> None:
        self.begin(*protocol)

    @is_closed
    @rule(protocol=protocols)
    def a_user_begins_anew(self, protocol: Options) -> None:
        self.begin(*protocol)

    # What comes

    @rule(seconds=st.sampled_from([0.001, 1.0, 60.0, 5000.0, -0.5, -5000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def an_event_stream_begins(self) -> None:
        action = self.respond(200, "text/event-stream")
        if action is not None:
            assert action == Open(45.0)
            self.state = ReadyState.OPEN
            self.opened_at = self.now
            self.first_id, self.first_time = self.last_event_id, self.reconnection_time
            self.stream, self.delivered = b"", []

    @rule(status_code=st.sampled_from(TRANSIENT), value=retry_afters)
    def a_server_is_busy(self, status_code: int, value: str | None) -> None:
        action = self.respond(status_code, "text/html", value)
        if action is not None:
            least = {"1": 1.0, "45": 45.0, "9" * 400: 1e9}.get(value or "", 0.0)
            self.expect_another(action, least if status_code in (429, 503) else 0.0)

    @late
    @rule(
        status_code=st.sampled_from((200, *FINAL)),
        content_type=st.sampled_from(["", "text/html", "text/event-stream-2"]),
    )
    def a_response_is_no_stream(self, status_code: int, content_type: str) -> None:
        action = self.respond(status_code, content_type)
        if action is not None:
            assert isinstance(action, Fail)
            assert isinstance(action.error, ResponseRejected)
            self.state = ReadyState.CLOSED

    @late
    @rule()
    def the_server_wants_no_connection(self) -> None:
        action = self.respond(204, "")
        if action is not None:
            assert isinstance(action, Stop)
            self.state = ReadyState.CLOSED

    @is_open
    @rule(first=chunks, second=chunks, third=chunks)
    def chunks_come(self, first: bytes, second: bytes, third: bytes) -> None:
        for chunk in (first, second, third):
            self.a_chunk_comes(chunk)

    @is_open
    @rule(
        before=st.sampled_from([b"", b"id: 5\n\n", b"data: x\n\n", b"id: 6\ndata: x\n\n"]),
        ends=st.booleans(),
        is_clean=st.booleans(),
    )
    def an_event_grows_large(self, before: bytes, ends: bool, is_clean: bool) -> None:
        self.a_chunk_comes(b"\n\n" + before + b"data: " + b"x" * 60)
        if ends:
            self.the_connection_ends(is_clean)

    @rule(chunk=chunks)
    def a_chunk_comes(self, chunk: bytes) -> None:
        if self.state is ReadyState.CLOSED:
            assert self.protocol.feed(chunk) == []
            return
        if self.state is ReadyState.CONNECTING:
            with pytest.raises(RuntimeError, match="in state CONNECTING"):
                self.protocol.feed(chunk)
            return
        if not self.is_too_large():
            self.stream += chunk
        events, self.last_event_id, retry = self.interpreted()
        new = events[len(self.delivered) :]
        if self.is_too_large() and not new:
            with pytest.raises(EventTooLarge):
                self.protocol.feed(chunk)
            self.state = ReadyState.CLOSED
        else:
            assert self.protocol.feed(chunk) == new
        self.delivered = events
        # Of an event that is too large, whether its `retry` was seen depends on the chunks.
        self.reconnection_time = self.protocol.reconnection_time if self.is_too_large() else retry
        if new:
            self.attempts, self.lost_at = 0, None

    @rule(is_clean=st.booleans())
    def the_connection_ends(self, is_clean: bool) -> None:
        was_open = self.state is ReadyState.OPEN
        error = None if is_clean else ConnectionResetError()
        action = self.protocol.connection_lost(error, now=self.now)
        if self.state is ReadyState.CLOSED:
            assert action == Stop("closed")
            return
        self.state = ReadyState.CONNECTING
        self.attempts += not was_open
        if was_open and self.lost_at is not None:
            self.lost_at += max(0.0, self.now - self.opened_at)
        stops = is_clean and (self.policy is None or not self.policy.reconnect_on_end)
        if was_open and self.is_too_large():
            assert isinstance(action, Fail)
            assert isinstance(action.error, EventTooLarge)
            self.state = ReadyState.CLOSED
        elif was_open and stops:
            assert isinstance(action, Stop)
            self.state = ReadyState.CLOSED
        else:
            self.expect_another(action, 0.0)

    @late
    @rule()
    def the_user_closes(self) -> None:
        assert self.protocol.close() == Stop("closed")
        self.state = ReadyState.CLOSED

    # What holds

    @invariant()
    def nothing_is_forgotten(self) -> None:
        self.steps += 1
        protocol = self.protocol
        assert protocol.state is self.state
        assert protocol.last_event_id == self.last_event_id
        assert protocol.reconnection_time == self.reconnection_time
        assert protocol.attempts == self.attempts
        sent = [value for name, value in protocol.request_headers() if name == b"last-event-id"]
        expected = (self.last_event_id or "").encode()
        assert sent == ([expected.strip(b" \t")] if expected else [])

    # The model

    def respond(
        self, status_code: int, content_type: str, retry_after: str | None = None
    ) -> Action | None:
        """Answer; ``None`` in a state in which an answer changes nothing."""
        headers = {"Content-Type": content_type}
        if retry_after is not None:
            headers["Retry-After"] = retry_after

        def received() -> Action:
            return self.protocol.response_received(status_code, headers, now=self.now)

        if self.state is ReadyState.OPEN:
            with pytest.raises(RuntimeError, match="in state OPEN"):
                received()
            return None
        action = received()
        if self.state is ReadyState.CLOSED:
            assert action == Stop("closed")
            return None
        self.attempts += 1
        return action

    def is_too_large(self) -> bool:
        return self.limit is not None and before_oversized(self.stream, self.limit) is not None

    def interpreted(self) -> tuple[list[Event], str | None, int | None]:
        """Return the events so far, the last event ID and the reconnection time."""
        stream = self.stream
        if self.limit is not None:
            before = before_oversized(stream, self.limit)
            stream = stream if before is None else before
        events, last_event_id, retry = interpret(stream, last_event_id=self.first_id)
        return events, last_event_id, self.first_time if retry is None else retry

    def expect_another(self, action: Action, least: float) -> None:
        """Compare what follows a failure with what the policy allows."""
        if self.lost_at is None or self.now < self.lost_at:
            self.lost_at = self.now
        policy = self.policy
        if policy is None:
            assert isinstance(action, Fail)
            self.state = ReadyState.CLOSED
            return
        away = self.now - self.lost_at
        is_last = policy.max_attempts is not None and self.attempts >= policy.max_attempts
        asked = policy.initial_delay
        if self.reconnection_time is not None:
            asked = min(self.reconnection_time, 10**9) / 1000
        asked = min(max(asked, least), policy.max_server_delay)
        if isinstance(action, Wait):
            assert not is_last
            assert asked <= action.seconds <= policy.max_server_delay + policy.max_backoff
            assert policy.max_time is None or away + action.seconds <= policy.max_time
        else:
            assert isinstance(action, Fail)
            error = action.error
            assert isinstance(error, RetriesExhausted)
            assert (error.attempts, error.seconds) == (self.attempts, away)
            longest = policy.max_server_delay + policy.max_backoff
            assert is_last or (policy.max_time is not None and away + longest > policy.max_time)
            self.state = ReadyState.CLOSED


TestProtocol = ProtocolMachine.TestCase
TestProtocol.settings = settings(max_examples=200, stateful_step_count=30)
