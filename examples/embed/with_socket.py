"""The events of a URL, with a socket and one buffer."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Generator
from urllib.parse import urlsplit

from sse_proto import ServerSentEvent, SSEDecoder

TIMEOUT = 60.0  # seconds: to connect, and the longest silence


def events(url: str) -> Generator[ServerSentEvent, None, None]:
    """Yield each event as soon as its bytes are here."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise ValueError(f"only http is supported here, not {parts.scheme}")
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    # HTTP/1.0, so the body must come as it is, without chunked transfer coding.
    request = (
        f"GET {target} HTTP/1.0\r\nHost: {parts.netloc}\r\n"
        "Accept: text/event-stream\r\nAccept-Encoding: identity\r\n\r\n"
    )
    address = (parts.hostname or "", parts.port or 80)
    buffer = bytearray(65536)
    view = memoryview(buffer)
    with socket.create_connection(address, timeout=TIMEOUT) as sock:
        sock.sendall(request.encode("ascii"))

        size = 0
        while (end := buffer.find(b"\r\n\r\n", 0, size)) < 0:
            received = sock.recv_into(view[size:])
            if not received:
                raise ConnectionError(f"no response head within {size} bytes")
            size += received
        head = bytes(view[:end]).lower()
        if not re.match(rb"http/1\.[01] 200\b", head) or b"\ntransfer-encoding:" in head:
            raise ConnectionError(f"not a plain event stream: {head!r:.200}")

        decoder = SSEDecoder()
        yield from decoder.feed(view[end + 4 : size])
        while size := sock.recv_into(buffer):
            yield from decoder.feed(view[:size])  # borrowed: the next chunk overwrites it
        decoder.close()


if __name__ == "__main__":
    for event in events(sys.argv[1]):
        print(event, flush=True)
