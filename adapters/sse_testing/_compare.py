"""What a parser says about a stream, compared with what the standard says.

An answer is a plain dict, so that it can come from any language: ``events``, a list of dicts with
``event``, ``data``, ``id`` and ``retry``; ``last_event_id`` and ``retry``, in force after the end
of the stream. What it does not say is not compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from ._reference import Outcome

__all__ = ["Answer", "answer_of", "difference", "event_of", "shown_bytes", "shown_events"]

Answer: TypeAlias = "dict[str, Any]"
"""Plain data, as JSON has it."""

FIELDS: Final = ("event", "data", "id", "retry")

# The names that parsers use.
_FIELDS_BY_NAME: Final = {
    "type": "event",
    "event": "event",
    "data": "data",
    "lastEventId": "id",
    "last_event_id": "id",
    "id": "id",
    "retry": "retry",
}

# The integers that JavaScript's numbers can tell apart.
_EXACT: Final = 2**53 - 1
# Python reads no longer integers unless told to.
_DIGITS: Final = 640


def answer_of(events: Iterable[object]) -> Answer:
    """Turn a parser's events into an answer.

    Raises:
        TypeError: Something is not an event.
    """
    return {"events": [event_of(event) for event in events]}


def event_of(event: object) -> dict[str, object]:
    """Return what an event says.

    It may be an object or a mapping, with ``event`` or ``type``, ``data``, ``id``,
    ``last_event_id`` or ``lastEventId``, and ``retry``; a tuple of as many of them as there are, in
    this order; or a string, the data alone.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(event, str):
        return {"data": event}
    told: dict[str, object] = {}
    if isinstance(event, Mapping):
        mapping = cast("Mapping[str, object]", event)
        # A parser may keep just what it found, and have found no data.
        told = {"data": None}
        for name in mapping:
            if name in _FIELDS_BY_NAME:
                told[_FIELDS_BY_NAME[name]] = mapping[name]
    elif type(event) in (tuple, list):  # not a named tuple
        values = cast("Sequence[object]", event)
        if 2 <= len(values) <= len(FIELDS):
            told = dict(zip(FIELDS, values, strict=False))
    else:
        for name, field in _FIELDS_BY_NAME.items():
            if hasattr(event, name):
                told[field] = getattr(event, name)
    if "data" in told:
        return told
    raise TypeError(f"not an event, as it has no data: {event!r:.200}")


def difference(expected: Outcome, answer: Answer) -> str:
    """Return the first difference in words; empty if there is none.

    A missing or empty event type counts as ``message``, and a missing ID as the empty string: some
    parsers leave these defaults to their users. Integers of more than 53 bits may be inexact.
    """
    events: list[dict[str, object]] = answer["events"]
    for number, (event, told) in enumerate(zip(expected.events, events, strict=False), start=1):
        for field in FIELDS:
            if field in told and not _equal(field, getattr(event, field), told[field]):
                is_, of = _shown(told[field]), _shown(getattr(event, field))
                return f"{field} of event {number} is {is_}, the standard says {of}"
    if len(events) != len(expected.events):
        return f"{_count(len(events))}, the standard says {_count(len(expected.events))}"
    for key, field, value in (
        ("last_event_id", "id", expected.last_event_id),
        ("retry", "retry", expected.reconnection_time),
    ):
        if key in answer and not _equal(field, value, answer[key]):
            name = {"id": "last event ID", "retry": "reconnection time"}[field]
            return f"the {name} is {_shown(answer[key])}, the standard says {_shown(value)}"
    return ""


def _equal(field: str, wanted: object, found: object) -> bool:
    if field == "retry":
        if isinstance(found, str) and found.isascii() and found.isdigit():
            # Some leave parsing it to their users. A longer one is huge, whatever it is.
            found = int(found) if len(found) < _DIGITS else math.inf
        if isinstance(wanted, int) and wanted > _EXACT:
            return isinstance(found, (int, float)) and found > _EXACT
        return wanted == found and not isinstance(found, bool)
    default = "message" if field == "event" else ""
    return (wanted or default) == (default if found is None or found == "" else found)


def _count(number: int) -> str:
    return "1 event" if number == 1 else f"{number} events"


def _shown(value: object, limit: int = 200) -> str:
    text = f"{value!r}" if not isinstance(value, int) or value < 10**40 else "a huge integer"
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def shown_bytes(chunks: Sequence[bytes], limit: int = 300) -> str:
    """Return chunks as Python writes bytes, cut if they are too long to read."""
    shown: list[str] = []
    for chunk in chunks:
        text = repr(chunk)
        if len(text) > limit:
            text = f"{text[:limit]}... ({len(chunk)} bytes)"
        shown.append(text)
        limit -= min(len(text), limit - 1)
        if len(shown) == 40 < len(chunks):
            shown.append(f"... ({len(chunks)} chunks)")
            break
    return " ".join(shown) or "no bytes at all"


def shown_events(answer: Answer | Outcome) -> str:
    """Return an answer, or what the standard says, on one line."""
    if isinstance(answer, Outcome):
        parts = [_shown_event(event._asdict()) for event in answer.events]
        rest: dict[str, object] = {}
    else:
        parts = [_shown_event(event) for event in answer["events"]]
        rest = {key: value for key, value in answer.items() if key in ("last_event_id", "retry")}
    if len(parts) > 10:
        parts[10:] = [f"and {len(parts) - 10} more"]
    parts += [f"{key} {_shown(value)}" for key, value in rest.items()]
    return ", ".join(parts) or "no event"


def _shown_event(told: Mapping[str, object]) -> str:
    # A missing type, ID or time is of no interest.
    fields = [f"data {_shown(told.get('data'))}"]
    if told.get("event") not in (None, "", "message"):
        fields.insert(0, f"event {_shown(told['event'])}")
    if told.get("id") is not None:
        fields.append(f"id {_shown(told['id'])}")
    if told.get("retry") is not None:
        fields.append(f"retry {_shown(told['retry'])}")
    return f"({', '.join(fields)})"
