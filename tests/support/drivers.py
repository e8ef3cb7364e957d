"""Drivers: each adapter, sync and on each event loop, behind one interface for the tests.

A table of behaviour (test_behaviour.py, test_subscribe.py) is a module of tests that are
``async def``, decorated with `driven`, and take the fixture ``driver`` (or ``sync_driver``, or
``async_driver``) of tests/adapters/conftest.py:
```python
@driven
async def test_events_arrive(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", "2"))
    async with driver.open("GET", server.url()) as stream:
        assert data_of(await stream.rest()) == ["1", "2"]
```
Where the driver is a sync one, nothing in a test ever suspends, and it runs to its end without an
event loop.

To put another adapter through the tables, write a subclass of `Driver`, and list it in `DRIVERS`
once for each `Loop` that it runs on. What it cannot do it ``lacks``; a test that needs something
that an adapter may do without says so, ``@pytest.mark.needs("redirects")``.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import ssl
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

import pytest

import sse_proto

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
    from pathlib import Path

    from tests.support.servers import RawServer

__all__ = [
    "DRIVERS",
    "TIMEOUT",
    "AsyncioLoop",
    "Driver",
    "HttpClientDriver",
    "HttpxDriver",
    "HttpxrDriver",
    "Loop",
    "Stream",
    "SyncLoop",
    "TrioLoop",
    "driven",
    "make_driver",
]

_T = TypeVar("_T")

# Seconds after which a test gives up.
TIMEOUT: Final = 10.0
# Without authorities: to load them takes longer than most tests.
_PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Stream:
    """An open stream, or a subscription, sync and asynchronous alike."""

    def __init__(self, driver: Driver, source: Any, items: str) -> None:
        self.source: Final = source
        self._driver: Final = driver
        self._name: Final = items
        self.restart()

    @property
    def response(self) -> Any:
        return self.source.response

    def restart(self) -> None:
        """Go on with another iterator of the same source."""
        self._items = self._driver.items(self.source, self._name)

    async def next(self) -> Any:
        """Return the next item.

        Raises:
            StopAsyncIteration: There is none any more.
        """
        return await self._driver.next(self._items)

    async def take(self, n: int) -> list[Any]:
        return [await self.next() for _ in range(n)]

    async def rest(self) -> list[Any]:
        items: list[Any] = []
        try:
            while True:
                items.append(await self.next())
        except StopAsyncIteration:
            return items

    async def close(self) -> None:
        await self._driver.close(self.source)


# -- loops ----------------------------------------------------------------------------------------


class Loop(ABC):
    """What runs a test: an event loop, or none."""

    is_async: ClassVar[bool] = True
    needs: ClassVar[str] = ""
    """The module that it needs beyond the standard library."""

    @abstractmethod
    def run(self, test: Coroutine[Any, Any, None]) -> None:
        """Run a test to its end."""

    @abstractmethod
    async def within(self, seconds: float, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """Return whether a coroutine ends in time, and cancel it otherwise."""

    @abstractmethod
    async def blocking(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call a function that blocks, with the event loop running."""

    @asynccontextmanager
    async def meanwhile(
        self, *functions: Callable[[], Coroutine[Any, Any, None]]
    ) -> AsyncGenerator[None]:
        """Run functions in other tasks, or in other threads; wait for their end."""
        import anyio

        async with anyio.create_task_group() as group:
            for function in functions:
                group.start_soon(function)
            yield


class SyncLoop(Loop):
    is_async = False

    def run(self, test: Coroutine[Any, Any, None]) -> None:
        with pytest.raises(StopIteration):
            test.send(None)

    async def within(self, seconds: float, coroutine: Coroutine[Any, Any, Any]) -> bool:
        raise NotImplementedError("nothing cancels a thread")

    async def blocking(self, function: Callable[..., _T], *args: Any) -> _T:
        return function(*args)

    @asynccontextmanager
    async def meanwhile(
        self, *functions: Callable[[], Coroutine[Any, Any, None]]
    ) -> AsyncGenerator[None]:
        with ThreadPoolExecutor(len(functions)) as pool:
            futures = [pool.submit(self.run, function()) for function in functions]
            yield
            for future in futures:
                future.result(5 * TIMEOUT)


class AsyncioLoop(Loop):
    def run(self, test: Coroutine[Any, Any, None]) -> None:
        async def main() -> None:
            await test
            gc.collect()
            for _ in range(100):  # the event loop ends generators that were left to it
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    async def within(self, seconds: float, coroutine: Coroutine[Any, Any, Any]) -> bool:
        try:
            await asyncio.wait_for(coroutine, seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def blocking(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.to_thread(function, *args)


class TrioLoop(Loop):
    needs = "trio"

    def __init__(self) -> None:
        self._trio: Final[Any] = importlib.import_module("trio")

    def run(self, test: Coroutine[Any, Any, None]) -> None:
        async def main() -> None:
            await test
            gc.collect()  # trio warns of generators that were left to it
            await self._trio.sleep(0)

        self._trio.run(main)

    async def within(self, seconds: float, coroutine: Coroutine[Any, Any, Any]) -> bool:
        with self._trio.move_on_after(seconds) as scope:
            await coroutine
        return not scope.cancelled_caught

    async def blocking(self, function: Callable[..., _T], *args: Any) -> _T:
        result: _T = await self._trio.to_thread.run_sync(function, *args)
        return result


# -- drivers --------------------------------------------------------------------------------------


class Driver:
    """Runs tests with one adapter, on one library, sync or on one event loop.

    As it is, for an adapter whose functions and clients have the names that httpx's have.
    """

    package: ClassVar[str]
    """The adapter's import package."""
    lacks: ClassVar[frozenset[str]] = frozenset()
    """What the library or the adapter does not have, of what tests say that they need."""
    errors: ClassVar[Mapping[str, str]] = {}
    """Names of the library's exceptions, for what the tests call otherwise."""
    goes_on: ClassVar[bool] = False
    """Whether a stream can be read on after a read that was cancelled, or that timed out."""

    closes_sync_openings: ClassVar[bool] = False
    """Whether a sync subscription that is opening a connection can be closed at once."""

    def __init__(self, library: str, loop: Loop) -> None:
        self.adapter: Final[Any] = importlib.import_module(self.package)
        self.library: Final[Any] = importlib.import_module(library)
        self.loop: Final = loop
        self.is_async: Final = loop.is_async
        self.run: Final = loop.run
        self.within: Final = loop.within
        self.meanwhile: Final = loop.meanwhile

    async def blocking(self, function: Callable[..., _T], *args: Any) -> _T:
        return await self.loop.blocking(function, *args)

    # -- what differs from library to library

    def client(self, **settings: Any) -> Any:
        """Return a context manager of a new client, of the kind of the loop."""
        cls = self.library.AsyncClient if self.is_async else self.library.Client
        return self._entered(cls(**settings))

    def other_client(self) -> Any:
        """Return a client of the other kind."""
        return self.library.Client() if self.is_async else self.library.AsyncClient()

    def reads_within(self, seconds: float) -> dict[str, Any]:
        """Return a call's arguments: a read that takes longer fails, the rest has time."""
        return {"timeout": self.library.Timeout(TIMEOUT, read=seconds)}

    def hook(self, function: Callable[[Any], None]) -> Any:
        """Return an event hook for a client."""
        if not self.is_async:
            return function

        async def hook(event: Any) -> None:
            function(event)

        return hook

    def body(self, *chunks: bytes) -> Any:
        """Return the content of a request as an iterator."""
        return _asynchronous(chunks) if self.is_async else iter(chunks)

    def other_body(self, *chunks: bytes) -> Any:
        """Return one of the other kind."""
        return iter(chunks) if self.is_async else _asynchronous(chunks)

    def status_of(self, response: Any) -> int:
        status: int = response.status_code
        return status

    def error(self, name: str) -> Any:
        """Return the library's exception of this name, or the adapter's ``SSEError``.

        Besides the names of httpx's exceptions: ``Truncated``, a body that ends before its time,
        ``Undecodable``, one that cannot be decompressed.
        """
        if name == "IncompleteStream":
            return sse_proto.IncompleteStream
        owner = self.adapter if name == "SSEError" else self.library
        return getattr(owner, self.errors.get(name, name))

    def check_error(self, error: Any, url: str) -> None:
        """Assert what holds for each error of a stream: what is ours is the library's as well."""
        assert isinstance(error, self.error("RequestError"))
        assert str(error.request.url) == url

    def trust(self, ca_pem: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a client's settings and a call's arguments, to trust an authority."""
        return {"verify": ssl.create_default_context(cafile=str(ca_pem))}, {}

    # -- the adapter's functions

    def function(self, name: str) -> Any:
        """Return one of the adapter's functions, or its asynchronous twin."""
        return getattr(self.adapter, f"a{name}" if self.is_async else name)

    @asynccontextmanager
    async def connect(
        self, client: Any, method: str, url: str, *, items: str = "iter_sse", **call: Any
    ) -> AsyncGenerator[Stream]:
        manager = self.function("connect_sse")(client, method, url, **call)
        async with self._entered(manager) as source:
            yield Stream(self, source, items)

    @asynccontextmanager
    async def open(self, method: str, url: str, **call: Any) -> AsyncGenerator[Stream]:
        """Connect with a client of its own."""
        async with self.client() as client, self.connect(client, method, url, **call) as stream:
            yield stream

    @asynccontextmanager
    async def subscribe(
        self, client: Any, method: str, url: str, **call: Any
    ) -> AsyncGenerator[Stream]:
        manager = self.function("subscribe")(client, method, url, **call)
        async with self._entered(manager) as subscription:
            yield Stream(self, subscription, "")

    def source(self, response: Any) -> Stream:
        """Return the events of a response that was opened in another way."""
        return Stream(self, self.adapter.EventSource(response), "iter_sse")

    def items_of(self, response: Any) -> Any:
        """Return ``iter_json(response)`` or ``aiter_json(response)``."""
        return self.function("iter_json")(response)

    # -- sync or not

    def items(self, source: Any, name: str) -> Any:
        if not name:  # a subscription is the iterator itself
            return source
        return getattr(source, f"a{name}" if self.is_async else name)()

    async def next(self, items: Any) -> Any:
        if self.is_async:
            return await anext(items)
        try:
            return next(items)
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self, source: Any) -> None:
        if self.is_async:
            await source.aclose()
        else:
            source.close()

    async def wait_for_close(self, server: RawServer) -> float:
        """Wait until the server has seen the close; return when."""
        return await self.blocking(server.wait_for_close, TIMEOUT)

    @asynccontextmanager
    async def _entered(self, manager: Any) -> AsyncGenerator[Any]:
        if self.is_async:
            async with manager as entered:
                yield entered
        else:
            with manager as entered:
                yield entered


async def _asynchronous(chunks: Iterable[bytes]) -> AsyncGenerator[bytes]:
    for chunk in chunks:
        yield chunk


class HttpxDriver(Driver):
    """httpx or httpx2."""

    package = "sse_httpx"
    errors: ClassVar[Mapping[str, str]] = {
        "Truncated": "RemoteProtocolError",
        "Undecodable": "DecodingError",
    }

    def client(self, **settings: Any) -> Any:
        return super().client(**{"verify": _PLAIN, **settings})

    def other_client(self) -> Any:
        cls = self.library.Client if self.is_async else self.library.AsyncClient
        return cls(verify=_PLAIN)


class HttpxrDriver(Driver):
    package = "sse_httpxr"
    # It has one error for all broken bodies.
    errors: ClassVar[Mapping[str, str]] = {"Truncated": "ReadError", "Undecodable": "ReadError"}
    goes_on = True
    closes_sync_openings = True

    def hook(self, function: Callable[[Any], None]) -> Any:
        return function  # it takes both kinds

    def body(self, *chunks: bytes) -> Any:
        return iter(chunks)  # and this kind only

    def trust(self, ca_pem: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        if self.is_async:
            return {"verify": str(ca_pem)}, {}
        return {}, {"transport": self.library.AsyncClient(verify=str(ca_pem))}


class HttpClientDriver(Driver):
    """The adapter of the documentation, whose client is one connection of the standard library."""

    package = "examples.adapters.sse_http_client"
    lacks = frozenset(
        {
            *("redirects", "gzip", "settings", "request in its errors"),
            *("check of the client", "response that was read", "iter_json", "next_request"),
        }
    )
    _ERRORS: Final[dict[str, Any]] = {
        "ReadTimeout": TimeoutError,
        "ReadError": OSError,
        "ConnectError": OSError,
        "Truncated": HTTPException,
        "TransportError": (OSError, HTTPException),
        "StreamClosed": sse_proto.SSEError,
    }

    def error(self, name: str) -> Any:
        return self._ERRORS.get(name) or super().error(name)

    def check_error(self, error: Any, url: str) -> None:
        del url
        assert isinstance(error, (OSError, HTTPException, sse_proto.SSEError))

    def reads_within(self, seconds: float) -> dict[str, Any]:
        return {"timeout": seconds}

    def status_of(self, response: Any) -> int:
        status: int = response.status
        return status

    @asynccontextmanager
    async def client(self, **settings: Any) -> AsyncGenerator[Any]:
        """Give the connections of one test: to each server one."""
        connections: dict[tuple[Any, ...], HTTPConnection] = {}

        def connection_to(scheme: str, place: str, timeout: float = 5.0) -> HTTPConnection:
            cls = HTTPSConnection if scheme == "https" else HTTPConnection
            key = (scheme, place, timeout)
            if key not in connections:
                connections[key] = cls(place, timeout=timeout, **settings)
            return connections[key]

        yield connection_to
        for connection in connections.values():
            connection.close()

    def trust(self, ca_pem: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"context": ssl.create_default_context(cafile=str(ca_pem))}, {}

    @asynccontextmanager
    async def connect(
        self, client: Any, method: str, url: str, *, items: str = "iter_sse", **call: Any
    ) -> AsyncGenerator[Stream]:
        connection, target = self._dial(client, url, call)
        async with super().connect(connection, method, target, items=items, **call) as stream:
            yield stream

    @asynccontextmanager
    async def subscribe(
        self, client: Any, method: str, url: str, **call: Any
    ) -> AsyncGenerator[Stream]:
        connection, target = self._dial(client, url, call)
        async with super().subscribe(connection, method, target, **call) as stream:
            yield stream

    def _dial(self, client: Any, url: str, call: dict[str, Any]) -> tuple[HTTPConnection, str]:
        parts = urlsplit(url)
        timeout = {"timeout": call.pop("timeout")} if "timeout" in call else {}
        return client(parts.scheme, parts.netloc, **timeout), parts.path


# Name, library, loop.
DRIVERS: Final[dict[str, tuple[type[Driver], str, type[Loop]]]] = {
    "httpxr-sync": (HttpxrDriver, "httpxr", SyncLoop),
    "httpxr-asyncio": (HttpxrDriver, "httpxr", AsyncioLoop),
    "httpx-sync": (HttpxDriver, "httpx", SyncLoop),
    "httpx-asyncio": (HttpxDriver, "httpx", AsyncioLoop),
    "httpx-trio": (HttpxDriver, "httpx", TrioLoop),
    "httpx2-sync": (HttpxDriver, "httpx2", SyncLoop),
    "httpx2-asyncio": (HttpxDriver, "httpx2", AsyncioLoop),
    "httpx2-trio": (HttpxDriver, "httpx2", TrioLoop),
    "http.client-sync": (HttpClientDriver, "http.client", SyncLoop),
}


def make_driver(name: str) -> Driver:
    """Return a new driver; skip the test if a library of it is not there."""
    cls, library, loop = DRIVERS[name]
    for module in filter(None, (library, loop.needs)):
        pytest.importorskip(module)
    return cls(library, loop())


def driven(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a coroutine function, for the driver to run."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        driver: Driver = next(each for each in fixtures.values() if isinstance(each, Driver))
        driver.run(test(**fixtures))

    return run
