"""httpxr's async transports: which one serves a client, and how to send over it."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Final

import httpxr

from . import compat, process
from .certificates import CertificateRefused, Watch
from .compat import AsyncTransport

__all__ = ["TLS_HINT", "async_counterpart", "explicit_transport", "send_live"]

TLS_HINT: Final = (
    "certificates were verified with the default roots, as the verify= of a sync client cannot be"
    " seen; for others pass transport=httpxr.AsyncClient(verify=...)"
)

_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# The environment's settings that httpxr reads when it makes a client.
_ENVIRONMENT: Final = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")


def explicit_transport(transport: object, url: httpxr.URL) -> object:
    """Return what a ``transport`` argument stands for.

    Raises:
        TypeError: It is not one that streams.
    """
    if isinstance(transport, httpxr.AsyncClient):
        transport = compat.client_transport(transport, url)
    if compat.is_sync_network_transport(transport) or not (
        compat.is_async_transport(transport) or compat.is_sync_transport(transport)
    ):
        raise TypeError(
            "transport must be an httpxr.AsyncHTTPTransport, or an httpxr.AsyncClient whose"
            f" transport to use, not {type(transport).__name__}"
        )
    return transport


def async_counterpart(client: httpxr.Client, transport: object, url: httpxr.URL) -> object:
    """Return the async transport that does what a sync client's own would do.

    Raises:
        RuntimeError: It goes through a proxy that cannot be seen from here.
    """
    if not compat.has_proxy(transport) or compat.is_from_environment(client, transport):
        return compat.client_transport(_default_client(trust_env=client.trust_env), url)
    raise RuntimeError(
        "this httpxr.Client has a proxy, which an event stream would bypass; pass it again:"
        " connect_sse(..., transport=httpxr.AsyncHTTPTransport(proxy=...))"
    )


_default_clients: dict[tuple[object, ...], httpxr.AsyncClient] = {}


def _default_client(*, trust_env: bool) -> httpxr.AsyncClient:
    """Return a client with default transports: one for all, as making it takes 10 ms."""
    environment = [
        os.environ.get(spelling) for name in _ENVIRONMENT for spelling in (name, name.lower())
    ]
    key = (trust_env, *environment)
    if key not in _default_clients:
        _default_clients.clear()  # its connections are no use in another environment
        _default_clients[key] = httpxr.AsyncClient(trust_env=trust_env)
    return _default_clients[key]


async def send_live(transport: AsyncTransport, request: httpxr.Request) -> httpxr.Response:
    """Send a request over httpxr's async transport; return a response whose body streams.

    Cancelling this closes the connection.

    Raises:
        httpxr.RequestError: As httpxr does, its ``request`` set.
        RuntimeError: This process was forked from one that had used httpxr's async transport.
    """
    process.check_fork()
    process.note_use()
    try:
        # Caught here, not in a coroutine that this one awaits: there a tracer on CPython 3.11, such
        # as coverage or a debugger, would lose a frame each time.
        try:
            await _client_that_marks().send(request, stream=True)
        except _Marked as marked:
            request = marked.request
        else:
            raise AssertionError("httpxr sent a request that it should not")
        if request.url.scheme != "https":
            return await transport.handle_async_request(request)
        with Watch() as watch:
            try:
                return await transport.handle_async_request(request)
            except httpxr.ConnectError as error:
                if not watch.reason:
                    raise
                message = f"{error}: {watch.reason}"
                raise CertificateRefused(message, request=request) from error
    except httpxr.RequestError as error:
        process.note_cancellation()
        if type(error) is httpxr.NetworkError:
            if str(error).startswith("builder error"):  # nothing was sent
                message = _unsendable(request, error)
                raise httpxr.LocalProtocolError(message, request=request) from error
            # The connection broke before the headers.
            raise httpxr.ReadError(str(error), request=request) from error
        error.request = request
        raise
    except asyncio.CancelledError:
        process.note_cancellation()
        raise


def _unsendable(request: httpxr.Request, error: Exception) -> str:
    """Say why httpxr does not send a request: it just says "builder error"."""
    for name, value in request.headers.multi_items():
        if _CONTROL_CHARACTER.search(value):
            # The value of others may be secret.
            shown = f": {value!r:.100}" if name.lower() == "last-event-id" else ""
            return f"the header {name} has a control character{shown}"
    # With a URL, it has seen a response whose ``Location`` is not a URL.
    what = "follow the redirect of" if " for url " in str(error) else "send"
    return f"httpxr cannot {what} this request: {error}"


# A transport reads the body whole unless the request carries a mark, which only
# AsyncClient.send(stream=True) can make, on a copy that it gives to its own transport.


class _Marked(Exception):
    """Brings a marked request out of httpxr."""

    def __init__(self, request: httpxr.Request) -> None:
        self.request = request  # pragma: no cover, on a thread of httpxr's, which nobody traces


class _MarkingTransport(httpxr.AsyncBaseTransport):
    """Transport that takes the request away instead of sending it."""

    # Not a coroutine function: Ctrl-C may come between the call and what would await it.
    def handle_async_request(  # type: ignore[override]  # it never returns
        self, request: httpxr.Request
    ) -> httpxr.Response:
        raise _Marked(request)  # pragma: no cover, likewise


_marking_client: httpxr.AsyncClient | None = None


def _client_that_marks() -> httpxr.AsyncClient:
    global _marking_client
    if _marking_client is None:
        _marking_client = httpxr.AsyncClient(transport=_MarkingTransport())
    return _marking_client
