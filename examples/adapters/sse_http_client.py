"""Live Server-Sent Events on the standard library's http.client."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, InvalidURL
from typing import TYPE_CHECKING, TypedDict

import sse_adapter
from sse_adapter import Body, Connector, SSEError, Subscription, SyncWaiter, split_options

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["EventSource", "SSEError", "connect_sse", "subscribe"]

HEADERS = {"accept": "text/event-stream", "cache-control": "no-store"}


class RequestOptions(TypedDict, total=False):
    headers: Mapping[str, str]
    body: bytes | str | None


class ConnectOptions(sse_adapter.ConnectOptions, RequestOptions, total=False):
    """What `connect_sse` takes."""


class SubscribeOptions(sse_adapter.SubscribeOptions, RequestOptions, total=False):
    """What `subscribe` takes."""


class ClientBody(Body[HTTPResponse]):
    is_async = False
    _is_whole = False  # read to its end, so the connection can be reused

    def __init__(self, response: HTTPResponse, connection: HTTPConnection, sock: socket.socket):
        super().__init__(response)
        self._connection, self._sock = connection, sock

    @property
    def status_code(self) -> int:
        return self.response.status

    @property
    def headers(self) -> list[tuple[str, str]]:
        return self.response.getheaders()

    async def read(self, seconds: float | None) -> bytes | None:
        if seconds is not None:
            self._sock.settimeout(max(seconds, 0.001))  # 0 would mean "do not wait"
        if chunk := self.response.read1(65536):  # whatever has arrived, without waiting for more
            return chunk
        if self.response.length:  # bytes are missing; http.client does not say so
            raise IncompleteRead(b"", self.response.length)
        self._is_whole = True
        return None

    async def close(self) -> None:
        if not self._is_whole:
            self._connection.close()
        self.response.close()  # this may be what holds the socket

    def interrupt(self) -> None:
        with suppress(OSError):  # already closed
            # Not SSLSocket.shutdown, which would take the TLS from under the read.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


class ClientConnector(Connector[HTTPResponse]):
    lost_errors = (OSError, HTTPException)
    futile_errors = (InvalidURL, ssl.SSLCertVerificationError)

    def __init__(self, connection: HTTPConnection, method: str, url: str, options: RequestOptions):
        self._connection, self._request = connection, (method, url, options.get("body"))
        self._headers = {name.lower(): text for name, text in options.get("headers", {}).items()}

    async def open(self, headers: list[tuple[bytes, bytes]]) -> ClientBody:
        return self.send({name.decode(): value for name, value in headers})

    def send(self, headers: Mapping[str, str | bytes]) -> ClientBody:
        try:
            self._connection.request(*self._request, {**headers, **self._headers})
            sock = self._connection.sock  # the response takes it if the server will close it
            return ClientBody(self._connection.getresponse(), self._connection, sock)
        except BaseException:
            self._connection.close()  # useless until this response has come
            raise


class EventSource(sse_adapter.EventSource[HTTPResponse]):
    """The events of a response."""


@contextmanager
def connect_sse(
    connection: HTTPConnection, method: str, url: str, **options: Unpack[ConnectOptions]
) -> Generator[EventSource, None, None]:
    """Open an event stream; close it when you leave the ``with`` block."""
    own, request = split_options("connect_sse", options, sse_adapter.ConnectOptions, RequestOptions)
    body = ClientConnector(connection, method, url, request).send(HEADERS)
    with closing(EventSource(body, **own)) as source:
        yield source


@contextmanager
def subscribe(
    connection: HTTPConnection, method: str, url: str, **options: Unpack[SubscribeOptions]
) -> Generator[Subscription[HTTPResponse], None, None]:
    """Iterate over the events of a stream; connect again whenever it is lost."""
    own, request = split_options("subscribe", options, sse_adapter.SubscribeOptions, RequestOptions)
    connector = ClientConnector(connection, method, url, request)
    with closing(Subscription(connector, SyncWaiter(), own, method=method, url=url)) as events:
        yield events
