"""An event loop for one future at a time, run in the calling thread: how a sync stream is live.

httpxr's sync transport reads a whole body before it returns; only its async transport streams. That
needs an event loop to report its results to, but no more of one than this: futures, and a queue of
callbacks that httpxr's threads may add to. So there is no selector, no file descriptor and no
thread here, and a chunk costs less than on asyncio's own loop. Ctrl-C interrupts the wait.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

    _T = TypeVar("_T")

__all__ = ["PrivateLoop"]

# Seconds. Ctrl-C right before a wait for a lock does not end it, and on Windows none does. So it is
# cut into pieces.
_LONGEST_WAIT: Final = 0.05 if sys.platform == "win32" else 0.5


class PrivateLoop:
    """Runs the callbacks of httpxr's futures while somebody waits for one of them.

    It has the methods of `asyncio.AbstractEventLoop` that these futures call, and no others.
    """

    def __init__(self) -> None:
        self._handles: queue.SimpleQueue[asyncio.Handle] = queue.SimpleQueue()
        self._self = cast("asyncio.AbstractEventLoop", self)
        self.is_in_use = False
        """Whether a thread is in `run`; then no other may enter."""
        self.ends_with_process = False
        """Set when the interpreter ends: whoever is in `run`, a daemon thread, stays there."""

    def run(
        self, start: Callable[[], asyncio.Future[_T]], timeout: float | None
    ) -> asyncio.Future[_T]:
        """Call ``start``, and run callbacks until the future that it returns is done.

        Returns:
            The future. It is left pending after ``timeout`` seconds. So it is when Ctrl-C
            interrupts the wait, so ``start`` should keep hold of it.
        """
        next_handle = self._handles.get
        deadline = None if timeout is None else time.monotonic() + timeout
        wait = _LONGEST_WAIT
        is_ending = self.ends_with_process
        outer = asyncio._get_running_loop()  # in a notebook there is one
        asyncio._set_running_loop(self._self)
        self.is_in_use = True
        try:
            future = start()
            while not future.done():
                if deadline is not None:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        break
                    wait = min(left, _LONGEST_WAIT)
                try:
                    next_handle(True, wait)._run()
                except queue.Empty:
                    pass
            if future.cancelled():  # httpxr learns of it in one of its callbacks
                while not self._handles.empty():
                    next_handle()._run()
            while self.ends_with_process and not is_ending:
                # So as not to raise in a thread that is about to end anyway.
                time.sleep(1)  # pragma: no cover, the process ends in it
            return future
        finally:
            self.is_in_use = False
            asyncio._set_running_loop(outer)

    def run_and_cancel(self, start: Callable[[], asyncio.Future[Any]]) -> None:
        """Call ``start``, cancel the future that it returns, and let httpxr know at once."""

        def start_and_cancel() -> asyncio.Future[Any]:
            future = start()
            future.cancel()
            return future

        self.run(start_and_cancel, None)

    # What a future, and the code in httpxr that completes it, ask of their loop.

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._self)

    def create_task(self, coroutine: Coroutine[Any, Any, _T], **_: object) -> asyncio.Task[_T]:
        return asyncio.Task(coroutine, loop=self._self)

    def call_soon(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._self, context)
        self._handles.put(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Nothing: a future that fails after its stream was closed concerns nobody."""

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False
