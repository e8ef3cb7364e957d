"""`EventSource`: the events of a response of httpx's or httpx2's, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sse_adapter

from ._body import AsyncBody, SyncBody
from ._library import library_of
from ._options import R

if TYPE_CHECKING:
    from collections.abc import Callable

    from sse_proto import SSEDecoder

__all__ = ["EventSource"]


class EventSource(sse_adapter.EventSource[R], sync_body=SyncBody, async_body=AsyncBody):
    """The events of an open response, each in your hands the moment its bytes arrive.

    Iterate it with ``for`` or ``async for``, or call `iter_sse` or `aiter_sse`, depending on the
    response. The position is the response's: when you leave a loop, another one can go on, and no
    event is lost between them.

    Args:
        response: From `connect_sse`, from ``client.stream`` or ``client.send(..., stream=True)``,
            or built from bytes or an iterator. One that was read before gives its events all at
            once.
        decoder: A new decoder, if you want limits or options, or with a ``last_event_id``.
        event_timeout: The longest silence between events, in seconds; ``None``: any.
        on_comment: Called with each comment, when its chunk is read.

    Iterating raises, as errors of the response's library:
        SSEError: The status is not 200, or the content type not ``text/event-stream``; or an event
            is larger than the decoder allows. Then the connection is closed.
        ReadTimeout, ReadError, RemoteProtocolError, DecodingError: No byte came within the timeout,
            the connection broke, or the body is malformed, after every event that was complete
            before. Then the connection is closed.
        StreamClosed: The stream was closed before its end, perhaps by one of the above or by a
            cancelled task.
        TypeError: ``for`` over an asynchronous response, or ``async for`` over a sync one.
    """

    def __init__(
        self,
        response: R,
        *,
        decoder: SSEDecoder | None = None,
        event_timeout: float | None = None,
        on_comment: Callable[[str], object] | None = None,
    ) -> None:
        library_of(response, "Response")  # or it is a TypeError, here and not later
        super().__init__(
            response, decoder=decoder, event_timeout=event_timeout, on_comment=on_comment
        )
