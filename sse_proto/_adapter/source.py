"""The events of a response: what the adapters' ``EventSource`` have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from sse_proto import SSEDecoder

from .json_items import AsyncJsonItems, JsonItems, data_of
from .reading import AsyncItems, Items

if TYPE_CHECKING:
    from sse_proto import ServerSentEvent

    from .reading import Reader

__all__ = ["BaseEventSource"]

_R = TypeVar("_R")


class BaseEventSource(ABC, Generic[_R]):
    """The events of an open response. The adapter says how it is read, in `_new_reader`."""

    def __init__(self, response: _R, *, decoder: SSEDecoder | None = None) -> None:
        self._decoder = SSEDecoder() if decoder is None else decoder
        self._reader = self._new_reader(response, self._decoder)

    @abstractmethod
    def _new_reader(self, response: _R, decoder: SSEDecoder) -> Reader[_R, ServerSentEvent]:
        """Return what reads the response through the decoder."""

    @property
    def response(self) -> _R:
        """The response that the events come from; its body is the event stream."""
        return self._reader.response

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

    def iter_json(self) -> JsonItems[ServerSentEvent]:
        """Return an iterator of each event's data, parsed as JSON, until data is ``[DONE]``.

        Events with empty data are passed over.

        Iterating raises:
            json.JSONDecodeError: Data is not JSON; the message shows its start. May go on.
        """
        return JsonItems(self._reader, data_of)

    def aiter_json(self) -> AsyncJsonItems[ServerSentEvent]:
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
