"""Errors and events as values: what they say, and that they can be copied and sent elsewhere."""

from __future__ import annotations

import copy
import json
import pickle
from typing import cast

import pytest

from sse_proto import EventTooLarge, ServerSentEvent, SSEError


def test_event_too_large_says_what_was_found_and_allowed() -> None:
    error = EventTooLarge(20, 10)
    assert str(error) == "unfinished event holds 20 bytes, limit is 10 bytes"
    assert (error.size, error.limit) == (20, 10)
    assert error.args == (20, 10)
    assert repr(error) == "EventTooLarge(20, 10)"


def test_one_base_class() -> None:
    assert issubclass(EventTooLarge, SSEError)
    assert SSEError.__bases__ == (Exception,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    error = cast("EventTooLarge", pickle.loads(pickle.dumps(EventTooLarge(20, 10), protocol)))
    assert (type(error), error.size, error.limit) == (EventTooLarge, 20, 10)
    assert str(error) == str(EventTooLarge(20, 10))
    event = ServerSentEvent("e", "x", "1", 5)
    assert pickle.loads(pickle.dumps(event, protocol)) == event


def test_copy() -> None:
    for error in (copy.copy(EventTooLarge(20, 10)), copy.deepcopy(EventTooLarge(20, 10))):
        assert (type(error), error.size, error.limit) == (EventTooLarge, 20, 10)


# Events


def test_defaults_of_an_event() -> None:
    event = ServerSentEvent()
    assert (event.event, event.data, event.id, event.retry) == ("message", "", None, None)
    assert event == ServerSentEvent("message", "", None, None) == ("message", "", None, None)


def test_an_event_is_a_value() -> None:
    event = ServerSentEvent("e", "x", "1", 5)
    assert event == ServerSentEvent(event="e", data="x", id="1", retry=5)
    assert hash(event) == hash(ServerSentEvent("e", "x", "1", 5))
    assert len({event, ServerSentEvent("e", "x", "1", 5), ServerSentEvent("e", "x", "1")}) == 2
    assert copy.deepcopy(event) == event
    event_type, *rest = event
    assert (event_type, rest) == ("e", ["x", "1", 5])


@pytest.mark.parametrize("name", ["event", "data", "id", "retry", "other"])
def test_an_event_never_changes(name: str) -> None:
    event = ServerSentEvent()
    with pytest.raises(AttributeError):
        setattr(event, name, "x")
    with pytest.raises(AttributeError):
        delattr(event, name)


def test_repr_of_an_event() -> None:
    event = ServerSentEvent("e", "x\n", "", 5)
    assert repr(event) == "ServerSentEvent(event='e', data='x\\n', id='', retry=5)"
    assert eval(repr(event), {"ServerSentEvent": ServerSentEvent}) == event


@pytest.mark.parametrize("value", [None, True, 5, 1.5, "\u20ac\n", [1, [2]], {"a": {"b": []}}])
def test_json(value: object) -> None:
    assert ServerSentEvent(data=json.dumps(value)).json() == value
    assert ServerSentEvent(data=json.dumps(value, indent=2)).json() == value


@pytest.mark.parametrize("data", ["", "[DONE]", "{", "x"])
def test_data_that_is_not_json(data: str) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        ServerSentEvent(data=data).json()
    assert caught.value.doc == data
