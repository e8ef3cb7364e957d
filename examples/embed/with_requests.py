"""The events of a URL, with requests."""

from __future__ import annotations

import sys
from collections.abc import Generator
from functools import partial

import requests

from sse_proto import ServerSentEvent, iter_events

HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
TIMEOUT = (10.0, 60.0)  # seconds: to connect, and the longest silence


def events(url: str) -> Generator[ServerSentEvent, None, None]:
    """Yield each event as soon as its bytes are here."""
    with requests.get(url, headers=HEADERS, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        read = partial(response.raw.read1, 65536, decode_content=True)
        yield from iter_events(iter(read, b""))


if __name__ == "__main__":
    for event in events(sys.argv[1]):
        print(event, flush=True)
