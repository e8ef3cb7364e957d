"""`subscribe`, over each adapter, library and event loop: what is done about each answer.

What is sent is in test_subscribe_requests.py; how it ends, in test_subscribe_closing.py; that
nothing is lost, in test_subscribe_faults.py.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from sse_proto import (
    EventTooLarge,
    Fail,
    Open,
    ReadyState,
    ReconnectPolicy,
    SSEDecoder,
    Stop,
    Wait,
)
from tests.support.drivers import TIMEOUT, driven
from tests.support.handlers import gone, in_turn, lost, redirect, silent, status, stream
from tests.support.harness import data_of, event, sends
from tests.support.subscribing import PATIENCE, failure, received, subscribed

if TYPE_CHECKING:
    from random import Random

    from sse_proto import Action
    from tests.support.drivers import Driver
    from tests.support.servers import Exchange, Handler, RawServer

pytestmark = pytest.mark.needs("redirects", "settings")

NOWHERE: Final = "http://127.0.0.1:1/"

# -- statuses -------------------------------------------------------------------------------------

AGAIN: Final = [408, 425, 429, 500, 501, 502, 503, 504, 507, 599]
FAILS: Final = [201, 202, 205, 206, 300, 304, 400, 401, 403, 404, 405, 409, 410, 418, 422, 451, 499]
REDIRECTS: Final = [301, 302, 303, 307, 308]


@pytest.mark.parametrize("code", AGAIN)
@driven
async def test_after_these_statuses_it_connects_again(
    driver: Driver, server: RawServer, code: int
) -> None:
    actions: list[Action] = []
    server.route("/", in_turn(status(code), sends("1"), status(code), status(code)))
    assert await received(driver, server, on_state=actions.append) == ["1"]
    assert len(server.requests) == 5
    assert isinstance(actions[0], Wait)
    error: Any = actions[0].error
    assert isinstance(error, driver.adapter.SSEError)
    assert isinstance(error, driver.error("TransportError"))
    assert (error.status_code, error.content_type, error.body) == (code, "text/plain", "")
    assert str(error) == f"expected status 200, got status {code} with content type 'text/plain'"
    driver.check_error(error, server.url())


@pytest.mark.parametrize("code", FAILS + REDIRECTS)  # redirects without a Location
@driven
async def test_after_these_statuses_it_raises(driver: Driver, server: RawServer, code: int) -> None:
    actions: list[Action] = []
    server.route("/", in_turn(status(code), sends("1")))
    error = await failure(driver, server, on_state=actions.append)
    assert isinstance(error, driver.adapter.SSEError)
    assert isinstance(error, driver.error("TransportError"))
    assert error.status_code == error.response.status_code == code
    assert f"expected status 200, got status {code}" in str(error)
    if code not in (205, 304):  # these have no body
        assert (error.content_type, error.body) == ("text/plain", "no")
        assert str(error).endswith("; the body begins 'no'")
    driver.check_error(error, server.url())
    assert len(server.requests) == len(actions) == 1
    assert isinstance(actions[0], Fail)
    assert actions[0].error is error


@driven
async def test_204_ends_it(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), gone, sends("2")))
    async with subscribed(driver, server) as events:
        for data in (["1"], []):  # for good
            assert data_of(await events.rest()) == data
        assert events.source.state is ReadyState.CLOSED
        assert events.response.status_code == 204
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
@driven
async def test_another_content_type_is_no_event_stream(
    driver: Driver, server: RawServer, content_type: str | None, is_right: bool
) -> None:
    def page(exchange: Exchange) -> None:
        exchange.start(content_type=content_type)
        exchange.send(b"data: <h1>Sign in</h1>\n\n")

    server.route("/", in_turn(page))
    if is_right:
        assert await received(driver, server) == ["<h1>Sign in</h1>"]
        return
    error = await failure(driver, server)
    assert isinstance(error, driver.adapter.SSEError)
    assert (error.status_code, error.content_type) == (200, content_type or "")
    assert error.body == "data: <h1>Sign in</h1>\n\n"
    assert "expected content type 'text/event-stream', got status 200 with" in str(error)
    assert str(error).endswith("; the body begins 'data: <h1>Sign in</h1>\\n\\n'")
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [200, 404])
@driven
async def test_a_refused_body_without_end_does_not_keep_it(
    driver: Driver, server: RawServer, code: int
) -> None:
    @server.route("/")
    def page(exchange: Exchange) -> None:
        exchange.start(code, content_type="text/html")
        exchange.send(b"x" * 3000)
        exchange.wait_closed(TIMEOUT)

    async with driver.client() as client:
        error = await failure(driver, server, client=client)
        await driver.wait_for_close(server)
    assert isinstance(error, driver.adapter.SSEError)
    assert (error.status_code, error.content_type, error.body) == (code, "text/html", "x" * 3000)


# -- what no further attempt can mend -------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "call", "kind"),
    [
        ("/", {"url": "ftp://127.0.0.1/"}, "UnsupportedProtocol"),
        ("/ftp", {}, "UnsupportedProtocol"),
        ("/loop", {}, "TooManyRedirects"),
        ("/", {"url": "relative"}, "UnsupportedProtocol"),
        ("/", {"headers": {"X-Own": "a\x0bb"}}, "LocalProtocolError"),
        ("/", {"headers": {"X Own": "a"}}, "LocalProtocolError"),
    ],
    ids=["scheme", "redirect to a scheme", "redirects", "relative", "header", "header name"],
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


@driven
async def test_an_error_of_a_hook_is_raised_at_once(driver: Driver, server: RawServer) -> None:
    server.route("/", sends("1"))

    def fail(response: Any) -> None:
        raise LookupError(f"status {response.status_code}")

    actions: list[Action] = []
    async with driver.client(event_hooks={"response": [driver.hook(fail)]}) as client:
        async with subscribed(driver, server, client=client, on_state=actions.append) as events:
            with pytest.raises(LookupError, match="status 200"):
                await events.next()
            assert await events.rest() == []
    assert actions == [Stop("closed")]


@driven
async def test_a_status_that_a_hook_alone_finds_wrong_is_its_error(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", sends("1", hold=True))

    def fail(response: Any) -> None:
        raise driver.library.HTTPStatusError("no", request=response.request, response=response)

    async with driver.client(event_hooks={"response": [driver.hook(fail)]}) as client:
        async with subscribed(driver, server, client=client) as events:
            with pytest.raises(driver.library.HTTPStatusError, match=r"^no$"):
                await events.next()
        await driver.wait_for_close(server)
    assert len(server.requests) == 1


# -- when to connect again ------------------------------------------------------------------------


async def waits_of(driver: Driver, server: RawServer, n: int = 1, **call: Any) -> list[float]:
    """Return the first waits, in seconds; the last one is not waited for."""
    waits: list[float] = []

    def note(action: Action) -> None:
        if isinstance(action, Wait):
            waits.append(action.seconds)
            if len(waits) == n:
                raise EOFError

    async with subscribed(driver, server, on_state=note, **call) as events:
        with pytest.raises(EOFError):
            await events.rest()
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
@driven
async def test_retry_says_how_long_to_wait(
    driver: Driver, server: RawServer, body: bytes, expected: float
) -> None:
    server.route("/", stream(body))
    policy = ReconnectPolicy(max_backoff=0.0)
    assert await waits_of(driver, server, reconnect=policy) == [expected]


@driven
async def test_retry_holds_for_later_connections_as_well(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(stream(b"retry: 20\n\n"), lost, status(500), lost))
    async with subscribed(driver, server) as events:
        begun = time.perf_counter()
        await events.rest()
        assert events.source.reconnection_time == 20
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
@driven
async def test_retry_after_says_how_long_to_wait(
    driver: Driver, server: RawServer, code: int, value: str, expected: float
) -> None:
    server.route("/", status(code, ("Retry-After", value)))
    policy = ReconnectPolicy(max_backoff=0.0)
    assert await waits_of(driver, server, reconnect=policy) == [expected]


@driven
async def test_waits_grow_with_attempts_that_bring_nothing(
    driver: Driver, server: RawServer
) -> None:
    server.route("/", in_turn(lost, lost, sends("1"), lost, lost))

    def backoff(_asked: float, failures: int, _random: Random) -> float:
        return failures / 1e4

    policy = ReconnectPolicy(initial_delay=0.0, backoff=backoff)
    waits = await waits_of(driver, server, n=5, reconnect=policy)
    assert waits == pytest.approx([0.0001, 0.0002, 0.0, 0.0001, 0.0002])


# -- silence --------------------------------------------------------------------------------------

SHORT: Final = 0.2


@pytest.mark.parametrize("given", ["idle_timeout", "read", "only", "both", "seconds"])
@driven
async def test_silence_is_a_lost_connection(driver: Driver, server: RawServer, given: str) -> None:
    server.route("/", in_turn(stream(event("1"), hold=True), sends("2")))
    timeout = driver.library.Timeout
    call: dict[str, Any] = {
        "idle_timeout": {"idle_timeout": SHORT},
        "read": {"timeout": timeout(TIMEOUT, read=SHORT)},
        "only": {"timeout": timeout(None), "idle_timeout": SHORT},
        "both": {"timeout": timeout(TIMEOUT, read=4.0), "idle_timeout": SHORT},
        "seconds": {"timeout": 2 * SHORT},  # for each step of opening, as well
    }[given]
    seconds = call.get("timeout") if given == "seconds" else SHORT
    actions: list[Action] = []
    assert await received(driver, server, on_state=actions.append, **call) == ["1", "2"]
    assert actions[0] == Open(seconds)
    assert isinstance(actions[1], Wait)
    error = actions[1].error
    assert type(error) is driver.error("ReadTimeout")
    assert str(error) == f"no byte from the server for {seconds} s"
    driver.check_error(error, server.url())
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

    impatient = driver.library.Timeout(TIMEOUT, read=SHORT)
    call: dict[str, Any] = {
        "nothing": {},
        "idle_timeout": {"timeout": impatient, "idle_timeout": None},
        "timeout": {"timeout": None},
    }[given]
    actions: list[Action] = []
    async with driver.client(timeout=impatient) as client:
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


@pytest.mark.parametrize("seconds", [0, -1.0])
@driven
async def test_an_idle_timeout_has_to_be_some_time(
    driver: Driver, server: RawServer, seconds: float
) -> None:
    with pytest.raises(ValueError, match="idle_timeout must be more than 0 s"):
        async with subscribed(driver, server, idle_timeout=seconds):
            pass


@pytest.mark.parametrize("given", ["client", "call"])
@driven
async def test_no_headers_in_time_is_a_lost_connection(
    driver: Driver, server: RawServer, given: str
) -> None:
    server.route("/", in_turn(silent, sends("1")))
    actions: list[Action] = []
    short = {"timeout": driver.library.Timeout(0.3)}
    call: dict[str, Any] = {"on_state": actions.append}
    call |= {"idle_timeout": None} if given == "client" else short
    async with driver.client(**(short if given == "client" else {})) as client:
        assert await received(driver, server, client=client, **call) == ["1"]
    assert isinstance(actions[0], Wait)
    assert type(actions[0].error) is driver.error("ReadTimeout")


# -- the end of the stream, and of patience -------------------------------------------------------


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
    assert type(error) is driver.error("Truncated")
    error = await failure(driver, server, "/status", reconnect=None)
    assert isinstance(error, driver.adapter.SSEError)
    assert (error.status_code, error.body) == (503, "no")
    assert str(error).endswith("; the body begins 'no'")
    error = await failure(driver, server, url=NOWHERE, reconnect=None)
    assert type(error) is driver.error("ConnectError")
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
    assert type(error.__cause__) is driver.error("Truncated")
    assert str(error).startswith("gave up after 3 attempts without an event, in 0 s; the last one:")
    assert str(error).endswith(str(error.__cause__))
    assert error.response is None
    driver.check_error(error, server.url())
    assert len(server.requests) == 6


@pytest.mark.parametrize("url", [NOWHERE, NOWHERE.replace("http", "https")])
@driven
async def test_patience_ends_with_no_connection(
    driver: Driver, server: RawServer, url: str
) -> None:
    error = await failure(driver, server, url=url, reconnect=PATIENCE)
    assert isinstance(error, driver.adapter.SSEError)
    assert type(error.__cause__) is driver.error("ConnectError")
    assert "gave up after 3 attempts" in str(error)


@driven
async def test_patience_ends_with_a_status(driver: Driver, server: RawServer) -> None:
    server.route("/", status(503, body=b"full"))
    error = await failure(driver, server, reconnect=PATIENCE)
    assert isinstance(error, driver.adapter.SSEError)
    assert (error.status_code, error.body) == (503, "full")
    cause: Any = error.__cause__
    assert isinstance(cause, driver.adapter.SSEError)
    assert cause.status_code == 503
    assert str(error).endswith("; the last one: " + str(cause))
    assert len(server.requests) == 3


@driven
async def test_patience_ends_with_streams_that_end(driver: Driver, server: RawServer) -> None:
    server.route("/", stream(b": nothing\n\n"))
    error = await failure(driver, server, reconnect=PATIENCE)
    assert isinstance(error, driver.adapter.SSEError)
    assert error.__cause__ is None
    assert str(error) == "gave up after 3 attempts without an event, in 0 s"
    driver.check_error(error, server.url())
    assert len(server.requests) == 3


@driven
async def test_patience_ends_with_time(driver: Driver, server: RawServer) -> None:
    server.route("/", lost)
    policy = ReconnectPolicy(initial_delay=0.05, max_backoff=0.0, max_time=0.2)
    begun = time.perf_counter()
    error = await failure(driver, server, reconnect=policy)
    assert time.perf_counter() - begun > 0.1
    assert isinstance(error, driver.adapter.SSEError)
    assert type(error.__cause__) is driver.error("Truncated")
    assert 2 <= len(server.requests) <= 5


@pytest.mark.parametrize("body", [b"x" * 50, b"x" * 50 + b"\n\n", b"x" * 50 + b"\n\n" + event("2")])
@pytest.mark.parametrize("is_held", [True, False])
@driven
async def test_an_event_may_be_too_large(
    driver: Driver, server: RawServer, body: bytes, is_held: bool
) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(event("1") + b"data: " + body)
        if is_held:
            exchange.stalled(0.02)
            exchange.send(b"data: more\n\n")
            exchange.wait_closed(TIMEOUT)

    actions: list[Action] = []
    call: dict[str, Any] = {
        "decoder": functools.partial(SSEDecoder, max_event_size=40),
        "on_state": actions.append,
    }
    async with driver.client() as client:
        async with subscribed(driver, server, client=client, **call) as events:
            assert (await events.next()).data == "1"
            with pytest.raises(driver.adapter.SSEError) as raised:
                await events.next()
            if is_held:
                await driver.wait_for_close(server)
    error: Any = raised.value
    assert isinstance(error.__cause__, EventTooLarge)
    assert str(error) == f"event stream refused: {error.__cause__}"
    driver.check_error(error, server.url())
    assert isinstance(actions[-1], Fail)
    assert actions[-1].error is error
    assert len(server.requests) == 1


# -- what can be seen -----------------------------------------------------------------------------


@driven
async def test_its_attributes(driver: Driver, server: RawServer) -> None:
    seen: list[tuple[ReadyState, int]] = []
    first = stream(b"retry: 5\nid: 1\ndata: 1\n\n")
    server.route("/", in_turn(status(500), lost, first, sends("2", hold=True)))

    def note(_: Action) -> None:
        seen.append((source.state, source.attempts))

    async with subscribed(driver, server, on_state=note) as events:
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
        response = source.response
        assert isinstance(response, driver.library.Response)

        assert (await events.next()).data == "2"
        assert isinstance(source.response, driver.library.Response)
        assert source.response is not response
        assert (source.last_event_id, source.reconnection_time) == ("1", 5)
        assert repr(source) == f"<{kind} {server.url()} OPEN>"
    assert (source.state, source.attempts) == (ReadyState.CLOSED, 0)
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
    assert errors == [type(None), driver.error("Truncated"), errors[2], type(None)]
    assert issubclass(errors[2], driver.adapter.SSEError)


@driven
async def test_on_state_is_told_of_a_failure_and_of_closing(
    driver: Driver, server: RawServer
) -> None:
    actions: list[Action] = []
    server.route("/", status(404))
    error = await failure(driver, server, on_state=actions.append)
    assert len(actions) == 1
    assert isinstance(actions[0], Fail)
    assert actions[0].error is error

    actions.clear()
    server.route("/", sends("1", hold=True))
    async with subscribed(driver, server, on_state=actions.append) as events:
        await events.next()
        await events.close()
        await events.close()
    assert actions == [Open(None), Stop("closed")]


@pytest.mark.parametrize(
    ("kind", "handler"),
    [(Open, sends("1", hold=True)), (Wait, lost), (Stop, gone), (Fail, status(404))],
)
@pytest.mark.parametrize("is_stubborn", [False, True])
@driven
async def test_what_on_state_raises_ends_it(
    driver: Driver, server: RawServer, kind: type[Action], handler: Handler, is_stubborn: bool
) -> None:
    def refuse(action: Action) -> None:
        if isinstance(action, kind):
            raise LookupError(type(action).__name__)
        if is_stubborn and isinstance(action, Stop):
            raise LookupError(kind.__name__)  # as closing goes on

    server.route("/", handler)
    async with driver.client() as client:
        async with subscribed(driver, server, client=client, on_state=refuse) as events:
            with pytest.raises(LookupError, match=kind.__name__):
                await events.next()
            if kind is Open:
                await driver.wait_for_close(server)
            if kind is not Fail:
                assert await events.rest() == []
            assert events.source.state is ReadyState.CLOSED
    assert len(server.requests) == 1


# How a library says that a body was truncated: the beginning of it.
TRUNCATED: Final = {
    "sse_httpxr": "event stream broke off: Stream error: error decoding response body;",
    "sse_httpx": "peer closed connection",
}


@driven
async def test_the_log_says_what_happens_and_no_secrets(
    driver: Driver, server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=driver.package)
    server.route("/a/b", in_turn(sends("1"), lost, status(500)))
    url = f"http://user:pass%40word@127.0.0.1:{server.port}/a/b?token=t0ken#fragm"
    async with subscribed(driver, server, url=url, headers={"X-Key": "s3cret"}) as events:
        await events.rest()
        assert "word" not in repr(events.source)
    url = "http://user:password@127.0.0.1:1/a/b?token=t0ken"
    error = await failure(driver, server, url=url, reconnect=PATIENCE)
    assert isinstance(error, driver.adapter.SSEError)
    records = [record for record in caplog.records if record.name == driver.package]
    text = [record.getMessage() for record in records]
    name = server.url("/a/b")
    again = "; connecting again in 0.00 s"
    assert text[:3] == [f"{name}: open", f"{name}: ended{again}", text[0]]
    truncated = f"{driver.error('Truncated').__name__}: {TRUNCATED[driver.package]}"
    assert text[3].startswith(f"{name}: {truncated}")
    assert text[3].endswith(again)
    refused = "expected status 200, got status 500 with content type 'text/plain'"
    assert text[4:6] == [
        f"{name}: SSEError: {refused}{again}",
        f"{name}: over: status 204: the server wants no further connection",
    ]
    assert text[6].startswith("http://127.0.0.1:1/a/b: ConnectError: ")
    assert text[8].startswith("http://127.0.0.1:1/a/b: failed: SSEError: gave up after 3 attempts")
    assert [record.levelno for record in records] == [20, 20, 20, 30, 30, 20, 30, 30, 20]
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
        headers = {"Content-Type": "text/event-stream"}
        body = b"id: %d\n" % len(sent) + event(str(len(sent)))
        return library.Response(200, headers=headers, content=body)

    async with driver.client(transport=library.MockTransport(handle)) as client:
        assert await received(driver, server, client=client) == ["1", "4"]
    assert sent == [None, "1", "1", "1", "4"]


@driven
async def test_the_wrong_client_is_refused(driver: Driver, server: RawServer) -> None:
    wrong: Any
    for wrong in (driver.other_client(), "client"):
        with pytest.raises(TypeError, match=r"httpx\w?[. ]"):
            async with subscribed(driver, server, client=wrong):
                pass


@driven
async def test_one_reader_at_a_time(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2", hold=True)))

    async def close() -> None:
        await driver.blocking(server.wait_for_request, 2, TIMEOUT)
        await driver.blocking(time.sleep, 0.1)  # for the reader to wait for what comes next
        with pytest.raises(RuntimeError, match="this subscription is already being read"):
            await events.next()
        await events.close()

    async with subscribed(driver, server) as events:
        assert (await events.next()).data == "1"
        async with driver.meanwhile(close):
            assert data_of(await events.rest()) == ["2"]


@driven
async def test_two_at_once_with_one_client(driver: Driver, server: RawServer) -> None:
    server.route("/", in_turn(sends("1"), sends("2"), sends("3"), sends("4")))
    async with driver.client() as client:
        async with (
            subscribed(driver, server, client=client) as one,
            subscribed(driver, server, client=client) as other,
        ):
            turns = [await each.next() for each in (one, other, one, other)]
    assert data_of(turns) == ["1", "2", "3", "4"]
