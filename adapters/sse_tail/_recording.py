"""Recordings: cassettes of `sse_testing`, written while a stream is printed, and printed again."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING, Any

from sse_proto import Fail, IncompleteStream, Open, Wait
from sse_testing.cassette import CassetteWriter

if TYPE_CHECKING:
    from collections.abc import Generator

    from sse_proto import Action, DecoderFactory, ServerSentEvent
    from sse_testing.cassette import Cassette

__all__ = ["Recorder", "replay"]


class Recorder:
    """Writes what it sees of a stream to a cassette, each chunk at once; an observer.

    Args:
        file: Opened as UTF-8. Closing it is up to the caller.
    """

    def __init__(self, file: IO[str]) -> None:
        self._writer = CassetteWriter(file)
        self._is_open = False
        self._has_ended = False

    def connected(self) -> None:
        self._has_ended = False

    def received(self, chunk: bytes) -> None:
        self._writer.chunk(bytes(chunk))

    def ended(self) -> None:
        self._has_ended = True

    def note(self, action: Action, response: Any) -> None:
        """Write what has happened to the connection, if the cassette has a line for it.

        Args:
            action: As the subscription's ``on_state`` gets it.
            response: The subscription's, of whichever client.
        """
        if isinstance(action, Open):
            self._is_open = True
            request = response.request
            self._writer.connection(
                method=request.method,
                url=str(request.url),
                request_headers=request.headers.multi_items(),
                status=response.status_code,
                headers=response.headers.multi_items(),
            )
        elif self._is_open:
            self._is_open = False
            if isinstance(action, (Wait, Fail)):
                self._writer.end(action.error)
            elif self._has_ended:  # otherwise it is we who end it
                self._writer.end()


def replay(
    cassette: Cassette, speed: float, new_decoder: DecoderFactory
) -> Generator[ServerSentEvent]:
    """Yield the events of a cassette, each when its time comes.

    Args:
        cassette: As it was read.
        speed: How many times as fast as it was recorded; infinity: at once.
        new_decoder: Makes each connection's decoder.

    Raises:
        sse_proto.IncompleteStream: The last connection ends inside an event.
        sse_proto.EventTooLarge: As the decoder.
    """
    began = time.monotonic()
    last_event_id: str | None = None
    unfinished = 0
    for recording in cassette.recordings:
        decoder = new_decoder(last_event_id=last_event_id)
        for chunk in recording.chunks:
            if (early := began + chunk.at / speed - time.monotonic()) > 0:
                time.sleep(early)
            yield from decoder.feed(chunk.data)
        decoder.close()
        last_event_id, unfinished = decoder.last_event_id, decoder.unfinished
    if unfinished:
        raise IncompleteStream(unfinished, last_event_id)
