"""`connect_sse`, `iter_json` and their async forms: one response, closed whatever happens."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

import sse_adapter
from sse_adapter import async_json_items, json_items, split_options

from ._body import AsyncBody, SyncBody
from ._options import RequestOptions
from ._request import aopen_response, open_response
from ._source import EventSource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from typing_extensions import Unpack

    from sse_adapter import AsyncItems, Items

    from ._options import AsyncClient, Client, ConnectOptions, R, Response, URLTypes

__all__ = ["aconnect_sse", "aiter_json", "connect_sse", "iter_json"]

T = TypeVar("T")


@contextmanager
def connect_sse(
    client: Client[R], method: str, url: URLTypes, **options: Unpack[ConnectOptions]
) -> Generator[EventSource[R], None, None]:
    """Open an event stream; close its connection when you leave the ``with`` block.

    The request is what ``client.stream`` sends, with the headers ``Accept: text/event-stream`` and
    ``Cache-Control: no-store`` added where neither ``headers`` nor the client has them.

    Args:
        client: An ``httpx.Client`` or ``httpx2.Client``. Errors are of the same library.
        method: Usually ``"GET"`` or ``"POST"``.
        url: Absolute, or relative to the client's base URL.
        options: Those of the request, as ``client.stream`` takes them, and our own, such as
            ``decoder``; see `ConnectOptions`.

    Raises:
        httpx.RequestError: The request failed, for example ``ConnectError`` or ``ConnectTimeout``.
        TypeError: The client is neither of these, an argument has the wrong type, or there is no
            such option.

    Any response is accepted here: status and content type are judged when iterating starts, so you
    can look at ``source.response`` first.
    """
    own, request = split_options("connect_sse", options, sse_adapter.ConnectOptions, RequestOptions)
    with closing(EventSource(open_response(client, method, url, request), **own)) as source:
        yield source


@asynccontextmanager
async def aconnect_sse(
    client: AsyncClient[R], method: str, url: URLTypes, **options: Unpack[ConnectOptions]
) -> AsyncGenerator[EventSource[R], None]:
    """Open an event stream on asyncio or trio; close its connection after the ``async with`` block.

    Arguments and errors are those of `connect_sse`, with an ``AsyncClient``.
    """
    own, request = split_options(
        "aconnect_sse", options, sse_adapter.ConnectOptions, RequestOptions
    )
    response = await aopen_response(client, method, url, request)
    async with aclosing(EventSource(response, **own)) as source:
        yield source


@overload
def iter_json(response: Response) -> Items[Any]: ...
@overload
def iter_json(response: Response, loads: Callable[[bytes], T]) -> Items[T]: ...
def iter_json(response: Response, loads: Callable[[bytes], Any] | None = None) -> Items[Any]:
    """Return an iterator over the JSON in a response, each item as soon as it has arrived.

    Args:
        response: From `connect_sse`, as its ``source.response``, or as `EventSource` takes it. An
            event stream gives the data of its events, parsed, without empty ones.
            ``application/json`` (or ``+json``) gives the document, however many lines it has;
            ``application/json-seq`` each text of the sequence (RFC 7464); NDJSON (other
            ``application/*`` types with ``json``, and ``text/plain``) each line that is not
            blank.
        loads: As for `EventSource.iter_json`; called with each of these texts, as bytes. If it
            raises, `failed_event` returns the text as the data of an event.

    Iterating ends at ``[DONE]``, or with the body. It raises what iterating an `EventSource` does;
    also:
        json.JSONDecodeError: Something is not JSON; the message shows its start. You may go on.
        SSEError: The status is not 2xx, or the content type none of these.
    """
    body = SyncBody(response)
    return json_items(body) if loads is None else json_items(body, loads)


@overload
def aiter_json(response: Response) -> AsyncItems[Any]: ...
@overload
def aiter_json(response: Response, loads: Callable[[bytes], T]) -> AsyncItems[T]: ...
def aiter_json(response: Response, loads: Callable[[bytes], Any] | None = None) -> AsyncItems[Any]:
    """Return an asynchronous iterator over the JSON in a response, as `iter_json`."""
    body = AsyncBody(response)
    return async_json_items(body) if loads is None else async_json_items(body, loads)
