"""The server that an oracle talks to: it answers the cases, and takes what the oracle made of them.

Written on sockets, since it has to send single bytes, break off in the middle, and see a header's
bytes as they come.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

from .cases import Case, Connect, End, Response, types_in

__all__ = ["PROBE", "Answer", "Result", "Server"]

_FOLDER: Final = Path(__file__).parent
_FILES: Final = {
    "/": ("page.html", "text/html"),
    "/client.mjs": ("client.mjs", "text/javascript"),
}

# Seconds between two chunks: enough for them to be read one by one.
_PAUSE: Final = 0.005

PROBE: Final = Response(tuple(b"%c" % byte for byte in b"0123456789" * 4))
"""Single bytes, of which the oracle tells in how many pieces they arrived."""


class Kept(TypedDict):
    """What a parser tells that has no connection, for its user to keep."""

    last_event_id: str
    retry: float | None


class Result(TypedDict):
    """What an oracle made of a case."""

    number: int
    events: list[tuple[str, str, str]]
    end: End
    kept: Kept | None


class Answer(TypedDict):
    """All that an oracle has to say."""

    pieces: int | None
    results: list[Result]


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Cases by their numbers, for one oracle.

    `connects` has the requests seen for each case, `answer` what the oracle posted in the end.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases: Final = cases
        self.connects: Final[list[list[Connect]]] = [[] for _ in cases]
        self.answer: Final[asyncio.Future[Answer]] = asyncio.get_running_loop().create_future()
        self._ended: Final[list[float]] = [0.0 for _ in cases]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and hang up."""
        try:
            request = await _read(reader)
            await self._respond(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a browser opens connections in advance, and leaves a stream when it likes
        finally:
            writer.close()

    async def _respond(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        if request.path in _FILES:
            name, content_type = _FILES[request.path]
            await _send(writer, Response(((_FOLDER / name).read_bytes(),), 200, content_type))
        elif request.path == "/cases":
            body = json.dumps(self._described()).encode("ascii")
            await _send(writer, Response((body,), 200, "application/json"))
        elif request.path == "/probe":
            await _send(writer, PROBE)
        elif request.path == "/answer":
            # First, since the oracle may hang up, or be ended, while it is thanked.
            if not self.answer.done():
                self.answer.set_result(json.loads(request.body))
            await _send(writer, Response((b"thanks",), 200, "text/plain"))
        elif request.path.startswith("/stream/"):
            await self._respond_case(request, writer)
        else:
            await _send(writer, Response(status=404))

    async def _respond_case(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        number_text, _, path = request.path.removeprefix("/stream/").partition("/")
        number = int(number_text)
        now = asyncio.get_running_loop().time()
        connects, responses = self.connects[number], self.cases[number].responses
        after = (now - self._ended[number]) * 1000 if connects else None
        # As the standard says, "encoded as UTF-8"; anything else shows as what it is not.
        raw = request.headers.get("last-event-id", "").encode("latin-1")
        connects.append(Connect(path, raw.decode("utf-8", "backslashreplace"), after))
        response = responses[min(len(connects), len(responses)) - 1]
        try:
            await _send(writer, response, f"/stream/{number}/moved")
        finally:
            self._ended[number] = asyncio.get_running_loop().time()

    def _described(self) -> list[dict[str, object]]:
        return [
            {
                "number": number,
                "types": types_in(case),
                "chunks": [chunk.decode("latin-1") for chunk in case.responses[0].chunks],
            }
            for number, case in enumerate(self.cases)
        ]


async def _read(reader: asyncio.StreamReader) -> _Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    method, path, _ = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return _Request(method, path, headers, body)


async def _send(writer: asyncio.StreamWriter, response: Response, moved: str = "") -> None:
    if response.status == 0:
        return
    head = f"HTTP/1.1 {response.status} .\r\nConnection: close\r\nCache-Control: no-store\r\n"
    if response.status // 100 == 3:
        head += f"Location: {moved}\r\n"
    if response.status != 200:
        head += "" if response.status == 204 else "Content-Length: 0\r\n"
        writer.write(f"{head}\r\n".encode("ascii"))
        await writer.drain()
        return
    if response.content_type:
        head += f"Content-Type: {response.content_type}\r\n"
    writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode("ascii"))
    for chunk in response.chunks:
        if chunk:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
            await asyncio.sleep(_PAUSE)
    if not response.cut:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
