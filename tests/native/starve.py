"""Let each allocation of the decoder in C fail in turn, once or for good.

``python -m tests.native.starve`` prints how many failures that were. A call raises ``MemoryError``
then and nothing else; the decoder has taken nothing, or all, or refuses every call; and what it had
allocated is free again. A program of its own, since under pytest (or coverage) other code would
starve as well; it needs no package, so that a debug build of Python can run it.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, cast

from sse_proto import IMPLEMENTATION, EventTooLarge, SSEDecoder

_testcapi: Final[Any] = importlib.import_module("_testcapi")  # it has no types

ROUNDS: Final = 5
MOST_WINDOWS: Final = 60
MOST_EVENTS: Final = 9  # more than CHUNK has

BEFORE: Final = b"\xef\xbb\xbfevent: earlier\nid: 0\ndata: one\ndata: t"
CHUNK: Final = (
    b"wo\n\nid: 12\nevent: news\nretry: 1500\ndata: " + b"x" * 100 + b"\n\n"
    b"event: \xc3\xa9v\xc3\xa9nement\nid: \xff\nretry: "
    + b"9"
    * 40
    + b"\ndata: \xe6\xbc\xa2\ndata\n\n"
    b": a comment\n: \xc3\xa9\nunknown: field\nid: only\n\ndata: unfinished\nevent: y\nid: z\nda"
)


class Case(NamedTuple):
    """A call that starves. It is C's, since a Python function that starves may lose the exception
    which passes through it (CPython 3.11, ``take_ownership``)."""

    prepare: Callable[[], SSEDecoder]
    method: str
    arguments: tuple[object, ...] = ()
    note: str = ""

    @property
    def title(self) -> str:
        return f"{self.method} {self.note}".strip()

    def call(self, decoder: SSEDecoder) -> Callable[[], object]:
        if self.method == "new":
            return partial(SSEDecoder, **OPTIONS)
        return partial(cast(Callable[..., object], getattr(decoder, self.method)), *self.arguments)

    def resume(self, decoder: SSEDecoder) -> Callable[[], object]:
        """Ask for what an earlier call has left."""
        return self._replace(arguments=(b"", *self.arguments[1:])).call(decoder)


def begun(chunk: bytes = BEFORE, **options: Any) -> Callable[[], SSEDecoder]:
    def prepare() -> SSEDecoder:
        decoder = SSEDecoder(**options)
        decoder.feed(chunk)
        return decoder

    return prepare


def closed() -> SSEDecoder:
    decoder = SSEDecoder()
    decoder.close()
    return decoder


parse: Final = dict[str, bytes]().get  # (event type, data) -> data, in C
heard: Final = deque[str](maxlen=0)
IN_ARRAY: Final = bytearray(CHUNK)
PIECE: Final = b"x" * 999  # of a line
FULL: Final = b"data: 1\n\ndata: " + b"x" * 99
OPTIONS: Final[dict[str, Any]] = {
    "max_event_size": 100,
    "last_event_id": "1",
    "dispatch_empty": True,
}


CASES: Final = [
    Case(begun(), "feed", (CHUNK,)),
    Case(begun(), "feed", (IN_ARRAY,), "array"),
    Case(begun(), "feed_raw", (CHUNK,)),
    Case(begun(), "feed_raw", (IN_ARRAY,), "array"),
    Case(begun(), "feed_parsed", (CHUNK, parse)),
    Case(begun(on_comment=heard.append, on_ignored=heard.append), "feed", (CHUNK,), "callbacks"),
    Case(begun(max_event_size=50), "feed", (b"x" * 99,), "too large"),
    Case(begun(), "feed", (PIECE,), "piece"),
    Case(begun(), "feed", ("text",), "no bytes"),
    Case(closed, "feed", (b"",), "closed"),
    Case(begun(), "close"),
    Case(begun(FULL, max_event_size=50), "close", (), "too large"),
    Case(SSEDecoder, "new"),
]

REFUSALS: Final = (MemoryError, EventTooLarge, ValueError)


def outcome(call: Callable[[], object]) -> tuple[Any, ...]:
    """What a call returns or raises, as a value to be compared."""
    try:
        result = call()
    except (*REFUSALS, TypeError) as error:
        return type(error), str(error)
    return (result if not isinstance(result, SSEDecoder) else result.max_event_size,)


def starved(call: Callable[[], object], lasting: int, *, once: bool) -> Any:
    """Call with so many allocations that succeed. Returns the result, or the error's class."""
    _testcapi.set_nomemory(lasting, lasting + 1 if once else 0)
    try:
        return call()
    except Exception as error:
        return type(error)
    finally:
        _testcapi.remove_mem_hooks()


def drain(case: Case, decoder: SSEDecoder) -> tuple[list[Any], int, bool]:
    """What an earlier call has left: events, how many errors; and whether that is all."""
    events: list[Any] = []
    errors = 0
    while errors < MOST_EVENTS:
        (first, *_) = outcome(case.resume(decoder))
        if first == [] or case.method in ("close", "new"):
            break
        if isinstance(first, list):
            events += first
        else:
            errors += 1
    return events, errors, errors < MOST_EVENTS


def check_after(case: Case, decoder: SSEDecoder, result: Any, expected: tuple[Any, ...]) -> str:
    """Check a decoder whose call has starved; return what it had made of it."""
    assert decoder.unfinished >= 0
    assert decoder.last_event_id is None or decoder.last_event_id.isprintable()
    events, errors, is_out = drain(case, decoder)
    if result is not MemoryError:
        events = result + events
    else:
        errors += 1
    if is_out and events:
        # An event that is missing has cost an error.
        whole = cast(list[Any], expected[0])
        missing = [event for event in whole if event not in events]
        assert [event for event in whole if event in events] == events, case.title
        assert len(missing) <= errors, (case.title, missing, errors)
        return "some" if missing else "all"
    if is_out and outcome(case.call(decoder)) == expected:
        return "nothing"
    calls = (decoder.feed, decoder.feed_raw)
    first, second = (outcome(partial(call, b"data: x\n\n")) for call in calls)
    assert first[0] in REFUSALS, (case.title, first)
    assert first == second, (case.title, first, second)
    return "refused"


def starve(case: Case) -> Counter[str]:
    """Fail each allocation of a case, once and for good; return how often what came of it."""
    counts: Counter[str] = Counter()
    expected = outcome(case.call(case.prepare()))
    allocations = sys.maxsize  # until it is known: the first run to which nothing happens
    for once in (False, True):
        for lasting in range(allocations):
            decoder = case.prepare()
            unfinished = decoder.unfinished
            result = starved(case.call(decoder), lasting, once=once)
            shown = result.max_event_size if isinstance(result, SSEDecoder) else result
            if shown != expected[0]:
                assert result is MemoryError or isinstance(result, list), (case.title, result)
                # What was there counts as discarded.
                assert PIECE not in case.arguments or decoder.unfinished >= unfinished, case.title
                counts[check_after(case, decoder, result, expected)] += 1
            elif not once:
                allocations = lasting
                break
    return counts


def window(case: Case, total: Callable[[], int]) -> tuple[int, int]:
    """How many more blocks and references there are after some rounds."""
    gc.collect()
    blocks, references = sys.getallocatedblocks(), total()
    for _ in range(ROUNDS):
        starve(case)
    gc.collect()
    return sys.getallocatedblocks() - blocks, total() - references


def main() -> None:
    assert IMPLEMENTATION == "c"
    total = getattr(sys, "gettotalrefcount", lambda: 0)  # of a debug build alone
    failures = 0
    for case in CASES:
        counts = starve(case)
        # A leak of one failure would be ROUNDS of them, in each window. Others are caches of the
        # interpreter's, which are full after some windows.
        windows = 1
        while max(more := window(case, total)) >= ROUNDS:
            windows += 1
            assert windows < MOST_WINDOWS, (case.title, more)
        print(f"{case.title}: {dict(counts)}, blocks and references {more}, windows {windows}")
        failures += sum(counts.values())
    print(f"{failures} allocations failed: each raised, and nothing leaked")


if __name__ == "__main__":
    main()
