"""The one error that is ours; every other failure is an exception of httpx's or httpx2's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sse_adapter

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["SSEError"]


class SSEError(sse_adapter.SSEError):
    """The response is not an event stream, or one beyond the decoder's limits.

    What is raised is also a ``TransportError`` of the client's library.

    Attributes:
        request: The request, as with the library's own errors.
        response: The response, closed, its body read if it came whole (within 64 KiB and a second);
            ``None`` if no response was judged.
        status_code: Its status, as ``response.status_code``.
        headers: Its header fields, as pairs.
        content_type: Its ``Content-Type`` header as it was sent; ``""`` if there was none.
        body: Its body as text, up to the first 64 KiB. `json` parses it.
    """

    request: httpx.Request | httpx2.Request

    def __init__(
        self,
        message: str,
        *,
        request: Any = None,
        response: Any = None,
        body: str = "",
    ) -> None:
        if response is None:
            super().__init__(message, body=body)
        else:
            headers = response.headers.multi_items()
            super().__init__(message, status_code=response.status_code, headers=headers, body=body)
        if request is not None:
            self.request = request
        self.response: httpx.Response | httpx2.Response | None = response
