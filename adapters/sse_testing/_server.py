"""`EventServer`: a real server on 127.0.0.1 that follows a script, in a thread."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from ._http import Exchange, HandlerServer
from ._script import Reply, Step, cut, pause, run, status
from .cassette import Cassette, Recording

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Attempt", "EventServer"]

Attempt: TypeAlias = "Step | Iterable[Step]"
"""What the server does with one request: a step, or several."""


class EventServer(HandlerServer):
    """A real HTTP/1.1 server on 127.0.0.1, in a thread, that follows a script.

    ```python
    with EventServer({"/": [[events("a", "b"), reset()], events("c"), status(204)]}) as server:
        ...  # any client, in any language, on server.url()
    assert server.requests[1].header("last-event-id") == "b"
    ```
    A script belongs to a path: it says what to do with the first request, the second, and so on;
    the last entry repeats. A path without a script is not found (404). Each request is kept in
    `requests`, with its method, target, headers and body.

    It is a context manager, sync or async (``async with``). What a handler or a script raises is
    raised when the block is left.

    Args:
        scripts: By path, without query: a list with a step, or a list of steps, for each request.
        ssl_context: For TLS.
        port: 0: any that is free.
    """

    def __init__(
        self,
        scripts: Mapping[str, Iterable[Attempt]] | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(ssl_context=ssl_context, port=port)
        self._scripts: Final[dict[str, list[list[Step]]]] = {}
        self._attempts: Final[Counter[str]] = Counter()
        for path, attempts in (scripts or {}).items():
            self.script(path, *attempts)

    def script(self, path: str, *attempts: Attempt) -> None:
        """Say what to do with the requests for a path, from the next one on.

        Args:
            path: Without query.
            attempts: A step, or several, for each request; the last one is repeated.
        Raises:
            ValueError: There is no attempt.
        """
        if not attempts:
            raise ValueError(f"no attempt for {path}")
        self._scripts[path] = [
            [attempt] if callable(attempt) else list(attempt) for attempt in attempts
        ]
        self._attempts[path] = 0
        self.route(path, partial(self._answer, path))

    def replay(
        self, recording: str | Path | Cassette, *, path: str = "/", speed: float = math.inf
    ) -> None:
        """Replay a recording: each request gets the next connection of a cassette.

        Further requests are answered with 204, which makes a reconnecting client stop.

        Args:
            recording: A cassette, or its file.
            path: The path of the requests.
            speed: 1.0: with the pauses as they were; 10.0: ten times as fast; infinity: none.
        Raises:
            CassetteError, OSError: The file is not a cassette, or cannot be read.
            ValueError: ``speed`` is not above 0.
        """
        cassette = recording if isinstance(recording, Cassette) else Cassette.read(recording)
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.script(path, *(_steps(each, speed) for each in cassette.recordings), status(204))

    def _answer(self, path: str, exchange: Exchange) -> None:
        with self._arrived:
            number = self._attempts[path]
            self._attempts[path] += 1
        attempts = self._scripts[path]
        run(attempts[min(number, len(attempts) - 1)], exchange)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)


def _steps(recording: Recording, speed: float) -> list[Step]:
    def begin(reply: Reply) -> None:
        reply.status, reply.content_type = recording.status, None
        reply.headers += recording.replayed_headers
        reply.open()

    steps: list[Step] = [begin]
    now = recording.at
    for chunk in recording.chunks:
        if not math.isinf(speed):
            steps.append(pause((chunk.at - now) / speed))
        now = chunk.at
        steps.append(partial(_send, chunk.data))
    if recording.error is not None:
        steps.append(cut())
    return steps


def _send(data: bytes, reply: Reply) -> None:
    reply.send(data)
