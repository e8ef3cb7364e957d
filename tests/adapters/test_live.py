"""Events arrive while the stream is open: plainly, compressed, over TLS, redirected, proxied.

A client that reads a body whole would hang here, or see every event seconds late: the servers hold
their streams open long after the last event.
"""

from __future__ import annotations

import json
import time
import zlib
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import httpxr
import pytest

from sse_httpxr import SSEError
from tests.support import apps
from tests.support.harness import async_transport, data_of, event, sends, sync_transport

if TYPE_CHECKING:
    from tests.support.harness import AsyncMode, Client, Mode, SyncMode
    from tests.support.servers import Exchange, ProxyServer, RawServer, TlsFiles

# Seconds from the server's write to the caller's hands; 0.001 is usual. More than a busy machine
# needs to open a stream, and far less than the stream is held open: what is not live is later.
LIVE: Final = 0.25
# A machine that is busy for a moment is no fault of the client's; one that is late thrice is.
ATTEMPTS: Final = 3

REDIRECTS: Final = (301, 302, 303, 307, 308)


class Feed:
    """Handler that sends five events, notes when, and then holds its stream open for a while."""

    def __init__(self, *, gzip: bool = False) -> None:
        self.sent: list[float] = []
        self._gzip: Final = gzip

    def __call__(self, exchange: Exchange) -> None:
        compressor = zlib.compressobj(wbits=31)
        exchange.start(headers=[("Content-Encoding", "gzip")] if self._gzip else [])
        self.sent = []
        for number in range(5):
            chunk = event(str(number))
            if self._gzip:
                chunk = compressor.compress(chunk) + compressor.flush(zlib.Z_SYNC_FLUSH)
            self.sent.append(time.perf_counter())
            exchange.send(chunk)
            exchange.stalled(0.01)
        exchange.wait_closed(2)


def assert_live(
    feed: Feed, mode: Mode, client: Client, method: str, url: str, **call: Any
) -> httpxr.Response:
    """Assert that each event of a feed is there at once; return the response."""
    attempts: list[list[float]] = []
    for _ in range(ATTEMPTS):
        with mode.open(client, method, url, **call) as stream:
            arrived = [(item.data, time.perf_counter()) for item in stream.take(5)]
            response = stream.response
        assert [data for data, _ in arrived] == ["0", "1", "2", "3", "4"]
        delays = [at - sent for (_, at), sent in zip(arrived, feed.sent, strict=True)]
        if max(delays) < LIVE:
            return response
        attempts.append(delays)
    pytest.fail(f"events came late, in seconds: {attempts}")


# -- plain, and compressed ------------------------------------------------------------------------


def test_each_event_arrives_as_it_is_sent(mode: Mode, server: RawServer) -> None:
    feed = Feed()
    server.route("/", feed)
    assert_live(feed, mode, mode.client(), "GET", server.url())


def test_each_event_of_a_compressed_stream_arrives_as_it_is_sent(
    mode: Mode, server: RawServer
) -> None:
    feed = Feed(gzip=True)
    server.route("/", feed)
    assert_live(feed, mode, mode.client(), "GET", server.url())
    assert "gzip" in (server.requests[0].header("accept-encoding") or "")


def test_post_is_as_live_as_get(mode: Mode, server: RawServer) -> None:
    feed = Feed()
    server.route("/", feed)
    assert_live(feed, mode, mode.client(), "POST", server.url(), json={"stream": True})
    assert json.loads(server.requests[0].body) == {"stream": True}


def test_response_is_there_before_the_first_event(mode: Mode, server: RawServer) -> None:
    def silent(exchange: Exchange) -> None:
        exchange.start(headers=[("X-Model", "small")])
        exchange.wait_closed(5)

    server.route("/", silent)
    begun = time.perf_counter()
    with mode.open(mode.client(), "GET", server.url("/?q=1")) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["x-model"] == "small"
        assert str(stream.response.url) == server.url("/?q=1")
        assert stream.response.request.method == "GET"
    assert time.perf_counter() - begun < 1


def test_stream_that_ends_gives_all_its_events(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "2", "3"))
    assert data_of(mode.collect(mode.client(), "GET", server.url())) == ["1", "2", "3"]


def test_one_client_opens_several_streams_at_once(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    client = mode.client()
    with (
        mode.open(client, "GET", server.url()) as first,
        mode.open(client, "GET", server.url()) as second,
    ):
        turns = [next(first), next(second), next(first), next(second)]
    assert data_of(turns) == ["1", "1", "2", "2"]


# -- TLS ------------------------------------------------------------------------------------------


def test_live_over_tls_with_a_private_authority(
    mode: Mode, tls_server: RawServer, tls: TlsFiles
) -> None:
    feed = Feed()
    tls_server.route("/", feed)
    if mode.is_async:
        client, call = mode.client(verify=str(tls.ca_pem)), {}
    else:
        # What verify= a sync client has cannot be seen from outside.
        client = mode.client()
        call = {"transport": httpxr.AsyncClient(verify=str(tls.ca_pem))}
    assert_live(feed, mode, client, "GET", tls_server.url(), **call)


def test_live_over_tls_without_verification(mode: Mode, tls_server: RawServer) -> None:
    feed = Feed()
    tls_server.route("/", feed)
    transport = async_transport(verify=False)
    assert_live(feed, mode, mode.client(), "GET", tls_server.url(), transport=transport)


def test_live_over_tls_with_the_authority_of_the_environment(
    mode: Mode, tls_server: RawServer, tls: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca_pem))
    feed = Feed(gzip=True)
    tls_server.route("/", feed)
    assert_live(feed, mode, mode.client(), "GET", tls_server.url())


def test_unknown_authority_is_refused(mode: Mode, tls_server: RawServer) -> None:
    tls_server.route("/", sends("1"))
    with pytest.raises(httpxr.ConnectError) as caught:
        mode.collect(mode.client(), "GET", tls_server.url())
    assert str(caught.value.request.url) == tls_server.url()
    assert tls_server.requests == []


def test_refused_certificate_tells_how_to_trust_it_in_sync_code(
    sync_mode: SyncMode, tls_server: RawServer, tls: TlsFiles
) -> None:
    tls_server.route("/", sends("1"))
    # This client trusts it, and nobody can see that: the message has to help.
    client = sync_mode.client(verify=str(tls.ca_pem))
    with pytest.raises(httpxr.ConnectError, match=r"transport=httpxr\.AsyncClient\(verify="):
        sync_mode.collect(client, "GET", tls_server.url())


def test_refused_plain_connection_says_nothing_of_certificates(
    sync_mode: SyncMode, server: RawServer
) -> None:
    server.stop()
    with pytest.raises(httpxr.ConnectError) as caught:
        sync_mode.collect(sync_mode.client(), "GET", server.url())
    assert "verify" not in str(caught.value)


# -- redirects ------------------------------------------------------------------------------------


def redirects_to(location: str, status: int = 302, *headers: tuple[str, str]) -> Any:
    """Return a handler that redirects."""

    def handle(exchange: Exchange) -> None:
        exchange.respond(status, [("Location", location), *headers], b"moved")

    return handle


@pytest.mark.parametrize("status", REDIRECTS)
def test_get_is_live_after_a_redirect(mode: Mode, server: RawServer, status: int) -> None:
    feed = Feed()
    server.route("/old", redirects_to("/new", status))
    server.route("/new", feed)
    response = assert_live(
        feed, mode, mode.client(), "GET", server.url("/old"), headers={"X-Own": "1"}
    )
    old, new = server.requests[:2]
    assert (old.method, old.path) == ("GET", "/old")
    assert (new.method, new.path, new.body) == ("GET", "/new", b"")
    assert new.header("x-own") == "1"
    assert new.header("accept") == "text/event-stream"
    assert new.header_values("host") == [f"127.0.0.1:{server.port}"]
    assert str(response.url) == server.url("/new")
    assert [past.status_code for past in response.history] == [status]


@pytest.mark.parametrize("status", REDIRECTS)
def test_post_is_live_after_a_redirect(mode: Mode, server: RawServer, status: int) -> None:
    feed = Feed()
    server.route("/old", redirects_to("/new", status))
    server.route("/new", feed)
    assert_live(feed, mode, mode.client(), "POST", server.url("/old"), json={"q": 1})
    old, new = server.requests[:2]
    assert (old.method, json.loads(old.body)) == ("POST", {"q": 1})
    if status in (307, 308):
        assert (new.method, new.body) == ("POST", old.body)
        assert new.header("content-type") == "application/json"
        assert new.header_values("content-length") == [str(len(old.body))]
    else:
        assert (new.method, new.body) == ("GET", b"")
        assert new.header("content-type") is None
        assert new.header("content-length") in (None, "0")


def test_put_becomes_get_by_303_only(mode: Mode, server: RawServer) -> None:
    server.route("/new", sends("1"))
    for status, method in ((301, "PUT"), (302, "PUT"), (303, "GET"), (307, "PUT"), (308, "PUT")):
        server.route("/old", redirects_to("/new", status))
        mode.collect(mode.client(), "PUT", server.url("/old"), content=b"body")
        assert server.requests[-1].method == method
        assert server.requests[-1].body == (b"body" if method == "PUT" else b"")


def test_iterable_content_is_sent_again(mode: Mode, server: RawServer) -> None:
    server.route("/old", redirects_to("/new", 307))
    server.route("/new", sends("1"))
    parts = iter([b"one ", b"two"])
    mode.collect(mode.client(), "POST", server.url("/old"), content=parts)
    assert [request.body for request in server.requests] == [b"one two", b"one two"]


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("new", "/a/new"),
        ("../new?x=1", "/new?x=1"),
        ("?page=2", "/a/old?page=2"),
        ("/a b", "/a%20b"),
        ("//{authority}/new", "/new"),
        ("{origin}/new", "/new"),
        ("{origin}", "/"),
    ],
)
def test_location_is_resolved_against_the_url(
    mode: Mode, server: RawServer, location: str, target: str
) -> None:
    authority = f"127.0.0.1:{server.port}"
    location = location.format(authority=authority, origin=f"http://{authority}")

    def handle(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            exchange.respond(302, [("Location", location)])
        else:
            sends("1")(exchange)

    for path in ("/", "/new", "/a/new", "/a/old", "/a%20b"):
        server.route(path, handle)
    assert data_of(mode.collect(mode.client(), "GET", server.url("/a/old?x=0"))) == ["1"]
    assert server.requests[-1].target == target


def test_fragment_outlives_a_redirect(mode: Mode, server: RawServer) -> None:
    server.route("/old", redirects_to("/new"))
    server.route("/new", sends("1"))
    with mode.open(mode.client(), "GET", server.url("/old#top")) as stream:
        assert str(stream.response.url) == server.url("/new#top")
    assert [request.target for request in server.requests] == ["/old", "/new"]


@pytest.mark.parametrize("status", [302, 307])
def test_credentials_do_not_leave_their_origin(
    mode: Mode, server: RawServer, other_server: RawServer, status: int
) -> None:
    server.route("/", redirects_to(other_server.url("/"), status))
    other_server.route("/", sends("1"))
    headers = {"Authorization": "Bearer secret", "Cookie": "session=secret", "X-Own": "1"}
    assert data_of(mode.collect(mode.client(), "GET", server.url(), headers=headers)) == ["1"]
    assert server.requests[0].header("authorization") == "Bearer secret"
    assert server.requests[0].header("cookie") == "session=secret"
    [request] = other_server.requests
    assert request.header("authorization") is None
    assert request.header("cookie") is None
    assert request.header("x-own") == "1"
    assert request.header_values("host") == [f"127.0.0.1:{other_server.port}"]


def test_auth_does_not_leave_its_origin(
    mode: Mode, server: RawServer, other_server: RawServer
) -> None:
    server.route("/", redirects_to(other_server.url("/")))
    other_server.route("/", sends("1"))
    mode.collect(mode.client(auth=("user", "secret")), "GET", server.url())
    assert server.requests[0].header("authorization") is not None
    assert other_server.requests[0].header("authorization") is None


def test_credentials_do_not_come_back_after_another_origin(
    mode: Mode, server: RawServer, other_server: RawServer
) -> None:
    server.route("/", redirects_to(other_server.url("/")))
    server.route("/back", sends("1"))
    other_server.route("/", redirects_to(server.url("/back")))
    mode.collect(mode.client(), "GET", server.url(), headers={"Authorization": "Bearer secret"})
    assert [request.header("authorization") for request in server.requests] == [
        "Bearer secret",
        None,
    ]


def test_credentials_stay_within_their_origin(mode: Mode, server: RawServer) -> None:
    server.route("/old", redirects_to(server.url("/new")))
    server.route("/new", sends("1"))
    client = mode.client(auth=("user", "secret"))
    mode.collect(client, "GET", server.url("/old"))
    old, new = server.requests
    assert old.header("authorization") == new.header("authorization") is not None


def test_credentials_do_not_leave_for_another_name_of_the_host(
    mode: Mode, server: RawServer
) -> None:
    server.route("/old", redirects_to(f"http://localhost:{server.port}/new"))
    server.route("/new", sends("1"))
    mode.collect(mode.client(), "GET", server.url("/old"), headers={"Authorization": "Bearer s"})
    assert [request.header("authorization") for request in server.requests] == ["Bearer s", None]


def test_credentials_do_not_leave_tls(
    mode: Mode, server: RawServer, tls_server: RawServer, tls: TlsFiles
) -> None:
    tls_server.route("/", redirects_to(server.url()))
    server.route("/", sends("1"))
    transport = httpxr.AsyncClient(verify=str(tls.ca_pem))
    client = mode.client(headers={"Authorization": "Bearer secret"})
    mode.collect(client, "GET", tls_server.url(), transport=transport)
    assert tls_server.requests[0].header("authorization") == "Bearer secret"
    assert server.requests[0].header("authorization") is None


def test_cookies_are_chosen_anew_after_a_redirect(mode: Mode, server: RawServer) -> None:
    server.route("/old", redirects_to("/new", 302, ("Set-Cookie", "fresh=1; Path=/new")))
    server.route("/new", sends("1"))
    client = mode.client(cookies={"own": "0"})
    mode.collect(client, "GET", server.url("/old"))
    assert server.requests[0].header_values("cookie") == ["own=0"]
    [cookies] = server.requests[1].header_values("cookie")
    assert sorted(cookies.split("; ")) == ["fresh=1", "own=0"]


def test_cookies_of_a_redirect_do_not_go_to_another_host(mode: Mode, server: RawServer) -> None:
    elsewhere = f"http://localhost:{server.port}/new"
    server.route("/old", redirects_to(elsewhere, 302, ("Set-Cookie", "secret=1; Path=/")))
    server.route("/new", sends("1"))
    mode.collect(mode.client(), "GET", server.url("/old"))
    assert server.requests[1].header("host") == f"localhost:{server.port}"
    assert server.requests[1].header("cookie") is None


def test_redirect_is_an_error_if_not_to_be_followed(mode: Mode, server: RawServer) -> None:
    server.route("/old", redirects_to("/new"))
    with pytest.raises(SSEError, match="302") as caught:
        mode.collect(mode.client(), "GET", server.url("/old"), follow_redirects=False)
    assert caught.value.status_code == 302
    assert caught.value.body == "moved"
    assert [request.path for request in server.requests] == ["/old"]


@pytest.mark.parametrize("status", [300, 302, 304, 305])
def test_redirect_that_leads_nowhere_is_an_error(
    mode: Mode, server: RawServer, status: int
) -> None:
    headers = [] if status == 302 else [("Location", "/new")]
    server.route("/old", lambda exchange: exchange.respond(status, headers))
    with pytest.raises(SSEError) as caught:
        mode.collect(mode.client(), "GET", server.url("/old"))
    assert caught.value.status_code == status
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("location", "error", "message"),
    [
        ("ftp://example.com/", httpxr.UnsupportedProtocol, "neither http nor https"),
        ("http://[::1", httpxr.UnsupportedProtocol, r"redirect to 'http://\[::1': "),
        ("http://127.0.0.1:99999/", httpxr.LocalProtocolError, "httpxr cannot follow the redirect"),
    ],
)
def test_redirect_to_what_is_no_address_is_an_error(
    mode: Mode, server: RawServer, location: str, error: type[Exception], message: str
) -> None:
    server.route("/", redirects_to(location))
    with pytest.raises(error, match=message):
        mode.collect(mode.client(), "GET", server.url())


def test_redirect_loop_ends(mode: Mode, server: RawServer) -> None:
    server.route("/", redirects_to("/"))
    begun = time.perf_counter()
    with pytest.raises(httpxr.TooManyRedirects, match="20 redirects") as caught:
        mode.collect(mode.client(), "GET", server.url())
    # Some 0.03 s; httpxr copies the history of each response within a history, 2**20 of them.
    assert time.perf_counter() - begun < 0.5
    assert str(caught.value.request.url) == server.url()
    assert len(server.requests) == 21


def test_history_is_the_responses_on_the_way(mode: Mode, server: RawServer) -> None:
    for status, path, following in ((301, "/1", "/2"), (302, "/2", "/3"), (307, "/3", "/4")):
        server.route(path, redirects_to(following, status))
    server.route("/4", sends("1"))
    with mode.open(mode.client(), "GET", server.url("/1")) as stream:
        history = stream.response.history
    assert [past.status_code for past in history] == [301, 302, 307]
    assert [str(past.url) for past in history] == [server.url(path) for path in ("/1", "/2", "/3")]


def test_twenty_redirects_are_followed(mode: Mode, server: RawServer) -> None:
    def handle(exchange: Exchange) -> None:
        if len(server.requests) <= 20:
            exchange.respond(302, [("Location", "/")])
        else:
            sends("1")(exchange)

    server.route("/", handle)
    assert data_of(mode.collect(mode.client(), "GET", server.url())) == ["1"]


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/new", "data:,data", "file:///etc/passwd"])
def test_redirect_to_another_protocol_is_refused(
    mode: Mode, server: RawServer, location: str
) -> None:
    server.route("/", redirects_to(location))
    with pytest.raises(httpxr.UnsupportedProtocol, match="neither http nor https"):
        mode.collect(mode.client(), "GET", server.url())


def test_body_of_a_redirect_is_not_waited_for(mode: Mode, server: RawServer) -> None:
    closed: SimpleQueue[float | None] = SimpleQueue()

    def endless(exchange: Exchange) -> None:
        exchange.start(302, [("Location", "/new")])
        try:
            exchange.send(b"moved")  # fails if the client is fast
        finally:
            closed.put(exchange.wait_closed(5))

    server.route("/old", endless)
    server.route("/new", sends("1", hold=True))
    begun = time.perf_counter()
    with mode.open(mode.client(), "GET", server.url("/old")) as stream:
        assert next(stream).data == "1"
        assert time.perf_counter() - begun < 1
        assert closed.get(timeout=1) is not None


# -- proxies --------------------------------------------------------------------------------------


def assert_proxied(proxy: ProxyServer, server: RawServer, *paths: str) -> None:
    """Assert that all requests went through the proxy, and no connection past it."""
    assert proxy.targets == [server.url(path) for path in paths]
    assert server.connections == len(paths)


def test_live_through_the_proxy_of_a_transport(
    mode: Mode, server: RawServer, proxy: ProxyServer
) -> None:
    feed = Feed()
    server.route("/", feed)
    transport = async_transport(proxy=proxy.url())
    assert_live(feed, mode, mode.client(), "GET", server.url(), transport=transport)
    assert_proxied(proxy, server, *["/"] * len(server.requests))


def test_live_through_the_proxy_of_an_async_client(
    mode: Mode, server: RawServer, proxy: ProxyServer
) -> None:
    feed = Feed()
    server.route("/", feed)
    proxied = httpxr.AsyncClient(proxy=proxy.url())
    if mode.is_async:
        assert_live(feed, mode, proxied, "GET", server.url())
    else:
        assert_live(feed, mode, mode.client(), "GET", server.url(), transport=proxied)
    assert_proxied(proxy, server, *["/"] * len(server.requests))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_live_through_the_proxy_of_the_environment(
    mode: Mode,
    server: RawServer,
    proxy: ProxyServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv(name, proxy.url())
    feed = Feed()
    server.route("/", feed)
    assert_live(feed, mode, mode.client(), "GET", server.url())
    assert_proxied(proxy, server, *["/"] * len(server.requests))


def test_tls_goes_through_a_tunnel(
    mode: Mode, tls_server: RawServer, tls: TlsFiles, proxy: ProxyServer
) -> None:
    feed = Feed()
    tls_server.route("/", feed)
    transport = httpxr.AsyncClient(proxy=proxy.url(), verify=str(tls.ca_pem))
    assert_live(feed, mode, mode.client(), "GET", tls_server.url(), transport=transport)
    assert set(proxy.targets) == {f"127.0.0.1:{tls_server.port}"}
    assert tls_server.connections == len(proxy.targets)


def test_environment_is_looked_at_anew_by_each_client(
    mode: Mode, server: RawServer, proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.route("/", sends("1"))
    mode.collect(mode.client(), "GET", server.url())
    assert proxy.targets == []
    monkeypatch.setenv("HTTP_PROXY", proxy.url())
    mode.collect(mode.client(), "GET", server.url())
    assert proxy.targets == [server.url()]


def test_no_proxy_is_respected(
    mode: Mode, server: RawServer, proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.route("/", sends("1"))
    assert data_of(mode.collect(mode.client(), "GET", server.url())) == ["1"]
    assert proxy.connections == 0


def test_environment_does_not_count_without_trust(
    mode: Mode, server: RawServer, proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url())
    server.route("/", sends("1"))
    assert data_of(mode.collect(mode.client(trust_env=False), "GET", server.url())) == ["1"]
    assert proxy.connections == 0


def test_redirected_request_goes_through_the_proxy_too(
    mode: Mode,
    server: RawServer,
    other_server: RawServer,
    proxy: ProxyServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url())
    server.route("/", redirects_to(other_server.url()))
    other_server.route("/", sends("1", hold=True))
    assert data_of(mode.collect(mode.client(), "GET", server.url(), n=1)) == ["1"]
    assert proxy.targets == [server.url(), other_server.url()]
    assert (server.connections, other_server.connections) == (1, 1)


def test_leaving_the_block_closes_the_connection_through_a_proxy(
    mode: Mode, server: RawServer, proxy: ProxyServer
) -> None:
    server.route("/", sends("1", hold=True))
    transport = async_transport(proxy=proxy.url())
    mode.collect(mode.client(), "GET", server.url(), n=1, transport=transport)
    left = time.perf_counter()
    assert server.wait_for_close(1) - left < 0.1


def test_dead_proxy_is_not_bypassed(mode: Mode, server: RawServer, proxy: ProxyServer) -> None:
    proxy.stop()
    server.route("/", sends("1"))
    transport = async_transport(proxy=proxy.url())
    with pytest.raises(httpxr.RequestError):
        mode.collect(mode.client(), "GET", server.url(), transport=transport)
    assert server.connections == 0


@pytest.mark.parametrize("place", ["proxy", "Proxy", "mounts"])
def test_proxy_of_a_sync_client_is_refused_and_not_bypassed(
    sync_mode: SyncMode, server: RawServer, proxy: ProxyServer, place: str
) -> None:
    server.route("/", sends("1"))
    if place == "proxy":
        client = sync_mode.client(proxy=proxy.url())
    elif place == "Proxy":
        client = sync_mode.client(proxy=httpxr.Proxy(proxy.url()))
    else:
        client = sync_mode.client(mounts={"http://": sync_transport(proxy=proxy.url())})
    with pytest.raises(RuntimeError, match=r"transport=httpxr\.AsyncHTTPTransport\(proxy="):
        sync_mode.collect(client, "GET", server.url())
    assert (server.connections, proxy.connections) == (0, 0)


def test_proxy_of_a_sync_client_is_taken_from_the_transport(
    sync_mode: SyncMode, server: RawServer, proxy: ProxyServer
) -> None:
    server.route("/", sends("1"))
    client = sync_mode.client(proxy=proxy.url())
    transport = async_transport(proxy=proxy.url())
    assert data_of(sync_mode.collect(client, "GET", server.url(), transport=transport)) == ["1"]
    assert_proxied(proxy, server, "/")


def test_proxy_mounted_in_an_async_client(
    async_mode: AsyncMode, server: RawServer, proxy: ProxyServer
) -> None:
    server.route("/", sends("1", hold=True))
    client = async_mode.client(mounts={"http://": async_transport(proxy=proxy.url())})
    assert data_of(async_mode.collect(client, "GET", server.url(), n=1)) == ["1"]
    assert_proxied(proxy, server, "/")


@pytest.mark.parametrize("transport", [object(), httpxr.Client(), "http://127.0.0.1:1"])
def test_transport_that_cannot_stream_is_refused(
    mode: Mode, server: RawServer, transport: object
) -> None:
    with pytest.raises(TypeError, match="transport must be an httpxr"):
        mode.collect(mode.client(), "GET", server.url(), transport=transport)
    assert server.connections == 0


def test_sync_network_transport_is_refused(mode: Mode, server: RawServer) -> None:
    transport = sync_transport()
    with pytest.raises(TypeError, match="transport must be an httpxr"):
        mode.collect(mode.client(), "GET", server.url(), transport=transport)
    assert server.connections == 0


# -- real servers ---------------------------------------------------------------------------------


def test_numbered_events_of_a_real_server(mode: Mode, app_url: str) -> None:
    events = mode.collect(mode.client(base_url=app_url), "GET", "/events", params={"n": "5"})
    assert [(event.id, event.data) for event in events] == [(str(n), str(n)) for n in range(5)]


def test_endless_stream_of_a_real_server_is_left(mode: Mode, app_url: str) -> None:
    events = mode.collect(mode.client(), "GET", app_url + "/endless", n=4)
    assert data_of(events) == ["0", "1", "2", "3"]


def test_last_event_id_reaches_a_real_server(mode: Mode, app_url: str) -> None:
    headers = {"Last-Event-ID": "6"}
    with mode.open(mode.client(), "GET", app_url + "/events?n=9", headers=headers) as stream:
        assert data_of(stream) == ["7", "8"]
        assert stream.source.last_event_id == "8"


def test_named_events_of_a_real_server(mode: Mode, app_url: str) -> None:
    events = mode.collect(mode.client(), "GET", app_url + "/mixed")
    assert tuple((event.event, event.data) for event in events) == apps.MIXED_EVENTS


def test_compressed_events_of_a_real_server_are_live(mode: Mode, app_url: str) -> None:
    begun = time.perf_counter()
    events = mode.collect(mode.client(), "GET", app_url + "/gzip?n=100&delay=0.1", n=3)
    assert data_of(events) == ["0", "1", "2"]
    assert time.perf_counter() - begun < 2


def test_chat_completion_of_a_real_server(mode: Mode, app_url: str) -> None:
    client = mode.client(base_url=app_url, headers={"Authorization": f"Bearer {apps.API_KEY}"})
    request = {"model": "small", "stream": True, "messages": [{"role": "user", "content": "?"}]}
    with mode.open_json(client, "POST", "/v1/chat/completions", json=request) as stream:
        deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in stream]
    assert "".join(deltas) == apps.ANSWER
    assert len(deltas) == len(apps.TOKENS) + 2


def test_page_of_a_real_server_is_no_event_stream(mode: Mode, app_url: str) -> None:
    with pytest.raises(SSEError, match="text/html") as caught:
        mode.collect(mode.client(), "GET", app_url + "/html")
    assert caught.value.status_code == 200
    assert "Sign in" in caught.value.body
