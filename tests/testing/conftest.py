"""Drivers of the suite are measured by no one: they would be thirty times as slow."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_coverage_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
