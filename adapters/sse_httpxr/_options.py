"""The options of a call, as httpxr's clients take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, TypeAlias, TypedDict

import httpxr

import sse_adapter

__all__ = ["ConnectOptions", "RequestOptions", "SubscribeOptions", "URLTypes"]

URLTypes: TypeAlias = httpxr.URL | str
_Primitive: TypeAlias = str | int | float | bool | None
_Params: TypeAlias = (
    Mapping[str, _Primitive | Sequence[_Primitive]]
    | Sequence[tuple[str, _Primitive]]
    | str
    | bytes
    | None
)
_File: TypeAlias = IO[bytes] | bytes | str
_FileTypes: TypeAlias = (
    _File
    | tuple[str | None, _File]
    | tuple[str | None, _File, str | None]
    | tuple[str | None, _File, str | None, Mapping[str, str]]
)
_Auth: TypeAlias = (
    tuple[str, str]
    | httpxr.Auth
    | httpxr.BasicAuth
    | httpxr.DigestAuth
    | Callable[[httpxr.Request], httpxr.Request]
    | None
)
_Timeout: TypeAlias = (
    httpxr.Timeout | float | tuple[float | None, float | None, float | None, float | None] | None
)


class RequestOptions(TypedDict, total=False):
    """What makes a request, as ``client.request`` takes it. Absent: the client's own."""

    params: _Params
    """The query of the URL, added to the client's."""

    headers: httpxr.Headers | Mapping[str, str] | Sequence[tuple[str, str]] | None
    """Header fields; each replaces the client's, and any that is added here."""

    cookies: Mapping[str, str] | None
    """Cookies for this request alone, in addition to the client's."""

    content: bytes | str | Iterable[bytes] | None
    """The body, as it is. Iterables are read whole, so that a redirect can send them again."""

    data: Mapping[str, object] | None
    """The body as the fields of a form."""

    files: Mapping[str, _FileTypes] | Sequence[tuple[str, _FileTypes]] | None
    """Files to upload, as a multipart form with the fields of ``data``."""

    json: object
    """The body as an object, to be sent as JSON."""

    auth: _Auth
    """Credentials, or what makes them; ``None``: none. Default: the client's."""

    follow_redirects: bool
    """Whether to follow redirects, up to 20, with credentials for the same origin only. Default:
    ``True``."""

    timeout: _Timeout
    """Seconds, an `httpxr.Timeout`, or ``None`` for no timeout. ``read`` is the longest silence
    between bytes, and never a limit for the whole stream. The response's headers may take as long
    as the greater of ``connect`` and ``read``. Default: the client's."""

    extensions: Mapping[str, Any] | None
    """For the client's transport."""

    transport: httpxr.AsyncBaseTransport | httpxr.AsyncClient | None
    """An ``httpxr.AsyncHTTPTransport``, or an `httpxr.AsyncClient` whose transport to use, instead
    of the client's. With a sync client you need it to reach a proxy, or a server with a private CA:
    its own ``proxy`` and ``verify`` cannot be seen from outside."""


class ConnectOptions(sse_adapter.ConnectOptions, RequestOptions, total=False):
    """What `connect_sse` and `aconnect_sse` take."""


class SubscribeOptions(sse_adapter.SubscribeOptions, RequestOptions, total=False):
    """What `subscribe` and `asubscribe` take."""
