"""Branches that the public way reaches by a race only, or with another httpxr."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import httpxr
import pytest

from sse_httpxr._live import borrowed, certificates, closing, compat, process, reads, request
from sse_httpxr._live.chunks import AsyncChunks, SyncChunks
from sse_httpxr._live.loop import PrivateLoop
from sse_httpxr._live.timer import IdleTimer


class NeverEnding:
    """A source whose reads are pending until they are cancelled."""

    def __init__(self) -> None:
        self.reads: list[asyncio.Future[bytes]] = []

    def __anext__(self) -> asyncio.Future[bytes]:
        read: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.reads.append(read)
        return read


@pytest.fixture
def live_source(monkeypatch: pytest.MonkeyPatch) -> NeverEnding:
    """A source that is taken for httpxr's own."""

    def is_never_ending(stream: object) -> bool:
        return isinstance(stream, NeverEnding)

    monkeypatch.setattr(reads, "is_httpxr_source", is_never_ending)
    return NeverEnding()


def sync_chunks(source: NeverEnding) -> SyncChunks:
    return SyncChunks(source, request=None, loop=PrivateLoop(), idle_timeout=0.01)


def async_chunks(source: NeverEnding, idle_timeout: float | None = None) -> AsyncChunks:
    return AsyncChunks(source, request=None, idle_timeout=idle_timeout)


def test_a_closed_sync_body_says_so(live_source: NeverEnding) -> None:
    chunks = sync_chunks(live_source)
    chunks.close()
    with pytest.raises(httpxr.StreamClosed, match="closed before its end"):
        next(chunks)
    assert [read.cancelled() for read in live_source.reads] == [True]


async def test_a_closed_async_body_says_so(live_source: NeverEnding) -> None:
    chunks = async_chunks(live_source)
    await chunks.aclose()
    with pytest.raises(httpxr.StreamClosed, match="closed before its end"):
        await anext(chunks)
    assert [read.cancelled() for read in live_source.reads] == [True]


def test_a_read_that_is_cancelled_behind_our_back_is_a_closed_stream(
    live_source: NeverEnding,
) -> None:
    chunks = sync_chunks(live_source)
    with pytest.raises(httpxr.ReadTimeout):
        next(chunks)
    live_source.reads[0].cancel()
    with pytest.raises(httpxr.StreamClosed, match="closed before its end"):
        next(chunks)


def test_what_a_child_inherits_is_neither_freed_nor_closed(live_source: NeverEnding) -> None:
    chunks = sync_chunks(live_source)
    with pytest.raises(httpxr.ReadTimeout):
        next(chunks)
    assert chunks.reads.forget_after_fork() == (live_source, live_source.reads[0])
    chunks.close()
    assert not live_source.reads[0].cancelled()


async def test_what_a_child_inherits_async_is_neither_freed_nor_closed(
    live_source: NeverEnding,
) -> None:
    chunks = async_chunks(live_source, 0.01)
    with pytest.raises(httpxr.ReadTimeout):
        await anext(chunks)
    assert chunks.reads.forget_after_fork() == (live_source, live_source.reads[0])
    await chunks.aclose()
    assert not live_source.reads[0].cancelled()


async def test_the_timer_of_a_stream_that_is_gone_does_nothing(live_source: NeverEnding) -> None:
    chunks = async_chunks(live_source)
    go_off = cast("Any", IdleTimer)._go_off
    go_off(lambda: None)  # as a weak reference to it is, then
    go_off(lambda: cast("Any", chunks)._timer)  # nobody waits
    await chunks.aclose()


async def test_at_the_end_a_stream_is_closed_on_its_loop(live_source: NeverEnding) -> None:
    chunks = async_chunks(live_source)
    chunks.reads.close_at_exit()  # never read, so it belongs to no loop
    reader = asyncio.create_task(cast("Any", anext(chunks)))
    await asyncio.sleep(0)
    chunks.reads.close_at_exit()
    await asyncio.sleep(0.01)
    assert live_source.reads[0].cancelled()
    assert not reader.done()  # it would be for a thread that is about to end

    failed: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    failed.set_exception(RuntimeError)
    failed.add_done_callback(cast("Any", chunks.reads.wait)._wake_up)  # as nobody does
    await asyncio.sleep(0.01)
    assert not reader.done()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


def test_at_the_end_a_closed_loop_is_left_alone(live_source: NeverEnding) -> None:
    async def read() -> AsyncChunks:
        chunks = async_chunks(live_source, 0.01)
        with pytest.raises(httpxr.ReadTimeout):
            await anext(chunks)
        return chunks

    chunks = asyncio.run(read())
    chunks.reads.close_at_exit()
    chunks.reads.forget_after_fork()


async def test_a_wait_for_nothing_does_not_fail() -> None:
    wait = borrowed.BorrowedFuture()
    wait.forget_and_cancel()
    assert not wait.fail(ValueError())
    wait.future = asyncio.get_running_loop().create_future()
    wait.forget_and_cancel()  # before anybody awaits it
    assert wait.future.cancelled()


class Response:
    """A response of an httpxr that lacks, or refuses, what the one of 0.30.24 has."""

    stream = "the stream"


def test_a_response_without_a_way_to_take_its_stream() -> None:
    assert cast("object", compat.take_source(cast("httpxr.Response", Response()))) == "the stream"


def test_a_response_that_takes_no_content() -> None:
    compat.set_content(cast("httpxr.Response", Response()), b"")  # it is left as it is


def test_a_pool_that_needs_a_missing_package_is_a_proxys() -> None:
    class Transport:
        @property
        def _pool(self) -> object:
            raise ImportError("httpcore")

    assert compat.has_proxy(Transport())
    assert compat.has_proxy(object())  # it cannot be seen: the careful answer


def test_closing_a_response_that_was_read_to_its_end() -> None:
    class Consumed:
        is_closed = False

        @property
        def stream(self) -> object:
            raise httpxr.StreamConsumed("consumed")

        def close(self) -> None:
            self.is_closed = True

    response = Consumed()
    closing.close_response(cast("httpxr.Response", response))
    assert response.is_closed


@pytest.mark.parametrize("content", [bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_like_content_is_sent_as_it_is(content: object) -> None:
    assert request.whole_content(content) == b"abc"


def test_a_child_of_a_child_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_is_forked", True)
    cast("Any", process)._at_exit()
    with pytest.raises(RuntimeError, match=r"fork\(\)"):
        process.check_fork()


def test_a_refused_certificate_is_that_of_an_opening_alone() -> None:
    log = logging.getLogger("rustls_platform_verifier::verification::others")
    with certificates.Watch() as first:
        log.error("something else")
        assert first.reason == ""
        log.error("failed to verify TLS certificate: expired")
        assert first.reason == "expired"
        with certificates.Watch() as second:
            log.error("failed to verify TLS certificate: unknown")
        assert (first.reason, second.reason) == ("", "")  # it may be the other one's
    with certificates.Watch() as third:
        log.error("failed to verify TLS certificate: again")
    assert third.reason == "again"
    log.error("failed to verify TLS certificate: nobody's")
    assert third.reason == "again"
