"""What the `ReplayTransport` classes for httpx and httpx2 share: all but their base classes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import anyio

from .cassette import Cassette, Chunk, Recording

__all__ = ["Replay", "ReplayedBody"]


class Replay:
    """Hands out the recordings of a cassette, one for each request; a mixin for transports."""

    library: Any
    """The module ``httpx`` or ``httpx2``."""
    body: type[ReplayedBody]
    """With that library's base classes for streams."""

    def __init__(self, recording: str | Path | Cassette, *, speed: float = math.inf) -> None:
        cassette = recording if isinstance(recording, Cassette) else Cassette.read(recording)
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.requests: Final[list[Any]] = []
        """What was asked, oldest first."""
        self._speed: Final = speed
        self._left: Final = iter(cassette.recordings)
        self._lock: Final = threading.Lock()

    def handle_request(self, request: Any) -> Any:
        """Answer; called by the client."""
        request.read()
        return self._answer(request)

    async def handle_async_request(self, request: Any) -> Any:
        """Answer; called by the client."""
        await request.aread()
        return self._answer(request)

    def _answer(self, request: Any) -> Any:
        with self._lock:
            self.requests.append(request)
            recording = next(self._left, None)
        if recording is None:
            return self.library.Response(204)
        return self.library.Response(
            recording.status,
            headers=recording.replayed_headers,
            stream=self.body(self.library.ReadError, recording, self._speed),
        )


class ReplayedBody:
    """The body of a response: the chunks of a recording; a mixin for streams."""

    def __init__(self, error: type[Exception], recording: Recording, speed: float) -> None:
        self._error: Final = error
        self._recording: Final = recording
        self._speed: Final = speed

    def __iter__(self) -> Iterator[bytes]:
        for seconds, chunk in self._pauses():
            time.sleep(seconds)
            yield chunk.data
        self._end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for seconds, chunk in self._pauses():
            await anyio.sleep(seconds)
            yield chunk.data
        self._end()

    def _pauses(self) -> Iterator[tuple[float, Chunk]]:
        now = self._recording.at
        for chunk in self._recording.chunks:
            yield (0.0 if math.isinf(self._speed) else (chunk.at - now) / self._speed), chunk
            now = chunk.at

    def _end(self) -> None:
        if self._recording.error is not None:
            raise self._error(f"as recorded: {self._recording.error}")
