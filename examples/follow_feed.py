"""Follow a feed; when restarted, go on after the last event.

    python examples/follow_feed.py https://example.com/feed --state feed.json

The ID of an event is on disk before the next one is handled: a program that is killed sees at most
one event twice, and misses none that the server still has.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import httpxr

from sse_httpxr import subscribe
from sse_proto import Action, ServerSentEvent, Wait


def main() -> int:
    parser = argparse.ArgumentParser(description="Follow a feed, even across restarts.")
    parser.add_argument("url")
    parser.add_argument("--state", type=Path, default=Path("feed.json"), metavar="FILE")
    options = parser.parse_args()

    with httpxr.Client() as client:
        with subscribe(
            client,
            "GET",
            options.url,
            last_event_id=load(options.state),
            idle_timeout=45,  # three heartbeats, from a server that sends one every 15 s
            on_state=report,
        ) as events:
            try:
                for event in events:
                    handle(event)
                    # Not events.last_event_id: that may belong to an event still to come.
                    save(options.state, event.id)
            except KeyboardInterrupt:
                return 130
    return 0


def handle(event: ServerSentEvent) -> None:
    """What the program is for. Here: print the first line."""
    print(f"{event.id}  {event.event}  {event.data.partition(chr(10))[0]}", flush=True)


def report(action: Action) -> None:
    if isinstance(action, Wait):
        print(f"(lost: {action.error or 'ended'}; again in {action.seconds:.1f} s)", flush=True)


def load(path: Path) -> str | None:
    """Return the last event ID from an earlier run; ``None`` in the first."""
    try:
        state: dict[str, str | None] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    return state["last_event_id"]


def save(path: Path, last_event_id: str | None) -> None:
    """Replace the state in one step: after a crash it is the old one or the new one."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"last_event_id": last_event_id}), "utf-8")
    os.replace(new, path)


if __name__ == "__main__":
    raise SystemExit(main())
