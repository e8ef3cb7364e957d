"""`assert_decodes_like_the_standard` over all vectors: each shape of events, and each mistake."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from types import SimpleNamespace
from typing import Final

import pytest

from sse_testing import Event, assert_decodes_like_the_standard, reference, vectors
from sse_testing._misreadings import MISREADINGS, Misreading, misread
from sse_testing._random import chunkings
from tests.support.asserting import fault_of, whole

SHAPES: Final[list[Callable[[Event], object]]] = [
    lambda event: event,
    lambda event: event._asdict(),
    lambda event: tuple(event),
    lambda event: tuple(event)[:2],
    lambda event: {"type": event.event, "data": event.data, "lastEventId": event.id or ""},
    lambda event: SimpleNamespace(data=event.data, last_event_id=event.id),
    lambda event: event.data,
    lambda event: {
        "event": "" if event.event == "message" else event.event,
        "data": event.data,
    },
    lambda event: {
        "data": event.data,
        "retry": None if event.retry is None else str(event.retry),
    },
]


@pytest.mark.parametrize("told", SHAPES)
def test_events_of_many_shapes(told: Callable[[Event], object]) -> None:
    assert_decodes_like_the_standard(lambda chunks: map(told, whole(chunks)), examples=50)


# What can be seen of a parser that tells its events alone.
VISIBLE = [
    mistake
    for mistake in MISREADINGS
    if mistake.name not in ("late-retry", "finish-line", "id-at-end")
]


@pytest.mark.parametrize("mistake", VISIBLE, ids=lambda mistake: mistake.name)
def test_each_mistake_is_found_and_named(mistake: Misreading) -> None:
    fault = fault_of(lambda chunks: misread(chunks, mistake.name).events)
    assert f"perhaps   the parser {mistake.description}" in str(fault)
    assert fault.expected == reference(b"".join(fault.chunks))
    assert fault.rule is not None
    assert str(fault.rule) in str(fault)


def test_no_two_mistakes_are_the_same() -> None:
    cases = [
        chunks for vector in vectors() for chunks in chunkings(vector.stream, vector.title)[:2]
    ]
    made = {
        mistake.name: [misread(chunks, mistake.name) for chunks in cases] for mistake in MISREADINGS
    }
    for one, other in combinations(made, 2):
        assert made[one] != made[other], (one, other)
