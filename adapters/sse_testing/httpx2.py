"""`ReplayTransport` for httpx2: a cassette instead of a network. Needs httpx2."""

from __future__ import annotations

import httpx2

from ._replay import Replay, ReplayedBody

__all__ = ["ReplayTransport"]


class _Body(ReplayedBody, httpx2.SyncByteStream, httpx2.AsyncByteStream):
    pass


class ReplayTransport(Replay, httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Answers each request with the next connection of a cassette, sync and async.

    ```python
    with httpx2.Client(transport=ReplayTransport("chat.jsonl")) as client:
        ...
    ```
    Where a recorded connection broke, the response raises ``httpx2.ReadError``. After the last
    connection every request is answered with 204, which makes a reconnecting client stop.
    ``requests`` has what was asked.

    Args:
        recording: A cassette, or its file.
        speed: 1.0: with the pauses as they were; 10.0: ten times as fast; infinity: none.
    Raises:
        CassetteError, OSError: The file is not a cassette, or cannot be read.
        ValueError: ``speed`` is not above 0.
    """

    library = httpx2
    body = _Body
