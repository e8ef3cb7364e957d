"""A gateway to a chat API: passes streams on as they come, and counts the tokens they report."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from sse_proto import EventTooLarge, SSEDecoder

REQUEST_HEADERS = ("authorization", "content-type", "accept")
RESPONSE_HEADERS = (b"content-type", b"content-encoding", b"cache-control", b"retry-after")

TIMEOUT = httpx.Timeout(10.0, read=120.0)  # seconds; read: the longest silence
LIMITS = httpx.Limits(max_connections=None)  # not 100: every stream holds one

USAGE = re.compile(rb'"usage"\s*:\s*\{')


class UsageCounter:
    """Reads along with a chat stream. Whatever the bytes, `feed` raises nothing."""

    def __init__(self) -> None:
        self.events = 0
        self.tokens: int | None = None  # None: the stream has not said
        self._decoder: SSEDecoder | None = SSEDecoder(max_event_size=256 * 1024)

    def feed(self, chunk: bytes) -> None:
        if self._decoder is None:
            return
        try:
            events = self._decoder.feed_raw(chunk)
        except EventTooLarge:
            self._decoder = None  # stop counting
            return
        self.events += len(events)
        for event in events:
            if USAGE.search(event.data):  # searched in place; one event per stream has it
                self._read_usage(bytes(event.data))

    def _read_usage(self, data: bytes) -> None:
        try:
            chunk: Any = json.loads(data)
        except (RecursionError, ValueError):
            return
        match chunk:
            case {"usage": {"total_tokens": int(tokens)}}:
                self.tokens = tokens
            case _:
                pass


class Gateway:
    """The ASGI application: forwards each request, and reports what its response used."""

    def __init__(self, client: httpx.AsyncClient, report: Callable[[UsageCounter], object]) -> None:
        self._client = client
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        content = await request.body()
        async with anyio.create_task_group() as tasks:
            # Even before the upstream has answered: a model may think for a long time.
            tasks.start_soon(self._cancel_when_left, receive, tasks.cancel_scope)
            try:
                await self._forward(request, content, send)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                await PlainTextResponse(f"upstream: {error}", 502)(scope, receive, send)
            tasks.cancel_scope.cancel()

    async def _forward(self, request: Request, content: bytes, send: Send) -> None:
        headers = {k: v for k, v in request.headers.items() if k in REQUEST_HEADERS}
        headers["accept-encoding"] = "identity"  # compressed bytes could not be read along
        counter = UsageCounter()
        try:
            url = httpx.URL(path=request.url.path, query=request.url.query.encode() or None)
            async with self._client.stream(
                request.method, url, content=content, headers=headers
            ) as upstream:
                kept = [(k, v) for k, v in upstream.headers.raw if k.lower() in RESPONSE_HEADERS]
                await send(
                    {
                        "type": "http.response.start",
                        "status": upstream.status_code,
                        "headers": kept,
                    }
                )
                async for chunk in upstream.aiter_raw():
                    counter.feed(chunk)
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._report(counter)

    async def _cancel_when_left(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()


def gateway(upstream: str, report: Callable[[UsageCounter], object]) -> Starlette:
    """Return an application that forwards all requests to ``upstream``, a URL."""
    client = httpx.AsyncClient(base_url=upstream, timeout=TIMEOUT, limits=LIMITS)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        async with client:
            yield

    return Starlette(routes=[Mount("/", Gateway(client, report))], lifespan=lifespan)


def show(counter: UsageCounter) -> None:
    print(f"{counter.events} events, {counter.tokens} tokens", flush=True)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(gateway(sys.argv[1], show), port=8000)
