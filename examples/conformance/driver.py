"""What all drivers in Python share: JSON lines in, JSON lines out. See docs/howto/fuzzing.md."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["drive", "told"]


def drive(decode: Callable[[list[bytes]], Iterable[Any]], name: str, version: str) -> None:
    """Answer each line of standard input with the events that `decode` makes from its chunks."""
    print(json.dumps({"name": name, "version": version}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        chunks = [base64.b64decode(chunk) for chunk in request["chunks"]]
        answer: dict[str, object]
        try:
            answer = {"events": list(told(decode(chunks)))}
        except Exception as error:  # whatever the decoder raises over a stream
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": request["id"], **answer}), flush=True)


def told(events: Iterable[Any]) -> Iterator[dict[str, object]]:
    """Yield what each event says. Whether it has an ID or a time, and by what name, differs."""
    for event in events:
        if isinstance(event, str):
            yield {"data": event}
            continue
        fields: dict[str, object] = {"data": event.data}
        for field, names in (
            ("event", ("event", "type")),
            ("id", ("last_event_id", "id")),
            ("retry", ("retry",)),
        ):
            for attribute in names:
                if hasattr(event, attribute):
                    fields[field] = getattr(event, attribute)
                    break
        yield fields
