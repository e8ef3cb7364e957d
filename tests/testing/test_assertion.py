"""`assert_decodes_like_the_standard`: what it takes, what it finds, and how it shows that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sse_proto import ServerSentEvent, iter_events
from sse_testing import (
    Event,
    Outcome,
    assert_decodes_like_the_standard,
    reference,
    vectors,
)
from sse_testing._compare import answer_of, difference, event_of, shown_bytes, shown_events
from sse_testing._misreadings import Wrong, find_misreading, misread
from tests.support.asserting import fault_of, whole


def test_our_decoder_passes() -> None:
    assert_decodes_like_the_standard(iter_events)


@pytest.mark.parametrize("strange", [SimpleNamespace(), 5, ("data",), (1, 2, 3, 4, 5), None])
def test_what_is_no_event(strange: object) -> None:
    with pytest.raises(TypeError, match="not an event, as it has no data"):
        assert_decodes_like_the_standard(lambda _: [strange])


def test_without_a_mistake_the_misreader_is_right() -> None:
    for vector in vectors():
        if vector.by_standard:
            assert misread([vector.stream], "none") == reference(vector.stream), vector.title


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("late-retry", b"retry: 5\ndata: x\n\nretry: 6\n\n"),
        ("finish-line", b"retry: 5"),
        ("id-at-end", b"id: 1\ndata: x\n"),
    ],
)
def test_mistakes_that_the_end_of_the_stream_shows(name: str, stream: bytes) -> None:
    events, last_event_id, retry = misread([stream], name)
    answer = {
        "events": [event._asdict() for event in events],
        "last_event_id": last_event_id,
        "retry": retry,
    }
    found = find_misreading(Wrong([stream], answer, reference(stream)))
    assert found is not None
    assert found.name == name


def test_a_vector_is_shown_with_its_reason() -> None:
    # No mistake that is known.
    fault = fault_of(lambda chunks: [event.data[::-1] for event in whole(chunks)])
    text = str(fault)
    assert " vectors (version 2.0) fail: " in text
    assert "The shortest is " in text
    assert "\nwhy       " in text
    assert "\nrule      HTML" in text
    assert "perhaps" not in text


def test_a_long_vector_is_made_short() -> None:
    def decode(chunks: Sequence[bytes]) -> list[Any]:
        stream = b"".join(chunks)
        return whole(chunks) if len(stream) < 100 else whole([stream + b"data\n\n"])

    fault = fault_of(decode)
    assert 100 <= len(b"".join(fault.chunks)) < 103
    assert len(fault.chunks) == 1


def test_a_fault_that_no_vector_finds() -> None:
    def decode(chunks: list[bytes]) -> list[Any]:
        # No vector has this line.
        wrong = b"data:z" in b"".join(chunks) and len(chunks) > 2
        return whole([*chunks, b"\n\n\ndata\n\n"]) if wrong else whole(chunks)

    fault = fault_of(decode)
    assert str(fault).startswith("Random stream ")
    assert "of seed 0 fails" in str(fault)
    assert b"".join(fault.chunks).endswith(b"data:z")
    assert len(b"".join(fault.chunks)) < 10
    assert "cut into 3 chunks" in str(fault)


def test_the_seed_makes_the_streams() -> None:
    def streams(seed: int) -> list[list[bytes]]:
        seen: list[list[bytes]] = []

        def decode(chunks: list[bytes]) -> list[Any]:
            seen.append(chunks)
            return whole(chunks)

        assert_decodes_like_the_standard(decode, examples=20, seed=seed)
        return seen

    assert streams(1) == streams(1) != streams(2)


def test_what_a_parser_raises_is_shown() -> None:
    def decode(chunks: list[bytes]) -> Iterator[ServerSentEvent]:
        if b"retry" in b"".join(chunks):
            raise RuntimeError("no such field")
        yield from iter_events(chunks)

    fault = fault_of(decode)
    assert "parser    raises RuntimeError: no such field" in str(fault)
    assert isinstance(fault.found, RuntimeError)


def test_what_a_parser_raises_does_not_hide_what_it_does() -> None:
    def decode(chunks: list[bytes]) -> list[Event]:
        if b"\xff" in b"".join(chunks):
            raise RuntimeError
        return misread(chunks, "strip").events

    assert "perhaps   the parser removes white space on both sides" in str(fault_of(decode))


def test_a_strict_decoder_of_utf8_gets_the_rule_of_utf8() -> None:
    fault = fault_of(
        lambda chunks: [b"".join(chunks).decode() and event for event in whole(chunks)]
    )
    assert "raises UnicodeDecodeError" in str(fault)
    assert fault.rule is not None
    assert fault.rule.name == "utf8-error"


def test_a_generator_that_breaks_off_later_shows_in_few_events() -> None:
    fault = fault_of(lambda chunks: whole(chunks)[:5])
    assert "5 events, the standard says" not in str(fault)  # that is for the report
    assert len(fault.expected.events) == 6


# -- parts -----------------------------------------------------------------------------------------

OUTCOME = reference(b"id: 1\nevent: e\nretry: 18446744073709551616\ndata: x\n\n")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"events": [{"data": "x"}]}, ""),
        ({"events": [{"data": "x", "retry": 1.8446744073709552e19}], "retry": 2**60}, ""),
        ({"events": [{"data": "x", "retry": "9" * 5000}]}, ""),
        ({"events": [{"data": "y"}]}, "data of event 1 is 'y', the standard says 'x'"),
        ({"events": [{"data": "x", "id": 1}]}, "id of event 1 is 1, the standard says '1'"),
        (
            {"events": [{"event": None, "data": "x"}]},
            "event of event 1 is None, the standard says 'e'",
        ),
        (
            {"events": [{"data": "x", "retry": 5}]},
            "retry of event 1 is 5, the standard says 18446744073709551616",
        ),
        ({"events": []}, "0 events, the standard says 1 event"),
        (
            {"events": [{"data": "x"}], "last_event_id": ""},
            "the last event ID is '', the standard says '1'",
        ),
        (
            {"events": [{"data": "x"}], "retry": None},
            "the reconnection time is None, the standard says 18446744073709551616",
        ),
    ],
)
def test_differences_in_words(answer: Any, text: str) -> None:
    assert difference(OUTCOME, answer) == text


def test_true_is_no_number() -> None:
    assert difference(Outcome([], None, 1), {"events": [], "retry": True}) != ""


def test_events_are_plain_data() -> None:
    assert event_of({"event": "e"}) == {"event": "e", "data": None}
    assert event_of(("e", "x")) == {"event": "e", "data": "x"}
    assert answer_of(["x"]) == {"events": [{"data": "x"}]}


def test_shown_bytes_are_cut() -> None:
    assert shown_bytes([]) == "no bytes at all"
    assert shown_bytes([b"a\r", b"\n"]) == r"b'a\r' b'\n'"
    assert shown_bytes([b"x" * 1000]).endswith("... (1000 bytes)")
    assert shown_bytes([b"x"] * 100).endswith("... (100 chunks)")


def test_shown_events_are_cut() -> None:
    assert shown_events(Outcome([], None, None)) == "no event"
    assert shown_events({"events": [{"data": "x"}] * 12}).endswith("and 2 more")
    assert shown_events({"events": [], "retry": 10**50}) == "retry a huge integer"
    assert "(1000 characters)" not in shown_events({"events": [{"data": "x" * 900}]})
    assert "(902 characters)" in shown_events({"events": [{"data": "x" * 900}]})
