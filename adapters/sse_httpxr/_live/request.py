"""The request that a client would send, taken from it without sending it.

The client's own code merges its base URL, parameters, headers, cookies and the body into it; what
it does wrong is mended here.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote_to_bytes

import httpxr

from sse_adapter import missing_headers

from .compat import authority_of, without_userinfo
from .cookies import set_cookies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._options import RequestOptions
    from .compat import AnyClient

__all__ = ["acapture", "capture", "whole_content"]

_WITH_BODY: Final = frozenset({"PATCH", "POST", "PUT"})


def capture(
    client: httpxr.Client,
    method: str,
    url: httpxr.URL | str,
    options: RequestOptions,
    pool: float | None,
) -> httpxr.Request:
    """Return the request that ``client.request`` would send, without authentication and hooks.

    Args:
        pool: Seconds to wait for a free connection within the client's limits.
    """
    try:
        client.request(method, url, auth=_Capture(), **_arguments(client, options, pool))
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
        await client.request(
            method, url, auth=_Capture(), stream=True, **_arguments(client, options, pool)
        )
    except _Captured as captured:
        return _completed(captured.request, client, options)
    raise AssertionError("httpxr sent a request that it should not")


class _Captured(Exception):
    """Brings a request out of httpxr."""

    def __init__(self, request: httpxr.Request) -> None:
        self.request = request


class _Capture:
    """Authentication that takes the complete request away before it is sent."""

    # With the sync method among these, a sync client does not call its hooks first.
    def auth_flow(self, request: httpxr.Request) -> Any:
        raise _Captured(request)

    sync_auth_flow = async_auth_flow = auth_flow


def _arguments(client: AnyClient, options: RequestOptions, pool: float | None) -> dict[str, Any]:
    """Return the arguments of ``client.request``."""
    headers = httpxr.Headers(options.get("headers") or ())
    headers.update(missing_headers(headers, client.headers))
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
    """Return a request's content in a form that can be sent again, after a redirect."""
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
    """Put right in a captured request what httpxr does wrong."""
    _set_host(request, client, options)
    _apply_userinfo(request)
    _set_content_length(request)
    for headers in (httpxr.Headers(options.get("headers") or ()), client.headers):
        if "cookie" in headers:  # which httpxr replaces by the client's cookies
            request.headers["cookie"] = headers["cookie"]
            return request
    if "cookie" in request.headers:
        del request.headers["cookie"]
    set_cookies(request, client, options.get("cookies") or {})
    return request


def _set_host(request: httpxr.Request, client: AnyClient, options: RequestOptions) -> None:
    """Put the brackets of an IPv6 address into the ``Host`` that httpxr made."""
    given = httpxr.Headers(options.get("headers") or ())
    if "host" not in given and "host" not in client.headers:
        request.headers["host"] = authority_of(request.url)


def _apply_userinfo(request: httpxr.Request) -> None:
    """Take user and password out of the URL; httpxr made a header from them, undecoded."""
    userinfo: bytes = cast("Any", request.url).userinfo
    if not userinfo:
        return
    # It would be added a second time.
    request.url = without_userinfo(request.url)
    user, _, password = userinfo.partition(b":")
    if request.headers.get("authorization") == _basic(user, password):
        decoded = unquote_to_bytes(user), unquote_to_bytes(password)
        request.headers["authorization"] = _basic(*decoded)


def _basic(user: bytes, password: bytes) -> str:
    return f"Basic {b64encode(user + b':' + password).decode()}"


def _set_content_length(request: httpxr.Request) -> None:
    """Say that there is no body, for methods that expect one. See RFC 9110, 8.6."""
    headers = request.headers
    if request.method in _WITH_BODY and "transfer-encoding" not in headers and not request.read():
        headers["content-length"] = "0"
