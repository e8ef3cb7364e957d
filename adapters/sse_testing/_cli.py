"""The command ``sse-conformance``: the suite, for a parser in any language."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ._conformance import RANDOM, run_conformance
from ._driver import ConformanceError
from ._report import page, text
from ._vectors import VECTORS_VERSION, vectors

__all__ = ["main"]

_DESCRIPTION: Final = """\
Give a parser of event streams the vectors, each in several chunkings, and random streams, and
compare its answers with the standard. COMMAND is a driver: for each line of its input,
{"id": 1, "chunks": ["<base64>", ...]}, it writes one line,
{"id": 1, "events": [{"event": "message", "data": "x", "id": "7"}]}."""

_STATUS: Final = """\
exit status: 0 everything passed, except for expected failures; 1 something else failed, or an
expected failure passed; 2 the driver did not work; 130 interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="sse-conformance",
        usage="%(prog)s [options] -- COMMAND [ARGUMENT ...]",
        description=_DESCRIPTION,
        epilog=_STATUS,
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="the driver")
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        help="how long to try random streams; default: %(default)s",
    )
    parser.add_argument("--seed", type=int, default=0, help="for the random streams; default: 0")
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        help="seconds without an answer that count as hanging; default: %(default)s",
    )
    parser.add_argument(
        "--at-once",
        type=int,
        default=64,
        metavar="N",
        help="cases that the driver gets before it answers the first; default: %(default)s",
    )
    parser.add_argument("--all", action="store_true", help="show every failure, not just five")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with all failures")
    parser.add_argument(
        "--expected-failures",
        type=Path,
        metavar="FILE",
        help=f"vectors that fail, family/name, one per line; '{RANDOM}' stands for random streams; "
        "'#' begins a comment",
    )
    parser.add_argument("-x", "--exit-first", action="store_true", help="stop at the first failure")
    parser.add_argument(
        "--version",
        action="version",
        version=f"vectors {VECTORS_VERSION}, {len(vectors())} of them",
    )
    options = parser.parse_args(arguments)
    if options.at_once < 1:
        parser.error("--at-once must be 1 or more")

    try:
        expected = _expected(options.expected_failures)
        report = run_conformance(
            options.command,
            seconds=options.seconds,
            seed=options.seed,
            timeout=options.timeout,
            at_once=options.at_once,
            expected_failures=expected,
            stop_at_first=options.exit_first,
        )
        if options.html is not None:
            options.html.write_text(page(report), "utf-8")
    except (ConformanceError, OSError) as error:
        print(f"sse-conformance: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    # A parser's answer may have characters that the terminal's encoding lacks.
    encoding = sys.stdout.encoding or "ascii"
    shown = text(report, every=options.all).encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(shown, flush=True)
    except BrokenPipeError:  # `head` has seen enough; leave nothing to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if report.is_ok else 1


def _expected(path: Path | None) -> set[str]:
    if path is None:
        return set()
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return {line for line in lines if line}
