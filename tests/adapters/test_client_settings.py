"""What a client is set to holds for its event streams, and what a call asks for goes before it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import httpxr
import pytest

from sse_httpxr import SSEError, aconnect_sse, connect_sse
from tests.support.handlers import DigestHandler
from tests.support.harness import data_of, event, sends

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.harness import AsyncMode, Mode, SyncMode
    from tests.support.servers import Exchange, RawServer

Hook: TypeAlias = Callable[[Any], Any]

EVENT_STREAM: Final = {"Content-Type": "text/event-stream"}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# -- base_url and params --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "url", "path"),
    [
        ("", "/events", "/events"),
        ("/", "events", "/events"),
        ("/v1", "events", "/v1/events"),
        ("/v1/", "/events", "/v1/events"),
        ("/v1", "", "/v1/"),
    ],
)
def test_base_url_goes_before_a_relative_url(
    mode: Mode, server: RawServer, base: str, url: str, path: str
) -> None:
    server.route(path, sends("1"))
    client = mode.client(base_url=server.url(base))
    assert data_of(mode.collect(client, "GET", url)) == ["1"]
    assert server.requests[0].target == path


def test_absolute_url_goes_without_base_url(mode: Mode, server: RawServer) -> None:
    server.route("/events", sends("1"))
    client = mode.client(base_url="http://127.0.0.1:1/v1")
    assert data_of(mode.collect(client, "GET", server.url("/events"))) == ["1"]


def test_url_may_be_an_object(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    assert data_of(mode.collect(mode.client(), "GET", httpxr.URL(server.url("/?q=1")))) == ["1"]
    assert server.requests[0].target == "/?q=1"


def test_params_of_client_and_call_are_joined(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    client = mode.client(params={"key": "k"})
    mode.collect(client, "GET", server.url(), params={"q": "a b&c"})
    assert server.requests[0].query == {"key": ["k"], "q": ["a b&c"]}


def test_params_may_be_a_list(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    mode.collect(mode.client(), "GET", server.url(), params=[("id", "1"), ("id", "2")])
    assert server.requests[0].query == {"id": ["1", "2"]}


def test_method_is_sent_in_upper_case(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    mode.collect(mode.client(), "get", server.url())
    assert server.requests[0].method == "GET"


# -- headers --------------------------------------------------------------------------------------


def test_event_streams_are_asked_for_and_not_from_a_cache(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    mode.collect(mode.client(), "GET", server.url())
    assert server.requests[0].header_values("accept") == ["text/event-stream"]
    assert server.requests[0].header_values("cache-control") == ["no-store"]


@pytest.mark.parametrize("name", ["Accept", "accept", "ACCEPT"])
def test_headers_of_the_call_come_first(mode: Mode, server: RawServer, name: str) -> None:
    server.route("/", sends("1"))
    headers = {name: "application/json", "CACHE-control": "max-age=5", "X-Own": "call"}
    client = mode.client(headers={"x-own": "client", "X-Client": "1"})
    mode.collect(client, "GET", server.url(), headers=headers)
    [request] = server.requests
    assert request.header_values("accept") == ["application/json"]
    assert request.header_values("cache-control") == ["max-age=5"]
    assert request.header_values("x-own") == ["call"]
    assert request.header_values("x-client") == ["1"]


def test_headers_of_the_call_may_occur_twice(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    headers = [("X-Tag", "a"), ("x-tag", "b"), ("Accept", "text/event-stream;v=2")]
    mode.collect(mode.client(), "GET", server.url(), headers=headers)
    assert server.requests[0].header_values("x-tag") == ["a", "b"]
    assert server.requests[0].header_values("accept") == ["text/event-stream;v=2"]


@pytest.mark.parametrize("kind", [dict, httpxr.Headers, list])
def test_headers_of_the_caller_are_not_changed(
    mode: Mode, server: RawServer, kind: Callable[[Any], Any]
) -> None:
    server.route("/", sends("1"))
    headers = kind([("X-Own", "1")])
    before = kind([("X-Own", "1")])
    client = mode.client(headers={"X-Client": "1"}, cookies={"c": "1"}, auth=("user", "secret"))
    of_client = client.headers.multi_items()
    mode.collect(client, "GET", server.url(), headers=headers)
    assert headers == before
    assert client.headers.multi_items() == of_client
    assert server.requests[0].header("x-own") == "1"


def test_last_event_id_is_sent_as_utf8(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    mode.collect(mode.client(), "GET", server.url(), headers={"Last-Event-ID": "42"})
    assert server.requests[0].header("last-event-id") == "42"


# -- cookies --------------------------------------------------------------------------------------


def test_cookies_of_client_and_call_are_sent(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    client = mode.client(cookies={"a": "client"})
    mode.collect(client, "GET", server.url(), cookies={"b": "call"})
    mode.collect(client, "GET", server.url())
    first, second = server.requests
    [cookies] = first.header_values("cookie")
    assert sorted(cookies.split("; ")) == ["a=client", "b=call"]
    assert second.header_values("cookie") == ["a=client"]
    assert dict(client.cookies.items()) == {"a": "client"}


def test_cookie_header_of_the_call_is_left_alone(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    mode.collect(mode.client(), "GET", server.url(), headers={"Cookie": "raw=1"})
    assert server.requests[0].header_values("cookie") == ["raw=1"]


def test_received_cookies_are_stored_and_sent_again(mode: Mode, server: RawServer) -> None:
    cookies = [("Set-Cookie", "session=s1; Path=/; HttpOnly"), ("Set-Cookie", "b=2; Path=/other")]
    server.route("/", sends("1", headers=cookies))
    client = mode.client()
    mode.collect(client, "GET", server.url())
    assert dict(client.cookies.items()) == {"session": "s1", "b": "2"}
    mode.collect(client, "GET", server.url())
    assert server.requests[0].header("cookie") is None
    assert server.requests[1].header_values("cookie") == ["session=s1"]


def test_received_cookies_are_stored_before_the_stream_is_read(
    mode: Mode, server: RawServer
) -> None:
    server.route("/", sends(hold=True, headers=[("Set-Cookie", "session=s1")]))
    client = mode.client()
    with mode.open(client, "GET", server.url()):
        assert client.cookies["session"] == "s1"


def test_received_cookies_of_an_error_are_stored(mode: Mode, server: RawServer) -> None:
    server.route("/", lambda e: e.respond(403, [("Set-Cookie", "session=s1")], b"no"))
    client = mode.client()
    with pytest.raises(SSEError):
        mode.collect(client, "GET", server.url())
    assert client.cookies["session"] == "s1"


def test_received_cookies_do_not_go_to_another_host(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", headers=[("Set-Cookie", "session=s1; Path=/")]))
    client = mode.client()
    mode.collect(client, "GET", server.url())
    mode.collect(client, "GET", f"http://localhost:{server.port}/")
    mode.collect(client, "GET", server.url())
    assert [request.header("cookie") for request in server.requests] == [
        None,
        None,
        "session=s1",
    ]


def test_cookie_that_is_taken_back_is_not_sent(mode: Mode, server: RawServer) -> None:
    server.route("/in", sends("1", headers=[("Set-Cookie", "session=s1; Path=/")]))
    server.route("/out", sends("1", headers=[("Set-Cookie", "session=; Path=/; Max-Age=0")]))
    client = mode.client()
    for path in ("/in", "/out", "/in"):
        mode.collect(client, "GET", server.url(path))
    assert [request.header("cookie") for request in server.requests] == [None, "session=s1", None]


# -- auth -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "auth", [("user", "pass word"), httpxr.BasicAuth("user", "pass word")], ids=["tuple", "Basic"]
)
@pytest.mark.parametrize("of_client", [True, False], ids=["client", "call"])
def test_basic_auth(mode: Mode, server: RawServer, auth: object, of_client: bool) -> None:
    server.route("/", sends("1"))
    if of_client:
        mode.collect(mode.client(auth=auth), "GET", server.url())
    else:
        mode.collect(mode.client(auth=("other", "one")), "GET", server.url(), auth=auth)
    assert server.requests[0].header_values("authorization") == [basic("user", "pass word")]


def test_no_auth_for_one_call(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    mode.collect(mode.client(auth=("user", "secret")), "GET", server.url(), auth=None)
    assert server.requests[0].header("authorization") is None


@pytest.mark.parametrize("call", [{}, {"auth": None}], ids=["default", "none"])
def test_userinfo_of_the_url_is_sent_once(
    mode: Mode, server: RawServer, call: dict[str, Any]
) -> None:
    server.route("/", sends("1"))
    url = f"http://user:secret@127.0.0.1:{server.port}/"
    assert data_of(mode.collect(mode.client(), "GET", url, **call)) == ["1"]
    assert server.requests[0].header_values("authorization") == [basic("user", "secret")]


def test_auth_goes_before_userinfo_of_the_url(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    url = f"http://user:secret@127.0.0.1:{server.port}/"
    mode.collect(mode.client(), "GET", url, auth=("other", "one"))
    assert server.requests[0].header_values("authorization") == [basic("other", "one")]


def test_auth_of_a_wrong_type_is_refused(mode: Mode, server: RawServer) -> None:
    with pytest.raises(TypeError, match="auth must be a tuple, a callable or an Auth, not 42"):
        mode.collect(mode.client(), "GET", server.url(), auth=42)
    assert server.connections == 0


def test_digest_auth_answers_the_challenge(mode: Mode, server: RawServer) -> None:
    server.route("/", DigestHandler("user", "secret"))
    client = mode.client(auth=httpxr.DigestAuth("user", "secret"))
    with mode.open(client, "POST", server.url("/?q=1"), json={"q": 2}) as stream:
        assert next(stream).data == "1"
        assert [past.status_code for past in stream.response.history] == [401]
    assert [request.method for request in server.requests] == ["POST", "POST"]
    assert [json.loads(request.body) for request in server.requests] == [{"q": 2}, {"q": 2}]


def test_digest_auth_with_a_wrong_password_is_an_error(mode: Mode, server: RawServer) -> None:
    server.route("/", DigestHandler("user", "secret"))
    with pytest.raises(SSEError, match="401") as caught:
        mode.collect(mode.client(), "GET", server.url(), auth=httpxr.DigestAuth("user", "wrong"))
    assert caught.value.body == "who are you?"
    assert len(server.requests) == 2


class TokenAuth(httpxr.Auth):
    """Gets a token from a header of the first response, as `auth_flow` of either interface."""

    def auth_flow(
        self, request: httpxr.Request
    ) -> Generator[httpxr.Request, httpxr.Response, None]:
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = "Bearer " + response.headers["x-token"]
            yield request


def token_handler(exchange: Exchange) -> None:
    """Want the token that is given to who has none."""
    if exchange.header("authorization") == "Bearer t1":
        sends("1", hold=True)(exchange)
    else:
        exchange.respond(401, [("X-Token", "t1")], b'{"token": "t1"}')


@pytest.mark.parametrize("of_client", [True, False], ids=["client", "call"])
def test_flow_of_custom_auth_goes_on_after_a_response(
    mode: Mode, server: RawServer, of_client: bool
) -> None:
    server.route("/", token_handler)
    if of_client:
        events = mode.collect(mode.client(auth=TokenAuth()), "GET", server.url(), n=1)
    else:
        events = mode.collect(mode.client(), "GET", server.url(), n=1, auth=TokenAuth())
    assert data_of(events) == ["1"]
    assert [r.header("authorization") for r in server.requests] == [None, "Bearer t1"]


class TwofoldAuth(httpxr.Auth):
    """Has a flow for each interface."""

    def sync_auth_flow(
        self, request: httpxr.Request
    ) -> Generator[httpxr.Request, httpxr.Response, None]:
        request.headers["X-Flow"] = "sync"
        yield request

    async def async_auth_flow(
        self, request: httpxr.Request
    ) -> AsyncGenerator[httpxr.Request, httpxr.Response]:
        request.headers["X-Flow"] = "async"
        yield request


def test_each_interface_has_its_own_flow(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    mode.collect(mode.client(auth=TwofoldAuth()), "GET", server.url())
    assert server.requests[0].header("x-flow") == mode.name


class BodyAuth(httpxr.Auth):
    """Gets a token from the body of the first response."""

    requires_response_body = True

    def auth_flow(
        self, request: httpxr.Request
    ) -> Generator[httpxr.Request, httpxr.Response, None]:
        response = yield request
        request.headers["Authorization"] = "Bearer " + response.json()["token"]
        yield request


def test_flow_may_require_the_body_of_the_response(mode: Mode, server: RawServer) -> None:
    server.route("/", token_handler)
    begun = time.perf_counter()
    assert data_of(mode.collect(mode.client(auth=BodyAuth()), "GET", server.url(), n=1)) == ["1"]
    # Of the event stream, which is the body of the second one, it gets nothing: it has no end.
    assert time.perf_counter() - begun < 1
    assert len(server.requests) == 2


def test_callable_auth_changes_the_request(mode: Mode, server: RawServer) -> None:
    def sign(request: httpxr.Request) -> httpxr.Request:
        request.headers["X-Signature"] = f"{request.method} {request.url.path}"
        return request

    server.route("/events", sends("1"))
    mode.collect(mode.client(), "GET", server.url("/events"), auth=sign)
    mode.collect(mode.client(auth=sign), "GET", server.url("/events"))
    assert [r.header("x-signature") for r in server.requests] == ["GET /events"] * 2


def test_flow_that_raises_leaves_no_connection_open(mode: Mode, server: RawServer) -> None:
    class Refusing(httpxr.Auth):
        def auth_flow(
            self, request: httpxr.Request
        ) -> Generator[httpxr.Request, httpxr.Response, None]:
            response = yield request
            raise LookupError(f"status {response.status_code}")

    server.route("/", sends("1", hold=True))
    with pytest.raises(LookupError, match="status 200"):
        mode.collect(mode.client(), "GET", server.url(), auth=Refusing())
    raised = time.perf_counter()
    assert server.wait_for_close(1) - raised < 0.1


def test_flow_is_ended_when_it_has_its_response(mode: Mode, server: RawServer) -> None:
    steps: list[str] = []

    class Counting(httpxr.Auth):
        def auth_flow(
            self, request: httpxr.Request
        ) -> Generator[httpxr.Request, httpxr.Response, None]:
            try:
                response = yield request
                steps.append(f"status {response.status_code}")
            finally:
                steps.append("end")

    server.route("/", sends("1"))
    mode.collect(mode.client(), "GET", server.url(), auth=Counting())
    assert steps == ["status 200", "end"]


# -- event hooks ----------------------------------------------------------------------------------


class Hooks:
    """Event hooks of a client that note what they see; coroutine functions in async mode."""

    def __init__(self, mode: Mode, *, plain: bool = False) -> None:
        self.seen: Final[list[str]] = []
        is_async = mode.is_async and not plain
        self.settings: Final[dict[str, list[Hook]]] = {
            "request": [self._arequest if is_async else self._request],
            "response": [self._aresponse if is_async else self._response],
        }

    def _request(self, request: httpxr.Request) -> None:
        self.seen.append(f"{request.method} {request.url.path}")

    def _response(self, response: httpxr.Response) -> None:
        self.seen.append(f"{response.status_code} {response.request.url.path}")

    async def _arequest(self, request: httpxr.Request) -> None:
        self._request(request)

    async def _aresponse(self, response: httpxr.Response) -> None:
        self._response(response)


@pytest.mark.parametrize("plain", [False, True], ids=["own", "plain"])
def test_hooks_are_called_once(mode: Mode, server: RawServer, plain: bool) -> None:
    server.route("/", sends("1"))
    hooks = Hooks(mode, plain=plain)
    assert data_of(mode.collect(mode.client(event_hooks=hooks.settings), "GET", server.url())) == [
        "1"
    ]
    assert hooks.seen == ["GET /", "200 /"]


def test_hooks_are_called_for_each_redirect(mode: Mode, server: RawServer) -> None:
    server.route("/old", lambda e: e.respond(302, [("Location", "/new")]))
    server.route("/new", sends("1"))
    hooks = Hooks(mode)
    mode.collect(mode.client(event_hooks=hooks.settings), "GET", server.url("/old"))
    assert hooks.seen == ["GET /old", "302 /old", "GET /new", "200 /new"]


def test_hooks_are_called_for_each_round_of_auth(mode: Mode, server: RawServer) -> None:
    server.route("/", token_handler)
    hooks = Hooks(mode)
    client = mode.client(event_hooks=hooks.settings, auth=TokenAuth())
    mode.collect(client, "GET", server.url(), n=1)
    assert hooks.seen == ["GET /", "401 /", "GET /", "200 /"]


def hook(mode: Mode, function: Hook) -> Hook:
    """Return a hook as the interface has it: plain, or a coroutine function."""
    if not mode.is_async:
        return function

    async def as_coroutine(argument: Any) -> None:
        function(argument)

    return as_coroutine


def test_request_hook_may_change_the_request(mode: Mode, server: RawServer) -> None:
    def sign(request: httpxr.Request) -> None:
        request.headers["X-Signature"] = "s1"

    server.route("/", sends("1"))
    mode.collect(mode.client(event_hooks={"request": [hook(mode, sign)]}), "GET", server.url())
    assert server.requests[0].header_values("x-signature") == ["s1"]


def test_request_hook_that_raises_sends_nothing(mode: Mode, server: RawServer) -> None:
    def refuse(request: httpxr.Request) -> None:
        raise LookupError(f"not {request.url.path}")

    client = mode.client(event_hooks={"request": [hook(mode, refuse)]})
    with pytest.raises(LookupError, match="not /events"):
        mode.collect(client, "GET", server.url("/events"))
    assert server.requests == []


def test_response_hook_that_raises_leaves_no_connection_open(mode: Mode, server: RawServer) -> None:
    def refuse(response: httpxr.Response) -> None:
        raise LookupError(f"status {response.status_code}")

    server.route("/", sends("1", hold=True))
    client = mode.client(event_hooks={"response": [hook(mode, refuse)]})
    with pytest.raises(LookupError, match="status 200"):
        mode.collect(client, "GET", server.url())
    raised = time.perf_counter()
    assert server.wait_for_close(1) - raised < 0.1


def test_response_hook_may_raise_for_status(mode: Mode, server: RawServer) -> None:
    def check(response: httpxr.Response) -> None:
        response.raise_for_status()

    server.route("/", lambda e: e.respond(503, (), b"overloaded"))
    client = mode.client(event_hooks={"response": [hook(mode, check)]})
    with pytest.raises(httpxr.HTTPStatusError) as caught:
        mode.collect(client, "GET", server.url())
    assert caught.value.response.status_code == 503


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_response_hook_may_read_the_body_of_an_error(
    mode: Mode, server: RawServer, framing: str
) -> None:
    def overloaded(exchange: Exchange) -> None:
        if framing == "length":
            exchange.respond(503, (), b"overloaded")
        else:
            exchange.start(503, content_type="text/plain")
            exchange.send(b"over")
            exchange.send(b"loaded")

    bodies: list[bytes] = []

    def read(response: httpxr.Response) -> None:
        bodies.append(response.read())

    async def aread(response: httpxr.Response) -> None:
        bodies.append(await response.aread())

    server.route("/", overloaded)
    client = mode.client(event_hooks={"response": [aread if mode.is_async else read]})
    with mode.open(client, "GET", server.url()) as stream:
        assert bodies == [b"overloaded"]
        assert stream.response.text == "overloaded"
        with pytest.raises(SSEError, match=r"503.*overloaded") as caught:
            next(stream)
    assert caught.value.body == "overloaded"


def test_body_of_an_error_may_be_read_before_iterating(mode: Mode, server: RawServer) -> None:
    server.route("/", lambda e: e.respond(422, (), b'{"error": "model"}', content_type="a/json"))
    with mode.open(mode.client(), "GET", server.url()) as stream:
        response = stream.response
        if mode.is_async:
            mode.run(response.aread())
        else:
            response.read()
        assert response.json() == {"error": "model"}
        with pytest.raises(httpxr.HTTPStatusError):
            response.raise_for_status()


# -- transports -----------------------------------------------------------------------------------


def test_mock_transport_gives_its_events(mode: Mode) -> None:
    def handle(request: httpxr.Request) -> httpxr.Response:
        assert request.headers["accept"] == "text/event-stream"
        return httpxr.Response(200, headers=EVENT_STREAM, content=b"data: 1\n\ndata: 2\n\n")

    client = mode.client(transport=httpxr.MockTransport(handle))
    with mode.open(client, "GET", "http://mock/events") as stream:
        assert data_of(stream) == ["1", "2"]
        assert str(stream.response.request.url) == "http://mock/events"


def test_mock_transport_may_be_given_to_the_call(mode: Mode, server: RawServer) -> None:
    def handle(_: httpxr.Request) -> httpxr.Response:
        return httpxr.Response(200, headers=EVENT_STREAM, content=b"data: mock\n\n")

    transport = httpxr.MockTransport(handle)
    assert data_of(mode.collect(mode.client(), "GET", server.url(), transport=transport)) == [
        "mock"
    ]
    assert server.connections == 0


def test_async_mock_transport_gives_its_events(async_mode: AsyncMode) -> None:
    async def handle(_: httpxr.Request) -> httpxr.Response:
        return httpxr.Response(200, headers=EVENT_STREAM, content=b"data: 1\n\ndata: 2\n\n")

    client = async_mode.client(transport=httpxr.AsyncMockTransport(handle))
    assert data_of(async_mode.collect(client, "GET", "http://mock/")) == ["1", "2"]


def test_redirects_auth_and_cookies_work_on_a_mock_transport(mode: Mode) -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    def handle(request: httpxr.Request) -> httpxr.Response:
        headers = request.headers
        seen.append((str(request.url), headers.get("authorization"), headers.get("cookie")))
        if request.url.host == "old":
            moved = {"Location": "http://new/", "Set-Cookie": "session=s1"}
            return httpxr.Response(302, headers=moved)
        return httpxr.Response(200, headers=EVENT_STREAM, content=b"data: 1\n\n")

    client = mode.client(transport=httpxr.MockTransport(handle), auth=("user", "secret"))
    assert data_of(mode.collect(client, "GET", "http://old/")) == ["1"]
    assert seen == [("http://old/", basic("user", "secret"), None), ("http://new/", None, None)]
    assert client.cookies["session"] == "s1"


class Chunks:
    """Iterator, sync and async, which notes how many chunks were asked for, and that it ended."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while True:
                self.asked += 1
                yield event(str(self.asked))
        finally:
            self.closed = True

    async def aiterate(self) -> AsyncIterator[bytes]:
        try:
            while True:
                self.asked += 1
                yield event(str(self.asked))
        finally:
            self.closed = True


class CustomTransport(httpxr.BaseTransport):
    """A sync transport whose endless body is made while it is read."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks: Final = chunks

    def __new__(cls, chunks: Chunks) -> CustomTransport:
        del chunks  # httpxr's own __new__ takes no arguments
        return super().__new__(cls)

    def handle_request(self, request: httpxr.Request) -> httpxr.Response:
        assert request.method == "GET"
        return httpxr.Response(200, headers=EVENT_STREAM, content=iter(self._chunks))


class CustomAsyncTransport(httpxr.AsyncBaseTransport):
    """The same, asynchronously."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks: Final = chunks

    def __new__(cls, chunks: Chunks) -> CustomAsyncTransport:
        del chunks
        return super().__new__(cls)

    async def handle_async_request(self, request: httpxr.Request) -> httpxr.Response:
        assert request.method == "GET"
        return httpxr.Response(200, headers=EVENT_STREAM, content=self._chunks.aiterate())


def custom_transport(mode: Mode, chunks: Chunks) -> object:
    return CustomAsyncTransport(chunks) if mode.is_async else CustomTransport(chunks)


def test_custom_transport_is_live(mode: Mode) -> None:
    chunks = Chunks()
    client = mode.client(transport=custom_transport(mode, chunks))
    with mode.open(client, "GET", "http://custom/") as stream:
        for number in (1, 2, 3):
            assert next(stream).data == str(number)
            assert chunks.asked == number


def test_custom_transport_is_used_whatever_the_environment(
    mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    client = mode.client(transport=custom_transport(mode, Chunks()))
    assert data_of(mode.collect(client, "GET", "http://custom/", n=2)) == ["1", "2"]


def test_mounted_transport_is_used_for_its_urls(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("network"))
    client = mode.client(mounts={"http://custom": custom_transport(mode, Chunks())})
    assert data_of(mode.collect(client, "GET", "http://custom/", n=2)) == ["1", "2"]
    assert data_of(mode.collect(client, "GET", server.url())) == ["network"]


def test_redirect_changes_to_the_mounted_transport(mode: Mode, server: RawServer) -> None:
    server.route("/", lambda e: e.respond(302, [("Location", "http://custom/")]))
    client = mode.client(mounts={"http://custom": custom_transport(mode, Chunks())})
    assert data_of(mode.collect(client, "GET", server.url(), n=2)) == ["1", "2"]


def test_error_of_a_custom_transport_is_raised(mode: Mode) -> None:
    def handle(request: httpxr.Request) -> httpxr.Response:
        raise httpxr.ConnectError("no route", request=request)

    client = mode.client(transport=httpxr.MockTransport(handle))
    with pytest.raises(httpxr.ConnectError, match="no route"):
        mode.collect(client, "GET", "http://mock/")


class SyncBody(httpxr.SyncByteStream):
    """A stream of httpxr's own kind."""

    def __init__(self) -> None:
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"data: 1\n\n"
        yield b"data: 2\n\n"

    def close(self) -> None:
        self.closed = True


def test_stream_object_of_a_transport_is_closed(sync_mode: SyncMode) -> None:
    body = SyncBody()

    def handle(_: httpxr.Request) -> httpxr.Response:
        return httpxr.Response(200, headers=EVENT_STREAM, stream=body)

    client = sync_mode.client(transport=httpxr.MockTransport(handle))
    assert data_of(sync_mode.collect(client, "GET", "http://mock/", n=1)) == ["1"]
    assert body.closed


def test_async_body_from_a_transport_is_refused_in_sync_code(sync_mode: SyncMode) -> None:
    def handle(_: httpxr.Request) -> httpxr.Response:
        return httpxr.Response(200, headers=EVENT_STREAM, content=Chunks().aiterate())

    client = sync_mode.client(transport=httpxr.MockTransport(handle))
    with pytest.raises(TypeError, match="asynchronous"):
        sync_mode.collect(client, "GET", "http://mock/")


def test_sync_body_from_a_transport_is_refused_in_async_code(async_mode: AsyncMode) -> None:
    def handle(_: httpxr.Request) -> httpxr.Response:
        return httpxr.Response(200, headers=EVENT_STREAM, stream=SyncBody())

    client = async_mode.client(transport=httpxr.MockTransport(handle))
    with pytest.raises(TypeError, match="synchronous"):
        async_mode.collect(client, "GET", "http://mock/")


def test_transport_of_the_other_interface_is_refused(mode: Mode) -> None:
    transport = CustomTransport(Chunks()) if mode.is_async else CustomAsyncTransport(Chunks())
    with pytest.raises(TypeError, match=r"has no handle_(async_)?request\(\)"):
        mode.collect(mode.client(), "GET", "http://custom/", transport=transport)


# -- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "body", "content_type"),
    [
        pytest.param({"json": {"q": [1, "ü"]}}, None, "application/json", id="json"),
        pytest.param(
            {"data": {"q": "a b", "n": "1"}},
            b"q=a+b&n=1",
            "application/x-www-form-urlencoded",
            id="data",
        ),
        pytest.param({"content": b"\x00raw"}, b"\x00raw", None, id="bytes"),
        pytest.param({"content": "tëxt"}, "tëxt".encode(), None, id="str"),
        pytest.param({"content": [b"one ", b"two"]}, b"one two", None, id="list"),
        pytest.param({"content": b""}, b"", None, id="empty"),
        pytest.param({}, b"", None, id="nothing"),
    ],
)
def test_body_is_sent(
    mode: Mode,
    server: RawServer,
    call: dict[str, Any],
    body: bytes | None,
    content_type: str | None,
) -> None:
    server.route("/", sends("1"))
    assert data_of(mode.collect(mode.client(), "POST", server.url(), **call)) == ["1"]
    [request] = server.requests
    assert request.method == "POST"
    if body is None:
        assert json.loads(request.body) == call["json"]
    else:
        assert request.body == body
    if content_type is not None:
        assert request.header_values("content-type") == [content_type]
    if request.body:
        assert request.header_values("content-length") == [str(len(request.body))]


def test_generator_as_content_is_sent(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    parts = (part for part in (b"one ", b"two"))
    mode.collect(mode.client(), "POST", server.url(), content=parts)
    assert server.requests[0].body == b"one two"


def test_file_as_content_is_sent(mode: Mode, server: RawServer, tmp_path: Any) -> None:
    server.route("/", sends("1"))
    path = tmp_path / "body"
    path.write_bytes(b"one\ntwo")
    with path.open("rb") as file:
        mode.collect(mode.client(), "POST", server.url(), content=file)
    assert server.requests[0].body == b"one\ntwo"


def test_files_are_sent_as_a_form(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))
    files = {"upload": ("name.txt", b"content of the file", "text/plain")}
    mode.collect(mode.client(), "POST", server.url(), files=files, data={"q": "1"})
    [request] = server.requests
    assert (request.header("content-type") or "").startswith("multipart/form-data; boundary=")
    assert b"content of the file" in request.body
    assert b'filename="name.txt"' in request.body
    assert b'name="q"' in request.body


@pytest.mark.parametrize("content", ["async", 5])
def test_content_that_would_be_lost_is_refused(
    mode: Mode, server: RawServer, content: object
) -> None:
    if content == "async":
        content = Chunks().aiterate()
    with pytest.raises(TypeError, match="content must be bytes, str or an iterable of bytes, not"):
        mode.collect(mode.client(), "POST", server.url(), content=content)
    assert server.connections == 0


# -- misuse ---------------------------------------------------------------------------------------


def test_unknown_argument_is_refused(mode: Mode, server: RawServer) -> None:
    with pytest.raises(TypeError, match="time_out"):
        mode.collect(mode.client(), "GET", server.url(), time_out=5)
    assert server.connections == 0


def test_closed_client_is_refused(mode: Mode, server: RawServer) -> None:
    client = mode.client()
    mode.close_client(client)
    with pytest.raises(RuntimeError, match="closed"):
        mode.collect(client, "GET", server.url())
    assert server.connections == 0


def test_async_client_in_sync_code_is_refused() -> None:
    client = cast("httpxr.Client", httpxr.AsyncClient())
    with pytest.raises(TypeError, match=r"takes an httpxr\.Client, not .*use aconnect_sse\(\)"):
        with connect_sse(client, "GET", "http://127.0.0.1:1"):
            pass


async def test_sync_client_in_async_code_is_refused() -> None:
    client = cast("httpxr.AsyncClient", httpxr.Client())
    with pytest.raises(TypeError, match=r"takes an httpxr\.AsyncClient, not .*use connect_sse\(\)"):
        async with aconnect_sse(client, "GET", "http://127.0.0.1:1"):
            pass


def test_what_is_no_client_is_refused(mode: Mode) -> None:
    nothing = cast("Any", None)
    if mode.is_async:

        async def enter() -> None:
            async with aconnect_sse(nothing, "GET", "http://127.0.0.1:1"):
                pass

        with pytest.raises(TypeError, match=r"takes an httpxr\.AsyncClient, not NoneType$"):
            mode.run(enter())
    else:
        with pytest.raises(TypeError, match=r"takes an httpxr\.Client, not NoneType$"):
            with connect_sse(nothing, "GET", "http://127.0.0.1:1"):
                pass


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "events"])
def test_url_without_a_known_protocol_is_refused(mode: Mode, url: str) -> None:
    with pytest.raises(httpxr.UnsupportedProtocol):
        mode.collect(mode.client(), "GET", url)


# -- limits ---------------------------------------------------------------------------------------


def test_leaving_the_block_frees_the_permit_at_once(
    async_mode: AsyncMode, server: RawServer
) -> None:
    server.route("/", sends("1", hold=True))
    client = async_mode.client(limits=httpxr.Limits(max_connections=1))
    begun = time.perf_counter()
    sources: list[object] = []  # kept: the permit must not hang on them
    for _ in range(3):
        with async_mode.open(client, "GET", server.url()) as stream:
            assert next(stream).data == "1"
            sources.append((stream, stream.source, stream.response))
    assert time.perf_counter() - begun < 1


def test_more_streams_than_permits_wait_for_the_pool(
    async_mode: AsyncMode, server: RawServer
) -> None:
    server.route("/", sends("1", hold=True))
    client = async_mode.client(limits=httpxr.Limits(max_connections=1))
    timeout = httpxr.Timeout(5, pool=0.1)
    with async_mode.open(client, "GET", server.url()) as stream:
        assert next(stream).data == "1"
        with pytest.raises(httpxr.PoolTimeout):
            async_mode.collect(client, "GET", server.url(), timeout=timeout)
    assert data_of(async_mode.collect(client, "GET", server.url(), n=1)) == ["1"]
    assert server.connections == 2


def test_an_authorization_header_is_sent_in_place_of_the_urls_user(
    mode: Mode, server: RawServer
) -> None:
    server.route("/", sends("1"))
    url = server.url().replace("//", "//user:secret@")
    headers = {"Authorization": "Bearer a"}
    assert data_of(mode.collect(mode.client(), "GET", url, headers=headers)) == ["1"]
    assert server.requests[0].header_values("authorization") == ["Bearer a"]
