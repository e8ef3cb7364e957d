"""`subscribe` and `asubscribe` of `sse_httpx`: each library, sync, on asyncio and on trio.

One table over all of them, as in test_behaviour.py, whose drivers these are.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import os
import random
import ssl
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from sse_adapter import Interrupted
from sse_proto import (
    EventTooLarge,
    Fail,
    Open,
    ReadyState,
    ReconnectPolicy,
    ServerSentEvent,
    SSEDecoder,
    Stop,
    Wait,
)
from tests.adapters.test_behaviour import DRIVERS, AsyncioDriver, Driver, driven, silent
from tests.adapters.test_client_settings import DigestHandler
from tests.adapters.test_subscribe import gone, in_turn, lost, redirect, status, stream
from tests.support.faults import FAULTS, FaultServer
from tests.support.harness import data_of, event, sends

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Coroutine,
        Generator,
        Iterator,
    )
    from contextlib import AbstractAsyncContextManager

    from sse_proto import Action
    from tests.adapters.test_behaviour import Stream
    from tests.support.servers import Exchange, Handler, RawServer, TlsFiles

TIMEOUT: Final = 10.0
# Seconds until an end is known to the reader, and to the server. On an idle machine it is a
# hundredth of that.
PROMPT: Final = 1.0
# Always the same short wait.
FAST: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, reconnect_on_end=True)
# A wait that no test waits for.
SLOW: Final = ReconnectPolicy(initial_delay=60.0)
PATIENCE: Final = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, max_attempts=3)
SHORT: Final = 0.2
HEADERS: Final = {"Content-Type": "text/event-stream"}


# Each library, and each kind of loop; not asyncio twice, for the time that it takes.
OURS: Final = {
    name: made
    for name, made in DRIVERS.items()
    if made[1] == "sse_httpx" and name != "httpx2-asyncio"
}
SYNC: Final = [name for name in OURS if name.endswith("-sync")]
ASYNC: Final = [name for name in OURS if name not in SYNC]
# Without authorities: to load them takes longer than most tests.
PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _made(name: str) -> Driver:
    cls, adapter, library = OURS[name]
    pytest.importorskip(library)
    if cls.__name__ == "TrioDriver":
        pytest.importorskip("trio")
    return cls(adapter, library)


@pytest.fixture(params=list(OURS))
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each library in each of its modes."""
    return _made(request.param)


@pytest.fixture(params=SYNC)
def sync_driver(request: pytest.FixtureRequest) -> Driver:
    return _made(request.param)


@pytest.fixture(params=ASYNC)
def async_driver(request: pytest.FixtureRequest) -> Driver:
    return _made(request.param)


def client_of(driver: Driver, **settings: Any) -> AbstractAsyncContextManager[Any]:
    return driver.client(**{"verify": PLAIN, **settings})


@asynccontextmanager
async def subscribed(
    driver: Driver, server: RawServer, path: str = "/", method: str = "GET", **call: Any
) -> AsyncGenerator[Stream]:
    """Subscribe to a path of the server with ``client``, or a new one, and the policy `FAST`."""
    call = {"reconnect": FAST, **call}
    url = call.pop("url", None) or server.url(path)
    if client := call.pop("client", None):
        async with driver.subscribe(client, method, url, **call) as stream:
            yield stream
    else:
        async with client_of(driver) as client:
            async with driver.subscribe(client, method, url, **call) as stream:
                yield stream


async def received(driver: Driver, server: RawServer, path: str = "/", **call: Any) -> list[str]:
    """Return the data of all events of a subscription that ends."""
    async with subscribed(driver, server, path, **call) as stream:
        return data_of(await stream.rest())


async def failure(driver: Driver, server: RawServer, path: str = "/", **call: Any) -> Any:
    """Return what a subscription raises; it raises it again, then."""
    async with subscribed(driver, server, path, **call) as stream:
        with pytest.raises(Exception) as raised:  # noqa: PT011  # for the caller to look at
            await stream.rest()
        assert stream.source.state is ReadyState.CLOSED
        with pytest.raises(type(raised.value)) as again:
            await stream.next()
        assert again.value is raised.value
    return raised.value


@asynccontextmanager
async def meanwhile(
    driver: Driver, function: Callable[[], Coroutine[Any, Any, None]]
) -> AsyncGenerator[None]:
    """Run something in another task, or in another thread; wait for its end."""
    if driver.is_async:
        import anyio

        async with anyio.create_task_group() as group:
            group.start_soon(function)
            yield
    else:
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(driver.run, function())
            yield
            future.result(TIMEOUT)


def is_doing(server: RawServer, requests: int = 1) -> None:
    """Wait until a reader waits for what comes after a request."""
    server.wait_for_request(requests, TIMEOUT)
    time.sleep(0.1)


def closes(server: RawServer, driver: Driver, since: float) -> Coroutine[Any, Any, None]:
    async def wait() -> None:
        assert await driver.wait_for_close(server) - since < PROMPT

    return wait()


# -- nothing is lost ------------------------------------------------------------------------------

# Streams at once. Each has every fault once.
STREAMS: Final = 3


@pytest.fixture
def faults() -> Iterator[FaultServer]:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"to have the same faults again, set FAULTS_SEED={seed}")  # shown if the test fails
    with FaultServer(seed) as server:
        yield server


def check(server: FaultServer, received: dict[str, list[ServerSentEvent]]) -> None:
    assert len(received) == STREAMS
    for name, events in received.items():
        server.check(name, events)
    assert server.injected == Counter(dict.fromkeys(FAULTS, STREAMS))
    assert server.injected.total() >= 100


def call_for_faults(driver: Driver) -> dict[str, Any]:
    # Of what keeps silent there is more than one kind, and each costs this, in seconds.
    timeout = driver.library.Timeout(5.0, connect=0.5, read=0.3)
    policy = ReconnectPolicy(initial_delay=0.001, max_backoff=0.01)
    return {"reconnect": policy, "timeout": timeout}


@driven
async def test_nothing_is_lost_and_nothing_comes_twice(driver: Driver, faults: FaultServer) -> None:
    events: dict[str, list[ServerSentEvent]] = {}

    async def read(name: str) -> None:
        url, call = faults.url(name), call_for_faults(driver)
        async with driver.subscribe(client, "GET", url, **call) as stream:
            events[name] = await stream.rest()

    names = [f"{'x' * number}-stream" for number in range(STREAMS)]
    async with client_of(driver) as client:
        if driver.is_async:
            import anyio

            with anyio.fail_after(50):
                async with anyio.create_task_group() as group:
                    for name in names:
                        group.start_soon(read, name)
        else:
            with ThreadPoolExecutor(STREAMS) as pool:
                runs = [pool.submit(driver.run, read(name)) for name in names]
                for run in runs:
                    run.result(50)
    check(faults, events)


@driven
async def test_nothing_is_lost_to_whoever_cancels(
    async_driver: Driver, faults: FaultServer
) -> None:
    """A cancellation may come anywhere: in a wait, an opening, a read."""
    import anyio

    driver = async_driver
    events: dict[str, list[ServerSentEvent]] = {}
    cancelled = 0

    async def read(name: str) -> None:
        nonlocal cancelled
        pause = random.Random(f"{faults.seed} {name}")
        taken = events[name] = []
        is_over = False

        async def take() -> None:
            nonlocal is_over
            try:
                taken.append(await stream.next())
            except StopAsyncIteration:
                is_over = True

        url, call = faults.url(name), call_for_faults(driver)
        async with driver.subscribe(client, "GET", url, **call) as stream:
            while not is_over:
                # One of them is long enough to get on.
                if not await driver.within(pause.choice([0.001, 0.01, 1.0]), take()):
                    cancelled += 1

    async with client_of(driver) as client:
        with anyio.fail_after(50):
            async with anyio.create_task_group() as group:
                for number in range(STREAMS):
                    group.start_soon(read, f"{'x' * number}-poll")
    check(faults, events)
    assert cancelled > 30


# -- Last-Event-ID --------------------------------------------------------------------------------

# The bodies of the streams, one after the other; and what is sent for the second and later ones.
IDS: Final[dict[str, tuple[list[bytes], list[str | None]]]] = {
    "of an earlier connection": ([b"id: 1\ndata: a\n\n", b"data: b\n\n", b""], ["1", "1", "1"]),
    "without data": ([b"id: 7\n\n"], ["7"]),
    "not ASCII": (["id: größe €😀\n\n".encode()], ["größe €😀"]),
    "with spaces around": ([b"id:  a \n\n"], ["a"]),
    "reset": ([b"id: 1\n\n", b"id:\n\n", b"data: a\n\n"], ["1", None, None]),
    "set again after a reset": ([b"id: 1\n\nid\n\n", b"id: 3\n\n"], [None, "3"]),
    "in an unfinished block": ([b"id: 1\ndata: a\n\nid: 2\ndata: b\n"], ["1"]),
}


def sent_ids(server: RawServer) -> list[str | None]:
    values = [request.header_values("last-event-id") for request in server.requests]
    assert all(len(each) < 2 for each in values)
    return [each[0].encode("latin-1").decode() if each else None for each in values]


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


@driven
async def test_an_id_that_no_header_can_carry_is_kept_and_not_sent(
    driver: Driver, server: RawServer
) -> None:
    bodies = (b"id: 1\n\n", b"id: a\x0bb\ndata: x\n\n", b"data: y\n\n")
    server.route("/", in_turn(*map(stream, bodies)))
    async with subscribed(driver, server, last_event_id="\x7f") as events:
        got = [(event.id, event.data) for event in await events.rest()]
        assert got == [("a\x0bb", "x"), ("a\x0bb", "y")]
        assert events.source.last_event_id == "a\x0bb"
    assert sent_ids(server) == [None, "1", None, None]


@pytest.mark.parametrize(
    ("call", "first"),
    [
        ({"last_event_id": "größe"}, "größe"),
        ({"last_event_id": ""}, None),
        ({"headers": {"Last-Event-ID": "7"}}, "7"),
        ({"headers": [("LAST-EVENT-ID", "7"), ("X-Own", "1")]}, "7"),
        ({"headers": {b"last-event-id": "größe".encode()}}, "größe"),
        (
            {"headers": [(b"last-event-id", "größe".encode()), (b"x-own", b"\xe9")]},
            "größe",
        ),
        ({"headers": {"Last-Event-ID": "7"}, "last_event_id": "8"}, "8"),
        ({"headers": {"Last-Event-ID": "7"}, "last_event_id": ""}, None),
    ],
)
@driven
async def test_the_first_last_event_id(
    driver: Driver, server: RawServer, call: dict[str, Any], first: str | None
) -> None:
    bodies = (b"data: a\n\n", "id: €\n\n".encode(), b"id\n\n", b"data: b\n\n")
    server.route("/", in_turn(*map(stream, bodies)))
    async with subscribed(driver, server, **call) as events:
        assert (events.source.last_event_id or None) == first
        assert ((await events.next()).id or None) == first
        await events.rest()
    assert sent_ids(server) == [first, first, "€", None, None]


@pytest.mark.parametrize(
    "call",
    [{"last_event_id": "a\nb"}, {"headers": {b"Last-Event-ID": b"\xff"}}, {"idle_timeout": 0}],
)
@driven
async def test_what_no_stream_can_set_is_refused(
    driver: Driver, server: RawServer, call: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"last_event_id must not|can't decode|idle_timeout must"):
        async with subscribed(driver, server, **call):
            pass


# -- what is sent ---------------------------------------------------------------------------------


@driven
async def test_headers_and_params_of_the_caller_are_sent_each_time(
    driver: Driver, server: RawServer
) -> None:
    server.route("/base/events", in_turn(sends("1"), lost, status(500)))
    headers = [("Accept", "text/event-stream;v=2"), ("X-Tag", "a"), ("x-tag", "b")]
    settings = {"base_url": server.url("/base"), "headers": {"X-Client": "1"}, "params": {"k": "1"}}
    async with client_of(driver, **settings) as client:
        call: dict[str, Any] = {
            "url": "events",
            "headers": headers,
            "params": {"q": "ü"},
            "cookies": {"c": "1"},
        }
        assert await received(driver, server, client=client, **call) == ["1"]
    assert len(server.requests) == 4
    for request in server.requests:
        assert request.header_values("accept") == ["text/event-stream;v=2"]
        assert request.header_values("cache-control") == ["no-store"]
        assert request.header_values("x-tag") == ["a", "b"]
        assert (request.header("x-client"), request.header("cookie")) == ("1", "c=1")
        assert request.query == {"k": ["1"], "q": ["ü"]}
    assert len(headers) == 3


def ragged() -> Iterator[bytes]:
    yield b'{"q": '
    yield b"1}"


async def aragged() -> AsyncIterator[bytes]:
    for chunk in ragged():
        yield chunk


FORM: Final = "application/x-www-form-urlencoded"
BODIES: Final[dict[str, tuple[Callable[[bool], dict[str, Any]], bytes, str | None]]] = {
    "none": (lambda _: {}, b"", None),
    "bytes": (lambda _: {"content": b'{"q": 1}'}, b'{"q": 1}', None),
    "str": (lambda _: {"content": "ü"}, "ü".encode(), None),
    "iterator": (lambda a: {"content": aragged() if a else ragged()}, b'{"q": 1}', None),
    "json": (lambda _: {"json": [1]}, b"[1]", "application/json"),
    "data": (lambda _: {"data": {"q": "ü"}}, b"q=%C3%BC", FORM),
    "files": (lambda _: {"files": {"f": ("n", io.BytesIO(b"x"))}}, b"", "multipart/form-data; "),
    "files and data": (
        lambda _: {"files": {"f": io.BytesIO(b"x")}, "data": {"a": "b"}},
        b"",
        "multipart/form-data; ",
    ),
}


@pytest.mark.parametrize("body", BODIES)
@driven
async def test_the_same_body_is_sent_each_time(
    driver: Driver, server: RawServer, body: str
) -> None:
    make, expected, content_type = BODIES[body]
    server.route("/", in_turn(sends("1"), redirect(307, "/other"), lost, status(500)))
    server.route("/other", sends("2"))
    call = make(driver.is_async)
    assert await received(driver, server, method="POST", **call) == ["1", "2"]
    first, *others = server.requests
    assert len(others) == 5
    for request in others:
        assert (request.method, request.body) == ("POST", first.body)
        for name in ("content-type", "content-length"):
            assert request.header(name) == first.header(name)
    assert first.body == expected or not expected
    assert (first.header("content-type") or "").startswith(content_type or "")
    if body.startswith("files"):
        assert b"\r\n\r\nx\r\n" in first.body


@driven
async def test_a_body_of_the_other_kind_is_refused(driver: Driver, server: RawServer) -> None:
    content = ragged() if driver.is_async else aragged()
    # As the client itself refuses it.
    with pytest.raises(RuntimeError, match="sync"):
        await received(driver, server, method="POST", content=content)
    assert not server.requests


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
    call: dict[str, Any] = {
        "auth": driver.library.DigestAuth("user", "secret"),
        "idle_timeout": SHORT,
    }
    async with subscribed(driver, server, method="POST", json=1, **call) as events:
        assert data_of([await events.next() for _ in range(3)]) == ["1"] * 3
    assert all(json.loads(request.body) == 1 for request in server.requests)


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
async def test_a_redirect_is_followed_each_time(driver: Driver, server: RawServer) -> None:
    server.route("/", redirect(307, "/there?x=1"))
    server.route("/there", in_turn(stream("id: ü\ndata: 1\n\n".encode()), lost, sends("2")))
    async with client_of(driver, follow_redirects=False) as client:
        async with subscribed(driver, server, client=client) as events:
            assert data_of(await events.rest()) == ["1", "2"]
            assert events.response.url.path == "/there"
    assert [request.target for request in server.requests] == ["/", "/there?x=1"] * 4
    assert sent_ids(server) == [None, None] + ["ü"] * 6


# -- what is done about each answer ---------------------------------------------------------------


@pytest.mark.parametrize("code", [408, 425, 429, 500, 503, 504])
@driven
async def test_after_these_statuses_it_connects_again(
    driver: Driver, server: RawServer, code: int
) -> None:
    actions: list[Action] = []
    server.route("/", in_turn(status(code, ("Retry-After", "0")), sends("1"), status(code)))
    assert await received(driver, server, on_state=actions.append) == ["1"]
    assert len(server.requests) == 4
    assert isinstance(actions[0], Wait)
    error: Any = actions[0].error
    assert isinstance(error, driver.adapter.SSEError)
    assert isinstance(error, driver.library.TransportError)
    assert (error.status_code, error.content_type, error.body) == (code, "text/plain", "")
    assert str(error.request.url) == server.url()


@pytest.mark.parametrize("code", [201, 302, 401, 404])
@driven
async def test_after_these_statuses_it_raises(driver: Driver, server: RawServer, code: int) -> None:
    actions: list[Action] = []
    server.route("/", in_turn(status(code), sends("1")))
    error = await failure(driver, server, on_state=actions.append)
    assert isinstance(error, driver.adapter.SSEError)
    assert isinstance(error, driver.library.TransportError)
    assert (error.status_code, error.content_type, error.body) == (code, "text/plain", "no")
    assert f"expected status 200, got status {code}" in str(error)
    assert str(error).endswith("; the body begins 'no'")
    assert error.response.status_code == code
    assert str(error.request.url) == server.url()
    assert len(server.requests) == len(actions) == 1
    assert isinstance(actions[0], Fail)
    assert actions[0].error is error


@driven
async def test_a_page_is_no_event_stream(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def page(exchange: Exchange) -> None:
        exchange.start(content_type="text/html")
        exchange.send(b"x" * 3000)
        exchange.wait_closed(TIMEOUT)

    async with client_of(driver) as client:
        error = await failure(driver, server, client=client)
        await driver.wait_for_close(server)
    assert isinstance(error, driver.adapter.SSEError)
    assert (error.status_code, error.content_type, error.body) == (200, "text/html", "x" * 3000)


@driven
async def test_204_ends_it(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), gone, sends("2")))
    async with subscribed(driver, server) as events:
        for data in (["1"], []):
            assert data_of(await events.rest()) == data
        assert events.source.state is ReadyState.CLOSED
        assert events.response.status_code == 204
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("path", "call", "kind"),
    [
        ("/", {"url": "ftp://127.0.0.1/"}, "UnsupportedProtocol"),
        ("/ftp", {}, "UnsupportedProtocol"),
        ("/loop", {}, "TooManyRedirects"),
        ("/", {"headers": {"X-Own": "a\x0bb"}}, "LocalProtocolError"),
    ],
    ids=["scheme", "redirect to a scheme", "redirects", "header"],
)
@driven
async def test_these_errors_are_raised_at_once(
    driver: Driver, server: RawServer, path: str, call: dict[str, Any], kind: str
) -> None:
    server.route("/ftp", redirect(307, "ftp://127.0.0.1/"))
    server.route("/loop", redirect(307, "/loop"))
    actions: list[Action] = []
    error = await failure(driver, server, path, on_state=actions.append, **call)
    assert type(error) is driver.error(kind)
    assert isinstance(actions[-1], Fail)
    assert actions[-1].error is error
    assert len(actions) == 1


# -- when to connect again ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (stream(b"data: 1\n\n"), 3.0),
        (stream(b"retry: 7000\ndata: 1\n\n"), 7.0),
        (status(503, ("Retry-After", "7")), 7.0),
        (status(503, ("Retry-After", "1000000")), 300.0),
        (status(500, ("Retry-After", "7")), 3.0),
    ],
)
@driven
async def test_the_server_says_how_long_to_wait(
    driver: Driver, server: RawServer, handler: Handler, expected: float
) -> None:
    def note(action: Action) -> None:
        if isinstance(action, Wait):
            assert action.seconds == expected
            raise EOFError

    server.route("/", handler)
    policy = ReconnectPolicy(max_backoff=0.0)
    async with subscribed(driver, server, on_state=note, reconnect=policy) as events:
        with pytest.raises(EOFError):
            await events.rest()


@driven
async def test_retry_is_waited_for(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(stream(b"retry: 20\n\n"), lost, status(500), lost))
    async with subscribed(driver, server) as events:
        begun = time.perf_counter()
        await events.rest()
        assert events.source.reconnection_time == 20
    assert time.perf_counter() - begun > 0.08
    assert len(server.requests) == 5


@driven
async def test_the_end_of_the_stream_may_be_the_end(driver: Driver, server: RawServer) -> None:
    policy = ReconnectPolicy(initial_delay=0.001, max_backoff=0.0, reconnect_on_end=False)
    server.route("/", in_turn(lost, status(500), sends("1"), sends("2")))
    actions: list[Action] = []
    assert await received(driver, server, reconnect=policy, on_state=actions.append) == ["1"]
    assert actions[-1] == Stop("the server has ended the stream")
    assert len(server.requests) == 3


@driven
async def test_without_a_policy_there_is_one_attempt(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2")))
    server.route("/lost", lost)
    server.route("/status", status(503))
    assert await received(driver, server, reconnect=None) == ["1"]
    error = await failure(driver, server, "/lost", reconnect=None)
    assert type(error) is driver.library.RemoteProtocolError
    error = await failure(driver, server, "/status", reconnect=None)
    assert isinstance(error, driver.adapter.SSEError)
    assert (error.status_code, error.body) == (503, "no")
    error = await failure(driver, server, url="http://127.0.0.1:1/", reconnect=None)
    assert type(error) is driver.library.ConnectError
    assert len(server.requests) == 3


@driven
async def test_patience_ends_with_lost_connections(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(lost, lost, sends("1"), lost, status(500), lost, sends("2")))
    async with subscribed(driver, server, reconnect=PATIENCE) as events:
        assert (await events.next()).data == "1"
        with pytest.raises(driver.adapter.SSEError) as raised:
            await events.next()
        assert events.source.attempts == 3
    error: Any = raised.value
    assert type(error.__cause__) is driver.library.RemoteProtocolError
    assert str(error).startswith("gave up after 3 attempts without an event, in 0 s; the last one:")
    assert str(error).endswith(str(error.__cause__))
    assert error.response is None
    assert str(error.request.url) == server.url()
    assert len(server.requests) == 6


@driven
async def test_patience_ends_otherwise(driver: Driver, server: RawServer) -> None:
    server.route("/", status(503, body=b"full"))
    server.route("/ends", stream(b": nothing\n\n"))
    error = await failure(driver, server, url="http://127.0.0.1:1/", reconnect=PATIENCE)
    assert isinstance(error, driver.adapter.SSEError)
    assert type(error.__cause__) is driver.library.ConnectError

    error = await failure(driver, server, reconnect=PATIENCE)
    assert isinstance(error, driver.adapter.SSEError)
    assert (error.status_code, error.body) == (503, "full")
    assert isinstance(error.__cause__, driver.adapter.SSEError)
    assert error.__cause__.status_code == 503

    error = await failure(driver, server, "/ends", reconnect=PATIENCE)
    assert isinstance(error, driver.adapter.SSEError)
    assert error.__cause__ is None
    assert str(error) == "gave up after 3 attempts without an event, in 0 s"
    assert str(error.request.url) == server.url("/ends")


@pytest.mark.parametrize("is_held", [True, False])
@driven
async def test_an_event_may_be_too_large(driver: Driver, server: RawServer, is_held: bool) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + b"data: " + b"x" * 50)
        if is_held:
            exchange.stalled(0.02)
            exchange.send(b"data: more\n\n")
            exchange.wait_closed(TIMEOUT)

    decoder = functools.partial(SSEDecoder, max_event_size=40)
    async with client_of(driver) as client:
        async with subscribed(driver, server, client=client, decoder=decoder) as events:
            assert (await events.next()).data == "1"
            with pytest.raises(driver.adapter.SSEError) as raised:
                await events.next()
            if is_held:
                await driver.wait_for_close(server)
    error: Any = raised.value
    assert isinstance(error.__cause__, EventTooLarge)
    assert str(error) == f"event stream refused: {error.__cause__}"
    assert str(error.request.url) == server.url()
    assert len(server.requests) == 1


# -- silence --------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["idle_timeout", "read", "both", "seconds"])
@driven
async def test_silence_is_a_lost_connection(driver: Driver, server: RawServer, given: str) -> None:
    server.route("/", in_turn(stream(event("1"), hold=True), sends("2")))
    timeout = driver.library.Timeout
    call: dict[str, Any] = {
        "idle_timeout": {"idle_timeout": SHORT},
        "read": {"timeout": timeout(5.0, read=SHORT)},
        "both": {"timeout": timeout(5.0, read=4.0), "idle_timeout": SHORT},
        "seconds": {"timeout": SHORT},
    }[given]
    actions: list[Action] = []
    assert await received(driver, server, on_state=actions.append, **call) == ["1", "2"]
    assert actions[0] == Open(SHORT)
    assert isinstance(actions[1], Wait)
    assert type(actions[1].error) is driver.library.ReadTimeout
    assert str(actions[1].error) == "no byte from the server for 0.2 s"
    assert str(cast("Any", actions[1].error).request.url) == server.url()
    assert len(server.requests) == 3


@pytest.mark.parametrize("given", ["nothing", "idle_timeout", "timeout"])
@driven
async def test_silence_may_be_allowed(driver: Driver, server: RawServer, given: str) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        if len(server.requests) > 1:
            gone(exchange)
            return
        exchange.start()
        exchange.send(event("1"))
        exchange.stalled(1.5 * SHORT)
        exchange.send(event("2"))

    impatient = driver.library.Timeout(5.0, read=SHORT)
    call: dict[str, Any] = {
        "nothing": {},
        "idle_timeout": {"timeout": impatient, "idle_timeout": None},
        "timeout": {"timeout": None},
    }[given]
    actions: list[Action] = []
    async with client_of(driver, timeout=impatient) as client:
        call |= {"client": client, "on_state": actions.append}
        assert await received(driver, server, **call) == ["1", "2"]
    assert actions[0] == Open(None)
    assert len(server.requests) == 2


@driven
async def test_comments_are_no_silence(driver: Driver, server: RawServer) -> None:
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

    assert await received(driver, server, idle_timeout=0.5) == ["1"]
    assert len(server.requests) == 2


@driven
async def test_headers_have_the_timeout_of_the_client(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(silent, sends("1")))
    actions: list[Action] = []
    async with client_of(driver, timeout=0.3) as client:
        call: dict[str, Any] = {"client": client, "idle_timeout": None, "on_state": actions.append}
        assert await received(driver, server, **call) == ["1"]
    assert isinstance(actions[0], Wait)
    assert type(actions[0].error) is driver.library.ReadTimeout


# -- what can be seen -----------------------------------------------------------------------------


@driven
async def test_its_attributes(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(stream(b"retry: 5\nid: 1\ndata: 1\n\n"), sends("2", hold=True)))
    async with subscribed(driver, server) as events:
        source = events.source
        assert (source.state, source.attempts) == (ReadyState.CONNECTING, 0)
        assert (source.last_event_id, source.reconnection_time) == (None, None)
        assert source.response is None
        assert not server.connections  # nothing is sent before iterating
        kind = "AsyncSubscription" if driver.is_async else "Subscription"
        assert repr(source) == f"<{kind} {server.url()} CONNECTING>"

        assert (await events.next()).data == "1"
        assert (source.state, source.attempts) == (ReadyState.OPEN, 0)
        assert (source.last_event_id, source.reconnection_time) == ("1", 5)
        first = source.response
        assert isinstance(first, driver.library.Response)
        assert (await events.next()).data == "2"
        assert source.response is not first
    assert source.state is ReadyState.CLOSED


@driven
async def test_on_state_is_told_what_happens(driver: Driver, server: RawServer) -> None:
    actions: list[Action] = []
    server.route("/", in_turn(sends("1"), lost, status(500), sends("2"), gone))
    assert await received(driver, server, on_state=actions.append) == ["1", "2"]
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
    assert errors == [type(None), driver.library.RemoteProtocolError, errors[2], type(None)]
    assert issubclass(errors[2], driver.adapter.SSEError)


@pytest.mark.parametrize(
    ("kind", "handler"),
    [(Open, sends("1", hold=True)), (Wait, lost), (Stop, gone), (Fail, status(404))],
)
@driven
async def test_what_on_state_raises_ends_it(
    driver: Driver, server: RawServer, kind: type[Action], handler: Handler
) -> None:
    def refuse(action: Action) -> None:
        if isinstance(action, kind):
            raise LookupError(type(action).__name__)

    server.route("/", handler)
    async with client_of(driver) as client:
        async with subscribed(driver, server, client=client, on_state=refuse) as events:
            with pytest.raises(LookupError, match=kind.__name__):
                await events.next()
            if kind is Open:
                await driver.wait_for_close(server)
            assert events.source.state is ReadyState.CLOSED
    assert len(server.requests) == 1


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="sse_httpx")
    return caplog


@driven
async def test_the_log_says_what_happens_and_no_secrets(
    driver: Driver, server: RawServer, log: pytest.LogCaptureFixture
) -> None:
    server.route("/a/b", in_turn(sends("1"), lost, status(500)))
    url = f"http://user:pass%40word@127.0.0.1:{server.port}/a/b?token=t0ken#fragm"
    await received(driver, server, url=url, headers={"X-Key": "s3cret"})
    url = "http://user:password@127.0.0.1:1/a/b?token=t0ken"
    await failure(driver, server, url=url, reconnect=PATIENCE)
    text = [record.getMessage() for record in log.records if record.name == "sse_httpx"]
    levels = [record.levelno for record in log.records if record.name == "sse_httpx"]
    name = server.url("/a/b")
    assert text[:3] == [f"{name}: open", f"{name}: ended; connecting again in 0.00 s", text[0]]
    assert text[3].startswith(f"{name}: RemoteProtocolError: peer closed connection")
    refused = "expected status 200, got status 500 with content type 'text/plain'"
    assert text[4:6] == [
        f"{name}: SSEError: {refused}; connecting again in 0.00 s",
        f"{name}: over: status 204: the server wants no further connection",
    ]
    assert text[6].startswith("http://127.0.0.1:1/a/b: ConnectError: ")
    assert text[8].startswith("http://127.0.0.1:1/a/b: failed: SSEError: gave up after 3 attempts")
    assert levels == [20, 20, 20, 30, 30, 20, 30, 30, 20]
    for secret in ("user", "word", "t0ken", "fragm", "s3cret"):
        assert secret not in "\n".join(text)


# -- clients and transports -----------------------------------------------------------------------


@driven
async def test_mock_transports(driver: Driver, server: RawServer) -> None:
    sent: list[str | None] = []
    library = driver.library

    def handle(request: Any) -> Any:
        sent.append(request.headers.get("last-event-id"))
        if len(sent) == 2:
            raise library.ConnectError("no", request=request)
        if len(sent) == 3:
            return library.Response(503, content=b"no")
        if len(sent) == 5:
            return library.Response(204)
        body = b"id: %d\n" % len(sent) + event(str(len(sent)))
        return library.Response(200, headers=HEADERS, content=body)

    async with client_of(driver, transport=library.MockTransport(handle)) as client:
        assert await received(driver, server, client=client) == ["1", "4"]
    assert sent == [None, "1", "1", "1", "4"]


class Chunks:
    """A body that is streamed, sync or not, and breaks off."""

    def __init__(self, *chunks: bytes, error: BaseException) -> None:
        self.chunks: Final = chunks
        self.error: Final = error

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        raise self.error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        raise self.error


def mock_of(driver: Driver, *bodies: Chunks, extensions: dict[str, Any] | None = None) -> Any:
    """Return a transport with one body after the other; then, status 204."""
    left = list(bodies)
    library = driver.library
    stream: Any = library.AsyncByteStream if driver.is_async else library.SyncByteStream

    def handle(_: Any) -> Any:
        if not left:
            return library.Response(204)
        body = type("Body", (Chunks, stream), {})(*left[0].chunks, error=left.pop(0).error)
        return library.Response(200, headers=HEADERS, stream=body, extensions=extensions or {})

    return library.MockTransport(handle)


@pytest.mark.parametrize("idle_timeout", [None, 5.0])
@driven
async def test_a_transport_has_timeouts_of_its_own(
    driver: Driver, server: RawServer, idle_timeout: float | None
) -> None:
    body = Chunks(event("1"), b"data: unf", error=driver.library.ReadTimeout("its own"))
    actions: list[Action] = []
    call: dict[str, Any] = {"idle_timeout": idle_timeout, "on_state": actions.append}
    async with client_of(driver, transport=mock_of(driver, body)) as client:
        assert await received(driver, server, client=client, **call) == ["1"]
    assert isinstance(actions[1], Wait)
    text = "its own" if idle_timeout is None else "no byte from the server for 5.0 s"
    assert str(actions[1].error) == text


class Unsocketed:
    """What stands for a network stream, without a socket."""

    def get_extra_info(self, name: str) -> None:
        assert name == "socket"


@pytest.mark.parametrize(
    "extensions",
    [
        {},
        {"network_stream": Unsocketed(), "http_version": b"HTTP/1.1"},
        {"network_stream": Unsocketed(), "http_version": b"HTTP/2"},
    ],
    ids=["no stream", "no socket", "HTTP/2"],
)
def test_a_transport_may_have_no_socket(
    sync_driver: Driver, server: RawServer, extensions: dict[str, Any]
) -> None:
    driver = sync_driver
    body = Chunks(event("1") + event("2"), error=driver.library.ReadError("never"))
    client = driver.library.Client(transport=mock_of(driver, body, extensions=extensions))
    with driver.adapter.subscribe(client, "GET", server.url()) as events:
        assert next(events).data == "1"
        events.close()
        assert list(events) == []


@driven
async def test_the_wrong_client_is_refused(driver: Driver, server: RawServer) -> None:
    wrong: Any
    other = driver.library.Client() if driver.is_async else driver.library.AsyncClient()
    for wrong in (other, "client"):
        with pytest.raises(TypeError, match="expected an httpx"):
            async with subscribed(driver, server, client=wrong):
                pass


@driven
async def test_one_reader_at_a_time(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))

    async def close() -> None:
        await driver.blocking(is_doing, server)
        with pytest.raises(RuntimeError, match="this subscription is being read already"):
            await events.next()
        await events.close()

    async with subscribed(driver, server) as events:
        async with meanwhile(driver, close):
            assert data_of(await events.rest()) == ["1"]


@driven
async def test_two_at_once_with_one_client(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2"), sends("3"), sends("4")))
    async with client_of(driver) as client:
        async with (
            subscribed(driver, server, client=client) as one,
            subscribed(driver, server, client=client) as other,
        ):
            turns = [await each.next() for each in (one, other, one, other)]
    assert data_of(turns) == ["1", "2", "3", "4"]


# -- the end --------------------------------------------------------------------------------------


def slow_refusal(exchange: Exchange) -> None:
    exchange.start(404, content_type="text/plain")
    exchange.send(b"not here")
    exchange.wait_closed(TIMEOUT)


def sends_late(exchange: Exchange) -> None:
    exchange.stalled(0.6)
    exchange.start()
    exchange.send(event("1"))
    exchange.wait_closed(TIMEOUT)


# What a subscription may be doing: how the server gets it there.
DOINGS: Final[dict[str, Handler]] = {
    "waiting": status(503, ("Connection", "close")),
    "reading": stream(b": nothing\n\n", hold=True),
    "reading on": sends("1", hold=True),
    "reading a refusal": slow_refusal,
    "opening": silent,
}


@pytest.mark.parametrize("what", DOINGS)
@driven
async def test_closing_ends_what_it_does(driver: Driver, server: RawServer, what: str) -> None:
    server.route("/", DOINGS[what])
    begun = 0.0

    async def close() -> None:
        nonlocal begun
        await driver.blocking(is_doing, server)
        begun = time.perf_counter()
        await events.close()
        assert events.source.state is ReadyState.CLOSED

    actions: list[Action] = []
    # A sync client's opening ends with its timeout.
    async with client_of(driver, timeout=5.0 if driver.is_async else 0.3) as client:
        call: dict[str, Any] = {"client": client, "reconnect": SLOW, "on_state": actions.append}
        async with subscribed(driver, server, **call) as events:
            async with meanwhile(driver, close):
                assert data_of(await events.rest()) == (["1"] if what == "reading on" else [])
                assert time.perf_counter() - begun < PROMPT
            await closes(server, driver, begun)
            assert await events.rest() == []
    assert actions[-1:] == [Stop("closed")] or what == "reading a refusal"
    assert len(server.requests) == 1


@driven
async def test_closing_ends_a_read_over_tls(
    driver: Driver, tls_server: RawServer, tls: TlsFiles
) -> None:
    tls_server.route("/", sends("1", hold=True))
    begun = 0.0

    async def close() -> None:
        nonlocal begun
        await driver.blocking(is_doing, tls_server)
        begun = time.perf_counter()
        await events.close()

    settings, call = driver.trust(tls.ca_pem)
    async with client_of(driver, **settings) as client:
        async with subscribed(driver, tls_server, client=client, **call) as events:
            async with meanwhile(driver, close):
                assert data_of(await events.rest()) == ["1"]
                assert time.perf_counter() - begun < PROMPT
            await closes(tls_server, driver, begun)


@driven
async def test_closing_between_events(driver: Driver, server: RawServer) -> None:
    server.route("/", stream(event("1") + event("2"), hold=True))
    async with client_of(driver) as client:
        async with subscribed(driver, server, client=client) as events:
            assert (await events.next()).data == "1"
            begun = time.perf_counter()
            await events.close()
            await closes(server, driver, begun)
            assert await events.rest() == []  # the second one was there already
            await events.close()


@driven
async def test_closing_what_the_server_has_closed(driver: Driver, server: RawServer) -> None:
    @server.route("/")
    def reset(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + event("2"))
        exchange.stalled(0.02)
        exchange.reset()

    async with subscribed(driver, server) as events:
        assert (await events.next()).data == "1"
        await driver.blocking(time.sleep, 0.1)
        await events.close()
        assert await events.rest() == []


@driven
async def test_closing_before_the_first_event(driver: Driver, server: RawServer) -> None:
    async with subscribed(driver, server) as events:
        await events.close()
        assert await events.rest() == []
    assert not server.connections


@pytest.mark.parametrize("what", ["reading", "waiting"])
@driven
async def test_on_state_and_hooks_may_close_it(
    driver: Driver, server: RawServer, what: str
) -> None:
    server.route("/", DOINGS[what])

    def close(_: object) -> None:
        events.source.close()

    async def aclose(_: object) -> None:
        await events.source.aclose()

    for kind in ("request", "response"):
        hooks = {kind: [aclose if driver.is_async else close]}
        async with client_of(driver, event_hooks=hooks) as client:
            begun = time.perf_counter()
            async with subscribed(driver, server, client=client, reconnect=SLOW) as events:
                assert await events.rest() == []
            assert time.perf_counter() - begun < PROMPT
            if server.connections:
                await closes(server, driver, begun)
    if not driver.is_async:
        async with subscribed(driver, server, on_state=close, reconnect=SLOW) as events:
            assert await events.rest() == []


@driven
async def test_closing_at_any_moment(driver: Driver, server: RawServer) -> None:
    """While it connects, reads and waits as fast as it can."""
    pause = random.Random(1)

    @server.route("/")
    def busy(exchange: Exchange) -> None:
        exchange.start()
        for _ in range(exchange.connection % 7):
            exchange.send(event("1") + event("2"))

    async def close() -> None:
        await driver.blocking(time.sleep, pause.uniform(0.0, 0.02))
        await events.close()

    policy = ReconnectPolicy(initial_delay=0.0005, max_backoff=0.0)
    async with client_of(driver) as client:
        for _ in range(30):
            async with subscribed(driver, server, client=client, reconnect=policy) as events:
                async with meanwhile(driver, close):
                    await events.rest()


@pytest.mark.parametrize("what", ["event", "nothing", "fault"])
@driven
async def test_leaving_the_block_closes(driver: Driver, server: RawServer, what: str) -> None:
    server.route("/", sends("1", "2", hold=True))

    async def read() -> None:
        async with subscribed(driver, server, client=client) as events:
            if what != "nothing":
                assert (await events.next()).data == "1"
            if what == "fault":
                raise ZeroDivisionError
        assert await events.rest() == []

    async with client_of(driver) as client:
        begun = time.perf_counter()
        if what == "fault":
            with pytest.raises(ZeroDivisionError):
                await read()
        else:
            await read()
        if what != "nothing":
            await closes(server, driver, begun)


@driven
async def test_a_lost_connection_is_closed_before_the_next(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", sends("1", hold=True))
    async with subscribed(driver, server, idle_timeout=0.05) as events:
        for _ in range(4):
            assert (await events.next()).data == "1"
        assert server.open_connections <= 2


# -- cancellation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", DOINGS)
@driven
async def test_a_cancelled_task_closes(async_driver: Driver, server: RawServer, what: str) -> None:
    driver = async_driver
    server.route("/", DOINGS[what])

    async def read() -> None:
        async with subscribed(driver, server, client=client, reconnect=SLOW) as events:
            await events.rest()

    async with client_of(driver) as client:
        assert not await driver.within(0.3, read())
        await closes(server, driver, time.perf_counter())
        assert len(server.requests) == 1


@driven
async def test_cancelled_reads_cost_neither_an_event_nor_the_connection(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver

    @server.route("/")
    def slow(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + b"data: be")
        exchange.stalled(0.4)
        exchange.send(b"gun\n\n")
        exchange.wait_closed(TIMEOUT)

    received: list[str] = []

    async def read() -> None:
        received.append((await events.next()).data)

    async with subscribed(driver, server) as events:
        while len(received) < 2:
            await driver.within(0.1, read())
    assert received == ["1", "begun"]
    assert len(server.requests) == 1


@driven
async def test_a_cancelled_opening_goes_on_or_begins_anew(
    async_driver: Driver, server: RawServer
) -> None:
    """It goes on where the event loop has a place for it: on asyncio."""
    driver = async_driver
    goes_on = isinstance(driver, AsyncioDriver)
    server.route("/", sends_late if goes_on else in_turn(silent, sends("1")))
    call: dict[str, Any] = {"reconnect": SLOW, "method": "POST", "files": {"f": io.BytesIO(b"x")}}
    async with subscribed(driver, server, **call) as events:
        assert not await driver.within(0.3, events.next())
        assert (await events.next()).data == "1"
        assert events.source.attempts == 0
    assert len({request.body for request in server.requests}) == 1
    assert len(server.requests) == (1 if goes_on else 2)


@driven
async def test_a_wait_goes_on_after_it_was_cancelled(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver
    # One more than needed: the second may be cancelled, and not have been seen yet.
    server.route("/", in_turn(status(503), sends("1"), sends("1")))
    policy = ReconnectPolicy(initial_delay=1.0, max_backoff=0.0)
    cancelled = 0
    async with subscribed(driver, server, reconnect=policy) as events:
        begun = time.perf_counter()
        while len(server.requests) < 2:
            cancelled += not await driver.within(0.1, events.next())
        assert 0.9 < time.perf_counter() - begun < 5
    assert cancelled >= 3


@driven
async def test_reading_a_refusal_is_cancelled_but_not_the_refusal(
    async_driver: Driver, server: RawServer
) -> None:
    driver = async_driver
    server.route("/", slow_refusal)
    async with subscribed(driver, server) as events:
        assert not await driver.within(0.3, events.next())
        for _ in range(2):
            with pytest.raises(driver.adapter.SSEError, match="got status 404"):
                await events.next()
    assert len(server.requests) == 1


@driven
async def test_a_cancellation_and_a_close_at_once(async_driver: Driver, server: RawServer) -> None:
    import anyio

    driver = async_driver
    for path, handler in (("/", silent), ("/read", sends("1", hold=True))):
        server.route(path, handler)
        async with client_of(driver) as client:
            async with subscribed(driver, server, path, client=client) as events:
                async with anyio.create_task_group() as group:
                    group.start_soon(events.rest)
                    await driver.blocking(is_doing, server, len(server.requests) + 1)
                    group.cancel_scope.cancel()
                    await events.close()
                await closes(server, driver, time.perf_counter())


def test_after_an_interrupted_read_it_goes_on_with_another_connection(
    sync_driver: Driver, server: RawServer
) -> None:
    driver = sync_driver
    body = Chunks(b"id: 1\n" + event("1"), error=KeyboardInterrupt())
    again = Chunks(b"id: 2\n" + event("2"), error=driver.library.ReadError("no"))
    client = driver.library.Client(transport=mock_of(driver, body, again))
    call: dict[str, Any] = {"reconnect": FAST}
    with driver.adapter.subscribe(client, "GET", server.url(), **call) as events:
        assert next(events).data == "1"
        with pytest.raises(KeyboardInterrupt):
            next(events)
        assert data_of(events) == ["2"]


def test_one_that_is_closed_right_before_a_read_does_not_begin_it(
    sync_driver: Driver, server: RawServer
) -> None:
    """Closed by another thread between the opening and the reading, too late for either."""
    server.route("/", sends("1", hold=True))
    with sync_driver.library.Client() as client:
        with sync_driver.adapter.subscribe(client, "GET", server.url()) as events:
            assert next(events).data == "1"
            events._begin_closing()
            with pytest.raises(Interrupted):
                events._read().send(None)
            events._body.interrupt()  # shut down already, or not: no error
            events.response.extensions["network_stream"].get_extra_info("socket").close()
            events._body.interrupt()
