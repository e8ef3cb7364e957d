"""Regular expressions over the whole text."""

from __future__ import annotations

import re

LINE = re.compile("([^\r\n]*)(?:\r\n|\r|\n)")
FIELD = re.compile("(data|event|id|retry)(?:: ?(.*))?", re.DOTALL)
NUMBER = re.compile("[0-9]+")


def decode(
    chunks: list[bytes],
) -> tuple[list[tuple[str, str, str | None]], str | None, int | None]:
    text = b"".join(chunks).decode("utf-8", "replace")
    events: list[tuple[str, str, str | None]] = []
    buffers: dict[str, str] = {}
    last_event_id: str | None = None
    retry: int | None = None
    for line in LINE.finditer(re.sub("^\ufeff", "", text)):
        if line[1] == "":
            last_event_id = buffers.get("id")
            data = buffers.pop("data", "")
            kind = buffers.pop("event", "")
            if data != "":
                events.append((kind or "message", data[1:], last_event_id))
        elif field := FIELD.fullmatch(line[1]):
            name = field[1]
            value = field[2] or ""
            if name == "data":
                buffers["data"] = buffers.get("data", "") + "\n" + value
            elif name == "event":
                buffers["event"] = value
            elif name == "id":
                if "\0" not in value:
                    buffers["id"] = value
            elif NUMBER.fullmatch(value):
                retry = int(value)
    return events, last_event_id, retry
