"""Connecting again: each rule of the protocol, and its table of states against the page's."""

from __future__ import annotations

import copy
import math
import pickle
import time
from dataclasses import FrozenInstanceError
from email.utils import formatdate
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, cast

import pytest

from sse_proto import (
    Action,
    EventSourceProtocol,
    EventTooLarge,
    Fail,
    IncompleteStream,
    Lost,
    NextRequest,
    Open,
    ReadyState,
    ReconnectPolicy,
    ResponseRejected,
    RetriesExhausted,
    ServerSentEvent,
    Silence,
    SSEDecoder,
    SSEError,
    Stop,
    TimeLimit,
    Wait,
    media_type,
    why_no_event_stream,
)
from sse_proto._transitions import ROWS, Input, Row, Verdict
from tests.support.protocol_table import cases, outcome, table

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "reconnection.md"
NOW: Final = 1_700_000_000.0
STREAM: Final = {"Content-Type": "text/event-stream"}
# A wait is what was asked for: nothing is random, and nothing is added.
EXACT: Final = ReconnectPolicy(max_backoff=0.0)


class Least(Random):
    """Chance at its lower end."""

    def uniform(self, a: float, b: float) -> float:
        assert a <= b
        return a


def protocol_of(policy: ReconnectPolicy | None = EXACT, **options: Any) -> EventSourceProtocol:
    return EventSourceProtocol(policy, random=Random(1), **options)


def opened(policy: ReconnectPolicy | None = EXACT, **options: Any) -> EventSourceProtocol:
    protocol = protocol_of(policy, **options)
    assert isinstance(respond(protocol), Open)
    return protocol


def respond(
    protocol: EventSourceProtocol, status_code: int = 200, *, now: float = NOW, **fields: str
) -> Action:
    """Answer; fields as keyword arguments, with ``_`` for ``-``, as an event stream."""
    headers = STREAM | {name.replace("_", "-"): value for name, value in fields.items()}
    return protocol.response_received(status_code, headers, now=now)


def stop_of(action: Action) -> str:
    assert isinstance(action, Stop)
    return action.reason


def error_of(action: Action) -> BaseException:
    assert isinstance(action, Fail)
    return action.error


def sent_id(protocol: EventSourceProtocol) -> bytes | None:
    return dict(protocol.request_headers()).get(b"last-event-id")


def is_ping(event: ServerSentEvent) -> bool:
    return event.event == "ping"


def is_message_stop(event: ServerSentEvent) -> bool:
    return event.event == "message_stop"


# A type checker takes a property for what it was when last looked at.


def state_of(protocol: EventSourceProtocol) -> ReadyState:
    return protocol.state


def limit_of(protocol: EventSourceProtocol) -> TimeLimit | None:
    return protocol.time_limit


def last_event_of(protocol: EventSourceProtocol) -> ServerSentEvent | None:
    return protocol.last_event


# The table


@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{row.state.name}-{number}" for number, row in enumerate(ROWS)]
)
def test_the_table_is_what_happens(row: Row) -> None:
    number = 0
    for protocol, call in cases(row):
        number += 1
        assert protocol.state is row.state
        assert outcome(protocol, call) == row.outcome.value
        assert protocol.state is row.after
    assert number > 0


def test_the_table_has_a_row_for_every_call_in_every_state() -> None:
    calls = {
        "response_received": ("STREAM", "NO_CONTENT", "RETRIED", "REJECTED"),
        "feed": ("EVENTS", "LAST_EVENT", "TOO_LARGE"),
        "connection_lost": ("NO_ANSWER", "END", "BROKEN", "LEFT_TOO_LARGE"),
    }
    whole = {"response_received": "RESPONSE", "feed": "CHUNK", "connection_lost": "LOSS"}
    for state in ReadyState:
        named = {row.reported.name for row in ROWS if row.state is state}
        assert {"RESTART", "CLOSE"} <= named
        for call, kinds in calls.items():
            if whole[call] in named:  # one row for all kinds, or some for each
                assert named.isdisjoint(kinds)
            elif call == "connection_lost":
                assert named & set(kinds) in ({"NO_ANSWER"}, {"END", "BROKEN", "LEFT_TOO_LARGE"})
            else:
                assert named >= set(kinds)
    for row in ROWS:  # each verdict leads somewhere, or none is asked
        verdicts = {
            other.verdict
            for other in ROWS
            if (other.state, other.reported) == (row.state, row.reported)
        }
        never = {Verdict.OVER} if row.reported is Input.END else {Verdict.NEVER}
        assert verdicts in ({None}, {Verdict.AGAIN, Verdict.SPENT} | never)


def test_the_table_of_the_page_is_this_one() -> None:
    # Else: python -m tests.support.protocol_table
    text = PAGE.read_text("utf-8")
    header = table().partition("\n")[0]
    assert text.count(header) == 1
    assert text[text.index(header) :].partition("\n\n")[0] + "\n" == table()


# Values


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (Open(5.0), "idle_timeout"),
        (Wait(1.0), "seconds"),
        (Wait(1.0), "error"),
        (Stop("over"), "reason"),
        (Fail(OSError()), "error"),
    ],
)
def test_actions_never_change(action: Action, name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(action, name, None)


def test_actions_are_values() -> None:
    assert Wait(1.0) == Wait(1.0) != Wait(2.0)
    assert Open(None) == Open(None) != Open(5.0)
    assert Stop("over") == Stop("over")
    error = OSError()
    assert Fail(error) == Fail(error) != Fail(OSError())
    assert Wait(1.0, error) == Wait(1.0)  # a wait for another reason is no longer


def test_ready_states_are_those_of_the_standard() -> None:
    assert {state.name: state.value for state in ReadyState} == {
        "CONNECTING": 0,
        "OPEN": 1,
        "CLOSED": 2,
    }


def test_a_new_protocol() -> None:
    protocol = protocol_of()
    assert protocol.state is ReadyState.CONNECTING
    assert (protocol.last_event_id, protocol.reconnection_time) == (None, None)
    assert protocol.attempts == 0
    assert protocol.request_headers() == [
        (b"accept", b"text/event-stream"),
        (b"cache-control", b"no-store"),
    ]


# Responses


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/event-stream"},
        {"CONTENT-TYPE": "Text/Event-Stream; charset=latin-1"},
        [("Content-Type", " text/event-stream ")],
        [(b"content-type", b"text/event-stream;x=y")],
        iter([("content-type", "text/html"), ("Content-Type", "text/event-stream")]),
        [("content-type", "text/event-stream"), ("content-type", "text/event-stream")],
        [(b"content-type", b"text/event-stream"), (b"CONTENT-TYPE", b"*/*")],
        [("Server", "x"), ("content-type", "text/event-stream"), ("date", "")],
        [(b"x", b"\xff"), (b"content-type", b"text/event-stream")],
    ],
)
def test_headers_in_any_form(headers: Any) -> None:
    assert protocol_of().response_received(200, headers, now=NOW) == Open(None)


def test_open_tells_the_idle_timeout() -> None:
    assert respond(protocol_of(idle_timeout=45.0)) == Open(45.0)


@pytest.mark.parametrize(
    ("status_code", "content_type", "message"),
    [
        (404, "", "expected status 200, got status 404 with no content type"),
        (302, "text/html", "expected status 200, got status 302 with content type 'text/html'"),
        (
            200,
            "text/event-stream-2",
            "expected content type 'text/event-stream', got status 200 with content type"
            " 'text/event-stream-2'",
        ),
        (
            200,
            "",
            "expected content type 'text/event-stream', got status 200 with no content type",
        ),
    ],
)
def test_a_response_that_is_no_stream_fails_with_its_reason(
    status_code: int, content_type: str, message: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    protocol = protocol_of()
    error = error_of(protocol.response_received(status_code, headers, now=NOW))
    assert isinstance(error, ResponseRejected)
    assert str(error) == error.reason == message
    assert (error.status_code, error.content_type) == (status_code, content_type)
    assert protocol.state is ReadyState.CLOSED


def test_a_long_content_type_is_cut_in_the_message() -> None:
    error = error_of(respond(protocol_of(), content_type="x" * 5000))
    assert len(str(error)) < 250


def test_204_stops_for_good() -> None:
    protocol = protocol_of(None)
    reason = "status 204: the server wants no further connection"
    assert stop_of(protocol.response_received(204, {}, now=NOW)) == reason
    assert stop_of(respond(protocol)) == "closed"
    assert stop_of(protocol.connection_lost(now=NOW)) == "closed"


def test_misuse() -> None:
    with pytest.raises(
        RuntimeError,
        match=r"^feed\(\) in state CONNECTING: call response_received\(\) first$",
    ):
        protocol_of().feed(b"")
    protocol = opened()
    with pytest.raises(
        RuntimeError,
        match=r"^response_received\(\) in state OPEN: call connection_lost\(\) first$",
    ):
        respond(protocol)
    assert protocol.attempts == 1
    assert len(protocol.feed(b"data: x\n\n")) == 1


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/event-stream", "text/event-stream"),
        (" \tText/Event-Stream\r\n ; charset=utf-8", "text/event-stream"),
        ("text/event-stream;", "text/event-stream"),
        ("text/event-stream;;=;x", "text/event-stream"),
        ("text/event-stream;\xff", "text/event-stream"),
        # Twice, or a list: the last one that is valid, and not any type.
        ("text/event-stream, text/event-stream", "text/event-stream"),
        ("text/html, text/event-stream", "text/event-stream"),
        ("text/event-stream, text/html;x", "text/html"),
        ("text/event-stream,*/*", "text/event-stream"),
        ("text/event-stream;charset=utf-8,", "text/event-stream"),
        (",,text/event-stream,,", "text/event-stream"),
        ("text/event-stream, html", "text/event-stream"),
        ("text/event-stream, text/ht ml", "text/event-stream"),
        ("*/*", ""),
        # Commas in quotes are the parameter's.
        ('text/event-stream;x=", text/html;"', "text/event-stream"),
        ('text/event-stream;x="\\", text/html"', "text/event-stream"),
        ('text/event-stream;x="\\\\", text/html', "text/html"),
        ('text/event-stream;x="a", text/html', "text/html"),
        ('text/event-stream;x="no end, text/html', "text/event-stream"),
        ('text/event-stream;x="no end, text/html\\', "text/event-stream"),
        ('"text/html", text/event-stream', "text/event-stream"),
        ('text/html", text/event-stream', ""),
        # No type, or no subtype, or not of token characters.
        ("", ""),
        ("text", ""),
        ("text/", ""),
        ("/event-stream", ""),
        ("text /event-stream", ""),
        ("text/ event-stream", ""),
        ("text/event-stream x", ""),
        ("text/event-stream/x", ""),
        ("t\xe9xt/event-stream", ""),
        ("text/event-stream\x0b", ""),
        ("text/event\x00stream", ""),
    ],
)
def test_the_media_type_is_what_fetch_extracts(content_type: str, expected: str) -> None:
    assert media_type(content_type) == expected
    assert (why_no_event_stream(200, content_type) is None) == (expected == "text/event-stream")


@pytest.mark.parametrize("piece", ['"', "\\", '"\\', "a/b,", 'a/b;"', " ", '""', '\\",'])
def test_a_huge_content_type_takes_linear_time(piece: str) -> None:
    begun = time.perf_counter()
    media_type(piece * 320_000)
    assert time.perf_counter() - begun < 5  # 0.1 s it is; of quadratic time it would be minutes


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (EventTooLarge(20, 10), "unfinished event holds 20 bytes, limit is 10 bytes"),
        (ResponseRejected("expected status 200", 404, "text/html"), "expected status 200"),
        (IncompleteStream(7, "41"), "the stream ended inside an event, after 7 bytes of it"),
        (IncompleteStream(0, None), "the stream ended before its last event"),
        (RetriesExhausted(2, 61.6), "gave up after 2 attempts without an event, in 62 s"),
    ],
)
def test_errors_are_values(error: SSEError, message: str) -> None:
    assert str(error) == message
    for same in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(same) is type(error)
        assert vars(same) == vars(error)
        assert str(same) == message


# Retry-After


@pytest.mark.parametrize("status_code", [429, 503])
def test_retry_after_is_the_least_wait(status_code: int) -> None:
    assert respond(protocol_of(), status_code, retry_after="20") == Wait(20.0)
    assert respond(protocol_of(), status_code, RETRY_AFTER="20") == Wait(20.0)
    assert respond(protocol_of(), status_code, retry_after="2") == Wait(3.0)  # initial_delay
    assert respond(protocol_of(), status_code, retry_after="soon") == Wait(3.0)
    assert respond(protocol_of(), status_code) == Wait(3.0)
    date = formatdate(NOW + 30, usegmt=True)
    assert respond(protocol_of(), status_code, retry_after=date) == Wait(30.0)
    assert respond(protocol_of(), status_code, retry_after=date, now=NOW + 9) == Wait(21.0)
    assert respond(protocol_of(), status_code, retry_after=date, now=NOW + 60) == Wait(3.0)
    # The random part comes on top.
    wait = respond(protocol_of(ReconnectPolicy()), status_code, retry_after="20")
    assert isinstance(wait, Wait)
    assert 20 < wait.seconds < 60


@pytest.mark.parametrize("status_code", [408, 425, 500, 502, 504])
def test_other_statuses_have_no_retry_after(status_code: int) -> None:
    assert respond(protocol_of(), status_code, retry_after="20") == Wait(3.0)


@pytest.mark.parametrize("value", ["301", "9" * 30, "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_huge_retry_after_is_capped(value: str) -> None:
    assert respond(protocol_of(), 503, retry_after=value) == Wait(300.0)


def test_a_wait_tells_why() -> None:
    error = OSError()
    wait = protocol_of().connection_lost(error, now=NOW)
    assert isinstance(wait, Wait)
    assert wait.error is error
    wait = opened().connection_lost(now=NOW)
    assert isinstance(wait, Wait)
    assert wait.error is None
    wait = respond(protocol_of(), 503)
    assert isinstance(wait, Wait)
    assert isinstance(wait.error, ResponseRejected)


def test_retry_after_holds_for_one_attempt() -> None:
    protocol = protocol_of()
    assert respond(protocol, 503, retry_after="20") == Wait(20.0)
    assert protocol.connection_lost(OSError(), now=NOW + 20) == Wait(3.0)


# The reconnection time


def test_retry_sets_the_base_of_all_later_waits() -> None:
    protocol = opened()
    protocol.feed(b"retry: 10000\n")  # counts at the end of its line
    assert protocol.reconnection_time == 10_000
    assert protocol.connection_lost(now=NOW) == Wait(10.0)
    assert respond(protocol, 503, retry_after="5") == Wait(10.0)
    respond(protocol)
    protocol.feed(b"data: x\nretry: soon\n\n")
    assert protocol.reconnection_time == 10_000
    assert protocol.connection_lost(now=NOW) == Wait(10.0)
    respond(protocol)
    protocol.feed(b"retry: 500\n\n")
    assert protocol.connection_lost(now=NOW) == Wait(0.5)


def test_retry_0_is_no_absence_of_it() -> None:
    protocol = opened()
    protocol.feed(b"retry: 0\ndata: x\n\n")
    assert protocol.connection_lost(now=NOW) == Wait(0.0)
    assert protocol.reconnection_time == 0


@pytest.mark.parametrize("digits", ["300001", "9" * 16, "9" * 400, "9" * 640])
def test_an_absurd_retry_is_capped(digits: str) -> None:
    protocol = opened()
    protocol.feed(f"retry: {digits}\n\n".encode())
    assert protocol.reconnection_time == int(digits)
    assert protocol.connection_lost(now=NOW) == Wait(300.0)


def test_the_cap_is_the_policys() -> None:
    protocol = opened(ReconnectPolicy(max_server_delay=7.5, max_backoff=0.0))
    protocol.feed(b"retry: 99999\n\n")
    assert protocol.connection_lost(now=NOW) == Wait(7.5)


def test_the_initial_delay_stands_for_retry() -> None:
    protocol = opened(ReconnectPolicy(initial_delay=1.5, max_backoff=0.0))
    assert protocol.connection_lost(now=NOW) == Wait(1.5)


# Backing off, and giving up


def test_waits_grow_until_an_event() -> None:
    protocol = protocol_of(ReconnectPolicy(initial_delay=1.0, jitter=False))

    def lost() -> float:
        action = protocol.connection_lost(OSError(), now=NOW)
        assert isinstance(action, Wait)
        return action.seconds

    assert [lost() for _ in range(8)] == [3, 5, 9, 17, 33, 61, 61, 61]
    respond(protocol)
    protocol.feed(b": comment\n\nid: 1\n\ndata: unfinished\n")  # no event
    assert lost() == 61
    assert protocol.attempts == 9
    respond(protocol)
    protocol.feed(b"data: x\n\n")
    assert protocol.attempts == 0
    assert lost() == 2  # right after a connection that had events
    assert lost() == 3


def test_waits_differ_by_chance_alone() -> None:
    def waits(seed: int) -> list[Action]:
        protocol = EventSourceProtocol(ReconnectPolicy(), random=Random(seed))
        return [protocol.connection_lost(now=NOW) for _ in range(5)]

    assert waits(1) == waits(1) != waits(2)


def test_attempts_have_a_number() -> None:
    protocol = protocol_of(ReconnectPolicy(max_attempts=3))
    error = ConnectionRefusedError("refused")
    assert isinstance(protocol.connection_lost(error, now=NOW), Wait)
    assert isinstance(respond(protocol, 503, now=NOW + 5), Wait)
    respond(protocol, now=NOW + 60)
    exhausted = error_of(protocol.connection_lost(error, now=NOW + 70))
    assert isinstance(exhausted, RetriesExhausted)
    assert exhausted.__cause__ is error
    assert (exhausted.attempts, exhausted.seconds) == (3, 60.0)
    assert str(exhausted) == "gave up after 3 attempts without an event, in 60 s"
    assert protocol.state is ReadyState.CLOSED


def test_a_single_attempt() -> None:
    exhausted = error_of(respond(protocol_of(ReconnectPolicy(max_attempts=1)), 503))
    assert str(exhausted) == "gave up after 1 attempt without an event, in 0 s"
    assert isinstance(exhausted.__cause__, ResponseRejected)


def test_an_end_that_spends_the_last_attempt_has_no_cause() -> None:
    exhausted = error_of(opened(ReconnectPolicy(max_attempts=1)).connection_lost(now=NOW))
    assert isinstance(exhausted, RetriesExhausted)
    assert exhausted.__cause__ is None


def test_an_event_gives_all_attempts_back() -> None:
    protocol = protocol_of(ReconnectPolicy(max_attempts=2, max_time=100, max_backoff=0))
    for hour in range(5):
        now = NOW + hour * 3600
        assert isinstance(protocol.connection_lost(OSError(), now=now), Wait)
        respond(protocol, now=now)
        protocol.feed(b"data: x\n\n")
        assert isinstance(protocol.connection_lost(now=now + 60), Wait)
        respond(protocol, now=now)
        protocol.feed(b"data: x\n\n")


def test_an_outage_has_a_longest_time() -> None:
    policy = ReconnectPolicy(max_time=10.0, max_backoff=0.0)
    protocol = protocol_of(policy)
    assert protocol.connection_lost(now=NOW) == Wait(3.0)
    assert protocol.connection_lost(now=NOW + 7) == Wait(3.0)  # up to the last moment
    exhausted = error_of(protocol.connection_lost(now=NOW + 7.5))
    assert isinstance(exhausted, RetriesExhausted)
    assert (exhausted.attempts, exhausted.seconds) == (3, 7.5)
    # A wait that would be too long is not begun.
    assert isinstance(error_of(respond(protocol_of(policy), 503, retry_after="11")), Exception)


def test_time_with_a_connection_is_no_outage() -> None:
    protocol = protocol_of(ReconnectPolicy(max_time=10.0, max_backoff=0.0))
    for hour in range(3):
        now = NOW + hour * 3600
        respond(protocol, now=now)
        protocol.feed(b": heartbeat\n\n")
        assert protocol.connection_lost(now=now + 3597) == Wait(3.0)
    exhausted = error_of(protocol.connection_lost(now=NOW + 3 * 3600 - 3 + 7.5))
    assert isinstance(exhausted, RetriesExhausted)
    assert exhausted.seconds == 3 + 3 + 7.5


def test_a_clock_that_is_set_back_begins_the_time_anew() -> None:
    protocol = protocol_of(ReconnectPolicy(max_time=10.0, max_backoff=0.0))
    assert protocol.connection_lost(now=NOW) == Wait(3.0)
    assert protocol.connection_lost(now=NOW - 5000) == Wait(3.0)
    assert protocol.connection_lost(now=NOW - 4994) == Wait(3.0)
    exhausted = error_of(protocol.connection_lost(now=NOW - 4992))
    assert isinstance(exhausted, RetriesExhausted)
    assert exhausted.seconds == 8.0


def test_no_policy_gives_up_at_once() -> None:
    error = OSError("unreachable")
    assert protocol_of(None).connection_lost(error, now=NOW) == Fail(error)
    assert isinstance(error_of(respond(protocol_of(None), 503)), ResponseRejected)
    assert str(error_of(protocol_of(None).connection_lost(now=NOW))) == (
        "gave up after 1 attempt without an event, in 0 s"
    )


@pytest.mark.parametrize("policy", [None, ReconnectPolicy(reconnect_on_end=False)])
def test_a_clean_end_may_stop(policy: ReconnectPolicy | None) -> None:
    protocol = opened(policy)
    assert stop_of(protocol.connection_lost(now=NOW)) == "the server has ended the stream"
    assert protocol.state is ReadyState.CLOSED


@pytest.mark.parametrize("seconds", [-0.001, math.nan, math.inf])
def test_a_delay_that_cannot_be_waited(seconds: float) -> None:
    def backoff(_asked: float, _failures: int, _random: Random) -> float:
        return seconds

    protocol = protocol_of(ReconnectPolicy(backoff=backoff, initial_delay=0))
    with pytest.raises(ValueError, match="must be at least 0") as caught:
        protocol.connection_lost(now=NOW)
    assert str(caught.value) == f"the policy's delay must be at least 0 and finite, not {seconds}"


def test_a_policys_own_delay() -> None:
    class Fixed(ReconnectPolicy):
        def delay(self, asked: float, failures: int, random: Random) -> float:
            return asked * 100 + failures + random.random() * 0

    protocol = opened(Fixed(max_server_delay=2.0))
    assert protocol.connection_lost(now=NOW) == Wait(201.0)
    assert respond(protocol, 503, retry_after="1") == Wait(202.0)


# The clocks


def test_a_date_is_compared_with_the_wall_clock_and_nothing_else_is() -> None:
    headers = {"Content-Type": "text/html", "Retry-After": formatdate(NOW + 30, usegmt=True)}
    protocol = protocol_of(ReconnectPolicy(max_time=400.0, max_backoff=0.0))
    for now, wall_time, seconds in (
        (5.0, NOW, 30.0),
        (35.0, NOW + 3600, 3.0),  # set forward: the outage is no longer for it
        (38.0, 38.0, 300.0),  # a board that has booted in 1970
        (338.0, NOW + 20, 10.0),
    ):
        action = protocol.response_received(503, headers, now=now, wall_time=wall_time)
        assert action == Wait(seconds)
    exhausted = error_of(protocol.connection_lost(OSError(), now=406.0))
    assert isinstance(exhausted, RetriesExhausted)
    assert exhausted.seconds == 401.0


# What the policy adds


@pytest.mark.parametrize("status_code", [301, 400, 403, 404, 410])
def test_statuses_to_try_again_after(status_code: int) -> None:
    policy = ReconnectPolicy(retry_statuses={301, 400, 403, 404, 410}, max_backoff=0.0)
    wait = respond(protocol_of(policy), status_code)
    assert wait == Wait(3.0)
    assert isinstance(wait, Wait)
    assert str(wait.error).startswith(f"expected status 200, got status {status_code}")
    assert respond(protocol_of(policy), status_code, retry_after="20") == Wait(20.0)
    assert isinstance(error_of(respond(protocol_of(policy), 401)), ResponseRejected)
    # Those that are there anyway stay.
    assert respond(protocol_of(policy), 503) == Wait(3.0)


def test_another_content_type_to_try_again_after() -> None:
    policy = ReconnectPolicy(retry_wrong_content_type=True, max_backoff=0.0)
    for content_type in ("text/html", "application/json", ""):
        headers = {"Content-Type": content_type, "Retry-After": "20"}
        assert protocol_of(policy).response_received(200, headers, now=NOW) == Wait(20.0)
    assert isinstance(error_of(respond(protocol_of(policy), 404)), ResponseRejected)
    assert isinstance(respond(protocol_of(policy)), Open)


def test_the_first_connection_may_fail_fast() -> None:
    policy = ReconnectPolicy(retry_first=False, max_backoff=0.0)
    error = OSError("unreachable")
    assert protocol_of(policy).connection_lost(error, now=NOW) == Fail(error)
    assert isinstance(error_of(respond(protocol_of(policy), 503)), ResponseRejected)
    # It is the opening that counts, not an event.
    protocol = opened(policy)
    assert protocol.connection_lost(error, now=NOW) == Wait(3.0)
    assert respond(protocol, 503) == Wait(3.0)
    # A restart is no way around it.
    protocol = protocol_of(policy)
    assert protocol.restart() == Wait(0.0)
    assert protocol.connection_lost(error, now=NOW) == Fail(error)


@pytest.mark.parametrize(
    ("method", "reconnect_on_end", "again"),
    [
        ("GET", None, True),
        ("query", None, True),
        ("POST", None, False),
        ("POST", True, True),
        ("GET", False, False),
    ],
)
def test_the_method_says_what_a_proper_end_means(
    method: str, reconnect_on_end: bool | None, again: bool
) -> None:
    policy = ReconnectPolicy(reconnect_on_end=reconnect_on_end)
    for stream in (b"", b"data: x\n\n"):
        protocol = opened(policy, method=method)
        protocol.feed(stream)
        assert isinstance(protocol.connection_lost(now=NOW), Wait if again else Stop)
        # A loss is tried again in any case.
        protocol = opened(policy, method=method)
        protocol.feed(stream)
        assert isinstance(protocol.connection_lost(OSError(), now=NOW), Wait)


def test_the_method_is_that_of_the_latest_request() -> None:
    protocol = opened(method="POST")
    protocol.connection_lost(OSError(), now=NOW)
    protocol.method = "GET"
    respond(protocol)
    assert isinstance(protocol.connection_lost(now=NOW), Wait)


def test_a_healthy_connection_resets_the_backoff_and_a_short_one_does_not() -> None:
    protocol = protocol_of(ReconnectPolicy(jitter="none", healthy_after=10.0, max_attempts=3))
    now = NOW

    def connection(lived: float, stream: bytes = b"data: x\n\n") -> float:
        nonlocal now
        respond(protocol, now=now)
        protocol.feed(stream)
        now += lived
        action = protocol.connection_lost(OSError(), now=now)
        assert isinstance(action, Wait), action
        now += action.seconds
        return action.seconds

    # Each has an event, so none counts for max_attempts.
    assert [connection(9.9) for _ in range(6)] == [3, 6, 12, 24, 48, 63]
    assert protocol.attempts == 0
    assert connection(10.0) == 3
    assert connection(0.0) == 3
    assert connection(0.0) == 6
    # Long, but without an event.
    assert connection(3600.0, b": comment\n\n") == 12


@pytest.mark.parametrize(
    ("options", "retry", "lived", "seconds"),
    [
        ({}, 0, 0.0, 0.5),
        ({}, 0, 0.999, 0.5),
        ({}, 0, 1.0, 0.0),
        ({}, 0, -5.0, 0.5),  # a clock that was set back
        ({}, 499, 0.0, 0.5),
        ({}, 501, 0.0, 0.501),
        ({"min_server_delay": 0.0}, 0, 0.0, 0.0),
        ({"min_server_delay": 7.0}, 0, 0.0, 3.0),  # initial_delay
        ({"initial_delay": 0.25}, 0, 0.0, 0.25),
        ({"max_backoff": 0.125}, 0, 0.0, 0.125),
        ({"max_backoff": 0.0}, 0, 0.0, 0.0),
        ({"jitter": "none"}, 0, 0.0, 0.0),
        ({"jitter": "none"}, 500, 0.0, 0.5),
        ({"initial_delay": 0.0}, None, 0.0, 0.0),
        ({"initial_delay": 0.25, "max_server_delay": 0.125}, 0, 0.0, 0.125),
    ],
)
def test_a_server_cannot_have_a_short_connection_opened_again_at_once(
    options: dict[str, Any], retry: int | None, lived: float, seconds: float
) -> None:
    for error in (None, OSError()):
        # The least by chance.
        protocol = EventSourceProtocol(ReconnectPolicy(**options), random=Least())
        respond(protocol)
        protocol.feed(b"data: x\n\n" if retry is None else b"retry: %d\ndata: x\n\n" % retry)
        # The first one may be an accident.
        asked = 0.0 if retry is None else retry / 1000
        assert protocol.connection_lost(error, now=NOW + lived) == Wait(asked)
        for _ in range(2):
            respond(protocol)
            protocol.feed(b"data: x\n\n")
            assert protocol.connection_lost(error, now=NOW + lived) == Wait(seconds)
        respond(protocol)
        protocol.feed(b"data: x\n\n")
        assert protocol.connection_lost(error, now=NOW + 1.0) == Wait(asked)
        respond(protocol)
        protocol.feed(b"data: x\n\n")
        assert protocol.connection_lost(error, now=NOW + lived) == Wait(asked)
        protocol.restart()
        respond(protocol)
        protocol.feed(b"data: x\n\n")
        assert protocol.connection_lost(error, now=NOW + lived) == Wait(asked)


def test_a_server_that_asks_for_no_delay_gets_two_connections_a_second_at_most() -> None:
    protocol = protocol_of(ReconnectPolicy())
    now, connections = NOW, 0
    while now < NOW + 60:
        respond(protocol, now=now)
        protocol.feed(b"retry: 0\ndata: x\n\n")
        connections += 1
        wait = protocol.connection_lost(now=now + 0.0005)
        assert isinstance(wait, Wait)
        now += 0.0005 + wait.seconds
    assert 60 < connections < 120


# Restarting


@pytest.mark.parametrize("stream", [None, b"", b"id: 1\ndata: x\n\nid: 2\ndata: y\n"])
def test_a_restart_connects_at_once(stream: bytes | None) -> None:
    protocol = protocol_of(None, last_event_id="0")
    if stream is not None:
        respond(protocol)
        protocol.feed(stream)
    last_event_id = protocol.last_event_id
    assert protocol.restart() == Wait(0.0)
    assert protocol.state is ReadyState.CONNECTING
    assert (protocol.last_event_id, protocol.attempts) == (last_event_id, 0)
    assert sent_id(protocol) == str(last_event_id).encode()
    respond(protocol)
    assert protocol.feed(b"data: z\n\n") == [ServerSentEvent(data="z", id=last_event_id)]


def test_a_restart_ends_a_wait_and_gives_all_attempts_back() -> None:
    protocol = protocol_of(ReconnectPolicy(max_attempts=2, max_time=100.0, jitter="none"))
    for minute in range(5):
        now = NOW + 60 * minute
        assert protocol.connection_lost(OSError(), now=now) == Wait(3.0)
        restarted = protocol.restart()
        assert isinstance(restarted, Wait)
        assert (restarted.seconds, restarted.error) == (0.0, None)


# Silence


def test_the_time_limit_is_that_of_the_shorter_silence() -> None:
    protocol = protocol_of(idle_timeout=45.0, event_timeout=60.0)
    assert limit_of(protocol) is None
    respond(protocol)
    idle = "no byte from the server for 45.0 s"
    event = "no event from the server for 60.0 s"
    assert limit_of(protocol) == TimeLimit(45.0, idle)
    protocol.waited(10.0)
    protocol.feed(b": comment\n")  # breaks one of them
    assert limit_of(protocol) == TimeLimit(45.0, idle)
    protocol.waited(10.0)
    protocol.feed(b"data: unfinished\n")
    assert limit_of(protocol) == TimeLimit(40.0, event)
    protocol.waited(30.0)
    protocol.feed(b"")  # no byte
    assert limit_of(protocol) == TimeLimit(10.0, event)
    protocol.waited(4.0)
    protocol.feed(b"\n")
    assert limit_of(protocol) == TimeLimit(45.0, idle)
    # A read that was cancelled goes on where it was, and never with no time at all.
    protocol.waited(44.0)
    assert limit_of(protocol) == TimeLimit(1.0, idle)
    protocol.waited(44.0)
    assert limit_of(protocol) == TimeLimit(0.001, idle)
    protocol.connection_lost(TimeoutError(), now=NOW)
    assert limit_of(protocol) is None
    respond(protocol)
    assert limit_of(protocol) == TimeLimit(45.0, idle)


def test_without_timeouts_it_may_be_silent_for_ever() -> None:
    protocol = opened()
    protocol.waited(1e9)
    assert protocol.time_limit is None


def test_a_slow_reader_is_no_silence() -> None:
    protocol = opened(event_timeout=60.0)
    for _ in range(3):  # only waits are reported, whatever the time
        assert limit_of(protocol) == TimeLimit(60.0, "no event from the server for 60.0 s")
        protocol.feed(b": comment\n")


@pytest.mark.parametrize("withhold_pings", [True, False])
def test_pings_are_no_life(withhold_pings: bool) -> None:
    policy = ReconnectPolicy(max_attempts=2, jitter="none")
    protocol = opened(
        policy,
        event_timeout=60.0,
        ping=is_ping,
        withhold_pings=withhold_pings,
    )
    ping = ServerSentEvent(event="ping", data="{}", id="1")
    protocol.waited(15.0)
    assert protocol.feed(b"id: 1\nevent: ping\ndata: {}\n\n") == [ping] * (not withhold_pings)
    assert limit_of(protocol) == TimeLimit(45.0, "no event from the server for 60.0 s")
    assert (protocol.attempts, protocol.last_event) == (1, None)
    assert protocol.last_event_id == "1"  # 9.2.6 knows no pings
    assert protocol.connection_lost(OSError(), now=NOW + 60) == Wait(3.0)
    respond(protocol)
    assert len(protocol.feed(b"event: ping\ndata\n\ndata: x\n\nevent: ping\ndata\n\n")) == (
        1 if withhold_pings else 3
    )
    assert protocol.last_event == ServerSentEvent(data="x", id="1")
    assert protocol.attempts == 0


@pytest.mark.parametrize("timeouts", [(None, None), (5.0, None), (None, 5.0), (5.0, 5.0)])
def test_silence_alone(timeouts: tuple[float | None, float | None]) -> None:
    silence = Silence(*timeouts)
    silence.waited(2.0)
    silence.heard(b"x", event=False)
    silence.waited(1.0)
    idle, event = timeouts
    expected = [4.0] * (idle is not None) + [2.0] * (event is not None)
    limit = silence.limit
    assert (None if limit is None else limit.seconds) == (min(expected) if expected else None)


# The end


def ending(policy: ReconnectPolicy | None = EXACT, **options: Any) -> EventSourceProtocol:
    """Return an open protocol that knows its end."""
    protocol = opened(policy, **options)
    assert protocol.feed(b"id: 1\ndata: x\n\n") == [ServerSentEvent(data="x", id="1")]
    return protocol


@pytest.mark.parametrize("until", ["[DONE]", ["[DONE]", "[FIN]"], {"[DONE]"}])
@pytest.mark.parametrize("rest", [b"", b"\n", b"id: 3\ndata: y\n\n", b"data: unfinished"])
@pytest.mark.parametrize("error", [None, OSError()])
def test_the_stream_is_over_with_its_last_data(
    until: Any, rest: bytes, error: OSError | None
) -> None:
    protocol = ending(until=until)
    assert protocol.feed(b"id: 2\ndata: [DONE]\n\n" + rest) == []
    assert state_of(protocol) is ReadyState.CLOSED
    assert protocol.last_event_id == "2"
    assert limit_of(protocol) is None
    assert protocol.feed(rest) == []
    assert stop_of(protocol.connection_lost(error, now=NOW)) == "the last event has come"
    assert stop_of(protocol.restart()) == "the last event has come"
    assert protocol.close() == Stop("closed")


def test_the_last_data_are_compared_exactly() -> None:
    protocol = ending(until="[DONE]")
    for data in (b"[DONE] ", b" [DONE]", b"[done]", b"[DONE]\ndata:", b"x[DONE]"):
        assert len(protocol.feed(b"data: %s\n\n" % data)) == 1


@pytest.mark.parametrize("until", [None, "[DONE]"])
def test_the_last_event_is_handed_out(until: str | None) -> None:
    protocol = ending(until=until, is_last=is_message_stop)
    stream = b"data: y\n\nevent: message_stop\ndata: {}\n\nid: 4\ndata: z\n\n"
    last = ServerSentEvent(event="message_stop", data="{}", id="1")
    assert protocol.feed(stream) == [ServerSentEvent(data="y", id="1"), last]
    assert (protocol.state, protocol.last_event_id) == (ReadyState.CLOSED, "1")
    assert protocol.last_event == last


@pytest.mark.parametrize(
    ("options", "stream", "unfinished"),
    [
        ({}, b"data: y\n", 8),
        ({}, b"data: y", 7),
        ({"until": "[DONE]"}, b"", 0),
        ({"until": "[DONE]"}, b"data: [DONE]\n", 13),
        ({"is_last": is_message_stop}, b"data: y\n\n", 0),
    ],
)
def test_a_body_that_ends_too_early_is_a_loss(
    options: dict[str, Any], stream: bytes, unfinished: int
) -> None:
    for policy in (EXACT, ReconnectPolicy(reconnect_on_end=False, max_backoff=0.0)):
        protocol = ending(policy, method="POST", **options)
        protocol.feed(stream)
        wait = protocol.connection_lost(now=NOW)
        assert isinstance(wait, Wait)
        assert wait.seconds == 3.0
        assert isinstance(wait.error, IncompleteStream)
        assert vars(wait.error) == {"unfinished": unfinished, "last_event_id": "1"}
    # What broke the connection is its own reason.
    protocol = ending(**options)
    protocol.feed(stream)
    wait = protocol.connection_lost(error := OSError(), now=NOW)
    assert isinstance(wait, Wait)
    assert wait.error is error
    # And without a policy it is what fails.
    protocol = ending(None, **options)
    protocol.feed(stream)
    assert isinstance(error_of(protocol.connection_lost(now=NOW)), IncompleteStream)


def test_the_end_comes_over_another_connection() -> None:
    protocol = ending(until="[DONE]")
    protocol.feed(b"data: [DO")
    assert isinstance(protocol.connection_lost(now=NOW), Wait)
    respond(protocol)
    assert protocol.feed(b"NE]\n\n") == []
    assert state_of(protocol) is ReadyState.OPEN
    assert protocol.feed(b"data: [DONE]\n\n") == []
    assert state_of(protocol) is ReadyState.CLOSED


@pytest.mark.parametrize("name", ["is_last", "ping"])
def test_what_a_callback_raises_ends_the_stream(name: str) -> None:
    def callback(_event: ServerSentEvent) -> bool:
        raise LookupError("mine")

    options: dict[str, Any] = {name: callback}
    protocol = opened(**options)
    with pytest.raises(LookupError, match="mine"):
        protocol.feed(b"data: x\n\n")
    assert state_of(protocol) is ReadyState.CLOSED
    assert protocol.feed(b"data: x\n\n") == []


# The next request


def test_the_last_event_outlives_its_connection() -> None:
    protocol = opened()
    assert last_event_of(protocol) is None
    protocol.feed(b"data: 1\n\nid: 7\ndata: 2\n\nid: 8\n\ndata: 3\n")
    protocol.connection_lost(OSError(), now=NOW)
    assert last_event_of(protocol) == ServerSentEvent(data="2", id="7")
    assert protocol.last_event_id == "8"


def test_what_a_next_request_is_made_of() -> None:
    error = OSError()
    lost = Lost("7", ServerSentEvent(data="x", id="7"), "the response", error)
    assert (lost.last_event_id, lost.response, lost.error) == ("7", "the response", error)
    with pytest.raises(FrozenInstanceError):
        setattr(lost, "error", None)  # noqa: B010  # a type checker would refuse the other way
    request = NextRequest("GET", "https://example.com/runs/1?token=secret", headers={"a": "b"})
    assert (request.method, request.url) == ("GET", "https://example.com/runs/1?token=secret")
    assert request.options == {"headers": {"a": "b"}}
    assert repr(request) == "<NextRequest GET https://example.com/runs/1>"
    assert NextRequest("POST", "/", method="x", url="y").options == {"method": "x", "url": "y"}


# The last event ID


@pytest.mark.parametrize(
    ("stream", "last_event_id", "sent"),
    [
        (b"id: 7\n\n", "7", b"7"),
        (b"id: 7\ndata: x\n\n", "7", b"7"),
        (b"id: 7\n\ndata: x\n\n", "7", b"7"),
        (b"id: 7\n\nid: 8\n", "7", b"7"),  # its block is unfinished
        (b"id: 7\n\nid: 8", "7", b"7"),
        (b"id: 7\n\nid: 8\ndata: x\n\n", "8", b"8"),
        (b"id: 7\n", "old", b"old"),
        (b"id: 7\n\nid\n\n", "", None),  # reset
        (b"id:\ndata: x\n\n", "", None),
        (b"id: 7\n\nid: 8\x00\n\n", "7", b"7"),
        ("id: Zürich \U0001f600\n\n".encode(), "Zürich \U0001f600", "Zürich \U0001f600".encode()),
        (b"id: \xff\n\n", "\ufffd", b"\xef\xbf\xbd"),
        (b"id:   7 \t\n\n", "  7 \t", b"7"),
        (b"id:  \n\n", " ", b""),
        (b"id: a\x01b\n\n", "a\x01b", None),  # no field value can carry it
        (b"id: a\x7f\n\n", "a\x7f", None),
        (b"id: \x0b\n\n", "\x0b", None),
        (b"id: a\tb\n\n", "a\tb", b"a\tb"),
        (b"id: \xc2\x80\n\n", "\x80", b"\xc2\x80"),  # in UTF-8 it is two bytes of obs-text
        (b"id: a\x01b\n\nid: 8\n\n", "8", b"8"),
        (b"id: a: b\n\n", "a: b", b"a: b"),
    ],
)
def test_the_id_of_the_last_blank_line_is_sent(
    stream: bytes, last_event_id: str, sent: bytes | None
) -> None:
    for chunks in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        protocol = opened(last_event_id="old")
        for chunk in chunks:
            protocol.feed(chunk)
        assert protocol.last_event_id == last_event_id
        protocol.connection_lost(OSError(), now=NOW)
        assert (protocol.last_event_id, sent_id(protocol)) == (last_event_id, sent)


@pytest.mark.parametrize(
    ("last_event_id", "sent"),
    [
        (None, None),
        ("", None),
        ("41", b"41"),
        ("é", b"\xc3\xa9"),
        (" x ", b"x"),
        ("a\x1bb", None),
    ],
)
def test_an_id_to_begin_with(last_event_id: str | None, sent: bytes | None) -> None:
    protocol = protocol_of(last_event_id=last_event_id)
    assert (protocol.last_event_id, sent_id(protocol)) == (last_event_id, sent)
    respond(protocol)
    assert [event.id for event in protocol.feed(b"data: x\n\n")] == [last_event_id]


@pytest.mark.parametrize("last_event_id", ["\0", "1\n", "1\r\nCookie: x", "\ud800", "x\udfff"])
def test_an_id_that_no_stream_can_have_set(last_event_id: str) -> None:
    with pytest.raises(ValueError, match="must not have") as caught:
        protocol_of(last_event_id=last_event_id)
    assert str(caught.value) == (
        f"last_event_id must not have NUL, CR, LF or surrogates: {last_event_id!r}"
    )


@pytest.mark.parametrize("name", ["idle_timeout", "event_timeout"])
@pytest.mark.parametrize("seconds", [0, -1, -0.5, math.nan])
def test_a_timeout_is_positive(name: str, seconds: float) -> None:
    options: dict[str, Any] = {name: seconds}
    with pytest.raises(ValueError, match="must be") as caught:
        protocol_of(**options)
    assert str(caught.value) == f"{name} must be more than 0 s, not {seconds}"


def test_the_id_survives_connections_that_set_none() -> None:
    protocol = opened()
    protocol.feed(b"id: 7\ndata: x\n\n")
    for _ in range(3):
        protocol.connection_lost(OSError(), now=NOW)
        assert sent_id(protocol) == b"7"
        respond(protocol, 503)
        assert sent_id(protocol) == b"7"
        respond(protocol)
        assert sent_id(protocol) == b"7"
        assert [event.id for event in protocol.feed(b"data: y\n\n")] == ["7"]
    protocol.close()
    assert (protocol.last_event_id, sent_id(protocol)) == ("7", b"7")


def test_each_connection_is_a_stream_of_its_own() -> None:
    protocol = protocol_of()
    bom = b"\xef\xbb\xbf"
    # None of the ends may leave something: within a block, a line, a BOM, a character, a CR LF.
    for end in (b"event: e\ndata: a\n", b"data: b", b"", bom[:2], b"data: \xf0\x9f", b"data: c\r"):
        respond(protocol)
        events = protocol.feed(bom + b"data: x\n\n" + bom + b"data: y\n\n")
        assert events == [ServerSentEvent(data="x")]
        assert protocol.feed(end) == []
        assert isinstance(protocol.connection_lost(now=NOW), Wait)
        respond(protocol)
        protocol.feed(end)
        protocol.connection_lost(OSError(), now=NOW)
    respond(protocol)
    assert protocol.feed(b"\ndata: x\n\n") == [ServerSentEvent(data="x")]


# Decoders


def test_a_decoder_is_made_for_each_connection() -> None:
    calls: list[str | None] = []

    def decoder(*, last_event_id: str | None) -> SSEDecoder:
        calls.append(last_event_id)
        return SSEDecoder(last_event_id=last_event_id, dispatch_empty=True)

    protocol = protocol_of(decoder=decoder)
    assert calls == []
    respond(protocol, 503)
    respond(protocol)
    assert protocol.feed(b"id: 1\n\n") == [ServerSentEvent(data="", id="1")]
    protocol.connection_lost(now=NOW)
    respond(protocol)
    assert calls == [None, "1"]


def test_a_decoder_that_cannot_be_made() -> None:
    protocol = protocol_of(decoder=partial(SSEDecoder, max_event_size=0))
    with pytest.raises(ValueError, match="max_event_size"):
        respond(protocol)
    assert protocol.state is ReadyState.CONNECTING
    assert isinstance(protocol.connection_lost(now=NOW), Wait)


def test_an_event_that_is_too_large_ends_it() -> None:
    protocol = opened(decoder=partial(SSEDecoder, max_event_size=10))
    with pytest.raises(EventTooLarge):
        protocol.feed(b"data: " + b"x" * 100)
    assert protocol.state is ReadyState.CLOSED
    assert protocol.feed(b"data: x\n\n") == []
    assert stop_of(protocol.connection_lost(now=NOW)) == "closed"


def test_blocks_before_one_that_is_too_large_count() -> None:
    protocol = opened(decoder=partial(SSEDecoder, max_event_size=10))
    with pytest.raises(EventTooLarge):
        protocol.feed(b"id: 7\n\nretry: 5\n\ndata: " + b"x" * 100)
    assert (protocol.last_event_id, protocol.reconnection_time) == ("7", 5)


def test_an_event_too_large_that_is_left_to_the_next_call() -> None:
    stream = b"id: 7\ndata: x\n\ndata: " + b"x" * 100

    protocol = opened(decoder=partial(SSEDecoder, max_event_size=20))
    assert protocol.feed(stream) == [ServerSentEvent(data="x", id="7")]
    with pytest.raises(EventTooLarge):
        protocol.feed(b"")
    assert protocol.state is ReadyState.CLOSED

    for error in (None, OSError()):
        protocol = opened(decoder=partial(SSEDecoder, max_event_size=20))
        assert len(protocol.feed(stream)) == 1
        assert isinstance(error_of(protocol.connection_lost(error, now=NOW)), EventTooLarge)
        assert protocol.last_event_id == "7"


def test_a_chunk_that_is_none_changes_nothing() -> None:
    protocol = opened()
    with pytest.raises(TypeError):
        protocol.feed(cast("bytes", "data: x\n\n"))
    assert len(protocol.feed(b"data: x\n\n")) == 1


# Closing


@pytest.mark.parametrize("stream", [b"", b"id: 1\ndata: x\n\nid: 2\ndata"])
def test_closing_is_for_good(stream: bytes) -> None:
    protocol = opened()
    protocol.feed(stream)
    last_event_id = protocol.last_event_id
    for _ in range(2):
        assert protocol.close() == Stop("closed")
        assert protocol.state is ReadyState.CLOSED
        assert protocol.feed(b"\n\ndata: y\n\n") == []
        assert protocol.last_event_id == last_event_id


def test_closing_may_have_a_reason() -> None:
    assert protocol_of().close("the user has left") == Stop("the user has left")


def test_a_closed_protocol_asks_for_nothing() -> None:
    protocol = protocol_of()
    protocol.close()
    headers = iter(STREAM.items())
    assert protocol.response_received(200, headers, now=NOW) == Stop("closed")
    assert protocol.connection_lost(OSError(), now=NOW) == Stop("closed")
    assert next(headers) == ("Content-Type", "text/event-stream")
    assert protocol.attempts == 0
