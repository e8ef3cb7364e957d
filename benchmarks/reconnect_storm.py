"""Many clients that one restart has cut off: ``python -m benchmarks.reconnect_storm simulate``.

Each client is an `EventSourceProtocol`; the server, the network and the time are simulated. So the
figures are exact, and the same with every run.
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, Final

from sse_proto import EventSourceProtocol, Open, ReconnectPolicy, Wait

from .plots import INK, save

__all__ = ["POLICIES", "Outcome", "Scenario", "figure", "main", "row", "simulate"]

POLICIES: Final[dict[str, ReconnectPolicy]] = {
    "full jitter (the default)": ReconnectPolicy(),
    "without jitter": ReconnectPolicy(jitter=False),
    "a fixed time": ReconnectPolicy(max_backoff=0.0),
}

_EVENT_STREAM: Final = {"content-type": "text/event-stream"}
_EVENT: Final = b"data: x\n\n"
_WINDOW: Final = 0.1
# As in the other plots. A policy that takes longer than this, in seconds, runs out of the picture.
_COLOURS: Final = ("#e4572e", "#2e86de", "#3aa655")
_END: Final = 300.0
_LEAST: Final = 0.7  # where a logarithmic axis begins, so that 1 is seen


@dataclass(frozen=True)
class Scenario:
    """A server that restarts; all times are in seconds."""

    clients: int = 10_000
    down: float = 30.0
    """How long it refuses connections."""
    rate: int = 200
    """Connections that it accepts in a second, once it is back."""
    retry_after: int | None = None
    """What it tells the others with a 503; ``None``: it refuses their connections."""
    spread: float = 0.05
    """Within what time the clients notice that they are cut off."""
    seed: int = 1


@dataclass(frozen=True)
class Outcome:
    """What a restart has led to; times are in seconds since it began."""

    arrivals: list[float]
    """When connections were tried, in order."""
    back: list[float]
    """When clients got events again, in order."""

    def peak(self, *, since: float = 0.0) -> int:
        """Return the most arrivals within 100 ms."""
        arrivals = self.arrivals[bisect_left(self.arrivals, since) :]
        most = first = 0
        for last, arrival in enumerate(arrivals):
            while arrival - arrivals[first] > _WINDOW:
                first += 1
            most = max(most, last - first + 1)
        return most


class _Server:
    """Down for a while; then it accepts so many connections in each second."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._second = -1
        self._accepted = 0

    def status_code(self, now: float) -> int | None:
        """Answer a request; ``None``: the connection is refused."""
        if now < self._scenario.down:
            return None
        if int(now) != self._second:
            self._second = int(now)
            self._accepted = 0
        if self._accepted < self._scenario.rate:
            self._accepted += 1
            return 200
        return 503 if self._scenario.retry_after is not None else None


def simulate(scenario: Scenario, policy: ReconnectPolicy) -> Outcome:
    """Cut all clients off, and let them come back.

    Raises:
        AssertionError: A client gave up.
    """
    random = Random(scenario.seed)
    server = _Server(scenario)
    clients = [EventSourceProtocol(policy, random=random) for _ in range(scenario.clients)]
    # When which client connects, the next one first.
    queue: list[tuple[float, int]] = []
    for number, client in enumerate(clients):
        client.response_received(200, _EVENT_STREAM, now=0.0)
        client.feed(_EVENT)
        noticed = random.uniform(0.0, scenario.spread)
        wait = client.connection_lost(ConnectionResetError(), now=noticed)
        queue.append((noticed + _seconds(wait), number))
    heapq.heapify(queue)

    arrivals: list[float] = []
    back: list[float] = []
    headers = {**_EVENT_STREAM, "retry-after": str(scenario.retry_after)}
    while queue:
        now, number = queue[0]
        client = clients[number]
        arrivals.append(now)
        status_code = server.status_code(now)
        if status_code is None:
            action = client.connection_lost(ConnectionRefusedError(), now=now)
        else:
            action = client.response_received(status_code, headers, now=now)
        if isinstance(action, Open):
            client.feed(_EVENT)
            back.append(now)
            heapq.heappop(queue)
        else:
            heapq.heapreplace(queue, (now + _seconds(action), number))
    return Outcome(arrivals, back)


def _seconds(action: object) -> float:
    if not isinstance(action, Wait):
        raise AssertionError(f"a client is lost: {action}")
    return action.seconds


def figure(outcomes: dict[str, Outcome], scenario: Scenario) -> Any:
    """Draw how many connections are tried when, and how many clients are back."""
    pyplot: Any = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(
        len(outcomes) + 1, figsize=(9, 7), sharex=True, layout="constrained"
    )
    end = 1.1 * max(outcome.back[-1] for outcome in outcomes.values() if outcome.back[-1] < _END)
    for axis, (name, outcome), colour in zip(axes, outcomes.items(), _COLOURS, strict=False):
        counts = Counter(int(time / _WINDOW) for time in outcome.arrivals)
        # One broken line, which takes a tenth of the bytes of as many bars.
        xs: list[float] = []
        ys: list[float] = []
        for number, count in sorted(counts.items()):
            if number * _WINDOW < end:
                xs += [number * _WINDOW] * 3
                ys += [_LEAST, count, math.nan]
        axis.plot(xs, ys, color=colour, linewidth=0.9, solid_capstyle="butt")
        axis.set_yscale("log")
        axis.set_ylim(_LEAST, 2 * scenario.clients)
        axis.yaxis.set_major_formatter(pyplot.FuncFormatter(_count))
        axis.set_ylabel("in 100 ms")
        axis.set_title(f"connections tried, {name}", loc="left", color=colour)
        step = max(1, scenario.clients // 200)
        back = outcome.back[step - 1 :: step]
        shares = [100 * step * number / scenario.clients for number in range(len(back) + 1)]
        axes[-1].plot([scenario.down, *back], shares, color=colour, linewidth=1.8)
    axes[-1].set_title("clients that are back", loc="left")
    axes[-1].set_ylabel("%")
    axes[-1].set_xlabel("seconds after the server went down")
    axes[-1].set_xlim(0, end)
    axes[-1].text(scenario.down / 2, 50, "server down", ha="center", va="center")
    for axis in axes:
        axis.axvspan(0, scenario.down, color=INK, alpha=0.12, linewidth=0)
        axis.grid(visible=True)
    return figure


def _count(count: float, _position: int | None = None) -> str:
    return f"{count:,.0f}"


def row(name: str, outcome: Outcome, scenario: Scenario) -> str:
    """Return the figures of a policy as a row of Markdown."""
    cells = [
        name,
        f"{outcome.peak():,}",
        f"{outcome.peak(since=scenario.down):,}",
        f"{len(outcome.arrivals):,}",
        f"{outcome.back[len(outcome.back) // 2]:,.0f} s",
        f"{outcome.back[-1]:,.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


def _simulate(options: argparse.Namespace) -> None:
    scenario = Scenario(
        options.clients, options.down, options.rate, options.retry_after, seed=options.seed
    )
    outcomes = {name: simulate(scenario, policy) for name, policy in POLICIES.items()}
    more = "it refuses the others"
    if scenario.retry_after is not None:
        more = f"the others get a 503 with Retry-After: {scenario.retry_after}"
    print(f"{scenario.clients:,} clients; the server is down for {scenario.down:g} s, and then")
    print(f"accepts {scenario.rate:,} connections a second; {more}. Seed {scenario.seed}.\n")
    print("| | most in 100 ms | and once it is up | attempts | half are back | all are back |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, outcome in outcomes.items():
        print(row(name, outcome, scenario))
    if options.plot is not None:
        save(options.plot, partial(figure, outcomes, scenario))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconnect_storm")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("simulate", help="in virtual time, without a network")
    command.set_defaults(run=_simulate)
    command.add_argument("--clients", type=int, default=Scenario.clients)
    command.add_argument("--down", type=float, default=Scenario.down, metavar="SECONDS")
    command.add_argument("--rate", type=int, default=Scenario.rate, help="accepted in a second")
    command.add_argument(
        "--retry-after", type=int, metavar="SECONDS", help="answer the others with a 503"
    )
    command.add_argument("--seed", type=int, default=Scenario.seed)
    command.add_argument("--plot", type=Path, metavar="FILE", help="draw to this SVG file")
    options = parser.parse_args(arguments)
    options.run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
