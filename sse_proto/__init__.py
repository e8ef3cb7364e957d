"""Server-Sent Events without I/O: the event stream format, exact to the HTML Standard."""

from ._decoder import BytesLike
from ._encoder import encode, encode_comment
from ._errors import EventTooLarge, ResponseRejected, RetriesExhausted, SSEError
from ._events import RawEvent, ServerSentEvent
from ._implementation import IMPLEMENTATION, SSEDecoder
from ._iterate import aiter_events, iter_events
from ._policy import ReconnectPolicy
from ._protocol import Action, EventSourceProtocol, Fail, Open, ReadyState, Stop, Wait

__all__ = [
    "IMPLEMENTATION",
    "Action",
    "BytesLike",
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
]
