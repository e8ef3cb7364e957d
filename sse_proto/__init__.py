"""Server-Sent Events without I/O: the event stream format, exact to the HTML Standard."""

from ._decoder import BytesLike
from ._encoder import encode, encode_comment
from ._errors import EventTooLarge, ResponseRejected, RetriesExhausted, SSEError
from ._events import RawEvent, ServerSentEvent
from ._implementation import IMPLEMENTATION, SSEDecoder
from ._iterate import aiter_events, iter_events
from ._policy import ReconnectPolicy
from ._protocol import (
    Action,
    DecoderFactory,
    EventSourceProtocol,
    Fail,
    Open,
    ReadyState,
    Stop,
    Wait,
)
from ._response import media_type, why_no_event_stream

__all__ = [
    "IMPLEMENTATION",
    "Action",
    "BytesLike",
    "DecoderFactory",
    "EventSourceProtocol",
    "EventTooLarge",
    "Fail",
    "Open",
    "RawEvent",
    "ReadyState",
    "ReconnectPolicy",
    "ResponseRejected",
    "RetriesExhausted",
    "SSEDecoder",
    "SSEError",
    "ServerSentEvent",
    "Stop",
    "Wait",
    "aiter_events",
    "encode",
    "encode_comment",
    "iter_events",
    "media_type",
    "why_no_event_stream",
]
