"""Recordings: the bytes of a stream with their times, one JSON line a chunk.

The first line says what the file is, the others have one chunk each::

    {"format": "sse-recording", "version": 1, "url": "https://example.com/events"}
    {"connection": 1, "time": 0.104, "text": "data: one\\n\\n"}
    {"connection": 2, "time": 3.542, "base64": "/w=="}

``connection`` counts from 1; ``time`` is in seconds since the recording began. A chunk is ``text``
if it is UTF-8 by itself, else ``base64``; it has no content coding any more. There is nothing of a
request or a response but the URL without user, password, query and fragment: no secrets.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from sse_proto import IncompleteStream

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import IO

    from sse_proto import DecoderFactory, ServerSentEvent

__all__ = ["Recorder", "RecordingError", "replay"]

_HEADER: Final[dict[str, object]] = {"format": "sse-recording", "version": 1}


class RecordingError(Exception):
    """A file is not a recording, or a line of it is not a chunk; its text says which."""


class Recorder:
    """Writes what it sees of a stream to a file, each chunk at once.

    Args:
        file: To be opened with ``encoding="utf-8"``. It stays the caller's to close.
        url: Of the stream.
    """

    def __init__(self, file: IO[str], url: str) -> None:
        self._file = file
        self._began = time.monotonic()
        self._connection = 0
        parts = urlsplit(url)
        public = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
        self._write({**_HEADER, "url": public.geturl()})

    def connected(self) -> None:
        self._connection += 1

    def received(self, chunk: bytes) -> None:
        seconds = round(time.monotonic() - self._began, 6)
        line: dict[str, Any] = {"connection": self._connection, "time": seconds}
        try:
            line["text"] = bytes(chunk).decode()
        except UnicodeDecodeError:
            line["base64"] = b64encode(chunk).decode()
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


def replay(
    lines: Iterable[str], speed: float, new_decoder: DecoderFactory
) -> Generator[ServerSentEvent]:
    """Yield the events of a recording, each when its time has come.

    Args:
        lines: Those of the file.
        speed: How many times as fast as they were recorded; infinity: at once.
        new_decoder: Makes each connection's decoder.

    Raises:
        RecordingError: The file is not a recording.
        sse_proto.IncompleteStream: The last connection ends inside an event.
        sse_proto.EventTooLarge: As the decoder.
    """
    numbered = enumerate(lines, start=1)
    _check_first_line(next(numbered, (1, ""))[1])
    began = time.monotonic()
    last_connection = 0
    decoder = new_decoder(last_event_id=None)
    for number, line in numbered:
        connection, seconds, chunk = _chunk_of(number, line)
        if (early := began + seconds / speed - time.monotonic()) > 0:
            time.sleep(early)
        if connection != last_connection and last_connection:
            decoder = new_decoder(last_event_id=decoder.last_event_id)
        last_connection = connection
        yield from decoder.feed(chunk)
    decoder.close()
    if decoder.unfinished:
        raise IncompleteStream(decoder.unfinished, decoder.last_event_id)


def _check_first_line(line: str) -> None:
    found = _object_of(line)
    if found is None or {name: found.get(name) for name in _HEADER} != _HEADER:
        raise RecordingError(f"line 1 is not the head of a recording: {line!r:.100}")


def _chunk_of(number: int, line: str) -> tuple[int, float, bytes]:
    """Return a line's connection, time in seconds and bytes."""
    match _object_of(line):
        case {"connection": int(connection), "time": int() | float() as seconds, "text": str(text)}:
            return connection, seconds, text.encode()
        case {
            "connection": int(connection),
            "time": int() | float() as seconds,
            "base64": str(text),
        }:
            with suppress(ValueError):
                return connection, seconds, b64decode(text, validate=True)
        # How a connection began and ended, as sse_testing.CassetteWriter writes it.
        case {
            "connection": int(connection),
            "time": int() | float() as seconds,
            **rest,
        } if rest.keys() & {"response", "end"}:
            return connection, seconds, b""
        case _:
            pass
    raise RecordingError(f"line {number} is not a chunk of a recording: {line!r:.100}")


def _object_of(line: str) -> dict[str, Any] | None:
    try:
        value: object = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
