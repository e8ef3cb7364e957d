"""The one error that is ours; every other failure is an exception of httpx's or httpx2's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["SSEError"]


class SSEError(Exception):
    """The response is no event stream, or one that is beyond the decoder's limits.

    What is raised is also a ``TransportError`` of the client's library.

    Attributes:
        request: The request, as with the library's own errors.
        response: The response, its body unread; ``None`` where no response was judged.
        status_code: Its status, as ``response.status_code``.
        content_type: Its ``Content-Type`` header as it was sent; ``""`` where there was none.
        body: Up to the first 1,024 bytes of its body, as text.
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
        super().__init__(message)
        if request is not None:
            self.request = request
        self.response: httpx.Response | httpx2.Response | None = response
        self.status_code: int | None = None if response is None else response.status_code
        self.content_type: str = (
            "" if response is None else response.headers.get("content-type", "")
        )
        self.body = body
