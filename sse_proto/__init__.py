"""Server-Sent Events without I/O: the event stream format, exact to the HTML Standard."""

from ._actions import Action, Fail, Lost, NextRequest, Open, ReadyState, Stop, Wait
from ._decoder import BytesLike
from ._encoder import encode, encode_comment
from ._ending import Ending
from ._errors import (
    EventTooLarge,
    IncompleteStream,
    ResponseRejected,
    RetriesExhausted,
    SSEError,
)
from ._events import RawEvent, ServerSentEvent
from ._implementation import IMPLEMENTATION, SSEDecoder
from ._iterate import aiter_events, iter_events
from ._policy import ReconnectPolicy
from ._protocol import DecoderFactory, EventSourceProtocol
from ._response import HeaderTypes, media_type, why_no_event_stream
from ._silence import Silence, TimeLimit

__all__ = [
    "IMPLEMENTATION",
    "Action",
    "BytesLike",
    "DecoderFactory",
    "Ending",
    "EventSourceProtocol",
    "EventTooLarge",
    "Fail",
    "HeaderTypes",
    "IncompleteStream",
    "Lost",
    "NextRequest",
    "Open",
    "RawEvent",
    "ReadyState",
    "ReconnectPolicy",
    "ResponseRejected",
    "RetriesExhausted",
    "SSEDecoder",
    "SSEError",
    "ServerSentEvent",
    "Silence",
    "Stop",
    "TimeLimit",
    "Wait",
    "aiter_events",
    "encode",
    "encode_comment",
    "iter_events",
    "media_type",
    "why_no_event_stream",
]
