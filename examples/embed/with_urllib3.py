"""The events of a URL, with urllib3 (2.2 or later)."""

from __future__ import annotations

import sys
from collections.abc import Generator
from functools import partial

import urllib3

from sse_proto import ServerSentEvent, iter_events

HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
TIMEOUT = urllib3.Timeout(connect=10.0, read=60.0)  # seconds; read: the longest silence


def events(url: str) -> Generator[ServerSentEvent, None, None]:
    """Yield each event as soon as its bytes are here."""
    with urllib3.request(
        "GET", url, headers=HEADERS, preload_content=False, timeout=TIMEOUT
    ) as response:
        if response.status != 200:
            raise urllib3.exceptions.HTTPError(f"status {response.status} of {url}")
        yield from iter_events(iter(partial(response.read1, 65536), b""))


if __name__ == "__main__":
    for event in events(sys.argv[1]):
        print(event, flush=True)
