"""Whether a response is an event stream, by its status and content type."""

from __future__ import annotations

__all__ = ["media_type", "why_no_event_stream"]


def media_type(content_type: str) -> str:
    """Return the type and subtype of a ``Content-Type``, in lower case. See RFC 9110, 8.3.1."""
    return content_type.partition(";")[0].strip(" \t").lower()


def why_no_event_stream(status_code: int, content_type: str) -> str | None:
    """Say why a response is no event stream; ``None`` if it is. See HTML Standard 9.2.3."""
    if status_code != 200:
        return f"expected status 200, got {_found(status_code, content_type)}"
    if media_type(content_type) != "text/event-stream":
        expected = "expected content type 'text/event-stream'"
        return f"{expected}, got {_found(status_code, content_type)}"
    return None


def _found(status_code: int, content_type: str) -> str:
    described = f"content type {content_type!r:.100}" if content_type else "no content type"
    return f"status {status_code} with {described}"
