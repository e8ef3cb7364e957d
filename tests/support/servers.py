"""`RawServer` is sse_testing's server whose handlers decide about every byte; `ProxyServer` is a
forward proxy on the same sockets and threads.
"""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import trustme

from sse_testing._http import (
    POLL,
    RECEIVE_SIZE,
    ClientGone,
    Connection,
    Exchange,
    Handler,
    Head,
    RequestReader,
    Server,
    head_bytes,
    send_all,
)
from sse_testing._http import HandlerServer as RawServer

__all__ = ["Exchange", "Handler", "ProxyServer", "RawServer", "TlsFiles", "tls_contexts"]


class ProxyServer(Server):
    """An HTTP forward proxy: absolute-URI requests and CONNECT tunnels.

    Bytes pass both ways as they come. When the client goes away, the upstream connection is
    closed at once. A client connection carries one request, or one tunnel.
    """

    def __init__(self, *, auth: tuple[str, str] | None = None, port: int = 0) -> None:
        super().__init__(port=port)
        self.targets: Final[list[str]] = []  # accepted request-targets: URL, or host:port (CONNECT)
        self.refused: Final[list[str]] = []  # those answered with 407
        self._credentials: str | None = None
        if auth is not None:
            self._credentials = base64.b64encode(":".join(auth).encode()).decode()

    def _serve(self, connection: Connection) -> None:
        reader = RequestReader(connection)
        head = reader.head()
        if head is None:
            return
        if not self._authorized(head):
            self.refused.append(head.target)
            self._refuse(connection, 407, ("Proxy-Authenticate", 'Basic realm="tests"'))
            return
        self.targets.append(head.target)
        is_tunnel = head.method == "CONNECT"
        url = urlsplit(f"//{head.target}" if is_tunnel else head.target)
        try:
            upstream = socket.create_connection((url.hostname, url.port or 80), timeout=5)
        except OSError:
            self._refuse(connection, 502)
            return
        with upstream:
            upstream.settimeout(POLL)
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if is_tunnel:
                connection.transmit(b"HTTP/1.1 200 Connection established\r\n\r\n")
            opening = b"" if is_tunnel else _forwarded_head(head)
            self._relay(connection, upstream, opening + reader.rest())

    def _authorized(self, head: Head) -> bool:
        if self._credentials is None:
            return True
        scheme, _, credentials = (head.header("proxy-authorization") or "").partition(" ")
        return scheme.lower() == "basic" and credentials == self._credentials

    def _refuse(self, connection: Connection, status: int, *headers: tuple[str, str]) -> None:
        ending = (("Content-Length", "0"), ("Connection", "close"))
        connection.transmit(head_bytes(status, (*headers, *ending)))

    def _relay(self, connection: Connection, upstream: socket.socket, opening: bytes) -> None:
        """Pass bytes both ways until the client or this server goes."""
        pump = threading.Thread(
            target=self._pump,
            args=(upstream, connection),
            name=f"{self!r} upstream of connection {connection.number}",
            daemon=True,
        )
        pump.start()
        data = opening
        try:
            while True:
                send_all(upstream, data, lambda: connection.gone)
                data = connection.receive()
                if not data:
                    break
        except ClientGone:
            connection.wait_gone(None)  # upstream takes no more, but may still be answering
        finally:
            try:
                upstream.shutdown(socket.SHUT_RDWR)  # at once, and it wakes the pump
            except OSError:
                pass
            pump.join()

    def _pump(self, upstream: socket.socket, connection: Connection) -> None:
        """Pass on what the upstream sends; its FIN and RST too."""
        try:
            while not connection.gone:
                try:
                    data = upstream.recv(RECEIVE_SIZE)
                except TimeoutError:
                    continue
                except OSError:
                    connection.reset()
                    return
                if not data:
                    connection.finish()
                    return
                connection.transmit(data)
        except ClientGone:
            pass
        except BaseException as error:
            self.errors.append(error)
            connection.reset()


def _forwarded_head(head: Head) -> bytes:
    """Build the upstream's request: path only, no proxy headers, one request per connection."""
    url = urlsplit(head.target)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    dropped = ("connection", "proxy-connection", "proxy-authorization")
    headers = [(name, value) for name, value in head.headers if name not in dropped]
    # The upstream repeats it in its response, so the client does not reuse its connection either.
    headers.append(("connection", "close"))
    lines = [f"{head.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class TlsFiles(NamedTuple):
    """A server's context, for 127.0.0.1 and localhost, and the authority that a client trusts."""

    server_context: ssl.SSLContext
    ca_pem: Path


def tls_contexts(directory: Path) -> TlsFiles:
    """Make a certificate authority and a certificate signed by it; ``directory`` gets the CA."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    # Its other parameter type is pyOpenSSL's, which is not installed.
    leaf.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    ca_pem = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_pem))
    return TlsFiles(context, ca_pem)
