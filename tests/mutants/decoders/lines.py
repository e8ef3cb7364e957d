"""Text first, by an incremental decoder; lines are cut from a buffer of text."""

from __future__ import annotations

import codecs
from collections.abc import Iterator


def lines_of(chunks: list[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    buffer = ""
    skips_lf = False
    for chunk in chunks:
        for character in decoder.decode(chunk):
            if skips_lf and character == "\n":
                skips_lf = False
                continue
            skips_lf = character == "\r"
            if character in "\r\n":
                yield buffer
                buffer = ""
            else:
                buffer += character


def decode(
    chunks: list[bytes],
) -> tuple[list[tuple[str, str, str | None]], str | None, int | None]:
    events: list[tuple[str, str, str | None]] = []
    last_event_id = pending_id = retry = None
    data = ""
    kind = ""
    for line in lines_of(chunks):
        name, _, value = line.partition(":")
        if value[:1] == " ":
            value = value[1:]
        if not line:
            last_event_id = pending_id
            if data:
                events.append((kind or "message", data[:-1], last_event_id))
            data = ""
            kind = ""
        elif name == "data":
            data += value + "\n"
        elif name == "event":
            kind = value
        elif name == "id":
            if "\0" not in value:
                pending_id = value
        elif name == "retry" and value and not value.strip("0123456789"):
            retry = int(value)
    return events, last_event_id, retry
