"""Whether a response is an event stream, by its status and content type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, cast

__all__ = ["HeaderTypes", "fields_of", "media_type", "why_no_event_stream"]

HeaderTypes: TypeAlias = (
    Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
)
"""Header fields, as a mapping or as pairs; names in any case."""

# One value of a list: commas inside quoted strings belong to it. An unclosed quoted string runs to
# the end. See "get, decode, and split", Fetch 2.2.2.
_VALUE: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.|\\\Z)*(?:"|\Z))*', re.DOTALL)
# Type and subtype, both HTTP tokens, with whitespace around as MIME Sniffing 4.4 allows it.
_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_ESSENCE: Final = re.compile(rf"[\t\n\r ]*({_TOKEN}/{_TOKEN})[\t\n\r ]*(?:;|\Z)")


def fields_of(headers: HeaderTypes) -> dict[str, str]:
    """Return header fields by name, in lower case.

    Fields with the same name are joined with commas, as a list is (RFC 9110, 5.3). ``Retry-After``
    is not a list: its last field counts.
    """
    if isinstance(headers, Mapping):  # which joins them itself
        mapping = cast("Mapping[str, str]", headers)
        return {name.lower(): value for name, value in mapping.items()}
    fields: dict[str, str] = {}
    for name, value in cast("Iterable[tuple[str | bytes, str | bytes]]", headers):
        key, text = _text(name).lower(), _text(value)
        fields[key] = f"{fields[key]}, {text}" if key in fields and key != "retry-after" else text
    return fields


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def media_type(content_type: str) -> str:
    """Return the type and subtype of a ``Content-Type``, in lower case; ``""`` if it has none.

    In a list, the last valid one other than ``*/*`` counts: a server, or a proxy, may have sent the
    header twice. See "extract a MIME type", Fetch 2.2.2, and "parse a MIME type", MIME Sniffing
    4.4.

    Args:
        content_type: The header's value; for several such headers, their values joined with commas.
    """
    found = ""
    position = 0
    while position <= len(content_type):
        value = cast("re.Match[str]", _VALUE.match(content_type, position))
        position = value.end() + 1  # after the comma
        essence = _ESSENCE.match(value[0])
        if essence is not None and essence[1] != "*/*":
            found = essence[1].lower()
    return found


def why_no_event_stream(status_code: int, content_type: str) -> str | None:
    """Say why a response is not an event stream; ``None`` if it is. See HTML Standard 9.2.3.

    Args:
        status_code: The response's.
        content_type: As `media_type` takes it.
    """
    if status_code != 200:
        return f"expected status 200, got {_found(status_code, content_type)}"
    if media_type(content_type) != "text/event-stream":
        expected = "expected content type 'text/event-stream'"
        return f"{expected}, got {_found(status_code, content_type)}"
    return None


def _found(status_code: int, content_type: str) -> str:
    described = f"content type {content_type!r:.100}" if content_type else "no content type"
    return f"status {status_code} with {described}"
