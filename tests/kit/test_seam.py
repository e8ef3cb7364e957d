"""The seam as a third party finds it: what has a default, and who is told what is wrong."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import Final, TypedDict

import pytest

import sse_adapter
from sse_adapter import (
    Body,
    CodingError,
    Connector,
    EventSource,
    SSEError,
    Subscription,
    SyncWaiter,
)
from sse_proto import NextRequest, ReconnectPolicy, RetriesExhausted


class Pieces(Body[list[bytes]]):
    """A body that is a list of chunks."""

    is_async = False
    is_closed = False

    @property
    def status_code(self) -> int:
        return 200

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [("Content-Type", "text/event-stream")]

    async def read(self, seconds: float | None) -> bytes | None:
        del seconds
        return self.response.pop(0) if self.response else None

    async def close(self) -> None:
        self.is_closed = True


class PiecesSource(EventSource[list[bytes]], sync_body=Pieces):
    pass


class Nowhere(Connector[list[bytes]]):
    """Cannot connect."""

    async def open(self, headers: list[tuple[bytes, bytes]]) -> Pieces:
        raise ConnectionRefusedError(f"with {len(headers)} headers")


def test_four_members_make_a_body() -> None:
    assert Body.__abstractmethods__ == {"status_code", "headers", "read", "close"}
    assert Connector.__abstractmethods__ == {"open"}


def test_a_source_takes_a_response_or_its_body() -> None:
    chunks = [b"data: a\n", b"\n"]
    for source in (PiecesSource(chunks.copy()), EventSource[list[bytes]](Pieces(chunks.copy()))):
        assert [event.data for event in source] == ["a"]
        assert source.response == []


def test_a_derived_source_keeps_its_bodies() -> None:
    class Own(PiecesSource):
        pass

    assert [event.data for event in Own([b"data: a\n\n"])] == ["a"]


@pytest.mark.parametrize(
    "source", [PiecesSource([]), EventSource[list[bytes]](Pieces([]))], ids=str
)
def test_a_loop_of_the_other_kind_is_refused(source: EventSource[list[bytes]]) -> None:
    with pytest.raises(TypeError, match="this stream is synchronous: use `for`"):
        aiter(source).__anext__().send(None)
    assert list(source) == []


def test_without_a_body_no_response_can_be_read() -> None:
    with pytest.raises(TypeError, match="this stream is asynchronous: use `async for`"):
        next(iter(EventSource([b""])))


def test_a_closed_source_says_so() -> None:
    body = Pieces([b"data: a\n\n"])
    source = EventSource[list[bytes]](body)
    source.close()
    assert body.is_closed
    with pytest.raises(SSEError, match="the stream was closed before its end"):
        next(iter(source))


def test_a_malformed_coding_is_the_kits_error_unless_an_adapter_has_its_own() -> None:
    class Packed(Pieces):
        @property
        def content_encoding(self) -> str:
            return "gzip"

    body = Packed([b"not gzip"])
    with pytest.raises(CodingError):
        next(iter(EventSource[list[bytes]](body)))
    assert body.is_closed


def test_a_sync_body_that_suspends_is_found_out() -> None:
    class Suspending(Pieces):
        async def read(self, seconds: float | None) -> bytes | None:
            await asyncio.sleep(0)
            return await super().read(seconds)

    with pytest.raises(AssertionError, match="a sync body suspended"):
        next(iter(EventSource[list[bytes]](Suspending([]))))


def test_without_a_response_the_error_is_the_kits() -> None:
    call = sse_adapter.SubscribeOptions(reconnect=ReconnectPolicy(max_attempts=1))
    subscription = Subscription(Nowhere(), SyncWaiter(), call, url="nowhere")
    with pytest.raises(SSEError, match="with 2 headers") as raised:
        next(subscription)
    assert type(raised.value) is SSEError
    assert not isinstance(raised.value, RetriesExhausted)
    assert isinstance(raised.value.__cause__, ConnectionRefusedError)
    assert raised.value.status_code is None


class Numbered(Connector[list[bytes]]):
    """Connects, each time to a stream of one event more."""

    connections = 0

    async def open(self, headers: list[tuple[bytes, bytes]]) -> Pieces:
        del headers
        self.connections += 1
        return Pieces([b"data: %d\n\n" % self.connections] * self.connections)


AT_ONCE: Final = ReconnectPolicy(initial_delay=0.0, max_backoff=0.0)


def test_a_connector_need_not_have_another_request() -> None:
    call = sse_adapter.SubscribeOptions(
        reconnect=AT_ONCE, next_request=lambda _: NextRequest("GET", "elsewhere")
    )
    subscription = Subscription(Numbered(), SyncWaiter(), call, url="somewhere")
    assert next(subscription).data == "1"
    with pytest.raises(TypeError, match=r"^Numbered has no next_request$"):
        next(subscription)


def test_a_restart_while_another_thread_reads_ends_no_wait_but_its_own() -> None:
    class Slow(SyncWaiter):
        def interrupt(self) -> None:
            reader = Thread(target=lambda: read.append(next(subscription).data))
            reader.start()
            reader.join()
            super().interrupt()

    read: list[str] = []
    call = sse_adapter.SubscribeOptions(reconnect=AT_ONCE)
    subscription = Subscription(Numbered(), Slow(), call, url="somewhere")
    read += [next(subscription).data, next(subscription).data]
    subscription.restart()
    read += [next(subscription).data for _ in range(8)]
    assert read == ["1", "2", "2", "3", "3", "3", "4", "4", "4", "4", "5"]


def test_split_options() -> None:
    own, request = sse_adapter.split_options(
        "f", {"decoder": 1, "headers": 2}, sse_adapter.ConnectOptions, HeadersOnly
    )
    assert dict(own) == {"decoder": 1}
    assert dict(request) == {"headers": 2}
    with pytest.raises(TypeError, match=r"^f\(\) got an unexpected keyword argument 'other'$"):
        sse_adapter.split_options("f", {"other": 1}, sse_adapter.ConnectOptions, HeadersOnly)


class HeadersOnly(TypedDict, total=False):
    headers: int
