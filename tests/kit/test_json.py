"""Which responses may have JSON in them."""

from __future__ import annotations

import pytest

from sse_adapter._json import why_no_json_stream


@pytest.mark.parametrize(
    ("status_code", "content_type", "reason"),
    [
        (200, "application/x-ndjson", None),
        (201, "Application/Problem+JSON; charset=utf-8", None),
        (299, "text/event-stream", None),
        (200, "text/plain", None),
        (300, "application/json", "expected a status of success, got status 300 with content type"),
        (404, "", "expected a status of success, got status 404 with no content type"),
        (200, "text/html, application/json", None),
        (200, "text/json", "expected an event stream or NDJSON, got status 200 with content type"),
        (200, "application/xml", "expected an event stream or NDJSON, got status 200 with content"),
    ],
)
def test_responses_that_may_have_json(
    status_code: int, content_type: str, reason: str | None
) -> None:
    found = why_no_json_stream(status_code, content_type)
    assert found == reason if reason is None or found is None else found.startswith(reason)
