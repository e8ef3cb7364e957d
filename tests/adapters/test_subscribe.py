"""`subscribe` and `asubscribe`: what is sent each time, what is done about each answer.

How they end is in test_subscribe_closing.py; that nothing is lost, in test_subscribe_faults.py.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import io
import json
import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, final

import httpxr
import pytest

from sse_httpxr import ReconnectPolicy, SSEError, asubscribe, subscribe
from sse_proto import (
    EventTooLarge,
    Fail,
    Open,
    ReadyState,
    SSEDecoder,
    Stop,
    Wait,
)
from tests.adapters.test_client_settings import DigestHandler
from tests.support.harness import AsyncMode, SyncMode, data_of, event, sends

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator
    from random import Random

    from sse_adapter import AsyncSubscription, Subscription
    from sse_httpxr import ServerSentEvent
    from sse_proto import Action
    from tests.support.harness import Client, Mode
    from tests.support.servers import Exchange, Handler, RawServer

    AnySubscription = Subscription[httpxr.Response] | AsyncSubscription[httpxr.Response]

TIMEOUT: Final = 10.0
# Always the same short wait.
FAST: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, reconnect_on_end=True)


@final
class Events:
    """The events of a subscription, whatever the interface."""

    def __init__(
        self,
        subscription: AnySubscription,
        take: Callable[[], ServerSentEvent],
        close: Callable[[], object],
    ) -> None:
        self.subscription: Final = subscription
        self.close: Final = close
        self._take: Final = take

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> ServerSentEvent:
        return self._take()


@contextmanager
def subscribed(
    mode: Mode, server: RawServer, path: str = "/", method: str = "GET", **call: Any
) -> Generator[Events]:
    """Subscribe to a path of the server with ``client``, or a new one, and the policy `FAST`."""
    call = {"reconnect": FAST, **call}
    client: Client = call.pop("client", None) or mode.client()
    url = call.pop("url", None) or server.url(path)
    if isinstance(client, httpxr.Client):
        with subscribe(client, method, url, **call) as subscription:
            yield Events(subscription, iter(subscription).__next__, subscription.close)
    else:
        assert isinstance(mode, AsyncMode)
        with mode_of(mode, asubscribe(client, method, url, **call)) as events:
            yield events


@contextmanager
def mode_of(mode: AsyncMode, manager: Any) -> Generator[Events]:
    subscription: AsyncSubscription[httpxr.Response] = mode.run(manager.__aenter__())
    events = aiter(subscription)
    try:
        yield Events(
            subscription,
            lambda: mode.next_item(events),
            lambda: mode.run(subscription.aclose()),
        )
    except BaseException as error:
        if not mode.run(manager.__aexit__(type(error), error, error.__traceback__)):
            raise
    else:
        mode.run(manager.__aexit__(None, None, None))


def received(mode: Mode, server: RawServer, path: str = "/", **call: Any) -> list[str]:
    """Return the data of all events of a subscription that ends."""
    with subscribed(mode, server, path, **call) as events:
        return data_of(events)


def failure(mode: Mode, server: RawServer, path: str = "/", **call: Any) -> Exception:
    """Return what a subscription raises; it raises it again, then."""
    with subscribed(mode, server, path, **call) as events:
        with pytest.raises(Exception) as raised:  # noqa: PT011  # for the caller to look at
            list(events)
        assert events.subscription.state is ReadyState.CLOSED
        with pytest.raises(type(raised.value)) as again:
            next(events)
        assert again.value is raised.value
    return raised.value


# -- handlers -------------------------------------------------------------------------------------


def in_turn(*handlers: Handler) -> Handler:
    """Return a handler that leaves each request to the next one of these; then, status 204."""
    left = list(handlers)

    def handle(exchange: Exchange) -> None:
        (left.pop(0) if left else gone)(exchange)

    return handle


def gone(exchange: Exchange) -> None:
    exchange.respond(204)


def stream(body: bytes, *, hold: bool = False) -> Handler:
    """Return a handler that sends this, and then ends the stream, or leaves it open."""

    def handle(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(body)
        if hold:
            exchange.wait_closed(TIMEOUT)

    return handle


def status(code: int, *headers: tuple[str, str], body: bytes = b"no") -> Handler:
    return lambda exchange: exchange.respond(code, headers, body)


def redirect(code: int, location: str) -> Handler:
    return status(code, ("Location", location))


def lost(exchange: Exchange) -> None:
    """Break the stream off after no event."""
    exchange.start()
    exchange.truncate()


# -- what is sent ---------------------------------------------------------------------------------


def test_an_event_stream_is_asked_for_and_not_from_a_cache(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), lost, status(500)))
    assert received(mode, server) == ["1"]
    assert len(server.requests) == 4
    for request in server.requests:
        assert request.method == "GET"
        assert request.header_values("accept") == ["text/event-stream"]
        assert request.header_values("cache-control") == ["no-store"]
        assert request.header("last-event-id") is None
        assert request.body == b""


def test_headers_and_params_of_the_caller_are_sent_each_time(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), lost, status(500)))
    headers = [("Accept", "text/event-stream;v=2"), ("X-Tag", "a"), ("x-tag", "b")]
    client = mode.client(headers={"X-Client": "1"}, params={"key": "k"})
    received(mode, server, client=client, headers=headers, params={"q": "ü"}, cookies={"c": "1"})
    assert len(server.requests) == 4
    for request in server.requests:
        assert request.header_values("accept") == ["text/event-stream;v=2"]
        assert request.header_values("cache-control") == ["no-store"]
        assert request.header_values("x-tag") == ["a", "b"]
        assert request.header("x-client") == "1"
        assert request.header("cookie") == "c=1"
        assert request.query == {"key": ["k"], "q": ["ü"]}
    assert headers == [("Accept", "text/event-stream;v=2"), ("X-Tag", "a"), ("x-tag", "b")]


def test_a_relative_url_is_relative_to_the_base_url_each_time(
    mode: Mode, server: RawServer
) -> None:
    server.route("/v1/events", in_turn(sends("1")))
    client = mode.client(base_url=server.url("/v1"))
    assert received(mode, server, client=client, url="/events") == ["1"]
    assert received(mode, server, client=client, url=httpxr.URL(server.url("/v1/events"))) == []
    assert [request.target for request in server.requests] == ["/v1/events"] * 3


def test_nothing_is_sent_before_iterating(mode: Mode, server: RawServer) -> None:
    with subscribed(mode, server) as events:
        assert events.subscription.state is ReadyState.CONNECTING
    assert server.connections == 0


def ragged() -> Iterator[bytes]:
    yield b'{"q": '
    yield b"1}"


BODIES: Final[dict[str, tuple[Callable[[], dict[str, Any]], bytes, str | None]]] = {
    "none": (dict, b"", None),
    "bytes": (lambda: {"content": b'{"q": 1}'}, b'{"q": 1}', None),
    "bytearray": (lambda: {"content": bytearray(b"q")}, b"q", None),
    "str": (lambda: {"content": "ü"}, "ü".encode(), None),
    "iterator": (lambda: {"content": ragged()}, b'{"q": 1}', None),
    "json": (lambda: {"json": {"q": "ü"}}, b"", "application/json"),
    "data": (lambda: {"data": {"q": "ü"}}, b"q=%C3%BC", "application/x-www-form-urlencoded"),
    "files": (lambda: {"files": {"f": ("n", io.BytesIO(b"x"))}}, b"", "multipart/form-data; "),
    "files and data": (
        lambda: {"files": {"f": io.BytesIO(b"x")}, "data": {"a": "b"}},
        b"",
        "multipart/form-data; ",
    ),
}


@pytest.mark.parametrize("method", ["POST", "REPORT"])
@pytest.mark.parametrize("body", BODIES)
def test_the_same_body_is_sent_each_time(
    mode: Mode, server: RawServer, method: str, body: str
) -> None:
    make, expected, content_type = BODIES[body]
    server.route("/", in_turn(sends("1"), redirect(307, "/other"), lost, status(500)))
    server.route("/other", sends("2"))
    assert received(mode, server, method=method, **make()) == ["1", "2"]
    first, *others = server.requests
    assert len(others) == 5
    for request in others:
        assert (request.method, request.body) == (method, first.body)
        assert request.header("content-type") == first.header("content-type")
        assert request.header("content-length") == first.header("content-length") or not expected
    assert first.body == expected or not expected
    if content_type is not None:
        assert (first.header("content-type") or "").startswith(content_type)
    if body == "json":
        assert json.loads(first.body) == {"q": "ü"}
    if body.startswith("files"):
        assert b"\r\n\r\nx\r\n" in first.body


def test_an_asynchronous_body_is_refused(mode: Mode, server: RawServer) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"x"

    with pytest.raises(TypeError, match="content must be bytes, str or an iterable of bytes"):
        with subscribed(mode, server, method="POST", content=content()):
            pass


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
def test_the_last_event_id_is_sent(
    mode: Mode, server: RawServer, bodies: list[bytes], expected: list[str | None]
) -> None:
    server.route("/", in_turn(*map(stream, bodies)))
    with subscribed(mode, server) as events:
        list(events)
        last = events.subscription.last_event_id
        assert (last or "").strip() == (expected[-1] or "")
    assert sent_ids(server) == [None, *expected]


def test_an_id_that_no_header_can_carry_is_kept_and_not_sent(mode: Mode, server: RawServer) -> None:
    bodies = (b"id: 1\n\n", b"id: a\x01b\ndata: x\n\n", b"data: y\n\n")
    server.route("/", in_turn(*map(stream, bodies)))
    with subscribed(mode, server, last_event_id="\x7f") as events:
        assert [(event.id, event.data) for event in events] == [("a\x01b", "x"), ("a\x01b", "y")]
        assert events.subscription.last_event_id == "a\x01b"
    assert sent_ids(server) == [None, "1", None, None]


def sent_ids(server: RawServer) -> list[str | None]:
    values = [request.header_values("last-event-id") for request in server.requests]
    assert all(len(each) < 2 for each in values)
    return [each[0].encode("latin-1").decode() if each else None for each in values]


def test_the_last_event_id_survives_failures(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(stream(b"id: 1\n\n"), status(500), lost, redirect(307, "/other")))
    server.route("/other", stream(b"id: 2\n\n"))
    received(mode, server)
    assert sent_ids(server) == [None, "1", "1", "1", "1", "2"]


@pytest.mark.parametrize(
    ("call", "first"),
    [
        ({"last_event_id": "größe"}, "größe"),
        ({"last_event_id": ""}, None),
        ({"headers": {"Last-Event-ID": "7"}}, "7"),
        ({"headers": [("LAST-EVENT-ID", "7"), ("X-Own", "1")]}, "7"),
        ({"headers": {"Last-Event-ID": "größe"}}, "größe"),
        ({"headers": {"Last-Event-ID": "7"}, "last_event_id": "8"}, "8"),
        ({"headers": {"Last-Event-ID": "7"}, "last_event_id": ""}, None),
    ],
    ids=str,
)
def test_the_first_last_event_id(
    mode: Mode, server: RawServer, call: dict[str, Any], first: str | None
) -> None:
    bodies = (b"data: a\n\n", b"id: 2\n\n", b"id\n\n", b"data: b\n\n")
    server.route("/", in_turn(*map(stream, bodies)))
    with subscribed(mode, server, **call) as events:
        assert (events.subscription.last_event_id or None) == first
        event = next(events)
        assert (event.id or None) == first  # in force, as in any later event
        list(events)
    assert sent_ids(server) == [first, first, "2", None, None]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\ud800"])
def test_a_last_event_id_that_no_stream_can_set_is_refused(
    mode: Mode, server: RawServer, value: str
) -> None:
    with pytest.raises(ValueError, match="last_event_id must not have NUL, CR, LF or surrogates"):
        with subscribed(mode, server, last_event_id=value):
            pass


# -- statuses -------------------------------------------------------------------------------------

AGAIN: Final = [408, 425, 429, 500, 501, 502, 503, 504, 507, 599]
FAILS: Final = [201, 202, 205, 206, 300, 304, 400, 401, 403, 404, 405, 409, 410, 418, 422, 451, 499]
REDIRECTS: Final = [301, 302, 303, 307, 308]


@pytest.mark.parametrize("code", AGAIN)
def test_after_these_statuses_it_connects_again(mode: Mode, server: RawServer, code: int) -> None:
    actions: list[Action] = []
    server.route("/", in_turn(status(code), sends("1"), status(code), status(code)))
    assert received(mode, server, on_state=actions.append) == ["1"]
    assert len(server.requests) == 5
    assert isinstance(actions[0], Wait)
    error = actions[0].error
    assert isinstance(error, SSEError)
    assert (error.status_code, error.content_type, error.body) == (code, "text/plain", "")
    assert str(error) == f"expected status 200, got status {code} with content type 'text/plain'"
    assert str(error.request.url) == server.url()


@pytest.mark.parametrize("code", FAILS + REDIRECTS)  # redirects without a Location
def test_after_these_statuses_it_raises(mode: Mode, server: RawServer, code: int) -> None:
    server.route("/", in_turn(status(code), sends("1")))
    error = failure(mode, server)
    assert isinstance(error, SSEError)
    assert error.status_code == code
    assert error.response is not None
    assert error.response.status_code == code
    if code not in (205, 304):  # these have no body
        assert (error.content_type, error.body) == ("text/plain", "no")
    assert f"expected status 200, got status {code}" in str(error)
    assert str(error.request.url) == server.url()
    assert len(server.requests) == 1


def test_204_ends_it(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), gone, sends("2")))
    with subscribed(mode, server) as events:
        assert data_of(events) == ["1"]
        assert data_of(events) == []  # for good
        assert events.subscription.state is ReadyState.CLOSED
        assert events.subscription.response is not None
        assert events.subscription.response.status_code == 204
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("content_type", "is_right"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream;charset=utf-8", True),
        ("text/event-stream ; x=y", True),
        ("text/html", False),
        ("text/event-streams", False),
        ("application/json", False),
        (None, False),
    ],
)
def test_another_content_type_is_no_event_stream(
    mode: Mode, server: RawServer, content_type: str | None, is_right: bool
) -> None:
    def page(exchange: Exchange) -> None:
        exchange.start(content_type=content_type)
        exchange.send(b"data: <h1>Sign in</h1>\n\n")

    server.route("/", in_turn(page))
    if is_right:
        assert received(mode, server) == ["<h1>Sign in</h1>"]
        return
    error = failure(mode, server)
    assert isinstance(error, SSEError)
    assert (error.status_code, error.content_type) == (200, content_type or "")
    assert error.body == "data: <h1>Sign in</h1>\n\n"
    assert "expected content type 'text/event-stream', got status 200 with" in str(error)
    assert str(error).endswith("; the body begins 'data: <h1>Sign in</h1>\\n\\n'")
    assert len(server.requests) == 1


def test_a_refused_body_without_end_does_not_keep_it(mode: Mode, server: RawServer) -> None:
    def page(exchange: Exchange) -> None:
        exchange.start(404, content_type="text/html")
        exchange.send(b"x" * 3000)
        exchange.wait_closed(TIMEOUT)

    server.route("/", page)
    error = failure(mode, server)
    assert isinstance(error, SSEError)
    assert error.body == "x" * 3000
    server.wait_for_close(TIMEOUT)


# -- redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", REDIRECTS)
def test_a_redirect_is_followed_each_time(mode: Mode, server: RawServer, code: int) -> None:
    server.route("/", redirect(code, "/there?x=1"))
    server.route("/there", in_turn(sends("1"), lost, status(500), sends("2")))
    with subscribed(mode, server) as events:
        assert data_of(events) == ["1", "2"]
        assert events.subscription.response is not None
        assert events.subscription.response.url.path == "/there"
    assert [request.target for request in server.requests] == ["/", "/there?x=1"] * 5


@pytest.mark.parametrize(
    ("code", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
def test_a_redirect_of_post(mode: Mode, server: RawServer, code: int, method: str) -> None:
    server.route("/", redirect(code, "/there"))
    server.route("/there", in_turn(sends("1"), sends("2")))
    assert received(mode, server, method="POST", content=b"x") == ["1", "2"]
    for first, second in zip(server.requests[::2], server.requests[1::2], strict=True):
        assert (first.method, first.body) == ("POST", b"x")
        assert (second.method, second.body) == (method, b"x" if method == "POST" else b"")


def test_a_redirect_is_not_followed_if_it_must_not_be(mode: Mode, server: RawServer) -> None:
    server.route("/", redirect(307, "/there"))
    error = failure(mode, server, follow_redirects=False)
    assert isinstance(error, SSEError)
    assert error.status_code == 307
    assert len(server.requests) == 1


def test_a_secret_does_not_follow_to_another_origin(
    mode: Mode, server: RawServer, other_server: RawServer
) -> None:
    other_server.route("/", in_turn(sends("1"), sends("2")))
    server.route("/", redirect(307, other_server.url()))
    headers = {"Authorization": "Bearer t", "Last-Event-ID": "5"}
    assert received(mode, server, headers=headers) == ["1", "2"]
    assert [request.header("authorization") for request in server.requests] == ["Bearer t"] * 3
    assert [request.header("authorization") for request in other_server.requests] == [None] * 3
    assert sent_ids(other_server) == ["5"] * 3


# -- what no further attempt can mend -------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "call", "kind"),
    [
        ("/", {"url": "ftp://127.0.0.1/"}, httpxr.UnsupportedProtocol),
        ("/ftp", {}, httpxr.UnsupportedProtocol),
        ("/loop", {}, httpxr.TooManyRedirects),
        ("/", {"url": "relative"}, httpxr.UnsupportedProtocol),
        ("/", {"headers": {"X-Own": "a\x01b"}}, httpxr.LocalProtocolError),
        ("/", {"headers": {"X Own": "a"}}, httpxr.LocalProtocolError),
    ],
    ids=[
        *("scheme", "redirect to a scheme", "redirects", "relative"),
        *("header", "header name"),
    ],
)
def test_these_errors_are_raised_at_once(
    mode: Mode, server: RawServer, path: str, call: dict[str, Any], kind: type[Exception]
) -> None:
    server.route("/ftp", redirect(307, "ftp://127.0.0.1/"))
    server.route("/loop", redirect(307, "/loop"))
    actions: list[Action] = []
    error = failure(mode, server, path, on_state=actions.append, **call)
    assert type(error) is kind
    assert isinstance(actions[-1], Fail)
    assert actions[-1].error is error
    assert len(actions) == 1
    if call.get("headers") == {"X Own": "a"}:
        assert str(error) == "httpxr cannot send this request: builder error"
    elif kind is httpxr.LocalProtocolError:
        assert str(error) == "the header x-own has a control character"


def test_an_error_of_a_hook_is_raised_at_once(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1"))

    def hook(response: httpxr.Response) -> None:
        raise LookupError(f"status {response.status_code}")

    client = mode.client(event_hooks={"response": [hook]})
    actions: list[Action] = []
    with subscribed(mode, server, client=client, on_state=actions.append) as events:
        with pytest.raises(LookupError, match="status 200"):
            next(events)
        assert data_of(events) == []
    assert actions == [Stop("closed")]


# -- when to connect again ------------------------------------------------------------------------


def waits_of(mode: Mode, server: RawServer, n: int = 1, **call: Any) -> list[float]:
    """Return the first waits, in seconds; the last one is not waited for."""
    waits: list[float] = []

    def note(action: Action) -> None:
        if isinstance(action, Wait):
            waits.append(action.seconds)
            if len(waits) == n:
                raise EOFError

    with subscribed(mode, server, on_state=note, **call) as events:
        with pytest.raises(EOFError):
            list(events)
    return waits


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: 1\n\n", 3.0),
        (b"retry: 7000\ndata: 1\n\n", 7.0),
        (b": comments\nretry: 7000\n\n", 7.0),
        (b"retry: 0\n\n", 0.0),
        (b"retry: 7000\n\nretry: 1.5\n\nretry: -1\n\nretry:\n\n", 7.0),
        (b"retry: 999999999999999\n\n", 300.0),
    ],
)
def test_retry_says_how_long_to_wait(
    mode: Mode, server: RawServer, body: bytes, expected: float
) -> None:
    server.route("/", stream(body))
    assert waits_of(mode, server, reconnect=ReconnectPolicy(max_backoff=0.0)) == [expected]


def test_retry_holds_for_later_connections_as_well(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(stream(b"retry: 20\n\n"), lost, status(500), lost))
    with subscribed(mode, server) as events:
        begun = time.perf_counter()
        list(events)
        assert events.subscription.reconnection_time == 20
    assert time.perf_counter() - begun > 0.08
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        (429, "7", 7.0),
        (503, "7", 7.0),
        (503, "0", 3.0),
        (503, "1000000", 300.0),
        (503, "soon", 3.0),
        (500, "7", 3.0),
    ],
)
def test_retry_after_says_how_long_to_wait(
    mode: Mode, server: RawServer, code: int, value: str, expected: float
) -> None:
    server.route("/", status(code, ("Retry-After", value)))
    policy = ReconnectPolicy(max_backoff=0.0)
    assert waits_of(mode, server, reconnect=policy) == [expected]


def test_waits_grow_with_attempts_that_bring_nothing(mode: Mode, server: RawServer) -> None:
    handlers = [lost, lost, sends("1"), lost, lost]
    server.route("/", in_turn(*handlers))

    def backoff(_asked: float, failures: int, _random: Random) -> float:
        return failures / 1e4

    policy = ReconnectPolicy(initial_delay=0.0, backoff=backoff)
    waits = waits_of(mode, server, n=5, reconnect=policy)
    assert waits == pytest.approx([0.0001, 0.0002, 0.0, 0.0001, 0.0002])


# -- silence --------------------------------------------------------------------------------------


def silent_after(body: bytes) -> Handler:
    return stream(body, hold=True)


SHORT: Final = 0.2


@pytest.mark.parametrize(
    "call",
    [
        {"idle_timeout": SHORT},
        {"timeout": httpxr.Timeout(5.0, read=SHORT)},
        {"timeout": httpxr.Timeout(None), "idle_timeout": SHORT},
        {"timeout": httpxr.Timeout(5.0, read=4.0), "idle_timeout": SHORT},
    ],
)
def test_silence_is_a_lost_connection(mode: Mode, server: RawServer, call: dict[str, Any]) -> None:
    server.route("/", in_turn(silent_after(event("1")), sends("2")))
    actions: list[Action] = []
    assert received(mode, server, on_state=actions.append, **call) == ["1", "2"]
    assert actions[0] == Open(SHORT)
    lost = actions[1]
    assert isinstance(lost, Wait)
    assert type(lost.error) is httpxr.ReadTimeout
    assert str(lost.error) == "no byte from the server for 0.2 s"
    assert len(server.requests) == 3


def test_seconds_as_the_timeout_are_those_of_silence_too(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(silent_after(event("1")), sends("2")))
    actions: list[Action] = []
    assert received(mode, server, on_state=actions.append, timeout=0.5) == ["1", "2"]
    assert actions[0] == Open(0.5)


@pytest.mark.parametrize(
    "call",
    [{}, {"timeout": httpxr.Timeout(5.0, read=SHORT), "idle_timeout": None}, {"timeout": None}],
)
def test_silence_may_be_allowed(mode: Mode, server: RawServer, call: dict[str, Any]) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        if len(server.requests) > 1:
            gone(exchange)
            return
        exchange.start()
        exchange.send(event("1"))
        exchange.stalled(1.5 * SHORT)
        exchange.send(event("2"))

    actions: list[Action] = []
    client = mode.client(timeout=httpxr.Timeout(5.0, read=SHORT))
    assert received(mode, server, client=client, on_state=actions.append, **call) == ["1", "2"]
    assert actions[0] == Open(None)
    assert len(server.requests) == 2


def test_comments_are_no_silence(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        if len(server.requests) > 1:
            gone(exchange)
            return
        exchange.start()
        for _ in range(12):
            exchange.send(b":\n")
            exchange.stalled(0.05)
        exchange.send(event("1"))

    assert received(mode, server, idle_timeout=0.5) == ["1"]
    assert len(server.requests) == 2


@pytest.mark.parametrize("seconds", [0, -1.0])
def test_an_idle_timeout_has_to_be_some_time(mode: Mode, server: RawServer, seconds: float) -> None:
    with pytest.raises(ValueError, match="idle_timeout must be more than 0 s"):
        with subscribed(mode, server, idle_timeout=seconds):
            pass


def test_no_headers_in_time_is_a_lost_connection(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(lambda exchange: exchange.wait_closed(TIMEOUT), sends("1")))
    actions: list[Action] = []
    timeout = httpxr.Timeout(0.3, read=0.3)
    assert received(mode, server, timeout=timeout, on_state=actions.append) == ["1"]
    assert isinstance(actions[0], Wait)
    assert type(actions[0].error) is httpxr.ReadTimeout


# -- the end of the stream, and of patience -------------------------------------------------------


def test_the_end_of_the_stream_may_be_the_end(mode: Mode, server: RawServer) -> None:
    policy = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, reconnect_on_end=False)
    server.route("/", in_turn(lost, status(500), sends("1"), sends("2")))
    actions: list[Action] = []
    assert received(mode, server, reconnect=policy, on_state=actions.append) == ["1"]
    assert actions[-1] == Stop("the server has ended the stream")
    assert len(server.requests) == 3


def test_without_a_policy_the_end_of_the_stream_is_the_end(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2")))
    assert received(mode, server, reconnect=None) == ["1"]
    assert len(server.requests) == 1


def test_without_a_policy_a_failure_is_raised(mode: Mode, server: RawServer) -> None:
    server.route("/lost", lost)
    server.route("/status", status(503))
    error = failure(mode, server, "/lost", reconnect=None)
    assert type(error) is httpxr.ReadError
    error = failure(mode, server, "/status", reconnect=None)
    assert isinstance(error, SSEError)
    assert error.status_code == 503
    assert error.body == "no"
    assert str(error).endswith("; the body begins 'no'")
    error = failure(mode, server, url="http://127.0.0.1:1/", reconnect=None)
    assert type(error) is httpxr.ConnectError
    assert len(server.requests) == 2


PATIENCE: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, max_attempts=3)


def test_patience_ends_with_lost_connections(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(lost, lost, sends("1"), lost, status(500), lost, sends("2")))
    with subscribed(mode, server, reconnect=PATIENCE) as events:
        assert next(events).data == "1"
        with pytest.raises(SSEError) as raised:
            next(events)
        assert events.subscription.attempts == 3
    error = raised.value
    assert type(error.__cause__) is httpxr.ReadError
    assert str(error).startswith("gave up after 3 attempts without an event, in 0 s; the last one:")
    assert str(error).endswith(str(error.__cause__))
    assert error.response is None
    assert str(error.request.url) == server.url()
    assert len(server.requests) == 6


def test_patience_ends_with_no_connection(mode: Mode, server: RawServer) -> None:
    error = failure(mode, server, url="http://127.0.0.1:1/", reconnect=PATIENCE)
    assert isinstance(error, SSEError)
    assert type(error.__cause__) is httpxr.ConnectError
    assert "gave up after 3 attempts" in str(error)


def test_patience_ends_with_a_status(mode: Mode, server: RawServer) -> None:
    server.route("/", status(503, body=b"full"))
    error = failure(mode, server, reconnect=PATIENCE)
    assert isinstance(error, SSEError)
    assert (error.status_code, error.body) == (503, "full")
    cause = error.__cause__
    assert isinstance(cause, SSEError)
    assert cause.status_code == 503
    assert str(error).endswith("; the last one: " + str(cause))
    assert len(server.requests) == 3


def test_patience_ends_with_streams_that_end(mode: Mode, server: RawServer) -> None:
    server.route("/", stream(b": nothing\n\n"))
    error = failure(mode, server, reconnect=PATIENCE)
    assert isinstance(error, SSEError)
    assert error.__cause__ is None
    assert str(error) == "gave up after 3 attempts without an event, in 0 s"
    assert str(error.request.url) == server.url()
    assert len(server.requests) == 3


def test_patience_ends_with_time(mode: Mode, server: RawServer) -> None:
    server.route("/", lost)
    policy = ReconnectPolicy(initial_delay=0.05, max_backoff=0.0, max_time=0.2)
    begun = time.perf_counter()
    error = failure(mode, server, reconnect=policy)
    assert time.perf_counter() - begun > 0.1
    assert isinstance(error, SSEError)
    assert type(error.__cause__) is httpxr.ReadError
    assert 2 <= len(server.requests) <= 5


@pytest.mark.parametrize("body", [b"x" * 50, b"x" * 50 + b"\n\n", b"x" * 50 + b"\n\n" + event("2")])
@pytest.mark.parametrize("is_held", [True, False])
def test_an_event_may_be_too_large(
    mode: Mode, server: RawServer, body: bytes, is_held: bool
) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + b"data: " + body)
        if is_held:
            exchange.stalled(0.02)
            exchange.send(b"data: more\n\n")
            exchange.wait_closed(TIMEOUT)

    decoder = functools.partial(SSEDecoder, max_event_size=40)
    actions: list[Action] = []
    with subscribed(mode, server, decoder=decoder, on_state=actions.append) as events:
        assert next(events).data == "1"
        with pytest.raises(SSEError) as raised:
            next(events)
        if is_held:
            server.wait_for_close(TIMEOUT)
    error = raised.value
    assert isinstance(error.__cause__, EventTooLarge)
    assert str(error) == f"event stream refused: {error.__cause__}"
    assert str(error.request.url) == server.url()
    assert isinstance(actions[-1], Fail)
    assert actions[-1].error is error
    assert len(server.requests) == 1


# -- what can be seen -----------------------------------------------------------------------------


def test_its_attributes(mode: Mode, server: RawServer) -> None:
    seen: list[tuple[ReadyState, int]] = []
    server.route(
        "/",
        in_turn(
            status(500),
            lost,
            stream(b"retry: 5\nid: 1\ndata: 1\n\n"),
            stream(b"data: 2\n\n", hold=True),
        ),
    )

    def note(_: Action) -> None:
        seen.append((subscription.state, subscription.attempts))

    with subscribed(mode, server, on_state=note) as events:
        subscription = events.subscription
        assert (subscription.state, subscription.attempts) == (ReadyState.CONNECTING, 0)
        assert (subscription.last_event_id, subscription.reconnection_time) == (None, None)
        responses = [subscription.response]
        kind = "AsyncSubscription" if mode.is_async else "Subscription"
        assert repr(subscription) == f"<{kind} {server.url()} CONNECTING>"

        assert next(events).data == "1"
        assert (subscription.state, subscription.attempts) == (ReadyState.OPEN, 0)
        assert (subscription.last_event_id, subscription.reconnection_time) == ("1", 5)
        responses.append(subscription.response)

        assert next(events).data == "2"
        responses.append(subscription.response)
        assert (subscription.last_event_id, subscription.reconnection_time) == ("1", 5)
        assert repr(subscription) == f"<{kind} {server.url()} OPEN>"
    assert (subscription.state, subscription.attempts) == (ReadyState.CLOSED, 0)
    assert responses[0] is None
    assert [type(response) for response in responses[1:]] == [httpxr.Response] * 2
    assert responses[1] is not responses[2]
    connecting, open_, closed = ReadyState.CONNECTING, ReadyState.OPEN, ReadyState.CLOSED
    assert seen == [
        (connecting, 1),
        (open_, 2),
        (connecting, 2),
        (open_, 3),
        (connecting, 0),
        (open_, 1),
        (closed, 0),
    ]


def test_on_state_is_told_what_happens(mode: Mode, server: RawServer) -> None:
    actions: list[Action] = []
    server.route("/", in_turn(sends("1"), lost, status(500), sends("2"), gone))
    assert received(mode, server, on_state=actions.append) == ["1", "2"]
    assert actions == [
        Open(None),
        Wait(0.001),
        Open(None),
        Wait(0.001),
        Wait(0.001),
        Open(None),
        Wait(0.001),
        Stop("status 204: the server wants no further connection"),
    ]
    errors = [type(action.error) for action in actions if isinstance(action, Wait)]
    assert errors == [type(None), httpxr.ReadError, SSEError, type(None)]


def test_on_state_is_told_of_a_failure_and_of_closing(mode: Mode, server: RawServer) -> None:
    actions: list[Action] = []
    server.route("/", status(404))
    error = failure(mode, server, on_state=actions.append)
    assert len(actions) == 1
    assert isinstance(actions[0], Fail)
    assert actions[0].error is error

    actions.clear()
    server.route("/", sends("1", hold=True))
    with subscribed(mode, server, on_state=actions.append) as events:
        next(events)
        events.close()
        events.close()
    assert actions == [Open(None), Stop("closed")]


@pytest.mark.parametrize(
    ("kind", "handler"),
    [(Open, sends("1", hold=True)), (Wait, lost), (Stop, gone), (Fail, status(404))],
)
@pytest.mark.parametrize("is_stubborn", [False, True])
def test_what_on_state_raises_ends_it(
    mode: Mode, server: RawServer, kind: type[Action], handler: Handler, is_stubborn: bool
) -> None:
    def refuse(action: Action) -> None:
        if isinstance(action, kind):
            raise LookupError(type(action).__name__)
        if is_stubborn and isinstance(action, Stop):
            raise LookupError(kind.__name__)  # as closing goes on

    server.route("/", handler)
    with subscribed(mode, server, on_state=refuse) as events:
        with pytest.raises(LookupError, match=kind.__name__):
            next(events)
        if kind is Open:
            server.wait_for_close(TIMEOUT)
        if kind is not Fail:
            assert data_of(events) == []
        assert events.subscription.state is ReadyState.CLOSED
    assert len(server.requests) == 1


def test_the_log_says_what_happens_and_no_secrets(
    mode: Mode, server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="sse_httpxr")
    server.route("/a/b", in_turn(sends("1"), lost, status(500)))
    url = f"http://user:pass%40word@127.0.0.1:{server.port}/a/b?token=t0ken#fragm"
    headers = {"X-Key": "s3cret"}
    with subscribed(mode, server, url=url, headers=headers) as events:
        list(events)
        assert "word" not in repr(events.subscription)
    error = failure(
        mode, server, url="http://user:password@127.0.0.1:1/a/b?token=t0ken", reconnect=PATIENCE
    )
    assert isinstance(error, SSEError)
    records = [record for record in caplog.records if record.name == "sse_httpxr"]
    name = server.url("/a/b")
    reset = "event stream broke off: Stream error: error decoding response body"
    refused = "expected status 200, got status 500 with content type 'text/plain'"
    text = [record.getMessage() for record in records]
    assert text[:7] == [
        f"{name}: open",
        f"{name}: ended; connecting again in 0.00 s",
        f"{name}: open",
        f"{name}: ReadError: {reset}; connecting again in 0.00 s",
        f"{name}: SSEError: {refused}; connecting again in 0.00 s",
        f"{name}: over: status 204: the server wants no further connection",
        text[6],
    ]
    levels = [record.levelno for record in records]
    assert levels[:6] == [20, 20, 20, 30, 30, 20]
    assert levels[6:] == [30, 30, 20]
    assert text[6].startswith("http://127.0.0.1:1/a/b: ConnectError: ")
    assert text[8].startswith("http://127.0.0.1:1/a/b: failed: SSEError: gave up after 3 attempts")
    for secret in ("user", "word", "t0ken", "fragm", "s3cret"):
        assert secret not in "\n".join(text)


# -- authentication, cookies, hooks ---------------------------------------------------------------


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("auth", [("user", "secret"), httpxr.BasicAuth("user", "secret")])
def test_basic_auth_is_sent_each_time(mode: Mode, server: RawServer, auth: object) -> None:
    server.route("/", in_turn(sends("1"), lost, status(500)))
    assert received(mode, server, auth=auth) == ["1"]
    assert received(mode, server, client=mode.client(auth=auth)) == []
    sent = [request.header_values("authorization") for request in server.requests]
    assert sent == [[basic("user", "secret")]] * 5


def test_each_attempt_has_an_auth_flow_of_its_own(mode: Mode, server: RawServer) -> None:
    class Numbered(httpxr.Auth):
        flows = 0

        def auth_flow(
            self, request: httpxr.Request
        ) -> Generator[httpxr.Request, httpxr.Response, None]:
            self.flows += 1
            request.headers["Authorization"] = f"Flow {self.flows}"
            response = yield request
            if response.status_code == 401:
                request.headers["Authorization"] += " again"
                yield request

    server.route("/", in_turn(sends("1"), status(401), lost, status(500)))
    assert received(mode, server, auth=Numbered()) == ["1"]
    sent = [request.header("authorization") for request in server.requests]
    assert sent == ["Flow 1", "Flow 2", "Flow 2 again", "Flow 3", "Flow 4"]


def test_digest_auth_answers_each_challenge(mode: Mode, server: RawServer) -> None:
    handler = DigestHandler("user", "secret")
    server.route("/", handler)
    call: dict[str, Any] = {"auth": httpxr.DigestAuth("user", "secret"), "idle_timeout": 0.2}
    with subscribed(mode, server, method="POST", json={"q": 1}, **call) as events:
        assert data_of([next(events) for _ in range(3)]) == ["1"] * 3
    assert all(json.loads(request.body) == {"q": 1} for request in server.requests)
    error = failure(mode, server, auth=httpxr.DigestAuth("user", "wrong"))
    assert isinstance(error, SSEError)
    assert error.status_code == 401


def test_cookies_of_one_response_are_sent_with_the_next_request(
    mode: Mode, server: RawServer
) -> None:
    def cookie(exchange: Exchange) -> None:
        exchange.start(headers=[("Set-Cookie", f"n={len(server.requests)}; Path=/")])

    server.route("/", in_turn(cookie, cookie, status(500, ("Set-Cookie", "n=x; Path=/"))))
    received(mode, server, cookies={"own": "1"})
    sent = [request.header("cookie") for request in server.requests]
    assert sent == ["own=1", "n=1; own=1", "n=2; own=1", "n=x; own=1"]


def test_hooks_are_called_each_time(mode: Mode, server: RawServer) -> None:
    calls: list[str] = []

    def sending(request: httpxr.Request) -> None:
        calls.append(request.method)

    def answered(response: httpxr.Response) -> None:
        calls.append(str(response.status_code))

    client = mode.client(event_hooks={"request": [sending], "response": [answered]})
    server.route("/", in_turn(sends("1"), lost, status(500)))
    assert received(mode, server, client=client, method="POST") == ["1"]
    assert calls == ["POST", "200", "POST", "200", "POST", "500", "POST", "204"]


# -- clients and transports -----------------------------------------------------------------------


def mock(mode: Mode, handle: Callable[[httpxr.Request], httpxr.Response]) -> Client:
    return mode.client(transport=httpxr.MockTransport(handle))


def test_mock_transports(mode: Mode, server: RawServer) -> None:
    sent: list[str | None] = []

    def handle(request: httpxr.Request) -> httpxr.Response:
        sent.append(request.headers.get("last-event-id"))
        headers = {"Content-Type": "text/event-stream"}
        if len(sent) == 2:
            raise httpxr.ConnectError("no", request=request)
        if len(sent) == 3:
            return httpxr.Response(503, content=b"no")
        if len(sent) == 5:
            return httpxr.Response(204)
        body = b"id: %d\n" % len(sent) + event(str(len(sent)))
        return httpxr.Response(200, headers=headers, content=body)

    assert received(mode, server, client=mock(mode, handle)) == ["1", "4"]
    assert sent == [None, "1", "1", "1", "4"]


def test_mock_transports_that_stream(sync_mode: SyncMode, server: RawServer) -> None:
    class Stream(httpxr.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"id: 1\ndata: 1\n\ndata: unf"
            raise httpxr.ReadError("broken")

    def handle(request: httpxr.Request) -> httpxr.Response:
        if request.headers.get("last-event-id"):
            return httpxr.Response(404, stream=Broken())
        headers = {"Content-Type": "text/event-stream"}
        return httpxr.Response(200, headers=headers, stream=Stream())

    class Broken(httpxr.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"nothing"

    with subscribed(sync_mode, server, client=mock(sync_mode, handle)) as events:
        assert next(events).data == "1"
        with pytest.raises(SSEError, match="status 404 with no content type; the body begins 'not"):
            next(events)


def test_asynchronous_mock_transports_that_stream(async_mode: AsyncMode, server: RawServer) -> None:
    class Stream(httpxr.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"id: 1\ndata: 1\n\ndata: unf"
            raise httpxr.ReadTimeout("its own")

    def handle(request: httpxr.Request) -> httpxr.Response:
        if request.headers.get("last-event-id"):
            return httpxr.Response(204)
        headers = {"Content-Type": "text/event-stream"}
        return httpxr.Response(200, headers=headers, stream=Stream())

    actions: list[Action] = []
    client = mock(async_mode, handle)
    assert received(async_mode, server, client=client, on_state=actions.append) == ["1"]
    assert isinstance(actions[1], Wait)
    assert str(actions[1].error) == "its own"


def test_another_transport_may_carry_it(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2")))
    client = httpxr.AsyncClient()
    assert received(mode, server, transport=client) == ["1", "2"]


def test_a_wrong_client_is_refused(sync_mode: SyncMode, async_mode: AsyncMode) -> None:
    client, async_client = sync_mode.client(), async_mode.client()
    wrong: Any = async_client
    with pytest.raises(TypeError, match=r"subscribe\(\) takes an httpxr.Client, not AsyncClient;"):
        with subscribe(wrong, "GET", "http://127.0.0.1:1/"):
            pass
    wrong = client
    text = r"^asubscribe\(\) takes an httpxr.AsyncClient, not Client; use subscribe\(\)$"
    with pytest.raises(TypeError, match=text):
        async_mode.run(asubscribe(wrong, "GET", "http://127.0.0.1:1/").__aenter__())
    wrong = None
    with pytest.raises(TypeError, match=r"^subscribe\(\) takes an httpxr.Client, not NoneType$"):
        with subscribe(wrong, "GET", "http://127.0.0.1:1/"):
            pass


def test_a_wrong_timeout_is_refused(mode: Mode, server: RawServer) -> None:
    with pytest.raises(TypeError):
        with subscribed(mode, server, timeout="soon") as events:
            next(events)


def test_one_reader_at_a_time(server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2", hold=True)))
    with subscribe(httpxr.Client(), "GET", server.url(), reconnect=FAST) as events:
        assert next(events).data == "1"
        received: list[str] = []

        def read() -> None:
            received.extend(item.data for item in events)

        thread = threading.Thread(target=read)
        thread.start()
        server.wait_for_request(2, TIMEOUT)
        while not received:
            time.sleep(0.001)
        with pytest.raises(RuntimeError, match="this subscription is being read already"):
            next(events)
        events.close()
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert received == ["2"]


async def test_one_asynchronous_reader_at_a_time(server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2", hold=True)))
    async with asubscribe(httpxr.AsyncClient(), "GET", server.url(), reconnect=FAST) as events:
        assert (await anext(events)).data == "1"
        reader = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="this subscription is being read already"):
            await anext(events)
        assert (await reader).data == "2"


def test_two_at_once_with_one_client(mode: Mode, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2"), sends("3"), sends("4")))
    client = mode.client()
    with (
        subscribed(mode, server, client=client) as one,
        subscribed(mode, server, client=client) as other,
    ):
        turns = [next(one), next(other), next(one), next(other)]
    assert data_of(turns) == ["1", "2", "3", "4"]
