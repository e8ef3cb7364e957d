"""The events of a URL, with niquests."""

from __future__ import annotations

import sys
from collections.abc import Generator

import niquests

from sse_proto import ServerSentEvent, iter_events

HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
TIMEOUT = (10.0, 60.0)  # seconds: to connect, and the longest silence


def events(url: str) -> Generator[ServerSentEvent, None, None]:
    """Yield each event as soon as its bytes are here."""
    with niquests.get(url, headers=HEADERS, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        yield from iter_events(response.iter_content(65536))


if __name__ == "__main__":
    for event in events(sys.argv[1]):
        print(event, flush=True)
