"""`EventSource`: the events of a response, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sse_proto

from ._json import AsyncJsonItems, JsonItems, data_of
from ._media_type import not_event_stream
from ._reader import AsyncItems, Items, Reader

if TYPE_CHECKING:
    import httpxr

    from sse_proto import ServerSentEvent

__all__ = ["EventSource"]


class EventSource:
    """The events of an open response, each in the caller's hands when its bytes arrive.

    Iterate it with ``for`` or ``async for``, or call `iter_sse` or `aiter_sse`: as the response is.
    The position is the response's: a loop that was left, or ended by a timeout or a cancelled task,
    can be followed by another one, and no event is lost between them.

    Args:
        response: From `connect_sse`, or from elsewhere: an asynchronous response that httpxr
            streams, or one built of bytes, an iterator or a mock transport. One that was read
            before, as every response that a sync `httpxr.Client` opens itself, gives its events all
            at once.
        decoder: A new decoder, for limits and options, or with a ``last_event_id``.

    Iterating raises:
        SSEError: The status is not 200, or the content type not ``text/event-stream``; or an
            event is larger than the decoder allows. The connection is closed then.
        httpxr.ReadTimeout: No byte came within the timeout. Iterating may go on.
        httpxr.ReadError: The connection broke, or the body is malformed, after the events that
            were complete before.
        httpxr.StreamClosed: The stream was closed before its end.
        TypeError: ``for`` over an asynchronous response, or ``async for`` over a sync one.
    """

    def __init__(
        self, response: httpxr.Response, *, decoder: sse_proto.SSEDecoder | None = None
    ) -> None:
        self._decoder = sse_proto.SSEDecoder() if decoder is None else decoder
        self._reader = Reader(response, self._decoder, not_event_stream)

    @property
    def response(self) -> httpxr.Response:
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
