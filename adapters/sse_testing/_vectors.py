"""The vectors: event streams and what they mean, as data that every implementation can share.

They are beside this module, in ``vectors/``; the README there describes their format.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypedDict, cast

from ._reference import Event

__all__ = ["VECTORS_VERSION", "Rule", "Vector", "rules", "vectors"]

VECTORS_VERSION: Final = "2.0"
"""Of the vectors: the first number changes with their format, the second with their content."""

_FOLDER: Final = Path(__file__).parent / "vectors"


@dataclass(frozen=True)
class Rule:
    """A sentence of the standard that decides what a stream means."""

    name: str
    section: str
    """Where the sentence is; ``of ours`` for a decision that the standard leaves open."""
    sentence: str

    def __str__(self) -> str:
        return f"{self.section}: {self.sentence}"


@dataclass(frozen=True)
class Vector:
    """An event stream, and what the standard makes of it."""

    family: str
    name: str
    """Unique in its family."""
    rule: Rule
    why: str
    """How the rule decides this stream, in a few words."""
    stream: bytes
    events: tuple[Event, ...]
    last_event_id: str | None
    """The last event ID after the end of the stream; ``None``: the stream set none."""
    reconnection_time: int | None
    """Milliseconds, after the end of the stream; ``None``: the stream set none."""

    @property
    def title(self) -> str:
        """``family/name``."""
        return f"{self.family}/{self.name}"

    @property
    def by_standard(self) -> bool:
        """False if the standard leaves it open, and the rule is ours."""
        return self.rule.section != "of ours"


class _RuleJSON(TypedDict):
    section: str
    sentence: str


class _IndexJSON(TypedDict):
    version: str
    families: list[str]
    rules: dict[str, _RuleJSON]


class _VectorJSON(TypedDict):
    name: str
    rule: str
    why: str
    stream: str
    events: list[tuple[str, str, str | None, int | None]]
    last_event_id: str | None
    reconnection_time: int | None


def rules() -> dict[str, Rule]:
    """Return the rules by name."""
    return {name: Rule(name, **raw) for name, raw in _index()["rules"].items()}


@cache
def vectors() -> tuple[Vector, ...]:
    """Return all vectors, family by family.

    Their expectations follow from the text of the HTML Standard (9.2.5 and 9.2.6), the Encoding
    Standard and Unicode, by hand; no decoder made them.
    """
    every = rules()
    return tuple(
        Vector(
            family,
            raw["name"],
            every[raw["rule"]],
            raw["why"],
            raw["stream"].encode("latin-1"),
            tuple(Event(*event) for event in raw["events"]),
            raw["last_event_id"],
            raw["reconnection_time"],
        )
        for family in _index()["families"]
        for raw in _read(family)
    )


def _read(family: str) -> list[_VectorJSON]:
    return cast("list[_VectorJSON]", json.loads((_FOLDER / f"{family}.json").read_text("ascii")))


@cache
def _index() -> _IndexJSON:
    return cast("_IndexJSON", json.loads((_FOLDER / "index.json").read_text("ascii")))
