"""What an `EventServer` does, step by step: events, pauses, and how streams go wrong."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, final

from sse_proto import ServerSentEvent, encode, encode_comment

if TYPE_CHECKING:
    from ._http import Exchange

__all__ = [
    "Reply",
    "Step",
    "comment",
    "compress",
    "cut",
    "events",
    "hold",
    "opening",
    "pause",
    "raw",
    "redirect",
    "reset",
    "run",
    "status",
]


class Over(Exception):
    """The script ends here, whatever follows."""


@final
class Reply:
    """A response that a script writes. Its opening can be changed until its first byte."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange: Final = exchange
        self.status = 200
        self.headers: list[tuple[str, str]] = []
        self.content_type: str | None = "text/event-stream"
        self.framing: Literal["chunked", "close"] = "chunked"
        self.coder: Callable[[bytes], bytes] | None = None
        self.finish: Callable[[], bytes] | None = None
        self.last: Break | None = None
        """Where the body ends, if not with the script."""
        self._sent = 0
        self._is_open = False

    def open(self) -> None:
        """Send status line and headers, if they are not sent yet."""
        if not self._is_open:
            self._is_open = True
            self.exchange.start(
                self.status, self.headers, content_type=self.content_type, framing=self.framing
            )

    def send(self, data: bytes) -> None:
        """Send bytes of the body, as one chunk."""
        self.open()
        if self.coder is not None:
            data = self.coder(data)
        if self.last is not None and self.last.at is not None:
            left = self.last.at - self._sent
            if len(data) >= left:
                self.exchange.send(data[:left])
                self.last.act(self)
        self._sent += len(data)
        self.exchange.send(data)

    def end(self) -> None:
        """End the body properly."""
        self.open()
        if self.finish is not None:
            self.coder = None
            self.send(self.finish())


Step: TypeAlias = "Callable[[Reply], object]"
"""One step of a script."""


@final
class Break:
    """The connection breaks: here, or after so many bytes of the body."""

    def __init__(self, kind: Literal["cut", "reset"], at: int | None) -> None:
        self._kind: Final = kind
        self.at: Final = at

    def __call__(self, reply: Reply) -> None:
        if self.at is None:
            self.act(reply)

    def act(self, reply: Reply) -> None:
        if self._kind == "reset":
            reply.exchange.reset()
        else:
            reply.exchange.truncate()
        raise Over


def run(steps: Iterable[Step], exchange: Exchange) -> None:
    """Answer a request as a script says."""
    every = list(steps)
    reply = Reply(exchange)
    for step in every:
        if isinstance(step, Break) and step.at is not None:
            reply.last = step
    try:
        if reply.last is not None and reply.last.at == 0:
            reply.open()
            reply.last.act(reply)
        for step in every:
            step(reply)
        reply.end()
    except Over:
        pass


# -- steps -----------------------------------------------------------------------------------------


def events(*items: str | ServerSentEvent, every: float = 0.0) -> Step:
    """Send events: each a text, which is its data, or a `sse_proto.ServerSentEvent`.

    Args:
        items: The events; each leaves as one chunk.
        every: Seconds to wait before each but the first.
    """
    encoded = [
        encode(ServerSentEvent(data=item) if isinstance(item, str) else item) for item in items
    ]

    def step(reply: Reply) -> None:
        for number, data in enumerate(encoded):
            if number and every:
                pause(every)(reply)
            reply.send(data)

    return step


def comment(text: str = "") -> Step:
    """Send a comment, as servers do to keep a connection alive."""
    data = encode_comment(text)
    return lambda reply: reply.send(data)


def raw(*chunks: bytes) -> Step:
    """Send bytes of the body as they are, each as one chunk."""

    def step(reply: Reply) -> None:
        for chunk in chunks:
            reply.send(chunk)

    return step


def pause(seconds: float) -> Step:
    """Wait; what was sent before is on its way. If the client leaves meanwhile, the script is
    over."""

    def step(reply: Reply) -> None:
        reply.open()
        if reply.exchange.stalled(None if math.isinf(seconds) else seconds):
            raise Over

    return step


def hold() -> Step:
    """Keep the stream open, and silent, until the client leaves."""
    return pause(math.inf)


def cut(at: int | None = None) -> Step:
    """End the connection in the middle of the body, as a restarted proxy does.

    Args:
        at: After this many bytes of the body, as sent, whatever the other steps are; ``None``:
            here, which as the first step means before any response.
    """
    return Break("cut", at)


def reset(at: int | None = None) -> Step:
    """Reset the connection, as a killed process does; what is on its way may be lost.

    Args:
        at: As for `cut`.
    """
    return Break("reset", at)


def status(code: int, body: str | bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> Step:
    """Answer with another status than 200, and no stream: the script is over."""
    content = body.encode() if isinstance(body, str) else body
    fields = list(headers)

    def step(reply: Reply) -> None:
        reply.exchange.respond(code, fields, content)
        raise Over

    return step


def redirect(to: str, code: int = 307) -> Step:
    """Send the client elsewhere: the script is over.

    Args:
        to: A path of this server, or a URL.
        code: 301, 302, 303, 307 or 308.
    """
    return status(code, headers=[("Location", to)])


def opening(
    *,
    code: int = 200,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    content_type: str | None = "text/event-stream",
    framing: Literal["chunked", "close"] = "chunked",
) -> Step:
    """Say how the response begins, before its first byte.

    Args:
        code: The status of the stream.
        headers: Further headers.
        content_type: ``None``: none.
        framing: ``"close"``: not chunked, so the connection's end is the body's end.
    """
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)

    def step(reply: Reply) -> None:
        reply.status, reply.content_type, reply.framing = code, content_type, framing
        reply.headers += pairs

    return step


def compress(coding: Literal["gzip", "deflate"] = "gzip") -> Step:
    """Encode the body that follows; each chunk can be decoded as it arrives."""

    def step(reply: Reply) -> None:
        # 16 and more: with gzip's header.
        coder = zlib.compressobj(wbits=zlib.MAX_WBITS + (16 if coding == "gzip" else 0))
        reply.headers.append(("Content-Encoding", coding))
        reply.coder = lambda data: coder.compress(data) + coder.flush(zlib.Z_SYNC_FLUSH)
        reply.finish = coder.flush

    return step
