"""The two outputs, and what a terminal needs: nothing that it would obey, and whole lines.

A `Console` prints events on stdout and messages on stderr. A separate thread draws the status line,
on stderr, since the main one waits for events; whoever prints erases it first. So one lock protects
three things: what is drawn, whether stdout is within a line (then nothing is drawn, as it may be
the same terminal), and the two outputs.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Console"]

# What a terminal would obey: C0 except tab and LF, DEL, C1. From a server they are shown instead.
_CONTROL: Final = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]")

_PERIOD: Final = 0.25  # seconds from one status line to the next


class Console:
    """Prints events on stdout, and messages on stderr."""

    def __init__(self) -> None:
        self._out = cast("TextIOWrapper", sys.stdout)
        # A server's text must not end the program, even if the output is ASCII.
        self._out.reconfigure(errors="backslashreplace")
        self._is_terminal = self._out.isatty()
        self._is_within_line = False
        self._lock = threading.RLock()
        self._status = ""  # as it is drawn; "" if it is not

    @property
    def encoding(self) -> str:
        """Stdout's."""
        return self._out.encoding

    @property
    def has_status_line(self) -> bool:
        """Whether there is room for one: a terminal, and no pipe to a program that uses it too."""
        if not sys.stderr.isatty():
            return False
        mode = os.fstat(self._out.fileno()).st_mode
        return not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))

    def write(self, text: str) -> None:
        """Print text on stdout at once."""
        if not text:
            return
        with self._lock:
            self._draw("")
            self._is_within_line = not text.endswith("\n")
            self._out.write(_visible(text) if self._is_terminal else text)
            self._out.flush()

    def end_line(self) -> None:
        """Begin a new line if a terminal is within one: for the shell's prompt, or a message."""
        if self._is_terminal and self._is_within_line:
            self.write("\n")

    def say(self, message: str) -> None:
        """Print a message on stderr."""
        with self._lock:
            self._draw("")
            print(f"sse-tail: {_visible(message)}", file=sys.stderr, flush=True)

    @contextmanager
    def status_line(self, text: Callable[[], str]) -> Generator[None]:
        """Show a line that is constantly redrawn, and erased at the end.

        Args:
            text: Returns what to show; called in another thread.
        """
        is_over = threading.Event()

        def draw() -> None:
            while not is_over.wait(_PERIOD):
                with self._lock:
                    if not (self._is_terminal and self._is_within_line):
                        self._draw(text())

        thread = threading.Thread(target=draw, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            self._draw("")

    def _draw(self, text: str) -> None:
        """Draw the status line over the last one; ``""``: erase it."""
        if text == self._status:
            return
        # A terminal without a size has 0 columns. The last column is left free: some wrap there.
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        text = text[: columns - 1]
        # Blanks, since not every terminal can erase.
        erased = f"\r{' ' * len(self._status)}\r" if self._status else ""
        self._status = text
        with suppress(OSError):  # the terminal has gone
            sys.stderr.write(erased + text)
            sys.stderr.flush()


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
