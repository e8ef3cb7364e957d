"""`connect_sse` and `aconnect_sse`: open a response, and close it whatever happens."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from ._live import aopen_live, open_live
from ._request import UNSET
from ._source import EventSource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence

    import httpxr

    import sse_proto

    HeaderTypes = httpxr.Headers | Mapping[str, str] | Sequence[tuple[str, str]] | None
    TimeoutTypes = (
        httpxr.Timeout
        | float
        | tuple[float | None, float | None, float | None, float | None]
        | None
    )
    AuthTypes = (
        tuple[str, str]
        | httpxr.Auth
        | httpxr.BasicAuth
        | httpxr.DigestAuth
        | Callable[[httpxr.Request], httpxr.Request]
        | None
    )

__all__ = ["aconnect_sse", "connect_sse"]


@contextmanager
def connect_sse(
    client: httpxr.Client,
    method: str,
    url: httpxr.URL | str,
    *,
    params: object = None,
    headers: HeaderTypes = None,
    cookies: Mapping[str, str] | None = None,
    content: bytes | str | Iterable[bytes] | None = None,
    data: Mapping[str, object] | None = None,
    files: object = None,
    json: object = None,
    auth: AuthTypes = UNSET,
    follow_redirects: bool = True,
    timeout: TimeoutTypes = UNSET,
    extensions: Mapping[str, Any] | None = None,
    transport: object = None,
    decoder: sse_proto.SSEDecoder | None = None,
) -> Generator[EventSource, None, None]:
    """Open an event stream; close its connection at the end of the ``with`` block.

    The request is what ``client.request`` would send: with the client's base URL, parameters,
    headers, cookies, authentication, event hooks, mounts and transport. The headers ``Accept:
    text/event-stream`` and ``Cache-Control: no-store`` are added where ``headers`` has none.

    Args:
        client: A plain `httpxr.Client` streams live here, though it does not by itself.
        method: Mostly ``"GET"`` or ``"POST"``.
        url: Absolute, or relative to the client's base URL.
        params, headers, cookies, content, data, files, json, extensions: As ``client.request``
            takes them; iterables in ``content`` are read whole, to be sent again by a redirect.
        auth: As ``client.request``; ``None``: none. Default: the client's.
        follow_redirects: Follow up to 20. Credentials are sent to the same origin only.
        timeout: Seconds, an `httpxr.Timeout`, or ``None`` for no timeout. ``read`` is the longest
            silence between bytes, and never a limit for the whole stream. The greater one of
            ``connect`` and ``read`` is for the time until the response's headers. Default: the
            client's.
        transport: An ``httpxr.AsyncHTTPTransport``, or an `httpxr.AsyncClient` to use the transport
            of, in place of the client's. It is how to reach a proxy, or a server with a private CA,
            since a sync client's own ``proxy`` and ``verify`` cannot be seen from outside.
        decoder: As `EventSource` takes it.

    Raises:
        httpxr.ConnectTimeout, httpxr.ReadTimeout: No response within the timeout.
        httpxr.RequestError: The request failed otherwise, for example `httpxr.ConnectError`, or
            `httpxr.TooManyRedirects`.
        RuntimeError: The client is closed; or has a proxy, and there is no ``transport``; or the
            process was forked from one that had used httpxr's async transport.
        TypeError: An argument is of the wrong type.

    What the response is does not matter here: status and content type are judged when iterating
    starts, so that ``source.response`` may be looked at first.
    """
    response = open_live(
        client,
        method,
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        content=content,
        data=data,
        files=files,
        json=json,
        auth=auth,
        follow_redirects=follow_redirects,
        timeout=timeout,
        extensions=extensions,
        transport=transport,
    )
    source = EventSource(response, decoder=decoder)
    del response  # its stream is closed through the source
    try:
        yield source
    finally:
        source.close()


@asynccontextmanager
async def aconnect_sse(
    client: httpxr.AsyncClient,
    method: str,
    url: httpxr.URL | str,
    *,
    params: object = None,
    headers: HeaderTypes = None,
    cookies: Mapping[str, str] | None = None,
    content: bytes | str | Iterable[bytes] | None = None,
    data: Mapping[str, object] | None = None,
    files: object = None,
    json: object = None,
    auth: AuthTypes = UNSET,
    follow_redirects: bool = True,
    timeout: TimeoutTypes = UNSET,
    extensions: Mapping[str, Any] | None = None,
    transport: object = None,
    decoder: sse_proto.SSEDecoder | None = None,
) -> AsyncGenerator[EventSource, None]:
    """Open an event stream on asyncio; close its connection at the end of the ``async with`` block.

    Arguments and errors are those of `connect_sse`, with an `httpxr.AsyncClient`. A number that was
    given as the client's own timeout does not hold: httpxr's async client forgets it. Also raises:
        RuntimeError: No asyncio event loop is running, for example on trio.
    """
    response = await aopen_live(
        client,
        method,
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        content=content,
        data=data,
        files=files,
        json=json,
        auth=auth,
        follow_redirects=follow_redirects,
        timeout=timeout,
        extensions=extensions,
        transport=transport,
    )
    source = EventSource(response, decoder=decoder)
    del response  # its stream is closed through the source
    try:
        yield source
    finally:
        await source.aclose()
