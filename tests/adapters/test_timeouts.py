"""Timeouts: until the headers, and of silence between bytes; never of a stream as a whole."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpxr
import pytest

from sse_httpxr import aconnect_sse
from tests.support.harness import async_transport, data_of, event, sends

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.harness import AsyncMode, Mode
    from tests.support.servers import Exchange, ProxyServer, RawServer

# Seconds of a timeout that is to go off.
SHORT: Final = 0.1
# Seconds of a timeout that is not, though the server takes most of it, again and again.
PATIENT: Final = 0.25
# Seconds that a busy machine may add.
SLACK: Final = 0.5
# Seconds within which the server sees a connection close.
PROMPT: Final = 0.5


@contextmanager
def takes(seconds: float) -> Generator[None]:
    """Assert that a block needs this time, and not much more."""
    begun = time.perf_counter()
    yield
    assert seconds - 0.01 <= time.perf_counter() - begun < seconds + SLACK


def hang(exchange: Exchange) -> None:
    """Answer nothing."""
    exchange.wait_closed(5)


class Gaps:
    """Handler that sends its events with a gap after each, in seconds."""

    def __init__(self, *gaps: float) -> None:
        self._gaps: Final = gaps

    def __call__(self, exchange: Exchange) -> None:
        exchange.start()
        for number, gap in enumerate(self._gaps):
            exchange.send(event(str(number)))
            if exchange.stalled(gap):
                return


# Each means a silence of SHORT seconds, at most.
SETTINGS: Final = [
    pytest.param(SHORT, id="number"),
    pytest.param(httpxr.Timeout(SHORT), id="Timeout"),
    pytest.param(httpxr.Timeout(None, read=SHORT), id="read"),
    pytest.param((None, SHORT, None, None), id="tuple"),
]
# The async client forgets a number, and what it does not know it cannot say.
OF_CLIENTS: Final = [setting for setting in SETTINGS if setting.id in ("Timeout", "read")]


# -- no headers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", SETTINGS)
def test_headers_that_never_come_time_out(mode: Mode, server: RawServer, timeout: object) -> None:
    server.route("/", hang)
    with takes(SHORT), pytest.raises(httpxr.ReadTimeout, match=rf"headers within {SHORT} s") as e:
        mode.collect(mode.client(), "GET", server.url(), timeout=timeout)
    raised = time.perf_counter()
    assert str(e.value.request.url) == server.url()
    assert server.wait_for_close(5) - raised < PROMPT


@pytest.mark.parametrize("timeout", OF_CLIENTS)
def test_timeout_of_the_client_holds_for_headers(
    mode: Mode, server: RawServer, timeout: object
) -> None:
    server.route("/", hang)
    with takes(SHORT), pytest.raises(httpxr.ReadTimeout):
        mode.collect(mode.client(timeout=timeout), "GET", server.url())
    raised = time.perf_counter()
    assert server.wait_for_close(5) - raised < PROMPT


def test_headers_have_the_greater_of_connect_and_read(mode: Mode, server: RawServer) -> None:
    server.route("/", hang)
    timeout = httpxr.Timeout(None, connect=2 * SHORT, read=SHORT)
    with takes(2 * SHORT), pytest.raises(httpxr.ConnectTimeout):
        mode.collect(mode.client(), "GET", server.url(), timeout=timeout)


def test_headers_may_take_long_without_timeout(mode: Mode, server: RawServer) -> None:
    def slow(exchange: Exchange) -> None:
        exchange.stalled(2 * SHORT)
        sends("1")(exchange)

    server.route("/", slow)
    client = mode.client(timeout=httpxr.Timeout(SHORT))
    with takes(2 * SHORT):
        assert data_of(mode.collect(client, "GET", server.url(), timeout=None)) == ["1"]


def test_each_request_of_a_chain_has_its_own_time(mode: Mode, server: RawServer) -> None:
    def slow_redirect(exchange: Exchange) -> None:
        exchange.stalled(0.6 * PATIENT)
        exchange.respond(302, [("Location", "/new")])

    def slow(exchange: Exchange) -> None:
        exchange.stalled(0.6 * PATIENT)
        sends("1")(exchange)

    server.route("/old", slow_redirect)
    server.route("/new", slow)
    assert data_of(mode.collect(mode.client(), "GET", server.url("/old"), timeout=PATIENT)) == ["1"]


def test_headers_that_never_come_after_a_redirect_time_out(mode: Mode, server: RawServer) -> None:
    server.route("/old", lambda e: e.respond(302, [("Location", "/new")]))
    server.route("/new", hang)
    with takes(SHORT), pytest.raises(httpxr.ReadTimeout) as caught:
        mode.collect(mode.client(), "GET", server.url("/old"), timeout=SHORT)
    raised = time.perf_counter()
    assert str(caught.value.request.url) == server.url("/new")
    assert server.wait_for_close(5) - raised < PROMPT


def test_headers_that_never_come_through_a_proxy_time_out(
    mode: Mode, server: RawServer, proxy: ProxyServer
) -> None:
    server.route("/", hang)
    transport = async_transport(proxy=proxy.url())
    with takes(SHORT), pytest.raises(httpxr.ReadTimeout):
        mode.collect(mode.client(), "GET", server.url(), timeout=SHORT, transport=transport)
    raised = time.perf_counter()
    assert proxy.wait_for_close(5) - raised < PROMPT
    assert server.wait_for_close(5) - raised < PROMPT


def test_headers_that_never_come_free_their_permit(
    async_mode: AsyncMode, server: RawServer
) -> None:
    server.route("/hang", hang)
    server.route("/", sends("1"))
    client = async_mode.client(limits=httpxr.Limits(max_connections=1))
    with pytest.raises(httpxr.ReadTimeout):
        async_mode.collect(client, "GET", server.url("/hang"), timeout=SHORT)
    with takes(0):
        assert data_of(async_mode.collect(client, "GET", server.url())) == ["1"]


# -- silence --------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", SETTINGS)
def test_silence_times_out(mode: Mode, server: RawServer, timeout: object) -> None:
    server.route("/", sends("1", hold=True))
    with mode.open(mode.client(), "GET", server.url(), timeout=timeout) as stream:
        assert next(stream).data == "1"
        with takes(SHORT), pytest.raises(httpxr.ReadTimeout, match=rf"for {SHORT} s") as caught:
            next(stream)
    assert str(caught.value.request.url) == server.url()


@pytest.mark.parametrize("timeout", OF_CLIENTS)
def test_timeout_of_the_client_holds_for_silence(
    mode: Mode, server: RawServer, timeout: object
) -> None:
    server.route("/", sends("1", hold=True))
    with mode.open(mode.client(timeout=timeout), "GET", server.url()) as stream:
        assert next(stream).data == "1"
        with takes(SHORT), pytest.raises(httpxr.ReadTimeout):
            next(stream)


def test_timeout_of_the_call_goes_before_that_of_the_client(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    client = mode.client(timeout=httpxr.Timeout(30))
    with mode.open(client, "GET", server.url(), timeout=SHORT) as stream:
        assert next(stream).data == "1"
        with takes(SHORT), pytest.raises(httpxr.ReadTimeout):
            next(stream)


def test_silence_before_the_first_event_times_out(mode: Mode, server: RawServer) -> None:
    server.route("/", sends(hold=True))
    with mode.open(mode.client(), "GET", server.url(), timeout=SHORT) as stream:
        with takes(SHORT), pytest.raises(httpxr.ReadTimeout):
            next(stream)


def test_comments_break_the_silence(mode: Mode, server: RawServer) -> None:
    def heartbeat(exchange: Exchange) -> None:
        exchange.start()
        for _ in range(4):
            exchange.send(b": ping\n\n")
            exchange.stalled(0.6 * PATIENT)
        exchange.send(event("1"))

    server.route("/", heartbeat)
    with takes(4 * 0.6 * PATIENT):
        events = mode.collect(mode.client(), "GET", server.url(), timeout=PATIENT)
    assert data_of(events) == ["1"]


@pytest.mark.parametrize("of_client", [True, False], ids=["client", "call"])
def test_time_is_that_of_each_gap(mode: Mode, server: RawServer, of_client: bool) -> None:
    server.route("/", Gaps(*[0.6 * PATIENT] * 5))
    timeout = httpxr.Timeout(PATIENT)
    client = mode.client(timeout=timeout) if of_client else mode.client()
    call: dict[str, Any] = {} if of_client else {"timeout": timeout}
    with takes(5 * 0.6 * PATIENT):
        events = mode.collect(client, "GET", server.url(), **call)
    assert data_of(events) == ["0", "1", "2", "3", "4"]


def test_time_the_caller_takes_does_not_count(mode: Mode, server: RawServer) -> None:
    server.route("/", Gaps(0.8 * PATIENT, 0.8 * PATIENT, 0.0))
    with mode.open(mode.client(), "GET", server.url(), timeout=PATIENT) as stream:
        for number in range(3):
            time.sleep(0.4 * PATIENT)
            assert next(stream).data == str(number)


def test_time_between_opening_and_reading_does_not_count(mode: Mode, server: RawServer) -> None:
    server.route("/", Gaps(0.0))
    with mode.open(mode.client(), "GET", server.url(), timeout=SHORT) as stream:
        time.sleep(1.5 * SHORT)
        assert data_of(stream) == ["0"]


async def test_time_an_async_caller_takes_does_not_count(server: RawServer) -> None:
    server.route("/", Gaps(0.8 * PATIENT, 0.8 * PATIENT, 0.0))
    received: list[str] = []
    async with httpxr.AsyncClient() as client:
        async with aconnect_sse(client, "GET", server.url(), timeout=PATIENT) as source:
            async for item in source:
                received.append(item.data)  # live, with a pause after each
                await asyncio.sleep(0.4 * PATIENT)
    assert received == ["0", "1", "2"]


def test_stream_may_be_silent_for_long_without_timeout(mode: Mode, server: RawServer) -> None:
    server.route("/", Gaps(2 * SHORT, 0.0))
    client = mode.client(timeout=httpxr.Timeout(SHORT))
    with takes(2 * SHORT):
        assert data_of(mode.collect(client, "GET", server.url(), timeout=None)) == ["0", "1"]


def test_stream_may_be_silent_if_only_connecting_is_timed(mode: Mode, server: RawServer) -> None:
    server.route("/", Gaps(2 * SHORT, 0.0))
    timeout = httpxr.Timeout(None, connect=SHORT, write=SHORT, pool=SHORT)
    with takes(2 * SHORT):
        events = mode.collect(mode.client(), "GET", server.url(), timeout=timeout)
    assert data_of(events) == ["0", "1"]


@pytest.mark.parametrize("of_client", [True, False], ids=["client", "call"])
def test_no_deadline_for_the_whole_stream(mode: Mode, server: RawServer, of_client: bool) -> None:
    # httpxr's own meaning of this timeout would end the stream after half a second.
    server.route("/", Gaps(*[0.1] * 8))
    timeout = httpxr.Timeout(0.5)
    client = mode.client(timeout=timeout) if of_client else mode.client()
    call: dict[str, Any] = {} if of_client else {"timeout": timeout}
    with takes(0.8):
        events = mode.collect(client, "GET", server.url(), **call)
    assert data_of(events) == [str(number) for number in range(8)]


# -- afterwards -----------------------------------------------------------------------------------


def test_reading_goes_on_after_a_timeout(mode: Mode, server: RawServer) -> None:
    server.route("/", Gaps(0.0, 2.5 * SHORT, 0.0, 1.5 * SHORT, 0.0))
    received: list[str] = []
    timeouts = 0
    with mode.open(mode.client(), "GET", server.url(), timeout=SHORT) as stream:
        while True:
            try:
                received.append(next(stream).data)
            except httpxr.ReadTimeout:
                timeouts += 1
            except StopIteration:
                break
    assert received == ["0", "1", "2", "3", "4"]
    assert timeouts == 3


def test_reading_goes_on_with_another_iterator(mode: Mode, server: RawServer) -> None:
    server.route("/", Gaps(1.5 * SHORT, 0.0))
    with mode.open(mode.client(), "GET", server.url(), timeout=SHORT) as stream:
        assert next(stream).data == "0"
        with pytest.raises(httpxr.ReadTimeout):
            next(stream)
        stream.restart()
        assert data_of(stream) == ["1"]


def test_timeout_within_an_event_loses_none_of_it(mode: Mode, server: RawServer) -> None:
    def halting(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b"id: 7\ndata: o")
        exchange.stalled(1.5 * SHORT)
        exchange.send(b"ne\n\n")

    server.route("/", halting)
    with mode.open(mode.client(), "GET", server.url(), timeout=SHORT) as stream:
        with pytest.raises(httpxr.ReadTimeout):
            next(stream)
        assert [(item.id, item.data) for item in stream] == [("7", "one")]


def test_nothing_is_lost_over_many_timeouts(mode: Mode, server: RawServer) -> None:
    # Reads that time out just when a chunk arrives: each cancelled one would lose its chunk.
    server.route("/", Gaps(*[0.004, 0.005, 0.005, 0.007] * 25))
    received: list[str] = []
    timeouts = 0
    with mode.open(mode.client(), "GET", server.url(), timeout=httpxr.Timeout(5, read=0.005)) as s:
        while len(received) < 100:
            try:
                received.append(next(s).data)
            except httpxr.ReadTimeout:
                timeouts += 1
    assert received == [str(number) for number in range(100)]
    assert timeouts > 0


def test_leaving_after_a_timeout_closes_the_connection(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    with pytest.raises(httpxr.ReadTimeout):
        mode.collect(mode.client(), "GET", server.url(), timeout=SHORT)
    left = time.perf_counter()
    assert server.wait_for_close(5) - left < PROMPT


def test_timeout_kept_in_a_variable_keeps_no_connection(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", hold=True))
    kept: list[BaseException] = []
    with mode.open(mode.client(), "GET", server.url(), timeout=SHORT) as stream:
        try:
            stream.take(2)
        except httpxr.ReadTimeout as error:
            kept.append(error)
    left = time.perf_counter()
    assert server.wait_for_close(5) - left < PROMPT
    assert len(kept) == 1


# -- what a timeout may be ------------------------------------------------------------------------


def test_timeout_of_zero_does_not_wait(mode: Mode, server: RawServer) -> None:
    server.route("/", hang)
    with takes(0), pytest.raises(httpxr.TimeoutException):
        mode.collect(mode.client(), "GET", server.url(), timeout=0)


@pytest.mark.parametrize("timeout", ["5", object()], ids=["str", "object"])
def test_timeout_of_a_wrong_type_is_refused(mode: Mode, server: RawServer, timeout: object) -> None:
    # httpxr takes it for no timeout at all.
    server.route("/", sends("1"))
    with pytest.raises(TypeError, match="timeout"):
        mode.collect(mode.client(), "GET", server.url(), timeout=timeout)
    assert server.connections == 0


def test_connection_that_is_never_made_times_out(mode: Mode) -> None:
    # A listener with a full backlog: the kernel drops what would be one connection more.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address: tuple[str, int] = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            with takes(SHORT), pytest.raises(httpxr.ConnectTimeout):
                mode.collect(
                    mode.client(),
                    "GET",
                    f"http://127.0.0.1:{address[1]}/",
                    timeout=httpxr.Timeout(None, connect=SHORT),
                )
        finally:
            for filler in fillers:
                filler.close()
