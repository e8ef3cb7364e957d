"""A stream that survives its connections: the loop around `EventSourceProtocol`, sync and async.

The loop is one coroutine. What waits is a `Connector` of the adapter; a sync one blocks where an
async one would suspend. It takes no decision, and neither does the loop: the protocol does.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from sse_proto import EventTooLarge, Fail, Open, ReadyState, RetriesExhausted, Wait

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Coroutine, Iterable

    from sse_proto import Action, EventSourceProtocol, ServerSentEvent

__all__ = ["AsyncSubscription", "Connector", "Interrupted", "Subscription"]

_R = TypeVar("_R")

# Scheme; credentials; host and path; query and fragment.
_URL: Final = re.compile(r"(https?://)(?:[^/\s@]*@)?([^\s?#)]*)[^\s)]*")


class Interrupted(Exception):
    """Ends what a connector waits for, after `Connector.interrupt`."""


class Connector(Protocol[_R]):
    """The I/O of a subscription: one connection at a time."""

    lost_errors: tuple[type[Exception], ...]
    """What `open` and `read` raise when another attempt may succeed."""

    futile_errors: tuple[type[Exception], ...]
    """Those among them after which none will."""

    async def open(self, headers: list[tuple[bytes, bytes]]) -> _R:
        """Send the request with these headers; return the response, its body unread.

        Called again after it was cancelled, it goes on with the request that it had begun, or makes
        another one, as the client allows.
        """
        ...

    def head(self, response: _R) -> tuple[int, Iterable[tuple[str, str]]]:
        """Return a response's status and headers."""
        ...

    async def read(self, idle_timeout: float | None) -> bytes | None:
        """Return the next chunk of the body, or ``None`` at its end."""
        ...

    async def start_of_body(self) -> bytes:
        """Return about the first KiB of a body that is refused."""
        ...

    async def close(self) -> None:
        """Close the response, if there is one."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; or raise `Interrupted`. Called again after it was cancelled, wait for the rest."""
        ...

    def interrupt(self) -> None:
        """End what is waited for, and close the response, from any thread or task."""
        ...

    def refusal(self, message: str, response: _R | None, body: bytes) -> Exception:
        """Return the adapter's ``SSEError``."""
        ...

    def time(self) -> float:
        """Return the time in seconds since 1970 (UTC)."""
        ...


class _BaseSubscription(Generic[_R]):
    def __init__(
        self,
        connector: Connector[_R],
        protocol: EventSourceProtocol,
        *,
        url: str,
        logger: logging.Logger,
        on_state: Callable[[Action], object] | None,
    ) -> None:
        self._connector = connector
        self._protocol = protocol
        # For the log: without what may be secret, as credentials and the query.
        self._name = re.sub("//[^/]*@", "//", re.split("[?#]", url)[0])
        self._logger = logger
        self._on_state = on_state
        self._events: deque[ServerSentEvent] = deque()
        # What to do next; a wait of 0 s is how it begins.
        self._action: Action = Wait(0.0)
        self._has_waited = False
        self._response: _R | None = None
        self._is_closing = False
        self._is_in_use = False

    @property
    def state(self) -> ReadyState:
        """Whether it is connecting (or waiting to), open, or closed."""
        return ReadyState.CLOSED if self._is_closing else self._protocol.state

    @property
    def response(self) -> _R | None:
        """The last response; ``None`` before the first."""
        return self._response

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
        """Connections that were tried since the last event; an open one counts."""
        return self._protocol.attempts

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} {self.state.name}>"

    async def _advance(self) -> None:
        """Do whatever it takes until there are events, or none will ever be."""
        if self._is_in_use:
            raise RuntimeError("this subscription is being read already")
        self._is_in_use = True
        try:
            while not (self._events or self._is_closing):
                if isinstance(self._action, Wait):
                    if not self._has_waited:
                        await self._connector.sleep(self._action.seconds)
                        self._has_waited = True
                    await self._connect()
                elif isinstance(self._action, Open):
                    await self._read(self._action)
                elif isinstance(self._action, Fail):
                    raise self._action.error
                else:
                    return
        except Interrupted:
            pass
        except Exception:
            # Closing from another thread or task may end a wait by an error as well.
            if not self._is_closing:
                await self._stop()
                raise
        finally:
            self._is_in_use = False
            if self._is_closing:
                await self._stop()

    async def _connect(self) -> None:
        protocol, connector = self._protocol, self._connector
        try:
            response = await connector.open(protocol.request_headers())
        except connector.lost_errors as error:
            await self._lost(error)
            return
        self._response = response
        status_code, headers = connector.head(response)
        action = protocol.response_received(status_code, headers, now=connector.time())
        if isinstance(action, Fail):
            # Without the body, should reading it be cancelled.
            self._action = self._explained(action, response, b"")
            action = self._explained(action, response, await connector.start_of_body())
        else:
            action = self._explained(action, response, b"")
        await self._do_and_close(action)

    async def _read(self, action: Open) -> None:
        try:
            chunk = await self._connector.read(action.idle_timeout)
            if chunk is not None:
                self._events.extend(self._protocol.feed(chunk))
                return
        except EventTooLarge as error:
            await self._do_and_close(self._explained(Fail(error), None, b""))
        except self._connector.lost_errors as error:
            await self._lost(error)
        else:
            await self._lost(None)

    async def _lost(self, error: Exception | None) -> None:
        if self._is_closing:
            raise Interrupted
        action: Action
        if isinstance(error, self._connector.futile_errors):
            self._protocol.close()
            action = Fail(error)
        else:
            action = self._protocol.connection_lost(error, now=self._connector.time())
            action = self._explained(action, None, b"")
        await self._do_and_close(action)

    def _explained(self, action: Action, response: _R | None, body: bytes) -> Action:
        """Return an action with the errors of the core in terms of the adapter."""
        if isinstance(action, Wait) and response is not None:
            error = self._connector.refusal(str(action.error), response, body)
            return Wait(action.seconds, error)
        if not isinstance(action, Fail):
            return action
        message, cause = str(action.error), action.error.__cause__
        if isinstance(action.error, EventTooLarge):
            message, cause = f"event stream refused: {message}", action.error
        elif isinstance(action.error, RetriesExhausted):
            if response is not None:
                cause = self._connector.refusal(str(cause), response, body)
            if cause is not None:
                message += f"; the last one: {cause}"
        elif response is None:
            return action  # an error of the client's own
        else:
            if body:
                message += f"; the body begins {body.decode('utf-8', 'replace')!r}"
        error = self._connector.refusal(message, response, body)
        error.__cause__ = cause
        return Fail(error)

    async def _do_and_close(self, action: Action) -> None:
        # In this order: closing may be cancelled.
        self._do(action)
        if not isinstance(action, Open):
            await self._connector.close()

    def _do(self, action: Action) -> None:
        self._action = action
        self._has_waited = False
        if isinstance(action, Open):
            self._logger.info("%s: open", self._name)
        elif isinstance(action, Wait):
            level, why = (20, "ended") if action.error is None else (30, _named(action.error))
            self._logger.log(
                level, "%s: %s; connecting again in %.2f s", self._name, why, action.seconds
            )
        elif isinstance(action, Fail):
            # It is raised as well.
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
            await self._connector.close()

    def _begin_closing(self) -> None:
        self._is_closing = True
        self._events.clear()
        self._connector.interrupt()


class Subscription(_BaseSubscription[_R]):
    """Iterator of the events of a stream, over as many connections as it takes. See `subscribe`.

    The first connection is made when iterating starts.
    """

    def __iter__(self) -> Subscription[_R]:
        return self

    def __next__(self) -> ServerSentEvent:
        while True:
            try:
                return self._events.popleft()
            except IndexError:  # none there, or no more: another thread may close it at any time
                pass
            _run(self._advance())
            if not self._events:
                raise StopIteration

    def close(self) -> None:
        """End it: the connection is closed, a wait is over, iterating stops.

        May be called at any time, again, and from another thread.
        """
        self._begin_closing()
        if not self._is_in_use:
            _run(self._stop())


class AsyncSubscription(_BaseSubscription[_R]):
    """Asynchronous iterator of the events of a stream, as `Subscription`. See `asubscribe`."""

    def __aiter__(self) -> AsyncSubscription[_R]:
        return self

    async def __anext__(self) -> ServerSentEvent:
        while not self._events:
            await self._advance()
            if not self._events:
                raise StopAsyncIteration
        return self._events.popleft()

    async def aclose(self) -> None:
        """End it: the connection is closed, a wait is over, iterating stops.

        May be called at any time, again, and from another task of the same event loop.
        """
        self._begin_closing()
        if self._is_in_use:
            await self._connector.close()  # for a read to end; the reader does the rest
        else:
            await self._stop()


def _run(coroutine: Coroutine[None, None, None]) -> None:
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("a sync connector suspended")


def _named(error: BaseException) -> str:
    """Return an error for the log. A client's message may have the whole URL, with its secrets."""
    text = _URL.sub(r"\1\2", str(error))
    return f"{type(error).__name__}: {text}"
