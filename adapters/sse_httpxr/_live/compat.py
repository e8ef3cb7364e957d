"""What httpxr has at run time but its stubs leave out, each with a type; and its private names.

The private ones exist in httpxr 0.30.24. If one is missing, the answer is the cautious one. In this
order: transports, streams, what a client has, what a response has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

import httpxr

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from http.cookiejar import CookieJar

__all__ = [
    "AnyClient",
    "AsyncTransport",
    "LiveSource",
    "SyncTransport",
    "authority_of",
    "client_transport",
    "content_type_of",
    "cookie_jar",
    "event_hooks",
    "extensions_of",
    "has_proxy",
    "is_asgi_transport",
    "is_async_iterable",
    "is_async_transport",
    "is_from_environment",
    "is_httpxr_source",
    "is_network_transport",
    "is_read_body",
    "is_sync_network_transport",
    "is_sync_transport",
    "request_of",
    "set_content",
    "stream_of",
    "take_source",
    "without_userinfo",
]

AnyClient = httpxr.Client | httpxr.AsyncClient

_httpxr: Any = httpxr


class LiveSource(Protocol):
    """A body as httpxr's async transport gives it: chunks arrive as the server sends them."""

    def __anext__(self) -> asyncio.Future[bytes]: ...


class AsyncTransport(Protocol):
    """What `httpxr.AsyncHTTPTransport` and every other async transport does."""

    def handle_async_request(self, request: httpxr.Request, /) -> Awaitable[httpxr.Response]: ...


class SyncTransport(Protocol):
    """What `httpxr.HTTPTransport` and every other sync transport does."""

    def handle_request(self, request: httpxr.Request, /) -> httpxr.Response: ...


def is_async_transport(transport: object) -> TypeGuard[AsyncTransport]:
    return hasattr(transport, "handle_async_request")


def is_sync_transport(transport: object) -> TypeGuard[SyncTransport]:
    return hasattr(transport, "handle_request")


def is_network_transport(transport: object) -> TypeGuard[AsyncTransport]:
    """Whether this is httpxr's own async transport, not a mock or custom one."""
    return type(transport) is _httpxr.AsyncHTTPTransport


def is_sync_network_transport(transport: object) -> TypeGuard[SyncTransport]:
    """Whether this is httpxr's own sync transport, which cannot stream."""
    return type(transport) is _httpxr.HTTPTransport


def is_asgi_transport(transport: object) -> bool:
    """Whether this calls an application instead of sending a request."""
    return isinstance(transport, _httpxr.ASGITransport)


def is_httpxr_source(stream: object) -> TypeGuard[LiveSource]:
    """Whether this is the unread body of a response that came over httpxr's async transport."""
    return isinstance(stream, _httpxr.AsyncResponseStream)


# Not `httpxr.ByteStream`, an unrelated twin of that.
_ReadBody = cast("type[object]", type(_httpxr.Response(200, content=b"").stream))


def is_async_iterable(stream: Any) -> bool:
    """Whether this is one, and not the base class of sync streams, which yields nothing."""
    kind: Any = cast("Any", type(stream))
    return getattr(kind, "__aiter__", None) not in (None, httpxr.SyncByteStream.__aiter__)


def is_read_body(stream: object) -> TypeGuard[Iterable[bytes]]:
    """Whether this is the body of a response that has been read, or was built from bytes."""
    return isinstance(stream, (_ReadBody, httpxr.ByteStream))


def take_source(response: httpxr.Response) -> LiveSource:
    """Take a response's unread body out of the response, and return it.

    httpxr closes a connection when the last reference to its stream goes, and at no other time; so
    none may stay behind in a response.
    """
    source: LiveSource = response.stream
    take: Callable[[], object] | None = getattr(response, "_take_stream", None)
    if take is not None:
        take()
    return source


def set_content(response: httpxr.Response, content: bytes) -> None:
    """Make this the content that a response has been read to, if possible."""
    set_result: Callable[[bytes], object] | None = getattr(response, "_set_aread_result", None)
    if set_result is not None:
        set_result(content)


def has_proxy(transport: object) -> bool:
    """Whether httpxr's own transport goes through a proxy, as far as we can see."""
    try:
        pool: object = getattr(transport, "_pool", transport)
    except ImportError:  # it looks for the optional httpcore to build a proxy's pool
        return True
    return pool is not None


def client_transport(client: AnyClient, url: httpxr.URL) -> object:
    """Return the transport that a client uses for a URL: from its mounts, or its own."""
    internals: Any = client
    own: object = internals._transport
    mounts: Mapping[str, object] = internals._mounts
    chosen: object = internals._transport_for_url(url)
    if not (is_network_transport(own) or is_sync_network_transport(own)) and not any(
        chosen is mount for mount in mounts.values()
    ):
        # A proxy from the environment takes precedence over a transport that the user gave; that is
        # meant for the network, and not for mock and custom transports.
        return own
    return chosen


def is_from_environment(client: AnyClient, transport: object) -> bool:
    """Whether a client uses this transport because of HTTP_PROXY and the like."""
    internals: Any = client
    mounts: Mapping[str, object] = internals._mounts
    return transport is not internals._transport and not any(
        transport is mount for mount in mounts.values()
    )


def cookie_jar(client: AnyClient) -> CookieJar:
    jar: CookieJar = client.cookies.jar
    return jar


def event_hooks(client: AnyClient, kind: str) -> list[Callable[[Any], Any]]:
    return client.event_hooks.get(kind) or []


def authority_of(url: httpxr.URL) -> str:
    """Return host and port, for ``Host``: an IPv6 address in brackets, other names in ASCII."""
    authority: bytes = cast("Any", url).netloc
    return authority.decode()


def without_userinfo(url: httpxr.URL) -> httpxr.URL:
    stripped: httpxr.URL = cast("Any", url).copy_with(userinfo=b"")
    return stripped


def extensions_of(request: httpxr.Request) -> dict[str, Any]:
    extensions: dict[str, Any] = cast("Any", request).extensions
    return extensions


def content_type_of(response: httpxr.Response) -> str:
    """Return the ``Content-Type`` header as it was sent; ``""`` if there is none."""
    return response.headers.get("content-type") or ""


def request_of(response: httpxr.Response) -> httpxr.Request | None:
    """Return the request of a response; ``None`` if it has none."""
    try:
        return response.request
    except RuntimeError:
        return None


def stream_of(response: httpxr.Response) -> object:
    """Return the body of a response; ``None`` if it was read to its end."""
    try:
        stream: object = response.stream
    except httpxr.StreamError:
        return None
    return stream
