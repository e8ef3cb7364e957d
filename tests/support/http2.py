"""A server that speaks HTTP/2 over TLS, scripted for each stream, and remembers what came.

```python
def handle(stream: Stream) -> None:  # in a thread of its own
    stream.respond()
    stream.event("1")
    stream.wait_reset(5)

with Http2Server(tls.server_context, handle) as server:
    client = httpx.Client(http2=True, verify=tls.client_context)
    ...
    assert server.streams[0].reset_code == ErrorCodes.CANCEL
```
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from typing_extensions import Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

__all__ = ["ErrorCodes", "Http2Connection", "Http2Server", "Stopped", "Stream"]

_MAX_UNSENT: Final = 256 * 1024  # bytes, then a handler waits
_EVENT_STREAM: Final = (("content-type", "text/event-stream"),)


class Stopped(Exception):
    """The stream was reset, or its connection is over: the handler has nobody to talk to."""


class Stream:
    """One request, and the answer to it. Its methods raise `Stopped` when the client has left."""

    def __init__(self, connection: Http2Connection, id_: int, headers: dict[str, str]) -> None:
        self.connection: Final = connection
        self.id: Final = id_
        self.headers: Final = headers
        self.path: Final = headers[":path"]
        self.opened_at: Final = time.monotonic()
        self.sent = 0
        """Bytes of the body that were sent."""
        self.reset_code: int | None = None
        self.reset_at: float | None = None
        self._is_over = threading.Event()
        self._has_request = threading.Event()

    def respond(
        self,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = _EVENT_STREAM,
        *,
        end: bool = False,
    ) -> None:
        with self.connection.state() as state:
            self._check()
            state.send_headers(self.id, [(":status", str(status)), *headers], end_stream=end)

    def inform(self, status: int = 103) -> None:
        """Send an interim answer."""
        with self.connection.state() as state:
            self._check()
            state.send_headers(self.id, [(":status", str(status))])

    def send(self, data: bytes, *, end: bool = False) -> None:
        """Send data, as soon as the flow-control windows let it pass."""
        while True:
            with self.connection.state() as state:
                self._check()
                size = min(
                    len(data),
                    state.local_flow_control_window(self.id),
                    state.max_outbound_frame_size,
                )
                if size or not data:
                    state.send_data(self.id, data[:size], end_stream=end and size == len(data))
                    self.sent += size
                data = data[size:]
                if not data:
                    return
                if not size:
                    self.connection.changed.wait(0.1)

    def event(self, data: str) -> None:
        self.send(b"data: %b\n\n" % data.encode())

    def end(self) -> None:
        with self.connection.state() as state:
            self._check()
            state.end_stream(self.id)

    def reset(self, code: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        with self.connection.state() as state:
            self._check()
            state.reset_stream(self.id, code)
        self._is_over.set()

    def wait_reset(self, timeout: float) -> bool:
        """Wait until the client has reset the stream; return whether it did."""
        self._is_over.wait(timeout)
        return self.reset_code is not None

    def wait_over(self, timeout: float) -> bool:
        """Wait until the stream was reset, or its connection is over."""
        return self._is_over.wait(timeout)

    def wait_request(self, timeout: float) -> bool:
        """Wait until the whole request has come."""
        return self._has_request.wait(timeout)

    def _check(self) -> None:
        if self._is_over.is_set():
            raise Stopped

    def on_reset(self, code: int) -> None:
        self.reset_code = code
        self.reset_at = time.monotonic()
        self._is_over.set()

    def on_connection_over(self) -> None:
        self._is_over.set()

    def on_request(self) -> None:
        self._has_request.set()


class _State:
    """The connection's state while it is held by one thread; what it made is sent at the end."""

    def __init__(self, connection: Http2Connection, h2_state: H2Connection) -> None:
        self._connection = connection
        self._h2_state = h2_state

    def __enter__(self) -> H2Connection:
        self._connection.changed.acquire()
        return self._h2_state

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._connection.flush()
        finally:
            self._connection.changed.release()
        if isinstance(exc, ProtocolError):  # it was reset in between, or the connection is over
            raise Stopped from exc


class Http2Connection:
    """One connection of a client."""

    def __init__(self, server: Http2Server, sock: socket.socket) -> None:
        self._server = server
        self._socket = sock
        self._h2_state = H2Connection(
            H2Configuration(
                client_side=False, header_encoding="utf-8", validate_outbound_headers=False
            )
        )
        self.changed: Final = threading.Condition(threading.RLock())
        self.streams: Final[dict[int, Stream]] = {}
        self.is_over = False
        self._unsent = bytearray()
        self.terminated_with: int | None = None
        """The error code of the client's GOAWAY."""

    def state(self) -> _State:
        return _State(self, self._h2_state)

    def flush(self) -> None:
        self.send_raw(self._h2_state.data_to_send())

    def send_raw(self, data: bytes) -> None:
        """Send these bytes, in one segment if they are few."""
        with self.changed:
            self._unsent += data
            self._pump()
            while len(self._unsent) > _MAX_UNSENT and not self.is_over:
                self.changed.wait(0.005)
                self._pump()

    def _pump(self) -> None:
        while self._unsent and not self.is_over:
            try:
                # A copy, which is what TLS wants to have again if it could not be sent at once.
                sent = self._socket.send(bytes(self._unsent[:65536]))
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                return
            except OSError:
                self._over()
                return
            del self._unsent[:sent]

    def goaway(
        self,
        last_stream_id: int = 2**31 - 1,
        code: ErrorCodes = ErrorCodes.NO_ERROR,
        behind: bytes = b"",
    ) -> None:
        """Send a GOAWAY frame as such, with other frames right behind it."""
        payload = last_stream_id.to_bytes(4, "big") + int(code).to_bytes(4, "big")
        self.send_raw(frame(7, 0, 0, payload) + behind)

    def abort(self) -> None:
        """Close the connection without a word."""
        with self.changed:
            self._over()

    def _over(self) -> None:
        self.is_over = True
        self.changed.notify_all()
        for stream in self.streams.values():
            stream.on_connection_over()
        # By a shutdown and not a close, since the reading thread has it.
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            pass

    def serve(self) -> None:
        try:
            self._socket.setblocking(False)
            with self.state() as state:
                state.local_settings = Settings(
                    client=False,
                    initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: self._server.max_streams},
                )
                state.initiate_connection()
                state.increment_flow_control_window(2**30)
            while not self.is_over:
                self._receive()
        finally:
            with self.changed:
                self._over()
            self._socket.close()

    def _receive(self) -> None:
        with self.changed:
            try:
                data = b"" if self.is_over else self._socket.recv(65536)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                data = None
            except OSError:
                data = b""
            if data == b"":
                self._over()
            elif data is not None:
                try:
                    events = self._h2_state.receive_data(data)
                except ProtocolError as error:
                    self._server.errors.append(error)
                    self._over()
                    return
                finally:
                    self.flush()
                for event in events:
                    self._handle(event)
                self.changed.notify_all()
            self._pump()
        if data is None:
            self._wait()

    def _wait(self) -> None:
        try:
            select.select([self._socket], [self._socket] if self._unsent else [], [], 0.05)
        except (OSError, ValueError):  # closed by then
            pass

    def _handle(self, event: object) -> None:
        if isinstance(event, RequestReceived):
            id_ = event.stream_id
            assert id_ is not None
            assert event.headers is not None
            stream = Stream(self, id_, {_text(name): _text(value) for name, value in event.headers})
            self.streams[id_] = stream
            self._server.begin(stream)
        elif isinstance(event, DataReceived):
            assert event.stream_id is not None
            assert event.flow_controlled_length is not None
            self._h2_state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()
        elif isinstance(event, StreamEnded):
            assert event.stream_id is not None
            self.streams[event.stream_id].on_request()
        elif isinstance(event, StreamReset):
            assert event.stream_id is not None
            assert event.error_code is not None
            if event.remote_reset:
                self.streams[event.stream_id].on_reset(int(event.error_code))
        elif isinstance(event, WindowUpdated):
            if event.stream_id == 0:
                assert event.delta is not None
                self._server.connection_window_updates.append(event.delta)
        elif isinstance(event, ConnectionTerminated):
            self.terminated_with = int(event.error_code or 0)


class Http2Server:
    """Accepts connections, and calls ``handle`` for each request, in a thread of its own.

    Without a TLS context it expects clients that know beforehand that it speaks HTTP/2.

    Attributes:
        streams: All requests, as they came.
        connections: All connections.
        errors: What the client did against the protocol.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None,
        handle: Callable[[Stream], None],
        *,
        max_streams: int = 100,
    ) -> None:
        self._context = None if context is None else _for_http2(context)
        self._handle = handle
        self.max_streams: Final = max_streams
        self.streams: Final[list[Stream]] = []
        self.connections: Final[list[Http2Connection]] = []
        self.connection_window_updates: Final[list[int]] = []
        self.errors: Final[list[Exception]] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads: list[threading.Thread] = []
        self._is_over = False
        self._changed = threading.Condition()

    def url(self, path: str = "/") -> str:
        port: int = self._listener.getsockname()[1]
        scheme = "http" if self._context is None else "https"
        return f"{scheme}://127.0.0.1:{port}{path}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over = True
        socket.create_connection(self._listener.getsockname()).close()  # for `accept` to return
        for connection in self.connections:
            connection.abort()
        deadline = time.monotonic() + 20
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), f"the server's {thread.name} did not end"
        self._listener.close()
        if exc is None:
            assert not self.errors, self.errors

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until a condition holds; return whether it does."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def stream(self, path: str, timeout: float = 5.0) -> Stream:
        """Return the first request for a path, as soon as it has come."""
        assert self.wait_for(lambda: any(stream.path == path for stream in self.streams), timeout)
        return next(stream for stream in self.streams if stream.path == path)

    def begin(self, stream: Stream) -> None:
        self.streams.append(stream)
        self._start(lambda: self._run(stream))

    def _run(self, stream: Stream) -> None:
        try:
            self._handle(stream)
        except Stopped:
            pass
        except Exception as error:
            self.errors.append(error)

    def _accept(self) -> None:
        while not self._is_over:
            sock, _ = self._listener.accept()
            self._start(lambda sock=sock: self._serve(sock))  # type: ignore[misc]

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
        except OSError:  # the client went away, or it is the one that ends `accept`
            sock.close()
            return
        connection = Http2Connection(self, sock)
        self.connections.append(connection)
        if self._is_over:
            connection.abort()
        connection.serve()

    def _start(self, function: Callable[[], object]) -> None:
        thread = threading.Thread(target=function, daemon=True)
        self._threads.append(thread)
        thread.start()


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return a frame (RFC 9113, 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big")
    return head + payload


def data_frame(stream_id: int, data: bytes) -> bytes:
    """Return a DATA frame (RFC 9113, 6.1)."""
    return frame(0, 0, stream_id, data)


def _for_http2(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_alpn_protocols(["h2"])
    return context


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
