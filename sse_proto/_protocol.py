"""Connecting, and connecting again: the standard's processing model without I/O, clock or chance.

It is told what happened, and says what to do next. The times come in with the calls, and the
randomness with the constructor, so that a simulation is exact.

See "Processing model", HTML Standard 9.2.3, and "The Last-Event-ID header", 9.2.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

from ._errors import EventTooLarge, ResponseRejected, RetriesExhausted
from ._implementation import SSEDecoder
from ._policy import ReconnectPolicy
from ._response import why_no_event_stream
from ._retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from ._decoder import BytesLike
    from ._events import ServerSentEvent

    _Mapping = Mapping[str, str]
    HeaderTypes = _Mapping | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]

__all__ = [
    "Action",
    "DecoderFactory",
    "EventSourceProtocol",
    "Fail",
    "Open",
    "ReadyState",
    "Stop",
    "Wait",
]

# Statuses after which another attempt may succeed, beside all of 5xx: the server was slow, is not
# ready for early data, or has too many of us.
_TRANSIENT: Final = frozenset({408, 425, 429})
_WITH_RETRY_AFTER: Final = frozenset({429, 503})

# NUL, CR, LF, and surrogates, which have no UTF-8.
_NO_ID: Final = re.compile("[\0\r\n\ud800-\udfff]")


class ReadyState(IntEnum):
    """The standard's ``readyState``."""

    CONNECTING = 0
    """Connecting, or waiting to connect again."""
    OPEN = 1
    """An event stream is being read."""
    CLOSED = 2
    """No stream will be opened any more."""


@dataclass(frozen=True)
class Open:
    """Read the response's body, and feed it."""

    idle_timeout: float | None
    """Seconds without any byte (comments count) after which the connection is lost; ``None``:
    never."""


@dataclass(frozen=True)
class Wait:
    """Wait; then connect, with new `EventSourceProtocol.request_headers`."""

    seconds: float
    error: BaseException | None = field(default=None, compare=False)
    """Why; ``None``: the server has ended the stream properly."""


@dataclass(frozen=True)
class Stop:
    """Nothing more will come, and nothing went wrong."""

    reason: str


@dataclass(frozen=True)
class Fail:
    """Nothing more will come, and this is why."""

    error: BaseException


Action: TypeAlias = Open | Wait | Stop | Fail
"""What to do next."""


class DecoderFactory(Protocol):
    """Makes the decoder of a connection: `SSEDecoder`, or a ``functools.partial`` of it."""

    def __call__(self, *, last_event_id: str | None) -> SSEDecoder: ...


class EventSourceProtocol:
    """One event stream over as many connections as it takes.

    For each connection: send a request with `request_headers`, and call `response_received` with
    the head of its answer. Told to `Open`, call `feed` with each chunk of the body; however that
    ends, call `connection_lost`. Call it, too, if no answer has come at all.

    Args:
        policy: When to connect again. ``None``: never.
        random: The source of randomness for the waits.
        last_event_id: The last event ID to begin with, of an earlier stream.
        idle_timeout: What `Open` will say, in seconds.
        decoder: Makes the decoder of each connection, called with ``last_event_id=``:
            `SSEDecoder`, or for example ``functools.partial(SSEDecoder, max_event_size=4096)``.

    Raises:
        ValueError: ``last_event_id`` has NUL, CR, LF or a surrogate, which no stream can have set;
            or ``idle_timeout`` is not positive.
    """

    def __init__(
        self,
        policy: ReconnectPolicy | None,
        *,
        random: Random,
        last_event_id: str | None = None,
        idle_timeout: float | None = None,
        decoder: DecoderFactory = SSEDecoder,
    ) -> None:
        if last_event_id is not None and _NO_ID.search(last_event_id):
            raise ValueError(
                f"last_event_id must not have NUL, CR, LF or surrogates: {last_event_id!r:.100}"
            )
        if idle_timeout is not None and not idle_timeout > 0:
            raise ValueError(f"idle_timeout must be more than 0 s, not {idle_timeout}")
        self._policy = policy
        self._random = random
        self._idle_timeout = idle_timeout
        self._new_decoder = decoder

        self._state = ReadyState.CONNECTING
        # What outlives a connection.
        self._last_event_id = last_event_id
        self._reconnection_time: int | None = None
        # The open connection's. A new one each time, so that nothing of an unfinished event stays.
        self._decoder: SSEDecoder | None = None
        # Since the last event: how many attempts, and when the stream was lost. The time in which a
        # connection was open is none of that: the latter moves on by it.
        self._attempts = 0
        self._lost_at: float | None = None
        self._opened_at = 0.0

    @property
    def state(self) -> ReadyState:
        """Where this is between `ReadyState.CONNECTING` and `ReadyState.CLOSED`."""
        return self._state

    @property
    def last_event_id(self) -> str | None:
        """The last event ID, as of the last blank line; ``None``: none was ever set."""
        return self._last_event_id

    @property
    def reconnection_time(self) -> int | None:
        """What the last ``retry`` asked for, in milliseconds; ``None``: there was none."""
        return self._reconnection_time

    @property
    def attempts(self) -> int:
        """Connections that were tried since the last event; an open one counts."""
        return self._attempts

    def request_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the header fields of the next request that are the protocol's."""
        headers = [(b"accept", b"text/event-stream"), (b"cache-control", b"no-store")]
        if self._last_event_id:
            # Whitespace around a field value is not part of it (RFC 9110, 5.5), and refused by
            # some clients.
            headers.append((b"last-event-id", self._last_event_id.encode().strip(b" \t")))
        return headers

    def response_received(self, status_code: int, headers: HeaderTypes, *, now: float) -> Action:
        """Judge the head of a response.

        Args:
            status_code: Redirects are the HTTP client's to follow; one that comes here fails.
            headers: As a mapping, or as pairs of ``str`` or ``bytes``; in any case of letters.
            now: Seconds since 1970 (UTC), as ``time.time()`` gives.

        Raises:
            RuntimeError: There is an open connection.
        """
        if self._state is ReadyState.CLOSED:
            return Stop("closed")
        if self._state is ReadyState.OPEN:
            raise RuntimeError("response_received() in state OPEN: call connection_lost() first")
        self._attempts += 1
        fields = _lower_case(headers)
        content_type = fields.get("content-type", "")
        if status_code == 204:
            return self.close("status 204: the server wants no further connection")
        reason = why_no_event_stream(status_code, content_type)
        if reason is None:
            self._decoder = self._new_decoder(last_event_id=self._last_event_id)
            self._state = ReadyState.OPEN
            self._opened_at = now
            return Open(self._idle_timeout)
        error = ResponseRejected(reason, status_code, content_type)
        if status_code in _TRANSIENT or 500 <= status_code <= 599:
            asked = 0.0
            if status_code in _WITH_RETRY_AFTER:
                asked = retry_after(fields.get("retry-after", ""), now) or 0.0
            return self._again(error, now, asked)
        return self._fail(error)

    def feed(self, chunk: BytesLike, /) -> list[ServerSentEvent]:
        """Decode a chunk of the open response's body; return the events that it completes.

        Returns:
            As `SSEDecoder.feed`; none after `close`.

        Raises:
            EventTooLarge: As `SSEDecoder.feed`. The state is `ReadyState.CLOSED` then, since the
                same event would come again.
            TypeError, BufferError: As `SSEDecoder.feed`.
            RuntimeError: No connection is open.
        """
        if self._state is ReadyState.CLOSED:
            return []
        if self._decoder is None:
            raise RuntimeError("feed() in state CONNECTING: call response_received() first")
        decoder = self._decoder
        try:
            events = decoder.feed(chunk)
        except EventTooLarge:
            self.close()
            raise
        finally:  # also of the blocks before an event that is too large
            self._last_event_id = decoder.last_event_id
            if decoder.reconnection_time is not None:
                self._reconnection_time = decoder.reconnection_time
        if events:
            self._attempts = 0
            self._lost_at = None
        return events

    def connection_lost(self, error: BaseException | None = None, *, now: float) -> Action:
        """Take note of the end of a connection, or that there was none.

        Args:
            error: Why; ``None`` if the server has ended the stream properly.
            now: Seconds since 1970 (UTC), as ``time.time()`` gives.
        """
        if self._state is ReadyState.CLOSED:
            return Stop("closed")
        if self._state is ReadyState.CONNECTING:
            self._attempts += 1
        else:
            decoder, self._decoder = self._decoder, None
            self._state = ReadyState.CONNECTING
            if self._lost_at is not None:
                self._lost_at += max(0.0, now - self._opened_at)
            try:
                cast("SSEDecoder", decoder).close()
            except EventTooLarge as too_large:  # it was left to the next call
                return self._fail(too_large)
            if error is None and (self._policy is None or not self._policy.reconnect_on_end):
                return self.close("the server has ended the stream")
        return self._again(error, now, 0.0)

    def close(self, reason: str = "closed") -> Stop:
        """Open no connection any more. May be called again, at any time."""
        self._state = ReadyState.CLOSED
        self._decoder = None
        return Stop(reason)

    def _fail(self, error: BaseException) -> Fail:
        self.close()
        return Fail(error)

    def _again(self, error: BaseException | None, now: float, asked: float) -> Wait | Fail:
        """Return when to connect again, if the policy allows it.

        Args:
            error: How the last attempt failed; ``None``: it ended without an event.
            now: As above.
            asked: What a ``Retry-After`` asks for, in seconds.
        """
        if self._lost_at is None or now < self._lost_at:  # the clock was set back
            self._lost_at = now
        policy = self._policy
        if policy is None:
            return self._fail(error or RetriesExhausted(self._attempts, 0.0))
        seconds = self._wait(policy, asked)
        away = now - self._lost_at
        if (policy.max_attempts is not None and self._attempts >= policy.max_attempts) or (
            policy.max_time is not None and away + seconds > policy.max_time
        ):
            exhausted = RetriesExhausted(self._attempts, away)
            exhausted.__cause__ = error
            return self._fail(exhausted)
        return Wait(seconds, error)

    def _wait(self, policy: ReconnectPolicy, asked: float) -> float:
        base = policy.initial_delay
        if self._reconnection_time is not None:
            # An integer of any size, of which float() may fail.
            base = min(self._reconnection_time, 2**53) / 1000
        asked = min(max(base, asked), policy.max_server_delay)
        seconds = policy.delay(asked, self._attempts, self._random)
        if not 0 <= seconds < float("inf"):  # NaN as well
            raise ValueError(f"the policy's delay must be at least 0 and finite, not {seconds}")
        return seconds


def _lower_case(headers: HeaderTypes) -> dict[str, str]:
    """Return header fields by their names in lower case; of equal names the last one."""
    if isinstance(headers, Mapping):
        return {name.lower(): value for name, value in cast("_Mapping", headers).items()}
    pairs = cast("Iterable[tuple[str | bytes, str | bytes]]", headers)
    return {_text(name).lower(): _text(value) for name, value in pairs}


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
