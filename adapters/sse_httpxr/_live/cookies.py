"""The cookies in a client's jar, sent and kept by the rules of `http.cookiejar`.

httpxr keeps them in such a jar, but stores each for any domain, and sends each to any host; so here
the jar does both itself.
"""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, cast

from .compat import cookie_jar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse

    import httpxr

    from .compat import AnyClient

__all__ = ["keep_cookies", "set_cookies"]


def set_cookies(request: httpxr.Request, client: AnyClient, more: Mapping[str, str]) -> None:
    """Give a request the client's cookies for its URL, and some of its own."""
    jar_request = _JarRequest(request)
    cookie_jar(client).add_cookie_header(jar_request)
    cookies = [f"{name}={value}" for name, value in more.items()]
    if (from_jar := jar_request.get_header("Cookie")) is not None:
        cookies.insert(0, from_jar)
    if cookies:
        request.headers["cookie"] = "; ".join(cookies)


def keep_cookies(response: httpxr.Response, request: httpxr.Request, client: AnyClient) -> None:
    """Put the cookies that a response sets into the client's jar."""
    cookie_jar(client).extract_cookies(
        cast("HTTPResponse", _JarResponse(response)), _JarRequest(request)
    )


class _JarRequest(urllib.request.Request):
    """A request as `http.cookiejar` wants to see it."""

    def __init__(self, request: httpxr.Request) -> None:
        super().__init__(str(request.url), method=request.method)


class _JarResponse:
    """A response as `http.cookiejar` wants to see it."""

    def __init__(self, response: httpxr.Response) -> None:
        self._response = response

    def info(self) -> _JarResponse:
        return self

    def get_all(self, name: str, default: list[str]) -> list[str]:
        return self._response.headers.get_list(name) or default
