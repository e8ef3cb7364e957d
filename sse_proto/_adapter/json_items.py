"""JSON objects from a response, live: each event's data, or each line of NDJSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sse_proto import EventTooLarge, SSEDecoder
from sse_proto._response import media_type, why_no_json_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from sse_proto import ServerSentEvent

    from .reading import Decoder, Reader

__all__ = ["AsyncJsonItems", "JsonItems", "data_of", "json_reader"]

_R = TypeVar("_R")
_T = TypeVar("_T")

_DONE: Final = "[DONE]"  # what chat APIs send in place of a last object
_MAX_LINE_SIZE: Final = 16 * 1024 * 1024  # bytes, as events are limited


def json_reader(
    reader: Callable[[_R, Decoder[Any], Callable[[int, str], str | None]], Reader[_R, Any]],
    response: _R,
    content_type: str,
) -> tuple[Reader[_R, Any], Callable[[Any], str]]:
    """Return a reader of a response's JSON texts, as its content type has them."""
    if media_type(content_type) == "text/event-stream":
        return reader(response, SSEDecoder(), why_no_json_stream), data_of
    return reader(response, _LineDecoder(), why_no_json_stream), str


def data_of(event: ServerSentEvent) -> str:
    return event.data


class JsonItems(Generic[_T]):
    """Iterator of what a reader's items are as JSON, for sync code."""

    def __init__(self, reader: Reader[Any, _T], text_of: Callable[[_T], str]) -> None:
        self._reader = reader
        self._text_of = text_of

    def __iter__(self) -> JsonItems[_T]:
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


class AsyncJsonItems(Generic[_T]):
    """Asynchronous iterator of what a reader's items are as JSON."""

    def __init__(self, reader: Reader[Any, _T], text_of: Callable[[_T], str]) -> None:
        self._reader = reader
        self._text_of = text_of

    def __aiter__(self) -> AsyncJsonItems[_T]:
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


class _LineDecoder:
    """Chunks in, lines of NDJSON out. The last line needs no end."""

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
