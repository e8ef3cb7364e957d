"""What httpxr does not survive by itself: a fork, and the end of the interpreter.

Its threads do not exist in a forked child, where everything that needs them would wait for ever.
And when they have something to report to an interpreter that is gone, they print a Rust panic.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import Final, Protocol

__all__ = ["Stream", "check_fork", "note_cancellation", "note_use", "register"]

# Seconds: more than enough for httpxr's threads to let go of what was cancelled.
_SETTLING: Final = 0.05


class Stream(Protocol):
    """An open stream."""

    def close_at_exit(self) -> None:
        """Close the connection at the end of the process; wake nobody who waits for a chunk."""
        ...

    def forget_after_fork(self) -> object:
        """Forget the connection, which belongs to another process; return what must not be
        freed."""
        ...


_streams: weakref.WeakSet[Stream] = weakref.WeakSet()
_was_used = False
_is_forked = False
_last_cancellation = 0.0
_disowned: list[object] = []


def register(stream: Stream) -> None:
    """Look after a stream."""
    _streams.add(stream)


def note_use() -> None:
    """Note that httpxr's threads run in this process."""
    global _was_used
    _was_used = True


def note_cancellation() -> None:
    """Note that httpxr has something to let go of."""
    global _last_cancellation
    _last_cancellation = time.monotonic()


def check_fork() -> None:
    """Raise RuntimeError in the child of a process in which httpxr's threads ran."""
    if _is_forked:
        raise RuntimeError(
            "httpxr does not work after fork() in a process that has used it before: it would wait"
            " for ever; start workers with multiprocessing's 'spawn', or fork before first use"
        )


def _after_fork_in_child() -> None:
    global _is_forked
    _is_forked = _is_forked or _was_used
    # Freeing them would talk to threads that are not here.
    _disowned.extend([stream.forget_after_fork() for stream in list(_streams)])


@atexit.register
def _at_exit() -> None:
    if _is_forked:
        return
    for stream in list(_streams):
        stream.close_at_exit()
    time.sleep(max(0.0, _last_cancellation + _SETTLING - time.monotonic()))


if hasattr(os, "register_at_fork"):  # pragma: no branch, it is missing on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
