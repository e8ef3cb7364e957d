"""Whether a response is what it should be, by its status and content type."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpxr

__all__ = ["media_type", "not_event_stream", "not_json_stream"]


def media_type(response: httpxr.Response) -> str:
    """Return the type and subtype of a response, in lower case. See RFC 9110, 8.3.1."""
    return _content_type(response).partition(";")[0].strip(" \t").lower()


def not_event_stream(response: httpxr.Response) -> str | None:
    """Say why a response is no event stream; ``None`` if it is. See HTML Standard 9.2.3."""
    if response.status_code != 200:
        return f"expected status 200, got {_found(response)}"
    if media_type(response) != "text/event-stream":
        return f"expected content type 'text/event-stream', got {_found(response)}"
    return None


def not_json_stream(response: httpxr.Response) -> str | None:
    """Say why a response has no JSON objects; ``None`` if it may have."""
    if not response.is_success:
        return f"expected a status of success, got {_found(response)}"
    main_type, _, subtype = media_type(response).partition("/")
    if not (
        (main_type == "application" and "json" in subtype)
        or media_type(response) in ("text/event-stream", "text/plain")
    ):
        return f"expected an event stream or NDJSON, got {_found(response)}"
    return None


def _content_type(response: httpxr.Response) -> str:
    return response.headers.get("content-type") or ""


def _found(response: httpxr.Response) -> str:
    content_type = _content_type(response)
    described = f"content type {content_type!r:.100}" if content_type else "no content type"
    return f"status {response.status_code} with {described}"
