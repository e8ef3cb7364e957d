"""A driver for a browser's own `EventSource`: ``python -m examples.conformance.browser``.

Needs Chromium. Each case is a connection, and a reconnection, so `tests.oracle` asks the browser
all cases of a batch at once: give it many, with ``--at-once 5000 --timeout 600 --seconds 0``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any, Final

from tests.oracle.cases import Case, Outcome, Response
from tests.oracle.oracles import ask, chromium

# Seconds to wait for another request before asking those at hand.
_LULL: Final = 0.5


def main() -> None:
    """Answer until standard input ends."""
    oracle = chromium()
    print(json.dumps({"name": oracle.name, "version": oracle.version}), flush=True)
    for requests in _batches():
        outcomes = asyncio.run(ask(oracle, [_case(request) for request in requests]))
        for request, outcome in zip(requests, outcomes, strict=True):
            print(json.dumps({"id": request["id"], **_answer(outcome)}), flush=True)


def _case(request: dict[str, Any]) -> Case:
    chunks = tuple(base64.b64decode(chunk) for chunk in request["chunks"])
    # The stream, then 204, which stops the client.
    return Case("driver", str(request["id"]), "", (Response(chunks), Response(status=204)))


def _answer(outcome: Outcome) -> dict[str, object]:
    # The reconnection time shows only in the time until the next request: see tests.oracle.
    events = [{"event": event, "data": data, "id": id_} for event, data, id_ in outcome.events]
    return {"events": events}


def _batches() -> Iterator[list[dict[str, Any]]]:
    lines: SimpleQueue[str | None] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (line := lines.get()) is not None:
        batch = [json.loads(line)]
        try:
            while (line := lines.get(timeout=_LULL)) is not None:
                batch.append(json.loads(line))
        except Empty:
            yield batch
        else:
            yield batch
            return


if __name__ == "__main__":
    main()
