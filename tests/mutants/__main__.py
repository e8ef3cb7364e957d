"""Does the suite bite? ``python -m tests.mutants [--count N] [--seed N]``.

Takes mutants of six decoders at random, and runs the suite against each, for ten seconds at most.
Fails if more than two of a hundred survive.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from sse_testing import ConformanceError, run_conformance

from .equivalent import is_equivalent
from .mutate import DECODERS, Mutant, mutants, source_of

__all__ = ["Verdict", "chosen", "judge", "main"]

DRIVER: Final = Path(__file__).parent / "driver.py"

# Seconds that the suite has for one mutant, all in all.
LIMIT: Final = 10.0


class Verdict(NamedTuple):
    """What became of a mutant."""

    killed_by: str
    """The title of a vector, ``random``, or what it raised; empty if it survived."""
    seconds: float


def chosen(count: int, seed: int) -> list[Mutant]:
    """Return so many mutants, from each decoder the same number or one more."""
    random = Random(seed)
    found: list[Mutant] = []
    for number, decoder in enumerate(DECODERS):
        every = [mutant for mutant in mutants(decoder) if not is_equivalent(mutant)]
        share = count // len(DECODERS) + (number < count % len(DECODERS))
        found += random.sample(every, share)
    return found


def judge(source: str) -> Verdict:
    """Run the suite against a decoder that is given as source, until its first failure."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.py"
        path.write_text(source, "utf-8")
        command = [sys.executable, "-S", str(DRIVER), str(path)]
        try:
            report = run_conformance(command, seconds=LIMIT, timeout=3, stop_at_first=True)
        except ConformanceError as error:
            return Verdict(str(error).partition("\n")[0], time.monotonic() - began)
    killed_by = next((failure.title for failure in report.failures), "")
    return Verdict(killed_by, time.monotonic() - began)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge mutants, and print those that survive; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for decoder in DECODERS:
        if killed_by := judge(source_of(decoder)).killed_by:
            print(f"{decoder} itself fails: {killed_by}")
            return 1
    some = chosen(options.count, options.seed)
    verdicts = [judge(mutant.source) for mutant in some]
    survivors = 0
    for mutant, verdict in zip(some, verdicts, strict=True):
        if not verdict.killed_by or verdict.seconds > LIMIT:
            survivors += 1
            print(f"survives {verdict.seconds:.1f} s: {mutant}")
    by_random = sum(verdict.killed_by == "random" for verdict in verdicts)
    slowest = max(verdict.seconds for verdict in verdicts if verdict.killed_by)
    print(
        f"{len(some) - survivors} of {len(some)} mutants killed, {by_random} of them by random "
        f"streams; the slowest in {slowest:.1f} s"
    )
    return 0 if survivors * 50 <= len(some) else 1


if __name__ == "__main__":
    raise SystemExit(main())
