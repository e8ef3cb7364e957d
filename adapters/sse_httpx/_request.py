"""From a client and a call's arguments to an open response, whose body is still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sse_adapter import missing_headers

from ._library import library_of

if TYPE_CHECKING:
    from ._options import AsyncClient, Client, R, RequestOptions, URLTypes

__all__ = ["aopen_response", "build_request", "open_response"]

_OF_SENDING: Final = ("auth", "follow_redirects")


def open_response(client: Client[R], method: str, url: URLTypes, options: RequestOptions) -> R:
    """Send a request; return the response as soon as its headers are there."""
    library = library_of(client, "Client")
    request, sending = build_request(library, client, method, url, options)
    return client.send(request, stream=True, **sending)


async def aopen_response(
    client: AsyncClient[R], method: str, url: URLTypes, options: RequestOptions
) -> R:
    """Send a request asynchronously; return the response as soon as its headers are there."""
    library = library_of(client, "AsyncClient")
    request, sending = build_request(library, client, method, url, options)
    return await client.send(request, stream=True, **sending)


def build_request(
    library: Any, client: Any, method: str, url: URLTypes, options: RequestOptions
) -> tuple[Any, dict[str, Any]]:
    """Return the request as the client makes it, and the arguments of ``client.send``."""
    headers = library.Headers(options.get("headers"))  # a copy
    headers.update(missing_headers(headers, client.headers))
    building: dict[str, Any] = {**options, "headers": headers}
    sending: dict[str, Any] = {name: building.pop(name) for name in _OF_SENDING if name in building}
    sending.setdefault("follow_redirects", True)
    return client.build_request(method, url, **building), sending
