"""`EventSource`: the events of a response; the base of the adapters' own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, overload

from sse_proto import Ending, SSEDecoder, why_no_event_stream

from ._body import Body
from ._json import DONE, JsonParsing, json_of
from ._reading import (
    AsyncEventItems,
    AsyncEventsToTheEnd,
    AsyncParsedItems,
    EventItems,
    EventParsing,
    EventReader,
    EventsToTheEnd,
    ParsedItems,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sse_proto import ParsedEvent, ServerSentEvent

    from ._reading import AsyncItems, Items

__all__ = ["EventSource"]

_R = TypeVar("_R")
_T = TypeVar("_T")


class EventSource(Generic[_R]):
    """The events of an open response.

    Args:
        response: Open and unread, or built from bytes or an iterator; or its `Body`, for adapters
            that know more about it than the response does.
        decoder: A new decoder, if you want limits or options, or with a ``last_event_id``.
        event_timeout: The longest silence between events, in seconds; ``None``: any.
        on_comment: Called with each comment, when its chunk is read.

    Raises:
        TypeError: There is both a ``decoder`` and an ``on_comment``.
        ValueError: ``event_timeout`` is not positive.

    An adapter derives its own, and names the bodies to read a bare response with, as keywords of
    the class: ``sync_body=SyncBody, async_body=AsyncBody``. If one is left out, loops of its kind
    raise a TypeError, unless a body is given.
    """

    _sync_body: ClassVar[type[Body[Any]] | None] = None
    _async_body: ClassVar[type[Body[Any]] | None] = None

    def __init_subclass__(
        cls,
        *,
        sync_body: type[Body[Any]] | None = None,
        async_body: type[Body[Any]] | None = None,
    ) -> None:
        super().__init_subclass__()
        cls._sync_body = sync_body or cls._sync_body
        cls._async_body = async_body or cls._async_body

    def __init__(
        self,
        response: _R | Body[_R],
        *,
        decoder: SSEDecoder | None = None,
        event_timeout: float | None = None,
        on_comment: Callable[[str], object] | None = None,
    ) -> None:
        if decoder is not None and on_comment is not None:
            raise TypeError("on_comment does not go with decoder: give it to the decoder itself")
        self._response: _R
        if isinstance(response, Body):
            body = cast("Body[_R]", response)
            self._response = body.response
            new_body = partial(_given_body, body)
        else:
            self._response = response
            new_body = partial(self._new_body, response)
        self._decoder = SSEDecoder(on_comment=on_comment) if decoder is None else decoder
        self._reader = EventReader(
            new_body, self._decoder, why_no_event_stream, event_timeout=event_timeout
        )

    @classmethod  # so that the reader does not hold the source, and so itself
    def _new_body(cls, response: _R, is_async: bool) -> Body[Any]:
        kind = cls._async_body if is_async else cls._sync_body
        if kind is None:
            raise _wrong_loop(is_async)
        return kind(response)

    @property
    def response(self) -> _R:
        """The response that the events come from; its body is the event stream."""
        return self._response

    @property
    def last_event_id(self) -> str | None:
        """The last event ID, as of the last chunk; ``None``: none was ever set."""
        return self._decoder.last_event_id

    @property
    def reconnection_time(self) -> int | None:
        """What the stream's last ``retry`` asked for, in milliseconds; ``None``: it had none."""
        return self._decoder.reconnection_time

    def iter_sse(
        self,
        *,
        until: str | Collection[str] | None = None,
        is_last: Callable[[ServerSentEvent], bool] | None = None,
    ) -> Items[ServerSentEvent]:
        """Return an iterator over the events. Its ``close()`` closes the connection.

        Args:
            until: The data of the event that ends the stream, or several alternatives, compared
                exactly. Neither that event nor anything after it is handed out.
            is_last: Whether an event is the last one, which is handed out.

        Without them, iterating ends with the body, as the standard says, and an unfinished event is
        silently discarded. With them, iterating also raises:
            IncompleteStream: The body ended before the last event, or inside one.
        """
        if until is None and is_last is None:
            return EventItems(self._reader)
        return EventsToTheEnd(self._reader, Ending(until, is_last))

    def aiter_sse(
        self,
        *,
        until: str | Collection[str] | None = None,
        is_last: Callable[[ServerSentEvent], bool] | None = None,
    ) -> AsyncItems[ServerSentEvent]:
        """Return an asynchronous iterator over the events, as `iter_sse`, with ``aclose()``."""
        if until is None and is_last is None:
            return AsyncEventItems(self._reader)
        return AsyncEventsToTheEnd(self._reader, Ending(until, is_last))

    def __iter__(self) -> Items[ServerSentEvent]:
        return self.iter_sse()

    def __aiter__(self) -> AsyncItems[ServerSentEvent]:
        return self.aiter_sse()

    @overload
    def iter_json(
        self,
        *,
        until: str | Collection[str] | None = DONE,
        is_last: Callable[[Any], bool] | None = None,
    ) -> Items[Any]: ...
    @overload
    def iter_json(
        self,
        loads: Callable[[bytes], _T],
        *,
        until: str | Collection[str] | None = DONE,
        is_last: Callable[[_T], bool] | None = None,
    ) -> Items[_T]: ...
    def iter_json(
        self,
        loads: Callable[[bytes], Any] | None = None,
        *,
        until: str | Collection[str] | None = DONE,
        is_last: Callable[[Any], bool] | None = None,
    ) -> Items[Any]:
        """Return an iterator over each event's data, parsed as JSON. Empty data is skipped.

        Args:
            loads: Called with the data as it was sent, in bytes: ``orjson.loads``,
                ``msgspec.json.Decoder(X).decode``, ``TypeAdapter(X).validate_json``. An event for
                which it raises `SkipEvent` is left out. Default: `json.loads`.
            until: As for `iter_sse`. If it is not given, ``[DONE]`` ends the stream, even with
                whitespace around it, and so does the end of the body.
            is_last: As for `iter_sse`, but called with the item that ``loads`` has made.

        Iterating raises what ``loads`` does, for one item; you may go on with the next. For an
        `Exception`, `failed_event` returns the event. By default ``loads`` raises:
            json.JSONDecodeError: Data is not JSON; the message shows its start.

        With ``until`` or ``is_last``, iterating also raises `IncompleteStream`, as `iter_sse`.
        """
        return ParsedItems(
            self._reader,
            JsonParsing(self._reader, loads or json_of, until, is_last, self._decoder),
        )

    @overload
    def aiter_json(
        self,
        *,
        until: str | Collection[str] | None = DONE,
        is_last: Callable[[Any], bool] | None = None,
    ) -> AsyncItems[Any]: ...
    @overload
    def aiter_json(
        self,
        loads: Callable[[bytes], _T],
        *,
        until: str | Collection[str] | None = DONE,
        is_last: Callable[[_T], bool] | None = None,
    ) -> AsyncItems[_T]: ...
    def aiter_json(
        self,
        loads: Callable[[bytes], Any] | None = None,
        *,
        until: str | Collection[str] | None = DONE,
        is_last: Callable[[Any], bool] | None = None,
    ) -> AsyncItems[Any]:
        """Return an asynchronous iterator over each event's data, as `iter_json`."""
        return AsyncParsedItems(
            self._reader,
            JsonParsing(self._reader, loads or json_of, until, is_last, self._decoder),
        )

    def iter_parsed(
        self,
        parse: Callable[[str, bytes], _T],
        *,
        until: str | Collection[str] | None = None,
        is_last: Callable[[ParsedEvent[_T]], bool] | None = None,
    ) -> Items[ParsedEvent[_T]]:
        """Return an iterator over the events, with the data of each parsed from its bytes.

        Args:
            parse: Called with the event type and the data of each event, when its turn comes;
                `by_event` combines several parsers that take the data alone into one. An event for
                which it raises `SkipEvent` is left out.
            until: As for `iter_sse`. That event is not parsed.
            is_last: As for `iter_sse`, but called with the parsed event.

        Iterating raises what ``parse`` does, for one event; you may go on with the next. For an
        `Exception`, `failed_event` returns the event. Anything else, such as `KeyboardInterrupt`,
        loses no event: the next call parses that one again. Otherwise as `iter_sse`.
        """
        return ParsedItems(self._reader, EventParsing(self._reader, parse, until, is_last))

    def aiter_parsed(
        self,
        parse: Callable[[str, bytes], _T],
        *,
        until: str | Collection[str] | None = None,
        is_last: Callable[[ParsedEvent[_T]], bool] | None = None,
    ) -> AsyncItems[ParsedEvent[_T]]:
        """Return an asynchronous iterator over the events, parsed, as `iter_parsed`."""
        return AsyncParsedItems(self._reader, EventParsing(self._reader, parse, until, is_last))

    def close(self) -> None:
        """Close the connection of a sync stream. May be called again."""
        self._reader.close()

    async def aclose(self) -> None:
        """Close the connection of an asynchronous stream. May be called again."""
        await self._reader.aclose()

    def __repr__(self) -> str:
        return f"<EventSource {self.response!r}>"


def _given_body(body: Body[_R], is_async: bool) -> Body[_R]:
    if body.is_async is not is_async:
        raise _wrong_loop(is_async)
    return body


def _wrong_loop(is_async: bool) -> TypeError:
    kind, loop = ("synchronous", "for") if is_async else ("asynchronous", "async for")
    return TypeError(f"this stream is {kind}: use `{loop}`")
