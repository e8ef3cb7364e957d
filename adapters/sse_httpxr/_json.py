"""JSON objects from a response, live: each event's data, or each line of NDJSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import sse_proto

from ._media_type import media_type, not_json_stream
from ._reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpxr

__all__ = ["AsyncJsonItems", "JsonItems", "aiter_json", "data_of", "iter_json"]

_T = TypeVar("_T")

_DONE: Final = "[DONE]"  # what chat APIs send in place of a last object
_MAX_LINE_SIZE: Final = 16 * 1024 * 1024  # bytes, as events are limited


def iter_json(response: httpxr.Response) -> JsonItems[Any]:
    """Return an iterator of the JSON objects in a response, each as soon as it has arrived.

    Args:
        response: From `connect_sse`, as its ``source.response``, or as `EventSource` takes it. From
            an event stream come the data of its events, parsed; events with empty data are passed
            over. From NDJSON (any ``application/*`` type with ``json``, and ``text/plain``) comes
            an object for each line that is not blank.

    Iterating ends at ``[DONE]``, or with the body. It raises what iterating an `EventSource` does;
    also:
        json.JSONDecodeError: Something is not JSON; the message shows its start. May go on.
        SSEError: The status is not a success, or the content type none of these.
    """
    return JsonItems(*_reader_of(response))


def aiter_json(response: httpxr.Response) -> AsyncJsonItems[Any]:
    """Return an asynchronous iterator of the JSON objects in a response, as `iter_json`."""
    return AsyncJsonItems(*_reader_of(response))


def _reader_of(response: httpxr.Response) -> tuple[Reader[Any], Callable[[Any], str]]:
    if media_type(response) == "text/event-stream":
        return Reader(response, sse_proto.SSEDecoder(), not_json_stream), data_of
    return Reader(response, _LineDecoder(), not_json_stream), str


def data_of(event: sse_proto.ServerSentEvent) -> str:
    return event.data


class JsonItems(Generic[_T]):
    """Iterator of what a reader's items are as JSON, for sync code."""

    def __init__(self, reader: Reader[_T], text_of: Callable[[_T], str]) -> None:
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

    def __init__(self, reader: Reader[_T], text_of: Callable[[_T], str]) -> None:
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
            raise sse_proto.EventTooLarge(len(self._pending), _MAX_LINE_SIZE)
        return [line.decode("utf-8", "replace") for line in lines]

    def close(self) -> list[str]:
        line = self._pending.decode("utf-8", "replace")
        self._pending.clear()
        return [line] if line else []
