"""JSON from a response, live, by its content type.

- ``text/event-stream``: the data of each event.
- ``application/json``, and what ends in ``+json``: one document, of as many lines as it has; or,
  since servers send that as well, one after the other (`TextDecoder`).
- ``application/json-seq``: JSON text sequences, RFC 7464 (`SequenceDecoder`).
- Others, as ``application/x-ndjson``: each line (`_LineDecoder`).

A decoder makes texts of chunks, a `Reader` reads them, `JsonItems` and `AsyncJsonItems` parse them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from sse_proto import EventTooLarge, SSEDecoder, media_type

from ._errors import content_type_of
from ._reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from sse_proto import ServerSentEvent

    from ._body import Body

__all__ = [
    "AsyncJsonItems",
    "JsonItems",
    "SequenceDecoder",
    "TextDecoder",
    "async_json_items",
    "data_of",
    "json_items",
    "why_no_json_stream",
]

_DONE: Final = "[DONE]"  # what chat APIs send in place of a last object
_MAX_LINE_SIZE: Final = 16 * 1024 * 1024  # bytes, as events are limited
_SEPARATOR: Final = b"\x1e"
_TOKEN: Final = re.compile(rb'[\\"{}\[\]\n\x1e]')  # what can begin or end a text, or a part of it


def json_items(body: Body[Any]) -> JsonItems:
    """Return an iterator over the JSON in a sync body: of events or lines, as its type says."""
    return JsonItems(*_reader(body))


def async_json_items(body: Body[Any]) -> AsyncJsonItems:
    """Return an asynchronous iterator over the JSON in a body, as `json_items`."""
    return AsyncJsonItems(*_reader(body))


def _reader(body: Body[Any]) -> tuple[Reader[Any], Callable[[Any], str]]:
    kind = media_type(content_type_of(body.headers))
    if kind == "text/event-stream":
        return Reader(lambda _: body, SSEDecoder(), why_no_json_stream), data_of
    decoder: _LineDecoder | TextDecoder
    if kind.endswith(("/json-seq", "+json-seq")):
        decoder = SequenceDecoder()
    elif kind.endswith(("/json", "+json")):
        decoder = TextDecoder()
    else:
        decoder = _LineDecoder()
    return Reader(lambda _: body, decoder, why_no_json_stream), _Texts().text_of


def data_of(event: ServerSentEvent) -> str:
    return event.data


def why_no_json_stream(status_code: int, content_type: str) -> str | None:
    """Say why a response cannot have JSON in it; ``None`` if it may."""
    found = f"status {status_code} with " + (
        f"content type {content_type!r:.100}" if content_type else "no content type"
    )
    if not 200 <= status_code <= 299:
        return f"expected a status of success, got {found}"
    kind = media_type(content_type)
    main_type, _, subtype = kind.partition("/")
    if not (
        (main_type == "application" and "json" in subtype)
        or kind in ("text/event-stream", "text/plain")
    ):
        return f"expected an event stream or NDJSON, got {found}"
    return None


class JsonItems:
    """Iterator over a reader's items, each parsed as JSON (sync)."""

    def __init__(self, reader: Reader[Any], text_of: Callable[[Any], str]) -> None:
        self._reader = reader
        self._text_of = text_of

    def __iter__(self) -> JsonItems:
        return self

    def __next__(self) -> Any:
        while True:
            text = self._text_of(self._reader.next())
            if text.strip() == _DONE:
                self._reader.end()
            elif text and not text.isspace():
                return _parse(text)

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()


class AsyncJsonItems:
    """Iterator over a reader's items, each parsed as JSON (asynchronous)."""

    def __init__(self, reader: Reader[Any], text_of: Callable[[Any], str]) -> None:
        self._reader = reader
        self._text_of = text_of

    def __aiter__(self) -> AsyncJsonItems:
        return self

    async def __anext__(self) -> Any:
        while True:
            text = self._text_of(await self._reader.anext())
            if text.strip() == _DONE:
                self._reader.end()
            elif text and not text.isspace():
                return _parse(text)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._reader.aclose()


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # The text itself is what helps, and .doc has it whole.
        raise json.JSONDecodeError(f"{error.msg} in {text!r:.200}", text, error.pos) from None


class _Texts:
    """The texts of one body."""

    _is_first = True

    def text_of(self, text: str) -> str:
        """Return a text; the first one without the byte order mark (RFC 8259, 8.1)."""
        if self._is_first:
            self._is_first = False
            return text.removeprefix("\ufeff")
        return text


class _LineDecoder:
    """Chunks in, lines of NDJSON out. The last line need not end."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes, /) -> list[str]:
        lines_end = chunk.rfind(b"\n") + 1
        lines: list[bytes] = []
        if lines_end:
            lines = (bytes(self._pending) + chunk[:lines_end]).split(b"\n")[:-1]
            self._pending.clear()
        self._pending += chunk[lines_end:]
        if len(self._pending) > _MAX_LINE_SIZE:
            raise EventTooLarge(len(self._pending), _MAX_LINE_SIZE)
        return [line.decode("utf-8", "replace") for line in lines]

    def close(self) -> list[str]:
        line = self._pending.decode("utf-8", "replace")
        self._pending.clear()
        return [line] if line else []


class TextDecoder:
    """Chunks in, JSON texts out. For one document, of many lines; or for one text after the other.

    A text ends with the line that closes all that it has opened, and so comes live; or before a
    record separator (RFC 7464, 2.1), or with the body. A line end within a string, which JSON does
    not have, ends a text too: so what is malformed does not take all the rest with it.
    """

    def __init__(self) -> None:
        self._pending = bytearray()  # of the text that has begun
        self._start_over()

    def _start_over(self) -> None:
        self._depth = 0  # of brackets and braces
        self._is_in_string = False
        self._escaped_at = -1  # where the character after a backslash is
        self._scanned = 0  # bytes of what is pending

    def feed(self, chunk: bytes, /) -> list[str]:
        texts: list[str] = []
        self._pending += chunk
        start = 0
        # A copy, as what is scanned must not change; of a text in many chunks, of its new part.
        offset = self._scanned
        for token in _TOKEN.finditer(bytes(self._pending[offset:])):
            at, kind = offset + token.start(), token[0]
            if kind == _SEPARATOR or (kind == b"\n" and (self._is_in_string or self._depth == 0)):
                end = at if kind == _SEPARATOR else at + 1
                texts.append(self._text(start, end))
                self._start_over()
                start = at + 1
            elif self._is_in_string:
                if at == self._escaped_at:
                    pass
                elif kind == b"\\":
                    self._escaped_at = at + 1
                elif kind == b'"':
                    self._is_in_string = False
            elif kind == b'"':
                self._is_in_string = True
            elif kind in b"{[":
                self._depth += 1
            elif kind in b"}]":
                self._depth = max(0, self._depth - 1)
        del self._pending[:start]
        self._escaped_at -= start
        self._scanned = len(self._pending)
        if self._scanned > _MAX_LINE_SIZE:
            raise EventTooLarge(self._scanned, _MAX_LINE_SIZE)
        return texts

    def close(self) -> list[str]:
        text = self._text(0, len(self._pending))
        self._pending.clear()
        self._start_over()
        return [text]

    def _text(self, start: int, end: int) -> str:
        return self._pending[start:end].decode("utf-8", "replace")


class SequenceDecoder(TextDecoder):
    """Chunks in, the texts of a JSON text sequence out (RFC 7464)."""

    def _text(self, start: int, end: int) -> str:
        text = super()._text(start, end)
        # A number, or a word, is whole only with whitespace behind it (2.4). With a separator in
        # its place the text is not JSON, and the error shows it.
        return f"{text}\x1e" if text and text[-1] not in ' \t\r\n}]"' else text
