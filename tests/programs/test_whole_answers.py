"""Answers of well-known APIs, whole and cut at each byte: which of the two is always told right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import httpxr
import pytest

import sse_httpx
import sse_httpxr
from examples.whole_answers import ENDS
from sse_proto import IncompleteStream, iter_events
from tests.support.servers import RawServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sse_proto import ServerSentEvent
    from tests.support.servers import Exchange

ROOT: Final = Path(__file__).parents[2]

# In the form, and with the fields, that the services send; the texts are ours. Chunks of a chat end
# with LF LF, Gemini's with CR LF CR LF; Anthropic sends pings; MCP's server begins with an empty
# event, for clients to have an ID to go on from.
ANSWERS: Final[dict[str, bytes]] = {
    "openai-chat": (
        b'data: {"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":'
        b'{"role":"assistant","content":"Hi"},"finish_reason":null}]}\n\n'
        b'data: {"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},'
        b'"finish_reason":"stop"}]}\n\n'
        b"data: [DONE]\n\n"
    ),
    "openai-responses": (
        b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n'
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","sequence_number":1,"delta":"Hi"}\n\n'
        b'event: response.completed\ndata: {"type":"response.completed","sequence_number":2}\n\n'
    ),
    "anthropic": (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"m1"}}\n\n'
        b'event: ping\ndata: {"type": "ping"}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"Hi"}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    ),
    "anthropic with an error": (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"m1"}}\n\n'
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
        b'"message":"Overloaded"}}\n\n'
    ),
    "gemini": (
        b'data: {"candidates": [{"content": {"parts": [{"text": "Hi"}],"role": "model"}}]}\r\n\r\n'
        b'data: {"candidates": [{"content": {"parts": [{"text": "!"}],"role": "model"},'
        b'"finishReason": "STOP"}],"usageMetadata": {"totalTokenCount": 5}}\r\n\r\n'
    ),
    "langgraph": (
        b'event: metadata\r\ndata: {"run_id":"r1","attempt":1}\r\nid: 1-0\r\n\r\n'
        b'event: values\r\ndata: {"messages":[]}\r\nid: 2-0\r\n\r\n'
        b": heartbeat\r\n\r\n"
        b"event: end\r\ndata: null\r\nid: 3-0\r\n\r\n"
    ),
    "mcp": (
        b"id: s1\ndata:\n\n"
        b'event: message\nid: s2\ndata: {"jsonrpc":"2.0","method":"notifications/progress",'
        b'"params":{"progressToken":1,"progress":0.5}}\n\n'
        b'event: message\nid: s3\ndata: {"jsonrpc":"2.0","id":7,"result":{"content":[]}}\n\n'
    ),
}


def end_of(name: str) -> dict[str, Any]:
    return ENDS[name.partition(" ")[0]]


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_whole_with_its_last_byte_and_not_before(name: str) -> None:
    answer = ANSWERS[name]
    whole = list(iter_events([answer], **end_of(name)))
    # The LF of a last CR LF ends nothing any more.
    complete = len(answer) - (1 if answer.endswith(b"\r\n") else 0)
    for size in range(len(answer) + 1):
        received, error = interpreted(answer[:size], end_of(name))
        assert received == whole[: len(received)]
        if size < complete:
            assert isinstance(error, IncompleteStream)
            assert error.unfinished <= size
        else:
            assert error is None
            assert received == whole


def interpreted(
    stream: bytes, end: dict[str, Any]
) -> tuple[list[ServerSentEvent], IncompleteStream | None]:
    events = iter_events([stream], **end)
    received: list[ServerSentEvent] = []
    while True:
        try:
            received.append(next(events))
        except StopIteration:
            return received, None
        except IncompleteStream as error:
            return received, error


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


def with_httpxr(url: str, end: dict[str, Any]) -> Iterator[ServerSentEvent]:
    with httpxr.Client() as client, sse_httpxr.connect_sse(client, "GET", url) as source:
        yield from source.iter_sse(**end)


def with_httpx(url: str, end: dict[str, Any]) -> Iterator[ServerSentEvent]:
    with httpx.Client(verify=False, trust_env=False) as client:
        with sse_httpx.connect_sse(client, "GET", url) as source:
            yield from source.iter_sse(**end)


@pytest.mark.parametrize("read", [with_httpxr, with_httpx])
@pytest.mark.parametrize("name", ANSWERS)
def test_answers_of_a_server_that_are_cut(
    name: str, read: Callable[[str, dict[str, Any]], Iterator[ServerSentEvent]], server: RawServer
) -> None:
    """A proper end of a body that stops too early, as a proxy that is restarted makes it."""
    answer = ANSWERS[name]
    sizes = iter([len(answer), *range(1, len(answer) - 1, 7)])

    def handle(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(answer[: next(sizes)])

    server.route("/", handle)
    whole = list(read(server.url(), end_of(name)))
    assert whole == list(iter_events([answer], **end_of(name)))
    for _ in range(1, len(answer) - 1, 7):
        with pytest.raises(IncompleteStream):
            list(read(server.url(), end_of(name)))


def test_the_program(tmp_path: Path) -> None:
    saved = tmp_path / "answer.txt"
    for size, status in ((None, 0), (-20, 1)):
        saved.write_bytes(ANSWERS["anthropic"][:size])
        program = [
            sys.executable,
            str(ROOT / "examples" / "whole_answers.py"),
            "anthropic",
            str(saved),
        ]
        done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == status, done.stderr
        assert ("3 events, and then: the stream ended inside an event" in done.stderr) == bool(size)
