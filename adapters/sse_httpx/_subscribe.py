"""`subscribe` and `asubscribe`: a stream that is reopened when it is lost."""

from __future__ import annotations

import logging
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

import anyio

import sse_adapter
from sse_adapter import (
    AsyncioWaiter,
    AsyncSubscription,
    Connector,
    Interrupted,
    Subscription,
    SyncWaiter,
    Waiter,
    missing_headers,
    split_options,
)

from ._body import AsyncBody, SyncBody
from ._library import error_class, library_of
from ._options import R, RequestOptions
from ._request import aopen_response, build_request, open_response, refused_certificate
from ._trio import TrioWaiter, runs_on_trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from typing_extensions import Unpack

    from sse_adapter import SSEError
    from sse_proto import NextRequest

    from ._options import AsyncClient, Client, SubscribeOptions, URLTypes

__all__ = ["asubscribe", "subscribe"]

_logger: Final = logging.getLogger("sse_httpx")


@contextmanager
def subscribe(
    client: Client[R], method: str, url: URLTypes, **options: Unpack[SubscribeOptions]
) -> Generator[Subscription[R], None, None]:
    """Iterate over the events of a stream; connect again whenever it is lost.

    The same request is sent each time, with fresh authentication, and the last event ID in the
    header ``Last-Event-ID``. Nothing is sent before iterating starts.

    Args:
        client, method, url: As `connect_sse` takes them.
        options: Those of the request, as ``client.stream`` takes them, and those
            that `SubscribeOptions` lists, such as ``reconnect``, ``until`` and ``idle_timeout``.

    Iterating ends with ``close``, with status 204, and, if ``reconnect`` says so, with the end of
    the stream. It raises:
        SSEError: The response is not an event stream, and trying again would not help: its status
            is none of 200, 204, 408, 425, 429 and 5xx, or its content type is wrong. Or
            ``reconnect`` allows no further attempt; its ``__cause__`` says how the last one failed.
            Or an event is larger than the decoder allows.
        httpx.RequestError: The request cannot be sent: ``UnsupportedProtocol``,
            ``LocalProtocolError``, ``TooManyRedirects``. With ``reconnect=None``, any.
        RuntimeError, TypeError: As `connect_sse`; or another thread is iterating.

    If another thread closes it, a wait or a read ends at once. A request being sent goes on until
    it is answered or times out.

    Raises:
        TypeError: ``client`` is not a client of httpx or httpx2, or not a sync one; or there is no
            such option.
        ValueError: ``last_event_id`` or ``idle_timeout`` is out of its range.
    """
    own, request = split_options("subscribe", options, sse_adapter.SubscribeOptions, RequestOptions)
    connector = _SyncConnector(client, "Client", method, url, request, own.get("idle_timeout"))
    with closing(Subscription(connector, SyncWaiter(), own, **connector.settings)) as subscription:
        yield subscription


@asynccontextmanager
async def asubscribe(
    client: AsyncClient[R], method: str, url: URLTypes, **options: Unpack[SubscribeOptions]
) -> AsyncGenerator[AsyncSubscription[R], None]:
    """Iterate over the events of a stream on asyncio or trio; connect again whenever it is lost.

    Arguments and errors are those of `subscribe`, with an ``AsyncClient``. If another task closes
    it, it ends at once, whatever it is waiting for. After a cancellation, a read or an opening goes
    on with the next call.
    """
    own, request = split_options(
        "asubscribe", options, sse_adapter.SubscribeOptions, RequestOptions
    )
    connector = _AsyncConnector(
        client, "AsyncClient", method, url, request, own.get("idle_timeout")
    )
    waiter: Waiter = TrioWaiter() if runs_on_trio() else AsyncioWaiter()
    new = AsyncSubscription(connector, waiter, own, **connector.settings)
    async with aclosing(new) as subscription:
        yield subscription


class _Nothing(TypedDict):
    """No options but the request's."""


class _Connector(Connector[R]):
    """What sync and asynchronous connectors have in common."""

    _body_class: type[SyncBody[Any] | AsyncBody[Any]]

    def __init__(
        self,
        client: object,
        kind: str,
        method: str,
        url: URLTypes,
        options: RequestOptions,
        idle_timeout: float | None,
    ) -> None:
        self._library = library = library_of(client, kind)
        self._client = client
        self._idle_timeout = idle_timeout
        self._method = method
        self._url = url
        self._options = options
        self.lost_errors = (library.RequestError,)
        self.futile_errors = (
            library.LocalProtocolError,
            library.TooManyRedirects,
            library.UnsupportedProtocol,
        )
        self.settings: dict[str, Any] = {
            "method": method,
            "url": str(url),
            "logger": _logger,
            "last_event_id": self._take_last_event_id(),
        }
        """The further arguments of a subscription."""
        if "timeout" in options:
            self.settings["idle_timeout"] = library.Timeout(options["timeout"]).read

    def _take_last_event_id(self) -> str | None:
        """Return the header ``Last-Event-ID``, and leave the options without it."""
        headers = self._library.Headers(self._options.get("headers"))
        values = [value for name, value in headers.raw if name.lower() == b"last-event-id"]
        headers.pop("last-event-id", None)
        self._options["headers"] = headers
        return b", ".join(values).decode() if values else None

    def set_request(self, request: NextRequest) -> None:
        _, options = split_options("NextRequest", request.options, _Nothing, RequestOptions)
        self._method, self._url, self._options = (
            request.method,
            cast("URLTypes", request.url),
            options,
        )
        self._take_last_event_id()  # the protocol knows better

    def is_futile(self, error: Exception) -> bool:
        return super().is_futile(error) or refused_certificate(error) is not None

    def answer_of(self, error: Exception) -> SyncBody[R] | AsyncBody[R] | None:
        if isinstance(error, self._library.HTTPStatusError):
            response: Any = cast("Any", error).response
            if not response.is_success:
                return self._body_class(response)
        return None

    def sse_error(self, message: str) -> SSEError:
        return error_class(self._library)(message)

    def _give_the_head_time(self, options: RequestOptions) -> None:
        """Wait for the head as long as for bytes: some servers send it with the first event."""
        if self._idle_timeout is None:
            return
        client: Any = self._client
        timeout = self._library.Timeout(options.get("timeout", client.timeout))
        if timeout.read is not None and timeout.read < self._idle_timeout:
            longer = {**timeout.as_dict(), "read": self._idle_timeout}
            options["timeout"] = self._library.Timeout(**longer)

    def _options_with(self, headers: list[tuple[bytes, bytes]]) -> RequestOptions:
        """Return the options of the next request."""
        options = self._options.copy()
        self._give_the_head_time(options)
        own: Any = options.get("headers")
        wanted = [(name.decode(), value.decode()) for name, value in headers]
        client: Any = self._client
        # As bytes: the library may have decided that they are ASCII.
        missing = [
            (name.encode(), value.encode())
            for name, value in missing_headers(own, client.headers, wanted)
        ]
        options["headers"] = [*own.raw, *missing]
        return options

    def _first_request(self, client: Any, stream_class: str) -> Any:
        """Return the request whose body all others repeat, if it cannot be made a second time."""
        content = self._options.get("content")
        if not self._options.get("files") and isinstance(content, (str, bytes, type(None))):
            return None
        request, _ = build_request(self._library, client, self._method, self._url, self._options)
        is_of_kind = isinstance(request.stream, getattr(self._library, stream_class))
        return request if is_of_kind else None  # of the other kind, it is refused when sent

    def _keep_body(self, request: Any, content: bytes) -> None:
        """Send the body of the first request with all others."""
        headers: Any = self._options.get("headers")
        if "content-type" in request.headers:
            headers["content-type"] = request.headers["content-type"]
        self._options["content"] = content
        self._options.pop("data", None)
        self._options.pop("files", None)


class _SyncConnector(_Connector[R]):
    _body_class = SyncBody

    async def open(self, headers: list[tuple[bytes, bytes]]) -> SyncBody[R]:
        client: Any = self._client
        if (request := self._first_request(client, "SyncByteStream")) is not None:
            self._keep_body(request, request.read())
        options = self._options_with(headers)
        return SyncBody(open_response(client, self._method, self._url, options))


class _AsyncConnector(_Connector[R]):
    _body_class = AsyncBody

    async def open(self, headers: list[tuple[bytes, bytes]]) -> AsyncBody[R]:
        client: Any = self._client
        if (request := self._first_request(client, "AsyncByteStream")) is not None:
            self._keep_body(request, await request.aread())
        options = self._options_with(headers)
        return _InterruptibleBody(await aopen_response(client, self._method, self._url, options))


class _InterruptibleBody(AsyncBody[R]):
    """A body whose reads another task can end."""

    _scope: anyio.CancelScope | None = None

    async def read(self, seconds: float | None) -> bytes | None:
        with anyio.CancelScope() as self._scope:
            try:
                return await super().read(seconds)
            finally:
                self._scope = None
        raise Interrupted

    def interrupt(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
