"""Where an oracle's outcome differs from the expected one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from .cases import WATCH, Case, Connect, Outcome, expected, fits
from .oracles import Name

__all__ = ["ASPECTS", "Aspect", "Difference", "Known", "differences", "summary", "unlisted"]

Aspect: TypeAlias = Literal["events", "reconnection", "Last-Event-ID"]
ASPECTS: Final[tuple[Aspect, ...]] = ("events", "reconnection", "Last-Event-ID")

Verdict: TypeAlias = Literal["theirs", "ours", "open"]


@dataclass(frozen=True)
class Difference:
    """One case that an oracle reads differently from us."""

    oracle: Name
    aspect: Aspect
    title: str
    chunking: str
    wanted: str
    found: str

    def __str__(self) -> str:
        chunking = f" ({self.chunking})" if self.chunking else ""
        return (
            f"{self.oracle}, {self.title}{chunking}, {self.aspect}:\n"
            f"  wanted {self.wanted}\n  found  {self.found}"
        )


@dataclass(frozen=True)
class Known:
    """Differences that have been looked into, and whose cause is the same."""

    oracle: Name
    does: str
    """What the oracle does, as a sentence."""
    verdict: Verdict
    """Whose mistake it is by the standard, or ``open``: it does not say."""
    reason: str
    """The section and the rule that decide it."""
    found: dict[tuple[str, Aspect], str]
    """What the oracle gives, in the words of `summary`, by the case's title and the aspect."""


def differences(oracle: Name, case: Case, found: Outcome) -> Iterator[Difference]:
    """Compare aspect by aspect."""
    wanted = expected(case)
    same: dict[Aspect, bool] = {
        "events": found.events == wanted.events,
        "reconnection": _connects_fit(wanted, found),
        # Where one of them did not come back, that is the difference.
        "Last-Event-ID": all(
            one.last_event_id == other.last_event_id
            for one, other in zip(wanted.connects, found.connects, strict=False)
        ),
    }
    for aspect in ASPECTS:
        if not same[aspect]:
            texts = summary(aspect, wanted), summary(aspect, found)
            yield Difference(oracle, aspect, case.title, case.chunking, *texts)


def _connects_fit(wanted: Outcome, found: Outcome) -> bool:
    if found.end != wanted.end or len(found.connects) != len(wanted.connects):
        return False
    return all(map(fits, wanted.connects[1:], found.connects[1:]))


def summary(aspect: Aspect, outcome: Outcome) -> str:
    """Return a text that is the same in each run, if the oracle does the same."""
    if aspect == "events":
        return json.dumps(outcome.events)
    if aspect == "Last-Event-ID":
        return json.dumps([connect.last_event_id for connect in outcome.connects[1:]])
    steps = [_when(connect) for connect in outcome.connects[1:]]
    if outcome.end == "waiting" or not steps:
        steps.append(f"not within {WATCH // 1000} s" if outcome.end == "waiting" else "never")
    if outcome.end == "silent":
        steps.append("no end")
    return ", then ".join(steps)


def _when(connect: Connect) -> str:
    where = f" to /{connect.path}" if connect.path else ""
    if connect.after is None:
        return f"after some seconds{where}"
    # What was measured is rounded, to half a second, which leaves room for a slow machine.
    half_seconds = int(connect.after / 500 + 0.4)
    return f"after {half_seconds / 2:g} s{where}" if half_seconds else f"at once{where}"


def unlisted(found: Iterable[Difference], known: Sequence[Known]) -> list[Difference]:
    """Return the differences that nobody has looked into."""
    listed = {
        (each.oracle, title, aspect, text)
        for each in known
        for (title, aspect), text in each.found.items()
    }
    return [
        each for each in found if (each.oracle, each.title, each.aspect, each.found) not in listed
    ]
