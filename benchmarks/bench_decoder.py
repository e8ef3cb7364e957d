"""Decoders side by side: ``python -m benchmarks.bench_decoder [--quick]``.

Every decoder decodes the same chunks in turn, round after round in one process, so that whatever
else the machine does slows all of them; what to read is the ratio within one run. The events of the
first round are checked. No time is ever asserted. Best run alone, on one core (``taskset -c 1``).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from .peers import PEERS, Peer, find_peers, pairs
from .shapes import SHAPES, Shape, chunking_name

__all__ = ["environment", "main"]

_ROUNDS: Final = 40
_QUICK_ROUNDS: Final = 5
_OURS: Final = "sse-proto (Python)"
# Nanoseconds: a decoder that has had as much for one shape needs no more than the quick rounds.
_ENOUGH: Final = 1_500_000_000


@dataclass(frozen=True)
class Result:
    """The time of one decoder for one shape in one chunking."""

    shape: str
    chunking: str
    peer: str
    is_ours: bool
    events: int
    size: int
    """Bytes of the stream."""
    best: int
    """Nanoseconds for the whole stream, in the best of all rounds."""
    median: int
    """Nanoseconds for the whole stream."""
    fault: str
    """How the events differ from the expected ones; empty if they do not."""

    @property
    def row(self) -> str:
        """The shape and the chunking, as tables name them."""
        return f"{self.shape}, {self.chunking}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 if a decoder of ours gave a wrong answer, else 0."""
    options = _parser().parse_args(arguments)
    rounds: int = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    peers, notices = find_peers(options.peers)

    lines = environment()
    lines += [f"{peer.name} {peer.version}" for peer in peers] + notices
    print(*lines, f"best of {rounds} rounds", "", sep="\n")

    results: list[Result] = []
    for name in options.shapes:
        shape = SHAPES[name]()
        print(f"{shape.name}: {shape.stands_for}")
        for chunking in shape.chunkings:
            measured = _measure(shape, chunking, peers, rounds)
            results += measured
            _print_measured(measured, len(shape.chunks(chunking)))
    _print_table([peer.name for peer in peers], results)
    for peer in peers:
        if peer.is_ours:
            _print_ratios([peer.name for peer in peers], peer.name, results)

    if options.json:
        report = {"environment": lines, "rounds": rounds, "results": [asdict(r) for r in results]}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return int(any(result.is_ours and result.fault for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_decoder")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds")
    parser.add_argument("--rounds", type=int, help=f"default: {_ROUNDS}")
    parser.add_argument(
        "--peers",
        type=_NamesOf(PEERS),
        default=list(PEERS),
        help="decoders, separated by commas: " + ", ".join(PEERS),
    )
    parser.add_argument(
        "--shapes",
        type=_NamesOf(SHAPES),
        default=list(SHAPES),
        help="shapes, separated by commas: " + ", ".join(SHAPES),
    )
    parser.add_argument("--json", metavar="FILE", help="also write all results to this file")
    return parser


class _NamesOf:
    """Argument type: names out of a table, separated by commas."""

    def __init__(self, table: Any) -> None:
        self._table = list(table)

    def __call__(self, argument: str) -> list[str]:
        names = argument.split(",")
        for name in names:
            if name not in self._table:
                raise argparse.ArgumentTypeError(f"there is no {name!r}")
        return names


def environment() -> list[str]:
    """Return what a reader must know of a run: machine, interpreter, command."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(": ")[2]
    except OSError:
        pass  # not Linux
    cores = f"{os.cpu_count()} cores"
    if sys.platform == "linux":
        cores = f"{len(os.sched_getaffinity(0))} of {cores}"
    module = sys.modules["__main__"].__spec__
    command = ["python", "-m", module.name if module else "?", *sys.argv[1:]]
    return [
        f"{processor}, {cores}, {platform.system()}",
        f"{platform.python_implementation()} {platform.python_version()}",
        shlex.join(command),
    ]


# Measuring.


def _measure(shape: Shape, chunking: int, peers: Sequence[Peer], rounds: int) -> list[Result]:
    chunks = shape.chunks(chunking)
    faults = [_fault(peer, shape, chunks) for peer in peers]  # also warms up

    times: list[list[int]] = [[] for _ in peers]
    gc.collect()
    gc.disable()  # a collection would hit one of them by chance
    try:
        for _round in range(rounds):
            for peer, peer_times in zip(peers, times, strict=True):
                if len(peer_times) >= _QUICK_ROUNDS and sum(peer_times) > _ENOUGH:
                    continue
                start = time.perf_counter_ns()
                for _ in peer.decode(chunks):
                    pass  # the event is dropped: what keeping it costs is not the decoder's
                peer_times.append(time.perf_counter_ns() - start)
    finally:
        gc.enable()

    return [
        Result(
            shape=shape.name,
            chunking=chunking_name(chunking),
            peer=peer.name,
            is_ours=peer.is_ours,
            events=len(shape.events),
            size=shape.size,
            best=min(peer_times),
            median=round(statistics.median(peer_times)),
            fault=fault,
        )
        for peer, peer_times, fault in zip(peers, times, faults, strict=True)
    ]


def _fault(peer: Peer, shape: Shape, chunks: Sequence[bytes]) -> str:
    events = list(peer.decode(chunks))
    if peer.is_ours and events == list(shape.events):
        return ""
    got, expected = pairs(events), pairs(shape.events)
    if got == expected:
        return "wrong: id or retry" if peer.is_ours else ""
    if len(got) != len(expected):
        return f"wrong: {len(got)} events"
    wrong = sum(one != other for one, other in zip(got, expected, strict=True))
    return f"wrong: {wrong} events differ"


# Printing.


def _print_measured(results: Sequence[Result], chunks: int) -> None:
    first = results[0]
    print(f"  {first.chunking}: {first.events} events, {first.size} bytes, {chunks} chunks")
    for result in results:
        print(
            f"    {result.peer:25}"
            f"{result.best / result.events:12.0f} ns/event"
            f" (median {result.median / result.events:.0f})"
            f"{result.size * 1e3 / result.best:10.1f} MB/s"
            f"  {result.fault}".rstrip()
        )


def _print_table(names: Sequence[str], results: Sequence[Result]) -> None:
    """Print shapes x implementations; what gave wrong events has a ``!``."""
    ours = [name for name in names if PEERS[name][0] == PEERS[_OURS][0]]
    others = [name for name in names if name not in ours]
    widths = [max(len(name), 15) + 2 for name in names]
    heads = [f"{name:>{width}}" for name, width in zip(names, widths, strict=True)]
    print("\nns/event (MB/s), best; and how many times as fast as the fastest of other people's:")
    print(f"{'':24}", *heads, *(f"{name:>20}" for name in ours if others), sep="")
    for row, by_peer in _rows(results).items():
        cells: list[str] = []
        for name, width in zip(names, widths, strict=True):
            result = by_peer[name]
            speed = f"{result.size * 1e3 / result.best:.0f}"
            mark = "!" if result.fault else ""
            cells.append(f"{f'{result.best / result.events:.0f} ({speed}){mark}':>{width}}")
        if others:
            fastest = min(by_peer[name].best for name in others)
            cells += [f"{fastest / by_peer[name].best:20.2f}" for name in ours]
        print(f"{row:24}", *cells, sep="")


def _rows(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    rows: dict[str, dict[str, Result]] = {}
    for result in results:
        rows.setdefault(result.row, {})[result.peer] = result
    return rows


def _print_ratios(names: Sequence[str], ours: str, results: Sequence[Result]) -> None:
    """Print how many times the time of one decoder of ours each other one takes."""
    others = [name for name in names if name != ours]
    fastest = [name for name in others if PEERS[name][0] != PEERS[ours][0]]
    rows = _rows(results)
    widths = [max(len(name), 8) + 2 for name in others]
    heads = [f"{name:>{width}}" for name, width in zip(others, widths, strict=True)]
    print(f"\nTimes as fast as ... is {ours} (best against best):")
    print(f"{'':24}", *heads, "  the fastest of other people's", sep="")
    for row, by_peer in rows.items():
        ratios = {name: by_peer[name].best / by_peer[ours].best for name in others}
        cells = [f"{ratios[name]:{width}.2f}" for name, width in zip(others, widths, strict=True)]
        print(f"{row:24}", *cells, sep="", end="")
        if fastest:
            name = min(fastest, key=lambda name: ratios[name])
            print(f"{ratios[name]:8.2f} {name}", end="")
        print()


if __name__ == "__main__":
    sys.exit(main())
