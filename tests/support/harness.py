"""One table of behaviours for both interfaces: a test is written once, and runs sync and async.

Take the fixture ``mode`` (see conftest.py), and let it make the client and open the streams:
```python
def test_events_arrive(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    with mode.open(mode.client(), "GET", server.url()) as stream:  # connect_sse or aconnect_sse
        assert next(stream).data == "1"  # iterate it, also in async mode
        assert stream.response.status_code == 200
        assert [event.data for event in stream.take(1)] == ["2"]
    server.wait_for_close(1)
    # the same, for tests that look at nothing but the events:
    assert data_of(mode.collect(mode.client(), "GET", server.url(), n=2)) == ["1", "2"]
```
In async mode each of these calls runs a coroutine to its end on the mode's event loop; no task is
left on it between two calls (the fixture asserts that at the end). `Mode.run` does the same with a
test's own coroutine. A test that needs to look inside, at cancellation for example, is better
written as a plain test of one interface. Clients are closed by the fixture.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, final

import httpxr

from sse_httpxr import (
    EventSource,
    ServerSentEvent,
    aconnect_sse,
    aiter_json,
    connect_sse,
    iter_json,
)

if TYPE_CHECKING:
    from tests.support.servers import Exchange, Handler

__all__ = [
    "AsyncMode",
    "Client",
    "Mode",
    "Stream",
    "SyncMode",
    "async_transport",
    "data_of",
    "event",
    "sends",
    "sync_transport",
]

Client: TypeAlias = httpxr.Client | httpxr.AsyncClient

_T = TypeVar("_T")

# Seconds that one call on the event loop may take: a hanging one fails its test, not the session.
_CALL_TIMEOUT: Final = 20.0


@final
class Stream(Generic[_T]):
    """An open stream: an iterator of its items, whatever the interface.

    Each call of ``next`` asks the same iterator of the adapter; a new one is taken by `restart`.
    """

    def __init__(
        self,
        source: EventSource,
        restart: Callable[[], Iterator[_T]],
        close: Callable[[], object],
    ) -> None:
        self.source: Final = source
        self._restart: Final = restart
        self._close: Final = close
        self._items = restart()

    @property
    def response(self) -> httpxr.Response:
        return self.source.response

    def __iter__(self) -> Stream[_T]:
        return self

    def __next__(self) -> _T:
        return next(self._items)

    def take(self, n: int) -> list[_T]:
        """Return the next ``n`` items, or fewer at the end of the stream."""
        return list(islice(self, n))

    def restart(self) -> None:
        """Go on with another iterator of the same source."""
        self._items = self._restart()

    def close(self) -> None:
        """Call the source's ``close`` or ``aclose``."""
        self._close()


class Mode(ABC):
    """One of the two interfaces.

    ``settings`` are those of the client; ``call`` is what `connect_sse` takes beyond them.
    """

    name: str
    is_async: bool

    @abstractmethod
    def client(self, **settings: Any) -> Client:
        """Return a new `httpxr.Client` or `httpxr.AsyncClient`; it is closed after the test."""

    @abstractmethod
    def open(
        self, client: Client, method: str, url: str | httpxr.URL, **call: Any
    ) -> AbstractContextManager[Stream[ServerSentEvent]]:
        """Open a stream of events with ``connect_sse`` or ``aconnect_sse``."""

    @abstractmethod
    def open_json(
        self, client: Client, method: str, url: str | httpxr.URL, **call: Any
    ) -> AbstractContextManager[Stream[Any]]:
        """As `open`, but the items are those of ``EventSource.iter_json`` or ``aiter_json``."""

    @abstractmethod
    def source(self, response: httpxr.Response) -> Stream[ServerSentEvent]:
        """Return the events of a response that was opened, or built, in another way."""

    @abstractmethod
    def json(self, response: httpxr.Response) -> Iterator[Any]:
        """Return ``iter_json(response)`` or ``aiter_json(response)``."""

    @abstractmethod
    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine: on the mode's event loop, or on a new one if it has none."""

    @abstractmethod
    def close_client(self, client: Client) -> None:
        """Close a client before the end of the test."""

    @abstractmethod
    def finish(self) -> None:
        """Close the clients; called by the fixture."""

    def collect(
        self, client: Client, method: str, url: str | httpxr.URL, n: int | None = None, **call: Any
    ) -> list[ServerSentEvent]:
        """Return the first ``n`` events of a stream, or all."""
        with self.open(client, method, url, **call) as stream:
            return list(stream) if n is None else stream.take(n)

    def __repr__(self) -> str:
        return f"<{self.name} mode>"


@final
class SyncMode(Mode):
    name = "sync"
    is_async = False

    def __init__(self) -> None:
        self._clients: Final[list[httpxr.Client]] = []

    def client(self, **settings: Any) -> httpxr.Client:
        self._clients.append(httpxr.Client(**settings))
        return self._clients[-1]

    @contextmanager
    def open(
        self, client: Client, method: str, url: str | httpxr.URL, **call: Any
    ) -> Generator[Stream[ServerSentEvent]]:
        assert isinstance(client, httpxr.Client)
        with connect_sse(client, method, url, **call) as source:
            yield Stream(source, source.iter_sse, source.close)

    @contextmanager
    def open_json(
        self, client: Client, method: str, url: str | httpxr.URL, **call: Any
    ) -> Generator[Stream[Any]]:
        assert isinstance(client, httpxr.Client)
        with connect_sse(client, method, url, **call) as source:
            yield Stream(source, source.iter_json, source.close)

    def source(self, response: httpxr.Response) -> Stream[ServerSentEvent]:
        source = EventSource(response)
        return Stream(source, source.iter_sse, source.close)

    def json(self, response: httpxr.Response) -> Iterator[Any]:
        return iter(iter_json(response))

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run(coroutine)

    def close_client(self, client: Client) -> None:
        assert isinstance(client, httpxr.Client)
        client.close()

    def finish(self) -> None:
        for client in self._clients:
            client.close()


@final
class AsyncMode(Mode):
    name = "async"
    is_async = True

    def __init__(self) -> None:
        self._clients: Final[list[httpxr.AsyncClient]] = []
        self.loop: Final = asyncio.new_event_loop()

    def client(self, **settings: Any) -> httpxr.AsyncClient:
        self._clients.append(httpxr.AsyncClient(**settings))
        return self._clients[-1]

    @contextmanager
    def open(
        self, client: Client, method: str, url: str | httpxr.URL, **call: Any
    ) -> Generator[Stream[ServerSentEvent]]:
        with self._open(client, method, url, call) as source:
            yield Stream(
                source,
                lambda: self._blocking(source.aiter_sse()),
                lambda: self._await(source.aclose()),
            )

    @contextmanager
    def open_json(
        self, client: Client, method: str, url: str | httpxr.URL, **call: Any
    ) -> Generator[Stream[Any]]:
        with self._open(client, method, url, call) as source:
            yield Stream(
                source,
                lambda: self._blocking(source.aiter_json()),
                lambda: self._await(source.aclose()),
            )

    @contextmanager
    def _open(
        self, client: Client, method: str, url: str | httpxr.URL, call: dict[str, Any]
    ) -> Generator[EventSource]:
        assert isinstance(client, httpxr.AsyncClient)
        manager = aconnect_sse(client, method, url, **call)
        source = self._await(manager.__aenter__())
        try:
            yield source
        except BaseException as error:
            # As `async with` does: the manager raises the error again, or it is raised here.
            if not self._await(manager.__aexit__(type(error), error, error.__traceback__)):
                raise
        else:
            self._await(manager.__aexit__(None, None, None))

    def source(self, response: httpxr.Response) -> Stream[ServerSentEvent]:
        source = EventSource(response)
        return Stream(
            source,
            lambda: self._blocking(source.aiter_sse()),
            lambda: self._await(source.aclose()),
        )

    def json(self, response: httpxr.Response) -> Iterator[Any]:
        return self._blocking(aiter_json(response))

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self._await(coroutine)

    def close_client(self, client: Client) -> None:
        assert isinstance(client, httpxr.AsyncClient)
        self._await(_aclose(client))

    def finish(self) -> None:
        try:
            for client in self._clients:
                self.close_client(client)
            left = asyncio.all_tasks(self.loop)
            assert not left, f"tasks left behind: {left}"
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def _await(self, awaitable: Awaitable[_T]) -> _T:
        async def bounded() -> _T:
            return await asyncio.wait_for(awaitable, _CALL_TIMEOUT)

        return self.loop.run_until_complete(bounded())

    def _blocking(self, items: AsyncIterator[_T]) -> Iterator[_T]:
        return _BlockingIterator(self, items)

    def next_item(self, items: AsyncIterator[_T]) -> _T:
        """Return the next item of an asynchronous iterator; raise StopIteration after the last."""
        try:
            return self._await(items.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None


async def _aclose(client: httpxr.AsyncClient) -> None:
    await client.aclose()  # a future, which must be made on a running loop


@final
class _BlockingIterator(Iterator[_T]):
    """An asynchronous iterator for sync code. No generator, since it may go on after an error."""

    def __init__(self, mode: AsyncMode, items: AsyncIterator[_T]) -> None:
        self._mode: Final = mode
        self._items: Final = items

    def __next__(self) -> _T:
        return self._mode.next_item(self._items)


def async_transport(**settings: Any) -> object:
    """Return an ``httpxr.AsyncHTTPTransport``, which httpxr's stubs leave out."""
    module: Any = httpxr
    transport: object = module.AsyncHTTPTransport(**settings)
    return transport


def sync_transport(**settings: Any) -> object:
    """Return an ``httpxr.HTTPTransport``, which httpxr's stubs leave out."""
    module: Any = httpxr
    transport: object = module.HTTPTransport(**settings)
    return transport


# -- handlers for RawServer -----------------------------------------------------------------------


def event(data: str) -> bytes:
    """Return an event of one line of data, as it is sent."""
    return b"data: %b\n\n" % data.encode()


def sends(*data: str, hold: bool = False, headers: Iterable[tuple[str, str]] = ()) -> Handler:
    """Return a handler that sends an event for each ``data``, one chunk each.

    Then it ends the stream, or with ``hold`` sends nothing more and leaves it open.
    """

    def handle(exchange: Exchange) -> None:
        exchange.start(headers=headers)
        for item in data:
            exchange.send(event(item))
        if hold:
            exchange.wait_closed(10)

    return handle


def data_of(events: Iterable[ServerSentEvent]) -> list[str]:
    return [event.data for event in events]
