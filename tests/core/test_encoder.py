"""The encoder: its bytes, one by one, and what it refuses. Its inverse is in test_properties."""

from __future__ import annotations

from enum import IntEnum
from typing import cast

import pytest

from sse_proto import ServerSentEvent, encode, encode_comment
from tests.support.reference import interpret


@pytest.mark.parametrize(
    ("event", "stream"),
    [
        (ServerSentEvent(), b"data: \n\n"),
        (ServerSentEvent(data="x"), b"data: x\n\n"),
        (ServerSentEvent("message", "x"), b"data: x\n\n"),
        (ServerSentEvent("ping", "x"), b"event: ping\ndata: x\n\n"),
        (ServerSentEvent(data="x", id="1"), b"id: 1\ndata: x\n\n"),
        (ServerSentEvent(data="x", id=""), b"id: \ndata: x\n\n"),
        (ServerSentEvent(data="x", retry=0), b"retry: 0\ndata: x\n\n"),
        (
            ServerSentEvent("e", "a\nb", "1", 3000),
            b"event: e\nid: 1\nretry: 3000\ndata: a\ndata: b\n\n",
        ),
        # Ends of line, and what Python alone takes for one.
        (ServerSentEvent(data="a\nb\rc\r\nd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent(data="\n"), b"data: \ndata: \n\n"),
        (ServerSentEvent(data="a\n\n"), b"data: a\ndata: \ndata: \n\n"),
        (ServerSentEvent(data="\n\r"), b"data: \ndata: \ndata: \n\n"),
        (
            ServerSentEvent(data="a\u2028b\x85c\x0bd\x0ce\x1c"),
            "data: a\u2028b\x85c\x0bd\x0ce\x1c\n\n".encode(),
        ),
        (
            ServerSentEvent("a\u2028b", "x", "1\x0b2"),
            "event: a\u2028b\nid: 1\x0b2\ndata: x\n\n".encode(),
        ),
        # The one space that a receiver removes is always there.
        (ServerSentEvent(" a", " b", " c"), b"event:  a\nid:  c\ndata:  b\n\n"),
        (ServerSentEvent("a: b", ": b", ":"), b"event: a: b\nid: :\ndata: : b\n\n"),
        (ServerSentEvent(data="\ufeff\0"), b"data: \xef\xbb\xbf\0\n\n"),
        (
            ServerSentEvent("\u00e9", "\u20ac", "\U0001f600"),
            "event: \u00e9\nid: \U0001f600\ndata: \u20ac\n\n".encode(),
        ),
    ],
)
def test_bytes_of_an_event(event: ServerSentEvent, stream: bytes) -> None:
    assert encode(event) == stream
    data = event.data.replace("\r\n", "\n").replace("\r", "\n")
    assert interpret(stream)[0] == [event._replace(data=data)]


def test_the_longest_retry() -> None:
    assert encode(ServerSentEvent(retry=10**640 - 1)) == b"retry: " + b"9" * 640 + b"\ndata: \n\n"
    with pytest.raises(ValueError, match=r"^retry must not be longer than 640 digits$"):
        encode(ServerSentEvent(retry=10**640))
    with pytest.raises(ValueError, match=r"longer than 640 digits$"):
        encode(ServerSentEvent(retry=10**10_000))  # more than str() takes


class Milliseconds(IntEnum):
    SECOND = 1000


def test_subclasses() -> None:
    class Text(str):
        """Text with another look."""

        __slots__ = ()

        def __str__(self) -> str:
            return "data: injected\n\n"

        def __format__(self, spec: str) -> str:
            return "data: injected\n\n"

    event = ServerSentEvent(Text("e"), Text("x"), Text("1"), Milliseconds.SECOND)
    assert encode(event) == b"event: e\nid: 1\nretry: 1000\ndata: x\n\n"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("before", ["", "a"])
def test_an_end_of_line_in_event_or_id(end: str, before: str) -> None:
    value = before + end + "data: injected"
    with pytest.raises(ValueError, match=r"^event must not contain an end-of-line: '") as caught:
        encode(ServerSentEvent(value, "x"))
    assert repr(value) in str(caught.value)
    with pytest.raises(ValueError, match=r"^id must not contain an end-of-line: '") as caught:
        encode(ServerSentEvent(data="x", id=value))
    assert repr(value) in str(caught.value)


def test_values_in_messages_are_cut() -> None:
    with pytest.raises(ValueError, match="end-of-line") as caught:
        encode(ServerSentEvent("x" * 5000 + "\n"))
    assert len(str(caught.value)) < 200
    with pytest.raises(ValueError, match="NUL") as caught:
        encode(ServerSentEvent(id="x" * 5000 + "\0"))
    assert len(str(caught.value)) < 200


def test_an_empty_event_type() -> None:
    with pytest.raises(
        ValueError, match=r"^event must not be empty: it would arrive as 'message'$"
    ):
        encode(ServerSentEvent(""))


@pytest.mark.parametrize("id", ["\0", "a\0", "\0a", "a\0b"])
def test_nul_in_an_id(id: str) -> None:
    with pytest.raises(ValueError, match=r"^id must not contain NUL, or it would be ignored: '"):
        encode(ServerSentEvent(id=id))


@pytest.mark.parametrize("retry", [-1, -(10**700)])
def test_a_negative_retry(retry: int) -> None:
    with pytest.raises(ValueError, match=r"^retry must not be negative$"):
        encode(ServerSentEvent(retry=retry))


@pytest.mark.parametrize("retry", [1.0, "1", b"1", True, False, [1]])
def test_retry_of_another_type(retry: object) -> None:
    with pytest.raises(TypeError, match=f"^retry must be int, not {type(retry).__name__}$"):
        encode(ServerSentEvent(retry=cast("int", retry)))


@pytest.mark.parametrize("value", [5, b"x", ["x"], 1.5])
def test_text_of_another_type(value: object) -> None:
    text, name = cast("str", value), type(value).__name__
    with pytest.raises(TypeError, match=f"^event must be str, not {name}$"):
        encode(ServerSentEvent(text))
    with pytest.raises(TypeError, match=f"^data must be str, not {name}$"):
        encode(ServerSentEvent(data=text))
    with pytest.raises(TypeError, match=f"^id must be str, not {name}$"):
        encode(ServerSentEvent(id=text))
    with pytest.raises(TypeError, match=f"^text must be str, not {name}$"):
        encode_comment(text)


@pytest.mark.parametrize("value", [None, 0, b"", []])
def test_event_of_another_type_that_is_false(value: object) -> None:
    with pytest.raises(TypeError, match=r"^event must be str, not "):
        encode(ServerSentEvent(cast("str", value)))


def test_data_that_is_none() -> None:
    with pytest.raises(TypeError, match=r"^data must be str, not NoneType$"):
        encode(ServerSentEvent(data=cast("str", None)))


@pytest.mark.parametrize(
    "event",
    [ServerSentEvent("\ud800"), ServerSentEvent(data="a\udfff"), ServerSentEvent(id="\udc80")],
)
def test_lone_surrogates(event: ServerSentEvent) -> None:
    with pytest.raises(UnicodeEncodeError):
        encode(event)
    with pytest.raises(ValueError, match="surrogates not allowed"):
        encode(event)


# Comments


@pytest.mark.parametrize(
    ("text", "stream"),
    [
        ("", b": \n"),
        ("ping", b": ping\n"),
        (" x", b":  x\n"),
        ("a\nb\rc\r\nd", b": a\n: b\n: c\n: d\n"),
        ("\n", b": \n: \n"),
        ("a\n\ndata: x\n\n", b": a\n: \n: data: x\n: \n: \n"),
        ("\u20ac\u2028\0", ": \u20ac\u2028\0\n".encode()),
    ],
)
def test_bytes_of_a_comment(text: str, stream: bytes) -> None:
    assert encode_comment(text) == stream


def test_a_comment_is_empty_by_default() -> None:
    assert encode_comment() == b": \n"


def test_a_lone_surrogate_in_a_comment() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_comment("\ud800")
