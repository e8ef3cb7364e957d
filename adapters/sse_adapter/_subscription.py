"""A stream that outlives its connections: the loop around `EventSourceProtocol`, sync and async.

The loop is one coroutine. A `Connector` opens connections, a `Body` is read, a `Waiter` waits; sync
ones block where asynchronous ones suspend. None of these decides anything: the protocol does.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections import deque
from functools import partial
from inspect import isawaitable
from random import Random
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from sse_proto import (
    EventSourceProtocol,
    EventTooLarge,
    Fail,
    Lost,
    Open,
    ReadyState,
    ReconnectPolicy,
    RetriesExhausted,
    SSEDecoder,
    Stop,
    Wait,
)

from ._body import run
from ._chunks import Chunks
from ._coding import CodingError
from ._errors import SSEError
from ._json import json_of
from ._reading import explained
from ._typed import AsyncTypedItems, Turns, TypedItems, event_parser, json_parser
from ._waiting import Interrupted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sse_proto import Action, NextRequest, ParsedEvent, ServerSentEvent

    from ._body import Body
    from ._options import SubscribeOptions
    from ._reading import AsyncItems, Items
    from ._waiting import Waiter

__all__ = ["AsyncSubscription", "Connector", "Subscription"]

_R = TypeVar("_R")
_T = TypeVar("_T")

_DEFAULT_POLICY: Final = ReconnectPolicy()
_LOGGER: Final = logging.getLogger("sse_adapter")
# Scheme; credentials; host and path; query and fragment.
_URL: Final = re.compile(r"(https?://)(?:[^/\s@]*@)?([^\s?#)]*)[^\s)]*")


class Connector(ABC, Generic[_R]):
    """Opens the connections of a subscription, one after the other, each for the same request."""

    lost_errors: tuple[type[Exception], ...] = (OSError,)
    """What `open` and `Body.read` raise when another attempt may succeed."""

    futile_errors: tuple[type[Exception], ...] = ()
    """Those of them after which no attempt will succeed: the request itself is at fault."""

    @abstractmethod
    async def open(self, headers: list[tuple[bytes, bytes]]) -> Body[_R]:
        """Send the request, and return the response's body.

        Sync or asynchronous, like the bodies: see `Body`.

        Args:
            headers: Names in lower case, and values, as bytes: what the protocol adds, unless the
                caller has given the same header. The last event ID is among them, so a
                ``Last-Event-ID`` that the caller gave is for the subscription's ``last_event_id``,
                and not to be sent.
        """

    def set_request(self, request: NextRequest) -> None:  # noqa: ARG002  # not every adapter does
        """Send this request from now on, with its options instead of the earlier ones.

        Needed only for the option ``next_request``.

        Raises:
            TypeError: There is no such option.
        """
        raise TypeError(f"{type(self).__name__} has no next_request")

    def interrupt(self) -> None:  # not abstract: not every client can
        """End an `open` that another thread is waiting in. (One in another task is cancelled.)"""

    def is_futile(self, error: Exception) -> bool:
        """Whether another attempt would fail in the same way. Default: by `futile_errors`."""
        return isinstance(error, self.futile_errors)

    def answer_of(self, error: Exception) -> Body[_R] | None:  # noqa: ARG002  # for others
        """Return the response that an error of `open` carries, to be judged like any other.

        A hook, or an authentication flow, may call ``raise_for_status``, for example. ``None``: the
        error carries none, or a successful one. Default: ``None``.
        """
        return None

    def sse_error(self, message: str) -> SSEError:
        """Return the adapter's ``SSEError`` for when there was no response."""
        return SSEError(message)


class _BaseSubscription(Generic[_R]):
    def __init__(
        self,
        connector: Connector[_R],
        waiter: Waiter,
        options: SubscribeOptions,
        *,
        method: str = "GET",
        url: str,
        logger: logging.Logger = _LOGGER,
        idle_timeout: float | None = None,
        last_event_id: str | None = None,
    ) -> None:
        """Prepare a subscription; nothing is sent before iterating starts.

        Args:
            connector: Opens its connections.
            waiter: Waits between them.
            options: As the caller gave them.
            method: The request's: a POST is not repeated after the response's proper end.
            url: For the log.
            logger: The adapter's. Default: the kit's, ``sse_adapter``.
            idle_timeout, last_event_id: Used if the options do not have them.
        """
        self._connector = connector
        self._lost_errors: tuple[type[Exception], ...] = (CodingError, *connector.lost_errors)
        self._waiter = waiter
        if (given := options.get("last_event_id")) is not None:
            last_event_id = given
        decoder: Callable[..., SSEDecoder] = options.get("decoder", SSEDecoder)
        if (on_comment := options.get("on_comment")) is not None:
            decoder = partial(decoder, on_comment=on_comment)
        self._protocol = EventSourceProtocol(
            options.get("reconnect", _DEFAULT_POLICY),
            random=Random(),
            method=method,
            last_event_id=last_event_id,
            idle_timeout=options.get("idle_timeout", idle_timeout),
            event_timeout=options.get("event_timeout"),
            until=options.get("until"),
            is_last=options.get("is_last"),
            ping=options.get("ping"),
            withhold_pings=options.get("withhold_pings", False),
            decoder=decoder,
        )
        self._name = _shown(url)
        self._logger = logger
        self._on_state = options.get("on_state")
        self._next_request = options.get("next_request")
        self._events: deque[ServerSentEvent] = deque()
        # What to do next; it begins with a wait of 0 s.
        self._action: Action = Wait(0.0)
        self._has_waited = False
        self._is_restarting = False
        self._is_opening = False
        self._is_later = False  # whether there was a request before
        # The open connection's body and its chunks; the last connection's body.
        self._body: Body[_R] | None = None
        self._chunks: Chunks | None = None
        self._last_body: Body[_R] | None = None
        self._is_closing = False
        self._is_in_use = False

    @property
    def state(self) -> ReadyState:
        """Whether it is connecting (or waiting to), open, or closed."""
        return ReadyState.CLOSED if self._is_closing else self._protocol.state

    @property
    def response(self) -> _R | None:
        """The last response; ``None`` before the first."""
        return None if self._last_body is None else self._last_body.response

    @property
    def last_event_id(self) -> str | None:
        """The last event ID, as of the last chunk; ``None``: none was ever set."""
        return self._protocol.last_event_id

    @property
    def reconnection_time(self) -> int | None:
        """What the last ``retry`` asked for, in milliseconds; ``None``: there was none."""
        return self._protocol.reconnection_time

    @property
    def attempts(self) -> int:
        """Connections tried since the last event, the open one included."""
        return self._protocol.attempts

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} {self.state.name}>"

    async def _advance(self) -> None:
        """Do whatever it takes until there are events, or nothing left."""
        if self._is_in_use:
            raise RuntimeError("this subscription is already being read")
        self._is_in_use = True
        try:
            while not (self._events or self._is_closing):
                if self._is_restarting:
                    await self._restart()
                if isinstance(self._action, Fail):
                    raise self._action.error
                if isinstance(self._action, Stop):
                    return
                try:
                    await self._step(self._action)
                except Exception as error:
                    # Another thread or task may have ended a wait, with an error of any kind.
                    if not (isinstance(error, Interrupted) or self._is_restarting):
                        raise
        except Exception:
            if not self._is_closing:
                await self._stop()
                raise
        finally:
            self._is_in_use = False
            if self._is_closing:
                await self._stop()

    async def _step(self, action: Wait | Open) -> None:
        if isinstance(action, Open):
            await self._read()
            return
        if not self._has_waited:
            await self._waiter.sleep(action.seconds)
            self._has_waited = True
        await self._connect()

    async def _restart(self) -> None:
        await self._waiter.close()  # a wait that was cancelled, and is over now
        self._is_restarting = False
        self._waiter.reset()
        if not isinstance(self._action, (Fail, Stop)):
            await self._do_and_close(self._protocol.restart())

    async def _connect(self) -> None:
        try:
            body = await self._waiter.open(self._open)
        except self._lost_errors as error:
            await self._lost(error)
            return
        action = self._protocol.response_received(
            body.status_code,
            body.headers,
            now=self._waiter.monotonic(),
            wall_time=self._waiter.time(),
        )
        if isinstance(action, Fail):
            # Without the body, in case reading it is cancelled.
            self._action = self._translated(action, body, b"")
            action = self._translated(action, body, await Chunks(body).start())
        elif isinstance(action, Open) and (objection := Chunks(body).objection):
            self._protocol.close()
            action = Fail(body.sse_error(objection, b""))
        else:
            action = self._translated(action, body, b"")
        await self._do_and_close(action)

    async def _open(self) -> Body[_R]:
        self._is_opening = True  # set here, since this goes on after the caller is cancelled
        try:
            body = await self._opened()
        finally:
            self._is_opening = False
        self._body = self._last_body = body
        self._chunks = Chunks(body, self._waiter.monotonic)
        if self._is_closing:  # by one of the client's hooks, or too late to end the opening
            raise Interrupted
        return body

    async def _opened(self) -> Body[_R]:
        if self._is_later and self._next_request is not None:
            await self._choose_request(self._next_request)
        self._is_later = True
        try:
            return await self._connector.open(self._protocol.request_headers())
        except Exception as error:
            answer = self._connector.answer_of(error)
            if answer is None:
                raise
            return answer

    async def _choose_request(
        self, next_request: Callable[[Lost[_R]], NextRequest | Awaitable[NextRequest | None] | None]
    ) -> None:
        protocol, action = self._protocol, self._action
        error = action.error if isinstance(action, Wait) else None
        lost = Lost(protocol.last_event_id, protocol.last_event, self.response, error)
        request = next_request(lost)
        if isawaitable(request):
            request = await request
        if request is not None:
            protocol.method = request.method
            self._connector.set_request(request)
            self._name = _shown(str(request.url))

    async def _read(self) -> None:
        assert self._chunks is not None  # it is open
        if self._is_closing:  # too late to end the opening, and too early to end the read
            raise Interrupted
        try:
            chunk = await self._chunks.read(self._protocol.time_limit, self._protocol.waited)
            if chunk is not None:
                self._events.extend(self._protocol.feed(chunk))
                if self._protocol.state is not ReadyState.CLOSED:
                    return
                # The last event has come: the connection of a closed stream counts as lost.
        except EventTooLarge as error:
            await self._do_and_close(self._translated(Fail(error), None, b""))
        except self._lost_errors as error:
            await self._lost(error)
        else:
            await self._lost(None)

    async def _lost(self, error: Exception | None) -> None:
        if self._is_closing or self._is_restarting:
            raise Interrupted
        action: Action
        if error is not None and self._connector.is_futile(error):
            self._protocol.close()
            action = Fail(error)
        else:
            action = self._protocol.connection_lost(error, now=self._waiter.monotonic())
            action = self._translated(action, None, b"")
        await self._do_and_close(action)

    def _translated(self, action: Action, judged: Body[_R] | None, start: bytes) -> Action:
        """Return an action with the core's errors turned into the adapter's."""
        if isinstance(action, Wait) and judged is not None:
            return Wait(action.seconds, judged.sse_error(str(action.error), start))
        if not isinstance(action, Fail):
            return action
        message, cause = str(action.error), action.error.__cause__
        if isinstance(action.error, EventTooLarge):
            message, cause = f"event stream refused: {message}", action.error
        elif isinstance(action.error, RetriesExhausted):
            if judged is not None:
                cause = judged.sse_error(str(cause), start)
            if cause is not None:
                message += f"; the last one: {cause}"
        elif judged is None:
            return action  # the client's own error
        else:
            message = explained(message, start)
        error = self._sse_error(message, judged, start)
        error.__cause__ = cause
        return Fail(error)

    def _sse_error(self, message: str, judged: Body[_R] | None, start: bytes) -> SSEError:
        if judged is not None:
            return judged.sse_error(message, start)
        if self._body is not None:
            return self._body.sse_error(message, None)
        return self._connector.sse_error(message)

    async def _do_and_close(self, action: Action) -> None:
        # In this order: closing may be cancelled.
        self._do(action)
        if isinstance(action, Stop) and self._chunks is not None:  # nothing is wrong with it
            await self._chunks.drain()
        if not isinstance(action, Open):
            await self._close_body()

    def _do(self, action: Action) -> None:
        self._action = action
        self._has_waited = False
        if isinstance(action, Open):
            self._logger.info("%s: open", self._name)
        elif isinstance(action, Wait):
            if action.error is None:
                level, why = logging.INFO, "ended"
            else:
                level, why = logging.WARNING, _named(action.error)
            self._logger.log(
                level, "%s: %s; connecting again in %.2f s", self._name, why, action.seconds
            )
        elif isinstance(action, Fail):
            # It is raised, too.
            self._logger.info("%s: failed: %s", self._name, _named(action.error))
        else:
            self._logger.info("%s: over: %s", self._name, action.reason)
        if self._on_state is not None:
            self._on_state(action)

    async def _stop(self) -> None:
        self._events.clear()
        try:
            if self._protocol.state is not ReadyState.CLOSED:
                self._do(self._protocol.close())
        finally:  # on_state may raise
            await self._waiter.close()
            await self._close_body()

    async def _close_body(self) -> None:
        body, self._body, self._chunks = self._body, None, None
        if body is not None:
            await body.close()

    def restart(self) -> None:
        """Drop this connection, and connect at once, with the last event ID.

        For one that you know is dead: the network has changed, a suspended machine woke up. A
        wait for the next attempt is cut short; an attempt under way goes on. Events that have
        arrived are handed out first. May be called at any time, from any thread if the
        subscription is sync, else from any task of its event loop; does nothing after the end.
        """
        if self._is_opening:
            return
        body = self._body
        # In this order: a reader in another thread resets the waiter when it sees that it should
        # restart, and an interruption after that would end every wait from then on.
        self._waiter.interrupt()
        self._is_restarting = True
        if body is not None:
            body.interrupt()

    def _begin_closing(self) -> None:
        self._is_closing = True
        self._events.clear()
        self._waiter.interrupt()
        self._connector.interrupt()
        body = self._body
        if body is not None:
            body.interrupt()


class Subscription(_BaseSubscription[_R]):
    """Iterator over the events of a stream, over as many connections as it takes.

    The first connection is made when iterating starts.
    """

    def __iter__(self) -> Subscription[_R]:
        return self

    def __next__(self) -> ServerSentEvent:
        while True:
            try:
                return self._events.popleft()
            except IndexError:  # there are none, or not any more: another thread may close it
                pass
            run(self._advance())
            if not self._events:
                raise StopIteration

    @overload
    def iter_json(self) -> Items[Any]: ...
    @overload
    def iter_json(self, loads: Callable[[bytes], _T]) -> Items[_T]: ...
    def iter_json(self, loads: Callable[[bytes], Any] | None = None) -> Items[Any]:
        """Return an iterator over each event's data, parsed as JSON. Empty data is skipped.

        Another loop, of whatever kind, goes on where this one stopped; so does this subscription
        itself. The iterator's ``close()`` closes the subscription.

        Args:
            loads: Called with the data of each event, when its turn comes, in UTF-8. (It was text
                before: what was not UTF-8 has become U+FFFD.) ``orjson.loads``,
                ``msgspec.json.Decoder(X).decode``, ``TypeAdapter(X).validate_json``. An event for
                which it raises `SkipEvent` is left out. Default: `json.loads`.

        Iterating raises what ``loads`` does, for one event; you may go on with the next. For an
        `Exception`, `failed_event` returns the event. Anything else, such as `KeyboardInterrupt`,
        loses no event: the next call parses that one again. By default ``loads`` raises:
            json.JSONDecodeError: Data is not JSON, such as a ``[DONE]`` that ``subscribe`` was not
                told of with ``until="[DONE]"``; the message shows its start.

        Otherwise like iterating over the subscription, up to the end that ``subscribe`` was given.
        """
        return self._typed(json_parser(loads or json_of))

    def iter_parsed(self, parse: Callable[[str, bytes], _T]) -> Items[ParsedEvent[_T]]:
        """Return an iterator over the events, with the data of each parsed.

        Args:
            parse: Called with each event's type, and with its data as `iter_json` calls ``loads``;
                `by_event` combines several parsers that take the data alone into one. An event for
                which it raises `SkipEvent` is left out.

        Otherwise as `iter_json`; but it skips nothing.
        """
        return self._typed(event_parser(parse))

    def _typed(self, parse: Callable[[ServerSentEvent, bytes], _T]) -> Items[_T]:
        return TypedItems(Turns(self._events, parse), self._advance, self.close)

    def close(self) -> None:
        """Stop for good: the connection is closed, a wait is over, iterating ends.

        May be called again, at any time, and from another thread.
        """
        self._begin_closing()
        if not self._is_in_use:
            run(self._stop())


class AsyncSubscription(_BaseSubscription[_R]):
    """Asynchronous iterator over the events of a stream, as `Subscription`."""

    def __aiter__(self) -> AsyncSubscription[_R]:
        return self

    async def __anext__(self) -> ServerSentEvent:
        while not self._events:
            await self._advance()
            if not self._events:
                raise StopAsyncIteration
        return self._events.popleft()

    @overload
    def aiter_json(self) -> AsyncItems[Any]: ...
    @overload
    def aiter_json(self, loads: Callable[[bytes], _T]) -> AsyncItems[_T]: ...
    def aiter_json(self, loads: Callable[[bytes], Any] | None = None) -> AsyncItems[Any]:
        """Return an asynchronous iterator over each event's data, as `Subscription.iter_json`.

        Its ``aclose()`` closes the subscription. A cancellation loses no event.
        """
        return self._typed(json_parser(loads or json_of))

    def aiter_parsed(self, parse: Callable[[str, bytes], _T]) -> AsyncItems[ParsedEvent[_T]]:
        """Return an asynchronous iterator over the events, as `Subscription.iter_parsed`."""
        return self._typed(event_parser(parse))

    def _typed(self, parse: Callable[[ServerSentEvent, bytes], _T]) -> AsyncItems[_T]:
        return AsyncTypedItems(Turns(self._events, parse), self._advance, self.aclose)

    async def aclose(self) -> None:
        """Stop for good: the connection is closed, a wait is over, iterating ends.

        May be called again, at any time, and from another task of the same event loop.
        """
        self._begin_closing()
        if self._is_in_use:  # the reader does the rest
            await self._waiter.close()
            await self._close_body()
        else:
            await self._stop()


def _shown(url: str) -> str:
    """Return a URL for the log, without what may be secret: credentials and the query."""
    return re.sub("//[^/]*@", "//", re.split("[?#]", url)[0])


def _named(error: BaseException) -> str:
    """Return an error for the log. A client's message may have the whole URL and its secrets."""
    text = _URL.sub(r"\1\2", str(error))
    return f"{type(error).__name__}: {text}"
