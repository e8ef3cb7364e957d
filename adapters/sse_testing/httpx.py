"""`ReplayTransport` for httpx: a cassette instead of a network. Needs httpx."""

from __future__ import annotations

import httpx

from ._replay import Replay, ReplayedBody

__all__ = ["ReplayTransport"]


class _Body(ReplayedBody, httpx.SyncByteStream, httpx.AsyncByteStream):
    pass


class ReplayTransport(Replay, httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers each request with the next connection of a cassette, sync and async.

    ```python
    with httpx.Client(transport=ReplayTransport("chat.jsonl")) as client:
        ...
    ```
    Where a recorded connection broke, the response raises ``httpx.ReadError``. After the last
    connection every request is answered with 204, which makes a reconnecting client stop.
    ``requests`` has what was asked.

    Args:
        recording: A cassette, or its file.
        speed: 1.0: with the pauses as they were; 10.0: ten times as fast; infinity: none.
    Raises:
        CassetteError, OSError: The file is not a cassette, or cannot be read.
        ValueError: ``speed`` is not above 0.
    """

    library = httpx
    body = _Body
