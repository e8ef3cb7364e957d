"""Threads on one decoder, for a build of Python without GIL and with ThreadSanitizer.

``python -m tests.native.race [CHUNKS]`` feeds one decoder from several threads at once, each
chunk a whole event, while others read its attributes. Each event has to come out once, and whole.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

from sse_proto import IMPLEMENTATION, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

WRITERS: Final = 4
READERS: Final = 2


def run(targets: list[Callable[[], None]]) -> None:
    """Run all at once, to their end; raise the first thing that one of them raises."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(targets))

    def guarded(target: Callable[[], None]) -> None:
        barrier.wait()
        try:
            target()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def race(chunks: int) -> int:
    """Feed and read at once; return how many events there were."""
    decoder = SSEDecoder()
    seen: Counter[str] = Counter()
    lock = threading.Lock()
    writing = WRITERS

    def write(number: int) -> None:
        nonlocal writing
        found: list[str] = []
        for i in range(chunks):
            text = f"{number}-{i}"
            chunk = f"event: {text}\nid: {text}\nretry: {i}\ndata: {text}\ndata: {'x' * 40}\n\n"
            if i % 2:
                events = [
                    (e.event, bytes(e.data).decode(), e.id)
                    for e in decoder.feed_raw(chunk.encode())
                ]
            else:
                events = [(e.event, e.data, e.id) for e in decoder.feed(bytearray(chunk, "ascii"))]
            for event, data, event_id in events:
                assert event == event_id == data.partition("\n")[0], (event, data, event_id)
                found.append(event)
        with lock:
            seen.update(found)
            writing -= 1

    def read() -> None:
        while writing:
            assert decoder.unfinished >= 0
            assert decoder.last_event_id is None or "-" in decoder.last_event_id
            assert decoder.reconnection_time is None or decoder.reconnection_time < chunks

    run([lambda number=i: write(number) for i in range(WRITERS)] + [read] * READERS)
    assert set(seen) == {f"{n}-{i}" for n in range(WRITERS) for i in range(chunks)}
    assert set(seen.values()) == {1}
    return sum(seen.values())


def close_while_feeding(rounds: int) -> None:
    """A decoder that one thread closes, and others still feed: events, or ValueError."""
    for _ in range(rounds):
        decoder = SSEDecoder()

        def feed(decoder: SSEDecoder = decoder) -> None:
            for _ in range(20):
                try:
                    assert len(decoder.feed(b"data: x\n\n")) == 1
                except ValueError:
                    return

        run([feed, feed, decoder.close])


if __name__ == "__main__":
    assert IMPLEMENTATION == "c"
    chunks = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    events = race(chunks)
    close_while_feeding(chunks // 20)
    print(f"{events} events from {WRITERS} threads, {'with' if gil else 'without'} the GIL")
