"""Hundreds of streams over one HTTP/2 connection, left at any moment, and more than its window."""

from __future__ import annotations

import os
import random
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.drivers import Driver, driven
from tests.support.http2 import ErrorCodes, Http2Server
from tests.support.http2_streams import (
    TIMEOUT,
    by_path,
    client_of,
    numbers,
    opened,
    read_all,
    together,
)
from tests.support.servers import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("h2")
pytestmark = pytest.mark.adapter("sse_httpx")


@driven
async def test_300_streams_are_left_beside_one_that_goes_on(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            async with driver.connect(client, "GET", server.url("/count/200/0.01")) as long:
                got = [(await long.next()).data]
                for _ in range(300):
                    async with driver.connect(client, "GET", server.url("/endless")) as stream:
                        assert (await stream.next()).data == "0"
                got += await read_all(long)
                assert got == numbers(200)
        assert len(server.connections) == 1
        assert len(server.streams) == 301
        for left in server.streams[1:]:
            assert left.wait_reset(TIMEOUT)
            assert left.reset_code == ErrorCodes.CANCEL


@driven
async def test_a_left_stream_gives_its_window_back(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    with serve(by_path) as server:
        async with client_of(driver, http2_tls) as client:
            for number in range(3):
                async with driver.connect(client, "GET", server.url(f"/flood/{number}")) as left:
                    assert (await left.next()).data == "0"
                    # Another one is read meanwhile, and so all that comes is received.
                    async with driver.connect(client, "GET", server.url("/count/30/0.01")) as other:
                        assert await read_all(other) == numbers(30)
            async with driver.connect(client, "GET", server.url("/flood/whole")) as whole:
                assert await read_all(whole) == ["0", "end"]
        assert len(server.connections) == 1


LEAVES: Final = int(os.environ.get("HTTP2_LEAVES", "100"))  # `make storm`: 1000
LEAVERS: Final = 8


@driven
async def test_many_random_leaves_beside_ten_long_streams(
    driver: Driver, serve: Callable[..., Http2Server], http2_tls: TlsFiles
) -> None:
    """Nothing of the long ones is lost or doubled, and the server is told of each that is left."""
    chance = random.Random(1)
    left = [0]
    with serve(by_path) as server:
        async with client_of(driver, http2_tls, timeout=None) as client:

            async def stay(number: int) -> None:
                url = server.url(f"/count/{LEAVES}/0.01/{number}")
                async with driver.connect(client, "GET", url) as stream:
                    assert await read_all(stream) == numbers(LEAVES)

            async def leave() -> None:
                while left[0] < LEAVES:
                    left[0] += 1
                    path = chance.choice(["/endless", "/endless", "/silent", "/late"])
                    count = chance.randrange(4) if path == "/endless" else 1
                    if path == "/late" and not driver.is_async:
                        await hurry()
                    elif driver.is_async and (path == "/late" or chance.random() < 0.5):
                        await driver.within(chance.random() * 0.01, use(path, count))
                    else:
                        await use(path, count)

            async def use(path: str, count: int) -> None:
                open_ = chance.choice([driver.connect, driver.subscribe])
                async with open_(client, "GET", server.url(path)) as stream:
                    for number in range(count):
                        assert (await stream.next()).data == str(number)

            async def hurry() -> None:
                opening = opened(
                    driver, client, server.url("/late"), timeout=chance.random() * 0.01 + 0.001
                )
                with pytest.raises(driver.error("ReadTimeout")):
                    await opening

            long = [partial(stay, number) for number in range(10)]
            await together(driver, *long, *[leave] * LEAVERS)
            async with driver.connect(client, "GET", server.url("/count/3/0")) as stream:
                assert await read_all(stream) == numbers(3)
            for seen in server.streams:
                if not seen.path.startswith("/count"):
                    assert seen.wait_reset(TIMEOUT)
                    assert seen.reset_code == ErrorCodes.CANCEL
        assert len(server.connections) == 1
    assert sum(seen.path.startswith("/count") for seen in server.streams) == 11
