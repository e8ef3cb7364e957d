"""Blocks first, then what is in them."""

from __future__ import annotations

import io


def field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")


def decode(
    chunks: list[bytes],
) -> tuple[list[tuple[str, str, str | None]], str | None, int | None]:
    # Python's universal newlines are those of the standard.
    text = io.TextIOWrapper(io.BytesIO(b"".join(chunks)), "utf-8-sig", "replace", None).read()
    blocks: list[list[tuple[str, str]]] = [[]]
    for line in text.split("\n")[:-1]:
        if line:
            blocks[-1].append(field(line))
        else:
            blocks.append([])

    events: list[tuple[str, str, str | None]] = []
    last_event_id: str | None = None
    for block in blocks[:-1]:
        ids = [value for name, value in block if name == "id" and "\0" not in value]
        data = [value for name, value in block if name == "data"]
        kinds = [value for name, value in block if name == "event"]
        last_event_id = [last_event_id, *ids][-1]
        if data:
            events.append(((["", *kinds][-1]) or "message", "\n".join(data), last_event_id))
    times = [
        int(value)
        for block in blocks
        for name, value in block
        if name == "retry" and value.isascii() and value.isdigit()
    ]
    return events, last_event_id, [None, *times][-1]
