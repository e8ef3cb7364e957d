"""A report as text, and as one page of HTML that needs nothing else."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ._conformance import RANDOM, ConformanceReport, Failure
from ._vectors import VECTORS_VERSION

__all__ = ["page", "text"]

_SHOWN: Final = 5


def text(report: ConformanceReport, *, every: bool = False) -> str:
    """Return the table, the mistakes, and failures: the first five, or every one."""
    return "\n".join(_text(report, every))


def _text(report: ConformanceReport, every: bool) -> Iterator[str]:
    yield f"{_title(report)}, vectors {VECTORS_VERSION}, {report.seconds:.1f} s"
    yield ""
    yield f"{'family':20}{'streams':>9}{'cases':>9}{'failed':>9}"
    for name, family in report.families.items():
        yield f"{name:20}{family.vectors:9}{family.cases:9}{family.failed or '-':>9}"
    if mistakes := _mistakes(report):
        yield "\nWhat the parser seems to do:"
        for description, number in mistakes:
            yield f"{number:6}x {description}"
    failures = _telling(failure for failure in report.failures if every or not failure.is_expected)
    for failure in failures[: None if every else _SHOWN]:
        yield ""
        yield from _told(failure)
    if len(failures) > _SHOWN and not every:
        yield f"\nand {len(failures) - _SHOWN} more: --all shows them, --html makes a page of them"
    if expected := sum(failure.is_expected for failure in report.failures):
        yield f"\n{expected} failures were expected"
    for title in report.outdated:
        yield f"expected to fail, but passed: {title}"
    if report.stray_count:
        yield f"\n{report.stray_count} lines from the driver were not answers; the first: "
        yield f"  {report.strays[0]}"
    yield ""
    yield "passed" if report.is_ok else "FAILED"


def _told(failure: Failure) -> Iterator[str]:
    cut = f"   cut into {len(failure.chunks)} chunks" if len(failure.chunks) > 1 else ""
    of = f" ({failure.name})" if failure.family == RANDOM else ""
    yield f"{failure.title}{of}{', expected' if failure.is_expected else ''}"
    yield f"  bytes     {failure.shown_bytes}{cut}"
    yield f"  parser    {failure.found}"
    yield f"  standard  {failure.shown_expected}"
    if failure.answer is not None:
        yield f"  that is   {failure.difference}"
    if failure.why:
        yield f"  why       {failure.why}"
    if failure.rule is not None:
        yield f"  rule      {failure.rule}"
    if failure.mistake is not None:
        yield f"  perhaps   the parser {failure.mistake.description}"


def _title(report: ConformanceReport) -> str:
    return f"{report.name} {report.version}".strip() or " ".join(report.command)


def _telling(failures: Iterable[Failure]) -> list[Failure]:
    """Sort failures: the shortest of each kind, the commonest kind first, then the others."""
    first: dict[str, Failure] = {}
    others: list[Failure] = []
    in_order = sorted(failures, key=lambda failure: sum(map(len, failure.chunks)))
    kinds = Counter(failure.symptom for failure in in_order)
    for failure in in_order:
        if failure.symptom and failure.symptom not in first:
            first[failure.symptom] = failure
        else:
            others.append(failure)
    return [*sorted(first.values(), key=lambda each: -kinds[each.symptom]), *others]


def _mistakes(report: ConformanceReport) -> list[tuple[str, int]]:
    return Counter(failure.symptom for failure in report.failures if failure.symptom).most_common()


# -- the page --------------------------------------------------------------------------------------

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --bad: #b3261e; --good: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #7ee787; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; } td, th { padding: .25rem 1rem .25rem 0; text-align: left;
border-bottom: 1px solid var(--line); }
.n { text-align: right; font-variant-numeric: tabular-nums; }
.bad { color: var(--bad); } .good { color: var(--good); }
details { border-bottom: 1px solid var(--line); padding: .4rem 0; } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: 6rem 1fr; gap: .3rem 1rem; margin: .6rem 0 .6rem 1rem; }
dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.bytes, .events { font-family: ui-monospace, monospace; font-size: .9rem; }
.byte { opacity: .55; font-size: .8em; padding: 0 .1em; }
.cut { border-left: 2px solid var(--bad); margin: 0 .3em; }
blockquote { margin: 0; padding-left: .8rem; border-left: 3px solid var(--line); }
"""

_LINK: Final = (
    "https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation"
)


def page(report: ConformanceReport) -> str:
    """Return one page that needs nothing else: no script, no style sheet, no font."""
    title = html.escape(_title(report))
    body = "\n".join(_body(report))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}: event stream conformance</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _body(report: ConformanceReport) -> Iterator[str]:
    verdict = (
        '<span class="good">passed</span>' if report.is_ok else '<span class="bad">failed</span>'
    )
    streams = sum(family.vectors for family in report.families.values())
    failed = sum(family.failed for family in report.families.values())
    yield f"<h1>{html.escape(_title(report))}: {verdict}</h1>"
    yield (
        f"<p>{failed} of {streams} streams fail. Vectors {VECTORS_VERSION}, "
        f"{report.seconds:.1f} s, <code>{html.escape(' '.join(report.command))}</code></p>"
    )
    yield "<table><thead><tr><th>family<th class=n>streams<th class=n>cases<th class=n>failed"
    yield "</thead><tbody>"
    for name, family in report.families.items():
        failing = f'<a class="bad" href="#{name}">{family.failed}</a>' if family.failed else "-"
        yield (
            f"<tr><td>{name}<td class=n>{family.vectors}<td class=n>{family.cases}"
            f"<td class=n>{failing}"
        )
    yield "</tbody></table>"
    if mistakes := _mistakes(report):
        yield "<h2>What the parser seems to do</h2><ul>"
        for description, number in mistakes:
            yield f"<li>{html.escape(description)} ({number} times)"
        yield "</ul>"
    if report.outdated:
        yield "<h2>Expected to fail, but passed</h2><ul>"
        yield from (f"<li><code>{html.escape(title)}</code>" for title in report.outdated)
        yield "</ul>"
    for name in report.families:
        if failures := [failure for failure in report.failures if failure.family == name]:
            yield f'<h2 id="{name}">{name}</h2>'
            for failure in failures:
                yield _details(failure, is_open=len(report.failures) <= _SHOWN)
    if report.stray_count:
        yield f"<h2>{report.stray_count} lines that were not answers</h2><ul>"
        yield from (f"<li><code>{html.escape(line)}</code>" for line in report.strays)
        yield "</ul>"


def _details(failure: Failure, *, is_open: bool) -> str:
    rows = [
        ("bytes", "bytes", _visible(failure.chunks)),
        ("parser", "events bad", html.escape(failure.found)),
        ("standard", "events good", html.escape(failure.shown_expected)),
    ]
    if failure.answer is not None:
        rows.append(("that is", "", html.escape(failure.difference)))
    if failure.why:
        rows.append(("why", "", html.escape(failure.why)))
    if failure.rule is not None:
        section = html.escape(failure.rule.section)
        if section.startswith("HTML"):
            section = f'<a href="{_LINK}">{section}</a>'
        sentence = html.escape(failure.rule.sentence)
        rows.append(("rule", "", f"<blockquote>{sentence}</blockquote>{section}"))
    if failure.mistake is not None:
        rows.append(("perhaps", "", f"the parser {html.escape(failure.mistake.description)}"))
    mark = " (expected)" if failure.is_expected else ""
    inner = "".join(f'<dt>{term}<dd class="{kind}">{value}' for term, kind, value in rows)
    head = f"<summary>{html.escape(failure.name)}{mark}</summary>"
    return f"<details{' open' if is_open else ''}>{head}<dl>{inner}</dl></details>"


def _visible(chunks: Sequence[bytes], limit: int = 2000) -> str:
    """Return bytes as HTML: unprintable and non-ASCII ones by name or number, cuts as lines."""
    parts: list[str] = []
    left = limit
    for chunk in chunks:
        parts.append("".join(map(_byte, chunk[: max(0, left)])))
        left -= len(chunk)
    shown = '<span class="cut" title="cut here"></span>'.join(parts)
    return shown if left >= 0 else f"{shown} and {-left} bytes more"


_NAMES: Final = {0: "NUL", 9: "TAB", 10: "LF", 13: "CR"}


def _byte(byte: int) -> str:
    if 32 <= byte < 127:
        return html.escape(chr(byte))
    name = _NAMES.get(byte, f"{byte:02X}")
    return f'<span class="byte">{name}</span>' + ("\n" if byte == 10 else "")
