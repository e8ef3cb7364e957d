"""`subscribe`, over each adapter, library and event loop: events through a parser, reconnecting.

With connections that are made up, and more of them, in tests/kit/test_typed.py.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from sse_proto import ParsedEvent, ReadyState, SkipEvent, by_event, failed_event
from tests.support.drivers import TIMEOUT, driven
from tests.support.handlers import in_turn
from tests.support.handlers import stream as stream_of
from tests.support.subscribing import sent_ids, subscribed

if TYPE_CHECKING:
    from tests.support.drivers import Driver, Stream
    from tests.support.servers import Exchange, Handler, RawServer

pytestmark = pytest.mark.needs("redirects", "settings")


class Delta(msgspec.Struct):
    text: str


class Stop(msgspec.Struct):
    reason: str


def delta(number: int) -> bytes:
    return f'event: delta\nid: {number}\ndata: {{"text": "{number} ü"}}\n\n'.encode()


STOP: Final = b'event: stop\nid: stop\ndata: {"reason": "end"}\n\n'
PARSE: Final = by_event[Delta | Stop](
    {"delta": msgspec.json.Decoder(Delta).decode, "stop": msgspec.json.Decoder(Stop).decode}
)


def breaks(*chunks: bytes) -> Handler:
    """Return a handler that breaks the connection off after these, inside an event."""

    def handle(exchange: Exchange) -> None:
        exchange.start()
        for chunk in chunks:
            exchange.send(chunk)
        exchange.send(b'id: lost\ndata: {"text": "lo')
        exchange.truncate()

    return handle


def as_sent(*arguments: Any) -> bytes:
    data: bytes = arguments[-1]
    return data


def begin(driver: Driver, stream: Stream, name: str, *arguments: Any) -> Any:
    """Begin a loop of another kind over the same subscription."""
    return getattr(stream.source, f"a{name}" if driver.is_async else name)(*arguments)


async def outcomes(driver: Driver, items: Any) -> list[Any]:
    """Return the data of all items, and what was raised between them."""
    found: list[Any] = []
    while True:
        try:
            item = await driver.next(items)
        except StopAsyncIteration:
            return found
        except (ValueError, KeyboardInterrupt) as error:
            found.append(error)
        else:
            found.append(getattr(item, "data", item))


@driven
async def test_a_union_over_reconnections(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(breaks(delta(1) + delta(2)), breaks(delta(3)), breaks(STOP)))
    async with subscribed(driver, server) as stream:
        items = begin(driver, stream, "iter_parsed", PARSE)
        assert [await driver.next(items) for _ in range(4)] == [
            ParsedEvent("delta", Delta("1 ü"), "1", None),
            ParsedEvent("delta", Delta("2 ü"), "2", None),
            ParsedEvent("delta", Delta("3 ü"), "3", None),
            ParsedEvent("stop", Stop("end"), "stop", None),
        ]
        with pytest.raises(StopAsyncIteration):
            await driver.next(items)
    assert sent_ids(server) == [None, "2", "3", "stop"]


@pytest.mark.parametrize("name", ["iter_json", "iter_parsed"])
@driven
async def test_what_parsers_do_costs_no_other_event(
    driver: Driver, server: RawServer, name: str
) -> None:
    """A parser fails, is interrupted and skips, before and after a connection was lost."""
    doings: dict[str, BaseException] = {
        **{text: ValueError(text) for text in ("2 ü", "6 ü")},
        **{text: KeyboardInterrupt(text) for text in ("3 ü", "7 ü")},
        **{text: SkipEvent() for text in ("4 ü", "8 ü")},
    }

    def parse(*arguments: Any) -> str:
        text = msgspec.json.decode(arguments[-1], type=Delta).text
        if doing := doings.pop(text, None):
            raise doing
        return text

    first = breaks(delta(1) + delta(2) + delta(3) + delta(4))
    server.route("/", in_turn(first, breaks(delta(5), delta(6)), breaks(delta(7), delta(8), STOP)))
    async with subscribed(driver, server, until='{"reason": "end"}') as stream:
        found = await outcomes(driver, begin(driver, stream, name, parse))
    expected: list[Any] = ["1 ü", ValueError, KeyboardInterrupt, "3 ü", "5 ü", ValueError]
    expected += [KeyboardInterrupt, "7 ü"]
    assert [each if isinstance(each, str) else type(each) for each in found] == expected
    for error in found:
        if isinstance(error, ValueError):
            failed = failed_event(error)
            assert failed is not None
            assert failed.data.decode() == f'{{"text": "{error}"}}'
    assert sent_ids(server) == [None, "4", "6"]


@driven
async def test_another_loop_goes_on(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(breaks(delta(1) + delta(2)), breaks(delta(3) + delta(4), delta(5))))
    decode = msgspec.json.Decoder(Delta).decode
    async with subscribed(driver, server) as stream:
        parsed = begin(driver, stream, "iter_parsed", PARSE)
        json = begin(driver, stream, "iter_json", decode)
        assert (await driver.next(json)).text == "1 ü"
        assert (await driver.next(parsed)).data.text == "2 ü"
        assert (await stream.next()).data == '{"text": "3 ü"}'
        assert (await driver.next(json)).text == "4 ü"
        assert (await driver.next(begin(driver, stream, "iter_json"))) == {"text": "5 ü"}
    assert sent_ids(server) == [None, "2"]


@pytest.mark.parametrize("name", ["iter_json", "iter_parsed"])
@driven
async def test_closing_the_items_closes_the_connection(
    driver: Driver, server: RawServer, name: str
) -> None:
    server.route("/", stream_of(delta(1) + delta(2), hold=True))
    async with driver.client() as client:
        async with subscribed(driver, server, client=client) as stream:
            items = begin(driver, stream, name, as_sent)
            await driver.next(items)
            await driver.close(items)
            await driver.wait_for_close(server)
            assert stream.source.state is ReadyState.CLOSED
            with pytest.raises(StopAsyncIteration):
                await driver.next(items)
    assert len(server.requests) == 1


@driven
async def test_closing_ends_a_wait_for_an_item(driver: Driver, server: RawServer) -> None:
    server.route("/", stream_of(delta(1), hold=True))

    async def close() -> None:
        await driver.blocking(server.wait_for_request, 1, TIMEOUT)
        await driver.blocking(time.sleep, 0.1)
        await stream.close()

    async with driver.client() as client:
        async with subscribed(driver, server, client=client) as stream:
            items = begin(driver, stream, "iter_json")
            async with driver.meanwhile(close):
                assert await driver.next(items) == {"text": "1 ü"}
                with pytest.raises(StopAsyncIteration):
                    await driver.next(items)
            await driver.wait_for_close(server)


@driven
async def test_a_cancelled_wait_costs_nothing(async_driver: Driver, server: RawServer) -> None:
    driver = async_driver
    is_cancelled = threading.Event()

    @server.route("/")
    def handle(exchange: Exchange) -> None:
        number = int(exchange.header("last-event-id") or "0") + 1
        exchange.start()
        exchange.send(delta(number))
        if number == 1:
            is_cancelled.wait(TIMEOUT)
            exchange.send(delta(2))
        exchange.wait_closed(TIMEOUT)

    async with driver.client() as client:
        async with subscribed(driver, server, client=client) as stream:
            items = begin(driver, stream, "iter_json", msgspec.json.Decoder(Delta).decode)
            assert (await driver.next(items)).text == "1 ü"
            assert not await driver.within(0.1, driver.next(items))
            is_cancelled.set()
            assert (await driver.next(items)).text == "2 ü"
