"""JSON from a response: the data of events, or the lines of NDJSON, each object when it arrives."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

import httpxr
import pytest

import sse_httpxr
import sse_proto
from sse_httpxr import EventSource, SSEError, aiter_json, iter_json
from tests.support.harness import AsyncMode, Mode, SyncMode, event, sends

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.servers import Exchange, RawServer

TIMEOUT: Final = 10.0
EVENT_STREAM: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"


def response(
    mode: Mode, chunks: Iterable[bytes], content_type: str = EVENT_STREAM, status: int = 200
) -> httpxr.Response:
    """Return a response whose body comes in these chunks."""
    content: Any = asynchronous(chunks) if mode.is_async else iter(chunks)
    return httpxr.Response(status, headers={"Content-Type": content_type}, content=content)


async def asynchronous(chunks: Iterable[bytes]) -> Any:
    for chunk in chunks:
        yield chunk


def both_ways(mode: Mode, chunks: list[bytes]) -> list[Any]:
    """Return the objects of an event stream: from the function, which is what the method gives."""
    from_function = list(mode.json(response(mode, chunks)))
    source = EventSource(response(mode, chunks))
    if isinstance(mode, AsyncMode):

        async def collect() -> list[Any]:
            return [item async for item in source.aiter_json()]

        from_method = mode.run(collect())
    else:
        from_method = list(source.iter_json())
    assert from_method == from_function
    return from_function


class Next:
    """Steps through an iterator, with what goes wrong among its items."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def bad(self) -> json.JSONDecodeError:
        with pytest.raises(json.JSONDecodeError) as raised:
            next(self._items)
        return raised.value

    def rest(self) -> list[Any]:
        return list(self._items)


# -- event streams --------------------------------------------------------------------------------


def test_each_event_is_an_object(mode: Mode) -> None:
    body = b'data: {"a": 1}\n\nevent: x\nid: 5\ndata: [1, 2]\n\n'
    body += b'data:"text"\n\ndata: null\n\ndata: 0\n\n'
    assert both_ways(mode, [body]) == [{"a": 1}, [1, 2], "text", None, 0]


def test_lines_of_data_are_joined(mode: Mode) -> None:
    assert both_ways(mode, [b'data: {"a":\ndata:  1,\r\ndata: "b": "c"}\n\n']) == [
        {"a": 1, "b": "c"}
    ]


def test_comments_and_events_without_data_are_passed_over(mode: Mode) -> None:
    body = b": hello\n\nevent: ping\n\ndata:\n\ndata\ndata\n\ndata:   \n\nid: 7\n\n"
    body += b"data: 1\n\n: bye\n\n"
    assert both_ways(mode, [body]) == [1]


def test_chunks_may_be_cut_anywhere(mode: Mode) -> None:
    body = 'data: {"a": "ü"}\r\n\r\ndata: {"b":\rdata: 2}\r\r'.encode()
    for size in (1, 2, 3, 7):
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        assert both_ways(mode, chunks) == [{"a": "ü"}, {"b": 2}]


@pytest.mark.parametrize("done", [b"[DONE]", b" [DONE]", b"[DONE] "])
def test_done_is_the_end(mode: Mode, done: bytes) -> None:
    body = b"data: 1\n\ndata: " + done + b"\n\ndata: 2\n\ndata: not json\n\n"
    assert both_ways(mode, [body]) == [1]


def test_after_done_nothing_comes(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "[DONE]", "2", hold=True))
    with mode.open_json(mode.client(), "GET", server.url()) as objects:
        started = time.perf_counter()
        assert list(objects) == [1]
        assert list(objects) == []
        objects.restart()
        assert list(objects) == []
        assert time.perf_counter() - started < 1  # though the server keeps it open


@pytest.mark.parametrize("text", ['"[DONE]"', '["DONE"]', '{"done": "[DONE]"}'])
def test_done_as_json_is_none(mode: Mode, text: str) -> None:
    assert both_ways(mode, [event(text), event("1")]) == [json.loads(text), 1]


def test_bad_json_raises_after_the_objects_before_it(mode: Mode) -> None:
    chunks = [event("1") + event("2") + event("{oops}") + event("3") + event("") + event("4,")]
    items = mode.json(response(mode, [*chunks, event("5")]))
    assert [next(items), next(items)] == [1, 2]
    steps = Next(items)
    error = steps.bad()
    assert error.doc == "{oops}"
    assert error.pos == 1
    assert "{oops}" in error.msg
    assert str(error).startswith("Expecting property name")
    assert next(items) == 3
    assert steps.bad().doc == "4,"
    assert steps.rest() == [5]


def test_of_long_bad_json_the_message_shows_the_start(mode: Mode) -> None:
    text = '["' + "x" * 100_000
    (error,) = [Next(mode.json(response(mode, [event(text)]))).bad()]
    assert len(str(error)) < 400
    assert repr(text)[:100] in str(error)
    assert error.doc == text
    assert error.__cause__ is None


def test_bad_json_of_a_method_raises_too(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "{oops", "2"))
    with mode.open_json(mode.client(), "GET", server.url()) as objects:
        assert next(objects) == 1
        with pytest.raises(json.JSONDecodeError, match="oops"):
            next(objects)
        assert list(objects) == [2]


def test_objects_are_live(mode: Mode, server: RawServer) -> None:
    sent: list[int] = []

    @server.route("/")
    def stream(exchange: Exchange) -> None:
        exchange.start()
        for number in range(3):
            sent.append(number)
            exchange.send(event(f'{{"n": {number}}}'))
            exchange.stalled(0.1)
        exchange.wait_closed(TIMEOUT)

    with mode.open_json(mode.client(), "GET", server.url()) as objects:
        for number in range(3):
            assert next(objects) == {"n": number}
            assert sent[-1] == number  # before the next one is sent


def test_the_response_of_a_source_may_be_taken(mode: Mode, server: RawServer) -> None:
    server.route("/", sends('{"n": 1}', "[DONE]", hold=True))
    with mode.open(mode.client(), "GET", server.url()) as stream:
        assert list(mode.json(stream.response)) == [{"n": 1}]
    server.wait_for_close(TIMEOUT)


def test_an_event_that_is_too_large_is_refused(mode: Mode) -> None:
    chunks = [event("1"), b"data: " + b"x" * 17_000_000]
    items = mode.json(response(mode, chunks))
    assert next(items) == 1
    with pytest.raises(SSEError, match=r"event stream refused: .*limit is 16777216 bytes"):
        next(items)


def test_a_method_has_the_limits_of_its_decoder(mode: Mode, server: RawServer) -> None:
    server.route("/", sends("1", "x" * 200, hold=True))
    decoder = sse_proto.SSEDecoder(max_event_size=100)
    with mode.open_json(mode.client(), "GET", server.url(), decoder=decoder) as objects:
        assert next(objects) == 1
        with pytest.raises(SSEError, match="limit is 100 bytes"):
            next(objects)
        server.wait_for_close(TIMEOUT)


# -- NDJSON ---------------------------------------------------------------------------------------


def ndjson(mode: Mode, *chunks: bytes, content_type: str = NDJSON) -> list[Any]:
    return list(mode.json(response(mode, chunks, content_type)))


def test_each_line_is_an_object(mode: Mode) -> None:
    assert ndjson(mode, b'{"a": 1}\n[2]\n"three"\n') == [{"a": 1}, [2], "three"]


def test_lines_may_end_in_crlf(mode: Mode) -> None:
    assert ndjson(mode, b'{"a": 1}\r\n2\r', b"\n3\r\n") == [{"a": 1}, 2, 3]


def test_blank_lines_are_passed_over(mode: Mode) -> None:
    assert ndjson(mode, b"\n\n1\n\r\n  \n2\n\n") == [1, 2]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n \n"])
def test_the_last_line_needs_no_end(mode: Mode, end: bytes) -> None:
    assert ndjson(mode, b"1\n", b"{}" + end) == [1, {}]


def test_lines_may_be_cut_anywhere(mode: Mode) -> None:
    body = '{"a": "ü€🎉"}\r\n{"b": [1, 2]}\n\n3'.encode()
    for size in range(1, len(body) + 1):
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        assert ndjson(mode, *chunks) == [{"a": "ü€🎉"}, {"b": [1, 2]}, 3], size


def test_other_line_ends_are_text(mode: Mode) -> None:
    line = '{"a": "b\u2028c\u0085d"}'
    assert ndjson(mode, line.encode() + b"\n2\n") == [{"a": "b\u2028c\u0085d"}, 2]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/json-lines",
        "application/json",
        "application/stream+json; charset=utf-8",
        "APPLICATION/X-NDJSON",
        "text/plain;charset=utf-8",
    ],
)
def test_content_types_of_ndjson(mode: Mode, content_type: str) -> None:
    assert ndjson(mode, b"1\n2\n", content_type=content_type) == [1, 2]


def test_done_is_the_end_of_ndjson(mode: Mode) -> None:
    assert ndjson(mode, b"1\n[DONE]\n2\nnot json\n") == [1]


def test_an_empty_ndjson_body_has_no_objects(mode: Mode) -> None:
    assert ndjson(mode) == []
    assert ndjson(mode, b"") == []
    assert ndjson(mode, b"\n") == []


def test_a_bad_line_raises_and_reading_may_go_on(mode: Mode) -> None:
    items = mode.json(response(mode, [b"1\n{oops}\n2\ndata: 3\n4\n{"], NDJSON))
    steps = Next(items)
    assert next(items) == 1
    assert steps.bad().doc == "{oops}"
    assert next(items) == 2
    assert "'data: 3'" in str(steps.bad())
    assert next(items) == 4
    assert steps.bad().doc == "{"
    assert steps.rest() == []


def test_invalid_utf_8_is_replaced(mode: Mode) -> None:
    assert ndjson(mode, b'{"a": "\xff"}\n') == [{"a": "\ufffd"}]


def test_a_line_that_is_too_long_is_refused(mode: Mode) -> None:
    line = b'"' + b"x" * 1_000_000
    items = mode.json(response(mode, [b"1\n", *[line] * 17], NDJSON))
    assert next(items) == 1
    with pytest.raises(SSEError, match=r"event stream refused: .*limit is 16777216 bytes"):
        next(items)


def test_a_line_within_the_limit_is_read(mode: Mode) -> None:
    assert ndjson(mode, *([b"[" + b" " * 999_999] + [b" " * 1_000_000] * 14), b"1]\n2") == [[1], 2]


def test_lines_are_live(mode: Mode, server: RawServer) -> None:
    sent: list[int] = []

    @server.route("/")
    def stream(exchange: Exchange) -> None:
        exchange.start(content_type=NDJSON)
        for number in range(3):
            exchange.send(b'{"n": ')
            sent.append(number)
            exchange.send(b"%d}\n" % number)
            exchange.stalled(0.1)
        exchange.wait_closed(TIMEOUT)

    with mode.open(mode.client(), "GET", server.url()) as stream_:
        items = mode.json(stream_.response)
        for number in range(3):
            assert next(items) == {"n": number}
            assert sent[-1] == number  # before the next one is sent
    server.wait_for_close(TIMEOUT)


def test_ndjson_of_an_application(mode: Mode, app_url: str) -> None:
    with mode.open(mode.client(), "GET", f"{app_url}/ndjson?n=3") as stream:
        assert list(mode.json(stream.response)) == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_ndjson_of_a_response_that_a_client_opened(app_url: str) -> None:
    async with httpxr.AsyncClient() as client:
        opened = await client.request("GET", f"{app_url}/ndjson?n=3", stream=True)
        assert [item async for item in aiter_json(opened)] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_json_of_a_response_that_a_sync_client_opened(app_url: str) -> None:
    with httpxr.Client() as client, client.stream("GET", f"{app_url}/ndjson?n=2") as opened:
        assert list(iter_json(opened)) == [{"n": 0}, {"n": 1}]


def test_ndjson_may_have_any_status_of_success(mode: Mode) -> None:
    assert list(mode.json(response(mode, [b"1\n"], NDJSON, status=201))) == [1]


# -- neither --------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["text/html", "application/octet-stream", "image/x-json"])
def test_other_content_types_are_refused(mode: Mode, content_type: str) -> None:
    items = mode.json(response(mode, [b"<p>"], content_type))
    with pytest.raises(SSEError) as raised:
        next(items)
    assert raised.value.content_type == content_type
    assert raised.value.body == "<p>"
    assert str(raised.value) == (
        f"expected an event stream or NDJSON, got status 200 with content type {content_type!r};"
        " the body begins '<p>'"
    )
    with pytest.raises(SSEError) as again:
        next(items)
    assert again.value is raised.value


@pytest.mark.parametrize("content_type", [EVENT_STREAM, NDJSON])
@pytest.mark.parametrize("status", [302, 404, 500])
def test_other_statuses_are_refused(mode: Mode, status: int, content_type: str) -> None:
    items = mode.json(response(mode, [b'{"error": 1}'], content_type, status))
    with pytest.raises(SSEError, match="expected a success status") as raised:
        next(items)
    assert raised.value.status_code == status
    assert raised.value.body == '{"error": 1}'


def test_a_refused_response_is_closed(mode: Mode, server: RawServer) -> None:
    @server.route("/")
    def answer(exchange: Exchange) -> None:
        exchange.start(500, content_type="application/json")
        exchange.send(b"x" * 2000)
        exchange.wait_closed(TIMEOUT)

    with mode.open(mode.client(), "GET", server.url()) as stream:
        with pytest.raises(SSEError):
            next(mode.json(stream.response))
        server.wait_for_close(TIMEOUT)


def test_a_method_takes_event_streams_only(mode: Mode, app_url: str) -> None:
    with mode.open_json(mode.client(), "GET", f"{app_url}/ndjson") as objects:
        with pytest.raises(SSEError, match="expected content type 'text/event-stream'"):
            next(objects)


# -- iterators ------------------------------------------------------------------------------------


def test_iterators_are_their_own(sync_mode: SyncMode) -> None:
    items = iter_json(response(sync_mode, [event("1") + event("2")]))
    assert iter(items) is items
    assert [next(items), next(items)] == [1, 2]
    items.close()
    assert isinstance(items, type(EventSource(response(sync_mode, [])).iter_json()))


async def test_asynchronous_iterators_are_their_own(server: RawServer) -> None:
    server.route("/", sends("1", "2", hold=True))
    async with httpxr.AsyncClient() as client:
        items = aiter_json(await client.request("GET", server.url(), stream=True))
        assert aiter(items) is items
        assert [await anext(items), await anext(items)] == [1, 2]
        await items.aclose()
        assert await asyncio.to_thread(server.wait_for_close, TIMEOUT)
        with pytest.raises(httpxr.StreamClosed):
            await anext(items)


def test_the_wrong_kind_of_iteration_says_so() -> None:
    built = httpxr.Response(200, headers={"Content-Type": NDJSON}, content=asynchronous([b"1\n"]))
    with pytest.raises(TypeError, match="is asynchronous: use `async for`"):
        next(iter_json(built))


def test_it_is_there_twice() -> None:
    assert sse_httpxr.iter_json is iter_json
    assert sse_httpxr.aiter_json is aiter_json
