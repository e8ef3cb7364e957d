"""What docs/howto/fuzzing.md says about drivers in other languages than Python, and of its own."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest

from sse_testing import run_conformance
from sse_testing._report import text

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples" / "conformance"
PAGE: Final = (ROOT / "docs" / "howto" / "fuzzing.md").read_text("utf-8")


def block(language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    return found[number]


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_the_driver_in_javascript() -> None:
    script = EXAMPLES / "naive.mjs"
    assert block("js") == script.read_text("utf-8")
    report = run_conformance(["node", str(script)], seconds=0, timeout=30)
    assert block("text", 1) in text(report)


def test_the_driver_in_python() -> None:
    report = run_conformance([sys.executable, str(EXAMPLES / "naive.py")], seconds=0, timeout=30)
    assert not report.is_ok
    kinds = {failure.symptom for failure in report.failures}
    assert "dispatches blocks without data" in kinds
    assert "ends lines where Unicode does, as str.splitlines()" in kinds
    assert not report.stray_count


def test_go_is_said_not_to_be_run() -> None:
    before, _, _ = PAGE.partition("```go\n")
    assert "This one was not run here." in before.rpartition("### ")[2]
