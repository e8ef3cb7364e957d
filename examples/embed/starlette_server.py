"""A server of event streams, with Starlette: each client gets what is published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sse_proto import ServerSentEvent, encode, encode_comment

HEARTBEAT = 15.0  # seconds of silence before a comment is sent
BACKLOG = 1000  # how many events a client may fall behind

HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}

subscribers: set[asyncio.Queue[bytes]] = set()


def publish(event: ServerSentEvent) -> None:
    """Send an event to every client. Call it in the event loop's thread."""
    block = encode(event)  # once for all of them
    for queue in tuple(subscribers):
        try:
            queue.put_nowait(block)
        except asyncio.QueueFull:
            subscribers.discard(queue)  # too slow: its stream ends, but it may reconnect


async def body() -> AsyncGenerator[bytes, None]:
    """Yield the event stream of one client."""
    queue: asyncio.Queue[bytes] = asyncio.Queue(BACKLOG)
    subscribers.add(queue)
    try:
        while queue in subscribers or not queue.empty():
            try:
                yield await asyncio.wait_for(queue.get(), HEARTBEAT)
            except asyncio.TimeoutError:
                yield encode_comment()
    finally:
        subscribers.discard(queue)


async def stream(_: Request) -> Response:
    return StreamingResponse(body(), headers=HEADERS, media_type="text/event-stream")


async def take(request: Request) -> Response:
    """Publish whatever is posted: ``curl -d hello http://127.0.0.1:8000/``."""
    publish(ServerSentEvent(data=(await request.body()).decode("utf-8", "replace")))
    return Response(status_code=204)


app = Starlette(routes=[Route("/", stream), Route("/", take, methods=["POST"])])

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=8000)
