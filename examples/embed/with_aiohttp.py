"""The events of a URL, with aiohttp."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiohttp

from sse_proto import ServerSentEvent, aiter_events

HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
# Seconds. sock_read: the longest silence. Without total=None, the stream ends after five minutes.
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=60.0)


async def events(url: str) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield each event as soon as its bytes are here."""
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        async with session.get(url, headers=HEADERS) as response:
            response.raise_for_status()
            async for event in aiter_events(response.content.iter_any()):
                yield event


async def main() -> None:
    async with aclosing(events(sys.argv[1])) as stream:  # closed even if the loop is left early
        async for event in stream:
            print(event, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
