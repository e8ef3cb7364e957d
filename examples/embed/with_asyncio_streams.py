"""The events of a URL, with asyncio's streams."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlsplit

from sse_proto import ServerSentEvent, SSEDecoder

TIMEOUT = 60.0  # seconds: to connect, and the longest silence


async def events(url: str) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield each event as soon as its bytes are here."""
    parts = urlsplit(url)
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    opening = asyncio.open_connection(parts.hostname, port, ssl=parts.scheme == "https" or None)
    reader, writer = await asyncio.wait_for(opening, TIMEOUT)
    try:
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
            "Accept: text/event-stream\r\nAccept-Encoding: identity\r\n\r\n".encode("ascii")
        )
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TIMEOUT)).lower()
        if not re.match(rb"http/1\.[01] 200\b", head):
            raise ConnectionError(f"not an event stream: {head!r:.200}")
        is_chunked = re.search(rb"\ntransfer-encoding:[ \t]*chunked[ \t]*\r", head)

        decoder = SSEDecoder()
        chunks = chunked_body(reader) if is_chunked else plain_body(reader)
        while chunk := await asyncio.wait_for(anext(chunks, b""), TIMEOUT):
            for event in decoder.feed(chunk):
                yield event
        decoder.close()
    finally:
        writer.close()


async def plain_body(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes, up to the end of the connection."""
    while chunk := await reader.read(65536):
        yield chunk


async def chunked_body(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes, without the chunked transfer coding (RFC 9112, 7.1)."""
    while (size := int((await reader.readuntil(b"\n")).partition(b";")[0], 16)) > 0:
        while size > 0:
            chunk = await reader.read(min(size, 65536))
            if not chunk:
                raise EOFError(f"the stream broke off, {size} bytes before a chunk's end")
            yield chunk
            size -= len(chunk)
        await reader.readexactly(2)  # CR LF


async def main() -> None:
    async with aclosing(events(sys.argv[1])) as stream:  # closed even if the loop is left early
        async for event in stream:
            print(event, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
