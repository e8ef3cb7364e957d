"""Server-Sent Events without I/O: the event stream format, exact to the HTML Standard."""

from ._decoder import BytesLike
from ._encoder import encode, encode_comment
from ._errors import EventTooLarge, SSEError
from ._events import RawEvent, ServerSentEvent
from ._implementation import IMPLEMENTATION, SSEDecoder
from ._iterate import aiter_events, iter_events

__all__ = [
    "IMPLEMENTATION",
    "BytesLike",
    "EventTooLarge",
    "RawEvent",
    "SSEDecoder",
    "SSEError",
    "ServerSentEvent",
    "aiter_events",
    "encode",
    "encode_comment",
    "iter_events",
]
