"""An HTTP server with exact control over the bytes, for tests of clients that stream.

`HandlerServer` lets a handler write any response byte by byte, break it, and learn when the client
went away. It binds 127.0.0.1 only, speaks HTTP/1.1 only, and leaves no thread and no socket behind.

How it works: one I/O thread per server accepts and does all the receiving, so that a client's
close is seen at once, whatever a handler is doing at that time (it may sleep, or write). Each
connection has a worker thread that takes the received bytes, runs the handlers and does all the
writing. Nothing but the I/O thread touches the selector or closes a connection's socket.
"""

from __future__ import annotations

import os
import queue
import selectors
import socket
import ssl
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Final,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeVar,
    final,
    overload,
)
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "POLL",
    "RECEIVE_SIZE",
    "ClientGone",
    "Connection",
    "Exchange",
    "Handler",
    "HandlerServer",
    "Head",
    "Headers",
    "RequestReader",
    "Server",
    "head_bytes",
    "send_all",
]

Headers: TypeAlias = Iterable[tuple[str, str]]
# An int is the Content-Length in bytes; "close" means that the end of the connection ends the body.
Framing: TypeAlias = Literal["chunked", "close"] | int

_T = TypeVar("_T")

_HOST: Final = "127.0.0.1"
RECEIVE_SIZE: Final = 65_536
# Seconds a blocked write waits before checking again whether the client or the server has gone.
POLL: Final = 0.05
# Seconds a server waits for its handlers at exit; a handler that needs more is a bug in the test.
_STOP_TIMEOUT: Final = 5.0
# SO_LINGER's struct has two ints on POSIX and two shorts on Windows.
_LINGER_ZERO: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class ClientGone(ConnectionResetError):
    """The client has left, or the server stops: ends a handler, and is not a test failure."""


def send_all(sock: socket.socket, data: bytes, gone: Callable[[], bool]) -> None:
    """Write ``data`` to a socket with a short timeout, until ``gone`` says that it is no use."""
    view = memoryview(data)
    while view:
        if gone():
            raise ClientGone("the other side has gone")
        try:
            view = view[sock.send(view) :]
        except TimeoutError:
            continue  # the peer does not read: only its end or ours gets us out
        except OSError as error:
            raise ClientGone(f"write failed: {error}") from error


@final
class Connection:
    """One accepted TCP connection, shared by the I/O thread and its worker.

    Reset, finish and release may be called from any thread, and more than once.
    """

    def __init__(
        self, sock: socket.socket, number: int, release: Callable[[Connection], None]
    ) -> None:
        self.sock: Final = sock
        self.number: Final = number
        # time.perf_counter() when the client's FIN or RST was seen; set once.
        self.closed_at: float | None = None
        # True once our side has given up the connection: by a reset, a stop or a release.
        self.over = False
        # Set when the socket is closed, so that `reset` returns after its RST has left.
        self.released: Final = threading.Event()
        self._release: Final = release
        self._changed: Final = threading.Condition()
        self._inbox = bytearray()  # received, not yet taken by the worker

    @property
    def gone(self) -> bool:
        return self.over or self.closed_at is not None

    # -- called by the I/O thread ---------------------------------------------------------------

    def deliver(self, data: bytes) -> None:
        with self._changed:
            self._inbox += data
            self._changed.notify_all()

    def mark_closed(self, when: float) -> None:
        with self._changed:
            if self.closed_at is None and not self.over:
                self.closed_at = when
            self._changed.notify_all()

    def abandon(self) -> None:
        """Wake every thread that waits for this connection: it is over."""
        with self._changed:
            self.over = True
            self._changed.notify_all()

    # -- called by workers, handlers and tests --------------------------------------------------

    def receive(self) -> bytes:
        """Wait for bytes and take all there are; ``b""`` once the client or the server is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._inbox or self.gone)
            data = bytes(self._inbox)
            self._inbox.clear()
            return b"" if self.over else data

    def transmit(self, data: bytes) -> None:
        try:
            send_all(self.sock, data, lambda: self.gone)
        except ClientGone:
            # A failed write may notice before the I/O thread, which would be too late.
            self.mark_closed(time.perf_counter())
            raise

    def wait_gone(self, timeout: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.gone, timeout)

    def finish(self) -> None:
        """Send FIN; what the client sends is still received, so its close is still seen."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the client was faster, or a reset

    def reset(self) -> None:
        """Send RST and drop what the client has not yet received."""
        with suppress(OSError):  # closed already
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.release()
        self.released.wait(_STOP_TIMEOUT)

    def release(self) -> None:
        self.abandon()
        self._release(self)


class _Link(Protocol):
    """What carries the HTTP bytes: the connection itself, or TLS over it."""

    def receive(self) -> bytes: ...
    def transmit(self, data: bytes) -> None: ...
    def finish(self) -> None: ...


@final
class _TlsLink:
    """TLS without I/O over a connection.

    ``ssl.SSLSocket`` does not fit: here one thread receives while another writes, and OpenSSL
    objects allow one caller at a time.
    """

    def __init__(self, connection: Connection, context: ssl.SSLContext) -> None:
        self._connection: Final = connection
        self._incoming: Final = ssl.MemoryBIO()
        self._outgoing: Final = ssl.MemoryBIO()
        self._tls: Final = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        # Held while OpenSSL works and while its records are written: their order is part of TLS.
        self._lock: Final = threading.Lock()

    def handshake(self) -> None:
        self._exchange(lambda: self._tls.do_handshake())

    def receive(self) -> bytes:
        # SSLObject.read returns b"" after the client's close_notify.
        return self._exchange(lambda: self._tls.read(RECEIVE_SIZE)) or b""

    def transmit(self, data: bytes) -> None:
        view = memoryview(data)
        with self._lock:
            while view:
                view = view[self._tls.write(view) :]
            self._flush()

    def finish(self) -> None:
        """Send close_notify, then FIN."""
        with self._lock:
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                pass  # our close_notify is written; nobody waits for the client's
            with suppress(ClientGone):
                self._flush()
        self._connection.finish()

    def _exchange(self, operation: Callable[[], _T]) -> _T | None:
        """Run ``operation``, feeding it what the client sends; None when the client has left."""
        while True:
            with self._lock:
                try:
                    return operation()
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:  # an alert: the client refuses our certificate
                    raise ClientGone(str(error)) from error
                finally:
                    self._flush()
            data = self._connection.receive()
            if not data:
                return None
            with self._lock:
                self._incoming.write(data)

    def _flush(self) -> None:
        self._connection.transmit(self._outgoing.read())


class Head(NamedTuple):
    """Request line and headers; names in lower case, order and duplicates kept."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), None)

    @classmethod
    def parse(cls, block: bytes) -> Head:
        request_line, *lines = block.decode("latin-1").split("\r\n")
        method, target, version = request_line.split(" ")
        pairs = (line.partition(":") for line in lines)
        return cls(method, target, version, [(k.lower(), v.strip()) for k, _, v in pairs])


@final
class RequestReader:
    """Cuts the bytes of one connection into requests."""

    def __init__(self, link: _Link) -> None:
        self._link: Final = link
        self._buffer = bytearray()

    def head(self) -> Head | None:
        """Wait for the next request; None when the client closes between two requests."""
        while not self._buffer:
            if not self._fill():
                return None
        return Head.parse(self._until(b"\r\n\r\n"))

    def body(self, head: Head) -> bytes:
        if "chunked" in (head.header("transfer-encoding") or ""):
            return self._chunked_body()
        return self._exactly(int(head.header("content-length") or 0))

    def rest(self) -> bytes:
        """Take what has arrived after the last head."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def _chunked_body(self) -> bytes:
        body = bytearray()
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            body += self._exactly(size)
            self._until(b"\r\n")
        while self._until(b"\r\n"):
            pass  # trailers
        return bytes(body)

    def _until(self, end: bytes) -> bytes:
        while (at := self._buffer.find(end)) < 0:
            self._require()
        data = self._exactly(at)
        del self._buffer[: len(end)]
        return data

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._require()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _require(self) -> None:
        if not self._fill():
            raise ClientGone("the client left in the middle of a request")

    def _fill(self) -> bool:
        data = self._link.receive()
        self._buffer += data
        return bool(data)


def head_bytes(status: int, headers: Headers) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _wants_close(head: Head) -> bool:
    connection = (head.header("connection") or "").lower()
    return "close" in connection or (head.version == "HTTP/1.0" and "keep-alive" not in connection)


@final
class Exchange:
    """One request and the means to answer it, handed to a handler in the connection's thread.

    A handler that returns without a response closes the connection; one that returns within a
    chunked body ends that body properly. All methods may be called from any thread, so a test may
    park the handler (`wait_closed`) and write from its own thread. Every write raises a
    ``ConnectionResetError`` once the client has gone or the server stops; a handler need not catch
    it. A client that has sent its FIN counts as gone: half-closed clients are not served.
    """

    def __init__(self, head: Head, body: bytes, link: _Link, connection: Connection) -> None:
        self.method: Final = head.method
        self.target: Final = head.target  # path and query, as sent
        self.headers: Final = head.headers  # lower-cased names, order and duplicates kept
        self.body: Final = body
        self.connection: Final = connection.number  # 1 for the server's first TCP connection
        self.received_at: Final = time.perf_counter()
        self._head: Final = head
        self._link: Final = link
        self._connection: Final = connection
        # Response state. "head": nothing sent by `start`; "body": `send` is allowed;
        # "done": complete; "broken": reset or truncated, the connection must not be used again.
        self._state: Literal["head", "body", "done", "broken"] = "head"
        self._framing: Framing = "close"
        self._remaining = 0  # bytes that an int framing still promises
        self._bodyless = False  # HEAD, 204, 304: what a handler sends as body is dropped
        self._keep_alive = not _wants_close(head)

    def __repr__(self) -> str:
        return f"<Exchange {self.method} {self.target} on connection {self.connection}>"

    @property
    def path(self) -> str:
        """The path of the target, without query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters of the query, by their names."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    def header(self, name: str) -> str | None:
        """Return the first value of a request header, or None."""
        return self._head.header(name)

    def header_values(self, name: str) -> list[str]:
        """Return all values of a request header, in their order."""
        return [value for key, value in self.headers if key == name.lower()]

    # -- a response, step by step ---------------------------------------------------------------

    def start(
        self,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        *,
        content_type: str | None = "text/event-stream",
        framing: Literal["chunked", "close"] | int = "chunked",
    ) -> None:
        """Send status line and headers; ``content_type=None`` leaves that header out."""
        self._transmit(self._open(status, headers, content_type, framing))

    def send(self, data: bytes) -> float:
        """Send ``data`` at once, as one chunk if the body is chunked; nothing if it is empty.

        Returns:
            ``time.perf_counter()`` right before the bytes went out.
        """
        if self._state != "body":
            raise RuntimeError(f"send() needs a started, unfinished response: {self._state}")
        if self._bodyless:
            return time.perf_counter()
        if isinstance(self._framing, int):
            if len(data) > self._remaining:
                raise ValueError(f"{len(data)} bytes exceed what remains: {self._remaining} bytes")
            self._remaining -= len(data)
        if self._framing == "chunked" and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        return self._transmit(data)

    def send_raw(self, data: bytes) -> float:
        """Send bytes without framing, in any state: malformed responses and chunks."""
        return self._transmit(data)

    def end(self) -> None:
        """Complete the body: terminating chunk, or FIN if the connection's end is the body's."""
        if self._state != "body" or self._remaining:
            raise RuntimeError(f"nothing to end: {self._state}, {self._remaining} bytes missing")
        self._state = "done"
        if self._framing == "chunked" and not self._bodyless:
            self._transmit(b"0\r\n\r\n")
        elif self._framing == "close":
            self._link.finish()

    def respond(
        self,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        content_type: str | None = "text/plain",
    ) -> None:
        """Send a complete response with Content-Length, in one write."""
        head = self._open(status, headers, content_type if body else None, len(body))
        self._transmit(head if self._bodyless else head + body)
        self._remaining = 0
        self._state = "done"

    # -- faults ---------------------------------------------------------------------------------

    def reset(self) -> None:
        """Send RST."""
        self._state = "broken"
        self._connection.reset()

    def truncate(self) -> None:
        """Send FIN in the middle of the body; over TLS without close_notify."""
        self._state = "broken"
        self._connection.finish()

    # -- the client's end -----------------------------------------------------------------------

    def wait_closed(self, timeout: float) -> float | None:
        """Wait until the client has closed the connection.

        Returns:
            ``time.perf_counter()`` when its FIN or RST was seen; None if it was not seen in
            ``timeout`` seconds, or if the server stopped or reset the connection first.
        """
        self._connection.wait_gone(timeout)
        return self._connection.closed_at

    def stalled(self, seconds: float | None) -> bool:
        """Sleep; return True, at once, when the client has gone or the server stops.

        Args:
            seconds: ``None``: until then.
        """
        return self._connection.wait_gone(seconds)

    # -- for the server -------------------------------------------------------------------------

    def conclude(self) -> bool:
        """Do what the handler left undone; return whether the connection may be reused."""
        if self._connection.gone or self._state == "broken":
            return False
        if self._state == "body" and not self._remaining:
            self.end()
        if self._state == "done" and self._keep_alive:
            return True
        if self._state != "body":  # in a body that was cut short, only FIN tells the truth
            self._link.finish()
        return False

    def fail(self, error: BaseException) -> None:
        """Let the client know that the handler failed, as far as the response's state allows."""
        if self._state == "head":
            self._keep_alive = False
            self.respond(500, body=f"handler failed: {error!r}".encode())
        else:
            self.reset()

    def _open(
        self, status: int, headers: Headers, content_type: str | None, framing: Framing
    ) -> bytes:
        if self._state != "head":
            raise RuntimeError(f"the response has been started: {self._state}")
        fields = [] if content_type is None else [("Content-Type", content_type)]
        fields += headers
        without_body = status < 200 or status in (204, 304)
        if framing == "close":
            self._keep_alive = False
        elif framing == "chunked" and not without_body:
            fields.append(("Transfer-Encoding", "chunked"))
        elif not without_body:
            fields.append(("Content-Length", str(framing)))
        if any(k.lower() == "connection" and v.lower() == "close" for k, v in fields):
            self._keep_alive = False
        elif not self._keep_alive:
            fields.append(("Connection", "close"))
        self._state = "body"
        self._framing = framing
        self._bodyless = without_body or self.method == "HEAD"
        self._remaining = framing if isinstance(framing, int) and not self._bodyless else 0
        return head_bytes(status, fields)

    def _transmit(self, data: bytes) -> float:
        now = time.perf_counter()
        self._link.transmit(data)
        return now


Handler: TypeAlias = Callable[[Exchange], object]
_HandlerT = TypeVar("_HandlerT", bound=Handler)


class Server(ABC):
    """Sockets and threads; a subclass defines in `_serve` what a connection does."""

    scheme = "http"

    def __init__(self, *, port: int = 0) -> None:
        self.port = port  # 0 until the server is entered, then the real one
        self.errors: Final[list[BaseException]] = []  # what handlers raised, oldest first
        self._accepted: Final[list[Connection]] = []
        self._arrived: Final = threading.Condition()  # a connection or a request is new
        self._workers: Final[list[threading.Thread]] = []
        self._to_release: Final[queue.SimpleQueue[Connection]] = queue.SimpleQueue()
        self._stopping: Final = threading.Event()
        self._deaf: Final = threading.Event()  # no connection is accepted any more
        self._quit: Final = threading.Event()  # the I/O thread may end
        self._live: Final[set[Connection]] = set()  # the I/O thread's own
        self._io: threading.Thread | None = None

    def __enter__(self) -> Self:
        # Opened here, not in __init__: a server that is never entered has nothing to close.
        self._listener = socket.create_server((_HOST, self.port), backlog=512)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._io = threading.Thread(target=self._io_loop, name=f"{self!r} I/O", daemon=True)
        self._io.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        caused = list(self.errors)  # before the stop, so that did not cause any of them
        hung = self.stop()
        if exc is None:
            caused = self.errors
        elif not isinstance(exc, Exception):
            return  # do not hide Ctrl-C or pytest.skip
        if caused:
            raise caused[0]
        if hung and exc is None:
            raise AssertionError(f"handlers still run {_STOP_TIMEOUT} s after the stop: {hung}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url()}>"

    @property
    def connections(self) -> int:
        """How many TCP connections have been accepted."""
        return len(self._accepted)

    @property
    def open_connections(self) -> int:
        """How many of them the client has not closed and the server has not reset.

        Connections that the server has shut down on its side count until the client follows.
        """
        return sum(not connection.gone for connection in tuple(self._accepted))

    def url(self, path: str = "/") -> str:
        """Return the URL of a path."""
        return f"{self.scheme}://{_HOST}:{self.port}{path}"

    def wait_for_close(self, timeout: float) -> float:
        """Wait until the client has closed the newest connection, or the first if there is none
        yet.

        Returns:
            ``time.perf_counter()`` when its FIN or RST was seen.
        """
        deadline = time.perf_counter() + timeout
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._accepted, timeout):
                raise AssertionError(f"no connection in {timeout} s")
            newest = self._accepted[-1]
        newest.wait_gone(deadline - time.perf_counter())
        if newest.closed_at is None:
            raise AssertionError(f"connection {newest.number} not closed in {timeout} s")
        return newest.closed_at

    def stop(self) -> list[str]:
        """Close everything and end the threads; return the names of threads that did not end."""
        io, self._io = self._io, None
        if io is None:
            return []
        deadline = time.perf_counter() + _STOP_TIMEOUT
        self._stopping.set()
        self._wake()
        self._deaf.wait(_STOP_TIMEOUT)  # from here on no worker is added
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.perf_counter()))
        self._quit.set()
        self._wake()
        io.join(_STOP_TIMEOUT)
        return [thread.name for thread in (*self._workers, io) if thread.is_alive()]

    # -- to override ----------------------------------------------------------------------------

    @abstractmethod
    def _serve(self, connection: Connection) -> None:
        """Answer what comes on a connection until it is over."""

    # -- the I/O thread -------------------------------------------------------------------------

    def _io_loop(self) -> None:
        while not self._quit.is_set():
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_reader:
                    self._run_commands()
                else:
                    self._receive(key.data)
        for connection in tuple(self._live):  # left by handlers that hang
            self._close(connection)
        self._selector.close()
        for sock in (self._listener, self._wake_reader, self._wake_writer):
            sock.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # pragma: no cover  # the client has given up, between two calls
            return
        sock.settimeout(POLL)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, len(self._accepted) + 1, self._ask_release)
        self._live.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection)
        with self._arrived:
            self._accepted.append(connection)
            self._arrived.notify_all()
        name = f"{self!r} connection {connection.number}"
        worker = threading.Thread(target=self._work, args=(connection,), name=name, daemon=True)
        self._workers.append(worker)
        worker.start()

    def _receive(self, connection: Connection) -> None:
        if connection not in self._live:
            return  # closed by a command of this same turn
        try:
            data = connection.sock.recv(RECEIVE_SIZE)
        except (
            TimeoutError
        ):  # pragma: no cover  # ready, and then not: the kernel may change its mind
            return
        except OSError:
            data = b""
        now = time.perf_counter()
        if data:
            connection.deliver(data)
            return
        connection.mark_closed(now)
        self._selector.unregister(connection.sock)  # an end of file stays readable for ever

    def _run_commands(self) -> None:
        self._wake_reader.recv(RECEIVE_SIZE)
        while not self._to_release.empty():
            self._close(self._to_release.get())
        if self._stopping.is_set() and not self._deaf.is_set():
            self._selector.unregister(self._listener)
            self._listener.close()
            for connection in self._live:
                connection.abandon()
            self._deaf.set()

    def _close(self, connection: Connection) -> None:
        if connection in self._live:
            self._live.remove(connection)
            if connection.sock in self._selector.get_map():
                self._selector.unregister(connection.sock)
            connection.sock.close()
            connection.released.set()

    def _ask_release(self, connection: Connection) -> None:
        self._to_release.put(connection)
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):  # full: it will wake anyway; closed: the I/O thread has cleaned up
            self._wake_writer.send(b"\0")

    # -- the worker thread of one connection ----------------------------------------------------

    def _work(self, connection: Connection) -> None:
        try:
            self._serve(connection)
        except ClientGone:
            pass
        except BaseException as error:  # malformed HTTP, or a bug of ours
            self.errors.append(error)
            connection.reset()
        connection.finish()
        # Closing now could reset the connection before the client has read everything, and would
        # hide whether and when the client closes its side. A stop ends this wait.
        connection.wait_gone(None)
        connection.release()


def _not_found(exchange: Exchange) -> None:
    exchange.respond(404, body=b"no such route")


class HandlerServer(Server):
    """An HTTP/1.1 server whose handlers decide every byte.

    ```python
    with HandlerServer() as server:
        @server.route("/")
        def stream(exchange: Exchange) -> None:
            exchange.start()
            exchange.send(b"data: 1\\n\\n")
            exchange.reset()
        ...  # a client requests server.url("/")
    ```
    What a handler raises is raised again when the ``with`` block is left; the client gets status
    500, or a reset if the response had begun.
    """

    def __init__(
        self,
        routes: Mapping[str, Handler] | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self.requests: Final[list[Exchange]] = []  # all, in the order of arrival
        self.scheme = "http" if ssl_context is None else "https"
        self._ssl_context: Final = ssl_context
        self._routes: Final = dict(routes or {})

    @overload
    def route(self, path: str, handler: Handler) -> None: ...
    @overload
    def route(self, path: str) -> Callable[[_HandlerT], _HandlerT]: ...
    def route(
        self, path: str, handler: Handler | None = None
    ) -> Callable[[_HandlerT], _HandlerT] | None:
        """Set the handler of a path, at any time; the match ignores the query. Also a decorator."""
        if handler is not None:
            self._routes[path] = handler
            return None

        def decorate(function: _HandlerT) -> _HandlerT:
            self._routes[path] = function
            return function

        return decorate

    def wait_for_request(self, count: int = 1, timeout: float = 5.0) -> Exchange:
        """Wait until ``count`` requests have arrived in all, and return the last of these."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, timeout):
                raise AssertionError(f"{len(self.requests)} of {count} requests in {timeout} s")
            return self.requests[count - 1]

    def _serve(self, connection: Connection) -> None:
        link = self._link(connection)
        reader = RequestReader(link)
        while (head := reader.head()) is not None:
            exchange = Exchange(head, reader.body(head), link, connection)
            with self._arrived:
                self.requests.append(exchange)
                self._arrived.notify_all()
            self._handle(exchange)
            if not exchange.conclude():
                return

    def _link(self, connection: Connection) -> _Link:
        if self._ssl_context is None:
            return connection
        link = _TlsLink(connection, self._ssl_context)
        link.handshake()
        return link

    def _handle(self, exchange: Exchange) -> None:
        try:
            self._routes.get(exchange.path, _not_found)(exchange)
        except ClientGone:
            pass
        except BaseException as error:  # also pytest.fail, which is not an Exception
            self.errors.append(error)
            exchange.fail(error)
