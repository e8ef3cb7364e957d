"""Ask a browser: ``python -m tests.oracle [--npm FOLDER]``.

Headless Chromium, the npm package eventsource-parser and Node's own ``EventSource`` get the vectors
and more. If every difference is a known one, ``docs/explanation/oracle.md`` is rewritten; otherwise
the rest is printed, and the exit status is 1. It is 2 if one of the three cannot be asked.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from .cases import CONNECTION, Case, all_cases
from .compare import Difference, differences, unlisted
from .known import KNOWN
from .oracles import Oracle, Unavailable, ask, find_oracles
from .report import PAGE, replaced, tables


async def differences_of(oracle: Oracle, cases: Sequence[Case]) -> list[Difference]:
    """Ask an oracle, and compare.

    A reconnection may be late since the machine is busy. So a case that differs in that alone is
    asked once more.
    """
    found = await _ask_and_compare(oracle, cases)
    doubtful = {
        (each.title, each.chunking)
        for each in unlisted(found, KNOWN)
        if each.aspect == "reconnection"
    }
    if not doubtful:
        return found
    once_more = [case for case in cases if (case.title, case.chunking) in doubtful]
    return [
        each
        for each in found
        if each.aspect != "reconnection" or (each.title, each.chunking) not in doubtful
    ] + [
        each for each in await _ask_and_compare(oracle, once_more) if each.aspect == "reconnection"
    ]


async def _ask_and_compare(oracle: Oracle, cases: Sequence[Case]) -> list[Difference]:
    outcomes = await ask(oracle, cases)
    return [
        difference
        for case, outcome in zip(cases, outcomes, strict=True)
        for difference in differences(oracle.name, case, outcome)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask them all, and rewrite the page; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle")
    parser.add_argument(
        "--npm",
        metavar="FOLDER",
        type=Path,
        default=Path(".venv/oracle"),
        help="where npm installs eventsource-parser; default: %(default)s",
    )
    options = parser.parse_args(arguments)

    cases = all_cases()
    found: list[Difference] = []
    try:
        oracles = find_oracles(options.npm)
        for oracle in oracles:
            asked = [case for case in cases if oracle.connects or case.family != CONNECTION]
            theirs = asyncio.run(differences_of(oracle, asked))
            differ = len({(each.title, each.chunking) for each in theirs})
            print(f"{oracle.name} {oracle.version}: {differ} of {len(asked)} streams differ")
            found += theirs
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 2

    differing = {(each.oracle, each.title, each.aspect) for each in found}
    for known in KNOWN:
        for title, aspect in known.found:
            if (known.oracle, title, aspect) not in differing:
                print(f"{known.oracle}, {title}, {aspect}: no longer differs")
    if new := unlisted(found, KNOWN):
        print(f"{len(new)} differences that are not in tests/oracle/known.py:")
        print(*new, sep="\n")
        return 1
    text = tables(oracles, cases, found, KNOWN)
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), text), "utf-8")
    print(f"all of them are known; written to {PAGE.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
