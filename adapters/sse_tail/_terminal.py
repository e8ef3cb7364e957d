"""The two outputs, and what a terminal needs: nothing that it would obey, and whole lines."""

from __future__ import annotations

import re
import sys
from io import TextIOWrapper
from typing import Final, cast

__all__ = ["Console"]

# What a terminal would obey: C0 but tab and LF, DEL, C1. From a server they are shown instead.
_CONTROL: Final = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]")


class Console:
    """Prints events on stdout, and messages on stderr."""

    def __init__(self) -> None:
        self._out = cast("TextIOWrapper", sys.stdout)
        # A server's text must not end the program, even if the output is ASCII.
        self._out.reconfigure(errors="backslashreplace")
        self._is_terminal = self._out.isatty()
        self._is_within_line = False

    @property
    def encoding(self) -> str:
        """That of stdout."""
        return self._out.encoding

    def write(self, text: str) -> None:
        """Print text on stdout at once."""
        if text:
            self._is_within_line = not text.endswith("\n")
            self._out.write(_visible(text) if self._is_terminal else text)
            self._out.flush()

    def end_line(self) -> None:
        """Begin a new line if a terminal is within one: for the shell's prompt, or a message."""
        if self._is_terminal and self._is_within_line:
            self.write("\n")

    def say(self, message: str) -> None:
        """Print a message on stderr."""
        print(f"sse-tail: {_visible(message)}", file=sys.stderr, flush=True)


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
