"""The demo runs, shows what it says, and ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

DEMO: Final = Path(__file__).parent.parent / "docs" / "demo" / "demo.py"
COMMAND: Final = [sys.executable, str(DEMO), "--fast"]
LINE: Final = re.compile(r" *([\d.]+) s +([\d.]+) ms   (token|tick)  +(.+)")

ANSWER: Final = "To get to the other side, where the events are served fresh."


def lines_of(part: str) -> list[tuple[float, float, str, str]]:
    """Return time, delay, kind and text of each event in a part of the output."""
    found = [LINE.fullmatch(line) for line in part.splitlines()]
    return [(float(m[1]), float(m[2]), m[3], m[4]) for m in found if m]


def test_demo() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80

    parts = done.stdout.split("\nhttpxr.")
    chat, ticker, both = (lines_of(part) for part in parts[1:])
    for events in (chat, ticker, both):
        times = [time for time, *_ in events]
        assert times == sorted(times)
        # Live: an event is not shown with the last one, but when the server has written it. The
        # limits are generous, for busy machines.
        assert times[-1] - times[0] > 0.15
        assert sorted(delay for _, delay, *_ in events)[len(events) // 2] < 50

    for events in (chat, both):
        tokens = [text for _, _, kind, text in events if kind == "token"]
        assert "".join(token[1:-1] for token in tokens) == ANSWER
    for events in (ticker, both):
        ticks = [text for _, _, kind, text in events if kind == "tick"]
        assert [tick.split()[:2] for tick in ticks] == [
            [f"id={number}", f"event={name}"]
            for number, name in enumerate(["price", "price", "news", "price", "price"], start=1)
        ]
    kinds = [kind for _, _, kind, _ in both]
    assert sum(a != b for a, b in pairwise(kinds)) > 2  # at the same time


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send to another process")
@pytest.mark.parametrize("count", [3, 16, 25], ids=["chat", "ticker", "both"])
def test_ctrl_c_ends_it_quietly(count: int) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdout=pipe, stderr=pipe, text=True) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        events = (line for line in demo.stdout if LINE.fullmatch(line.rstrip("\n")))
        for _ in range(count):
            next(events)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(10) == 130
        assert demo.stderr.read() == ""


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("no_colour", "coloured"), [(False, True), (True, False)])
def test_colour_on_a_terminal_only(no_colour: bool, coloured: bool) -> None:
    import pty

    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    if no_colour:
        environment["NO_COLOR"] = "1"
    ours, theirs = pty.openpty()
    with subprocess.Popen(COMMAND, stdout=theirs, env=environment) as demo:
        os.close(theirs)
        output = b""
        try:
            while chunk := os.read(ours, 4096):
                output += chunk
        except OSError:
            pass  # Linux's way to say that the other side has been closed
        os.close(ours)
        assert demo.wait(10) == 0
    assert (b"\x1b[36mtoken" in output) == coloured
