"""From a request to the response that answers it: authentication, hooks, cookies, redirects.

httpxr's clients apply these only on paths that do not stream, or apply them wrongly. Here is their
logic once, for sync and async: a coroutine over a `Wire`, which does the I/O. A sync wire never
suspends.

Two nested loops, as in httpx: the outer one asks the authentication for the next request until that
is content with a response (`exchange`); the inner one sends the request, with hooks and cookies,
and follows redirects (`_send`, `_redirect`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import httpxr

from sse_proto import why_no_event_stream

from .compat import authority_of, content_type_of, event_hooks, extensions_of, without_userinfo
from .cookies import keep_cookies, set_cookies

if TYPE_CHECKING:
    from collections.abc import Callable

    from .compat import AnyClient

__all__ = ["Wire", "exchange"]

MAX_REDIRECTS: Final = 20  # as the Fetch Standard, and httpx

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Wire(Protocol):
    """The I/O that an exchange needs."""

    is_async: bool

    async def send(self, request: httpxr.Request) -> httpxr.Response:
        """Return the response as soon as its headers are there, its body live."""
        ...

    async def read(self, response: httpxr.Response) -> None:
        """Read the body of a response, so that it can be looked at."""
        ...

    async def close(self, response: httpxr.Response) -> None:
        """Close a response, read or not."""
        ...

    async def call(self, hook: Callable[[Any], Any], argument: object) -> None:
        """Call an event hook; await what it returns, if possible."""
        ...


async def exchange(
    wire: Wire,
    client: AnyClient,
    request: httpxr.Request,
    auth: object,
    *,
    follow_redirects: bool,
) -> httpxr.Response:
    """Send a request as the client would; return the final response, its body live.

    Args:
        wire: Does the I/O.
        client: Whose cookies and event hooks apply.
        request: Complete, except for the authentication.
        auth: What httpxr takes as such, or ``None``.
        follow_redirects: Whether a redirect is followed, or is the final response.

    Raises:
        httpxr.TooManyRedirects: After 20 redirects.
        httpxr.RequestError: As the wire raises it.
        TypeError: ``auth`` is not something that httpxr takes.
    """
    flow = _AuthFlow(auth, request, is_async=wire.is_async)
    history: list[httpxr.Response] = []
    authorized = await flow.first()
    while True:
        response = await _send(wire, client, authorized, history, follow_redirects)
        try:
            # An event stream has no end: a flow gets only its headers.
            if flow.requires_response_body and why_no_event_stream(
                response.status_code, content_type_of(response)
            ):
                await wire.read(response)
            following = await flow.next(response)
        except BaseException:
            await wire.close(response)
            raise
        if following is None:
            # Only here: httpxr copies the history of each response in it, 2**n for n of them.
            response.history = history
            return response
        await wire.close(response)
        history.append(response)
        authorized = following


async def _send(
    wire: Wire,
    client: AnyClient,
    request: httpxr.Request,
    history: list[httpxr.Response],
    follow_redirects: bool,
) -> httpxr.Response:
    """Send one request, and follow where its response sends us."""
    for _ in range(MAX_REDIRECTS + 1):
        await _call_hooks(wire, client, "request", request)
        response = await wire.send(request)
        try:
            keep_cookies(response, request, client)
            await _call_hooks(wire, client, "response", response)
            following = _redirect(request, response) if follow_redirects else None
            if following is None:
                return response
            set_cookies(following, client, {})
        except BaseException:
            await wire.close(response)
            raise
        await wire.close(response)
        history.append(response)
        request = following
    raise httpxr.TooManyRedirects(f"exceeded {MAX_REDIRECTS} redirects", request=request)


def _redirect(request: httpxr.Request, response: httpxr.Response) -> httpxr.Request | None:
    """Return the request that a redirect asks for; ``None`` if the response is not a redirect.

    See "HTTP-redirect fetch", Fetch Standard 4.4.
    """
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or not location:
        return None
    try:
        url = request.url.join(location)
    except (ValueError, cast("Any", httpxr).InvalidURL) as error:
        message = f"redirect to {location!r:.200}: {error}"
        raise httpxr.UnsupportedProtocol(message, request=request) from error
    if url.scheme not in _DEFAULT_PORTS:
        message = f"redirect to {str(url)!r:.200}: neither http nor https"
        raise httpxr.UnsupportedProtocol(message, request=request)
    url = without_userinfo(url)
    if request.url.fragment and not url.fragment:
        url = url.copy_with(fragment=request.url.fragment)

    method = request.method
    dropped = {"host", "cookie"}
    if _origin(url) != _origin(request.url):
        dropped |= {"authorization", "proxy-authorization"}
    content = request.read()
    if (response.status_code == 303 and method != "HEAD") or (
        response.status_code in (301, 302) and method == "POST"
    ):
        method = "GET"
        content = b""
        dropped |= {"content-length", "content-type", "content-encoding", "transfer-encoding"}
    headers = [pair for pair in request.headers.multi_items() if pair[0].lower() not in dropped]
    headers.append(("host", authority_of(url)))  # httpxr's own has no brackets around IPv6
    return httpxr.Request(
        method, url, headers=headers, content=content or None, extensions=extensions_of(request)
    )


def _origin(url: httpxr.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _DEFAULT_PORTS.get(url.scheme)


async def _call_hooks(wire: Wire, client: AnyClient, kind: str, argument: object) -> None:
    """Call the client's event hooks of a kind, for each request and response of a chain."""
    for hook in event_hooks(client, kind):
        await wire.call(hook, argument)


class _AuthFlow:
    """One flow over httpxr's kinds of authentication, sync and async."""

    def __init__(self, auth: Any, request: httpxr.Request, *, is_async: bool) -> None:
        if isinstance(auth, tuple):
            auth = httpxr.BasicAuth(*cast("tuple[str, str]", auth))
        self.requires_response_body = bool(getattr(auth, "requires_response_body", False))
        self._request: httpxr.Request = request
        self._flow: Any = None
        self._is_async = is_async and hasattr(auth, "async_auth_flow")
        if auth is None:
            return
        if self._is_async:
            start = auth.async_auth_flow
        elif _is_overridden(auth, "sync_auth_flow") or not hasattr(auth, "auth_flow"):
            start = getattr(auth, "sync_auth_flow", None)
        else:
            start = auth.auth_flow
        if start is not None:
            self._flow = start(request)
        elif callable(auth):
            self._request = cast("httpxr.Request", auth(request))
        else:
            raise TypeError(f"auth must be a tuple, a callable or an Auth, not {auth!r:.100}")

    async def first(self) -> httpxr.Request:
        """Return the first request to send."""
        if self._flow is not None:
            first: Any = await anext(self._flow) if self._is_async else next(self._flow)
            self._request = cast("httpxr.Request", first)
        return self._request

    async def next(self, response: httpxr.Response) -> httpxr.Request | None:
        """Return the request to send next; ``None`` when this response is the final one."""
        if self._flow is None:
            return None
        try:
            if self._is_async:
                following: httpxr.Request = await self._flow.asend(response)
            else:
                following = self._flow.send(response)
        except (StopIteration, StopAsyncIteration):
            return None
        return following


def _is_overridden(auth: object, name: str) -> bool:
    method = getattr(type(auth), name, None)
    return method is not None and method is not getattr(httpxr.Auth, name, None)
