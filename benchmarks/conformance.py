"""Which decoder passes how many vectors: ``python -m benchmarks.conformance [--failures PEER]``.

Each decoder gets the streams of `sse_testing.vectors`, whole and one byte a chunk, as its users
feed it. Compared are an event's type, data, last event ID, and the reconnection time that its block
set, if the decoder tells it. Vectors whose expectation is a decision of ours are left out. What is
raised counts as a failure.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sse_testing

from .bench_decoder import environment
from .peers import PEERS, Peer, find_peers

__all__ = ["Vector", "failure", "main", "vectors"]

Fields: TypeAlias = "tuple[str, str, str, int | None]"
"""Event type, data, last event ID (``""`` where the stream has set none), reconnection time."""


@dataclass(frozen=True)
class Vector:
    """A stream, and the events that the standard makes of it."""

    family: str
    name: str
    why: str
    stream: bytes
    events: list[Fields]


def vectors() -> list[Vector]:
    """Return the vectors that the standard decides."""
    return [
        Vector(
            each.family,
            each.name,
            each.why,
            each.stream,
            [(event, data, id_ or "", retry) for event, data, id_, retry in each.events],
        )
        for each in sse_testing.vectors()
        if each.by_standard
    ]


def failure(peer: Peer, vector: Vector, *, bytewise: bool) -> str:
    """Return how a decoder fails a vector; empty if it passes."""
    size = 1 if bytewise else len(vector.stream) or 1
    stream = vector.stream
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    try:
        events: list[Any] = list(peer.decode(chunks))
    except Exception as error:  # whatever another's decoder raises over a stream
        return f"raised {error!r:.80}"
    expected = vector.events
    if not all(hasattr(event, "retry") for event in events):
        expected = [
            (event, data, last_event_id, None) for event, data, last_event_id, _ in expected
        ]
    found = [_fields(event) for event in events]
    return "" if found == expected else f"got {found!r:.80}"


def _fields(event: Any) -> Fields:
    # launchdarkly-eventsource has last_event_id and no retry; to the others, no ID is "" or None.
    last_event_id = event.last_event_id if hasattr(event, "last_event_id") else event.id
    # Some leave the default of the type, and the number in the reconnection time, to the caller.
    retry = _number(getattr(event, "retry", None))
    return event.event or "message", event.data, last_event_id or "", retry


def _number(value: Any) -> Any:
    is_text = isinstance(value, str) and value.isascii() and value.isdigit()
    return int(value) if is_text else value


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a decoder of ours fails, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conformance")
    parser.add_argument("--failures", metavar="PEER", choices=PEERS, help="list what it fails")
    options = parser.parse_args(arguments)

    every = vectors()
    if options.failures is not None:
        peers, notices = find_peers([options.failures])
        print(*notices, sep="\n", end="\n" if notices else "")
        for peer in peers:
            _print_failures(peer, every)
        return 0

    peers, notices = find_peers()
    families = Counter(vector.family for vector in every)
    print(*environment(), *notices, f"{len(every)} vectors in {len(families)} files", sep="\n")
    ours_failed = False
    for peer in peers:
        whole = [v for v in every if not failure(peer, v, bytewise=False)]
        bytewise = [v for v in every if not failure(peer, v, bytewise=True)]
        clean = families - Counter(v.family for v in every if v not in whole or v not in bytewise)
        ours_failed |= peer.is_ours and len(whole) + len(bytewise) < 2 * len(every)
        print(
            f"{peer.name + ' ' + peer.version:34} whole {len(whole):4}   1-byte {len(bytewise):4}"
            f"   files without failure {sum(clean[f] == n for f, n in families.items()):3}"
        )
    return int(ours_failed)


def _print_failures(peer: Peer, every: Sequence[Vector]) -> None:
    for vector in every:
        for chunking, bytewise in (("whole", False), ("1-byte", True)):
            if found := failure(peer, vector, bytewise=bytewise):
                print(f"{vector.family}/{vector.name}, {chunking}: {found}; {vector.why}")


if __name__ == "__main__":
    raise SystemExit(main())
