"""A small sample of ``python -m tests.mutants``: that the suite bites, and how mutants are made."""

from __future__ import annotations

import ast

import pytest

from tests.mutants import __main__ as tool
from tests.mutants.equivalent import is_equivalent
from tests.mutants.mutate import DECODERS, Mutant, mutants, source_of


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_decoders_are_right(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "LIMIT", 0.5)
    assert tool.judge(source_of(decoder)).killed_by == ""


@pytest.mark.parametrize("mutant", tool.chosen(12, seed=1), ids=str)
def test_mutants_are_killed(mutant: Mutant) -> None:
    assert tool.judge(mutant.source).killed_by


@pytest.mark.parametrize("decoder", [name for name in DECODERS if name != "reference"])
def test_mutants_differ_from_their_decoder_and_each_other(decoder: str) -> None:
    sources = [mutant.source for mutant in mutants(decoder)]
    assert len(set(sources)) > 0.95 * len(sources) > 35
    assert ast.unparse(ast.parse(source_of(decoder))) not in sources


def test_the_choice_is_seeded_and_of_all_decoders() -> None:
    one = tool.chosen(20, seed=3)
    assert one == tool.chosen(20, seed=3) != tool.chosen(20, seed=4)
    assert {mutant.decoder for mutant in one} == set(DECODERS)
    assert len(one) == 20
    assert not any(map(is_equivalent, one))


def test_the_command_counts_survivors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = iter([tool.Verdict("", 0.1)] * 6 + [tool.Verdict("id/set", 0.1)] * 3)

    def judge(_: str) -> tool.Verdict:
        return next(verdicts, tool.Verdict("", 10.0))

    monkeypatch.setattr(tool, "judge", judge)
    assert tool.main(["--count", "4"]) == 1
    out = capsys.readouterr().out
    assert "survives 10.0 s: patterns:" in out
    assert "3 of 4 mutants killed, 0 of them by random streams" in out
