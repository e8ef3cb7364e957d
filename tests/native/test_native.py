"""The decoder in C by itself: its core without Python, and its binding where memory fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from sse_proto import IMPLEMENTATION

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
STRICT: Final = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
SANITIZED: Final = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

pytestmark = pytest.mark.timeout(600)  # a few seconds, on a quiet machine


def program(folder: Path, source: str, *options: str) -> Path:
    """Build a program, under sanitizers if the compiler brings them."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler")
    made = folder / "program"
    command = [compiler, *STRICT, *options, str(HERE / source), "-o", str(made)]
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    trial = subprocess.run(
        [compiler, *SANITIZED, str(empty), "-o", str(made)], capture_output=True, check=False
    )
    subprocess.run([*command, *(SANITIZED if trial.returncode == 0 else ["-O2"])], check=True)
    return made


def output(command: list[str]) -> str:
    """Run a program of a test to its end; return what it printed."""
    # A tracer allocates as well: these count blocks.
    unmeasured = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    result = subprocess.run(
        command, env=unmeasured, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_core_is_the_standard_on_every_short_stream(tmp_path: Path) -> None:
    made = program(tmp_path, "exhaust.c")
    assert output([str(made), "5"]).endswith(" comparisons, no difference\n")


def test_core_is_the_standard_on_the_corpus(tmp_path: Path) -> None:
    corpus = sorted(str(path) for path in (HERE / "corpus").iterdir())
    made = program(tmp_path, "fuzz_core.c", "-DREPLAY")
    assert output([str(made), *corpus]) == f"{len(corpus)} inputs, no difference\n"


@pytest.fixture
def speedups() -> None:
    if IMPLEMENTATION != "c":
        pytest.skip("the decoder in C is not in use")


@pytest.mark.usefixtures("speedups")
def test_decoder_tells_of_it_where_allocations_fail() -> None:
    pytest.importorskip("_testcapi")
    printed = output([sys.executable, "-m", "tests.native.starve"])
    assert printed.endswith(" allocations failed: each raised, and nothing leaked\n")


@pytest.mark.usefixtures("speedups")
def test_threads_share_a_decoder() -> None:
    assert " events from 4 threads" in output([sys.executable, "-m", "tests.native.race"])
