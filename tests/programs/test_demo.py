"""sse-tail --demo runs, shows what it says, and ends; its recording in the README is one of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from sse_tail.cli import main

DOCS: Final = Path(__file__).parents[2] / "docs"
COMMAND: Final = [sys.executable, "-m", "sse_tail", "--demo", "--fast"]
# A shell that starts this in the background may have SIGINT ignored.
DEAF_NO_MORE: Final = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from sse_tail.cli import main
raise SystemExit(main(["--demo", "--fast"]))
"""
LINE: Final = re.compile(r" *([\d.]+) s +([\d.]+) ms   (token|tick)  +(.+)")

ANSWER: Final = "To get to the other side, where the events are served fresh."


def lines_of(part: str) -> list[tuple[float, float, str, str]]:
    """Return time, delay, kind and text of each event in a part of the output."""
    found = [LINE.fullmatch(line) for line in part.splitlines()]
    return [(float(m[1]), float(m[2]), m[3], m[4]) for m in found if m]


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--demo", "--fast"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "\x1b" not in printed.out
    assert max(map(len, printed.out.splitlines())) <= 80

    parts = printed.out.split("\nhttpxr.")
    chat, ticker, broken, both = (lines_of(part) for part in parts[1:])
    for events in (chat, ticker, broken, both):
        times = [time for time, *_ in events]
        assert times == sorted(times)
        # Live: an event is not shown with the last one, but when the server has written it. The
        # limits are generous, for busy machines.
        assert times[-1] - times[0] > 0.15
        assert sorted(delay for _, delay, *_ in events)[len(events) // 2] < 50

    for events in (chat, both):
        tokens = [text for _, _, kind, text in events if kind == "token"]
        assert "".join(token[1:-1] for token in tokens) == ANSWER
    for events in (ticker, broken, both):
        ticks = [text for _, _, kind, text in events if kind == "tick"]
        assert [tick.split()[:2] for tick in ticks] == [
            [f"id={number}", f"event={name}"]
            for number, name in enumerate(["price", "price", "news", "price", "price"], start=1)
        ]
    kinds = [kind for _, _, kind, _ in both]
    assert sum(a != b for a, b in pairwise(kinds)) > 2  # at the same time

    notes = [line.strip() for line in parts[3].splitlines() if line.startswith(" " * 19)]
    wait = r"; connecting again in \d+ ms"
    assert re.fullmatch(
        rf"connection lost{wait}\nconnected, with Last-Event-ID: 2\n"
        rf"connection lost{wait}\nconnected, with Last-Event-ID: 4\n"
        rf"the server has ended the stream{wait}\n"
        r"over: status 204: the server wants no further connection",
        "\n".join(notes),
    )


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send to another process")
@pytest.mark.parametrize("count", [3, 16, 21, 30], ids=["chat", "ticker", "broken", "both"])
def test_ctrl_c_ends_it_quietly(count: int) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", DEAF_NO_MORE]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        events = (line for line in demo.stdout if LINE.fullmatch(line.rstrip("\n")))
        for _ in range(count):
            next(events)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(10) == 130
        assert demo.stderr.read() == ""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGPIPE to do without")
def test_a_closed_pipe_is_quiet() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdout=pipe, stderr=pipe, text=True) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        demo.stdout.readline()
        demo.stdout.close()
        assert demo.wait(10) == 0
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


def shown_in(svg: Path) -> list[str]:
    """Return what an SVG shows, text by text; it has no scripts, and nothing from elsewhere."""
    assert svg.stat().st_size < 60_000
    text = svg.read_text("utf-8")
    assert text.count("http") - text.count("http://127.0.0.1") - text.count("httpxr") == 1  # xmlns
    root = ElementTree.fromstring(text)
    tags = {element.tag.partition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "text", "g"}
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_the_recording(tmp_path: Path) -> None:
    output = tmp_path / "demo.svg"
    command = [sys.executable, str(DOCS / "make_demo_svg.py"), str(output), "--fast"]
    subprocess.run(command, timeout=30, check=True)

    def without_numbers(svg: Path) -> list[str]:
        texts = [text for text in shown_in(svg) if not text.startswith("sse-proto ")]
        # Two lines of the last part may come in another order.
        return sorted(" ".join(re.sub(r"[\d.]+", "0", text).split()) for text in texts)

    # If this fails, the demo has changed: make the picture again.
    assert without_numbers(output) == without_numbers(DOCS / "demo.svg")
