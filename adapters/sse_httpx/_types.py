"""Objects of httpx and httpx2 by their shape: type checkers, too, need only one of the two."""

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
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict, TypeVar

__all__ = [
    "AsyncClient",
    "AuthTypes",
    "Client",
    "ContentTypes",
    "CookieTypes",
    "HeaderTypes",
    "Options",
    "R",
    "Response",
    "TimeoutTypes",
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
    """As much of a response as reading it needs."""

    status_code: int
    stream: Any
    is_closed: bool
    is_stream_consumed: bool
    extensions: Any

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def request(self) -> Any: ...
    @property
    def content(self) -> bytes: ...
    def iter_bytes(self) -> Iterator[bytes]: ...
    def aiter_bytes(self) -> AsyncIterator[bytes]: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...


class Client(Protocol[_R_co]):
    """As much of a client as opening a stream needs."""

    def build_request(self, method: str, url: Any) -> Any: ...
    def send(self, request: Any, *, stream: bool, follow_redirects: bool) -> _R_co: ...


class AsyncClient(Protocol[_R_co]):
    """The same of an asynchronous client."""

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
HeaderTypes: TypeAlias = (
    Mapping[str, str]
    | Mapping[bytes, bytes]
    | Sequence[tuple[str, str]]
    | Sequence[tuple[bytes, bytes]]
    | None
)
CookieTypes: TypeAlias = Mapping[str, str] | CookieJar | list[tuple[str, str]] | None
ContentTypes: TypeAlias = str | bytes | Iterable[bytes] | AsyncIterable[bytes] | None
AuthTypes: TypeAlias = tuple[str | bytes, str | bytes] | Callable[[Any], Any] | _Auth | None
TimeoutTypes: TypeAlias = (
    _Timeout | float | tuple[float | None, float | None, float | None, float | None] | None
)


class Options(TypedDict):
    """The arguments of `connect_sse` that make the request; documented there."""

    params: object
    headers: HeaderTypes
    cookies: CookieTypes
    content: ContentTypes
    data: Mapping[str, object] | None
    files: object
    json: object
    auth: AuthTypes
    follow_redirects: bool
    timeout: TimeoutTypes
    extensions: Mapping[str, Any] | None
