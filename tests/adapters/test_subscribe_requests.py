"""`subscribe`, over each adapter, library and event loop: what is sent each time."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from tests.support.drivers import driven
from tests.support.handlers import DigestHandler, in_turn, lost, redirect, status, stream
from tests.support.harness import data_of, sends
from tests.support.subscribing import failure, received, sent_ids, subscribed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.drivers import Driver
    from tests.support.servers import Exchange, RawServer

pytestmark = pytest.mark.needs("redirects", "settings")

# -- headers and bodies ---------------------------------------------------------------------------


@driven
async def test_an_event_stream_is_asked_for_and_not_from_a_cache(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", in_turn(sends("1"), lost, status(500)))
    assert await received(driver, server) == ["1"]
    assert len(server.requests) == 4
    for request in server.requests:
        assert request.method == "GET"
        assert request.header_values("accept") == ["text/event-stream"]
        assert request.header_values("cache-control") == ["no-store"]
        assert request.header("last-event-id") is None
        assert request.body == b""


@driven
async def test_headers_and_params_of_the_caller_are_sent_each_time(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", in_turn(sends("1"), lost, status(500)))
    headers = [("Accept", "text/event-stream;v=2"), ("X-Tag", "a"), ("x-tag", "b")]
    call: dict[str, Any] = {"headers": headers, "params": {"q": "ü"}, "cookies": {"c": "1"}}
    async with driver.client(headers={"X-Client": "1"}, params={"key": "k"}) as client:
        assert await received(driver, server, client=client, **call) == ["1"]
    assert len(server.requests) == 4
    for request in server.requests:
        assert request.header_values("accept") == ["text/event-stream;v=2"]
        assert request.header_values("cache-control") == ["no-store"]
        assert request.header_values("x-tag") == ["a", "b"]
        assert request.header("x-client") == "1"
        assert request.header("cookie") == "c=1"
        assert request.query == {"key": ["k"], "q": ["ü"]}
    assert headers == [("Accept", "text/event-stream;v=2"), ("X-Tag", "a"), ("x-tag", "b")]


@driven
async def test_a_relative_url_is_relative_to_the_base_url_each_time(
    driver: Driver, server: RawServer
) -> None:
    server.route("/v1/events", in_turn(sends("1"), lost))
    async with driver.client(base_url=server.url("/v1")) as client:
        assert await received(driver, server, client=client, url="/events") == ["1"]
        assert await received(driver, server, client=client, url="events") == []
        absolute = driver.library.URL(server.url("/v1/events"))
        assert await received(driver, server, client=client, url=absolute) == []
    assert [request.target for request in server.requests] == ["/v1/events"] * 5


# What to send, what it is on the wire (empty if that is the library's to say), and its type.
BODIES: Final[dict[str, tuple[Callable[[Driver], dict[str, Any]], bytes, str]]] = {
    "none": (lambda _: {}, b"", ""),
    "bytes": (lambda _: {"content": b'{"q": 1}'}, b'{"q": 1}', ""),
    "str": (lambda _: {"content": "ü"}, "ü".encode(), ""),
    "iterator": (lambda driver: {"content": driver.body(b'{"q": ', b"1}")}, b'{"q": 1}', ""),
    "json": (lambda _: {"json": {"q": "ü"}}, b"", "application/json"),
    "data": (lambda _: {"data": {"q": "ü"}}, b"q=%C3%BC", "application/x-www-form-urlencoded"),
    "files": (lambda _: {"files": {"f": ("n", io.BytesIO(b"x"))}}, b"", "multipart/form-data; "),
    "files and data": (
        lambda _: {"files": {"f": io.BytesIO(b"x")}, "data": {"a": "b"}},
        b"",
        "multipart/form-data; ",
    ),
}


@pytest.mark.parametrize("method", ["POST", "REPORT"])
@pytest.mark.parametrize("body", BODIES)
@driven
async def test_the_same_body_is_sent_each_time(
    driver: Driver, server: RawServer, method: str, body: str
) -> None:
    make, expected, content_type = BODIES[body]
    server.route("/", in_turn(sends("1"), redirect(307, "/other"), lost, status(500)))
    server.route("/other", sends("2"))
    assert await received(driver, server, method=method, **make(driver)) == ["1", "2"]
    first, *others = server.requests
    assert len(others) == 5
    for request in others:
        assert (request.method, request.body) == (method, first.body)
        assert request.header("content-type") == first.header("content-type")
        # httpxr may leave it out where there is no body.
        assert (request.header("content-length") or "0") == (first.header("content-length") or "0")
    assert first.body == expected or not expected
    assert (first.header("content-type") or "").startswith(content_type)
    if body == "json":
        assert json.loads(first.body) == {"q": "ü"}
    if body.startswith("files"):
        assert b"\r\n\r\nx\r\n" in first.body


# -- Last-Event-ID --------------------------------------------------------------------------------

# The bodies of the streams, one after the other; and what is sent for the second and later ones.
IDS: Final[dict[str, tuple[list[bytes], list[str | None]]]] = {
    "of the last event": ([b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n"], ["2"]),
    "of an earlier event": ([b"id: 1\ndata: a\n\ndata: b\n\n"], ["1"]),
    "of an earlier connection": ([b"id: 1\ndata: a\n\n", b"data: b\n\n", b""], ["1", "1", "1"]),
    "from the first one on": ([b"data: a\n\n", b"id: 1\ndata: b\n\n"], [None, "1"]),
    "without data": ([b"id: 7\n\n"], ["7"]),
    "not ASCII": (["id: größe €😀\n\n".encode()], ["größe €😀"]),
    "with spaces": ([b"id: a b\n\n"], ["a b"]),
    "with spaces around": ([b"id:  a \n\n"], ["a"]),
    "reset": ([b"id: 1\ndata: a\n\nid\ndata: b\n\n"], [None]),
    "reset, in another connection": ([b"id: 1\n\n", b"id:\n\n", b"data: a\n\n"], ["1", None, None]),
    "set again after a reset": ([b"id: 1\n\nid\n\n", b"id: 3\n\n"], [None, "3"]),
    "in an unfinished block": ([b"id: 1\ndata: a\n\nid: 2\ndata: b\n"], ["1"]),
    "in an unfinished line": ([b"id: 1\ndata: a\n\nid: 2"], ["1"]),
    "with NUL": ([b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n"], ["1"]),
    "in a comment": ([b":id: 1\ndata: a\n\n"], [None]),
}


@pytest.mark.parametrize(("bodies", "expected"), IDS.values(), ids=IDS.keys())
@driven
async def test_the_last_event_id_is_sent(
    driver: Driver, server: RawServer, bodies: list[bytes], expected: list[str | None]
) -> None:
    server.route("/", in_turn(*map(stream, bodies)))
    async with subscribed(driver, server) as events:
        await events.rest()
        assert (events.source.last_event_id or "").strip() == (expected[-1] or "")
    assert sent_ids(server) == [None, *expected]


@pytest.mark.parametrize("name", ["a\x01b", "a\x0bb"])
@driven
async def test_an_id_that_no_header_can_carry_is_kept_and_not_sent(
    driver: Driver, server: RawServer, name: str
) -> None:
    bodies = ("id: 1\n\n", f"id: {name}\ndata: x\n\n", "data: y\n\n")
    server.route("/", in_turn(*(stream(body.encode()) for body in bodies)))
    async with subscribed(driver, server, last_event_id="\x7f") as events:
        got = [(event.id, event.data) for event in await events.rest()]
        assert got == [(name, "x"), (name, "y")]
        assert events.source.last_event_id == name
    assert sent_ids(server) == [None, "1", None, None]


@driven
async def test_the_last_event_id_survives_failures(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(stream(b"id: 1\n\n"), status(500), lost, redirect(307, "/other")))
    server.route("/other", stream(b"id: 2\n\n"))
    await received(driver, server)
    assert sent_ids(server) == [None, "1", "1", "1", "1", "2"]


@pytest.mark.parametrize(
    ("call", "first"),
    [
        ({"last_event_id": "größe"}, "größe"),
        ({"last_event_id": ""}, None),
        ({"headers": {"Last-Event-ID": "7"}}, "7"),
        ({"headers": [("LAST-EVENT-ID", "7"), ("X-Own", "1")]}, "7"),
        ({"headers": {"Last-Event-ID": "7"}, "last_event_id": "8"}, "8"),
        ({"headers": {"Last-Event-ID": "7"}, "last_event_id": ""}, None),
    ],
    ids=str,
)
@driven
async def test_the_first_last_event_id(
    driver: Driver, server: RawServer, call: dict[str, Any], first: str | None
) -> None:
    await check_first_id(driver, server, call, first)


# As httpx takes them, or httpxr.
HEADERS: Final[dict[str, list[dict[str, Any]]]] = {
    "sse_httpx": [
        {"headers": {b"last-event-id": "größe".encode()}},
        {"headers": [(b"last-event-id", "größe".encode()), (b"x-own", b"\xe9")]},
    ],
    "sse_httpxr": [{"headers": {"Last-Event-ID": "größe"}}],
}


@driven
async def test_the_first_last_event_id_may_be_a_header_beyond_ascii(
    driver: Driver, server: RawServer
) -> None:
    for call in HEADERS[driver.package]:
        server.requests.clear()
        await check_first_id(driver, server, call, "größe")


async def check_first_id(
    driver: Driver, server: RawServer, call: dict[str, Any], first: str | None
) -> None:
    bodies = (b"data: a\n\n", "id: €\n\n".encode(), b"id\n\n", b"data: b\n\n")
    server.route("/", in_turn(*map(stream, bodies)))
    async with subscribed(driver, server, **call) as events:
        assert (events.source.last_event_id or None) == first
        assert ((await events.next()).id or None) == first  # in force, as in any later event
        await events.rest()
    assert sent_ids(server) == [first, first, "€", None, None]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\ud800"])
@driven
async def test_a_last_event_id_that_no_stream_can_set_is_refused(
    driver: Driver, server: RawServer, value: str
) -> None:
    with pytest.raises(ValueError, match="last_event_id must not have NUL, CR, LF or surrogates"):
        async with subscribed(driver, server, last_event_id=value):
            pass


# -- redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@driven
async def test_a_redirect_is_followed_each_time(
    driver: Driver, server: RawServer, code: int
) -> None:
    server.route("/", redirect(code, "/there?x=1"))
    first = stream("id: ü\ndata: 1\n\n".encode())
    server.route("/there", in_turn(first, lost, status(500), sends("2")))
    async with driver.client(follow_redirects=False) as client:
        async with subscribed(driver, server, client=client) as events:
            assert data_of(await events.rest()) == ["1", "2"]
            assert events.response.url.path == "/there"
    assert [request.target for request in server.requests] == ["/", "/there?x=1"] * 5
    assert sent_ids(server) == [None, None] + ["ü"] * 8


@pytest.mark.parametrize(
    ("code", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
@driven
async def test_a_redirect_of_post(
    driver: Driver, server: RawServer, code: int, method: str
) -> None:
    server.route("/", redirect(code, "/there"))
    server.route("/there", in_turn(sends("1"), sends("2")))
    assert await received(driver, server, method="POST", content=b"x") == ["1", "2"]
    for first, second in zip(server.requests[::2], server.requests[1::2], strict=True):
        assert (first.method, first.body) == ("POST", b"x")
        assert (second.method, second.body) == (method, b"x" if method == "POST" else b"")


@driven
async def test_a_redirect_is_not_followed_if_it_must_not_be(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", redirect(307, "/there"))
    error = await failure(driver, server, follow_redirects=False)
    assert isinstance(error, driver.adapter.SSEError)
    assert error.status_code == 307
    assert len(server.requests) == 1


@driven
async def test_a_secret_does_not_follow_to_another_origin(
    driver: Driver, server: RawServer, other_server: RawServer
) -> None:
    other_server.route("/", in_turn(sends("1"), sends("2")))
    server.route("/", redirect(307, other_server.url()))
    headers = {"Authorization": "Bearer t", "Last-Event-ID": "5"}
    assert await received(driver, server, headers=headers) == ["1", "2"]
    assert [request.header("authorization") for request in server.requests] == ["Bearer t"] * 3
    assert [request.header("authorization") for request in other_server.requests] == [None] * 3
    assert sent_ids(other_server) == ["5"] * 3


# -- authentication, cookies, hooks ---------------------------------------------------------------


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("kind", ["pair", "BasicAuth"])
@driven
async def test_basic_auth_is_sent_each_time(driver: Driver, server: RawServer, kind: str) -> None:
    auth: Any = ("user", "secret")
    if kind == "BasicAuth":
        auth = driver.library.BasicAuth(*auth)
    server.route("/", in_turn(sends("1"), lost, status(500)))
    assert await received(driver, server, auth=auth) == ["1"]
    async with driver.client(auth=auth) as client:
        assert await received(driver, server, client=client) == []
    sent = [request.header_values("authorization") for request in server.requests]
    assert sent == [[basic("user", "secret")]] * 5


@driven
async def test_each_attempt_has_an_auth_flow_of_its_own(driver: Driver, server: RawServer) -> None:
    class Numbered(cast("type[Any]", driver.library.Auth)):  # type: ignore[misc]  # of either
        flows = 0

        def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
            self.flows += 1
            request.headers["Authorization"] = f"Flow {self.flows}"
            response: Any = yield request
            if response.status_code == 401:
                request.headers["Authorization"] += " again"
                yield request

    server.route("/", in_turn(sends("1"), status(401), lost, status(500)))
    assert await received(driver, server, auth=Numbered()) == ["1"]
    sent = [request.header("authorization") for request in server.requests]
    assert sent == ["Flow 1", "Flow 2", "Flow 2 again", "Flow 3", "Flow 4"]


@driven
async def test_digest_auth_answers_each_challenge(driver: Driver, server: RawServer) -> None:
    server.route("/", DigestHandler("user", "secret"))
    digest = driver.library.DigestAuth
    call: dict[str, Any] = {"auth": digest("user", "secret"), "idle_timeout": 0.2}
    async with subscribed(driver, server, method="POST", json={"q": 1}, **call) as events:
        assert data_of(await events.take(3)) == ["1"] * 3
    assert all(json.loads(request.body) == {"q": 1} for request in server.requests)
    error = await failure(driver, server, auth=digest("user", "wrong"))
    assert isinstance(error, driver.adapter.SSEError)
    assert error.status_code == 401


@driven
async def test_cookies_of_one_response_are_sent_with_the_next_request(
    driver: Driver, server: RawServer
) -> None:
    def cookie(exchange: Exchange) -> None:
        exchange.start(headers=[("Set-Cookie", f"n={len(server.requests)}; Path=/")])

    server.route("/", in_turn(cookie, cookie, status(500, ("Set-Cookie", "n=x; Path=/"))))
    await received(driver, server, cookies={"own": "1"})
    sent = [sorted((request.header("cookie") or "").split("; ")) for request in server.requests]
    assert sent == [["own=1"], ["n=1", "own=1"], ["n=2", "own=1"], ["n=x", "own=1"]]


@driven
async def test_hooks_are_called_each_time(driver: Driver, server: RawServer) -> None:
    calls: list[str] = []
    hooks = {
        "request": [driver.hook(lambda request: calls.append(request.method))],
        "response": [driver.hook(lambda response: calls.append(str(response.status_code)))],
    }
    server.route("/", in_turn(sends("1"), lost, status(500)))
    async with driver.client(event_hooks=hooks) as client:
        assert await received(driver, server, client=client, method="POST") == ["1"]
    assert calls == ["POST", "200", "POST", "200", "POST", "500", "POST", "204"]
