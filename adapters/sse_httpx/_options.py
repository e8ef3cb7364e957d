"""The options of a call, and the clients, of httpx and httpx2.

All are typed by their shape, so type checkers, too, need only one of the two libraries.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from http.cookiejar import CookieJar
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict, TypeVar

import sse_adapter

__all__ = [
    "AsyncClient",
    "Client",
    "ConnectOptions",
    "R",
    "RequestOptions",
    "Response",
    "SubscribeOptions",
    "URLTypes",
]

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    # So that `EventSource` alone is a type, as with httpx-sse.
    R = TypeVarWithDefault("R", bound="Response", default=Any)
else:
    R = TypeVar("R")

_R_co = TypeVar("_R_co", covariant=True)


class Response(Protocol):
    """As much of ``httpx.Response`` and ``httpx2.Response`` as reading one needs."""

    status_code: int
    stream: Any
    is_closed: bool
    is_stream_consumed: bool
    extensions: Any

    @property
    def headers(self) -> Any: ...
    @property
    def request(self) -> Any: ...
    @property
    def content(self) -> bytes: ...
    def iter_raw(self) -> Iterator[bytes]: ...
    def aiter_raw(self) -> AsyncIterator[bytes]: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...


class Client(Protocol[_R_co]):
    """As much of ``httpx.Client`` and ``httpx2.Client`` as opening a stream needs."""

    def build_request(self, method: str, url: Any) -> Any: ...
    def send(self, request: Any, *, stream: bool, follow_redirects: bool) -> _R_co: ...


class AsyncClient(Protocol[_R_co]):
    """The same for an asynchronous client."""

    def build_request(self, method: str, url: Any) -> Any: ...
    def send(self, request: Any, *, stream: bool, follow_redirects: bool) -> Awaitable[_R_co]: ...


class _URL(Protocol):
    @property
    def scheme(self) -> str: ...
    @property
    def raw_path(self) -> bytes: ...


class _Timeout(Protocol):
    connect: float | None
    read: float | None
    write: float | None
    pool: float | None


class _Auth(Protocol):
    def auth_flow(self, request: Any) -> Any: ...


URLTypes: TypeAlias = _URL | str
_Primitive: TypeAlias = str | int | float | bool | None
_Params: TypeAlias = (
    Mapping[str, _Primitive | Sequence[_Primitive]]
    | Sequence[tuple[str, _Primitive]]
    | str
    | bytes
    | None
)
_Headers: TypeAlias = (
    Mapping[str, str]
    | Mapping[bytes, bytes]
    | Sequence[tuple[str, str]]
    | Sequence[tuple[bytes, bytes]]
    | None
)
_File: TypeAlias = IO[bytes] | bytes | str
_FileTypes: TypeAlias = (
    _File
    | tuple[str | None, _File]
    | tuple[str | None, _File, str | None]
    | tuple[str | None, _File, str | None, Mapping[str, str]]
)


class RequestOptions(TypedDict, total=False):
    """What makes a request, as ``client.stream`` takes it. Absent: the client's own."""

    params: _Params
    """The query of the URL, added to the client's."""

    headers: _Headers
    """Header fields; each replaces the client's, and any that is added here."""

    cookies: Mapping[str, str] | CookieJar | list[tuple[str, str]] | None
    """Cookies for this request alone, in addition to the client's."""

    content: str | bytes | Iterable[bytes] | AsyncIterable[bytes] | None
    """The body, as it is. `subscribe` reads iterables whole, to send them again."""

    data: Mapping[str, object] | None
    """The body as the fields of a form."""

    files: Mapping[str, _FileTypes] | Sequence[tuple[str, _FileTypes]] | None
    """Files to upload, as a multipart form with the fields of ``data``."""

    json: object
    """The body as an object, to be sent as JSON."""

    auth: tuple[str | bytes, str | bytes] | Callable[[Any], Any] | _Auth | None
    """Credentials, or what makes them; ``None``: none. Default: the client's."""

    follow_redirects: bool
    """Whether to follow redirects; the ``Authorization`` header is not sent to another origin.
    Default: ``True``, as the standard asks, whatever the client's own setting."""

    timeout: _Timeout | float | tuple[float | None, float | None, float | None, float | None] | None
    """Seconds, a ``Timeout`` of the library's, or ``None`` for no timeout; its ``read`` is the
    longest silence between bytes. Default: the client's, which is 5 s unless set."""

    extensions: Mapping[str, Any] | None
    """For the client's transport."""


class ConnectOptions(sse_adapter.ConnectOptions, RequestOptions, total=False):
    """What `connect_sse` and `aconnect_sse` take."""


class SubscribeOptions(sse_adapter.SubscribeOptions, RequestOptions, total=False):
    """What `subscribe` and `asubscribe` take."""
