"""Cassettes as files, and as transports of httpx and httpx2."""

from __future__ import annotations

import io
import json
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx
import pytest

import sse_testing.httpx
from sse_httpx import ReconnectPolicy, aconnect_sse, asubscribe, connect_sse, subscribe
from sse_tail.cli import main as sse_tail
from sse_testing import Cassette, CassetteError, CassetteWriter, EventServer, raw
from sse_testing.cassette import REDACTED, Chunk, Recording

HEADER: Final = '{"format": "sse-recording", "version": 1}'
OPEN: Final = (
    '{"connection": 1, "time": 0, "request": {"method": "GET", "url": "/", "headers": []},'
    ' "response": {"status": 200, "headers": [["a", "b"]]}}'
)
STAMP: Final = '{"connection": 1, "time": 0'
AT_ONCE: Final = ReconnectPolicy(initial_delay=0.0, max_backoff=0.0)
TYPE: Final = ("content-type", "text/event-stream")


class Ticks:
    """A clock that goes on by an eighth of a second each time it is read."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.125
        return self.now


def written() -> str:
    file = io.StringIO()
    writer = CassetteWriter(file, clock=Ticks())
    writer.connection(
        method="GET",
        url="https://user:secret@example.com/v1?alt=sse&key=secret&my_token=secret#x",
        request_headers=[("Authorization", "Bearer secret"), ("Accept", "text/event-stream")],
        status=200,
        headers=[TYPE, ("Set-Cookie", "secret")],
    )
    writer.chunk(b"data: \xe2\x82\xac\xe2\x80\xa8\n\n")
    writer.chunk(b"data: \xff")
    writer.end(ConnectionResetError("by peer"))
    writer.connection(method="POST", url="/", request_headers=[], status=204, headers=[])
    writer.end()
    writer.connection(method="GET", url="/", request_headers=[], status=200, headers=[])
    return file.getvalue()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(written(), "utf-8")
    first, second, third = Cassette.read(path).recordings
    assert first.chunks == (
        Chunk(0.25, b"data: \xe2\x82\xac\xe2\x80\xa8\n\n"),
        Chunk(0.375, b"data: \xff"),
    )
    assert (first.at, first.method, first.status) == (0.125, "GET", 200)
    assert first.error == "ConnectionResetError: by peer"
    assert first.headers == (TYPE, ("Set-Cookie", REDACTED))
    assert first.replayed_headers == [TYPE]
    assert second.error is None
    assert third.error == "the recording was broken off"


def test_secrets_are_not_written() -> None:
    text = written()
    assert "secret" not in text
    assert "user" not in text
    assert "https://REDACTED@example.com/v1?alt=sse&key=REDACTED&my_token=REDACTED#x" in text
    assert '["Authorization", "REDACTED"], ["Accept", "text/event-stream"]' in text


def test_lines_are_as_they_are_documented() -> None:
    header, opened, text, base64, broken, *_, ended, _ = map(json.loads, written().splitlines())
    assert header == {"format": "sse-recording", "version": 1}
    assert opened["response"] == {"status": 200, "headers": [[*TYPE], ["Set-Cookie", REDACTED]]}
    assert text == {"connection": 1, "time": 0.25, "text": "data: €\u2028\n\n"}
    assert base64 == {"connection": 1, "time": 0.375, "base64": "ZGF0YTog/w=="}
    assert broken == {"connection": 1, "time": 0.5, "end": "ConnectionResetError: by peer"}
    assert ended == {"connection": 2, "time": 0.75, "end": None}


def test_the_names_of_secrets_can_be_chosen() -> None:
    file = io.StringIO()
    writer = CassetteWriter(file, secret_headers={"x-mine"})
    pairs = [("X-Mine", "1"), ("Cookie", "2")]
    writer.connection(method="GET", url="/", request_headers=pairs, status=200, headers=[])
    assert f'["X-Mine", "{REDACTED}"], ["Cookie", "2"]' in file.getvalue()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: not a cassette"),
        ("data: x", "line 1: "),
        ("[]", "line 1: not a cassette"),
        ('{"format": "har"}', "line 1: not a cassette"),
        ('{"format": "sse-recording", "version": 2}', "line 1: version 2, not 1"),
        (f"{HEADER}\n{STAMP}}}", "line 2: .*base64"),
        (f'{HEADER}\n\n{STAMP}, "base64": "?"}}', "line 3: "),
        (f'{HEADER}\n{{"connection": 1, "text": "x"}}', "line 2: .*time"),
        (f'{HEADER}\n{{"time": 1, "text": "x"}}', "line 2: .*connection"),
        (f'{HEADER}\n{{"connection": 0, "time": 0, "text": ""}}', "line 2: "),
        (f'{HEADER}\n{OPEN}\n{{"connection": 1, "time": -1, "text": ""}}', "line 3: .*after"),
        (f'{HEADER}\n{STAMP}, "text": 5}}', "line 2: "),
        (f'{HEADER}\n{STAMP}, "end": null}}\n{STAMP}, "text": ""}}', "line 3: .*has ended"),
        (f'{HEADER}\n{STAMP}, "request": {{}}, "response": {{}}}}', "line 2: .*method"),
        (f"{HEADER}\n[1]", "line 2: not a cassette"),
    ],
)
def test_what_is_no_cassette(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(text)
    with pytest.raises(CassetteError, match=f"^{message}"):
        Cassette.read(path)


def test_sse_tail_reads_what_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.jsonl"
    with path.open("w", encoding="utf-8") as file:
        writer = CassetteWriter(file)
        for data in (b"data: a\n\n", b"data: b\n\n"):
            writer.connection(method="GET", url="/", request_headers=[], status=200, headers=[])
            writer.chunk(data)
            writer.end()
    assert sse_tail(["--replay", str(path), "--speed", "inf", "--data"]) == 0
    assert capsys.readouterr().out.split() == ["a", "b"]


def test_what_sse_tail_writes_is_read(tmp_path: Path, sse_server: EventServer) -> None:
    path = tmp_path / "c.jsonl"
    sse_server.script("/", raw(b"data: \xe2\x82", b"\xac\n\n"))
    assert sse_tail(["--record", str(path), "--max-events", "1", sse_server.url("/?key=x")]) == 0
    (recording,) = Cassette.read(path).recordings
    assert b"".join(chunk.data for chunk in recording.chunks) == b"data: \xe2\x82\xac\n\n"
    assert recording.url.startswith(sse_server.url())
    assert "key=x" not in path.read_text("utf-8")
    assert recording.status == 200
    assert TYPE in {(name.lower(), value) for name, value in recording.headers}


# -- transports ------------------------------------------------------------------------------------

LIBRARIES: Final = ["httpx"] + (["httpx2"] if sys.version_info >= (3, 11) else [])


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(request.param)


def transport_of(library: ModuleType, *arguments: Any, **options: Any) -> Any:
    module = import_module(f"sse_testing.{library.__name__}")
    return module.ReplayTransport(*arguments, **options)


def recording(*chunks: Chunk, error: str | None = None) -> Recording:
    return Recording(0.0, "GET", "http://x/", (), 200, (TYPE,), chunks, error)


CASSETTE: Final = Cassette(
    (
        recording(Chunk(0.2, b"id: 1\ndata: a\n\n"), error="ReadError: gone"),
        recording(Chunk(1.0, b"data: b\n\n")),
    )
)


def test_sync(library: Any) -> None:
    transport = transport_of(library, CASSETTE)
    with library.Client(transport=transport) as client:
        with subscribe(client, "GET", "http://x/", reconnect=AT_ONCE) as stream:
            assert [event.data for event in stream] == ["a", "b"]
    asked = [request.headers.get("last-event-id") for request in transport.requests]
    assert asked == [None, "1", "1"]


async def test_async(library: Any) -> None:
    transport = transport_of(library, CASSETTE)
    async with library.AsyncClient(transport=transport) as client:
        async with asubscribe(client, "GET", "http://x/", reconnect=AT_ONCE) as stream:
            assert [event.data async for event in stream] == ["a", "b"]
    assert len(transport.requests) == 3


def test_a_break_is_a_read_error(library: Any) -> None:
    with library.Client(transport=transport_of(library, CASSETTE)) as client:
        with connect_sse(client, "GET", "http://x/") as source:
            received = source.iter_sse()
            assert next(received).data == "a"
            with pytest.raises(library.ReadError, match="as recorded: ReadError: gone"):
                next(received)


async def test_times(library: Any) -> None:
    began = time.monotonic()
    with library.Client(transport=transport_of(library, CASSETTE, speed=2.0)) as client:
        with connect_sse(client, "GET", "http://x/") as source:
            assert next(source.iter_sse()).data == "a"
    assert time.monotonic() - began >= 0.1
    began = time.monotonic()
    async with library.AsyncClient(transport=transport_of(library, CASSETTE, speed=2.0)) as client:
        async with aconnect_sse(client, "GET", "http://x/") as source:
            assert (await anext(source.aiter_sse())).data == "a"
    assert time.monotonic() - began >= 0.1


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(written(), "utf-8")
    with httpx.Client(transport=sse_testing.httpx.ReplayTransport(path)) as client:
        with client.stream("GET", "http://x/") as response:
            assert next(response.iter_bytes()).startswith(b"data: ")
    with pytest.raises(ValueError, match="speed must be above 0, not 0"):
        sse_testing.httpx.ReplayTransport(path, speed=0)
