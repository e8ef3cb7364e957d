"""ASGI applications that speak to clients like real services do, and a way to run one.

`app` has all routes; `serve` runs an application on uvicorn in a thread, on 127.0.0.1.
Routes that take ``n`` and ``delay`` send ``n`` events with ``delay`` seconds after each.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["ANSWER", "API_KEY", "MIXED_EVENTS", "TOKENS", "app", "serve"]

Json: TypeAlias = dict[str, Any]

API_KEY: Final = "sk-test"
ANSWER: Final = "Why did the chicken cross the road? To get to the other side."
# Words with their leading space, and punctuation, as a language model's tokens come.
TOKENS: Final = tuple(re.findall(r" ?\w+|[^\w\s]", ANSWER))
MIXED_EVENTS: Final = (
    ("ping", "{}"),
    ("update", '{"progress": 50}'),
    ("error", '{"message": "overloaded"}'),
)

_TOKEN_DELAY: Final = 0.005
_HOST: Final = "127.0.0.1"
# Seconds that a start or a stop of uvicorn may take: it looks every 0.1 s whether it should exit.
_SERVE_TIMEOUT: Final = 5.0


def _query(request: Request, *, n: int = 3, delay: float = 0.0) -> tuple[int, float]:
    query = request.query_params
    return int(query.get("n", n)), float(query.get("delay", delay))


def _event_source(events: AsyncIterator[ServerSentEvent]) -> EventSourceResponse:
    # Without its pings, which would make a test's bytes depend on the time it takes. Not 0:
    # sse-starlette 2 sends one after the other then.
    return EventSourceResponse(events, ping=3600)


async def _events(request: Request) -> Response:
    """Events with ids from 0 up, and their id as data; goes on after ``Last-Event-ID``."""
    n, delay = _query(request)
    first = int(request.headers.get("last-event-id", "-1")) + 1

    async def numbered() -> AsyncIterator[ServerSentEvent]:
        for number in range(first, n):
            yield ServerSentEvent(data=str(number), id=str(number))
            await asyncio.sleep(delay)

    return _event_source(numbered())


async def _endless(request: Request) -> Response:
    _, delay = _query(request, delay=0.01)

    async def numbered() -> AsyncIterator[ServerSentEvent]:
        number = 0
        while True:
            yield ServerSentEvent(data=str(number), id=str(number))
            number += 1
            await asyncio.sleep(delay)

    return _event_source(numbered())


async def _mixed(_: Request) -> Response:
    async def named() -> AsyncIterator[ServerSentEvent]:
        for name, data in MIXED_EVENTS:
            yield ServerSentEvent(data=data, event=name)

    return _event_source(named())


async def _ndjson(request: Request) -> Response:
    n, delay = _query(request)

    async def lines() -> AsyncIterator[bytes]:
        for number in range(n):
            yield json.dumps({"n": number}).encode() + b"\n"
            await asyncio.sleep(delay)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def _html(_: Request) -> Response:
    return HTMLResponse("<!doctype html><title>Sign in</title><p>data: not an event stream")


async def _gzip(request: Request) -> Response:
    """A live event stream with Content-Encoding: gzip, each event readable once sent."""
    n, delay = _query(request)

    async def compressed() -> AsyncIterator[bytes]:
        gzip = zlib.compressobj(wbits=31)
        for number in range(n):
            event = f"id: {number}\ndata: {number}\n\n".encode()
            yield gzip.compress(event) + gzip.flush(zlib.Z_SYNC_FLUSH)
            await asyncio.sleep(delay)
        yield gzip.flush(zlib.Z_FINISH)

    headers = {"Content-Encoding": "gzip"}
    return StreamingResponse(compressed(), media_type="text/event-stream", headers=headers)


# -- the chat completion service, in the shapes that OpenAI documents ------------------------------


def _error(status: int, message: str, code: str | None = None) -> Response:
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": code,
    }
    return JSONResponse({"error": error}, status)


def _usage(messages: list[Json]) -> Json:
    prompt = sum(len(str(message.get("content", "")).split()) for message in messages)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": len(TOKENS),
        "total_tokens": prompt + len(TOKENS),
    }


def _completion(kind: str, model: str, choices: list[Json], **more: object) -> Json:
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": kind,
        "created": 1741569952,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_b376dfbbd5",
        "choices": choices,
        **more,
    }


def _choice(delta: Json, finish_reason: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _chunks(body: Json) -> Iterator[Json]:
    """Role first, then the tokens, then the reason to finish; the usage last, if asked for."""
    options: Json = body.get("stream_options") or {}
    with_usage = bool(options.get("include_usage"))

    def chunk(choices: list[Json], usage: Json | None = None) -> Json:
        more = {"usage": usage} if with_usage else {}
        return _completion("chat.completion.chunk", body["model"], choices, **more)

    yield chunk([_choice({"role": "assistant", "content": "", "refusal": None})])
    for token in TOKENS:
        yield chunk([_choice({"content": token})])
    yield chunk([_choice({}, "stop")])
    if with_usage:
        yield chunk([], _usage(body["messages"]))


async def _chunk_events(body: Json) -> AsyncIterator[bytes]:
    for chunk in _chunks(body):
        yield b"data: %b\n\n" % json.dumps(chunk, separators=(",", ":")).encode()
        await asyncio.sleep(_TOKEN_DELAY)
    yield b"data: [DONE]\n\n"


def _whole_completion(body: Json) -> Json:
    choice: Json = {
        "index": 0,
        "message": {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []},
        "logprobs": None,
        "finish_reason": "stop",
    }
    usage = _usage(body["messages"])
    return _completion("chat.completion", body["model"], [choice], usage=usage)


async def _chat_completions(request: Request) -> Response:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        return _error(401, "You didn't provide an API key.")
    if key != API_KEY:
        return _error(401, f"Incorrect API key provided: {key}.", "invalid_api_key")
    body = cast("Json", await request.json())
    for name in ("model", "messages"):
        if name not in body:
            return _error(400, f"Missing required parameter: '{name}'.", "missing_parameter")
    if not body.get("stream"):
        return JSONResponse(_whole_completion(body))
    # Bytes of our own, not sse-starlette's: OpenAI ends its lines with LF, and no comment is sent.
    return StreamingResponse(_chunk_events(body), media_type="text/event-stream")


# -- the Messages service, in the shapes that Anthropic documents ----------------------------------


def _messages_error(status: int, kind: str, message: str) -> Response:
    error = {"type": kind, "message": message}
    return JSONResponse({"type": "error", "error": error, "request_id": "req_011CSHoE"}, status)


def _message(model: str, content: list[Json], stop_reason: str | None, tokens: int) -> Json:
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": tokens},
    }


def _message_events(model: str, *, fails: bool) -> Iterator[Json]:
    """One block of text; if it fails, an error comes in place of the second half."""
    yield {"type": "message_start", "message": _message(model, [], None, 1)}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "ping"}
    for token in TOKENS[: len(TOKENS) // 2 if fails else None]:
        delta = {"type": "text_delta", "text": token}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    if fails:
        error = {"type": "overloaded_error", "message": "Overloaded"}
        yield {"type": "error", "error": error}
        return
    yield {"type": "content_block_stop", "index": 0}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": len(TOKENS)}}
    yield {"type": "message_stop"}


async def _named_by_type(values: Iterator[Json]) -> AsyncIterator[bytes]:
    for value in values:
        data = json.dumps(value, separators=(",", ":"))
        yield f"event: {value['type']}\ndata: {data}\n\n".encode()
        await asyncio.sleep(_TOKEN_DELAY)


async def _messages(request: Request) -> Response:
    """Answer with the text; below ``/overloaded``, break off in the middle of it."""
    if request.headers.get("x-api-key") != API_KEY:
        return _messages_error(401, "authentication_error", "invalid x-api-key")
    if "anthropic-version" not in request.headers:
        message = "anthropic-version: header is required"
        return _messages_error(400, "invalid_request_error", message)
    body = cast("Json", await request.json())
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            return _messages_error(400, "invalid_request_error", f"{name}: Field required")
    model: str = body["model"]
    if not body.get("stream"):
        content = [{"type": "text", "text": ANSWER}]
        return JSONResponse(_message(model, content, "end_turn", len(TOKENS)))
    events = _message_events(model, fails=request.url.path.startswith("/overloaded/"))
    return StreamingResponse(_named_by_type(events), media_type="text/event-stream")


app: Final = Starlette(
    routes=[
        Route("/events", _events),
        Route("/endless", _endless),
        Route("/mixed", _mixed),
        Route("/ndjson", _ndjson),
        Route("/html", _html),
        Route("/gzip", _gzip),
        Route("/v1/chat/completions", _chat_completions, methods=["POST"]),
        Route("/v1/messages", _messages, methods=["POST"]),
        Route("/overloaded/v1/messages", _messages, methods=["POST"]),
    ]
)


# -- running an application ------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """uvicorn that tells when it has started, and that does not wait for endless streams."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled: Final = threading.Event()  # it has started, or failed
        self.failure: BaseException | None = None

    def run_settling(self, listener: socket.socket) -> None:
        try:
            self.run(sockets=[listener])
        except BaseException as error:  # also SystemExit, uvicorn's way to say that it cannot start
            self.failure = error
        finally:
            self.settled.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Aborted transports end the streams and leave nothing for the garbage collector to warn
        # about; a plain close would wait for clients that do not read.
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


@contextmanager
def serve(app: ASGIApp) -> Generator[str]:
    """Run an ASGI application on a free port of 127.0.0.1; gives its URL, without a final slash.

    At the exit connections are cut and what still runs is cancelled, in some 0.2 seconds.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        log_config=None,
        log_level="critical",  # cancelled streams are logged as errors
        access_log=False,
        timeout_graceful_shutdown=0,
    )
    server = _Server(config)
    listener = socket.create_server((_HOST, 0), backlog=512)
    url = f"http://{_HOST}:{listener.getsockname()[1]}"
    thread = threading.Thread(target=server.run_settling, args=(listener,), name=f"uvicorn {url}")
    thread.daemon = True
    thread.start()
    try:
        if not server.settled.wait(_SERVE_TIMEOUT):
            raise AssertionError(f"uvicorn has not started in {_SERVE_TIMEOUT} s")
        if server.failure is not None:
            raise AssertionError("uvicorn has not started") from server.failure
        yield url
    finally:
        server.should_exit = True
        thread.join(_SERVE_TIMEOUT)
        listener.close()
    if thread.is_alive():
        raise AssertionError(f"uvicorn still runs {_SERVE_TIMEOUT} s after it was told to exit")
    if server.failure is not None:
        raise server.failure
