"""JSON from a response, live: each event's data, or each line of NDJSON."""

from __future__ import annotations

import json
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
    "async_json_items",
    "data_of",
    "json_items",
    "why_no_json_stream",
]

_DONE: Final = "[DONE]"  # what chat APIs send in place of a last object
_MAX_LINE_SIZE: Final = 16 * 1024 * 1024  # bytes, as events are limited


def json_items(body: Body[Any]) -> JsonItems:
    """Return an iterator over the JSON in a sync body: of events or lines, as its type says."""
    return JsonItems(*_reader(body))


def async_json_items(body: Body[Any]) -> AsyncJsonItems:
    """Return an asynchronous iterator over the JSON in a body, as `json_items`."""
    return AsyncJsonItems(*_reader(body))


def _reader(body: Body[Any]) -> tuple[Reader[Any], Callable[[Any], str]]:
    if media_type(content_type_of(body.headers)) == "text/event-stream":
        return Reader(lambda _: body, SSEDecoder(), why_no_json_stream), data_of
    return Reader(lambda _: body, _LineDecoder(), why_no_json_stream), str


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
