"""The request that a client would send, taken from it without sending it.

The client's own code merges its base URL, parameters, headers, cookies and the body into it; what
it does wrongly is mended here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import httpxr

from .cookies import set_cookies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._options import RequestOptions
    from .compat import AnyClient

__all__ = ["acapture", "capture", "whole_content"]


def capture(
    client: httpxr.Client,
    method: str,
    url: httpxr.URL | str,
    options: RequestOptions,
    pool: float | None,
) -> httpxr.Request:
    """Return the request that ``client.request`` would send, but for authentication and hooks.

    Args:
        pool: Seconds to wait for a free connection of the client's limits.
    """
    try:
        client.request(method, url, auth=_Capture(), **_arguments(options, pool))
    except _Captured as captured:
        return _completed(captured.request, client, options)
    raise AssertionError("httpxr sent a request that it should not")


async def acapture(
    client: httpxr.AsyncClient,
    method: str,
    url: httpxr.URL | str,
    options: RequestOptions,
    pool: float | None,
) -> httpxr.Request:
    """Return the request of an async client, as `capture`."""
    try:
        await client.request(method, url, auth=_Capture(), stream=True, **_arguments(options, pool))
    except _Captured as captured:
        return _completed(captured.request, client, options)
    raise AssertionError("httpxr sent a request that it should not")


class _Captured(Exception):
    """Brings a request out of httpxr."""

    def __init__(self, request: httpxr.Request) -> None:
        self.request = request


class _Capture:
    """Authentication that takes the complete request away, before it is sent."""

    # With the sync one among them, a sync client does not call its hooks before.
    def auth_flow(self, request: httpxr.Request) -> Any:
        raise _Captured(request)

    sync_auth_flow = async_auth_flow = auth_flow


def _arguments(options: RequestOptions, pool: float | None) -> dict[str, Any]:
    """Return the arguments of ``client.request``."""
    headers = httpxr.Headers(options.get("headers") or ())
    for name, default in (("accept", "text/event-stream"), ("cache-control", "no-store")):
        headers.setdefault(name, default)
    arguments: dict[str, Any] = {
        "headers": headers,
        # No deadline: httpxr would count the whole stream.
        "timeout": httpxr.Timeout(None, pool=pool),
    }
    given: Mapping[str, object] = options
    for key in ("params", "data", "files", "json", "extensions"):
        if (value := given.get(key)) is not None:
            arguments[key] = value
    if (body := options.get("content")) is not None:
        arguments["content"] = whole_content(body)
    return arguments


def whole_content(content: object) -> bytes | str:
    """Return a request's content as what can be sent again, after a redirect."""
    if isinstance(content, (bytes, str)):
        return content
    if isinstance(content, (bytearray, memoryview)):
        return bytes(cast("bytearray", content))
    if not isinstance(content, Iterable):  # httpxr would send an async one as an empty body
        kind = type(content).__name__
        raise TypeError(f"content must be bytes, str or an iterable of bytes, not {kind}")
    return b"".join(cast("Iterable[bytes]", content))


def _completed(
    request: httpxr.Request, client: AnyClient, options: RequestOptions
) -> httpxr.Request:
    """Do to a captured request what httpxr does wrongly."""
    if request.url.userinfo:
        # It is in the Authorization header by now, and would be added a second time.
        request.url = request.url.copy_with(userinfo=b"")  # type: ignore[call-arg]  # not in its stubs
    headers = httpxr.Headers(options.get("headers") or ())
    if "cookie" not in headers and "cookie" not in client.headers:
        if "cookie" in request.headers:
            del request.headers["cookie"]
        set_cookies(request, client, options.get("cookies") or {})
    return request
