"""Ask every parser there is: ``python -m examples.conformance.matrix --npm FOLDER``.

Writes the tables of ``docs/explanation/matrix.md``. Parsers that are not installed are left out,
with a notice.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sse_testing import (
    VECTORS_VERSION,
    ConformanceError,
    ConformanceReport,
    Failure,
    FamilyCount,
    run_conformance,
    vectors,
)

from . import peers

__all__ = ["Parser", "main", "written"]

FOLDER: Final = Path(__file__).parent
ROOT: Final = FOLDER.parents[1]
PAGE: Final = ROOT / "docs" / "explanation" / "matrix.md"
BEGIN: Final = "<!-- written by python -m examples.conformance.matrix -->\n"
END: Final = "<!-- end -->\n"

NPM: Final = (
    "eventsource-parser",
    "eventsource",
    "undici",
    "@microsoft/fetch-event-source",
    "fetch-event-stream",
)


class Parser(NamedTuple):
    """A parser to ask, and how to run it."""

    name: str
    command: list[str]
    is_browser: bool = False


def parsers(npm: Path | None, scratch: Path) -> Iterator[Parser]:
    """Yield those that can run here: given an interpreter, a compiler, Node, a browser."""
    python = [sys.executable, "-m"]
    for name in peers.NAMES:
        yield Parser(name, [*python, "examples.conformance.peers", name])
    compiler = shutil.which("cc")
    if compiler is not None and (ROOT / "sse_proto" / "sse_core.h").exists():
        program = scratch / "core"
        source = FOLDER / "core.c"
        subprocess.run([compiler, "-std=c99", "-O1", "-o", program, source], check=True)
        yield Parser("sse-proto (sse_core.h)", [str(program)])
    if npm is not None:
        yield from (Parser(name, ["node", str(FOLDER / "npm.mjs"), name, str(npm)]) for name in NPM)
    if any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        yield Parser("Chromium", [*python, "examples.conformance.browser"], is_browser=True)


def ask(parser: Parser, seconds: float) -> ConformanceReport:
    """Run the suite; a browser gets whole streams only, all at once."""
    if parser.is_browser:
        return run_conformance(
            parser.command, seconds=0, timeout=600, at_once=5000, whole_only=True
        )
    return run_conformance(parser.command, seconds=seconds)


# -- the page --------------------------------------------------------------------------------------


def written(reports: Sequence[ConformanceReport]) -> str:
    """Return the tables: what fails in each family, then each fault of each parser."""
    return "\n".join(_lines(reports))


def _lines(reports: Sequence[ConformanceReport]) -> Iterator[str]:
    decided = [vector for vector in vectors() if vector.by_standard]
    families = list(dict.fromkeys(vector.family for vector in decided))
    yield f"Vectors {VECTORS_VERSION}, {len(decided)} that the standard decides. How many fail:"
    yield ""
    heads = ["parser", "passed", *(family.replace("_", " ") for family in families), "random"]
    yield _row(heads)
    yield _row(["---", *["---:"] * (len(heads) - 1)])
    for report in reports:
        failed = [report.families[family].failed for family in families]
        random = report.families.get("random")
        cells = [
            f"{report.name} {report.version}",
            f"**{100 * (1 - sum(failed) / len(decided)):.1f} %**",
            *(str(number) if number else "" for number in failed),
            _share(random),
        ]
        yield _row(cells)
    for report in reports:
        if report.failures:
            yield ""
            yield f"## {report.name}"
            yield ""
            yield from _faults(report)


def _faults(report: ConformanceReport) -> Iterator[str]:
    yield f"Version {report.version}."
    yield ""
    yield _row(["fails", "bytes in", "events out", "the standard", "rule"])
    yield _row(["---:", "---", "---", "---", "---"])
    kinds: dict[str, list[Failure]] = {}
    for failure in report.failures:
        if failure.symptom or failure.family != "random":
            kinds.setdefault(failure.symptom, []).append(failure)
    for symptom, failures in sorted(kinds.items(), key=lambda pair: (not pair[0], -len(pair[1]))):
        # Named ones first: a vector can be looked up.
        shown = min(failures, key=lambda each: (each.family == "random", _length(each)))
        rule = shown.rule.name if shown.rule is not None else ""
        what = f": it {symptom.removeprefix('the parser ')}" if symptom else ""
        yield _row(
            [
                str(len(failures)),
                _code(shown.shown_bytes),
                _code(shown.found),
                _code(shown.shown_expected),
                f"{rule}{what}",
            ]
        )


def _share(random: FamilyCount | None) -> str:
    if random is None:
        return "not asked"
    return f"{100 * random.failed / random.vectors:.1f} %" if random.failed else ""


def _length(failure: Failure) -> int:
    return sum(map(len, failure.chunks))


def _code(text: str) -> str:
    text = text if len(text) <= 100 else f"{text[:100]}..."
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask them all, and rewrite the page; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m examples.conformance.matrix")
    parser.add_argument("--npm", type=Path, metavar="FOLDER", help="where the npm packages are")
    parser.add_argument("--seconds", type=float, default=5.0, help="of random streams, per parser")
    options = parser.parse_args(arguments)
    reports: list[ConformanceReport] = []
    with tempfile.TemporaryDirectory() as scratch:
        for each in parsers(options.npm, Path(scratch)):
            try:
                report = ask(each, options.seconds)
            except ConformanceError as error:
                print(f"{each.name} is left out: {error}")
                continue
            failed = sum(family.failed for family in report.families.values())
            print(f"{report.name} {report.version}: {failed} streams fail", flush=True)
            reports.append(report)
    before, begin, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} lacks {BEGIN.strip()} or {END.strip()}")
    PAGE.write_text(f"{before}{begin}\n{written(reports)}\n\n{end}{after}", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
