"""The suite for anybody's parser: all vectors in several chunkings, then random streams for a time.

`run_conformance` asks a driver, and returns a `ConformanceReport`, which the command
``sse-conformance`` prints.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from ._compare import Answer, difference, shown_bytes, shown_events
from ._driver import Driver, Fault, Reply
from ._misreadings import Misreading, Wrong, find_misreading, misread, votes
from ._random import chunkings, random_chunks, shrink
from ._reference import Outcome, reference
from ._vectors import Rule, Vector, rules, vectors

__all__ = ["RANDOM", "ConformanceReport", "Failure", "FamilyCount", "run_conformance"]

RANDOM: Final = "random"
"""The family of streams that are not vectors, and their name among the expected failures."""

# How many random streams to ask before looking at the clock.
_BATCH: Final = 256
# How many failures of random streams to shrink and keep, counting those of one mistake as one.
_KEPT: Final = 10
# How often to ask a driver in order to make one smaller.
_TRIES: Final = 400
_TRIES_OF_CRASHES: Final = 40


@dataclass(frozen=True)
class Failure:
    """A stream that the parser reads differently from the standard."""

    family: str
    name: str
    chunks: tuple[bytes, ...]
    """What it was given; if random, shrunk as far as possible."""
    expected: Outcome
    """What the standard says."""
    answer: Answer | None
    """What the parser said, as plain data; ``None``: see `difference`."""
    difference: str
    """In words; or what happened instead of an answer."""
    rule: Rule | None
    """The rule that is broken: that of `mistake`, or of the vector; ``None``: unknown."""
    why: str
    """How the vector's rule decides it, if that is the rule."""
    mistake: Misreading | None
    """What the parser seems to do."""
    is_expected: bool = False
    """Whether it is among the expected failures."""

    @property
    def title(self) -> str:
        """``family/name``; just ``random`` for what is not a vector."""
        return self.family if self.family == RANDOM else f"{self.family}/{self.name}"

    @property
    def shown_bytes(self) -> str:
        """The chunks, as Python writes bytes, cut if they are too long to read."""
        return shown_bytes(self.chunks)

    @property
    def shown_expected(self) -> str:
        """What the standard says, on one line."""
        return shown_events(self.expected)

    @property
    def symptom(self) -> str:
        """What the parser seems to do, or what it or the driver raised; the same for the same kind.

        Empty if unknown.
        """
        if self.mistake is not None:
            return self.mistake.description
        # What follows is the bytes that caused it.
        return self.difference.partition("(")[0][:80] if self.answer is None else ""

    @property
    def found(self) -> str:
        """The answer on one line, or what happened instead."""
        return self.difference if self.answer is None else shown_events(self.answer)


@dataclass
class FamilyCount:
    """What was asked of one family of vectors, or of random streams."""

    vectors: int = 0
    """Streams, each asked in several chunkings."""
    cases: int = 0
    failed: int = 0
    """Vectors that failed in at least one chunking."""


@dataclass
class ConformanceReport:
    """What a parser makes of the suite."""

    command: list[str]
    name: str = ""
    """What the driver calls its parser; empty if it does not say."""
    version: str = ""
    seconds: float = 0.0
    families: dict[str, FamilyCount] = field(default_factory=dict)
    """By name, `RANDOM` last."""
    failures: list[Failure] = field(default_factory=list)
    """One for each vector, in the first chunking that failed; random ones once for each mistake."""
    outdated: list[str] = field(default_factory=list)
    """Expected failures that pass, or that are not vectors."""
    strays: list[str] = field(default_factory=list)
    """The driver's lines that answer nothing, the first ten."""
    stray_count: int = 0

    @property
    def is_ok(self) -> bool:
        """Whether all passed except the expected failures, and these failed."""
        return not self.outdated and all(failure.is_expected for failure in self.failures)


def run_conformance(
    command: Sequence[str],
    *,
    seconds: float = 10.0,
    seed: int = 0,
    timeout: float = 10.0,
    at_once: int = 64,
    expected_failures: Collection[str] = (),
    stop_at_first: bool = False,
    whole_only: bool = False,
) -> ConformanceReport:
    """Run the suite against a driver: see "The driver" in the how-to "Check your own parser".

    Args:
        command: The driver and its arguments.
        seconds: How long to try random streams, after all vectors.
        seed: The same number gives the same random streams, as many as there is time for.
        timeout: Seconds without any answer after which the driver counts as hanging.
        at_once: How many cases the driver gets before it has answered the first of them.
        expected_failures: Titles of vectors, ``family/name``, and perhaps ``random``.
        stop_at_first: Whether to stop at the first failure that is not expected.
        whole_only: Whether to give each vector only in one chunk.
    Raises:
        ConformanceError: The driver does not start, or never answers.
    """
    report = ConformanceReport(list(command))
    began = time.monotonic()
    with Driver(command, timeout=timeout, at_once=at_once) as driver:
        _ask_vectors(driver, report, expected_failures, stop_at_first, whole_only)
        if seconds > 0 and not (stop_at_first and not _all_expected(report)):
            _ask_random(driver, report, seconds, seed, RANDOM in expected_failures, stop_at_first)
        report.name, report.version = driver.name, driver.version
        report.strays, report.stray_count = driver.strays, driver.stray_count
    report.seconds = time.monotonic() - began
    if not stop_at_first:
        failed = {failure.title for failure in report.failures}
        asked_random = RANDOM in report.families
        report.outdated = sorted(
            title
            for title in expected_failures
            if title not in failed and (title != RANDOM or asked_random)
        )
    return report


def _all_expected(report: ConformanceReport) -> bool:
    return all(failure.is_expected for failure in report.failures)


def _outcome_of(vector: Vector) -> Outcome:
    return Outcome([*vector.events], vector.last_event_id, vector.reconnection_time)


def _wrong(reply: Reply, expected: Outcome) -> str:
    return reply.text if isinstance(reply, Fault) else difference(expected, reply)


# -- vectors ---------------------------------------------------------------------------------------


def _ask_vectors(
    driver: Driver,
    report: ConformanceReport,
    expected_failures: Collection[str],
    stop_at_first: bool,
    whole_only: bool,
) -> None:
    cases: list[tuple[Vector, list[bytes]]] = []
    for vector in vectors():
        if vector.by_standard:
            ways = chunkings(vector.stream, vector.title)[: 1 if whole_only else None]
            cases += [(vector, chunks) for chunks in ways]
            family = report.families.setdefault(vector.family, FamilyCount())
            family.vectors += 1
    # Each vector's first failing chunking: they are ordered from plain to odd.
    failed: dict[str, tuple[int, Reply]] = {}
    for index, reply in driver.replies([chunks for _, chunks in cases]):
        vector = cases[index][0]
        report.families[vector.family].cases += 1
        if _wrong(reply, _outcome_of(vector)):
            if vector.title not in failed or index < failed[vector.title][0]:
                failed[vector.title] = index, reply
            if stop_at_first and vector.title not in expected_failures:
                break
    in_order = sorted(failed.values(), key=lambda each: each[0])
    of_all = votes(
        Wrong(cases[index][1], reply, _outcome_of(cases[index][0]))
        for index, reply in in_order
        if not isinstance(reply, Fault)
    )
    for index, reply in in_order:
        vector, chunks = cases[index]
        report.families[vector.family].failed += 1
        failure = _failure(
            vector.family, vector.name, chunks, _outcome_of(vector), reply, of_all, vector
        )
        is_expected = vector.title in expected_failures
        report.failures.append(replace(failure, is_expected=is_expected))


def _failure(
    family: str,
    name: str,
    chunks: Sequence[bytes],
    expected: Outcome,
    reply: Reply,
    of_all: Mapping[str, int] | None = None,
    vector: Vector | None = None,
) -> Failure:
    answer = None if isinstance(reply, Fault) else reply
    mistake = None
    if answer is not None:
        mistake = find_misreading(Wrong(chunks, answer, expected), of_all)
    rule = vector.rule if vector is not None else None
    if mistake is not None:
        rule = rules()[mistake.rule]
    why = vector.why if vector is not None and rule == vector.rule else ""
    wrong = _wrong(reply, expected)
    return Failure(family, name, tuple(chunks), expected, answer, wrong, rule, why, mistake)


# -- random streams --------------------------------------------------------------------------------


def _ask_random(
    driver: Driver,
    report: ConformanceReport,
    seconds: float,
    seed: int,
    is_expected: bool,
    stop: bool,
) -> None:
    family = report.families[RANDOM] = FamilyCount()
    random = Random(seed)
    end = time.monotonic() + seconds
    kept: list[Failure] = []
    while time.monotonic() < end:
        batch = [random_chunks(random) for _ in range(_BATCH)]
        wrong: list[tuple[list[bytes], Reply]] = []
        for index, reply in driver.replies(batch):
            family.vectors += 1
            family.cases += 1
            if _wrong(reply, reference(b"".join(batch[index]))):
                family.failed += 1
                wrong.append((batch[index], reply))
        for chunks, reply in sorted(wrong, key=lambda each: (sum(map(len, each[0])), len(each[0]))):
            if len(kept) == _KEPT or (kept and time.monotonic() > end):
                break
            if not _is_known(kept, chunks, reply):
                failure = _shrunk(driver, chunks, f"seed {seed}", is_expected)
                if failure is not None and all(failure.chunks != each.chunks for each in kept):
                    kept.append(failure)
        if stop and wrong and not is_expected:
            break
    report.failures += kept


def _is_known(kept: Iterable[Failure], chunks: Sequence[bytes], reply: Reply) -> bool:
    """Whether a failure is of the same kind as one already kept."""
    if isinstance(reply, Fault):
        return any(reply.text.startswith(each.symptom) for each in kept if each.answer is None)
    return any(
        not difference(misread(chunks, each.mistake.name), reply)
        for each in kept
        if each.mistake is not None
    )


def _shrunk(driver: Driver, chunks: list[bytes], name: str, is_expected: bool) -> Failure | None:
    """Return the smallest failure; ``None`` if it does not fail again."""
    last: dict[tuple[bytes, ...], Reply] = {}

    def fails(smaller: list[bytes]) -> bool:
        reply = driver.ask(smaller)
        last[tuple(smaller)] = reply
        if isinstance(reply, Fault) and reply.kind in ("silence", "unasked"):
            return False  # too expensive to follow
        return _wrong(reply, reference(b"".join(smaller))) != ""

    first = driver.ask(chunks)
    if not _wrong(first, reference(b"".join(chunks))):
        return None
    small = tuple(chunks)
    if not isinstance(first, Fault) or first.kind in ("parser", "crash"):
        tries = _TRIES_OF_CRASHES if isinstance(first, Fault) else _TRIES
        small = tuple(shrink(chunks, fails, tries=tries))
    reply = last.get(small, first)
    failure = _failure(RANDOM, name, small, reference(b"".join(small)), reply)
    return replace(failure, is_expected=is_expected)
