"""JSON from a response, live, by its content type.

- ``text/event-stream``: the data of each event.
- ``application/json``, and what ends in ``+json``: one document, however many lines it has; or
  several in a row, since servers send that, too (`TextDecoder`).
- ``application/json-seq``: JSON text sequences, RFC 7464 (`SequenceDecoder`).
- Others, such as ``application/x-ndjson``: each line (`_LineDecoder`).

A decoder turns chunks into texts, as bytes. A `Reader` reads them, `JsonParsing` parses them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from sse_proto import EventTooLarge, ParsedEvent, SSEDecoder, media_type

from ._errors import content_type_of
from ._reading import (
    NOTHING,
    AsyncParsedItems,
    EventReader,
    Nothing,
    ParsedItems,
    Parsing,
    Reader,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sse_proto import Until

    from ._body import Body
    from ._reading import AsyncItems, Items

__all__ = [
    "DONE",
    "JsonParsing",
    "SequenceDecoder",
    "TextDecoder",
    "async_json_items",
    "json_items",
    "json_of",
    "why_no_json_stream",
]

_T = TypeVar("_T")


class _Done(str):
    """The default for ``until``; the text shows what it does. Known by identity: it is lenient."""

    __slots__ = ()


DONE: Final = _Done("[DONE]")  # what chat APIs send instead of a last object
_DONE: Final = b"[DONE]"
_MAX_LINE_SIZE: Final = 16 * 1024 * 1024  # bytes, as events are limited
_SEPARATOR: Final = b"\x1e"
_BOM: Final = b"\xef\xbb\xbf"
_TOKEN: Final = re.compile(rb'[\\"{}\[\]\n\x1e]')  # what can begin or end a text, or a part of it


@overload
def json_items(body: Body[Any]) -> Items[Any]: ...
@overload
def json_items(body: Body[Any], loads: Callable[[bytes], _T]) -> Items[_T]: ...
def json_items(body: Body[Any], loads: Callable[[bytes], Any] | None = None) -> Items[Any]:
    """Return an iterator over the JSON in a sync body: per event or per line, as its type says.

    Args:
        body: Open and unread.
        loads: Called with each text, as bytes. Default: `json.loads`.
    """
    reader = _reader(body)
    return ParsedItems(reader, JsonParsing(reader, loads or json_of))


@overload
def async_json_items(body: Body[Any]) -> AsyncItems[Any]: ...
@overload
def async_json_items(body: Body[Any], loads: Callable[[bytes], _T]) -> AsyncItems[_T]: ...
def async_json_items(
    body: Body[Any], loads: Callable[[bytes], Any] | None = None
) -> AsyncItems[Any]:
    """Return an asynchronous iterator over the JSON in a body, as `json_items`."""
    reader = _reader(body)
    return AsyncParsedItems(reader, JsonParsing(reader, loads or json_of))


def _reader(body: Body[Any]) -> Reader:
    kind = media_type(content_type_of(body.headers))
    if kind == "text/event-stream":
        return EventReader(lambda _: body, SSEDecoder(), why_no_json_stream)
    decoder: _LineDecoder | TextDecoder
    if kind.endswith(("/json-seq", "+json-seq")):
        decoder = SequenceDecoder()
    elif kind.endswith(("/json", "+json")):
        decoder = TextDecoder()
    else:
        decoder = _LineDecoder()
    return Reader(lambda _: body, _Texts(decoder), why_no_json_stream)


def why_no_json_stream(status_code: int, content_type: str) -> str | None:
    """Say why a response cannot contain JSON; ``None`` if it can."""
    found = f"status {status_code} with " + (
        f"content type {content_type!r:.100}" if content_type else "no content type"
    )
    if not 200 <= status_code <= 299:
        return f"expected a success status, got {found}"
    kind = media_type(content_type)
    main_type, _, subtype = kind.partition("/")
    if not (
        (main_type == "application" and "json" in subtype)
        or kind in ("text/event-stream", "text/plain")
    ):
        return f"expected an event stream or NDJSON, got {found}"
    return None


class JsonParsing(Parsing[_T]):
    """Makes an object of each event's data with ``loads``; skips events without data.

    Otherwise as `Parsing`. But if ``until`` is `DONE`, it stops at a ``[DONE]``, with or without
    whitespace around it, if there is one.
    """

    def __init__(
        self,
        reader: Reader,
        loads: Callable[[bytes], _T],
        until: Until = DONE,
        is_last: Callable[[_T], bool] | None = None,
        decoder: SSEDecoder | None = None,
    ) -> None:
        self._is_lenient = until is DONE
        if self._is_lenient:
            until = None
        has_end = until is not None or is_last is not None
        super().__init__(reader, until, is_last, decoder if has_end else None)
        self._loads = loads

    def take(self) -> _T | Nothing:
        data = self.events[0][1]
        if self._ends and self._is_end(data):
            return NOTHING
        text = data.strip()
        if not text:
            self.events.popleft()
            return NOTHING
        if text == _DONE and self._is_lenient:
            self._reader.end()
            return NOTHING
        try:
            item = self._loads(data)
        except Exception as error:
            return self._not_taken(error)
        self.events.popleft()
        if self._is_last is not None and self._is_last(item):
            self._reader.end()
        return item


def json_of(data: bytes) -> Any:
    """Parse a JSON text. Anything in it that is not UTF-8 becomes U+FFFD."""
    text = data.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # The text itself is what helps; .doc has all of it.
        raise json.JSONDecodeError(f"{error.msg} in {text!r:.200}", text, error.pos) from None


class _Texts:
    """Chunks in, the texts of one body out, each as the data of an event without a name.

    The first one loses its byte order mark (RFC 8259, 8.1).
    """

    def __init__(self, decoder: _LineDecoder | TextDecoder) -> None:
        self._decoder = decoder
        self._is_first = True

    def feed(self, chunk: bytes, /) -> list[ParsedEvent[bytes]]:
        return self._events(self._decoder.feed(chunk))

    def close(self) -> list[ParsedEvent[bytes]]:
        return self._events(self._decoder.close())

    def _events(self, texts: list[bytes]) -> list[ParsedEvent[bytes]]:
        if texts and self._is_first:
            self._is_first = False
            texts[0] = texts[0].removeprefix(_BOM)
        return [ParsedEvent("message", text, None, None) for text in texts]


class _LineDecoder:
    """Chunks in, lines of NDJSON out. The last line may lack its end."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes, /) -> list[bytes]:
        lines_end = chunk.rfind(b"\n") + 1
        lines: list[bytes] = []
        if lines_end:
            lines = (bytes(self._pending) + chunk[:lines_end]).split(b"\n")[:-1]
            self._pending.clear()
        self._pending += chunk[lines_end:]
        if len(self._pending) > _MAX_LINE_SIZE:
            raise EventTooLarge(len(self._pending), _MAX_LINE_SIZE)
        return lines

    def close(self) -> list[bytes]:
        line = bytes(self._pending)
        self._pending.clear()
        return [line] if line else []


class TextDecoder:
    """Chunks in, JSON texts out. For one document of many lines, or for several texts in a row.

    A text ends with the line that closes all that it has opened, and so arrives live; or before a
    record separator (RFC 7464, 2.1), or with the body. A line end within a string, which JSON does
    not allow, ends a text too, so that a malformed text does not swallow all the rest.
    """

    def __init__(self) -> None:
        self._pending = bytearray()  # of the text that has begun
        self._start_over()

    def _start_over(self) -> None:
        self._depth = 0  # of brackets and braces
        self._is_in_string = False
        self._escaped_at = -1  # where the character after a backslash is
        self._scanned = 0  # bytes of what is pending

    def feed(self, chunk: bytes, /) -> list[bytes]:
        texts: list[bytes] = []
        self._pending += chunk
        start = 0
        # A copy, since what is scanned must not change; of a text in many chunks, the new part.
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

    def close(self) -> list[bytes]:
        text = self._text(0, len(self._pending))
        self._pending.clear()
        self._start_over()
        return [text]

    def _text(self, start: int, end: int) -> bytes:
        return bytes(self._pending[start:end])


class SequenceDecoder(TextDecoder):
    """Chunks in, the texts of a JSON text sequence out (RFC 7464)."""

    def _text(self, start: int, end: int) -> bytes:
        text = super()._text(start, end)
        # A number or a word is whole only if whitespace follows (2.4). With a separator instead,
        # the text is not JSON, and the error shows it.
        return text + _SEPARATOR if text and text[-1] not in b' \t\r\n}]"' else text
