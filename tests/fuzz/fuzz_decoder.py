"""Fuzz the decoder: C against Python against the reference. Needs atheris.

    python -m tests.fuzz.fuzz_decoder [a directory for the corpus] [libFuzzer's options]

As `-max_total_time=3600` (seconds). Starts from the seeds beside this file; what it finds on its
way goes to the first directory, or is lost. A finding is written to ``crash-*``, and run again by
giving that file as the argument.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    class Atheris(Protocol):
        """What is used of atheris, which has no types."""

        instrument_imports: Callable[..., AbstractContextManager[None]]
        Setup: Callable[[Sequence[str], Callable[[bytes], None]], Any]
        Fuzz: Callable[[], None]


SEEDS: Final = Path(__file__).parent / "seeds"


def main(arguments: list[str]) -> None:
    """Run libFuzzer, which ends the process."""
    atheris = cast("Atheris", importlib.import_module("atheris"))
    with atheris.instrument_imports(include=["sse_proto"]):
        from . import twins

    arguments = [*arguments, str(SEEDS)] if not any(map(_is_file, arguments[1:])) else arguments
    atheris.Setup(arguments, twins.check)
    atheris.Fuzz()


def _is_file(argument: str) -> bool:
    return Path(argument).is_file()


if __name__ == "__main__":
    main(sys.argv)
