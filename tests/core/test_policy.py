"""When to connect again: the policy as a value, and the waits it gives."""

from __future__ import annotations

import copy
import math
import pickle
import re
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from random import Random
from typing import Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_proto import ReconnectPolicy

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "reconnection.md"
DEFAULT: Final = ReconnectPolicy()


class Most(Random):
    """Chance at its upper end, and a note of where the ends were."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.ranges.append((a, b))
        return b


# As a value


def test_defaults() -> None:
    assert {field.name: getattr(DEFAULT, field.name) for field in fields(DEFAULT)} == {
        "initial_delay": 3.0,
        "min_server_delay": 0.5,
        "max_server_delay": 300.0,
        "factor": 2.0,
        "max_backoff": 60.0,
        "jitter": True,
        "max_attempts": None,
        "max_time": None,
        "healthy_after": 0.0,
        "retry_first": True,
        "retry_statuses": frozenset(),
        "retry_wrong_content_type": False,
        "reconnect_on_end": None,
        "backoff": None,
    }


@pytest.mark.parametrize("name", [field.name for field in fields(DEFAULT)])
def test_a_policy_never_changes(name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(DEFAULT, name, 1)


def test_a_policy_is_a_value() -> None:
    other = ReconnectPolicy(max_attempts=5)
    assert other == ReconnectPolicy(max_attempts=5) == replace(DEFAULT, max_attempts=5) != DEFAULT
    assert hash(other) == hash(ReconnectPolicy(max_attempts=5))
    assert pickle.loads(pickle.dumps(other)) == copy.deepcopy(other) == other


def test_options_have_names() -> None:
    with pytest.raises(TypeError, match="positional"):
        cast("Any", ReconnectPolicy)(1.0)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("initial_delay", 0),
        ("min_server_delay", 0),
        ("max_server_delay", 0),
        ("factor", 1),
        ("max_backoff", 0),
        ("max_attempts", 1),
        ("max_time", 0),
        ("healthy_after", 0),
    ],
)
def test_numbers_have_a_least_value(name: str, least: int) -> None:
    def policy(value: Any) -> ReconnectPolicy:
        return ReconnectPolicy(**{name: value})

    assert getattr(policy(least), name) == least
    assert getattr(policy(1_000_000), name) == 1_000_000
    for wrong in (least - 1, -0.001, math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="must be") as caught:
            policy(wrong)
        assert str(caught.value) == f"{name} must be at least {least} and finite, not {wrong}"
    if name in ("max_attempts", "max_time"):
        assert getattr(policy(None), name) is None
    else:
        with pytest.raises(ValueError, match=rf"^{name} must be .*, not None$"):
            policy(None)


def test_statuses_are_kept_as_a_frozenset() -> None:
    policy = ReconnectPolicy(retry_statuses=[403, 404, 404])
    assert policy.retry_statuses == frozenset({403, 404})
    assert policy == ReconnectPolicy(retry_statuses=range(403, 405))
    assert hash(policy) == hash(ReconnectPolicy(retry_statuses={404, 403}))
    assert pickle.loads(pickle.dumps(policy)) == replace(policy) == policy


@pytest.mark.parametrize("status_code", [0, 99, 200, 204, 600, -404])
def test_statuses_that_cannot_be_retried(status_code: int) -> None:
    with pytest.raises(ValueError, match="retry_statuses") as caught:
        ReconnectPolicy(retry_statuses=[404, status_code])
    assert str(caught.value) == (
        f"retry_statuses must be from 100 to 599, except 200 and 204, not {status_code}"
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "QUERY", "REPORT", "TRACE", "get"])
def test_after_the_end_safe_methods_are_sent_again(method: str) -> None:
    assert DEFAULT.reconnects_after_end(method)
    assert not ReconnectPolicy(reconnect_on_end=False).reconnects_after_end(method)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "", "GET "])
def test_after_the_end_other_methods_are_not(method: str) -> None:
    assert not DEFAULT.reconnects_after_end(method)
    assert ReconnectPolicy(reconnect_on_end=True).reconnects_after_end(method)


# The wait


@pytest.mark.parametrize(
    ("failures", "most"), [(0, 3), (1, 6), (2, 12), (3, 24), (4, 48), (5, 60), (6, 60), (9999, 60)]
)
def test_the_random_part_is_between_0_and_what_doubles(failures: int, most: float) -> None:
    chance = Most()
    assert DEFAULT.delay(3.0, failures, chance) == 3.0 + most
    assert chance.ranges == [(0.0, most)]


def test_the_page_has_the_right_waits() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d.* to .*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [int(failures) for failures, _ in rows] == [*range(7), 10]
    for failures, row in rows:
        cells = row.split(" | ")
        waits = [
            f"{asked:g} to {DEFAULT.delay(asked, int(failures), Most()):g}"
            for asked in (3.0, 0.5, 0.0, 120.0)
        ]
        assert cells == (waits if failures != "0" else [*waits[:3], "-"])


def test_without_jitter_nothing_is_random() -> None:
    policy = ReconnectPolicy(jitter=False)
    chance = Most()
    waits = [policy.delay(3.0, failures, chance) for failures in range(7)]
    assert waits == [6, 9, 15, 27, 51, 63, 63]
    assert chance.ranges == []


def test_an_exact_wait() -> None:
    policy = ReconnectPolicy(jitter="none")
    chance = Most()
    # The first one is what was asked for; then it doubles.
    assert [policy.delay(0.5, failures, chance) for failures in range(5)] == [0.5, 0.5, 1, 2, 4]
    assert [policy.delay(3.0, failures, chance) for failures in (6, 7, 9999)] == [63, 63, 63]
    assert [policy.delay(0.0, failures, chance) for failures in range(4)] == [
        *(0.0, 0.0, 0.1),
        pytest.approx(0.3),
    ]
    assert chance.ranges == []


def test_full_jitter_has_a_name_as_well() -> None:
    chance = Most()
    assert ReconnectPolicy(jitter="full").delay(3.0, 1, chance) == 9.0
    assert chance.ranges == [(0.0, 6.0)]


@pytest.mark.parametrize("jitter", ["", "half", None, 2, []])
def test_another_jitter_is_refused(jitter: Any) -> None:
    with pytest.raises(ValueError, match="jitter") as caught:
        ReconnectPolicy(jitter=jitter)
    assert str(caught.value) == f"jitter must be True, False, 'full' or 'none', not {jitter!r}"


def test_a_wait_depends_on_the_randomness_alone() -> None:
    first, again, other = (
        [DEFAULT.delay(3.0, failures, chance) for failures in range(5)]
        for chance in (Random(1), Random(1), Random(2))
    )
    assert first == again != other


def test_a_server_that_asks_for_no_delay_gets_it_once() -> None:
    chance = Most()
    waits = [DEFAULT.delay(0.0, failures, chance) for failures in range(5)]
    assert waits == [0.0, 0.2, 0.4, 0.8, 1.6]


def test_a_fixed_time_as_browsers_have_it() -> None:
    policy = ReconnectPolicy(max_backoff=0)
    assert {policy.delay(3.0, failures, Random(1)) for failures in range(10)} == {3.0}


def test_a_factor_of_1_never_grows() -> None:
    policy = ReconnectPolicy(factor=1, jitter=False)
    assert [policy.delay(5.0, failures, Random(1)) for failures in (0, 1, 10_000)] == [10.0] * 3


@pytest.mark.parametrize("factor", [2, 2.0, 1e300])
def test_powers_that_are_too_large_for_a_float(factor: float) -> None:
    policy = ReconnectPolicy(factor=factor, jitter=False)
    assert policy.delay(1.0, 100_000, Random(1)) == 61.0


def test_a_function_for_the_random_part() -> None:
    calls: list[tuple[float, int, Random]] = []

    def linear(asked: float, failures: int, random: Random) -> float:
        calls.append((asked, failures, random))
        return 10.0 * failures

    chance = Random(1)
    policy = ReconnectPolicy(backoff=linear)
    assert [policy.delay(2.0, failures, chance) for failures in range(3)] == [2.0, 12.0, 22.0]
    assert calls == [(2.0, 0, chance), (2.0, 1, chance), (2.0, 2, chance)]


def test_a_subclass() -> None:
    class Half(ReconnectPolicy):
        def delay(self, asked: float, failures: int, random: Random) -> float:
            return super().delay(asked, failures, random) / 2

    assert Half(jitter=False).delay(3.0, 0, Random(1)) == 3.0


@given(
    policy=st.builds(
        ReconnectPolicy,
        factor=st.floats(1, 1e308) | st.integers(1, 10),
        max_backoff=st.floats(0, 1e6),
        jitter=st.sampled_from([True, False, "full", "none"]),
    ),
    asked=st.floats(0, 1e6),
    failures=st.integers(0, 5000),
    seed=st.integers(0, 9),
)
def test_a_wait_is_what_was_asked_and_at_most_the_backoff_more(
    policy: ReconnectPolicy, asked: float, failures: int, seed: int
) -> None:
    seconds = policy.delay(asked, failures, Random(seed))
    assert asked <= seconds <= asked + policy.max_backoff
