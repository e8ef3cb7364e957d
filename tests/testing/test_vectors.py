"""The vectors as data, and that nothing is imported before it is used."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import sse_testing
from sse_testing import VECTORS_VERSION, Vector, reference, rules, vectors

FOLDER: Final = Path(sse_testing.__file__).parent / "vectors"


def test_they_are_many_and_their_titles_unique() -> None:
    titles = [vector.title for vector in vectors()]
    assert len(set(titles)) == len(titles) >= 450
    assert sum(vector.by_standard for vector in vectors()) >= 450


def test_they_are_read_once() -> None:
    assert vectors() is vectors()


def test_the_version_is_that_of_the_data() -> None:
    index = json.loads((FOLDER / "index.json").read_text("ascii"))
    assert index["version"] == VECTORS_VERSION
    assert {f"{family}.json" for family in index["families"]} == {
        path.name for path in FOLDER.glob("*.json")
    } - {"index.json"}


def test_every_rule_decides_something_and_has_a_sentence() -> None:
    assert {vector.rule.name for vector in vectors()} == set(rules())
    for rule in rules().values():
        assert rule.sentence.endswith((".", ")", "]"))
        assert str(rule) == f"{rule.section}: {rule.sentence}"
    assert all(vector.why for vector in vectors())


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.title)
def test_the_reference_agrees(vector: Vector) -> None:
    expected = list(vector.events), vector.last_event_id, vector.reconnection_time
    assert reference(vector.stream) == expected


def test_what_is_of_ours_is_marked() -> None:
    (of_ours,) = {vector.rule.section for vector in vectors() if not vector.by_standard}
    assert of_ours == "of ours"


# -- the package's top -----------------------------------------------------------------------------


def test_every_public_name_is_there_and_no_other() -> None:
    for name in sse_testing.__all__:
        assert getattr(sse_testing, name) is not None
    assert set(sse_testing.__all__) <= set(dir(sse_testing))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        getattr(sse_testing, "nothing")  # noqa: B009  # the type checkers know that it is none


def test_nothing_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, sse_testing, sse_testing._plugin;"
        "print(*sorted(name for name in sys.modules if name.startswith(('sse_', 'hypothesis'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sse_testing", "sse_testing._plugin"]


def test_the_strategies_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "sse_testing.strategies", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sse-proto\[testing\]'"):
        importlib.import_module("sse_testing.strategies")
