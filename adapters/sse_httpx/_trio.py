"""How a subscription waits on trio."""

from __future__ import annotations

import sys
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from sse_adapter import Interrupted, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["TrioWaiter", "runs_on_trio"]

_T = TypeVar("_T")


def runs_on_trio() -> bool:
    """Whether the calling task is one of trio's, and not of asyncio's."""
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


class TrioWaiter(Waiter):
    """Waits on trio, for a system task, which goes on when the caller is cancelled."""

    def __init__(self) -> None:
        self._task: _Task | None = None
        self._is_interrupted = False

    async def sleep(self, seconds: float) -> None:
        await self._go_on_with(lambda: anyio.sleep(seconds))

    async def open(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        result: _T = await self._go_on_with(function)
        return result

    async def _go_on_with(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        if self._is_interrupted:
            raise Interrupted
        task = self._task = self._task or _Task(function)
        try:
            await task.is_done.wait()
            self._task = None
            if task.error is not None:
                raise task.error
            return task.result
        finally:
            del task  # or an error's traceback would keep it, and it the error

    def interrupt(self) -> None:
        self._is_interrupted = True
        if self._task is not None:
            self._task.scope.cancel()

    def reset(self) -> None:
        self._is_interrupted = False

    async def close(self) -> None:
        self.interrupt()
        task, self._task = self._task, None
        if task is not None and not task.is_running_this():
            with anyio.CancelScope(shield=True):
                await task.is_done.wait()


class _Task:
    """Runs a coroutine function. A system task has no parent that would have to wait for it."""

    def __init__(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        trio: Any = sys.modules["trio"]
        self._function = function
        self.scope = anyio.CancelScope()
        self.is_done = anyio.Event()
        self.result: Any = None
        self.error: Exception | None = Interrupted()  # unless it comes to its end
        self._current_task = trio.lowlevel.current_task
        self._task = trio.lowlevel.spawn_system_task(self._run, context=copy_context())

    def is_running_this(self) -> bool:
        """Whether this is called by the task itself, as in a client's hook."""
        return self._current_task() is self._task

    async def _run(self) -> None:
        try:
            with self.scope:
                try:
                    self.result = await self._function()
                    self.error = None
                except Exception as error:
                    self.error = error
        finally:
            self.is_done.set()
