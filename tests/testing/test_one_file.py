"""One test file of a chat program, for every client: see docs/howto/testing.md."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Final

import pytest

from sse_proto import ServerSentEvent
from sse_testing import EventServer, compress, cut, events, raw, status

CLIENTS: Final = {"httpxr": "sse_httpxr", "httpx": "sse_httpx"}
if sys.version_info >= (3, 11):
    CLIENTS["httpx2"] = "sse_httpx"

Connect = Callable[..., AbstractContextManager[Any]]


# The program. All it knows of its client is that it has one.


def answer(connect_sse: Connect, client: object, url: str, question: str) -> str:
    """Ask, and return the whole answer."""
    words: list[str] = []
    with connect_sse(client, "POST", url, json={"question": question}) as source:
        for event in source.iter_sse():
            if event.data == "[DONE]":
                return "".join(words)
            if event.event == "error":
                raise RuntimeError(event.data)
            words.append(event.json()["text"])
    raise RuntimeError(f"the answer broke off: {''.join(words)}")


# Its tests.


@pytest.fixture(params=CLIENTS)
def ask(request: pytest.FixtureRequest, sse_server: EventServer) -> Any:
    library: Any = import_module(request.param)
    adapter: Any = import_module(CLIENTS[request.param])

    def ask(question: str) -> str:
        with library.Client() as client:
            return answer(adapter.connect_sse, client, sse_server.url(), question)

    return ask


WORDS: Final = ('{"text": "Good "}', '{"text": "morning"}')


def test_the_answer_is_put_together(ask: Any, sse_server: EventServer) -> None:
    sse_server.script("/", events(*WORDS, "[DONE]"))
    assert ask("How are you?") == "Good morning"
    assert sse_server.requests[0].body.replace(b" ", b"") == b'{"question":"Howareyou?"}'


def test_wherever_it_is_cut(ask: Any, sse_server: EventServer) -> None:
    stream = b'data: {"text": "Gr\xc3\xbc\xc3\x9fe"}\r\n\r\ndata: [DONE]\r\n\r\n'
    sse_server.script("/", raw(*(stream[i : i + 1] for i in range(len(stream)))))
    assert ask("") == "Grüße"


def test_a_compressed_answer(ask: Any, sse_server: EventServer) -> None:
    sse_server.script("/", [compress(), events(*WORDS, "[DONE]")])
    assert ask("") == "Good morning"


def test_an_error_in_the_stream(ask: Any, sse_server: EventServer) -> None:
    sse_server.script("/", events(WORDS[0], ServerSentEvent(event="error", data="overloaded")))
    with pytest.raises(RuntimeError, match="overloaded"):
        ask("")


def test_an_answer_that_breaks_off(ask: Any, sse_server: EventServer) -> None:
    sse_server.script("/", events(*WORDS), [events(*WORDS), cut(at=30)])
    with pytest.raises(RuntimeError, match="broke off: Good morning"):
        ask("")
    with pytest.raises(Exception, match=r"\w"):  # whichever error the client has for it
        ask("")


def test_a_refusal(ask: Any, sse_server: EventServer) -> None:
    sse_server.script("/", status(429, "slow down"))
    with pytest.raises(Exception, match="429"):
        ask("")
