"""Time and memory as streams grow: ``python -m benchmarks.bench_growth [--quick]``.

Twice the bytes should take about twice the time, however they are cut, and a stream without end
should take no more memory than its largest event. Nothing is asserted; what is over its bar is
marked.

Glibc returns large blocks to the system, and gets new pages for the next ones: a jump in time where
a line first outgrows one of its thresholds (32 MiB the last), as large as the decoder's own work.
``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_TOP_PAD_=500000000`` keep it from
that, and leave the decoder's growth alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, pairwise, repeat
from pathlib import Path
from typing import Any, Final

import sse_proto._feed
from sse_proto import EventTooLarge, SSEDecoder

from .bench_decoder import environment

__all__ = ["main"]

_TIME_BAR: Final = 2.2  # times the time, for twice the bytes
_MEMORY_BAR: Final = 2.0  # times max_event_size, for a line without end

_KIB: Final = 1024
_MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class Growth:
    """A stream of any size, in chunks, whose time is expected to be linear."""

    name: str
    size: int
    """The largest number of bytes (of `data` lines, where lines are counted)."""
    chunking: int
    """Bytes a chunk."""
    stream: Callable[[int], bytes]
    """Makes the stream of a size."""
    events: int
    """How many events any of them holds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all cases; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_growth")
    parser.add_argument("--quick", action="store_true", help="an eighth of the size, two rounds")
    parser.add_argument("--json", metavar="FILE", help="write what the plots show to this file")
    options = parser.parse_args(arguments)
    divisor, rounds = (8, 2) if options.quick else (1, 5)

    lines = environment()
    print(*lines, f"best of {rounds} rounds", "", sep="\n")
    print(f"Time, and its ratio for twice the size (bar: {_TIME_BAR}):")
    for case in _cases(divisor):
        _print_times(case, rounds)
    print("\nPeak memory (tracemalloc), of the decoder and what it returns:")
    for name, peak, bar in _peaks(divisor):
        mark = "  over the bar" if bar is not None and peak > bar else ""
        limit = "" if bar is None else f" (bar: {bar / _MIB:.2f} MiB)"
        print(f"  {name:58}{peak / _MIB:9.2f} MiB{limit}{mark}")

    curves = _against_size(divisor, rounds) + _against_chunk_size(divisor, rounds)
    for curve in curves:
        cells = ", ".join(f"{x}: {y:.2f}" for x, y in zip(curve["x"], curve["y"], strict=True))
        print(f"\n{curve['twin']}, {curve['stream']}, ns per byte by {curve['by']}:\n  {cells}")
    if options.json:
        report = {"environment": lines, "rounds": rounds, "curves": curves}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


# Time.


def _one_line(size: int) -> bytes:
    return b"data: " + b"x" * size + b"\n\n"


def _data_lines(lines: int) -> bytes:
    return b"data: 0123456789\n" * lines + b"\n"


def _comment(size: int) -> bytes:
    return b": " + b"x" * size + b"\n\n"


def _comment_lines(size: int) -> bytes:
    return b": 0123456789abc\n" * (size // 16) + b"\n"


def _cr_lines(lines: int) -> bytes:
    return b"data: 012345678\r" * lines + b"\r"


def _cases(divisor: int) -> list[Growth]:
    read = 16 * _KIB
    # A quarter is the least: of fewer lines, a good part is complete before it is looked at twice.
    lines, dripped_lines = 400_000 // divisor, 50_000 // divisor
    size, dripped = 64 * _MIB // divisor, _MIB // divisor
    return [
        Growth("one line", size, read, _one_line, 1),
        Growth("one line", dripped, 1, _one_line, 1),
        Growth("data lines in one event", lines, read, _data_lines, 1),
        Growth("data lines in one event", dripped_lines, 1, _data_lines, 1),
        # Every chunk ends in CR, and leaves open whether an LF follows.
        Growth("data lines that end in CR, a line a chunk", lines, 16, _cr_lines, 1),
        Growth("one comment", size, read, _comment, 0),
        Growth("one comment", dripped, 1, _comment, 0),
        Growth("comment lines, no blank line", size // 4, read, _comment_lines, 0),
        Growth("comment lines, no blank line", dripped, 1, _comment_lines, 0),
    ]


def _print_times(case: Growth, rounds: int) -> None:
    streams = [_chunks(case, case.size // part) for part in (4, 2, 1)]
    # In turn, so that what slows the machine for a while slows all sizes.
    samples = [[_time(case, chunks) for chunks in streams] for _ in range(rounds)]
    times = [min(sizes) for sizes in zip(*samples, strict=True)]
    ratios = [after / before for before, after in pairwise(times)]
    cells = ", ".join(f"{nanoseconds / 1e6:.1f} ms" for nanoseconds in times)
    mark = "  over the bar" if max(ratios) > _TIME_BAR else ""
    print(f"  {case.name}, up to {case.size}, in chunks of {case.chunking} B: {cells}")
    print(f"    {', '.join(f'{ratio:.2f}' for ratio in ratios)}{mark}")


def _chunks(case: Growth, size: int) -> list[bytes]:
    stream = case.stream(size)
    starts = range(0, len(stream), case.chunking)
    return [stream[start : start + case.chunking] for start in starts]


def _time(case: Growth, chunks: Sequence[bytes], decoder_class: Any = SSEDecoder) -> int:
    """Return the nanoseconds that it takes to decode the chunks once."""
    feed = decoder_class(max_event_size=None).feed
    start = time.perf_counter_ns()
    events = sum(len(feed(chunk)) for chunk in chunks)
    nanoseconds = time.perf_counter_ns() - start
    if events != case.events:
        raise AssertionError(f"{case.name}: {events} events, not {case.events}")
    return nanoseconds


# Curves, for the plots: both decoders, in one run.


def _twins() -> dict[str, Any]:
    twins: dict[str, Any] = {"Python": sse_proto._feed.SSEDecoder}
    try:
        return {"C": import_module("sse_proto._speedups").SSEDecoder, **twins}
    except ImportError:
        return twins


_EVENT: Final = (
    b'data: {"choices":[{"index":0,"delta":{"content":" word"}}]' + b" " * 190 + b"}\n\n"
)


def _events(size: int) -> bytes:
    return _EVENT * (size // len(_EVENT))


def _streams(size: int, chunking: int) -> list[Growth]:
    return [
        Growth("events of 250 bytes", size, chunking, _events, size // len(_EVENT)),
        Growth("one line", size, chunking, _one_line, 1),
        Growth("one comment", size, chunking, _comment, 0),
    ]


def _against_size(divisor: int, rounds: int) -> list[dict[str, Any]]:
    sizes = [64 * _KIB << doubling for doubling in range(9) if 64 << doubling <= 16384 // divisor]
    cases = [_streams(size, 16 * _KIB) for size in sizes]
    return [
        _curve("size", sizes, [of_size[number] for of_size in cases], name, twin, rounds)
        for number in range(len(cases[0]))
        for name, twin in _twins().items()
    ]


def _against_chunk_size(divisor: int, rounds: int) -> list[dict[str, Any]]:
    chunkings = [4**power for power in range(11)]
    cases = [_streams(_MIB // divisor, chunking) for chunking in chunkings]
    return [
        _curve("chunk size", chunkings, [of[number] for of in cases], name, twin, rounds)
        for number in range(len(cases[0]))
        for name, twin in _twins().items()
    ]


def _curve(
    by: str, xs: list[int], cases: list[Growth], name: str, twin: Any, rounds: int
) -> dict[str, Any]:
    """Return nanoseconds per byte at each size, in bytes."""
    ys: list[float] = []
    for case in cases:
        chunks = _chunks(case, case.size)
        ys.append(min(_time(case, chunks, twin) for _ in range(rounds)) / case.size)
    return {"by": by, "stream": cases[0].name, "twin": name, "x": xs, "y": ys}


# Memory.


def _peaks(divisor: int) -> Iterator[tuple[str, int, float | None]]:
    """Yield what was streamed, the peak in bytes, and the bar for it if there is one."""
    limit = 16 * _MIB // divisor
    megabytes = 200 // divisor
    bar = _MEMORY_BAR * limit
    for chunking in (_KIB, 16 * _KIB, _MIB):
        line = chain([b"data: "], repeat(b"x" * chunking))
        name = f"endless line, limit {limit // _MIB} MiB, {chunking // _KIB} KiB chunks"
        yield name, _peak(line, limit), bar
    yield "endless data lines, the same limit", _peak(repeat(b"data: x\n" * 2048), limit), bar

    # The chunk itself is made before: what is left is what the decoder keeps and returns.
    flat = _MIB
    chunk = b"x" * (16 * _KIB)
    count = megabytes * 1_000_000 // len(chunk)
    yield (
        f"endless comment, {megabytes} MB, 16 KiB chunks",
        _peak(chain([b": "], repeat(chunk, count)), limit),
        flat,
    )
    heartbeats = b": keep-alive\n" * 1260
    yield (
        f"endless comment lines, {megabytes} MB, 16 KiB chunks",
        _peak(repeat(heartbeats, count), limit),
        flat,
    )
    events = (b'data: {"token":"' + b"x" * 100 + b'"}\n\n') * 137
    yield f"stream of {megabytes} MB, 16 KiB chunks", _peak(repeat(events, count), limit), flat
    event = [b"data: ", *repeat(chunk, limit // len(chunk) - 1), b"\n\n"]
    yield f"for comparison: one complete event of {limit // _MIB} MiB", _peak(event, limit), None


def _peak(chunks: Iterator[bytes] | list[bytes], limit: int) -> int:
    """Feed chunks until they end or the decoder refuses; return the peak in bytes."""
    feed = SSEDecoder(max_event_size=limit).feed
    tracemalloc.start()
    try:
        for chunk in chunks:
            feed(chunk)
    except EventTooLarge:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


if __name__ == "__main__":
    sys.exit(main())
