"""`connect_sse` and `aconnect_sse`: open a response, and close it whatever happens."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from ._open import UNSET, aopen_response, open_response
from ._source import EventSource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping

    from sse_proto import SSEDecoder

    from ._types import (
        AsyncClient,
        AuthTypes,
        Client,
        ContentTypes,
        CookieTypes,
        HeaderTypes,
        R,
        TimeoutTypes,
        URLTypes,
    )

__all__ = ["aconnect_sse", "connect_sse"]


@contextmanager
def connect_sse(
    client: Client[R],
    method: str,
    url: URLTypes,
    *,
    params: object = None,
    headers: HeaderTypes = None,
    cookies: CookieTypes = None,
    content: ContentTypes = None,
    data: Mapping[str, object] | None = None,
    files: object = None,
    json: object = None,
    auth: AuthTypes = UNSET,
    follow_redirects: bool = True,
    timeout: TimeoutTypes = UNSET,
    extensions: Mapping[str, Any] | None = None,
    decoder: SSEDecoder | None = None,
) -> Generator[EventSource[R], None, None]:
    """Open an event stream; close its connection at the end of the ``with`` block.

    The request is what ``client.stream`` sends, with the headers ``Accept: text/event-stream`` and
    ``Cache-Control: no-store`` added where ``headers`` has none.

    Args:
        client: An ``httpx.Client`` or ``httpx2.Client``. What is raised is of the same library.
        method: Mostly ``"GET"`` or ``"POST"``.
        url: Absolute, or relative to the client's base URL.
        params, headers, cookies, content, data, files, json, extensions: As ``client.stream`` takes
            them.
        auth: As ``client.stream``; ``None``: none. Default: the client's.
        follow_redirects: As the standard asks, whatever the client's own setting. The
            ``Authorization`` header is not sent to another origin.
        timeout: Seconds, a ``Timeout`` of the library's, or ``None`` for no timeout; its ``read``
            is the longest silence between bytes. Default: the client's, whose default are 5 s.
        decoder: As `EventSource` takes it.

    Raises:
        httpx.RequestError: The request failed, for example ``ConnectError`` or ``ConnectTimeout``.
        TypeError: The client is none of these, or an argument is of the wrong type.

    What the response is does not matter here: status and content type are judged when iterating
    starts, so that ``source.response`` may be looked at first.
    """
    response = open_response(
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
    )
    source = EventSource(response, decoder=decoder)
    try:
        yield source
    finally:
        source.close()


@asynccontextmanager
async def aconnect_sse(
    client: AsyncClient[R],
    method: str,
    url: URLTypes,
    *,
    params: object = None,
    headers: HeaderTypes = None,
    cookies: CookieTypes = None,
    content: ContentTypes = None,
    data: Mapping[str, object] | None = None,
    files: object = None,
    json: object = None,
    auth: AuthTypes = UNSET,
    follow_redirects: bool = True,
    timeout: TimeoutTypes = UNSET,
    extensions: Mapping[str, Any] | None = None,
    decoder: SSEDecoder | None = None,
) -> AsyncGenerator[EventSource[R], None]:
    """Open an event stream on asyncio or trio; close its connection after the ``async with`` block.

    Arguments and errors are those of `connect_sse`, with an ``AsyncClient``.
    """
    response = await aopen_response(
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
    )
    source = EventSource(response, decoder=decoder)
    try:
        yield source
    finally:
        await source.aclose()
