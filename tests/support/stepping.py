"""Loops over items a step at a time, sync or asynchronous alike."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Ends", "Loops", "new_loop", "rest"]


class Ends(Exception):
    """The loop is over."""


class Loops:
    """Loops over what is sync; or asynchronous, if there is an event loop to run it."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop: Final = loop

    def stepper(self, items: Any) -> Callable[[], Any]:
        """Return a function that returns the next item, and raises `Ends` where there is none."""

        def step() -> Any:
            try:
                if self.loop is not None:
                    return self.loop.run_until_complete(items.__anext__())
                return next(items)
            except (StopIteration, StopAsyncIteration):
                raise Ends from None

        return step

    def items(self, source: Any, name: str, *args: Any, **options: Any) -> Any:
        """Call the method of this name, or its asynchronous twin: the same with ``a`` before it."""
        name = name if self.loop is None else f"a{name}"
        return getattr(source, name)(*args, **options)

    def begin(self, source: Any, name: str, *args: Any, **options: Any) -> Callable[[], Any]:
        """Return a `stepper` of these `items`."""
        return self.stepper(self.items(source, name, *args, **options))


@contextmanager
def new_loop(kind: str) -> Generator[asyncio.AbstractEventLoop | None, None, None]:
    """Make what `Loops` take: for ``"sync"`` nothing, for ``"async"`` an event loop."""
    if kind == "sync":
        yield None
        return
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def rest(step: Callable[[], Any]) -> list[Any]:
    """Return all items that are left."""
    found: list[Any] = []
    try:
        while True:
            found.append(step())
    except Ends:
        return found
