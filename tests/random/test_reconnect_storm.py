"""The load that many clients make after an outage: their times are spread, and nobody is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from benchmarks.reconnect_storm import POLICIES, Outcome, Scenario, main, row, simulate
from sse_proto import ReconnectPolicy

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "reconnection.md"
CLIENTS: Final = 400
JITTER: Final = ReconnectPolicy()
NO_JITTER: Final = ReconnectPolicy(jitter=False)


@pytest.mark.parametrize("retry_after", [None, 5])
@pytest.mark.parametrize("seed", [1, 2])
def test_jitter_spreads_the_load_and_nobody_is_lost(retry_after: int | None, seed: int) -> None:
    scenario = Scenario(CLIENTS, rate=40, retry_after=retry_after, seed=seed)
    spread = simulate(scenario, JITTER)
    together = simulate(scenario, NO_JITTER)
    assert together.peak() == together.peak(since=scenario.down) == CLIENTS
    assert spread.peak() < CLIENTS / 10
    assert spread.peak(since=scenario.down) < CLIENTS / 20
    assert len(spread.arrivals) < len(together.arrivals)
    assert spread.back[-1] < together.back[-1]
    for outcome in (spread, together):
        assert len(outcome.back) == CLIENTS
        assert outcome.back[0] >= scenario.down
        # Never more in a second than the server takes.
        seconds = [int(time) for time in outcome.back]
        assert max(map(seconds.count, set(seconds))) <= scenario.rate


def test_a_simulation_is_exact() -> None:
    scenario = Scenario(CLIENTS, down=5.0, rate=40)
    assert simulate(scenario, JITTER) == simulate(scenario, JITTER)
    assert simulate(scenario, JITTER) != simulate(Scenario(CLIENTS, 5.0, 40, seed=2), JITTER)


def test_the_page_has_these_figures() -> None:
    name, policy = next(iter(POLICIES.items()))
    assert row(name, simulate(Scenario(), policy), Scenario()) in PAGE.read_text("utf-8")


def test_a_client_that_gives_up_is_told_of() -> None:
    with pytest.raises(AssertionError, match="RetriesExhausted"):
        simulate(Scenario(CLIENTS), ReconnectPolicy(max_time=20.0))


def test_peak_counts_what_lies_within_100_ms() -> None:
    outcome = Outcome([0.0, 1.0, 1.05, 1.0999, 1.2, 7.0, 7.2], [])
    assert outcome.peak() == 3
    assert outcome.peak(since=1.1) == 1
    assert outcome.peak(since=8.0) == 0


def test_the_command_prints_a_row_for_each_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--clients", "50", "--rate", "5", "--retry-after", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "50 clients; the server is down for 30 s, and then"
    assert "503 with Retry-After: 5" in lines[1]
    assert [line.split(" | ")[0] for line in lines[5:]] == [f"| {name}" for name in POLICIES]
