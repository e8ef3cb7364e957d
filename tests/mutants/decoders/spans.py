"""Bytes to the end; a function for each field."""

from __future__ import annotations

from collections.abc import Callable


class Stream:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str | None]] = []
        self.buffers: dict[bytes, bytes | None] = {b"id": None, b"data": None, b"event": None}
        self.last_event_id: str | None = None
        self.retry: int | None = None

    def on_data(self, value: bytes) -> None:
        before = self.buffers[b"data"]
        self.buffers[b"data"] = value if before is None else before + b"\n" + value

    def on_event(self, value: bytes) -> None:
        self.buffers[b"event"] = value

    def on_id(self, value: bytes) -> None:
        if value.find(b"\0") < 0:
            self.buffers[b"id"] = value

    def on_retry(self, value: bytes) -> None:
        if value.isdigit():
            self.retry = int(value)

    def on_blank_line(self) -> None:
        last_id = self.buffers[b"id"]
        data = self.buffers[b"data"]
        if last_id is not None:
            self.last_event_id = text_of(last_id)
        if data is not None:
            kind = text_of(self.buffers[b"event"] or b"message")
            self.events.append((kind, text_of(data), self.last_event_id))
        self.buffers[b"data"] = None
        self.buffers[b"event"] = None


def text_of(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def decode(
    chunks: list[bytes],
) -> tuple[list[tuple[str, str, str | None]], str | None, int | None]:
    stream = Stream()
    fields: dict[bytes, Callable[[bytes], None]] = {
        b"data": stream.on_data,
        b"event": stream.on_event,
        b"id": stream.on_id,
        b"retry": stream.on_retry,
    }
    body = b"".join(chunks).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if body[:3] == b"\xef\xbb\xbf":
        body = body[3:]
    for line in body.split(b"\n")[:-1]:
        if len(line) == 0:
            stream.on_blank_line()
            continue
        colon = line.find(b":")
        name = line
        value = b""
        if colon >= 0:
            name = line[:colon]
            value = line[colon + 1 :]
            if value.startswith(b" "):
                value = value[1:]
        if name in fields:
            fields[name](value)
    return stream.events, stream.last_event_id, stream.retry
