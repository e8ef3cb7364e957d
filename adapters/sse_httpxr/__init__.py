"""Live Server-Sent Events on httpxr, sync and async."""

from sse_proto import ServerSentEvent

from ._api import aconnect_sse, connect_sse
from ._errors import SSEError
from ._json import aiter_json, iter_json
from ._source import EventSource

__all__ = [
    "EventSource",
    "SSEError",
    "ServerSentEvent",
    "aconnect_sse",
    "aiter_json",
    "connect_sse",
    "iter_json",
]
