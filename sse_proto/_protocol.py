"""Connecting and reconnecting: the standard's processing model, without I/O, clock or chance.

`EventSourceProtocol` is told what happened, and says what to do next. Times come in with the calls,
and randomness with the constructor, so a simulation is exact.

Its plan:

- What a call reports is sorted into a kind of input: `response_received` by status and content
  type, `feed` by what the chunk completes, `connection_lost` by how the body ended.
- Where another attempt is in question, the policy decides whether, and when.
- State, input and verdict select a row in the table of `_transitions`, which has the next state and
  the outcome of the call. Nothing else sets the state.
- Beside the state there is what outlives a connection (the last event ID and event, the
  reconnection time), what belongs to the open one (a decoder, its silence), and what is counted
  since the last event (attempts, and when the stream was lost) for the policy.

See "Processing model", HTML Standard 9.2.3, and "The Last-Event-ID header", 9.2.4.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from ._actions import Action, Fail, Open, ReadyState, Stop, Wait
from ._ending import Ending
from ._errors import EventTooLarge, IncompleteStream, ResponseRejected, RetriesExhausted
from ._implementation import SSEDecoder
from ._policy import ReconnectPolicy
from ._response import HeaderTypes, fields_of, why_no_event_stream
from ._retry_after import retry_after
from ._silence import Silence, TimeLimit
from ._transitions import Input, Outcome, Row, Verdict, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from random import Random

    from ._events import ServerSentEvent
    from ._feed import BytesLike

__all__ = ["DecoderFactory", "EventSourceProtocol"]

# Statuses after which another attempt may succeed, besides all of 5xx: the server was slow, is not
# ready for early data, or has too many of us.
_TRANSIENT: Final = frozenset({408, 425, 429})
# RFC 6585, 4; RFC 9110, 15.6.4.
_WITH_RETRY_AFTER: Final = frozenset({429, 503})

# NUL, CR, LF, and surrogates, which have no UTF-8.
_NO_ID: Final = re.compile("[\0\r\n\ud800-\udfff]")
# Control characters that no field value may contain: all but tab (RFC 9110, 5.5).
_NOT_IN_A_FIELD: Final = re.compile("[\0-\x08\x0a-\x1f\x7f]")

# Seconds. Connections that are lost sooner, again and again, come from a server that ends each one
# and asks for no wait.
_SHORT: Final = 1.0

_FAILURES: Final = (Outcome.FAIL, Outcome.REJECTED, Outcome.TOO_LARGE)


class DecoderFactory(Protocol):
    """Makes the decoder of a connection: `SSEDecoder`, or a ``functools.partial`` of it."""

    def __call__(self, *, last_event_id: str | None) -> SSEDecoder: ...


class EventSourceProtocol:
    """One event stream over as many connections as it takes.

    For each connection: send a request with `request_headers`, and call `response_received` with
    the head of its answer. Told to `Open`, read the body: wait for each chunk as long as
    `time_limit` says, and call `waited` with how long it took, then `feed` with the chunk. However
    the body ends, or if no answer comes at all, call `connection_lost`. If `state` is
    `ReadyState.CLOSED` after `feed`, the last event has come; `connection_lost` says so.

    Args:
        policy: When to connect again. ``None``: never.
        random: The source of randomness for the waits.
        method: The first request's. See `method`.
        last_event_id: The last event ID to begin with, from an earlier stream.
        idle_timeout: The longest silence between bytes, in seconds; ``None``: any.
        event_timeout: The longest silence between events, in seconds; ``None``: any.
        until: The data of the event that ends the stream, or several alternatives, compared
            exactly. The event is not handed out. ``None``: there is no such event.
        is_last: Whether an event is the stream's last one, which is handed out.
        ping: Whether an event only says that the server is there. Such an event counts neither for
            ``event_timeout`` nor for the policy.
        withhold_pings: Whether `feed` keeps pings to itself.
        decoder: Makes the decoder of each connection, called with ``last_event_id=``:
            `SSEDecoder`, or for example ``functools.partial(SSEDecoder, max_event_size=4096)``.

    Raises:
        ValueError: ``last_event_id`` has NUL, CR, LF or a surrogate, which no stream can have set;
            or a timeout is not positive.
    """

    def __init__(
        self,
        policy: ReconnectPolicy | None,
        *,
        random: Random,
        method: str = "GET",
        last_event_id: str | None = None,
        idle_timeout: float | None = None,
        event_timeout: float | None = None,
        until: str | Collection[str] | None = None,
        is_last: Callable[[ServerSentEvent], bool] | None = None,
        ping: Callable[[ServerSentEvent], bool] | None = None,
        withhold_pings: bool = False,
        decoder: DecoderFactory = SSEDecoder,
    ) -> None:
        if last_event_id is not None and _NO_ID.search(last_event_id):
            raise ValueError(
                f"last_event_id must not have NUL, CR, LF or surrogates: {last_event_id!r:.100}"
            )
        self.method = method
        """The next request's method: set it if it differs from the last one. The policy looks at it
        when the stream has ended properly."""
        self._policy = policy
        self._random = random
        self._open = Open(idle_timeout, event_timeout)
        Silence(idle_timeout, event_timeout)  # which raises ValueError
        self._may_be_silent = idle_timeout is None and event_timeout is None
        self._ending = Ending(until, is_last)
        self._ping = ping
        self._withholds_pings = withhold_pings
        # Saves 0.1 us an event where nobody asks for more.
        self._looks_at_events = self._ending.is_expected or ping is not None
        self._new_decoder = decoder

        self._state = ReadyState.CONNECTING
        # What `connection_lost` says about a stream that `feed` has closed.
        self._why_closed = "closed"
        # What outlives a connection.
        self._last_event_id = last_event_id
        self._last_event: ServerSentEvent | None = None
        self._reconnection_time: int | None = None
        self._was_open = False
        # The open connection's. A new decoder each time, so that no unfinished event is left over.
        self._decoder: SSEDecoder | None = None
        self._silence: Silence | None = None  # None: it may be silent for ever
        self._opened_at = 0.0
        self._has_had_event = False
        # Since the last event: how many attempts, and when the stream was lost. Time while a
        # connection was open does not count: `_lost_at` is moved forward by it.
        self._attempts = 0
        self._lost_at: float | None = None
        # Attempts since the last connection that was healthy.
        self._failures = 0
        # Connections in a row that were lost soon after opening.
        self._short_ones = 0

    @property
    def state(self) -> ReadyState:
        """`ReadyState.CONNECTING`, `ReadyState.OPEN` or `ReadyState.CLOSED`."""
        return self._state

    @property
    def last_event_id(self) -> str | None:
        """The last event ID, as of the last blank line; ``None``: none was ever set."""
        return self._last_event_id

    @property
    def last_event(self) -> ServerSentEvent | None:
        """The last event that was not a ping, on any connection; ``None``: there was none."""
        return self._last_event

    @property
    def reconnection_time(self) -> int | None:
        """What the last ``retry`` asked for, in milliseconds; ``None``: there was none."""
        return self._reconnection_time

    @property
    def attempts(self) -> int:
        """Connections tried since the last event; an open one counts."""
        return self._attempts

    @property
    def time_limit(self) -> TimeLimit | None:
        """How long to wait for the next chunk; ``None``: for ever, or no connection is open."""
        return None if self._silence is None else self._silence.limit

    def request_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the protocol's own header fields for the next request.

        A last event ID that no field value can carry is left out (RFC 9110, 5.5).
        """
        headers = [(b"accept", b"text/event-stream"), (b"cache-control", b"no-store")]
        if self._last_event_id and not _NOT_IN_A_FIELD.search(self._last_event_id):
            # Whitespace around a field value is not part of it (RFC 9110, 5.5), and some clients
            # refuse it.
            headers.append((b"last-event-id", self._last_event_id.encode().strip(b" \t")))
        return headers

    def response_received(
        self,
        status_code: int,
        headers: HeaderTypes,
        *,
        now: float,
        wall_time: float | None = None,
    ) -> Action:
        """Judge the head of a response.

        Args:
            status_code: Redirects are for the HTTP client to follow; one that gets here fails.
            headers: As a mapping, or as pairs of ``str`` or ``bytes``; names in any case.
            now: Seconds by a clock that is never set, as ``time.monotonic()`` gives.
            wall_time: Seconds since 1970 (UTC), as ``time.time()`` gives, to compare the date of a
                ``Retry-After`` with. Default: ``now``, for a simulation that has one clock.

        Raises:
            RuntimeError: There is an open connection.
        """
        if (row := row_of(self._state, Input.RESPONSE)) is not None:
            return self._follow(row, "response_received()")
        self._count_attempt()
        fields = fields_of(headers)
        content_type = fields.get("content-type", "")
        if status_code == 204:
            return self._move(Input.NO_CONTENT)
        reason = why_no_event_stream(status_code, content_type)
        if reason is None:
            self._decoder = self._new_decoder(last_event_id=self._last_event_id)
            if not self._may_be_silent:
                self._silence = Silence(self._open.idle_timeout, self._open.event_timeout)
            self._opened_at = now
            self._was_open = True
            self._has_had_event = False
            return self._move(Input.STREAM)
        error = ResponseRejected(reason, status_code, content_type)
        policy = self._policy
        added = policy is not None and (
            status_code in policy.retry_statuses
            or (status_code == 200 and policy.retry_wrong_content_type)
        )
        if not (added or status_code in _TRANSIENT or 500 <= status_code <= 599):
            return self._move(Input.REJECTED, error=error)
        asked = 0.0
        if added or status_code in _WITH_RETRY_AFTER:
            wall_time = now if wall_time is None else wall_time
            asked = retry_after(fields.get("retry-after", ""), wall_time) or 0.0
        return self._again(Input.RETRIED, error, now, asked=asked)

    def waited(self, seconds: float) -> None:
        """Report how long a read has waited, even if it timed out or was cancelled. Only
        `time_limit` needs it."""
        if self._silence is not None:
            self._silence.waited(seconds)

    def feed(self, chunk: BytesLike, /) -> list[ServerSentEvent]:
        """Decode a chunk of the open response's body; return the events that it completes.

        Returns:
            As `SSEDecoder.feed`; none after `close`, or after the last event, by ``until`` or
            ``is_last``. With that event the state becomes `ReadyState.CLOSED`.

        Raises:
            EventTooLarge: As `SSEDecoder.feed`. The state is then `ReadyState.CLOSED`, since the
                same event would come again.
            TypeError, BufferError: As `SSEDecoder.feed`.
            Exception: Whatever ``is_last`` or ``ping`` raises. The state is then
                `ReadyState.CLOSED`.
            RuntimeError: No connection is open.
        """
        decoder = self._decoder
        if decoder is None:
            self._move(Input.CHUNK, "feed()")
            return []
        try:
            events = decoder.feed(chunk)
        except EventTooLarge:
            self._move(Input.TOO_LARGE)
            raise
        finally:  # also from the blocks before an event that is too large
            self._last_event_id = decoder.last_event_id
            if decoder.reconnection_time is not None:
                self._reconnection_time = decoder.reconnection_time
        lively = events  # those that are not pings
        if events and self._looks_at_events:
            try:
                lively = events = self._ending.cut(events)
                if self._ping is not None:
                    lively = [event for event in events if not self._ping(event)]
            except BaseException:
                self.close()
                raise
        if lively:
            self._last_event = lively[-1]
            self._has_had_event = True
            self._attempts = 0
            self._lost_at = None
        if self._silence is not None:
            self._silence.heard(chunk, event=bool(lively))
        if self._ending.last is not None:
            self._last_event_id = self._ending.last.id  # not a later event's
            self._move(Input.LAST_EVENT)
        return lively if self._withholds_pings else events

    def connection_lost(self, error: BaseException | None = None, *, now: float) -> Action:
        """Report that the connection has ended, or could not be made.

        Args:
            error: Why; ``None`` if the server ended the body properly. If that happened inside an
                event, or before the last one by ``until`` or ``is_last``, the connection still
                counts as broken, by `IncompleteStream`.
            now: Seconds by a clock that is never set, as ``time.monotonic()`` gives.
        """
        if (row := row_of(self._state, Input.LOSS)) is not None:
            return self._follow(row)
        decoder, policy = self._decoder, self._policy
        if decoder is None:
            self._count_attempt()
            return self._again(Input.NO_ANSWER, error, now)
        lived = max(0.0, now - self._opened_at)
        if self._lost_at is not None:
            self._lost_at += lived
        if policy is not None and self._has_had_event and lived >= policy.healthy_after:
            self._failures = 0
        try:
            decoder.close()
        except EventTooLarge as too_large:  # it was left to the next call
            return self._move(Input.LEFT_TOO_LARGE, error=too_large)
        self._short_ones = self._short_ones + 1 if lived < _SHORT else 0
        if error is None and (decoder.unfinished or self._ending.is_expected):
            error = IncompleteStream(decoder.unfinished, self._last_event_id)
        if error is not None:
            return self._again(Input.BROKEN, error, now)
        if policy is None or not policy.reconnects_after_end(self.method):
            return self._move(Input.END, verdict=Verdict.OVER)
        return self._again(Input.END, None, now)

    def restart(self) -> Action:
        """Drop the connection, or the wait for one, and connect at once.

        The last event ID is kept; the policy starts counting afresh.
        """
        if self._state is not ReadyState.CLOSED:
            self._attempts = self._failures = self._short_ones = 0
            self._lost_at = None
        return self._move(Input.RESTART)

    def close(self, reason: str = "closed") -> Stop:
        """Stop for good. May be called again, at any time."""
        self._move(Input.CLOSE)
        return Stop(reason)

    def _count_attempt(self) -> None:
        self._attempts += 1
        self._failures += 1

    def _move(
        self,
        reported: Input,
        call: str = "",
        *,
        verdict: Verdict | None = None,
        error: BaseException | None = None,
        seconds: float = 0.0,
    ) -> Action:
        """Look up the row for an input, and follow it."""
        row = row_of(self._state, reported, verdict)
        assert row is not None, (self._state, reported, verdict)
        return self._follow(row, call, error=error, seconds=seconds)

    def _follow(
        self,
        row: Row,
        call: str = "",
        *,
        error: BaseException | None = None,
        seconds: float = 0.0,
    ) -> Action:
        """Enter a row's next state, and return its outcome as an action.

        Args:
            row: One for this state.
            call: What was called, for the message about a misuse.
            error: For a `Wait` or a `Fail`; for an exhausted policy, its cause.
            seconds: For a `Wait`; for an exhausted policy, how long the stream was away.
        """
        if row.outcome is Outcome.MISUSE:
            raise RuntimeError(f"{call} in state {row.state.name}: call {row.text} first")
        self._state = row.after
        if row.after is not ReadyState.OPEN:
            self._decoder = self._silence = None
        if row.outcome is Outcome.OPEN:
            return self._open
        if row.outcome is Outcome.WAIT:
            return Wait(seconds, error)
        if row.outcome is Outcome.EXHAUSTED:
            exhausted = RetriesExhausted(self._attempts, seconds)
            exhausted.__cause__ = error
            return Fail(exhausted)
        if row.outcome in _FAILURES:
            return Fail(error or RetriesExhausted(self._attempts, 0.0))
        if row.outcome is Outcome.LAST_EVENTS:
            self._why_closed = row.text
        return Stop(row.text or self._why_closed)

    def _again(
        self,
        reported: Input,
        error: BaseException | None,
        now: float,
        *,
        asked: float = 0.0,
    ) -> Action:
        """Connect again if the policy allows it.

        Args:
            reported: What came instead of an event stream, or ended it.
            error: How the last attempt failed; ``None``: it ended properly.
            now: As above.
            asked: What a ``Retry-After`` asks for, in seconds.
        """
        if self._lost_at is None or now < self._lost_at:  # no clock should do that
            self._lost_at = now
        policy = self._policy
        if policy is None or not (policy.retry_first or self._was_open):
            return self._move(reported, verdict=Verdict.NEVER, error=error)
        seconds = self._wait(policy, asked)
        away = now - self._lost_at
        if (policy.max_attempts is not None and self._attempts >= policy.max_attempts) or (
            policy.max_time is not None and away + seconds > policy.max_time
        ):
            return self._move(reported, verdict=Verdict.SPENT, error=error, seconds=away)
        return self._move(reported, verdict=Verdict.AGAIN, error=error, seconds=seconds)

    def _wait(self, policy: ReconnectPolicy, asked: float) -> float:
        base = policy.initial_delay
        if self._reconnection_time is not None:
            # An integer of any size, on which float() may fail.
            base = min(self._reconnection_time, 2**53) / 1000
            if self._short_ones > 1 and policy.jitter != "none":
                least = min(policy.min_server_delay, policy.initial_delay, policy.max_backoff)
                base = max(base, least)
        asked = min(max(base, asked), policy.max_server_delay)
        try:
            seconds = policy.delay(asked, self._failures, self._random)
            if not 0 <= seconds < float("inf"):  # NaN as well
                raise ValueError(f"the policy's delay must be at least 0 and finite, not {seconds}")
        except BaseException:  # the decoder is already closed: there is no way on
            self.close()
            raise
        return seconds
