"""Reading a response of httpx's or httpx2's: what it is as chunks, and how it is closed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sse_proto._adapter.reading import BODY_BYTES, BODY_SECONDS
from sse_proto._adapter.reading import Reader as BaseReader

from ._library import error_class, library_of
from ._types import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from sse_proto._adapter.reading import Decoder

__all__ = ["Reader", "content_type_of", "request_of"]

_R = TypeVar("_R", bound=Response)
_T = TypeVar("_T")


class Reader(BaseReader[_R, _T], Generic[_R, _T]):
    """The items of one response, whoever opened or built it."""

    _ends_with_errors = True  # httpx closes a response then, and its generators are over

    def __init__(
        self, response: _R, decoder: Decoder[_T], objection: Callable[[int, str], str | None]
    ) -> None:
        super().__init__(response, decoder, objection)
        self._library: Final = library_of(response, "Response")

    def _head(self) -> tuple[int, str]:
        return self.response.status_code, content_type_of(self.response)

    def _open(self) -> Iterator[bytes]:
        self._check(
            "SyncByteStream", "asynchronous: use `async for`, or connect_sse() with a Client"
        )
        return self.response.iter_bytes()

    def _aopen(self) -> AsyncIterator[bytes]:
        self._check(
            "AsyncByteStream", "synchronous: use `for`, or aconnect_sse() with an AsyncClient"
        )
        return self.response.aiter_bytes()

    def _check(self, kind: str, otherwise: str) -> None:
        """Raise what is wrong with an unread body, before anything is done with it."""
        try:
            _ = self.response.content
        except self._library.ResponseNotRead:
            stream = self.response.stream
            if not isinstance(stream, getattr(self._library, kind)):
                name = type(stream).__name__
                raise TypeError(f"this response's body ({name}) is {otherwise}") from None
            if self.response.is_stream_consumed:
                raise self._library.StreamConsumed from None

    def _start_of(self, chunks: Iterator[bytes]) -> bytes:
        body, deadline = b"", time.monotonic() + BODY_SECONDS
        with _hurried(self.response):
            for chunk in chunks:
                body += chunk
                if len(body) >= BODY_BYTES or time.monotonic() > deadline:
                    break
        return body

    async def _astart_of(self, chunks: AsyncIterator[bytes]) -> bytes:
        self._async_chunks = chunks  # to be unwound
        body, deadline = b"", time.monotonic() + BODY_SECONDS
        with _hurried(self.response):
            async for chunk in chunks:
                body += chunk
                if len(body) >= BODY_BYTES or time.monotonic() > deadline:
                    break
        return body

    def _close_response(self) -> None:
        if not self.response.is_closed:
            self.response.close()

    async def _aclose_response(self) -> None:
        if not self.response.is_closed:
            await self.response.aclose()
        if self._async_chunks is not None:
            await _unwind(self._async_chunks, self.response)

    def _refusal(self, message: str, body: str | None) -> Exception:
        return error_class(self._library)(
            message,
            request=request_of(self.response),
            response=None if body is None else self.response,
            body=body or "",
        )

    def _closed_error(self) -> Exception:
        error: Exception = self._library.StreamClosed()
        return error


def content_type_of(response: Response) -> str:
    """Return the ``Content-Type`` header as it was sent; ``""`` where there is none."""
    return response.headers.get("content-type", "")


def request_of(response: Response) -> Any:
    """Return the request of a response, or ``None`` where it has none."""
    try:
        return response.request
    except RuntimeError:  # built without one
        return None


@contextmanager
def _hurried(response: Response) -> Generator[None]:
    """Read with httpx's timeout cut to `BODY_SECONDS`, and pass over what goes wrong."""
    # httpcore looks the timeout up when it starts to read the body, which is in this block.
    extensions: dict[str, Any] = getattr(request_of(response), "extensions", {})
    timeout = extensions.get("timeout", {})
    read = min(timeout.get("read") or BODY_SECONDS, BODY_SECONDS)
    extensions["timeout"] = {**timeout, "read": read}
    try:
        yield
    except Exception:
        pass
    finally:
        extensions["timeout"] = timeout


async def _unwind(chunks: Any, response: Response) -> None:
    """End the generators that a response's chunks have come from.

    They are several, one within the other, and closing the outer one leaves the inner ones to the
    garbage collector, of which trio warns. Where the connection is closed, the next read fails at
    once, and that ends them all.
    """
    stream = response.extensions.get("network_stream")
    connection = None if stream is None else stream.get_extra_info("socket")
    try:
        if connection is not None and connection.fileno() == -1:
            async for _ in chunks:  # what had been received
                pass
        await chunks.aclose()
    except Exception:  # that read's; or another task is reading, whose read fails then
        pass
