"""The page: ``docs/explanation/oracle.md``, between its two comments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from .cases import CONNECTION, SITUATIONS, Case
from .compare import Difference, Known
from .oracles import Oracle

__all__ = ["PAGE", "replaced", "tables"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "oracle.md"

_BEGIN: Final = "<!-- written by python -m tests.oracle -->\n"
_END: Final = "<!-- end -->\n"

_VERDICTS: Final = {
    "theirs": "By the standard it is wrong",
    "ours": "By the standard we are wrong",
    "open": "The standard leaves it open",
}


def replaced(page: str, text: str) -> str:
    """Return the page with `text` between its comments."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page lacks {_BEGIN.strip()} or {_END.strip()}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def tables(
    oracles: Sequence[Oracle],
    cases: Sequence[Case],
    found: Iterable[Difference],
    known: Sequence[Known],
) -> str:
    """Return what was found; the same text whenever the same was found."""
    every = list(found)
    parts = [
        "## Events",
        _events(oracles, cases, every),
        "## The next connection",
        _next_connects(oracles, cases, every),
        "## The connection",
        _connection([oracle for oracle in oracles if oracle.connects], every),
        "## Differences",
        *_differences(oracles, every, known),
    ]
    return "\n\n".join(parts) + "\n"


def _events(oracles: Sequence[Oracle], cases: Sequence[Case], found: Sequence[Difference]) -> str:
    of_vectors = [case for case in cases if case.family != CONNECTION]
    vectors = Counter(case.family for case in of_vectors if case.chunking == "whole")
    streams = Counter(case.family for case in of_vectors)
    rows = [["family", "vectors", "streams", *(_titled(oracle) for oracle in oracles)]]
    total = [0] * (2 + len(oracles))
    for family in sorted(vectors):
        numbers = [vectors[family], streams[family]]
        for oracle in oracles:
            differ = [
                each
                for each in found
                if (each.oracle, each.aspect) == (oracle.name, "events")
                and each.title.startswith(f"{family}/")
            ]
            numbers.append(streams[family] - len(differ))
        total = [one + other for one, other in zip(total, numbers, strict=True)]
        rows.append([family, *map(str, numbers)])
    rows.append(["**all**", *(f"**{number}**" for number in total)])
    return _table(rows, numbers_from=1)


def _next_connects(
    oracles: Sequence[Oracle], cases: Sequence[Case], found: Sequence[Difference]
) -> str:
    streams = sum(case.family != CONNECTION for case in cases)
    rows = [["", "streams", *(oracle.name for oracle in oracles)]]
    for aspect, label in (
        ("reconnection", "reconnection time"),
        ("Last-Event-ID", "last event ID"),
    ):
        row = [label, str(streams)]
        for oracle in oracles:
            differ = [
                each
                for each in found
                if (each.oracle, each.aspect) == (oracle.name, aspect)
                and not each.title.startswith(f"{CONNECTION}/")
            ]
            row.append(str(streams - len(differ)))
        rows.append(row)
    return _table(rows, numbers_from=1)


def _connection(oracles: Sequence[Oracle], found: Sequence[Difference]) -> str:
    rows = [["situation", "section", "the standard", *(oracle.name for oracle in oracles)]]
    for situation in SITUATIONS:
        differ = {each.oracle for each in found if each.title == f"{CONNECTION}/{situation.name}"}
        cells = ["**no**" if oracle.name in differ else "yes" for oracle in oracles]
        rows.append([situation.name, situation.section, situation.rule, *cells])
    return _table(rows)


def _differences(
    oracles: Sequence[Oracle], found: Sequence[Difference], known: Sequence[Known]
) -> Iterator[str]:
    for oracle in oracles:
        yield f"### {_titled(oracle)}"
        none = True
        for group in known:
            rows = _rows(group, found) if group.oracle == oracle.name else []
            if rows:
                none = False
                yield f"**{group.does}** {_VERDICTS[group.verdict]}: {group.reason}"
                yield _table([["case", "what", "the standard and sse_proto", oracle.name], *rows])
        if none:
            yield "None."


def _rows(group: Known, found: Sequence[Difference]) -> list[list[str]]:
    rows = {
        (each.title, each.aspect): [
            _bare(each.title),
            each.aspect,
            _code(each.wanted),
            _code(each.found),
        ]
        for each in found
        if each.oracle == group.oracle
    }
    return [rows[key] for key in group.found if key in rows]


def _titled(oracle: Oracle) -> str:
    return f"{oracle.name} {oracle.version}"


def _bare(title: str) -> str:
    # The names of situations have code of their own.
    family, _, name = title.partition("/")
    return name if family == CONNECTION else f"`{title}`"


def _code(text: str) -> str:
    return f"`{text}`" if text.startswith("[") else text


def _table(rows: Sequence[Sequence[str]], *, numbers_from: int | None = None) -> str:
    head, *body = rows
    rules = [
        "---:" if numbers_from is not None and column >= numbers_from else "---"
        for column in range(len(head))
    ]
    lines = [_line(row) for row in (head, rules, *body)]
    return "\n".join(lines)


def _line(row: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
