"""The events of a URL, with the standard library's http.client."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from sse_proto import ServerSentEvent, iter_events

HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
TIMEOUT = 60.0  # seconds: to connect, and the longest silence


def events(url: str) -> Generator[ServerSentEvent, None, None]:
    """Yield each event as soon as its bytes are here."""
    parts = urlsplit(url)
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with closing(connection_class(parts.netloc, timeout=TIMEOUT)) as connection:
        connection.request("GET", target, headers=HEADERS)
        # Close both: either may be the one that holds the socket.
        with connection.getresponse() as response:
            if response.status != 200:
                raise HTTPException(f"status {response.status} of {url}")
            yield from iter_events(iter(partial(response.read1, 65536), b""))


if __name__ == "__main__":
    for event in events(sys.argv[1]):
        print(event, flush=True)
