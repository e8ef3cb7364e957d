"""The test servers themselves, seen by plain sockets and http.client.

A fault that these servers do not really produce, or a close they see late, would make the
adapter's tests pass for the wrong reason.
"""

from __future__ import annotations

import base64
import http.client
import json
import select
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.support import apps
from tests.support.servers import Exchange, ProxyServer, RawServer, TlsFiles, tls_contexts

# Seconds within which a close must be noticed; the servers are usually faster than 1 ms.
PROMPT: Final = 0.05
TIMEOUT: Final = 5.0


@pytest.fixture(autouse=True)
def no_thread_left_over() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return tls_contexts(tmp_path_factory.mktemp("tls"))


def connect(server: RawServer | ProxyServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT)


def request_bytes(target: str = "/", *lines: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: test", *lines, "", ""]).encode()


def receive_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = sock.recv(1)  # no byte beyond ``end``
        assert piece, f"connection ended after {data!r}"
        data += piece
    return data


def receive_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def open_stream(server: RawServer, target: str = "/") -> socket.socket:
    """Request ``target`` and read the head of the response."""
    sock = connect(server)
    try:
        sock.sendall(request_bytes(target))
        receive_until(sock, b"\r\n\r\n")
    except BaseException:
        sock.close()
        raise
    return sock


class Client(http.client.HTTPConnection):
    """Closes its responses, too, which own the socket once the server wants to close."""

    def __init__(self, url: str) -> None:
        super().__init__(urlsplit(url).netloc, timeout=TIMEOUT)
        self._responses: list[http.client.HTTPResponse] = []

    def getresponse(self) -> http.client.HTTPResponse:
        self._responses.append(response := super().getresponse())
        return response

    def close_all(self) -> None:
        self.close()
        for response in self._responses:
            response.close()


@contextmanager
def http_client(url: str) -> Generator[Client]:
    client = Client(url)
    try:
        yield client
    finally:
        client.close_all()


def get(client: Client, target: str) -> http.client.HTTPResponse:
    client.request("GET", target)
    return client.getresponse()


def hold(exchange: Exchange) -> None:
    """Start a stream and leave it to the test."""
    exchange.start()
    exchange.wait_closed(TIMEOUT)


def reset_in_body(exchange: Exchange) -> None:
    exchange.start()
    exchange.stalled(0.02)  # or the RST might overtake the head
    exchange.reset()


def divide_by_zero(exchange: Exchange) -> None:
    assert exchange.method == "GET"
    _ = 1 / 0


# -- RawServer: requests and framing ---------------------------------------------------------------


def test_request_is_recorded_as_sent(server: RawServer) -> None:
    server.route("/a", lambda exchange: exchange.respond(body=exchange.body))
    with http_client(server.url()) as client:
        client.putrequest("POST", "/a?b=1&b=2", skip_accept_encoding=True)
        client.putheader("X-Two", "1")
        client.putheader("x-two", "2")
        client.putheader("Transfer-Encoding", "chunked")
        client.endheaders(iter([b"chunked ", b"body"]), encode_chunked=True)
        assert client.getresponse().read() == b"chunked body"
    (exchange,) = server.requests
    assert (exchange.method, exchange.target, exchange.path) == ("POST", "/a?b=1&b=2", "/a")
    assert exchange.query == {"b": ["1", "2"]}
    assert exchange.headers[1:3] == [("x-two", "1"), ("x-two", "2")]
    assert exchange.header("X-Two") == "1"
    assert exchange.header_values("X-Two") == ["1", "2"]
    assert exchange.header("x-three") is None


def test_connection_is_kept_alive_over_every_complete_response(server: RawServer) -> None:
    @server.route("/chunked")
    def _(exchange: Exchange) -> None:  # the server ends the body
        exchange.start()
        exchange.send(b"one")
        exchange.send(b"two")

    @server.route("/length")
    def _(exchange: Exchange) -> None:
        exchange.start(framing=3, content_type=None)
        exchange.send(b"abc")

    server.route("/gone", lambda exchange: exchange.respond(204))
    with http_client(server.url()) as client:
        assert get(client, "/chunked").read() == b"onetwo"
        assert get(client, "/length").read() == b"abc"
        no_content = get(client, "/gone")
        assert no_content.read() == b""
        assert no_content.getheaders() == []
        missing = get(client, "/missing")
        assert missing.status == 404
        missing.read()
        client.request("HEAD", "/chunked")
        assert client.getresponse().read() == b""
    assert server.connections == 1
    assert [exchange.connection for exchange in server.requests] == [1] * 5


def test_framing_close_ends_the_body_with_the_connection(server: RawServer) -> None:
    @server.route("/")
    def _(exchange: Exchange) -> None:
        exchange.start(framing="close")
        exchange.send(b"to the end")
        exchange.end()

    with http_client(server.url()) as client:
        response = get(client, "/")
        assert response.read() == b"to the end"
        assert response.getheader("connection") == "close"
        assert get(client, "/").read() == b"to the end"
    assert server.connections == 2


def test_each_send_is_one_chunk_and_leaves_at_once(server: RawServer) -> None:
    server.route("/", hold)
    with open_stream(server) as client:
        stream = server.wait_for_request()
        for data, chunk in ((b"data: 1\n\n", b"9\r\ndata: 1\n\n\r\n"), (b"x" * 17, b"11\r\nx")):
            sent_at = stream.send(data)
            assert client.recv(65536).startswith(chunk)
            assert 0 <= time.perf_counter() - sent_at < PROMPT
        stream.send(b"")  # not the terminating chunk
        stream.send_raw(b"zz\r\n")
        assert client.recv(65536) == b"zz\r\n"
        stream.end()
        assert client.recv(65536) == b"0\r\n\r\n"


def test_handler_may_leave_a_request_without_answer(server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.stalled(0.01))
    with connect(server) as client:
        client.sendall(request_bytes())
        assert receive_all(client) == b""


# -- RawServer: faults -----------------------------------------------------------------------------


def test_reset_is_seen_by_the_client(server: RawServer) -> None:
    server.route("/", reset_in_body)
    with open_stream(server) as client:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert server.open_connections == 0


def test_truncated_body_ends_in_a_fin(server: RawServer) -> None:
    @server.route("/")
    def _(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b"some")
        exchange.truncate()

    with http_client(server.url()) as client:
        response = get(client, "/")
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        assert server.open_connections == 1  # our side is shut down, the client's is not
        client.close_all()
        server.wait_for_close(1)
    assert server.open_connections == 0


def test_body_shorter_than_its_length_ends_in_a_fin(server: RawServer) -> None:
    @server.route("/")
    def _(exchange: Exchange) -> None:
        exchange.start(framing=5)
        exchange.send(b"four")

    with http_client(server.url()) as client:
        with pytest.raises(http.client.IncompleteRead):
            get(client, "/").read()


# -- RawServer: the client's close -----------------------------------------------------------------


def sleep(exchange: Exchange) -> None:
    exchange.start()
    time.sleep(2 * PROMPT)


def flood(exchange: Exchange) -> None:
    exchange.start()
    while True:
        exchange.send(b"x" * 65536)


@pytest.mark.parametrize("handler", [hold, sleep, flood])
def test_close_is_seen_promptly_whatever_the_handler_does(
    server: RawServer, handler: Callable[[Exchange], None]
) -> None:
    server.route("/", handler)
    client = open_stream(server)
    assert server.open_connections == 1
    closed_at = time.perf_counter()
    client.close()
    assert 0 <= server.wait_for_close(1) - closed_at < PROMPT
    assert server.requests[0].wait_closed(0) == server.wait_for_close(0)
    assert server.open_connections == 0


def test_waiting_for_a_close_that_does_not_come(server: RawServer) -> None:
    with pytest.raises(AssertionError, match=r"no connection in 0\.01 s"):
        server.wait_for_close(0.01)
    with pytest.raises(AssertionError, match=r"0 of 1 requests in 0\.01 s"):
        server.wait_for_request(timeout=0.01)
    server.route("/", hold)
    with open_stream(server):
        with pytest.raises(AssertionError, match=r"connection 1 not closed in 0\.01 s"):
            server.wait_for_close(0.01)
        assert server.requests[0].wait_closed(0.01) is None
        assert not server.requests[0].stalled(0.01)


def test_idle_connection_closed_by_the_client(server: RawServer) -> None:
    with http_client(server.url()) as client:
        get(client, "/missing").read()
    server.wait_for_close(1)
    assert server.open_connections == 0


# -- RawServer: errors and exit --------------------------------------------------------------------


def test_handler_exception_surfaces_at_the_exit_and_as_status_500() -> None:
    def run() -> None:
        with RawServer({"/": divide_by_zero}) as server, http_client(server.url()) as client:
            response = get(client, "/")
            assert response.status == 500
            assert b"ZeroDivisionError" in response.read()

    with pytest.raises(ZeroDivisionError):
        run()


def test_handler_exception_in_a_body_resets_the_connection() -> None:
    def send_too_much(exchange: Exchange) -> None:
        exchange.start(framing=4)
        exchange.stalled(0.02)
        exchange.send(b"12345")

    def run() -> None:
        with RawServer({"/": send_too_much}) as server, open_stream(server) as client:
            with pytest.raises(ConnectionResetError):
                client.recv(1)

    with pytest.raises(ValueError, match="5 bytes exceed what remains: 4 bytes"):
        run()


def test_handler_exception_shows_together_with_the_failure_of_the_test() -> None:
    def run() -> None:
        with RawServer({"/": divide_by_zero}) as server, http_client(server.url()) as client:
            assert get(client, "/").status == 200

    with pytest.raises(ZeroDivisionError) as caught:
        run()
    assert isinstance(caught.value.__context__, AssertionError)


def test_exit_ends_handlers_and_connections_at_once() -> None:
    outcomes: dict[str, object] = {}
    with RawServer({"/flood": flood}) as server:

        @server.route("/stalled")
        def _(exchange: Exchange) -> None:
            exchange.start()
            outcomes["stalled"] = exchange.stalled(TIMEOUT)

        @server.route("/waiting")
        def _(exchange: Exchange) -> None:
            exchange.start()
            outcomes["waiting"] = exchange.wait_closed(TIMEOUT)

        clients = [open_stream(server, path) for path in ("/stalled", "/waiting", "/flood")]
        clients.append(connect(server))
        time.sleep(PROMPT)  # until the flood has filled all buffers
        before = time.perf_counter()
    assert time.perf_counter() - before < 0.5
    assert outcomes == {"stalled": True, "waiting": None}
    for client in clients:
        client.close()


def test_server_can_come_back_on_its_port() -> None:
    with RawServer() as first:
        client = open_stream(first, "/missing")
    with RawServer(port=first.port) as second, http_client(second.url()) as again:
        assert get(again, "/").status == 404
    client.close()


# -- RawServer: TLS --------------------------------------------------------------------------------


@pytest.fixture
def tls_server(tls: TlsFiles) -> Iterator[RawServer]:
    with RawServer(ssl_context=tls.server_context) as server:
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls_request_stream_and_close(tls: TlsFiles, tls_server: RawServer, host: str) -> None:
    assert tls_server.url("/a").startswith("https://127.0.0.1:")
    tls_server.route("/", hold)
    context = ssl.create_default_context(cafile=str(tls.ca_pem))
    with connect(tls_server) as sock, context.wrap_socket(sock, server_hostname=host) as client:
        client.sendall(request_bytes("/missing"))
        receive_until(client, b"no such route")
        client.sendall(request_bytes())
        receive_until(client, b"\r\n\r\n")
        stream = tls_server.wait_for_request(2)
        stream.send(b"live")
        assert client.recv(65536) == b"4\r\nlive\r\n"
        closed_at = time.perf_counter()
        client.close()
        assert 0 <= tls_server.wait_for_close(1) - closed_at < PROMPT
    assert tls_server.connections == 1


@pytest.mark.parametrize("clean", [True, False])
def test_tls_end_and_truncation_differ(tls: TlsFiles, tls_server: RawServer, clean: bool) -> None:
    @tls_server.route("/")
    def _(exchange: Exchange) -> None:
        exchange.start(framing="close")
        exchange.end() if clean else exchange.truncate()

    context = ssl.create_default_context(cafile=str(tls.ca_pem))
    with connect(tls_server) as sock:
        with context.wrap_socket(
            sock, server_hostname="localhost", suppress_ragged_eofs=False
        ) as client:
            client.sendall(request_bytes())
            receive_until(client, b"\r\n\r\n")
            if clean:
                assert client.recv(1) == b""
            else:
                with pytest.raises(ssl.SSLEOFError):
                    client.recv(1)


def test_client_that_refuses_the_certificate_is_no_error(tls_server: RawServer) -> None:
    with connect(tls_server) as sock, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")
    tls_server.wait_for_close(1)
    assert tls_server.requests == []


# -- ProxyServer -----------------------------------------------------------------------------------


def basic(user: str, password: str) -> dict[str, str]:
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {credentials}"}


def test_proxy_forwards_an_absolute_uri(server: RawServer) -> None:
    server.route("/a", lambda exchange: exchange.respond(body=exchange.body))
    with ProxyServer() as proxy, http_client(proxy.url()) as client:
        for _ in range(2):
            client.request("POST", server.url("/a?b"), body=b"sent", headers=basic("a", "b"))
            assert client.getresponse().read() == b"sent"
    assert proxy.targets == [server.url("/a?b")] * 2
    assert server.requests[0].target == "/a?b"
    assert server.requests[0].header("proxy-authorization") is None


def test_proxy_tunnels_live_bytes_and_the_clients_close(tls: TlsFiles) -> None:
    routes = {"/": hold}
    context = ssl.create_default_context(cafile=str(tls.ca_pem))
    with RawServer(routes, ssl_context=tls.server_context) as server, ProxyServer() as proxy:
        with connect(proxy) as sock:
            sock.sendall(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\n".encode())
            assert receive_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
            with context.wrap_socket(sock, server_hostname="127.0.0.1") as client:
                client.sendall(request_bytes())
                receive_until(client, b"\r\n\r\n")
                server.requests[0].send(b"live")
                assert client.recv(65536) == b"4\r\nlive\r\n"
                closed_at = time.perf_counter()
        assert 0 <= proxy.wait_for_close(1) - closed_at < PROMPT
        assert 0 <= server.wait_for_close(1) - closed_at < PROMPT
        assert proxy.targets == [f"127.0.0.1:{server.port}"]


def test_proxy_passes_on_a_reset(server: RawServer) -> None:
    server.route("/", reset_in_body)
    with ProxyServer() as proxy, connect(proxy) as client:
        client.sendall(request_bytes(server.url()))
        receive_until(client, b"\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_proxy_demands_its_credentials(server: RawServer) -> None:
    with ProxyServer(auth=("user", "secret")) as proxy, http_client(proxy.url()) as client:
        for headers, status in (
            ({}, 407),
            (basic("user", "no"), 407),
            (basic("user", "secret"), 404),
        ):
            client.request("GET", server.url(), headers=headers)
            response = client.getresponse()
            assert response.status == status
            response.read()
    assert proxy.targets == [server.url()]
    assert proxy.refused == [server.url()] * 2


def test_proxy_cannot_reach_the_upstream(server: RawServer) -> None:
    server.stop()
    with ProxyServer() as proxy, http_client(proxy.url()) as client:
        assert get(client, server.url()).status == 502


# -- applications on uvicorn -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def app_url() -> Iterator[str]:
    with apps.serve(apps.app) as url:
        yield url


def test_serve_starts_and_stops_with_endless_streams_open() -> None:
    sockets: list[socket.socket] = []
    with apps.serve(apps.app) as url:
        for target in ("/endless", "/gzip?n=1000&delay=1", "/endless?delay=0", "/endless?delay=60"):
            sock = socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), TIMEOUT)
            sock.sendall(request_bytes(target))
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
            sockets.append(sock)
        before = time.perf_counter()
    assert time.perf_counter() - before < 1
    for sock in sockets:
        sock.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), TIMEOUT)


def test_events_have_ids_and_resume(app_url: str) -> None:
    with http_client(app_url) as client:
        response = get(client, "/events?n=2")
        assert response.getheader("content-type") == "text/event-stream; charset=utf-8"
        assert response.read() == b"id: 0\r\ndata: 0\r\n\r\nid: 1\r\ndata: 1\r\n\r\n"
        client.request("GET", "/events?n=2", headers={"Last-Event-ID": "0"})
        assert client.getresponse().read() == b"id: 1\r\ndata: 1\r\n\r\n"


def test_other_bodies(app_url: str) -> None:
    with http_client(app_url) as client:
        assert get(client, "/mixed").read().count(b"event: ") == len(apps.MIXED_EVENTS)
        ndjson = get(client, "/ndjson?n=2")
        assert ndjson.read() == b'{"n": 0}\n{"n": 1}\n'
        assert ndjson.getheader("content-type") == "application/x-ndjson"
        html = get(client, "/html")
        assert html.getheader("content-type", "").startswith("text/html")
        html.read()


def test_gzip_events_are_readable_as_they_come(app_url: str) -> None:
    with http_client(app_url) as client:
        response = get(client, "/gzip?n=2&delay=0.05")
        assert response.getheader("content-encoding") == "gzip"
        gunzip = zlib.decompressobj(wbits=31)
        assert gunzip.decompress(response.read1()) == b"id: 0\ndata: 0\n\n"
        assert select.select([client.sock], [], [], 0)[0] == []  # the next is not yet sent
        assert gunzip.decompress(response.read()) == b"id: 1\ndata: 1\n\n"


def chat(client: Client, body: dict[str, object], key: str = apps.API_KEY) -> tuple[int, bytes]:
    body = {"model": "gpt-test", "messages": [{"role": "user", "content": "A joke"}], **body}
    headers = {"Authorization": f"Bearer {key}"}
    client.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = client.getresponse()
    return response.status, response.read()


def test_chat_completion_streams_tokens(app_url: str) -> None:
    with http_client(app_url) as client:
        _, stream = chat(client, {"stream": True, "stream_options": {"include_usage": True}})
    lines = stream.decode().removesuffix("\n\n").split("\n\n")
    assert lines.pop() == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert chunks.pop()["usage"]["completion_tokens"] == len(apps.TOKENS)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"]["role"] == "assistant"
    assert "".join(choice["delta"].get("content", "") for choice in choices) == apps.ANSWER
    assert [c["finish_reason"] for c in choices] == [None] * (len(choices) - 1) + ["stop"]


def test_chat_completion_without_stream_and_errors(app_url: str) -> None:
    with http_client(app_url) as client:
        status, whole = chat(client, {})
        assert status == 200
        assert json.loads(whole)["choices"][0]["message"]["content"] == apps.ANSWER
        status, error = chat(client, {}, key="wrong")
        assert status == 401
        assert json.loads(error)["error"]["code"] == "invalid_api_key"


def message(
    client: Client, path: str = "/v1/messages", without: str = "", **more: object
) -> tuple[int, bytes]:
    """Ask for a message, but leave one field or header out."""
    messages = [{"role": "user", "content": "A joke"}]
    body = {"model": "test", "max_tokens": 99, "messages": messages, **more}
    headers = {"x-api-key": apps.API_KEY, "anthropic-version": "2023-06-01"}
    for part in (body, headers):
        part.pop(without, None)
    client.request("POST", path, json.dumps(body), headers)
    response = client.getresponse()
    return response.status, response.read()


def named_events(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    blocks = stream.decode().removesuffix("\n\n").split("\n\n")
    lines = [block.split("\n") for block in blocks]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in lines
    ]


def test_messages_stream_named_events(app_url: str) -> None:
    with http_client(app_url) as client:
        events = named_events(message(client, stream=True)[1])
    assert all(name == data["type"] for name, data in events)
    names = list(dict.fromkeys(name for name, _ in events))
    assert names == [
        *("message_start", "content_block_start", "ping", "content_block_delta"),
        *("content_block_stop", "message_delta", "message_stop"),
    ]
    deltas = [data["delta"] for name, data in events if name == "content_block_delta"]
    assert "".join(delta["text"] for delta in deltas) == apps.ANSWER
    ((end, usage),) = [(d["delta"], d["usage"]) for name, d in events if name == "message_delta"]
    assert (end["stop_reason"], usage["output_tokens"]) == ("end_turn", len(apps.TOKENS))


def test_messages_break_off_by_an_error_of_their_own(app_url: str) -> None:
    with http_client(app_url) as client:
        status, stream = message(client, "/overloaded/v1/messages", stream=True)
    assert status == 200
    *before, (name, last) = named_events(stream)
    assert (name, last["error"]["type"]) == ("error", "overloaded_error")
    assert before[-1][0] == "content_block_delta"


def test_messages_without_stream_and_errors(app_url: str) -> None:
    with http_client(app_url) as client:
        status, whole = message(client)
        assert (status, json.loads(whole)["content"][0]["text"]) == (200, apps.ANSWER)
        for without, expected, what in (
            ("x-api-key", 401, "authentication_error"),
            ("anthropic-version", 400, "invalid_request_error"),
            ("max_tokens", 400, "invalid_request_error"),
        ):
            status, error = message(client, without=without)
            assert (status, json.loads(error)["error"]["type"]) == (expected, what)
