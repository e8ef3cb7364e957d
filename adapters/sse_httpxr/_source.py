"""`EventSource`: the events of a response of httpxr's, live."""

from __future__ import annotations

import httpxr

import sse_adapter

from ._body import AsyncBody, SyncBody

__all__ = ["EventSource"]


class EventSource(
    sse_adapter.EventSource[httpxr.Response], sync_body=SyncBody, async_body=AsyncBody
):
    """The events of an open response, each in your hands the moment its bytes arrive.

    Iterate it with ``for`` or ``async for``, or call `iter_sse` or `aiter_sse`, depending on the
    response. The position is the response's: when you leave a loop, or a timeout or a cancelled
    task ends it, another one can go on, and no event is lost between them.

    Args:
        response: From `connect_sse`, or from elsewhere: an asynchronous response that httpxr
            streams, or one built from bytes, an iterator or a mock transport. One that was read
            before, like every response that a sync `httpxr.Client` opens itself, gives its events
            all at once.
        decoder: A new decoder, if you want limits or options, or with a ``last_event_id``.
        event_timeout: The longest silence between events, in seconds; ``None``: any.
        on_comment: Called with each comment, when its chunk is read.

    Iterating raises:
        SSEError: The status is not 200, or the content type not ``text/event-stream``; or an
            event is larger than the decoder allows. Then the connection is closed.
        httpxr.ReadTimeout: No byte came within the timeout. Iterating may go on.
        httpxr.ReadError: The connection broke, or the body is malformed, after every event that
            was complete before.
        httpxr.StreamClosed: The stream was closed before its end.
        TypeError: ``for`` over an asynchronous response, or ``async for`` over a sync one.
    """
