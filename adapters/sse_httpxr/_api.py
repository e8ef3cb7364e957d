"""`connect_sse`, `iter_json` and their async forms: one response, closed whatever happens."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

import sse_adapter
from sse_adapter import async_json_items, json_items, split_options

from ._body import AsyncBody, SyncBody
from ._live.opening import aopen_live, open_live
from ._options import RequestOptions
from ._source import EventSource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    import httpxr
    from typing_extensions import Unpack

    from sse_adapter import AsyncItems, Items

    from ._options import ConnectOptions, URLTypes

__all__ = ["aconnect_sse", "aiter_json", "connect_sse", "iter_json"]

T = TypeVar("T")


@contextmanager
def connect_sse(
    client: httpxr.Client, method: str, url: URLTypes, **options: Unpack[ConnectOptions]
) -> Generator[EventSource, None, None]:
    """Open an event stream; close its connection when you leave the ``with`` block.

    The request is what ``client.request`` would send: with the client's base URL, parameters,
    headers, cookies, authentication, event hooks, mounts and transport. The headers ``Accept:
    text/event-stream`` and ``Cache-Control: no-store`` are added where neither ``headers`` nor the
    client has them.

    Args:
        client: A plain `httpxr.Client`, which does not stream live by itself; here it does.
        method: Usually ``"GET"`` or ``"POST"``.
        url: Absolute, or relative to the client's base URL.
        options: Those of the request, as ``client.request`` takes them, ``transport``, and our own,
            such as ``decoder``; see `ConnectOptions`.

    Raises:
        httpxr.ConnectTimeout, httpxr.ReadTimeout: No response within the timeout.
        httpxr.RequestError: The request failed otherwise, for example with `httpxr.ConnectError` or
            `httpxr.TooManyRedirects`.
        RuntimeError: The client is closed; or has a proxy, and there is no ``transport``; or the
            process was forked from one that had used httpxr's async transport.
        TypeError: An argument is of the wrong type, or there is no such option.

    Any response is accepted here: status and content type are judged when iterating starts, so you
    can look at ``source.response`` first.
    """
    own, request = split_options("connect_sse", options, sse_adapter.ConnectOptions, RequestOptions)
    with closing(EventSource(open_live(client, method, url, request), **own)) as source:
        yield source


@asynccontextmanager
async def aconnect_sse(
    client: httpxr.AsyncClient, method: str, url: URLTypes, **options: Unpack[ConnectOptions]
) -> AsyncGenerator[EventSource, None]:
    """Open an event stream on asyncio; close its connection at the end of the ``async with`` block.

    Arguments and errors are those of `connect_sse`, with an `httpxr.AsyncClient`. If the client's
    own timeout was given as a plain number, it has no effect: httpxr's async client forgets it.
    Also raises:
        RuntimeError: No asyncio event loop is running, for example on trio.
    """
    own, request = split_options(
        "aconnect_sse", options, sse_adapter.ConnectOptions, RequestOptions
    )
    async with aclosing(
        EventSource(await aopen_live(client, method, url, request), **own)
    ) as source:
        yield source


@overload
def iter_json(response: httpxr.Response) -> Items[Any]: ...
@overload
def iter_json(response: httpxr.Response, loads: Callable[[bytes], T]) -> Items[T]: ...
def iter_json(response: httpxr.Response, loads: Callable[[bytes], Any] | None = None) -> Items[Any]:
    """Return an iterator over the JSON objects in a response, each as soon as it has arrived.

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
        SSEError: The status is not a success, or the content type none of these.
    """
    body = SyncBody(response)
    return json_items(body) if loads is None else json_items(body, loads)


@overload
def aiter_json(response: httpxr.Response) -> AsyncItems[Any]: ...
@overload
def aiter_json(response: httpxr.Response, loads: Callable[[bytes], T]) -> AsyncItems[T]: ...
def aiter_json(
    response: httpxr.Response, loads: Callable[[bytes], Any] | None = None
) -> AsyncItems[Any]:
    """Return an asynchronous iterator over the JSON objects in a response, as `iter_json`."""
    body = AsyncBody(response)
    return async_json_items(body) if loads is None else async_json_items(body, loads)
