"""`on_comment` and `on_ignored`: lines that say nothing, in order, and at no risk to the events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pytest

from sse_proto import EventTooLarge, ParsedEvent, RawEvent, ServerSentEvent, encode_comment

if TYPE_CHECKING:
    from sse_proto import SSEDecoder

STREAM: Final = (
    b"\xef\xbb\xbf: one\r\ndata: a\r:two\n\nfoo: bar\nretry: soon\nid: 1\0\n:\n:  three \xff\n"
    b"data: b\nevent\n\nid: 2\nretry: 5\ndata\n: in the middle\nDATA: c\n\n:last\n:unfinished"
)
COMMENTS: Final = ["one", "two", "", " three \ufffd", "in the middle", "last"]
IGNORED: Final = ["foo: bar", "retry: soon", "id: 1\0", "DATA: c"]


class Noted:
    """What was called, in order."""

    def __init__(self, decoder_class: type[SSEDecoder], limit: int | None = None) -> None:
        self.comments: list[str] = []
        self.ignored: list[str] = []
        self.decoder = decoder_class(
            max_event_size=limit, on_comment=self.comments.append, on_ignored=self.ignored.append
        )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_lines_are_told_in_order_in_every_chunking(
    decoder_class: type[SSEDecoder], size: int
) -> None:
    noted = Noted(decoder_class)
    events: list[ServerSentEvent] = []
    for start in range(0, len(STREAM), size):
        events += noted.decoder.feed(STREAM[start : start + size])
    assert noted.comments == COMMENTS
    assert noted.ignored == IGNORED
    assert events == [
        ("message", "a", None, None),
        ("message", "b", None, None),
        ("message", "", "2", 5),
    ]


def test_a_line_is_told_in_the_call_that_ends_it(decoder_class: type[SSEDecoder]) -> None:
    noted = Noted(decoder_class)
    noted.decoder.feed(b"data: a\n: pi")
    assert noted.comments == []
    noted.decoder.feed(b"ng\r")
    assert noted.comments == ["ping"]
    noted.decoder.feed_raw(b"\n: pong\n")
    assert noted.comments == ["ping", "pong"]
    assert noted.decoder.feed_parsed(b"foo\n\n", lambda _, data: data) == [
        ParsedEvent("message", b"a", None, None)
    ]
    assert noted.ignored == ["foo"]


def test_one_without_the_other(decoder_class: type[SSEDecoder]) -> None:
    comments: list[str] = []
    decoder_class(on_comment=comments.append).feed(STREAM)
    assert comments == COMMENTS
    ignored: list[str] = []
    decoder_class(on_ignored=ignored.append).feed(STREAM)
    assert ignored == IGNORED


def test_comments_arrive_as_they_were_encoded(decoder_class: type[SSEDecoder]) -> None:
    noted = Noted(decoder_class)
    noted.decoder.feed(encode_comment("keep-alive") + encode_comment(" ünï\ntwo"))
    assert noted.comments == ["keep-alive", " ünï", "two"]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("limit", [1, 2, 5, 8])
def test_long_lines_are_cut_at_the_limit(
    decoder_class: type[SSEDecoder], limit: int, size: int
) -> None:
    noted = Noted(decoder_class, limit)
    stream = b": 123456789\nunknown: 3\n:\n"
    for start in range(0, len(stream), size):
        noted.decoder.feed(stream[start : start + size])
    assert noted.comments == [": 123456789"[:limit][1:].removeprefix(" "), ""]
    assert noted.ignored == ["unknown: 3"[:limit]]


def test_an_endless_comment_is_not_kept_beyond_the_limit(decoder_class: type[SSEDecoder]) -> None:
    noted = Noted(decoder_class, 1000)
    noted.decoder.feed(b":")
    for _ in range(100):
        noted.decoder.feed(b"x" * 1000)
    noted.decoder.feed(b"\ndata: a\n\n")
    assert [len(comment) for comment in noted.comments] == [999]


def test_before_event_too_large_all_lines_are_told(decoder_class: type[SSEDecoder]) -> None:
    noted = Noted(decoder_class, 10)
    with pytest.raises(EventTooLarge):
        noted.decoder.feed(b": one\ndata: too large\n: two\n")
    assert noted.comments == ["one"]


class Callback:
    """Raises as often as it is told, then counts."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.errors = list(errors)
        self.called: list[str] = []

    def __call__(self, text: str) -> None:
        self.called.append(text)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error


class Interrupt(BaseException):
    pass


METHODS: Final[list[tuple[str, Callable[[SSEDecoder, bytes], list[object]]]]] = [
    ("ServerSentEvent", lambda decoder, chunk: [*decoder.feed(chunk)]),
    ("RawEvent", lambda decoder, chunk: [*decoder.feed_raw(chunk)]),
    ("ParsedEvent", lambda decoder, chunk: [*decoder.feed_parsed(chunk, lambda _, data: data)]),
]


@pytest.mark.parametrize(("kind", "feed"), METHODS)
@pytest.mark.parametrize("error", [LookupError("a"), Interrupt()])
def test_what_a_callback_raises_costs_no_event(
    decoder_class: type[SSEDecoder],
    kind: str,
    feed: Callable[[SSEDecoder, bytes], list[object]],
    error: BaseException,
) -> None:
    callback = Callback(error, None, error)
    decoder = decoder_class(on_comment=callback)
    for comments in (["1"], ["1", "2", "3"]):
        with pytest.raises(type(error)) as caught:
            feed(
                decoder, b"data: a\n\n: 1\n: 2\ndata: b\n\n: 3\n: 4\n" if not comments[1:] else b""
            )
        assert caught.value is error
        assert callback.called == comments
    for other, feed_otherwise in METHODS:
        if other != kind:
            with pytest.raises(RuntimeError, match=f"events wait as {kind}: call that method"):
                feed_otherwise(decoder, b"data: lost\n\n")
    events = feed(decoder, b"data: c\n\n: 5\n")
    assert callback.called == ["1", "2", "3", "4", "5"]
    assert [type(event).__name__ for event in events] == [kind] * 3
    assert feed(decoder, b"") == []


def test_events_that_wait_outlive_the_end(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(on_comment=Callback(LookupError()))
    with pytest.raises(LookupError):
        decoder.feed(b": 1\ndata: a\n\ndata: b")
    decoder.close()
    assert decoder.feed(b"") == [ServerSentEvent(data="a")]
    with pytest.raises(ValueError, match="after close"):
        decoder.feed(b"")


def test_event_too_large_comes_after_the_callbacks_error(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=10, on_comment=Callback(LookupError()))
    with pytest.raises(LookupError):
        decoder.feed(b": 1\ndata: a\n\ndata: too large")
    assert decoder.feed(b"not taken any more") == [ServerSentEvent(data="a")]
    with pytest.raises(EventTooLarge):
        decoder.feed(b"")


def test_events_may_not_wait_without_limit(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(
        max_event_size=20, on_comment=Callback(*[LookupError() for _ in range(50)])
    )
    with pytest.raises(LookupError):
        decoder.feed(b": 1\n: 2\n: 3\n: 4\ndata: a\n\n" + b": x\n" * 30)
    for _ in range(2):
        with pytest.raises(LookupError):
            decoder.feed(b"data: b\n\n")
    with pytest.raises(RuntimeError, match="too many events wait"):
        decoder.feed(b"data: b\n\n")
    for _ in range(31):
        with pytest.raises(LookupError):
            decoder.feed(b"")
    assert [event.data for event in decoder.feed(b"")] == ["a", "b", "b"]
    assert [event.data for event in decoder.feed(b"data: b\n\n")] == ["b"]


def test_a_chunk_that_was_not_taken_is_not_in_the_data(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=10, on_comment=Callback(LookupError()))
    with pytest.raises(LookupError):
        decoder.feed_raw(b": 1\ndata: a\n\n")
    with pytest.raises(RuntimeError, match="too many events wait"):
        decoder.feed_raw(b"data: wrong\n\n")
    events = decoder.feed_raw(bytearray(b"data: b\n\n"))
    assert [bytes(event.data) for event in events] == [b"a", b"b"]


def test_a_callback_cannot_use_its_decoder(decoder_class: type[SSEDecoder]) -> None:
    raised: list[str] = []

    def use(_: str) -> None:
        assert decoder.last_event_id == "1"
        assert decoder.unfinished == 8
        uses: list[Callable[[], object]] = [
            lambda: decoder.feed(b""),
            lambda: decoder.feed_raw(b"x"),
            lambda: decoder.feed_parsed(b"x", lambda _, data: data),
            decoder.close,
        ]
        for misuse in uses:
            with pytest.raises(RuntimeError, match="the decoder is in use") as caught:
                misuse()
            raised.append(str(caught.value))

    decoder = decoder_class(on_comment=use)
    assert decoder.feed(b"id: 1\n\n: x\ndata: a\n") == []
    assert len(raised) == 4
    assert decoder.feed(b"\n") == [ServerSentEvent(data="a", id="1")]


def test_raw_events_are_views_beside_callbacks_too(decoder_class: type[SSEDecoder]) -> None:
    noted = Noted(decoder_class)
    chunk = b": x\r\ndata: value\r\n\r\n"
    (event,) = noted.decoder.feed_raw(chunk)
    assert isinstance(event, RawEvent)
    assert event.data.obj is chunk


# What was not finished.


@pytest.mark.parametrize(
    ("stream", "unfinished"),
    [
        (b"", 0),
        (b"\xef\xbb", 0),
        (b"data: a\n\n", 0),
        (b"data: a\r\r", 0),
        (b"data: a\n", 8),
        (b"data: a\r\n", 8),
        (b"data: a", 7),
        (b"d", 1),
        (b"dat", 3),
        (b"data", 4),
        (b"data:", 5),
        (b"date", 0),
        (b"data ", 0),
        (b"e", 1),
        (b"event", 5),
        (b"events", 0),
        (b"i", 1),
        (b"id", 2),
        (b"id:", 3),
        (b"ie", 0),
        (b"retry", 5),
        (b"retry: x\n", 9),
        (b": comment", 0),
        (b": comment\n", 0),
        (b"foo: bar\n\nfoo", 0),
        (b"data: a\n: comment\nfoo: bar\nid: 1\nev", 8 + 6 + 2),
        (b"data: a\n: comment", 8),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_unfinished(
    decoder_class: type[SSEDecoder], stream: bytes, unfinished: int, size: int
) -> None:
    for decoder in (decoder_class(), Noted(decoder_class).decoder):
        for start in range(0, len(stream), size):
            decoder.feed(stream[start : start + size])
        assert decoder.unfinished == unfinished
        decoder.close()
        assert decoder.unfinished == unfinished
        decoder.close()
        assert decoder.unfinished == unfinished


def test_unfinished_after_event_too_large_is_its_size(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(max_event_size=10)
    with pytest.raises(EventTooLarge) as caught:
        decoder.feed(b"id: 1\ndata: 12345\ndata: more\n")
    assert decoder.unfinished == caught.value.size == 18
    decoder.close()
    assert decoder.unfinished == 18
