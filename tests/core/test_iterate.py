"""`iter_events` and `aiter_events`: events as soon as their chunk is there, and clean ends."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final, cast

import pytest

from sse_proto import EventTooLarge, ServerSentEvent, aiter_events, iter_events

if TYPE_CHECKING:
    from sse_proto import BytesLike, SSEDecoder

CHUNKS: Final = [b"id: 1\nda", b"ta: a\n\ndata: b\n\n", b"", b"data: c\n\nretry: 5\ndata", b": d\n"]
EVENTS: Final = [("message", data, "1", None) for data in "abc"]


class Source:
    """Chunks that note how far they were read, and whether they were closed."""

    def __init__(self, chunks: list[bytes], error: Exception | None = None) -> None:
        self.chunks = chunks
        self.error = error
        self.taken = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self.chunks:
                self.taken += 1
                yield chunk
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for chunk in self.chunks:
                self.taken += 1
                yield chunk
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


def refuses(decoder: SSEDecoder) -> bool:
    """Whether the decoder was closed."""
    try:
        decoder.feed(b"\n")
    except ValueError as error:
        return "after close" in str(error)
    return False


def test_events_of_all_chunks() -> None:
    assert list(iter_events(CHUNKS)) == EVENTS
    assert list(iter_events([])) == []
    assert list(iter_events([b"data: x\n"])) == []
    assert [type(event) for event in iter_events(CHUNKS)] == [ServerSentEvent] * 3


async def test_async_events_of_all_chunks() -> None:
    assert [event async for event in aiter_events(Source(CHUNKS))] == EVENTS
    assert [event async for event in aiter_events(Source([]))] == []
    assert [event async for event in aiter_events(Source([b"data: x\n"]))] == []


def test_any_buffer_is_a_chunk() -> None:
    chunks: list[BytesLike] = [bytearray(b"data"), memoryview(b": x\n"), array("B", b"\n")]
    assert list(iter_events(chunks)) == [ServerSentEvent(data="x")]


def test_an_event_is_there_as_soon_as_its_chunk_is() -> None:
    source = Source(CHUNKS)
    events = iter_events(source)
    assert source.taken == 0
    assert next(events).data == "a"
    assert source.taken == 2
    assert next(events).data == "b"
    assert source.taken == 2
    assert next(events).data == "c"
    assert source.taken == 4
    assert next(events, None) is None
    assert source.closed


async def test_an_async_event_is_there_as_soon_as_its_chunk_is() -> None:
    source = Source(CHUNKS)
    events = aiter_events(source)
    assert source.taken == 0
    assert (await events.__anext__()).data == "a"
    assert source.taken == 2
    assert (await events.__anext__()).data == "b"
    assert source.taken == 2
    assert (await events.__anext__()).data == "c"
    assert source.taken == 4
    with pytest.raises(StopAsyncIteration):
        await events.__anext__()
    assert source.closed


def test_the_callers_decoder(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(last_event_id="0", dispatch_empty=True)
    events = iter_events([b"event: e\n\nid: 7\nretry: 5\n", b"\n"], decoder=decoder)
    assert next(events) == ("e", "", "0", None)
    assert decoder.last_event_id == "0"
    assert decoder.reconnection_time == 5
    assert next(events) == ("message", "", "7", 5)
    assert (decoder.last_event_id, decoder.reconnection_time) == ("7", 5)
    assert not refuses(decoder)
    assert next(events, None) is None
    assert (decoder.last_event_id, decoder.reconnection_time) == ("7", 5)
    assert refuses(decoder)


async def test_the_callers_decoder_async(decoder_class: type[SSEDecoder]) -> None:
    decoder = decoder_class(last_event_id="0", dispatch_empty=True)
    events = aiter_events(Source([b"event: e\n\nid: 7\nretry: 5\n", b"\n"]), decoder=decoder)
    assert await events.__anext__() == ("e", "", "0", None)
    assert await events.__anext__() == ("message", "", "7", 5)
    assert not refuses(decoder)
    assert [event async for event in events] == []
    assert (decoder.last_event_id, decoder.reconnection_time) == ("7", 5)
    assert refuses(decoder)


def test_a_decoder_that_has_begun(decoder: SSEDecoder) -> None:
    assert decoder.feed(b"data: a\nda") == []
    assert list(iter_events([b"ta: b\n\n"], decoder=decoder)) == [ServerSentEvent(data="a\nb")]


def test_each_iteration_has_its_own_decoder() -> None:
    assert list(iter_events([b"id: 1\n\ndata: x"])) == []
    assert list(iter_events([b"\n\ndata: y\n\n"])) == [ServerSentEvent(data="y")]


def test_leaving_early_closes_the_chunks(decoder: SSEDecoder) -> None:
    source = Source(CHUNKS)
    events = iter_events(iter(source), decoder=decoder)
    for event in events:
        assert event.data == "a"
        break
    events.close()
    assert list(events) == []
    assert source.taken == 2
    del events
    assert source.closed
    assert decoder.last_event_id == "1"
    assert not refuses(decoder)  # the stream has not ended: the caller may feed the rest


async def test_leaving_early_async(decoder: SSEDecoder) -> None:
    source = Source(CHUNKS)
    chunks = source.__aiter__()
    events = aiter_events(chunks, decoder=decoder)
    async for event in events:
        assert event.data == "a"
        break
    await events.aclose()
    assert [event async for event in events] == []
    await cast("AsyncGeneratorLike", chunks).aclose()
    assert source.taken == 2
    assert source.closed
    assert decoder.last_event_id == "1"
    assert not refuses(decoder)


class AsyncGeneratorLike:
    async def aclose(self) -> None: ...


def test_event_too_large_comes_after_the_events_before_it(
    decoder_class: type[SSEDecoder],
) -> None:
    events: list[ServerSentEvent] = []
    chunks = [b"data: a\n\ndata: b\n\ndata: too large\n\n", b"data: c\n\n"]
    with pytest.raises(EventTooLarge, match="limit is 10 bytes"):
        events.extend(iter_events(chunks, decoder=decoder_class(max_event_size=10)))
    assert [event.data for event in events] == ["a", "b"]


def test_event_too_large_in_the_last_chunk(decoder_class: type[SSEDecoder]) -> None:
    source = Source([b"data: a\n\ndata: too large\n\n"])
    events = iter_events(source, decoder=decoder_class(max_event_size=10))
    assert next(events).data == "a"
    with pytest.raises(EventTooLarge, match="limit is 10 bytes"):
        next(events)
    assert source.closed
    assert next(events, None) is None


async def test_event_too_large_async(decoder_class: type[SSEDecoder]) -> None:
    for more in ([], [b"data: c\n\n"]):
        source = Source([b"data: a\n\ndata: too large\n\n", *more])
        events = aiter_events(source, decoder=decoder_class(max_event_size=10))
        assert (await events.__anext__()).data == "a"
        with pytest.raises(EventTooLarge, match="limit is 10 bytes"):
            await events.__anext__()
        with pytest.raises(StopAsyncIteration):
            await events.__anext__()


def test_event_too_large_by_default() -> None:
    with pytest.raises(EventTooLarge, match="limit is 16777216 bytes"):
        list(iter_events([b"data: " + b"x" * 2**24]))


def test_what_the_chunks_raise_goes_through(decoder: SSEDecoder) -> None:
    events = iter_events(Source([b"data: a\n\ndata: b"], OSError("gone")), decoder=decoder)
    assert next(events).data == "a"
    with pytest.raises(OSError, match="gone"):
        next(events)
    assert not refuses(decoder)


async def test_what_async_chunks_raise_goes_through(decoder: SSEDecoder) -> None:
    events = aiter_events(Source([b"data: a\n\ndata: b"], OSError("gone")), decoder=decoder)
    assert (await events.__anext__()).data == "a"
    with pytest.raises(OSError, match="gone"):
        await events.__anext__()
    assert not refuses(decoder)


def test_chunks_of_text_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="pass the stream's bytes, undecoded"):
        list(iter_events(cast("list[bytes]", ["data: x\n\n"])))
    with pytest.raises(TypeError, match=r"not int$"):
        list(iter_events(cast("list[bytes]", b"data: x\n\n")))  # one body, not its chunks


def test_a_closed_decoder_is_a_value_error(decoder: SSEDecoder) -> None:
    decoder.close()
    assert list(iter_events([], decoder=decoder)) == []
    with pytest.raises(ValueError, match="after close"):
        list(iter_events([b"data: x\n\n"], decoder=decoder))
