"""The one error that is ours; every other failure is an exception of httpxr's own."""

from __future__ import annotations

import httpxr

from ._compat import content_type_of

__all__ = ["SSEError"]


class SSEError(httpxr.TransportError):
    """The response is no event stream, or one that is beyond the decoder's limits.

    Attributes:
        response: The response, its body unread; ``None`` where no response was judged.
        status_code: Its status, as ``response.status_code``.
        content_type: Its ``Content-Type`` header as it was sent; ``""`` where there was none.
        body: Up to the first 1,024 bytes of its body, as text.
    """

    def __init__(
        self,
        message: str,
        *,
        request: httpxr.Request | None = None,
        response: httpxr.Response | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message, request=request)
        self.response = response
        self.status_code = None if response is None else response.status_code
        self.content_type = "" if response is None else content_type_of(response)
        self.body = body
