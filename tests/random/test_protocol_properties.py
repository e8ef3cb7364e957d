"""What holds for the protocol whatever comes, in whatever order, against a simple model of it.

The model keeps the bytes of the open connection, and interprets them with `reference`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sse_proto import (
    Action,
    EventSourceProtocol,
    EventTooLarge,
    Fail,
    IncompleteStream,
    Open,
    ReadyState,
    ReconnectPolicy,
    ResponseRejected,
    RetriesExhausted,
    ServerSentEvent,
    SSEDecoder,
    Stop,
    Wait,
)
from tests.support.reference import Event, before_oversized, interpret
from tests.support.strategies import lines, streams

TRANSIENT: Final = (408, 425, 429, 500, 502, 503, 599)
FINAL: Final = (101, 201, 206, 301, 302, 304, 307, 308, 400, 401, 404, 410, 451, 600)


@dataclass(frozen=True)
class Options:
    """What a protocol is made with."""

    policy: ReconnectPolicy | None = None
    seed: int = 0
    limit: int | None = None
    last_event_id: str | None = None
    method: str = "GET"
    timeouts: tuple[float | None, float | None] = (None, None)
    until: str | tuple[str, ...] | None = None
    has_last: bool = False
    has_pings: bool = False
    withholds_pings: bool = False

    @property
    def knows_its_end(self) -> bool:
        return self.until is not None or self.has_last

    def ends(self, event: ServerSentEvent) -> bool:
        until = (self.until,) if isinstance(self.until, str) else self.until or ()
        return event.data in until or (self.has_last and event.event == "last")

    def pings(self, event: ServerSentEvent) -> bool:
        return self.has_pings and event.event == "ping"


absurd_retries = st.sampled_from([b"retry: " + b"9" * n + b"\n\n" for n in (1, 6, 20, 400, 640)])
chunks = st.one_of(
    st.sampled_from([b"data: x\n\n", b"id: 1\n\n", b"id: 2\ndata: y\n\n", b"id\n\n", b"id: 3\n"]),
    st.sampled_from([b"\n", b"\r", b"", b": comment\n", b"data: " + b"x" * 60, b"x" * 60]),
    st.sampled_from(
        [b"event: ping\ndata\ndata\n\n", b"event: last\ndata: l\n\n", b"data: end\n\n"]
    ),
    st.sampled_from([b"id: \x01\n\n", b"retry: 0\n\n", b"event: ping\n"]),
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
    min_server_delay=st.sampled_from([0.0, 0.5, 50.0]),
    jitter=st.sampled_from([True, False, "full", "none"]),
    max_attempts=st.one_of(st.none(), st.none(), st.integers(2, 9)),
    max_time=st.one_of(st.none(), st.none(), st.floats(0, 10_000)),
    healthy_after=st.sampled_from([0.0, 0.0, 30.0]),
    retry_first=st.sampled_from([True, True, True, False]),
    retry_statuses=st.sampled_from([(), (), (404, 302)]),
    retry_wrong_content_type=st.booleans(),
    reconnect_on_end=st.sampled_from([None, None, True, False]),
)
protocols = st.builds(
    Options,
    policy=st.one_of(policies, policies, policies, policies, st.none()),
    seed=st.integers(0, 99),
    limit=st.none() | st.integers(10, 40),
    last_event_id=st.sampled_from([None, "", "0", "\xe9", "\x01"]),
    method=st.sampled_from(["GET", "GET", "QUERY", "POST"]),
    timeouts=st.sampled_from([(45.0, None), (None, None), (None, 60.0), (45.0, 60.0)]),
    until=st.sampled_from([None, None, "end", ("end", "x")]),
    has_last=st.sampled_from([False, False, False, True]),
    has_pings=st.booleans(),
    withholds_pings=st.booleans(),
)


def is_last(event: ServerSentEvent) -> bool:
    return event.event == "last"


def is_ping(event: ServerSentEvent) -> bool:
    return event.event == "ping"


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
        self.now = 5000.0
        self.wall_time = 1_700_000_000.0
        self.begin(Options())

    def begin(self, options: Options) -> None:
        idle_timeout, event_timeout = options.timeouts
        self.protocol = EventSourceProtocol(
            options.policy,
            random=Random(options.seed),
            method=options.method,
            last_event_id=options.last_event_id,
            idle_timeout=idle_timeout,
            event_timeout=event_timeout,
            until=options.until,
            is_last=is_last if options.has_last else None,
            ping=is_ping if options.has_pings else None,
            withhold_pings=options.withholds_pings,
            decoder=partial(SSEDecoder, max_event_size=options.limit),
        )
        self.steps = 0
        self.options = options
        self.policy = options.policy
        self.limit = options.limit
        self.method = options.method
        self.state = ReadyState.CONNECTING
        self.is_complete = False
        # What is to outlive the connections.
        self.last_event_id = options.last_event_id
        self.last_event: ServerSentEvent | None = None
        self.reconnection_time: int | None = None
        self.was_open = False
        # Of the open connection: what it began with, and what came; how long nothing did.
        self.first_id: str | None = None
        self.first_time: int | None = None
        self.stream = b""
        self.delivered: list[ServerSentEvent] = []
        self.has_had_event = False
        self.without_bytes = self.without_events = 0.0
        # Of the outage.
        self.attempts = self.failures = self.short_ones = 0
        self.lost_at: float | None = None
        self.opened_at = 0.0

    @initialize(options=protocols)
    def a_user_begins(self, options: Options) -> None:
        self.begin(options)

    @is_closed
    @rule(options=protocols)
    def a_user_begins_anew(self, options: Options) -> None:
        self.begin(options)

    # What comes

    @rule(seconds=st.sampled_from([0.001, 1.0, 60.0, 5000.0, -0.5, -5000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(wall_time=st.sampled_from([0.0, 784_111_777.0, 1_700_000_000.0, 4e9]))
    def the_clock_is_set(self, wall_time: float) -> None:
        self.wall_time = wall_time  # changes nothing

    @rule()
    def an_event_stream_begins(self) -> None:
        action = self.respond(200, "text/event-stream")
        if action is not None:
            assert action == Open(*self.options.timeouts)
            self.state = ReadyState.OPEN
            self.was_open = True
            self.opened_at = self.now
            self.has_had_event = False
            self.without_bytes = self.without_events = 0.0
            self.first_id, self.first_time = self.last_event_id, self.reconnection_time
            self.stream, self.delivered = b"", []

    @rule(status_code=st.sampled_from(TRANSIENT), value=retry_afters)
    def a_server_is_busy(self, status_code: int, value: str | None) -> None:
        action = self.respond(status_code, "text/html", value)
        if action is not None:
            least = {"1": 1.0, "45": 45.0, "9" * 400: 1e9}.get(value or "", 0.0)
            self.expect_another(action, least if status_code in (429, 503) else 0.0, first=True)

    @late
    @rule(
        status_code=st.sampled_from((200, *FINAL)),
        content_type=st.sampled_from(["", "text/html", "text/event-stream, text/html"]),
    )
    def a_response_is_no_stream(self, status_code: int, content_type: str) -> None:
        action = self.respond(status_code, content_type)
        if action is None:
            return
        policy = self.policy
        if policy is not None and (
            status_code in policy.retry_statuses
            or (status_code == 200 and policy.retry_wrong_content_type)
        ):
            self.expect_another(action, 0.0, first=True)
            return
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
        tuples, last_event_id, retry = self.interpreted()
        events = [ServerSentEvent(*event) for event in tuples]
        new = events[len(self.delivered) :]
        self.last_event_id = last_event_id
        self.delivered = events
        # Of an event that is too large, whether its `retry` was seen depends on the chunks.
        self.reconnection_time = retry
        if self.is_too_large() and not new:
            with pytest.raises(EventTooLarge):
                self.protocol.feed(chunk)
            self.state = ReadyState.CLOSED
            self.reconnection_time = self.protocol.reconnection_time
            return
        handed_out = self.protocol.feed(chunk)
        if self.is_too_large():
            self.reconnection_time = self.protocol.reconnection_time
        options = self.options
        ends = [number for number, event in enumerate(new) if options.ends(event)]
        if ends:
            last = new[ends[0]]
            until = options.until if isinstance(options.until, tuple) else (options.until,)
            new = new[: ends[0] + (last.data not in until)]
            self.last_event_id = last.id
            self.reconnection_time = self.protocol.reconnection_time
            self.state = ReadyState.CLOSED
            self.is_complete = True
        lively = [event for event in new if not options.pings(event)]
        assert handed_out == (lively if options.withholds_pings else new)
        if chunk:
            self.without_bytes = 0.0
        if lively:
            self.attempts, self.lost_at = 0, None
            self.last_event = lively[-1]
            self.has_had_event = True
            self.without_events = 0.0

    @is_open
    @rule(seconds=st.sampled_from([0.0, 1.0, 10.0, 44.0]))
    def nothing_comes(self, seconds: float) -> None:
        self.now += seconds
        self.protocol.waited(seconds)
        self.without_bytes += seconds
        self.without_events += seconds

    @rule(is_clean=st.booleans())
    def the_connection_ends(self, is_clean: bool) -> None:
        was_open = self.state is ReadyState.OPEN
        error = None if is_clean else ConnectionResetError()
        action = self.protocol.connection_lost(error, now=self.now)
        if self.state is ReadyState.CLOSED:
            assert action == self.stopped()
            return
        self.state = ReadyState.CONNECTING
        policy = self.policy
        if not was_open:
            self.attempts += 1
            self.failures += 1
            self.expect_another(action, 0.0, first=True)
            return
        lived = max(0.0, self.now - self.opened_at)
        self.short_ones = self.short_ones + 1 if lived < 1.0 else 0
        if self.lost_at is not None:
            self.lost_at += lived
        if policy is not None and self.has_had_event and lived >= policy.healthy_after:
            self.failures = 0
        if self.is_too_large():
            assert isinstance(action, Fail)
            assert isinstance(action.error, EventTooLarge)
            self.state = ReadyState.CLOSED
            return
        is_whole = is_clean and not self.options.knows_its_end and not self.has_begun_an_event()
        reconnects = policy is not None and policy.reconnect_on_end
        if policy is not None and policy.reconnect_on_end is None:
            reconnects = self.method != "POST"
        if is_whole and not reconnects:
            assert action == Stop("the server has ended the stream")
            self.state = ReadyState.CLOSED
            return
        if isinstance(action, Wait):
            assert isinstance(action.error, IncompleteStream) == (is_clean and not is_whole)
            assert (action.error is None) == is_whole
        self.expect_another(action, 0.0)

    @rule(method=st.sampled_from(["GET", "POST"]))
    def the_next_request_is_another(self, method: str) -> None:
        self.protocol.method = self.method = method

    @rule()
    def the_user_restarts(self) -> None:
        action = self.protocol.restart()
        if self.state is ReadyState.CLOSED:
            assert action == self.stopped()
            return
        assert action == Wait(0.0)
        self.state = ReadyState.CONNECTING
        self.attempts = self.failures = self.short_ones = 0
        self.lost_at = None

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
        assert protocol.last_event == self.last_event
        assert protocol.attempts == self.attempts
        limits = [
            limit - silence
            for limit, silence in zip(
                self.options.timeouts, (self.without_bytes, self.without_events), strict=True
            )
            if limit is not None and self.state is ReadyState.OPEN
        ]
        limit = protocol.time_limit
        assert (None if limit is None else limit.seconds) == (
            max(0.001, min(limits)) if limits else None
        )
        sent = [value for name, value in protocol.request_headers() if name == b"last-event-id"]
        expected = (self.last_event_id or "").encode()
        can_be_sent = expected and all(byte >= 32 or byte == 9 for byte in expected)
        assert sent == ([expected.strip(b" \t")] if can_be_sent and 127 not in expected else [])

    # The model

    def respond(
        self, status_code: int, content_type: str, retry_after: str | None = None
    ) -> Action | None:
        """Answer; ``None`` in a state in which an answer changes nothing."""
        headers = {"Content-Type": content_type}
        if retry_after is not None:
            headers["Retry-After"] = retry_after

        def received() -> Action:
            return self.protocol.response_received(
                status_code, headers, now=self.now, wall_time=self.wall_time
            )

        if self.state is ReadyState.OPEN:
            with pytest.raises(RuntimeError, match="in state OPEN"):
                received()
            return None
        action = received()
        if self.state is ReadyState.CLOSED:
            assert action == self.stopped()
            return None
        self.attempts += 1
        self.failures += 1
        return action

    def stopped(self) -> Stop:
        return Stop("the last event has come" if self.is_complete else "closed")

    def has_begun_an_event(self) -> bool:
        """Whether the stream so far leaves an event unfinished: fields, or the begin of one."""
        decoder = SSEDecoder(max_event_size=None)
        decoder.feed(self.stream)
        return decoder.unfinished > 0

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

    def expect_another(self, action: Action, least: float, *, first: bool = False) -> None:
        """Compare what follows a failure with what the policy allows.

        Args:
            action: What follows.
            least: What the answer has asked for, in seconds.
            first: Whether it might be the first connection that failed.
        """
        if self.lost_at is None or self.now < self.lost_at:
            self.lost_at = self.now
        policy = self.policy
        if policy is None or (first and not policy.retry_first and not self.was_open):
            assert isinstance(action, Fail)
            assert policy is None or not isinstance(action.error, RetriesExhausted) or first
            self.state = ReadyState.CLOSED
            return
        away = self.now - self.lost_at
        is_last = policy.max_attempts is not None and self.attempts >= policy.max_attempts
        asked = policy.initial_delay
        if self.reconnection_time is not None:
            asked = min(self.reconnection_time, 10**9) / 1000
            if self.short_ones > 1 and policy.jitter != "none":
                own = (policy.initial_delay, policy.max_backoff, policy.min_server_delay)
                asked = max(asked, min(own))
        asked = min(max(asked, least), policy.max_server_delay)
        if isinstance(action, Wait):
            assert not is_last
            assert asked <= action.seconds <= policy.max_server_delay + policy.max_backoff
            if policy.jitter == "none" and self.failures <= 1 and not first:  # no Retry-After
                assert action.seconds == asked
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
