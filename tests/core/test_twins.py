"""The two decoders as objects: what may be done to one may be done to the other."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from tests.fuzz.twins import implementation

if TYPE_CHECKING:
    from sse_proto import SSEDecoder

UNIQUE: Final = "an SSEDecoder is in the middle of its stream: it cannot be copied or pickled"


def subclass(decoder: SSEDecoder) -> object:
    return type("Sub", (type(decoder),), {})


def call_without_keywords(decoder: SSEDecoder) -> object:
    create = cast("Callable[..., object]", type(decoder))
    return create(5)


def call_with_unknown_keyword(decoder: SSEDecoder) -> object:
    unknown: dict[str, Any] = {"maximum": 5}
    return type(decoder)(**unknown)


def feed_by_keyword(decoder: SSEDecoder) -> object:
    feed = cast("Callable[..., object]", decoder.feed)
    return feed(chunk=b"")


def feed_parsed_by_keyword(decoder: SSEDecoder) -> object:
    feed_parsed = cast("Callable[..., object]", decoder.feed_parsed)
    return feed_parsed(b"", parse=len)


def set_new_attribute(decoder: SSEDecoder) -> None:
    name = "other"
    setattr(decoder, name, 1)


def delete_attribute(decoder: SSEDecoder) -> None:
    name = "last_event_id"
    delattr(decoder, name)


REFUSED: Final[list[tuple[Callable[..., object], type[Exception]]]] = [
    (copy.copy, TypeError),
    (copy.deepcopy, TypeError),
    (pickle.dumps, TypeError),
    (weakref.ref, TypeError),
    (subclass, TypeError),
    (call_without_keywords, TypeError),
    (call_with_unknown_keyword, TypeError),
    (feed_by_keyword, TypeError),
    (feed_parsed_by_keyword, TypeError),
    (set_new_attribute, AttributeError),
    (delete_attribute, AttributeError),
    (vars, TypeError),
    (len, TypeError),
    (iter, TypeError),
]


@pytest.mark.parametrize(("do", "error"), REFUSED)
def test_what_is_refused(
    decoder: SSEDecoder, do: Callable[[SSEDecoder], object], error: type[Exception]
) -> None:
    decoder.feed(b"data: unfin")
    with pytest.raises(error):
        do(decoder)
    assert [event.data for event in decoder.feed(b"ished\n\n")] == ["unfinished"]


@pytest.mark.parametrize("do", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_copy_is_refused_with_its_reason(
    decoder: SSEDecoder, do: Callable[..., object], protocol: int
) -> None:
    arguments = (protocol,) if do is pickle.dumps else ()
    with pytest.raises(TypeError) as caught:
        do(decoder, *arguments)
    assert str(caught.value) == UNIQUE


def test_a_subclass_is_refused_with_its_reason(decoder: SSEDecoder) -> None:
    with pytest.raises(
        TypeError, match=r"type '(\w+\.)*SSEDecoder' is not an acceptable base type"
    ):
        subclass(decoder)


def test_an_object_is_equal_to_itself_alone(decoder_class: type[SSEDecoder]) -> None:
    first, second = decoder_class(), decoder_class()
    assert first == first  # what is tried
    assert first != second
    assert len({first, second}) == 2
    assert bool(first) is True


def test_they_look_alike() -> None:
    python, c = implementation("_feed"), implementation("_speedups")
    assert python.__name__ == c.__name__ == "SSEDecoder"
    for name in dir(python):
        # Python's own of classes in Python, and what is private, has no twin.
        if not name.startswith("_") or name in ("__reduce__", "__init__", "__doc__"):
            assert hasattr(c, name), name
    assert (
        repr(python()).replace("_feed", "").partition(" at ")[0]
        == (repr(c()).replace("_speedups", "").partition(" at ")[0])
    )
