"""Start a run by POST, and read its events to the end, whatever happens to the connections.

    python examples/resume_run.py https://example.com/runs

The response to the POST has a ``Location``, where GET returns the events after ``Last-Event-ID``.
So no second run is started.
"""

from __future__ import annotations

import sys
from typing import Any

import httpxr

from sse_httpxr import subscribe
from sse_proto import Lost, NextRequest


def main() -> int:
    (url,) = sys.argv[1:]

    def go_on(lost: Lost[httpxr.Response]) -> NextRequest | None:
        if lost.response is None or "location" not in lost.response.headers:
            return None  # no run yet, or it is this one: repeat the request
        return NextRequest("GET", str(httpxr.URL(url).join(lost.response.headers["location"])))

    question: dict[str, Any] = {"input": "Hi"}
    with httpxr.Client() as client:
        with subscribe(
            client,
            "POST",
            url,
            json=question,
            next_request=go_on,
            is_last=lambda event: event.event in ("end", "error"),
        ) as events:
            for event in events:
                print(event.id, event.event, event.data, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
