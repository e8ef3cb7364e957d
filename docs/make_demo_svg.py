"""Record ``sse-tail --demo`` and draw it as an animated SVG: ``python docs/make_demo_svg.py``.

The program runs on a pseudo-terminal, and each line appears in the picture when it did there. There
is no script in it, only CSS; without animation it shows the end.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from html import escape
from pathlib import Path
from typing import Final

TITLE: Final = "sse-tail --demo"
COLUMNS, ROWS = 80, 24
# Pixels. Most monospaced fonts are 0.6 em wide; `textLength` makes others fit.
FONT, WIDTH, HEIGHT, PADDING, BAR = 14, 8.4, 19, 16, 34
PAUSE: Final = 5.0  # seconds for which the end stays

# What the demo uses of ANSI: none, reset, bold, red, yellow, cyan.
TEXT: Final = "#c9d1d9"
COLOURS: Final = {"0": TEXT, "1": "#fff", "31": "#ff7b72", "33": "#e3b341", "36": "#56d4dd"}

Line = tuple[float, str]  # seconds since the start, and text with its colours


def record(command: list[str]) -> list[Line]:
    """Run a command on a terminal; return the lines that it printed, with their times."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    started = time.perf_counter()
    lines: list[Line] = []
    rest = b""
    with subprocess.Popen(command, stdout=theirs, env=environment) as process:
        os.close(theirs)
        try:
            while chunk := os.read(ours, 4096):
                *complete, rest = (rest + chunk).split(b"\r\n")
                now = time.perf_counter() - started
                lines += [(now, line.decode()) for line in complete]
        except OSError:
            pass  # Linux's way to say that the other side has been closed
        os.close(ours)
    if process.returncode != 0:
        raise SystemExit(f"{command} ended with status {process.returncode}")
    return lines


def draw(lines: list[Line]) -> str:
    """Return an SVG in which the lines appear at their times, over and over."""
    duration = lines[-1][0] + PAUSE
    appearing: dict[float, str] = {}  # by the time in percent of a round
    scrolling: dict[float, str] = {}
    texts: list[str] = []
    offset = 0
    for row, (at, text) in enumerate(lines):
        percent = round(100 * at / duration, 2)
        name = f"t{percent}".replace(".", "-")
        appearing[percent] = (
            f".{name}{{animation-name:{name}}}"
            f"@keyframes {name}{{0%{{opacity:0}}{percent}%{{opacity:1}}}}"
        )
        if row >= ROWS:
            offset = (ROWS - 1 - row) * HEIGHT
            scrolling[percent] = f"{percent}%{{transform:translateY({offset}px)}}"
        texts.append(f'<g class="{name}">{drawn(text, row * HEIGHT + FONT)}</g>')
    width, height = COLUMNS * WIDTH, ROWS * HEIGHT
    outer_width, outer_height = width + 2 * PADDING, height + BAR + PADDING
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{outer_width:g}" height="{outer_height}" \
viewBox="-{PADDING} -{BAR} {outer_width:g} {outer_height}" role="img" xml:space="preserve">
<title>{TITLE}</title>
<style>
text{{font:{FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;\
white-space:pre}}
g{{animation:{duration:.2f}s steps(1,end) infinite}}
#s{{animation-name:s}}
@keyframes s{{0%{{transform:none}}{"".join(scrolling.values())}}}
{"".join(appearing.values())}
@media (prefers-reduced-motion:reduce){{g,#s,g[class]{{animation:none}}}}
</style>
<rect x="{0.5 - PADDING}" y="{0.5 - BAR}" width="{outer_width - 1:g}" \
height="{outer_height - 1}" rx="8" fill="#0d1117" stroke="#484f58"/>
<text x="{width / 2:g}" y="-12" text-anchor="middle" fill="#8b949e">{TITLE}</text>
<svg width="{width:g}" height="{height}">
<g id="s" transform="translate(0 {offset})">
{chr(10).join(texts)}
</g>
</svg>
</svg>
"""


def drawn(line: str, y: int) -> str:
    """Return a line as SVG: a text for each of its colours."""
    texts: list[str] = []
    column = 0
    pieces = re.split(r"\x1b\[(\d+)m", line)  # text, code, text, code, text
    for code, piece in zip(["0", *pieces[1::2]], pieces[::2], strict=True):
        x, column = (column + len(piece) - len(piece.lstrip())) * WIDTH, column + len(piece)
        if text := piece.strip():
            texts.append(
                f'<text x="{x:g}" y="{y}" textLength="{len(text) * WIDTH:g}"'
                f' fill="{COLOURS[code]}">{escape(text, quote=False)}</text>'
            )
    return "".join(texts)


if __name__ == "__main__":
    output, *options = sys.argv[1:] or [str(Path(__file__).parent / "demo.svg")]
    run = record([sys.executable, "-m", "sse_tail", "--demo", *options])
    Path(output).write_text(draw([(0.0, f"$ \x1b[1m{TITLE}\x1b[0m"), *run]), "utf-8")
