"""From a client and a call's arguments to an open response, whose body is yet to come."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

from sse_adapter import missing_headers

from ._library import library_of, translated
from ._opening import asend, send

if TYPE_CHECKING:
    from collections.abc import Generator

    from ._options import AsyncClient, Client, R, RequestOptions, URLTypes

__all__ = ["aopen_response", "build_request", "open_response", "refused_certificate"]

_IN_PROCESS_SECONDS: Final = 30.0
"""The longest wait for an application called in-process, if the client sets no limit."""
_NOT_ASCII: Final = "a header, or a cookie that a server has set, is not ASCII"
_OF_SENDING: Final = ("auth", "follow_redirects")


def open_response(client: Client[R], method: str, url: URLTypes, options: RequestOptions) -> R:
    """Send a request; return the response as soon as its headers are there."""
    library = library_of(client, "Client")
    request, sending = build_request(library, client, method, url, options)
    with _in_terms_of(library, request):
        response: R = send(client, request, sending)
    return response


async def aopen_response(
    client: AsyncClient[R], method: str, url: URLTypes, options: RequestOptions
) -> R:
    """Send a request asynchronously; return the response as soon as its headers are there."""
    library = library_of(client, "AsyncClient")
    request, sending = build_request(library, client, method, url, options)
    with _in_terms_of(library, request):
        if not _runs_in_process(library, client, request):
            response: R = await asend(client, request, sending)
            return response
        timeouts: dict[str, Any] = request.extensions.get("timeout", {})
        seconds = timeouts.get("read") or _IN_PROCESS_SECONDS
        with anyio.move_on_after(seconds):
            return await client.send(request, stream=True, **sending)
    raise library.ReadTimeout(
        f"no response within {seconds} s: ASGITransport runs an application to its end before it"
        " answers, and a stream may have none; use a server on 127.0.0.1",
        request=request,
    )


def _runs_in_process(library: Any, client: Any, request: Any) -> bool:
    """Whether a client calls an application instead of sending a request."""
    transport_for = getattr(client, "_transport_for_url", None)
    return transport_for is not None and isinstance(
        transport_for(request.url), library.ASGITransport
    )


def build_request(
    library: Any, client: Any, method: str, url: URLTypes, options: RequestOptions
) -> tuple[Any, dict[str, Any]]:
    """Return the request as the client makes it, and the arguments of ``client.send``."""
    headers = library.Headers(options.get("headers"))  # a copy
    headers.update(missing_headers(headers, client.headers))
    building: dict[str, Any] = {**options, "headers": headers}
    sending: dict[str, Any] = {name: building.pop(name) for name in _OF_SENDING if name in building}
    sending.setdefault("follow_redirects", True)
    try:
        return client.build_request(method, url, **building), sending
    except UnicodeEncodeError as error:
        raise library.LocalProtocolError(f"{_NOT_ASCII}: {error}") from error


@contextmanager
def _in_terms_of(library: Any, request: Any) -> Generator[None, None, None]:
    """Raise the library's errors instead of others that a redirect makes it raise."""
    try:
        yield
    except library.InvalidURL as error:
        message = f"redirected to no URL of HTTP's: {error}"
        raise library.UnsupportedProtocol(message, request=request) from error
    except UnicodeError as error:
        if getattr(error, "encoding", "") == "ascii":
            raise library.LocalProtocolError(f"{_NOT_ASCII}: {error}", request=request) from error
        raise _no_such_host(library, request, error) from error
    except library.ConnectError as error:
        refused = refused_certificate(error)
        if refused is None or str(error):
            raise
        raise library.ConnectError(str(refused), request=request) from error  # on trio it has none
    except Exception as error:
        # A port beyond 65535, from within a task group of anyio's.
        failures = getattr(error, "exceptions", ())
        if failures and all(isinstance(failure, OverflowError) for failure in failures):
            raise _no_such_host(library, request, failures[0]) from error
        known = translated(library, error, request)
        if known is error:
            raise
        raise known from error


def _no_such_host(library: Any, request: Any, error: Exception) -> Exception:
    """Return the error for a name or port that the socket refuses: that of an unknown host."""
    failed: Exception = library.ConnectError(f"no such host: {error}", request=request)
    return failed


def refused_certificate(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return why a server's certificate was refused, if that is what caused an error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__  # httpcore sets one or the other
    return None
