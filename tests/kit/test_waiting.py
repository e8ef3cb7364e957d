"""What a `Waiter` promises, on each event loop: interrupted, cancelled, reset, closed."""

from __future__ import annotations

from typing import Any, Final

import anyio
import pytest

from sse_adapter import AsyncioWaiter, Interrupted, SyncWaiter, Waiter
from sse_httpx._trio import TrioWaiter
from tests.support.drivers import AsyncioLoop, Loop, SyncLoop, TrioLoop

LONG: Final = 60.0  # seconds
ASYNC: Final[list[tuple[type[Loop], type[Waiter]]]] = [
    (AsyncioLoop, AsyncioWaiter),
    (TrioLoop, TrioWaiter),
]

on_each_event_loop = pytest.mark.parametrize(("loop", "kind"), ASYNC)


@pytest.mark.parametrize(("loop", "kind"), [(SyncLoop, SyncWaiter), *ASYNC])
def test_an_interruption_ends_the_next_wait(loop: type[Loop], kind: type[Waiter]) -> None:
    async def test() -> None:
        waiter = kind()
        for _ in range(2):
            waiter.interrupt()
            waiter.interrupt()
            for _ in range(2):
                with pytest.raises(Interrupted):
                    await waiter.sleep(LONG)
            waiter.reset()
            await waiter.sleep(0.0)

    loop().run(test())


@on_each_event_loop
def test_an_interruption_ends_a_wait(loop: type[Loop], kind: type[Waiter]) -> None:
    async def interrupt(waiter: Waiter) -> None:
        waiter.interrupt()

    async def test() -> None:
        waiter = kind()
        async with anyio.create_task_group() as group:
            group.start_soon(interrupt, waiter)
            with pytest.raises(Interrupted):
                await waiter.sleep(LONG)

    loop().run(test())


@on_each_event_loop
def test_what_was_cancelled_goes_on(loop: type[Loop], kind: type[Waiter]) -> None:
    async def test() -> None:
        begun: list[Any] = []

        async def late() -> int:
            begun.append(1)
            await anyio.sleep(0.1)
            return 7

        waiter = kind()
        assert not await running.within(0.02, waiter.open(late))
        assert await waiter.open(late) == 7
        assert begun == [1]

    running = loop()
    running.run(test())


@on_each_event_loop
def test_closing_ends_what_was_cancelled(loop: type[Loop], kind: type[Waiter]) -> None:
    async def test() -> None:
        ended: list[Any] = []

        async def endless() -> None:
            try:
                await anyio.sleep(LONG)
            finally:
                ended.append(1)

        waiter = kind()
        assert not await running.within(0.02, waiter.open(endless))
        for _ in range(2):
            await waiter.close()
            assert ended == [1]
        waiter.reset()
        await waiter.sleep(0.0)

    running = loop()
    running.run(test())
