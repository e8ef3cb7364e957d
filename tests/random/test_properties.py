"""What holds for every stream, every chunking and every event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sse_proto import EventTooLarge, ServerSentEvent, encode, encode_comment
from tests.support.reference import Event, before_oversized, decode, interpret, pieces_of
from tests.support.strategies import characters, cuts, events, limits, streams, tricky

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sse_proto import BytesLike, SSEDecoder


def decode_limited(
    decoder: SSEDecoder, chunks: Iterable[BytesLike]
) -> tuple[list[Event], str | None, bool]:
    """Decode to the end or the error: events, last event ID, and whether one was too large."""
    events: list[Event] = []
    failed = False
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        decoder.close()
    except EventTooLarge as error:
        failed = error.size > error.limit == decoder.max_event_size
    return events, decoder.last_event_id, failed


def errors_of(decoder: SSEDecoder, chunks: Iterable[BytesLike]) -> list[tuple[int, int]]:
    """Feed on, whatever happens, and return what was raised."""
    errors: list[tuple[int, int]] = []
    for chunk in chunks:
        try:
            decoder.feed(chunk)
        except EventTooLarge as error:
            errors.append((error.size, error.limit))
    return errors


@given(stream=streams, cuts=cuts)
def test_events_do_not_depend_on_chunk_boundaries(
    decoder_class: type[SSEDecoder], stream: bytes, cuts: set[int]
) -> None:
    whole = decode(decoder_class(), [stream])
    assert decode(decoder_class(), pieces_of(stream, cuts)) == whole
    assert decode(decoder_class(), [stream[i : i + 1] for i in range(len(stream))]) == whole


@given(stream=streams, cuts=cuts)
def test_events_are_those_of_the_reference(
    decoder_class: type[SSEDecoder], stream: bytes, cuts: set[int]
) -> None:
    assert decode(decoder_class(), pieces_of(stream, cuts)) == interpret(stream)


@given(stream=streams, cuts=cuts, last_event_id=st.none() | st.text(max_size=3))
def test_options_as_in_the_reference(
    decoder_class: type[SSEDecoder], stream: bytes, cuts: set[int], last_event_id: str | None
) -> None:
    decoder = decoder_class(last_event_id=last_event_id, dispatch_empty=True)
    assert decode(decoder, pieces_of(stream, cuts)) == interpret(
        stream, last_event_id=last_event_id, dispatch_empty=True
    )


@given(stream=streams, cuts=cuts)
def test_the_type_of_the_buffer_does_not_matter(
    decoder_class: type[SSEDecoder], stream: bytes, cuts: set[int]
) -> None:
    pieces = pieces_of(stream, cuts)
    expected = decode(decoder_class(), pieces)
    assert decode(decoder_class(), map(bytearray, pieces)) == expected
    assert decode(decoder_class(), map(memoryview, pieces)) == expected


@given(stream=streams, cuts=cuts)
def test_attributes_are_live_and_reading_them_changes_nothing(
    decoder_class: type[SSEDecoder], stream: bytes, cuts: set[int]
) -> None:
    decoder = decoder_class()
    seen = b""
    events: list[Event] = []
    for piece in pieces_of(stream, cuts):
        events += decoder.feed(piece)
        seen += piece
        # What the stream would come to, if it ended here.
        assert (events, decoder.last_event_id, decoder.reconnection_time) == interpret(seen)


@given(stream=streams, limit=limits, cuts=cuts)
def test_the_limit_does_not_depend_on_chunk_boundaries(
    decoder_class: type[SSEDecoder], stream: bytes, limit: int, cuts: set[int]
) -> None:
    before = before_oversized(stream, limit)
    events, last_event_id, _ = interpret(stream if before is None else before)
    expected = (events, last_event_id, before is not None)

    def limited(chunks: Iterable[BytesLike]) -> tuple[list[Event], str | None, bool]:
        return decode_limited(decoder_class(max_event_size=limit), chunks)

    assert limited([stream]) == expected
    assert limited(pieces_of(stream, cuts)) == expected
    assert limited(map(bytearray, pieces_of(stream, cuts))) == expected
    assert limited([stream[i : i + 1] for i in range(len(stream))]) == expected


@given(stream=streams, cuts=cuts)
def test_a_limit_that_suffices_changes_nothing(
    decoder_class: type[SSEDecoder], stream: bytes, cuts: set[int]
) -> None:
    decoder = decoder_class(max_event_size=len(stream) + 1)
    assert decode(decoder, pieces_of(stream, cuts)) == interpret(stream)


@given(stream=streams, cuts=cuts, limit=limits)
def test_a_failed_decoder_says_the_same_for_ever(
    decoder_class: type[SSEDecoder], stream: bytes, cuts: set[int], limit: int
) -> None:
    decoder = decoder_class(max_event_size=limit)
    oversized = [b"\n\ndata: " + b"x" * limit, b"\n"]  # the call after the one that fails at last
    errors = errors_of(decoder, [*pieces_of(stream, cuts), *oversized])
    assert len(set(errors)) == 1
    assert errors_of(decoder, [b"\n", b"data: x\n\n", b"x"]) == errors[:1] * 3


@given(events=st.lists(events, max_size=4), cuts=cuts)
def test_decoding_is_the_inverse_of_encoding(
    decoder_class: type[SSEDecoder], events: list[ServerSentEvent], cuts: set[int]
) -> None:
    for event in events:
        stream = encode(event)
        assert decode(decoder_class(), pieces_of(stream, cuts))[0] == [event]
        assert decode(decoder_class(), [bytes([byte]) for byte in stream[:200]])[0] == (
            [event] if len(stream) <= 200 else []
        )
    # In one stream, an ID outlives its event.
    last_event_id: str | None = None
    expected: list[ServerSentEvent] = []
    for event in events:
        last_event_id = last_event_id if event.id is None else event.id
        expected.append(event._replace(id=last_event_id))
    stream = b"".join(map(encode, events))
    assert decode(decoder_class(), pieces_of(stream, cuts))[0] == expected


@given(data=st.text(characters))
def test_an_end_of_line_in_data_arrives_as_lf(decoder_class: type[SSEDecoder], data: str) -> None:
    stream = encode(ServerSentEvent(data=data))
    arrived = data.replace("\r\n", "\n").replace("\r", "\n")
    assert decode(decoder_class(), [stream]) == ([("message", arrived, None, None)], None, None)


@given(
    event=st.text(characters, max_size=20) | tricky,
    data=st.text(characters)
    | st.sampled_from(["\n\nid: 1\n\ndata: x", "\r\revent: e\r", "\n:", "\r"]),
    id=st.none() | st.text(characters, max_size=20) | tricky,
    retry=st.none() | st.integers(),
)
def test_no_value_writes_fields_of_its_own(
    decoder_class: type[SSEDecoder], event: str, data: str, id: str | None, retry: int | None
) -> None:
    try:
        stream = encode(ServerSentEvent(event, data, id, retry))
    except ValueError:
        return
    arrived = data.replace("\r\n", "\n").replace("\r", "\n")
    # Exactly one event, with each value where it belongs.
    assert decode(decoder_class(), [stream])[0] == [(event, arrived, id, retry)]
    names = [line.partition(b":")[0] for line in stream.splitlines() if line]
    assert names == sorted(names, key=[b"event", b"id", b"retry", b"data"].index)
    assert names.count(b"data") == arrived.count("\n") + 1


@given(text=st.text(characters) | st.sampled_from(["a\ndata: x\n\n", "\r", "\r\n\r\n", "\n\n:"]))
def test_comments_never_say_anything(decoder_class: type[SSEDecoder], text: str) -> None:
    comment = encode_comment(text)
    assert decode(decoder_class(dispatch_empty=True), [comment, b"\n"]) == ([], None, None)
    decoder = decoder_class()
    chunks = [b"data: a\n", comment, b"data: b\n\n"]
    assert decode(decoder, chunks)[0] == [("message", "a\nb", None, None)]
