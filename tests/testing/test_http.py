"""What `EventServer` stands on: requests that are none, handlers that hang, answers begun twice."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from sse_testing import EventServer, Exchange
from sse_testing._http import ClientGone, RequestReader, send_all
from tests.support.servers import TlsFiles, tls_contexts

TIMEOUT = 10.0


@pytest.fixture
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return tls_contexts(tmp_path_factory.mktemp("tls"))


def send(server: EventServer, data: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT)
    sock.sendall(data)
    return sock


def test_what_is_no_request_is_reset_and_raised() -> None:
    with pytest.raises(ValueError, match="not enough values"), EventServer() as server:
        with send(server, b"what?\r\n\r\n") as sock, pytest.raises(ConnectionResetError):
            sock.recv(1)


@pytest.mark.parametrize("data", [b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"])
def test_a_client_that_leaves_within_its_request(sse_server: EventServer, data: bytes) -> None:
    send(sse_server, data).close()
    sse_server.wait_for_close(TIMEOUT)
    assert not sse_server.requests


def test_a_chunked_request(sse_server: EventServer) -> None:
    sse_server.route("/", lambda exchange: exchange.respond(299, [("X-Got", exchange.body.hex())]))
    connection = http.client.HTTPConnection("127.0.0.1", sse_server.port, timeout=TIMEOUT)
    connection.request("POST", "/", body=iter([b"ab", b"c"]), encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, response.reason) == (299, "Unknown")
    assert response.headers["X-Got"] == "616263"
    connection.close()
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with send(sse_server, head + b"1;a=b\r\nx\r\n0\r\nTrailer: 1\r\n\r\n") as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 299")
    assert sse_server.requests[1].body == b"x"


class Bytewise:
    """A link on which these bytes come one by one, and then the end."""

    def __init__(self, data: bytes) -> None:
        self._pieces = [data[at : at + 1] for at in range(len(data))]

    def receive(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def transmit(self, data: bytes) -> None:
        raise AssertionError(data)

    def finish(self) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Content-Length: 2", b"ab"),
        (b"Transfer-Encoding: chunked", b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
    ],
)
def test_a_request_may_come_in_pieces(header: bytes, body: bytes) -> None:
    request = b"POST / HTTP/1.1\r\n" + header + b"\r\n\r\n" + body
    reader = RequestReader(Bytewise(request))
    head = reader.head()
    assert head is not None
    assert reader.body(head) == b"ab"
    cut = RequestReader(Bytewise(request[:-1]))
    head = cut.head()
    assert head is not None
    with pytest.raises(ClientGone, match="in the middle of a request"):
        cut.body(head)


def test_misuse_is_told() -> None:
    seen: list[str] = []

    def misuses(exchange: Exchange) -> None:
        def start_twice() -> None:
            exchange.start(framing=5)
            exchange.start()

        for misuse in (
            lambda: exchange.send(b"x"),
            exchange.end,
            start_twice,
            lambda: exchange.send(b"123456"),
            exchange.end,
        ):
            with pytest.raises((RuntimeError, ValueError)) as caught:
                misuse()
            seen.append(str(caught.value))
        exchange.send(b"12345")

    with EventServer() as server:
        server.route("/", misuses)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
        connection.request("GET", "/?a=1&a=2")
        assert connection.getresponse().read() == b"12345"
        connection.close()
        (exchange,) = server.requests
        assert repr(exchange) == "<Exchange GET /?a=1&a=2 on connection 1>"
        assert exchange.query == {"a": ["1", "2"]}
    assert seen == [
        "send() needs a started, unfinished response: head",
        "nothing to end: head, 0 bytes missing",
        "the response has been started: body",
        "6 bytes exceed what remains: 5 bytes",
        "nothing to end: body, 5 bytes missing",
    ]


def test_a_peer_that_does_not_read_for_a_while() -> None:
    received = bytearray()

    def read(sock: socket.socket) -> None:
        time.sleep(0.2)  # many attempts to write
        while data := sock.recv(65_536):
            received.extend(data)

    one, other = socket.socketpair()
    reader = threading.Thread(target=read, args=(other,))
    with one, other:
        one.settimeout(0.01)
        reader.start()
        send_all(one, b"x" * 20_000_000, lambda: False)
        one.shutdown(socket.SHUT_WR)
        reader.join()
    assert len(received) == 20_000_000


def test_a_peer_that_has_gone() -> None:
    one, other = socket.socketpair()
    other.close()
    with one, pytest.raises(ConnectionResetError, match="write failed"):
        send_all(one, b"x" * 1_000_000, lambda: False)


def test_a_head_request_gets_no_body(sse_server: EventServer) -> None:
    def stream(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b"data: x\n\n")

    sse_server.route("/", stream)
    connection = http.client.HTTPConnection("127.0.0.1", sse_server.port, timeout=TIMEOUT)
    for _ in range(2):  # the connection can be used again
        connection.request("HEAD", "/")
        assert connection.getresponse().read() == b""
    connection.close()
    assert sse_server.connections == 1


def test_a_handler_may_close_the_connection(sse_server: EventServer) -> None:
    sse_server.route("/", lambda exchange: exchange.respond(200, [("Connection", "close")], b"x"))
    with send(sse_server, b"GET / HTTP/1.1\r\n\r\n") as sock:
        answer = b"".join(iter(lambda: sock.recv(1000), b""))
    assert answer.count(b"Connection: close") == 1
    assert answer.endswith(b"\r\n\r\nx")


def test_handlers_that_hang_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sse_testing._http._STOP_TIMEOUT", 0.2)
    free = threading.Event()
    server = EventServer()
    server.route("/", lambda _: free.wait(TIMEOUT))
    with server:
        with send(server, b"GET / HTTP/1.1\r\n\r\n"):
            server.wait_for_request()
            with pytest.raises(AssertionError, match=r"handlers still run 0\.2 s after the stop"):
                server.__exit__(None, None, None)
        free.set()


@pytest.fixture
def failing() -> Iterator[EventServer]:
    server = EventServer()
    server.route("/", lambda _: 1 / 0)
    yield server
    server.stop()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_interrupts_a_test_is_not_hidden(
    failing: EventServer, error: type[BaseException]
) -> None:
    raised = KeyboardInterrupt() if error is KeyboardInterrupt else ValueError()
    with failing:
        with send(failing, b"GET / HTTP/1.1\r\n\r\n") as sock:
            assert b"handler failed" in sock.recv(1000)
        if error is KeyboardInterrupt:
            failing.__exit__(KeyboardInterrupt, raised, None)  # which lets it pass
            failing.errors.clear()
        else:
            with pytest.raises(ZeroDivisionError):
                failing.__exit__(ValueError, raised, None)
            failing.errors.clear()


def test_it_stops_once() -> None:
    server = EventServer()
    assert server.stop() == []
    with server:
        pass
    assert server.stop() == []


def test_waiting_in_vain(sse_server: EventServer) -> None:
    with pytest.raises(AssertionError, match=r"0 of 1 requests in 0\.05 s"):
        sse_server.wait_for_request(timeout=0.05)
    with pytest.raises(AssertionError, match="no connection in"):
        sse_server.wait_for_close(0.05)


def test_a_client_that_leaves_within_the_handshake(tls: TlsFiles) -> None:
    with EventServer(ssl_context=tls.server_context) as server:
        assert server.url().startswith("https://127.0.0.1:")
        send(server, b"\x16\x03\x01\x02").close()
        server.wait_for_close(TIMEOUT)
        context = ssl.create_default_context(cafile=str(tls.ca_pem))
        with (
            send(server, b"") as sock,
            context.wrap_socket(sock, server_hostname="localhost") as one,
        ):
            one.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.1 404"
