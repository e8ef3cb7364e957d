"""Server-Sent Events without I/O: the event stream format, exact to the HTML Standard."""

from ._decoder import BytesLike, SSEDecoder
from ._encoder import encode, encode_comment
from ._errors import EventTooLarge, SSEError
from ._events import ServerSentEvent
from ._iterate import aiter_events, iter_events

__all__ = [
    "BytesLike",
    "EventTooLarge",
    "SSEDecoder",
    "SSEError",
    "ServerSentEvent",
    "aiter_events",
    "encode",
    "encode_comment",
    "iter_events",
]
