"""The adapters' error: a response that is not an event stream, or one beyond the limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sse_proto

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SSEError"]


class SSEError(sse_proto.SSEError):
    """The response is not an event stream, or one beyond the decoder's limits.

    Each adapter raises its own class, which is both this one and an error of its client's.

    Attributes:
        status_code: The response's status; ``None`` if no response was judged.
        headers: Its header fields as pairs of name and value, as they came.
        content_type: Its ``Content-Type``; ``""`` if there was none.
        body: Its body as text: the first 64 KiB, or what came of them within a second.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.headers = list(headers)
        self.content_type = content_type_of(self.headers)
        self.body = body

    def json(self) -> Any:
        """Return the body, parsed as JSON: what an API says is wrong.

        Raises:
            json.JSONDecodeError: It is not JSON, or larger than 64 KiB.
        """
        return json.loads(self.body.removeprefix("\ufeff"))


def content_type_of(headers: Iterable[tuple[str, str]]) -> str:
    """Return the value of ``Content-Type``; ``""`` if there is none.

    Several fields are joined, as RFC 9110, 5.3, has it.
    """
    return ", ".join(value for name, value in headers if name.lower() == "content-type")
