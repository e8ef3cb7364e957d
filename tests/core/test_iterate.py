"""`iter_events` and `aiter_events`: events as soon as their chunk is there, and clean ends."""

from __future__ import annotations

import pickle
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import pytest

from sse_proto import (
    EventTooLarge,
    IncompleteStream,
    ParsedEvent,
    ServerSentEvent,
    SSEDecoder,
    SSEError,
    aiter_events,
    aiter_parsed,
    by_event,
    failed_event,
    iter_events,
    iter_parsed,
)

if TYPE_CHECKING:
    from sse_proto import BytesLike, Until

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


# The end.

Take: TypeAlias = Callable[..., "Awaitable[tuple[list[Any], BaseException | None]]"]


async def take_sync(chunks: list[bytes], **options: Any) -> tuple[list[Any], BaseException | None]:
    events: list[Any] = []
    try:
        parse = options.pop("parse", None)
        if parse is None:
            events.extend(iter_events(chunks, **options))
        else:
            events.extend(iter_parsed(chunks, parse, **options))
    except Exception as error:
        return events, error
    return events, None


async def take_async(chunks: list[bytes], **options: Any) -> tuple[list[Any], BaseException | None]:
    events: list[Any] = []
    try:
        parse = options.pop("parse", None)
        if parse is None:
            async for event in aiter_events(Source(chunks), **options):
                events.append(event)  # noqa: PERF401  # some must be kept when it raises
        else:
            async for parsed in aiter_parsed(Source(chunks), parse, **options):
                events.append(parsed)  # noqa: PERF401  # some must be kept when it raises
    except Exception as error:
        return events, error
    return events, None


def text(_: str, data: bytes) -> str:
    return data.decode()


def number(_: str, data: bytes) -> int:
    return int(data)


def is_end(event: ServerSentEvent) -> bool:
    return event.data == "[DONE]"


both: Final = pytest.mark.parametrize("take", [take_sync, take_async])
parsed_or_not: Final = pytest.mark.parametrize(
    "options", [{}, {"parse": text}], ids=["text", "parsed"]
)

CHAT: Final = b"id: 1\ndata: a\n\n: ping\n\nid: 2\ndata: b\n\nid: 3\ndata: [DONE]\n\ndata: more\n\n"
END: Final = CHAT.index(b"data: more")


@both
@parsed_or_not
@pytest.mark.parametrize("until", ["[DONE]", ["[DONE]"], ("x", "[DONE]"), {"[DONE]", "END"}])
async def test_until_ends_the_stream_unseen(
    take: Take, options: dict[str, Any], until: Until, decoder: SSEDecoder
) -> None:
    events, error = await take([CHAT], until=until, decoder=decoder, **options)
    assert ([event.data for event in events], error) == (["a", "b"], None)
    assert decoder.last_event_id == "3"
    assert refuses(decoder)


@both
@parsed_or_not
async def test_is_last_hands_its_event_out(
    take: Take, options: dict[str, Any], decoder: SSEDecoder
) -> None:
    def is_last(event: ServerSentEvent) -> bool:
        return event.data == "b"

    events, error = await take([CHAT], is_last=is_last, decoder=decoder, **options)
    assert ([event.data for event in events], error) == (["a", "b"], None)
    assert refuses(decoder)


@both
@parsed_or_not
@pytest.mark.parametrize(
    "end",
    [{"until": "[DONE]"}, {"is_last": is_end}],
    ids=["until", "is_last"],
)
async def test_cut_at_every_byte(take: Take, options: dict[str, Any], end: dict[str, Any]) -> None:
    for cut in range(END + 1):
        events, error = await take([CHAT[:cut]], **end, **options)
        whole = [event for event in iter_events([CHAT[:cut]]) if event.data != "[DONE]"]
        assert [event.data for event in events if event.data != "[DONE]"] == [
            event.data for event in whole
        ]
        if cut >= END:
            assert error is None
            continue
        assert type(error) is IncompleteStream
        decoder = SSEDecoder()
        decoder.feed(CHAT[:cut])
        assert (error.unfinished, error.last_event_id) == (
            decoder.unfinished,
            decoder.last_event_id,
        )


def test_the_message_of_an_incomplete_stream() -> None:
    assert str(IncompleteStream(0, None)) == "the stream ended before its last event"
    error = pickle.loads(pickle.dumps(IncompleteStream(7, "1")))
    assert str(error) == "the stream ended inside an event, after 7 bytes of it"
    assert (error.unfinished, error.last_event_id) == (7, "1")
    assert isinstance(error, SSEError)


@both
@parsed_or_not
async def test_an_empty_collection_never_ends_it(take: Take, options: dict[str, Any]) -> None:
    events, error = await take([CHAT], until=[], **options)
    assert [event.data for event in events] == ["a", "b", "[DONE]", "more"]
    assert type(error) is IncompleteStream


@both
@parsed_or_not
async def test_until_is_exact(take: Take, options: dict[str, Any]) -> None:
    stream = b"data:  [DONE]\n\ndata: [DONE] \n\ndata: [DONE]\ndata\n\ndata: \xc3\xbc\n\n"
    events, error = await take([stream], until="ü", **options)
    assert [event.data for event in events] == [" [DONE]", "[DONE] ", "[DONE]\n"]
    assert error is None


@both
@parsed_or_not
async def test_what_follows_the_end_does_not_matter(
    take: Take, options: dict[str, Any], decoder_class: type[SSEDecoder]
) -> None:
    decoder = decoder_class(max_event_size=20)
    chunks = [b"data: a\n\ndata: [DONE]\n\ndata: too large, by far, for this one\n\n", b"never"]
    events, error = await take(chunks, until="[DONE]", decoder=decoder, **options)
    assert ([event.data for event in events], error) == (["a"], None)


@both
async def test_what_follows_the_end_is_not_parsed(take: Take) -> None:
    def parse(_: str, data: bytes) -> int:
        parsed.append(data)
        return int(data)

    def is_one(event: ParsedEvent[int]) -> bool:
        return event.data == 1

    parsed: list[bytes] = []
    chunks = [b"data: 1\n\ndata: [DONE]\n\ndata: no number\n\ndata: [DONE]\n\n"]
    events, error = await take(chunks, parse=parse, until="[DONE]")
    assert ([event.data for event in events], error) == ([1], None)
    assert parsed == [b"1"]
    events, error = await take(chunks, parse=parse, is_last=is_one)
    assert ([event.data for event in events], error) == ([1], None)


@both
async def test_event_too_large_goes_before_incomplete(
    take: Take, decoder_class: type[SSEDecoder]
) -> None:
    decoder = decoder_class(max_event_size=10)
    chunks = [b"data: a\n\ndata: too large"]
    events, error = await take(chunks, until="[DONE]", decoder=decoder)
    assert [event.data for event in events] == ["a"]
    assert type(error) is EventTooLarge


@both
@parsed_or_not
async def test_what_is_last_raises_goes_through(take: Take, options: dict[str, Any]) -> None:
    def is_last(event: ServerSentEvent) -> bool:
        return 1 / (event.data != "b") > 1

    events, error = await take([CHAT], is_last=is_last, **options)
    assert [event.data for event in events] == ["a"]
    assert type(error) is ZeroDivisionError


# Parsed.


@both
async def test_parsed_events_of_all_chunks(take: Take) -> None:
    def pair(event: str, data: bytes) -> tuple[str, bytes]:
        return event, data

    events, error = await take(CHUNKS, parse=pair)
    assert error is None
    assert events == [("message", ("message", data), "1", None) for data in (b"a", b"b", b"c")]
    assert [type(event) for event in events] == [ParsedEvent] * 3


@both
async def test_what_a_parser_raises_comes_after_the_events_before(
    take: Take, decoder: SSEDecoder
) -> None:
    chunks = [b"data: 1\n\nid: 7\ndata: x\n\ndata: 2\n\n", b"data: 3\n\n"]
    events, error = await take(chunks, parse=number, decoder=decoder)
    assert [event.data for event in events] == [1]
    assert type(error) is ValueError
    assert failed_event(error) == ("message", b"x", "7", None)
    # The rest of the chunk is still there.
    assert decoder.feed_parsed(b"data: 4\n\n", number) == [
        ("message", 2, "7", None),
        ("message", 4, "7", None),
    ]


def test_parsed_events_by_type() -> None:
    parse = by_event[int | str]({"n": int, "s": bytes.decode}, default="skip")
    chunks = [b"event: n\ndata: 1\n\nevent: s\ndata: a\n\ndata: ?\n\n"]
    assert [event.data for event in iter_parsed(chunks, parse)] == [1, "a"]
