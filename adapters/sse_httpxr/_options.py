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
    headers: httpxr.Headers | Mapping[str, str] | Sequence[tuple[str, str]] | None
    cookies: Mapping[str, str] | None

    content: bytes | str | Iterable[bytes] | None
    """Iterables are read whole, to be sent again by a redirect."""

    data: Mapping[str, object] | None
    files: Mapping[str, _FileTypes] | Sequence[tuple[str, _FileTypes]] | None
    json: object

    auth: _Auth
    """As ``client.request``; ``None``: none. Default: the client's."""

    follow_redirects: bool
    """Follow up to 20, with credentials for the same origin only. Default: ``True``."""

    timeout: _Timeout
    """Seconds, an `httpxr.Timeout`, or ``None`` for no timeout. ``read`` is the longest silence
    between bytes, and never a limit for the whole stream. The greater one of ``connect`` and
    ``read`` is for the time until the response's headers. Default: the client's."""

    extensions: Mapping[str, Any] | None

    transport: httpxr.AsyncBaseTransport | httpxr.AsyncClient | None
    """An ``httpxr.AsyncHTTPTransport``, or an `httpxr.AsyncClient` to use the transport of, in
    place of the client's. It is how to reach a proxy, or a server with a private CA, since a sync
    client's own ``proxy`` and ``verify`` cannot be seen from outside."""


class ConnectOptions(sse_adapter.ConnectOptions, RequestOptions, total=False):
    """What `connect_sse` and `aconnect_sse` take."""


class SubscribeOptions(sse_adapter.SubscribeOptions, RequestOptions, total=False):
    """What `subscribe` and `asubscribe` take."""
