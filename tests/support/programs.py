"""Programs in processes of their own that read a stream: how they end is what tests look at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import Final

import pytest

__all__ = ["HANDLED", "NOISE", "Program", "posix_only"]

# Seconds that a program may take to end. Alone it takes one.
_TIMEOUT: Final = 30.0

posix_only = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and processes")

HANDLED: Final = """
try:
    main()
except KeyboardInterrupt:
    put("interrupted")
"""
# What must not be among a program's last words.
NOISE: Final = (
    "never retrieved",
    "never awaited",
    "Event loop is closed",
    "Exception ignored",
    "ResourceWarning",
    "was destroyed",
    "panicked",
)

_PRELUDE: Final = """
import asyncio, gc, logging, os, signal, sys, threading, time
import httpxr
from sse_httpxr import EventSource, aconnect_sse, connect_sse

url = sys.argv[1]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
logging.getLogger("asyncio").setLevel(logging.ERROR)  # not that a step was slow


def put(text):
    print(text, flush=True)
"""


class Program:
    """Python code in a process of its own, with every warning an error."""

    def __init__(self, code: str, url: str) -> None:
        # The paths from which this process imports, for a checkout and for an installed package.
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)
        self.process: Final = subprocess.Popen(
            [
                sys.executable,
                "-X",
                "dev",
                "-W",
                "error",
                "-c",
                _PRELUDE + textwrap.dedent(code),
                url,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, "NO_PROXY": "127.0.0.1"},
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def interrupt(self) -> float:
        """Send what Ctrl-C sends; return when."""
        now = time.perf_counter()
        self.process.send_signal(signal.SIGINT)
        return now

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit status, and what was written to stdout and stderr."""
        stdout, stderr = self.process.communicate(timeout=_TIMEOUT)
        return self.process.returncode, stdout, stderr
