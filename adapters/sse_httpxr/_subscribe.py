"""`subscribe` and `asubscribe`: a stream that is reopened when it is lost."""

from __future__ import annotations

import logging
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

import httpxr

import sse_adapter
from sse_adapter import (
    AsyncioWaiter,
    AsyncSubscription,
    Connector,
    Subscription,
    SyncWaiter,
    missing_headers,
    split_options,
)

from ._body import AsyncBody, SyncBody
from ._errors import SSEError
from ._live.certificates import CertificateRefused
from ._live.opening import aopen_live, check_client, open_live
from ._live.request import acapture, capture, whole_content
from ._live.wires import Abort
from ._options import RequestOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from typing_extensions import Unpack

    from sse_proto import NextRequest

    from ._live.compat import AnyClient
    from ._options import SubscribeOptions, URLTypes

__all__ = ["asubscribe", "subscribe"]

_logger: Final = logging.getLogger("sse_httpxr")


@contextmanager
def subscribe(
    client: httpxr.Client, method: str, url: URLTypes, **options: Unpack[SubscribeOptions]
) -> Generator[Subscription[httpxr.Response], None, None]:
    """Iterate over the events of a stream; connect again whenever it is lost.

    The same request is sent each time, with fresh authentication, and the last event ID in the
    header ``Last-Event-ID``. Nothing is sent before iterating starts.

    Args:
        client, method, url: As `connect_sse` takes them.
        options: Those of the request, as `connect_sse` takes them, and those
            that `SubscribeOptions` lists, such as ``reconnect``, ``until`` and ``idle_timeout``.

    Iterating ends with ``close``, with status 204, and, if ``reconnect`` says so, with the end of
    the stream. It raises:
        SSEError: The response is not an event stream, and trying again would not help: its status
            is none of 200, 204, 408, 425, 429 and 5xx, or its content type is wrong. Or
            ``reconnect`` allows no further attempt; its ``__cause__`` says how the last one failed.
            Or an event is larger than the decoder allows.
        httpxr.RequestError: The request cannot be sent: `httpxr.UnsupportedProtocol`,
            `httpxr.LocalProtocolError`, `httpxr.TooManyRedirects`. With ``reconnect=None``, any.
        RuntimeError, TypeError: As `connect_sse`; or another thread is iterating.

    Raises:
        TypeError: ``client`` is not an `httpxr.Client`, or there is no such option.
        ValueError: ``last_event_id`` or ``idle_timeout`` is out of its range.
    """
    check_client(client, httpxr.Client, "subscribe", "asubscribe")
    own, request = split_options("subscribe", options, sse_adapter.SubscribeOptions, RequestOptions)
    connector = _SyncConnector(client, method, url, request, own.get("idle_timeout"))
    with closing(Subscription(connector, SyncWaiter(), own, **connector.settings)) as subscription:
        yield subscription


@asynccontextmanager
async def asubscribe(
    client: httpxr.AsyncClient, method: str, url: URLTypes, **options: Unpack[SubscribeOptions]
) -> AsyncGenerator[AsyncSubscription[httpxr.Response], None]:
    """Iterate over the events of a stream on asyncio; connect again whenever it is lost.

    Arguments and errors are those of `subscribe`, with an `httpxr.AsyncClient`.

    A timeout around ``anext``, or any other cancellation, loses nothing: the interrupted wait,
    opening or silence goes on with the next call.
    """
    check_client(client, httpxr.AsyncClient, "asubscribe", "subscribe")
    own, request = split_options(
        "asubscribe", options, sse_adapter.SubscribeOptions, RequestOptions
    )
    connector = _AsyncConnector(client, method, url, request, own.get("idle_timeout"))
    new = AsyncSubscription(connector, AsyncioWaiter(), own, **connector.settings)
    async with aclosing(new) as subscription:
        yield subscription


class _Nothing(TypedDict):
    """No options but the request's."""


class _BaseConnector(Connector[httpxr.Response]):
    """What sync and asynchronous connectors have in common."""

    lost_errors = (httpxr.RequestError,)
    futile_errors = (
        httpxr.LocalProtocolError,
        httpxr.TooManyRedirects,
        httpxr.UnsupportedProtocol,
        CertificateRefused,
    )
    _body_class: type[SyncBody | AsyncBody]

    def __init__(
        self,
        client: AnyClient,
        method: str,
        url: URLTypes,
        options: RequestOptions,
        idle_timeout: float | None,
    ) -> None:
        self._client: Any = client
        self._idle_timeout = idle_timeout
        self._method = method
        self._url = url
        self._options = options
        if (content := options.get("content")) is not None:
            options["content"] = whole_content(content)
        self.settings: dict[str, Any] = {
            "method": method,
            "url": str(url),
            "logger": _logger,
            "last_event_id": self._take_last_event_id(),
        }
        """The further arguments of a subscription."""
        if "timeout" in options:
            timeout: Any = options["timeout"]
            if not isinstance(timeout, httpxr.Timeout):
                timeout = httpxr.Timeout(timeout)
            self.settings["idle_timeout"] = timeout.read

    def _take_last_event_id(self) -> str | None:
        """Return the header ``Last-Event-ID``, and leave the options without it."""
        headers = self._headers()
        last_event_id = headers.get("last-event-id")
        if last_event_id is not None:
            del headers["last-event-id"]
        self._options["headers"] = headers
        return last_event_id

    def _headers(self) -> httpxr.Headers:
        return httpxr.Headers(self._options.get("headers") or ())

    def set_request(self, request: NextRequest) -> None:
        _, options = split_options("NextRequest", request.options, _Nothing, RequestOptions)
        self._method, self._url, self._options = (
            request.method,
            cast("URLTypes", request.url),
            options,
        )
        if (content := options.get("content")) is not None:
            options["content"] = whole_content(content)
        self._take_last_event_id()  # the protocol knows better

    def answer_of(self, error: Exception) -> SyncBody | AsyncBody | None:
        if isinstance(error, httpxr.HTTPStatusError):
            # One made by hand has no such attribute.
            response: httpxr.Response | None = getattr(error, "response", None)
            if response is not None and not response.is_success:
                return self._body_class(response)
        return None

    def sse_error(self, message: str) -> SSEError:
        return SSEError(message)

    def _give_the_head_time(self, options: RequestOptions) -> None:
        """Wait for the head as long as for bytes: some servers send it with the first event."""
        if self._idle_timeout is None:
            return
        timeout: Any = options.get("timeout", self._client.timeout)
        if not isinstance(timeout, httpxr.Timeout):
            timeout = httpxr.Timeout(timeout)
        if timeout.read is not None and timeout.read < self._idle_timeout:
            options["timeout"] = httpxr.Timeout(
                connect=timeout.connect,
                read=self._idle_timeout,
                write=timeout.write,
                pool=timeout.pool,
            )

    def _options_with(self, headers: list[tuple[bytes, bytes]]) -> RequestOptions:
        """Return the options of the next request."""
        options = self._options.copy()
        self._give_the_head_time(options)
        options["headers"] = merged = self._headers()
        wanted = [(name.decode(), value.decode()) for name, value in headers]
        merged.update(missing_headers(merged, self._client.headers, wanted))
        return options

    def _keep_body(self, request: httpxr.Request) -> None:
        """Send the first request's body with all others: by then, files have been read to the
        end."""
        headers = self._headers()
        headers["content-type"] = request.headers["content-type"]
        self._options["headers"] = headers
        self._options["content"] = request.read()
        self._options.pop("data", None)
        self._options.pop("files", None)


class _SyncConnector(_BaseConnector):
    _body_class = SyncBody

    def __init__(
        self,
        client: httpxr.Client,
        method: str,
        url: URLTypes,
        options: RequestOptions,
        idle_timeout: float | None,
    ) -> None:
        super().__init__(client, method, url, options, idle_timeout)
        self._abort = Abort()

    async def open(self, headers: list[tuple[bytes, bytes]]) -> SyncBody:
        options = self._options_with(headers)
        if options.get("files") is not None:
            self._keep_body(capture(self._client, self._method, self._url, options, None))
            options = self._options_with(headers)
        return SyncBody(open_live(self._client, self._method, self._url, options, self._abort))

    def interrupt(self) -> None:
        self._abort.set()


class _AsyncConnector(_BaseConnector):
    _body_class = AsyncBody

    async def open(self, headers: list[tuple[bytes, bytes]]) -> AsyncBody:
        options = self._options_with(headers)
        if options.get("files") is not None:
            self._keep_body(await acapture(self._client, self._method, self._url, options, None))
            options = self._options_with(headers)
        return AsyncBody(await aopen_live(self._client, self._method, self._url, options))
