"""What adapters are made of: an HTTP client's responses in, events out. No I/O of its own.

An adapter says how its client sends a request (`Connector`), and how to read a response (`Body`).
The kit builds `EventSource`, JSON items and subscriptions on these, sync and asynchronous.
"""

from ._body import Body, run
from ._coding import CodingError, UnknownCoding
from ._errors import SSEError
from ._json import async_json_items, json_items
from ._options import ConnectOptions, Headers, SubscribeOptions, missing_headers, split_options
from ._reading import AsyncItems, Items
from ._source import EventSource
from ._subscription import AsyncSubscription, Connector, Subscription
from ._waiting import AsyncioWaiter, Interrupted, SyncWaiter, Waiter

__all__ = [
    "AsyncItems",
    "AsyncSubscription",
    "AsyncioWaiter",
    "Body",
    "CodingError",
    "ConnectOptions",
    "Connector",
    "EventSource",
    "Headers",
    "Interrupted",
    "Items",
    "SSEError",
    "SubscribeOptions",
    "Subscription",
    "SyncWaiter",
    "UnknownCoding",
    "Waiter",
    "async_json_items",
    "json_items",
    "missing_headers",
    "run",
    "split_options",
]
