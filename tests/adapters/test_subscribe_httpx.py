"""`subscribe` of `sse_httpx`, over both libraries and all loops: what is of this adapter alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from sse_adapter import Interrupted
from sse_proto import Wait
from tests.support.drivers import TIMEOUT, driven
from tests.support.harness import data_of, event, sends
from tests.support.subscribing import FAST, received, subscribed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sse_proto import Action
    from tests.support.drivers import Driver
    from tests.support.servers import Exchange, RawServer

pytestmark = pytest.mark.adapter("sse_httpx")

HEADERS: Final = {"Content-Type": "text/event-stream"}


@driven
async def test_a_last_event_id_in_bytes_has_to_be_utf8(driver: Driver, server: RawServer) -> None:
    with pytest.raises(ValueError, match="can't decode"):
        async with subscribed(driver, server, headers={b"Last-Event-ID": b"\xff"}):
            pass


@driven
async def test_a_body_of_the_other_kind_is_refused(driver: Driver, server: RawServer) -> None:
    content = driver.other_body(b"x")
    # As the client itself refuses it.
    with pytest.raises(RuntimeError, match="sync"):
        await received(driver, server, method="POST", content=content)
    assert not server.requests


@driven
async def test_the_wrong_client_is_refused(driver: Driver, server: RawServer) -> None:
    wrong: Any
    for wrong in (driver.other_client(), "client"):
        with pytest.raises(TypeError, match="expected an httpx"):
            async with subscribed(driver, server, client=wrong):
                pass


# -- transports -----------------------------------------------------------------------------------


class Chunks:
    """A body that is streamed, sync or not, and breaks off."""

    def __init__(self, *chunks: bytes, error: BaseException) -> None:
        self.chunks: Final = chunks
        self.error: Final = error

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        raise self.error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        raise self.error


def mock_of(driver: Driver, *bodies: Chunks, extensions: dict[str, Any] | None = None) -> Any:
    """Return a transport with one body after the other; then, status 204."""
    left = list(bodies)
    library = driver.library
    stream: Any = library.AsyncByteStream if driver.is_async else library.SyncByteStream

    def handle(_: Any) -> Any:
        if not left:
            return library.Response(204)
        body = type("Body", (Chunks, stream), {})(*left[0].chunks, error=left.pop(0).error)
        return library.Response(200, headers=HEADERS, stream=body, extensions=extensions or {})

    return library.MockTransport(handle)


@pytest.mark.parametrize("idle_timeout", [None, 5.0])
@driven
async def test_a_transport_has_timeouts_of_its_own(
    driver: Driver, server: RawServer, idle_timeout: float | None
) -> None:
    body = Chunks(event("1"), b"data: unf", error=driver.library.ReadTimeout("its own"))
    actions: list[Action] = []
    call: dict[str, Any] = {"idle_timeout": idle_timeout, "on_state": actions.append}
    async with driver.client(transport=mock_of(driver, body)) as client:
        assert await received(driver, server, client=client, **call) == ["1"]
    assert isinstance(actions[1], Wait)
    text = "its own" if idle_timeout is None else "no byte from the server for 5.0 s"
    assert str(actions[1].error) == text


class Unsocketed:
    """What stands for a network stream, without a socket."""

    def get_extra_info(self, name: str) -> None:
        assert name == "socket"


@pytest.mark.parametrize(
    "extensions",
    [
        {},
        {"network_stream": Unsocketed(), "http_version": b"HTTP/1.1"},
        {"network_stream": Unsocketed(), "http_version": b"HTTP/2"},
    ],
    ids=["no stream", "no socket", "HTTP/2"],
)
def test_a_transport_may_have_no_socket(
    sync_driver: Driver, server: RawServer, extensions: dict[str, Any]
) -> None:
    driver = sync_driver
    body = Chunks(event("1") + event("2"), error=driver.library.ReadError("never"))
    client = driver.library.Client(transport=mock_of(driver, body, extensions=extensions))
    with driver.adapter.subscribe(client, "GET", server.url()) as events:
        assert next(events).data == "1"
        events.close()
        assert list(events) == []


# -- reads that were broken off -------------------------------------------------------------------


@driven
async def test_cancelled_reads_cost_neither_an_event_nor_the_connection(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver

    @server.route("/")
    def slow(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + b"data: be")
        exchange.stalled(0.4)
        exchange.send(b"gun\n\n")
        exchange.wait_closed(TIMEOUT)

    received: list[str] = []

    async def read() -> None:
        received.append((await events.next()).data)

    async with subscribed(driver, server) as events:
        while len(received) < 2:
            await driver.within(0.1, read())
    assert received == ["1", "begun"]
    assert len(server.requests) == 1


def test_after_an_interrupted_read_it_goes_on_with_another_connection(
    sync_driver: Driver, server: RawServer
) -> None:
    driver = sync_driver
    body = Chunks(b"id: 1\n" + event("1"), error=KeyboardInterrupt())
    again = Chunks(b"id: 2\n" + event("2"), error=driver.library.ReadError("no"))
    client = driver.library.Client(transport=mock_of(driver, body, again))
    call: dict[str, Any] = {"reconnect": FAST}
    with driver.adapter.subscribe(client, "GET", server.url(), **call) as events:
        assert next(events).data == "1"
        with pytest.raises(KeyboardInterrupt):
            next(events)
        assert data_of(events) == ["2"]


def test_one_that_is_closed_right_before_a_read_does_not_begin_it(
    sync_driver: Driver, server: RawServer
) -> None:
    """Closed by another thread between the opening and the reading, too late for either."""
    server.route("/", sends("1", hold=True))
    with sync_driver.library.Client() as client:
        with sync_driver.adapter.subscribe(client, "GET", server.url()) as events:
            assert next(events).data == "1"
            events._begin_closing()
            with pytest.raises(Interrupted):
                events._read().send(None)
            events._body.interrupt()  # shut down already, or not: no error
            events.response.extensions["network_stream"].get_extra_info("socket").close()
            events._body.interrupt()
