"""Live Server-Sent Events on httpxr, sync and async."""

from importlib.util import find_spec

if find_spec("httpxr") is None:  # pragma: no cover, tested in an environment without it
    _message = "sse_httpxr needs httpxr: pip install 'sse-proto[httpxr]'"
    raise ModuleNotFoundError(_message, name="httpxr")

from sse_proto import ReconnectPolicy, ServerSentEvent

from ._api import aconnect_sse, aiter_json, connect_sse, iter_json
from ._errors import SSEError
from ._options import ConnectOptions, RequestOptions, SubscribeOptions, URLTypes
from ._source import EventSource
from ._subscribe import asubscribe, subscribe

__all__ = [
    "ConnectOptions",
    "EventSource",
    "ReconnectPolicy",
    "RequestOptions",
    "SSEError",
    "ServerSentEvent",
    "SubscribeOptions",
    "URLTypes",
    "aconnect_sse",
    "aiter_json",
    "asubscribe",
    "connect_sse",
    "iter_json",
    "subscribe",
]
