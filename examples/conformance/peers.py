"""A driver for other people's decoders in Python: ``python -m examples.conformance.peers NAME``.

Each is fed as its users feed it. Run it from the root of a checkout, since most of them are in
`benchmarks.peers`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any, Final

from benchmarks import peers

from .driver import drive

__all__ = ["NAMES"]


def _google_genai(chunks: Iterable[bytes]) -> Iterator[str]:
    # It returns only the data: its API sends nothing else.
    httpx: Any = import_module("httpx")
    client: Any = import_module("google.genai._api_client")

    class Body(httpx.SyncByteStream):  # type: ignore[misc]  # of a module that may be missing
        def __iter__(self) -> Iterator[bytes]:
            return iter(chunks)

    response = httpx.Response(200, stream=Body())
    parts = client.HttpResponse(headers={}, response_stream=response)._iter_response_stream()
    return iter(parts)


def _aiohttp_sse_client2(chunks: Iterable[bytes]) -> list[Any]:
    return asyncio.run(_aiohttp_events(chunks))


async def _aiohttp_events(chunks: Iterable[bytes]) -> list[Any]:
    aiohttp: Any = import_module("aiohttp")
    protocol: Any = import_module("aiohttp.base_protocol")
    client: Any = import_module("aiohttp_sse_client2.client")
    loop = asyncio.get_running_loop()
    content = aiohttp.StreamReader(protocol.BaseProtocol(loop), 2**16, loop=loop)
    for chunk in chunks:
        content.feed_data(chunk)
    content.feed_eof()

    class Response:
        status = 200

    class Over(Exception):
        pass

    class Source(client.EventSource):  # type: ignore[misc]  # of a module that may be missing
        async def connect(self, retry: int = 0) -> None:  # noqa: ARG002  # as it is called
            raise Over  # the stream has ended: it would reconnect

    response: Any = Response()
    response.content = content
    source: Any = Source("http://127.0.0.1", session=object(), reconnection_time=timedelta(0))
    source._response = response
    events: list[Any] = []
    try:
        async for event in _aiter(source):
            source._reconnection_time = timedelta(0)  # whatever the stream says
            events.append(event)
    except Over:
        pass
    return events


async def _aiter(source: Any) -> AsyncIterator[Any]:
    async for event in source:
        yield event


NAMES: Final = (*peers.PEERS, "google-genai", "aiohttp-sse-client2")


def main(name: str) -> None:
    """Drive the peer of this name until standard input ends."""
    if name == "google-genai":
        import_module("google.genai._api_client")
        drive(lambda chunks: _google_genai(chunks), name, peers.version(name))
    elif name == "aiohttp-sse-client2":
        import_module("aiohttp_sse_client2.client")
        drive(lambda chunks: _aiohttp_sse_client2(chunks), name, peers.version(name))
    else:
        found, notices = peers.find_peers([name])
        if notices:
            raise SystemExit(notices[0])
        (peer,) = found
        drive(peer.decode, name, peer.version)


if __name__ == "__main__":
    main(sys.argv[1])
