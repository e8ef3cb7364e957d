"""The events of a response: what the adapters' ``EventSource`` have in common."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from sse_proto import SSEDecoder, why_no_event_stream

from ._json import AsyncJsonItems, JsonItems, data_of
from ._reading import AsyncItems, Items, Reader

if TYPE_CHECKING:
    from sse_proto import ServerSentEvent

    from ._body import Body

__all__ = ["EventSource"]

_R = TypeVar("_R")


class EventSource(Generic[_R]):
    """The events of an open response.

    Args:
        response: Open, and not read so far; or built from bytes or an iterator.
        decoder: A new decoder, for limits and options, or with a ``last_event_id``.

    An adapter names its two kinds of `Body`.
    """

    _sync_body: ClassVar[type[Body[Any]] | None] = None
    """What ``for`` reads, of the response; ``None``: the client has no sync responses."""
    _async_body: ClassVar[type[Body[Any]] | None] = None
    """What ``async for`` reads; ``None``: the client has no asynchronous responses."""

    def __init__(self, response: _R, *, decoder: SSEDecoder | None = None) -> None:
        self._response = response
        self._decoder = SSEDecoder() if decoder is None else decoder
        self._reader = Reader(partial(self._new_body, response), self._decoder, why_no_event_stream)

    @classmethod  # so that the reader does not hold the source, and with it itself
    def _new_body(cls, response: _R, is_async: bool) -> Body[Any]:
        kind = cls._async_body if is_async else cls._sync_body
        if kind is None:
            loop, other = ("async for", "for") if is_async else ("for", "async for")
            raise TypeError(f"this adapter has no `{loop}`: use `{other}`")
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
        """What the stream asks for with ``retry``, in milliseconds; ``None``: nothing so far."""
        return self._decoder.reconnection_time

    def iter_sse(self) -> Items[ServerSentEvent]:
        """Return an iterator of the events. Its ``close()`` closes the connection."""
        return Items(self._reader)

    def aiter_sse(self) -> AsyncItems[ServerSentEvent]:
        """Return an asynchronous iterator of the events. Its ``aclose()`` closes the connection."""
        return AsyncItems(self._reader)

    __iter__ = iter_sse
    __aiter__ = aiter_sse

    def iter_json(self) -> JsonItems:
        """Return an iterator of each event's data, parsed as JSON, until data is ``[DONE]``.

        Events with empty data are passed over.

        Iterating raises:
            json.JSONDecodeError: Data is not JSON; the message shows its start. May go on.
        """
        return JsonItems(self._reader, data_of)

    def aiter_json(self) -> AsyncJsonItems:
        """Return an asynchronous iterator of each event's data, as `iter_json`."""
        return AsyncJsonItems(self._reader, data_of)

    def close(self) -> None:
        """Close the connection of a sync stream. May be called again."""
        self._reader.close()

    async def aclose(self) -> None:
        """Close the connection of an asynchronous stream. May be called again."""
        await self._reader.aclose()

    def __repr__(self) -> str:
        return f"<EventSource {self.response!r}>"
