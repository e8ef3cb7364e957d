"""A server of event streams that breaks them in every way that a client has to survive.

Each path ``/<name>`` is a stream of its own. Its event IDs count up, and it goes on after the
request's ``Last-Event-ID``; so a client that loses nothing receives each event once, in order. What
befalls a stream is a plan made from the server's seed and the stream's name: every fault of
`FAULTS`, in a random order. After its last fault a stream ends with status 204.

```python
with FaultServer(seed=1) as server:
    ...  # a client reads server.url("one") to its end
    server.check("one", events)
    print(server.injected)  # how often which fault happened
```
One thread runs it all, on asyncio, and what it keeps of a connection goes with it; so it can be in
a process whose memory is watched.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, final

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from sse_proto import ServerSentEvent

__all__ = ["FAULTS", "FaultServer"]

_HOST: Final = "127.0.0.1"
# Below the ports that systems give to clients. One of these could take the server's own while it is
# closed for a restart, or even connect to itself.
_PORTS: Final = range(15_000, 30_000)
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
# Seconds that a restart takes: connections are refused.
_DOWN: Final = 0.05
# Seconds that a reset waits, not to overtake what was sent before.
_SETTLE: Final = 0.01
# Seconds that a silent connection is kept open for, and the longest that a test may hang.
_SILENCE: Final = 30.0
_LARGE: Final = 40_000


class _Expected(NamedTuple):
    event: str
    data: str
    id: str


def _expected(name: str, number: int) -> _Expected:
    """Return the event of a number. It may depend on nothing else."""
    kind = ("message", "größe", "price")[number % 3]
    data = f"{name} {number} ü€😀"
    if number % 5 == 0:
        data += "\n\nthe third line 中文"
    if number % 50 == 7:
        data += "€" * _LARGE
    # Half of the streams have IDs that are no ASCII, for the header.
    return _Expected(kind, data, f"№{number}" if len(name) % 2 else str(number))


def _number_of(last_event_id: str | None) -> int:
    return int((last_event_id or "0").removeprefix("№"))


def _block(name: str, number: int) -> bytes:
    """Return the lines of an event, with comments and ``retry`` here and there."""
    event, data, event_id = _expected(name, number)
    eol = ("\n", "\r\n", "\r")[number // 4 % 3]
    lines = [f"id: {event_id}"]
    lines += [f"data: {line}" for line in data.split("\n")]
    if event != "message":
        lines.insert(number % len(lines), f"event: {event}")
    if number % 6 == 0:
        lines[:0] = [": größer", "retry: 1"]
    return "".join(line + eol for line in (*lines, "")).encode()


@final
class _Stream:
    """What has been made of one stream, and what is still to happen to it."""

    def __init__(self, name: str, faults: Sequence[str], random: random.Random) -> None:
        self.name: Final = name
        self.random: Final = random
        self.plan: Final = deque(faults)
        self.last = 0
        """The number of its newest event, sent or not."""


@final
class _Answer:
    """One request, and the means to answer it well or badly."""

    def __init__(
        self, server: FaultServer, stream: _Stream, number: int, writer: asyncio.StreamWriter
    ) -> None:
        self.stream: Final = stream
        self.random: Final = stream.random
        self._server: Final = server
        self._number = number  # of the last event that was sent
        self._writer: Final = writer
        self._is_chunked = False
        self.is_over = False
        """Whether the connection cannot be used again."""

    def inject(self) -> None:
        """Count the stream's next fault as done."""
        self._server.injected[self.stream.plan.popleft()] += 1

    def block(self) -> bytes:
        """Return the next event's."""
        self._number += 1
        self.stream.last = max(self.stream.last, self._number)
        return _block(self.stream.name, self._number)

    def some_blocks(self, least: int = 0) -> bytes:
        return b"".join(self.block() for _ in range(self.random.randint(least, 3)))

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def start(self, framing: str | None = None, *headers: str) -> None:
        """Send the head of an event stream.

        Args:
            framing: ``"chunked"``, ``"close"``, or a number as ``Content-Length``.
            headers: More of them, complete lines.
        """
        framing = framing or self.random.choice(["chunked", "chunked", "close"])
        lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream; charset=utf-8", *headers]
        self._is_chunked = framing == "chunked"
        if self._is_chunked:
            lines.append("Transfer-Encoding: chunked")
        else:
            lines.append("Connection: close")
            self.is_over = True
            if framing != "close":
                lines.append(f"Content-Length: {framing}")
        await self.raw("\r\n".join((*lines, "", "")).encode())

    async def send(self, data: bytes) -> None:
        """Send a part of the body; at times in two pieces, cut anywhere."""
        at = self.random.randrange(len(data)) if data and self.random.random() < 0.5 else 0
        for piece in (data[:at], data[at:]):
            if piece and self._is_chunked:
                await self.raw(b"%x\r\n%b\r\n" % (len(piece), piece))
            elif piece:
                await self.raw(piece)

    async def end(self) -> None:
        """End the body properly."""
        if self._is_chunked:
            await self.raw(b"0\r\n\r\n")

    async def reset(self) -> None:
        await asyncio.sleep(self.random.choice([0.0, _SETTLE]))
        _reset(self._writer)
        self.is_over = True

    async def break_off(self) -> None:
        """End the connection, in one of the ways that there are."""
        way = self.random.randrange(3)
        if way == 0:
            await self.reset()
        elif way == 1:
            await self.end()
        self.is_over = True  # FIN

    async def respond(self, status: str, *headers: str, body: bytes = b"") -> None:
        """Send a complete response that is not an event stream."""
        lines = [f"HTTP/1.1 {status}", *headers]
        if not status.startswith("204"):
            lines.append(f"Content-Length: {len(body)}")
        await self.raw("\r\n".join((*lines, "", "")).encode() + body)

    async def restart(self) -> None:
        self._server.restart()

    async def hang(self) -> None:
        """Keep the connection, and send nothing."""
        await asyncio.sleep(_SILENCE)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    except OSError:
        pass  # closed already
    writer.transport.abort()


# -- the faults: each sends what it likes, says `inject` once, and lets the connection end --------

_Fault: TypeAlias = Callable[[_Answer], Coroutine[object, object, None]]


async def _end(answer: _Answer) -> None:
    await answer.start("chunked")
    await answer.send(answer.some_blocks())
    answer.inject()
    await answer.end()


async def _fin(answer: _Answer) -> None:
    await answer.start("close")
    await answer.send(answer.some_blocks())
    answer.inject()


async def _empty(answer: _Answer) -> None:
    answer.inject()
    await answer.start("0")


async def _mid_line(answer: _Answer) -> None:
    await answer.start()
    await answer.send(answer.some_blocks())
    block = answer.block()
    answer.inject()
    await answer.send(block[: answer.random.randrange(1, len(block) - 4)])
    await answer.break_off()


async def _mid_character(answer: _Answer) -> None:
    await answer.start()
    await answer.send(answer.some_blocks())
    block = answer.block()
    starts = [i for i, byte in enumerate(block[:200]) if byte >= 0xC0]
    answer.inject()
    await answer.send(block[: answer.random.choice(starts) + 1])
    await answer.break_off()


async def _mid_block(answer: _Answer) -> None:
    await answer.start()
    await answer.send(answer.some_blocks())
    block = answer.block()
    answer.inject()
    # All lines, but for the blank one. Of CR LF the CR alone would be a blank line.
    await answer.send(block[: -2 if block.endswith(b"\r\n") else -1])
    await answer.break_off()


async def _reset_in_body(answer: _Answer) -> None:
    await answer.start()
    await answer.send(answer.some_blocks())
    answer.inject()
    await answer.reset()


async def _reset_before_head(answer: _Answer) -> None:
    answer.inject()
    await answer.reset()


async def _fin_before_head(answer: _Answer) -> None:
    answer.inject()
    answer.is_over = True


async def _cut_head(answer: _Answer) -> None:
    answer.inject()
    await answer.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/ev")
    answer.is_over = True


async def _no_http(answer: _Answer) -> None:
    answer.inject()
    await answer.raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    answer.is_over = True


async def _stall(answer: _Answer) -> None:
    await answer.start()
    await answer.send(answer.some_blocks())
    answer.inject()
    await answer.hang()


async def _stall_in_block(answer: _Answer) -> None:
    await answer.start("chunked")
    blocks, block = answer.some_blocks(), answer.block()
    answer.inject()
    await answer.send(blocks + block[: len(block) // 2])
    await answer.hang()


async def _stall_behind_comments(answer: _Answer) -> None:
    """Bytes, but no event: for those who set an ``event_timeout``."""
    await answer.start()
    await answer.send(answer.some_blocks())
    answer.inject()
    for _ in range(200):
        await asyncio.sleep(0.05)
        await answer.send(b": still here\n\n")


async def _stall_before_head(answer: _Answer) -> None:
    answer.inject()
    await answer.hang()


async def _truncated_chunked(answer: _Answer) -> None:
    await answer.start("chunked")
    await answer.send(answer.some_blocks())
    answer.inject()
    answer.is_over = True


async def _truncated_chunk(answer: _Answer) -> None:
    await answer.start("chunked")
    await answer.send(answer.some_blocks())
    answer.inject()
    await answer.raw(b"ffff\r\n" + answer.block())
    answer.is_over = True


async def _malformed_chunk(answer: _Answer) -> None:
    await answer.start("chunked")
    await answer.send(answer.some_blocks())
    answer.inject()
    await answer.raw(b"no size\r\n" + answer.block())
    answer.is_over = True


async def _truncated_length(answer: _Answer) -> None:
    await answer.start("1000000")
    answer.inject()
    await answer.send(answer.some_blocks())


async def _length(answer: _Answer) -> None:
    blocks = answer.some_blocks(1)
    answer.inject()
    await answer.start(str(len(blocks)))
    await answer.send(blocks)


async def _drip(answer: _Answer) -> None:
    await answer.start()
    blocks = answer.some_blocks(1)
    answer.inject()
    for number in range(min(len(blocks), 40)):
        await answer.send(blocks[number : number + 1])
        await asyncio.sleep(0.001)
    await answer.send(blocks[40:])
    await answer.break_off()


async def _gzip(answer: _Answer) -> None:
    await answer.start("chunked", "Content-Encoding: gzip")
    answer.inject()
    gzip = zlib.compressobj(wbits=31)
    await answer.send(gzip.compress(answer.some_blocks(1)) + gzip.flush(zlib.Z_SYNC_FLUSH))
    await answer.send(gzip.compress(answer.some_blocks(1)) + gzip.flush())
    await answer.end()


async def _truncated_gzip(answer: _Answer) -> None:
    await answer.start("chunked", "Content-Encoding: gzip")
    gzip = zlib.compressobj(wbits=31)
    await answer.send(gzip.compress(answer.some_blocks(1)) + gzip.flush(zlib.Z_SYNC_FLUSH))
    answer.inject()
    await answer.send((gzip.compress(answer.some_blocks(1)) + gzip.flush())[:-12])
    await answer.end()


async def _refused(answer: _Answer) -> None:
    await answer.start()
    await answer.send(answer.some_blocks())
    answer.inject()
    await answer.restart()


def _status(status: str, *headers: str) -> _Fault:
    async def fault(answer: _Answer) -> None:
        answer.inject()
        await answer.respond(status, "Content-Type: text/html", *headers, body=b"<p>Not now</p>")

    return fault


def _redirect(status: str, *, closes: bool = False) -> _Fault:
    async def fault(answer: _Answer) -> None:
        answer.inject()
        # What comes there is the next fault of the same stream.
        await answer.respond(status, f"Location: /elsewhere/{answer.stream.name}?again=1")
        answer.is_over = closes

    return fault


FAULTS: Final[dict[str, _Fault]] = {
    "end of the body": _end,
    "FIN as the end": _fin,
    "empty body": _empty,
    "cut in a line": _mid_line,
    "cut in a character": _mid_character,
    "cut before the blank line": _mid_block,
    "RST": _reset_in_body,
    "RST before the head": _reset_before_head,
    "FIN before the head": _fin_before_head,
    "cut in the head": _cut_head,
    "no HTTP": _no_http,
    "silence": _stall,
    "silence in a block": _stall_in_block,
    "silence behind comments": _stall_behind_comments,
    "silence before the head": _stall_before_head,
    "chunked, truncated": _truncated_chunked,
    "chunk, truncated": _truncated_chunk,
    "chunk, malformed": _malformed_chunk,
    "length, truncated": _truncated_length,
    "length, complete": _length,
    "drip": _drip,
    "gzip": _gzip,
    "gzip, truncated": _truncated_gzip,
    "restart, refused": _refused,
    "408": _status("408 Request Timeout"),
    "425": _status("425 Too Early"),
    "429": _status("429 Too Many Requests", "Retry-After: 0"),
    "500": _status("500 Internal Server Error"),
    "502": _status("502 Bad Gateway", "Connection: close"),
    "503": _status("503 Service Unavailable", "Retry-After: 0"),
    "503 without Retry-After": _status("503 Service Unavailable"),
    "504": _status("504 Gateway Timeout", "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"),
    "301": _redirect("301 Moved Permanently"),
    "302": _redirect("302 Found"),
    "307": _redirect("307 Temporary Redirect"),
    "308": _redirect("308 Permanent Redirect", closes=True),
}
"""By name, what an answer may do wrong, or in an unusual way."""


@final
class FaultServer:
    """Serves any number of streams, each with a plan of faults.

    Args:
        seed: Makes the plans and all that is random about them.
        rounds: How often each fault befalls each stream.
    """

    def __init__(self, seed: int, *, rounds: int = 1) -> None:
        self.seed: Final = seed
        self.injected: Final[Counter[str]] = Counter()
        """How often which fault has happened. Not what a restart did to the other streams."""
        self.errors: Final[list[BaseException]] = []
        self._rounds: Final = rounds
        self._streams: Final[dict[str, _Stream]] = {}
        self._writers: Final[set[asyncio.StreamWriter]] = set()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._loop: Final = asyncio.new_event_loop()
        self._thread: Final = threading.Thread(target=self._run, name=f"{self!r}", daemon=True)
        self._is_up: Final = threading.Event()
        self._stop: Final = asyncio.Event()
        self._listener: socket.socket | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_up.wait(10)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        if exc is None and self.errors:
            raise self.errors[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} seed={self.seed}>"

    def url(self, name: str) -> str:
        return f"http://{_HOST}:{self._port}/{name}"

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    def check(self, name: str, events: Sequence[ServerSentEvent]) -> None:
        """Assert that these are all events of a stream, and all faults have befallen it."""
        stream = self._streams[name]
        received = [_number_of(event.id) for event in events]
        where = f"stream {name!r} of {self!r}"
        assert received == list(range(1, stream.last + 1)), f"{where}: {received}"
        assert not stream.plan, f"{where} was left with {list(stream.plan)}"
        for number, event in zip(received, events, strict=True):
            assert event[:3] == _expected(name, number), f"{where}: event {number}"

    def forget(self, name: str) -> None:
        """Drop what is known of a stream."""
        del self._streams[name]

    def restart(self) -> None:
        """Drop all connections, and refuse new ones for a while. Called by the faults."""
        if self._deafen():
            for number, writer in enumerate(list(self._writers)):
                if number % 2:
                    _reset(writer)
                else:
                    writer.close()
            self._loop.call_later(_DOWN, self._listen)

    # -- its thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as error:
            self.errors.append(error)
        finally:
            self._is_up.set()
            self._loop.close()

    async def _main(self) -> None:
        ports = random.Random()  # not seeded: other servers may be there
        while self._listener is None:
            self._port = ports.choice(_PORTS)
            try:
                self._listen()
            except OSError:  # it is taken
                pass
        self._is_up.set()
        await self._stop.wait()
        self._deafen()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Not with asyncio's own server, which leaves a connection open that comes while it closes.
    def _listen(self) -> None:
        self._listener = listener = socket.create_server((_HOST, self._port), backlog=512)
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # the client has given up
        sock.setblocking(False)
        self._spawn(self._serve(sock))

    def _deafen(self) -> bool:
        """Accept no connection any more; return whether any were."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._loop.remove_reader(listener)
            listener.close()
        return listener is not None

    def _spawn(self, coroutine: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._note)

    def _note(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)

    async def _serve(self, sock: socket.socket) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, sock)
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        self._writers.add(writer)
        try:
            async for target, last_event_id in _requests(reader):
                if not await self._answer(target, last_event_id, reader, writer):
                    break
            if writer.can_write_eof():
                writer.write_eof()
            await asyncio.wait_for(reader.read(), _SILENCE)  # until the client closes, too
        except (OSError, asyncio.TimeoutError):
            pass  # the client was faster, or a restart
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(
        self,
        target: str,
        last_event_id: str | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer one request; return whether the connection may be used again."""
        if self.errors:  # it has failed; let it be over
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return False
        stream = self._stream(target.partition("?")[0].rpartition("/")[2])
        number = _number_of(last_event_id)
        assert number <= stream.last, f"{stream.name} goes on after {last_event_id!r}"
        answer = _Answer(self, stream, number, writer)
        if stream.plan:
            answering = asyncio.ensure_future(FAULTS[stream.plan[0]](answer))
            gone = asyncio.ensure_future(_gone(reader))
            try:
                await asyncio.wait([answering, gone], return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                answering.cancel()
                await asyncio.gather(gone, return_exceptions=True)
            try:
                await answering
            except asyncio.CancelledError:  # the client left a silent connection, or the end
                return False
        elif number < stream.last:
            await answer.start("chunked")
            while number < stream.last:
                await answer.send(answer.block())
                number += 1
            await answer.end()
        else:
            await answer.respond("204 No Content")
        return not answer.is_over

    def _stream(self, name: str) -> _Stream:
        if name not in self._streams:
            source = random.Random(f"{self.seed} {name}")
            faults = [
                fault
                for _ in range(self._rounds)
                for fault in source.sample([*FAULTS], len(FAULTS))
            ]
            self._streams[name] = _Stream(name, faults, source)
        return self._streams[name]


async def _requests(reader: asyncio.StreamReader) -> AsyncIterator[tuple[str, str | None]]:
    """Yield the target and the ``Last-Event-ID`` of each request: none has a body."""
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        request_line, *lines = head.decode().split("\r\n")
        fields = [line.partition(":") for line in lines]
        ids = [value.strip() for name, _, value in fields if name.lower() == "last-event-id"]
        assert len(ids) <= 1, f"more than one Last-Event-ID: {ids}"
        yield request_line.split(" ")[1], ids[0] if ids else None


async def _gone(reader: asyncio.StreamReader) -> None:
    """Wait until the client closes its side. It sends nothing while it waits for an answer."""
    while not reader.at_eof():  # noqa: ASYNC110  # reading could take from the next request
        await asyncio.sleep(0.01)
