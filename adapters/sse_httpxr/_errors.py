"""The one error that is ours; every other failure is an exception of httpxr's own."""

from __future__ import annotations

import httpxr

import sse_adapter

__all__ = ["SSEError"]


class SSEError(sse_adapter.SSEError, httpxr.TransportError):
    """The response is not an event stream, or one beyond the decoder's limits.

    Attributes:
        request: The request, as with httpxr's own errors.
        response: The response, closed, its body read if it came whole (within 64 KiB and a second);
            ``None`` if no response was judged.
        status_code: Its status, as ``response.status_code``.
        headers: Its header fields, as pairs.
        content_type: Its ``Content-Type`` header as it was sent; ``""`` if there was none.
        body: Its body as text, up to the first 64 KiB. `json` parses it.
    """

    def __init__(
        self,
        message: str,
        *,
        request: httpxr.Request | None = None,
        response: httpxr.Response | None = None,
        body: str = "",
    ) -> None:
        if response is None:
            super().__init__(message, body=body)
        else:
            headers = response.headers.multi_items()
            super().__init__(message, status_code=response.status_code, headers=headers, body=body)
        if request is not None:
            self.request = request
        self.response = response
