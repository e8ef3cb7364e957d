"""Live Server-Sent Events on httpx and httpx2, sync and async, on asyncio and trio."""

from importlib.util import find_spec

if not (find_spec("httpx") or find_spec("httpx2")):  # pragma: no cover, tested without them
    _message = (
        "sse_httpx needs httpx or httpx2: pip install 'sse-proto[httpx]' or 'sse-proto[httpx2]'"
    )
    raise ModuleNotFoundError(_message, name="httpx")

from sse_proto import ReconnectPolicy, ServerSentEvent

from ._api import aconnect_sse, aiter_json, connect_sse, iter_json
from ._errors import SSEError
from ._options import (
    AsyncClient,
    Client,
    ConnectOptions,
    RequestOptions,
    Response,
    SubscribeOptions,
    URLTypes,
)
from ._source import EventSource
from ._subscribe import asubscribe, subscribe

__all__ = [
    "AsyncClient",
    "Client",
    "ConnectOptions",
    "EventSource",
    "ReconnectPolicy",
    "RequestOptions",
    "Response",
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
