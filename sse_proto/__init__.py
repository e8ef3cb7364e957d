"""Server-Sent Events without I/O: the event stream format, exact to the HTML Standard."""

from ._actions import Action, Fail, Lost, NextRequest, Open, ReadyState, Stop, Wait
from ._encoder import encode, encode_comment
from ._ending import Ending
from ._errors import (
    EventTooLarge,
    IncompleteStream,
    ResponseRejected,
    RetriesExhausted,
    SSEError,
    UnknownEvent,
)
from ._events import ParsedEvent, RawEvent, ServerSentEvent
from ._feed import BytesLike
from ._implementation import IMPLEMENTATION, SSEDecoder
from ._iterate import Until, aiter_events, aiter_parsed, iter_events, iter_parsed
from ._parsing import SkipEvent, attach_event, by_event, failed_event
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
    "ParsedEvent",
    "RawEvent",
    "ReadyState",
    "ReconnectPolicy",
    "ResponseRejected",
    "RetriesExhausted",
    "SSEDecoder",
    "SSEError",
    "ServerSentEvent",
    "Silence",
    "SkipEvent",
    "Stop",
    "TimeLimit",
    "UnknownEvent",
    "Until",
    "Wait",
    "aiter_events",
    "aiter_parsed",
    "attach_event",
    "by_event",
    "encode",
    "encode_comment",
    "failed_event",
    "iter_events",
    "iter_parsed",
    "media_type",
    "why_no_event_stream",
]
