"""Both decoders give the same result: of random streams, the fuzzer's seeds, and around windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.twins import Case, check, check_reference, check_twins

if TYPE_CHECKING:
    from sse_proto import SSEDecoder

SEEDS: Final = Path(__file__).parents[1] / "fuzz" / "seeds"
WINDOW: Final = 64 * 1024

PIECES: Final = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b":", b" ", b"\0", b"x", b"5"),
    *(b"data", b"event", b"id", b"retry", b"data: ", b"data:", b"event: ", b"id: ", b"retry: "),
    *(b"data: a\n", b"data: b\r\n", b"event: e\n", b"id: 1\n", b"id: 1\0\n", b"retry: 10\n"),
    *(b": comment\n", b"unknown: field\n", b"message", b"0" * 20, b"x" * 70),
    *(b"\xef\xbb\xbf", b"\xef", b"\xbb", b"\xff", b"\xe6\xbc", "漢".encode(), "😀".encode()),
]
streams = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=60).map(b"".join)
cases = st.builds(
    Case,
    stream=streams,
    limit=st.none() | st.integers(1, 100),
    first_id=st.sampled_from([None, "", "1", "ünï"]),
    dispatch_empty=st.booleans(),
    methods=st.lists(
        st.sampled_from(["feed", "feed_raw", "feed_parsed"]), min_size=1, max_size=3
    ).map(tuple),
    in_bytearray=st.booleans(),
    cuts=st.integers(0, 7),
    seed=st.integers(0, 1000),
    observed=st.booleans(),
)


@given(case=cases)
def test_twins_agree_on_any_stream(c_class: type[SSEDecoder], case: Case) -> None:
    assert c_class
    check_twins(case)
    check_reference(case)


@given(case=st.binary(max_size=100))
def test_twins_agree_on_any_bytes(c_class: type[SSEDecoder], case: bytes) -> None:
    assert c_class
    check(case)


@pytest.mark.parametrize("seed", sorted(SEEDS.iterdir()), ids=lambda path: cast("Path", path).name)
def test_twins_agree_on_the_seeds_of_the_fuzzer(c_class: type[SSEDecoder], seed: Path) -> None:
    assert c_class
    check(seed.read_bytes())


LINES: Final = b"data: 0123456789\rretry: 7\r\n: comment\nid: 1\n"


@pytest.mark.parametrize("limit", [None, 1000, WINDOW, WINDOW + 1, 2 * WINDOW])
@pytest.mark.parametrize("size", [WINDOW, WINDOW + 1, 3 * WINDOW])
@pytest.mark.parametrize(
    "unit",
    [b"x", b"data: x", b"data: 0123456789\n", b"data: 01\r\n", b"data: a\n\n", b": c\r", LINES],
)
@pytest.mark.parametrize("method", ["feed", "feed_raw"])
def test_twins_measure_the_same_size_in_windows(
    c_class: type[SSEDecoder], unit: bytes, size: int, limit: int | None, method: str
) -> None:
    assert c_class
    stream = b"data: " + (unit * (size // len(unit) + 1))[:size] + b"\n\ndata: last\n\n"
    for first in (1, 6, 1000):
        case = Case(
            stream=stream,
            limit=limit,
            first_id=None,
            dispatch_empty=False,
            methods=(method,),
            in_bytearray=first == 6,
            cuts=0,
            seed=0,
            cut_at=(first,),
        )
        check_twins(case)
