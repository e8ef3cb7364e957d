"""`subscribe` and `asubscribe`: a stream that is opened again when it is lost."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import TYPE_CHECKING, Any, Final

from sse_proto import EventSourceProtocol, ReconnectPolicy, SSEDecoder
from sse_proto._adapter.subscription import AsyncSubscription, Subscription

from ._connectors import AsyncConnector, SyncConnector
from ._library import library_of
from ._open import UNSET

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from sse_proto import Action
    from sse_proto._protocol import DecoderFactory

    from ._types import (
        AsyncClient,
        AuthTypes,
        Client,
        ContentTypes,
        CookieTypes,
        HeaderTypes,
        Options,
        R,
        TimeoutTypes,
        URLTypes,
    )

__all__ = ["asubscribe", "subscribe"]

_logger: Final = logging.getLogger("sse_httpx")
_DEFAULT_POLICY: Final = ReconnectPolicy()


@contextmanager
def subscribe(
    client: Client[R],
    method: str,
    url: URLTypes,
    *,
    reconnect: ReconnectPolicy | None = _DEFAULT_POLICY,
    idle_timeout: float | None = UNSET,
    last_event_id: str | None = None,
    on_state: Callable[[Action], object] | None = None,
    params: object = None,
    headers: HeaderTypes = None,
    cookies: CookieTypes = None,
    content: ContentTypes = None,
    data: Mapping[str, object] | None = None,
    files: object = None,
    json: object = None,
    auth: AuthTypes = UNSET,
    follow_redirects: bool = True,
    timeout: TimeoutTypes = UNSET,
    extensions: Mapping[str, Any] | None = None,
    decoder: DecoderFactory = SSEDecoder,
) -> Generator[Subscription[R], None, None]:
    """Iterate over the events of a stream; connect again whenever it is lost.

    The same request is sent each time, its authentication made anew, with the last event ID in the
    header ``Last-Event-ID``. Nothing is sent before iterating starts.

    Args:
        client, method, url: As `connect_sse` takes them.
        reconnect: When to connect again, and when to give up. ``None``: never.
        idle_timeout: Seconds without any byte (comments count) after which a connection counts as
            lost. ``None``: never. Default: the ``read`` part of ``timeout`` if that is given, else
            never; the client's own timeouts are made for answers that end.
        last_event_id: The last event ID to begin with. Default: the header ``Last-Event-ID`` in
            ``headers``, if it is there.
        on_state: Called with what happens, as `sse_proto.Open`, `sse_proto.Wait` (the connection
            was lost, or none could be made), `sse_proto.Stop` or `sse_proto.Fail`; in the thread
            or task that iterates. What it raises ends the stream, and is raised there.
        params, headers, cookies, content, data, files, json: As `connect_sse` takes them.
        auth, follow_redirects, timeout, extensions: The same.
        decoder: Makes each connection's decoder, called with ``last_event_id=``: for example
            ``functools.partial(SSEDecoder, max_event_size=4096)``.

    Iterating ends with ``close``, with status 204, and, by ``reconnect``, with the end of the
    stream. It raises:
        SSEError: The answer is no event stream, and trying again would not help: a status other
            than 200, 204, 408, 425, 429 and 5xx, or another content type. Or ``reconnect`` allows
            no further attempt; how the last one failed is its ``__cause__``. Or an event is larger
            than the decoder allows.
        httpx.RequestError: The request cannot be sent: ``UnsupportedProtocol``,
            ``LocalProtocolError``, ``TooManyRedirects``. With ``reconnect=None`` any.
        RuntimeError, TypeError: As `connect_sse`; or another thread is iterating.

    Closed by another thread, it ends a wait and, over HTTP/1.1, a read at once. A request that is
    being sent, and a read over HTTP/2, end with their answer, or their timeout.

    Raises:
        TypeError: ``client`` is no client of httpx's or httpx2's, or not a sync one.
        ValueError: ``last_event_id`` or ``idle_timeout`` is out of its range.
    """
    library = library_of(client, "Client")
    options: Options = {
        "params": params,
        "headers": headers,
        "cookies": cookies,
        "content": content,
        "data": data,
        "files": files,
        "json": json,
        "auth": auth,
        "follow_redirects": follow_redirects,
        "timeout": timeout,
        "extensions": extensions,
    }
    protocol = _protocol(library, options, reconnect, idle_timeout, last_event_id, decoder)
    connector = SyncConnector(client, method, url, options)
    subscription = Subscription(
        connector, protocol, url=str(url), logger=_logger, on_state=on_state
    )
    try:
        yield subscription
    finally:
        subscription.close()


@asynccontextmanager
async def asubscribe(
    client: AsyncClient[R],
    method: str,
    url: URLTypes,
    *,
    reconnect: ReconnectPolicy | None = _DEFAULT_POLICY,
    idle_timeout: float | None = UNSET,
    last_event_id: str | None = None,
    on_state: Callable[[Action], object] | None = None,
    params: object = None,
    headers: HeaderTypes = None,
    cookies: CookieTypes = None,
    content: ContentTypes = None,
    data: Mapping[str, object] | None = None,
    files: object = None,
    json: object = None,
    auth: AuthTypes = UNSET,
    follow_redirects: bool = True,
    timeout: TimeoutTypes = UNSET,
    extensions: Mapping[str, Any] | None = None,
    decoder: DecoderFactory = SSEDecoder,
) -> AsyncGenerator[AsyncSubscription[R], None]:
    """Iterate over the events of a stream on asyncio or trio; connect again whenever it is lost.

    Arguments and errors are those of `subscribe`, with an ``AsyncClient``. Closed by another task,
    it ends at once whatever it waits for. A cancelled read closes its connection, and the next one
    takes a new one.
    """
    library = library_of(client, "AsyncClient")
    options: Options = {
        "params": params,
        "headers": headers,
        "cookies": cookies,
        "content": content,
        "data": data,
        "files": files,
        "json": json,
        "auth": auth,
        "follow_redirects": follow_redirects,
        "timeout": timeout,
        "extensions": extensions,
    }
    protocol = _protocol(library, options, reconnect, idle_timeout, last_event_id, decoder)
    connector = AsyncConnector(client, method, url, options)
    subscription = AsyncSubscription(
        connector, protocol, url=str(url), logger=_logger, on_state=on_state
    )
    try:
        yield subscription
    finally:
        await subscription.aclose()


def _protocol(
    library: Any,
    options: Options,
    policy: ReconnectPolicy | None,
    idle_timeout: float | None,
    last_event_id: str | None,
    decoder: DecoderFactory,
) -> EventSourceProtocol:
    """Return the protocol of a subscription, and make the options fit to be used again."""
    headers = library.Headers(options["headers"])
    if "last-event-id" in headers:
        if last_event_id is None:
            values = [value for name, value in headers.raw if name.lower() == b"last-event-id"]
            last_event_id = b", ".join(values).decode()
        del headers["last-event-id"]
    options["headers"] = headers
    if idle_timeout is UNSET:
        timeout = options["timeout"]
        idle_timeout = None if timeout is UNSET else library.Timeout(timeout).read
    return EventSourceProtocol(
        policy,
        random=Random(),
        last_event_id=last_event_id,
        idle_timeout=idle_timeout,
        decoder=decoder,
    )
