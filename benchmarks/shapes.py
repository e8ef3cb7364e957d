"""The streams that the benchmarks decode: named, seeded, one for each path through a decoder.

A shape knows its bytes and the events in them. The events are written by what writes the bytes,
never computed by a decoder, so that a decoder which is wrong cannot look fast.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from sse_proto import ServerSentEvent

__all__ = ["ONE_BLOCK", "SHAPES", "Shape", "chunking_name"]

ONE_BLOCK: Final = 0
"""In place of a chunk size: each block is a chunk of its own, as a server flushes it."""

_READ: Final = 16 * 1024  # bytes; what a client reads at most at a time when it is behind


@dataclass(frozen=True)
class Shape:
    """One event stream: its blocks, and the events that a conforming decoder makes of them."""

    name: str
    stands_for: str
    blocks: tuple[bytes, ...]
    """The stream in pieces of one event (or one heartbeat), each with its blank line."""
    events: tuple[ServerSentEvent, ...]
    chunkings: tuple[int, ...] = (ONE_BLOCK, _READ)
    """The chunk sizes, in bytes, that are worth a time for this shape; or `ONE_BLOCK`."""

    @property
    def size(self) -> int:
        """Bytes of the whole stream."""
        return sum(map(len, self.blocks))

    def chunks(self, chunking: int) -> list[bytes]:
        """Return the stream as a transport would deliver it.

        Args:
            chunking: Bytes a chunk, which cut lines and characters anywhere; or `ONE_BLOCK`.
        """
        if chunking == ONE_BLOCK:
            return list(self.blocks)
        stream = b"".join(self.blocks)
        cuts = [*range(0, len(stream), chunking), len(stream)]
        return [stream[start:end] for start, end in pairwise(cuts)]


def chunking_name(chunking: int) -> str:
    """Return what a chunking is called in tables."""
    if chunking == ONE_BLOCK:
        return "one event"
    if chunking % 1024 == 0:
        return f"{chunking // 1024} KiB"
    return f"{chunking} B"


# Values of fields.

_WORDS: Final = "the stream of events arrives one token at a time"
_CJK_WORDS: Final = "事件流 数据 每一个 字符 等待 サーバー イベント 스트림 데이터 🚀 👩‍💻 🎉"


def _token(rng: random.Random) -> str:
    """Return a piece of text as language models stream it."""
    return " " + rng.choice(_WORDS.split())


def _hex(rng: random.Random, digits: int) -> str:
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def _compact_json(value: Mapping[str, Any], *, ensure_ascii: bool = True) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=ensure_ascii)


def _chat_chunk(completion: str, content: str, *, ensure_ascii: bool = True) -> str:
    chunk = {
        "id": f"chatcmpl-{completion}",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": "gpt-4o-mini",
        "system_fingerprint": "fp_0123456789",
        "choices": [
            {"index": 0, "delta": {"content": content}, "logprobs": None, "finish_reason": None}
        ],
    }
    return _compact_json(chunk, ensure_ascii=ensure_ascii)


def _chat(rng: random.Random, events: int) -> list[str]:
    completion = _hex(rng, 24)
    return [_chat_chunk(completion, _token(rng)) for _ in range(events - 1)] + ["[DONE]"]


# The shapes. Each takes the number of its events.


def openai(events: int = 2000) -> Shape:
    """Return chat chunks: one line of JSON an event, no other field."""
    data = _chat(random.Random("openai"), events)
    return Shape(
        name="openai",
        stands_for="LLM tokens as OpenAI and most others send them: one line of JSON an event",
        blocks=tuple(f"data: {value}\n\n".encode() for value in data),
        events=tuple(ServerSentEvent(data=value) for value in data),
    )


def _anthropic(name: str, stands_for: str, end_of_line: str, events: int) -> Shape:
    rng = random.Random("anthropic")
    value: dict[str, Any]
    blocks: list[bytes] = []
    expected: list[ServerSentEvent] = []
    for number in range(events):
        if number % 100 == 99:
            event_type, value = "ping", {"type": "ping"}
        else:
            event_type = "content_block_delta"
            delta = {"type": "text_delta", "text": _token(rng)}
            value = {"type": event_type, "index": 0, "delta": delta}
        data = _compact_json(value)
        lines = [f"event: {event_type}", f"data: {data}", "", ""]
        blocks.append(end_of_line.join(lines).encode())
        expected.append(ServerSentEvent(event=event_type, data=data))
    return Shape(name, stands_for, tuple(blocks), tuple(expected))


def anthropic(events: int = 2000) -> Shape:
    """Return named events: a line with the type, a line of JSON."""
    stands_for = "LLM tokens as Anthropic sends them: an event line and a line of JSON"
    return _anthropic("anthropic", stands_for, "\n", events)


def crlf(events: int = 2000) -> Shape:
    """Return what `anthropic` does, with CRLF for LF."""
    stands_for = "the same, from servers that end lines by CRLF (sse-starlette by default)"
    return _anthropic("crlf", stands_for, "\r\n", events)


def ticker(events: int = 2000) -> Shape:
    """Return small events with all four fields."""
    rng = random.Random("ticker")
    blocks: list[bytes] = []
    expected: list[ServerSentEvent] = []
    for number in range(events):
        symbol = "".join(rng.choices("ABCDEFGH", k=4))
        data = f'{{"symbol":"{symbol}","price":{rng.randint(1, 99999) / 100}}}'
        event = ServerSentEvent("trade", data, str(number), rng.randint(1000, 9999))
        expected.append(event)
        lines = [f"id: {event.id}", f"event: {event.event}", f"retry: {event.retry}"]
        blocks.append("\n".join([*lines, f"data: {data}", "", ""]).encode())
    return Shape(
        name="ticker",
        stands_for="feeds that can be resumed: id, event, retry and data in every event",
        blocks=tuple(blocks),
        events=tuple(expected),
    )


def multiline(events: int = 200) -> Shape:
    """Return events of 50 `data` lines."""
    rng = random.Random("multiline")
    texts = [
        "\n".join(" ".join(rng.choices(_WORDS.split(), k=rng.randint(1, 14))) for _ in range(50))
        for _ in range(events)
    ]
    return Shape(
        name="multiline",
        stands_for="documents, logs, pretty-printed JSON: 50 data lines an event",
        blocks=tuple(
            "".join(f"data: {line}\n" for line in text.split("\n")).encode() + b"\n"
            for text in texts
        ),
        events=tuple(ServerSentEvent(data=text) for text in texts),
    )


def comments(events: int = 500) -> Shape:
    """Return three heartbeats before each event."""
    data = _chat(random.Random("comments"), events)
    heartbeats = (b": keep-alive\n\n",) * 3
    return Shape(
        name="comments",
        stands_for="a stream that mostly waits: three heartbeats before each event",
        blocks=tuple(
            block for value in data for block in (*heartbeats, f"data: {value}\n\n".encode())
        ),
        events=tuple(ServerSentEvent(data=value) for value in data),
    )


def multibyte(events: int = 2000) -> Shape:
    """Return what `openai` does, in characters of two to four bytes, also cut by chunks."""
    rng = random.Random("multibyte")
    completion = _hex(rng, 24)
    contents = [
        "".join(rng.choices(_CJK_WORDS.split(), k=rng.randint(4, 24))) for _ in range(events)
    ]
    data = [_chat_chunk(completion, content, ensure_ascii=False) for content in contents]
    return Shape(
        name="multibyte",
        stands_for="LLM tokens that are not ASCII: CJK and emoji in one line of JSON",
        blocks=tuple(f"data: {value}\n\n".encode() for value in data),
        events=tuple(ServerSentEvent(data=value) for value in data),
    )


def tiny(events: int = 200) -> Shape:
    """Return what `openai` does, a byte at a time."""
    data = _chat(random.Random("tiny"), events)
    return Shape(
        name="tiny",
        stands_for="the worst transport: one-line JSON, a byte a chunk",
        blocks=tuple(f"data: {value}\n\n".encode() for value in data),
        events=tuple(ServerSentEvent(data=value) for value in data),
        chunkings=(1,),
    )


def huge_line(events: int = 1) -> Shape:
    """Return events of one line of 1.5 MB, which arrives in many chunks."""
    rng = random.Random("huge_line")
    data = [f'{{"type":"image","b64_json":"{_hex(rng, 1_500_000)}"}}' for _ in range(events)]
    return Shape(
        name="huge_line",
        stands_for="an image in an event: one line of 1.5 MB that arrives in 8 KiB chunks",
        blocks=tuple(f"data: {value}\n\n".encode() for value in data),
        events=tuple(ServerSentEvent(data=value) for value in data),
        chunkings=(8 * 1024,),
    )


SHAPES: Final[Mapping[str, Callable[[], Shape]]] = {
    make.__name__: make
    for make in (
        openai,
        anthropic,
        ticker,
        multiline,
        crlf,
        comments,
        multibyte,
        tiny,
        huge_line,
    )
}
"""Makes each shape, in the size that is benchmarked."""
